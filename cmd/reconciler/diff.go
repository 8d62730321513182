package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"reconciler/internal/diff"
	"reconciler/internal/reconcile"
	"reconciler/internal/report"
	"reconciler/internal/state"
)

// planFlags are the flags of the commands that compute a plan.
type planFlags struct {
	outputFlags
	manifests string
	filter    reconcile.Filter
	selectors []string
	// set reports whether a flag was given.
	set func(name string) bool
}

func (p *planFlags) add(flags *pflag.FlagSet) {
	p.set = flags.Changed
	flags.StringVar(&p.manifests, "manifests", "", "read manifests from the file or folder `PATH` instead of the config's")
	flags.StringArrayVar(&p.filter.Only, "org", nil, "only the org with this `DOMAIN`; the account's name is left out; may be repeated")
	flags.StringArrayVar(&p.filter.Exclude, "exclude", nil, "leave out the org with this `DOMAIN`; may be repeated")
	flags.StringArrayVarP(&p.selectors, "selector", "l", nil, "only orgs whose labels match `SELECTOR`, as in kubectl: KEY=VALUE, KEY!=VALUE, KEY, !KEY, KEY in (A, B), and several between commas; the account's name is left out; may be repeated")
	p.outputFlags.add(flags)
}

// parse checks the flags before any work is done for them.
func (p *planFlags) parse() error {
	var err error
	if p.filter.Labels, err = state.ParseSelector(p.selectors...); err != nil {
		return fmt.Errorf("--selector: %w", err)
	}
	return p.outputFlags.parse()
}

func (a *app) diffCommand() *cobra.Command {
	var flags planFlags
	var review reviewFlags
	var detailed bool
	cmd := &cobra.Command{
		Use:     "diff",
		Aliases: []string{"plan"},
		Short:   "Show the differences between manifests and account; never writes",
		Long: `Compare the manifests with the account and show the plan that would make them
agree. A token for okta.accounts.read is requested, which can't write.

With --base, review the change since another git revision: show what it means for
each org. Without credentials only manifests in a local clone are compared,
without network. If the config has credentials, the account is read too, and the
change is told apart from existing drift.

Exit codes: 0 done, in sync or not; 1 on errors, or if no org could be read. With
--detailed-exitcode also 2 if there are differences (with --base: if the change
declares any), and 1 if one of the orgs could not be read.`,
		Args: diffArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := review.check(flags.set); err != nil {
				return err
			}
			if flags.set("base") {
				return a.review(cmd.Context(), &flags, &review, detailed)
			}
			p, err := a.prepare(&flags)
			if err != nil {
				return err
			}
			defer p.Close()
			plan, data, err := p.plan(cmd.Context())
			if err != nil {
				return err
			}
			if err := flags.write(a, data); err != nil {
				return err
			}
			return differences(plan, detailed)
		},
	}
	flags.add(cmd.Flags())
	review.add(cmd.Flags())
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit with 2 if there are differences")
	return cmd
}

// differences returns how diff ends. An org that could not be read is an error, which
// outranks a difference; without --detailed-exitcode only if no org could be read.
func differences(plan *diff.Plan, detailed bool) error {
	unknown := len(plan.Unknown)
	switch {
	case unknown > 0 && detailed || plan.NothingRead():
		return fmt.Errorf("%d of %d orgs could not be read", unknown, plan.Summary.Orgs)
	case detailed && plan.Differs():
		return exitCode(exitDifferences)
	default:
		return nil
	}
}

// planner is what diff and apply have in common.
type planner struct {
	*reconcile.Reconciler
	app   *app
	flags *planFlags
	// desired is what the plan was computed from; nil for a saved plan.
	desired *reconcile.Desired
}

// prepare checks flags and config, before any call is made.
func (a *app) prepare(flags *planFlags) (*planner, error) {
	return a.prepareWith(flags, reconcile.Options{Manifests: flags.manifests, Commands: journalCommands})
}

func (a *app) prepareWith(flags *planFlags, opts reconcile.Options) (*planner, error) {
	if err := flags.parse(); err != nil {
		return nil, err
	}
	var err error
	if opts.Logger, err = a.logger(); err != nil {
		return nil, err
	}
	opts.Logger = opts.Logger.With("run", a.runID)
	opts.Environ = a.environ
	cfg, err := a.loadConfig()
	if err != nil {
		return nil, err
	}
	r, err := reconcile.New(cfg, opts)
	if err != nil {
		return nil, err
	}
	return &planner{Reconciler: r, app: a, flags: flags}, flags.open()
}

// Close closes the files and the Reconciler that prepare opened.
func (p *planner) Close() {
	p.flags.close()
	p.Reconciler.Close()
}

// warnUnknown prints the orgs that can't be read and that Okta gave an id to, which
// no plan has: a report as text shows it, one as JSON does not.
func (p *planner) warnUnknown(plan *diff.Plan) {
	if p.flags.stdout != report.JSON {
		return
	}
	var lines []string
	for i := range plan.Unknown {
		if u := &plan.Unknown[i]; u.ErrorID != "" {
			lines = append(lines, fmt.Sprintf("%s can't be read: %s", u.Org, u.Reason()))
		}
	}
	p.app.warnFew(lines)
}

// plan computes the plan, and the data of a report on it.
func (p *planner) plan(ctx context.Context) (*diff.Plan, report.Data, error) {
	var alarms []reconcile.Alarm
	var journal error
	looked := make(chan struct{})
	go func() { // while the API is being read
		defer close(looked)
		alarms, journal = p.Alarms()
	}()
	plan, desired, err := p.Plan(ctx, p.flags.filter)
	<-looked
	if err != nil {
		return nil, report.Data{}, err
	}
	p.desired = desired
	warnings := desired.Warnings
	if journal != nil { // the differences can be shown without it
		warnings = append(warnings, "what was lost in earlier runs is not known: "+journal.Error())
	}
	p.app.warnFew(warnings)
	var lost []string
	for _, alarm := range alarms {
		lost = append(lost, alarm.String())
	}
	p.app.warnFew(lost)
	p.warnUnknown(plan)
	return plan, report.Data{Plan: plan, Warnings: slices.Concat(warnings, lost)}, nil
}
