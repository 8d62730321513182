package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"reconciler/internal/daemon"
	"reconciler/internal/diff"
	"reconciler/internal/report"
)

// planFlags are the flags of the commands that compute a plan.
type planFlags struct {
	outputFlags
	manifests string
	only      []string
	exclude   []string
	// set reports whether a flag was given.
	set func(name string) bool
}

func (p *planFlags) add(flags *pflag.FlagSet) {
	p.set = flags.Changed
	flags.SortFlags = false
	flags.StringVar(&p.manifests, "manifests", "", "read manifests from this file or folder, `PATH`, instead of where the config says")
	flags.StringArrayVar(&p.only, "org", nil, "look only at the org with this `DOMAIN`; may be repeated")
	flags.StringArrayVar(&p.exclude, "exclude", nil, "leave out the org with this `DOMAIN`; may be repeated")
	p.outputFlags.add(flags)
}

// check checks the flags before any work is done for them.
func (p *planFlags) check() error {
	if p.set("manifests") && p.manifests == "" {
		return withHint("--manifests is empty", "is a variable of your script not set?")
	}
	return p.parse()
}

func (a *app) diffCommand() *cobra.Command {
	var flags planFlags
	var review reviewFlags
	var detailed bool
	cmd := &cobra.Command{
		Use:     "diff",
		Aliases: []string{"plan"},
		Short:   "Show what differs between the manifests and the live account; never writes",
		Long: `Compare the manifests with the live account and show the plan that would make
them agree. It asks Okta for okta.accounts.read only, so it cannot write.

With --base, show what the change since another git revision means: from the
manifests alone, in a local clone, without credentials or network. Where the
config has credentials, live state is looked at too, and what the change does is
told from what had drifted before it.

Exit codes: 0 done, in sync or not; with --detailed-exitcode 2 if there are
differences (with --base: if the change declares any), and 1 if an org could not
be read; 1 on errors, and if no org at all could be read.`,
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
	case unknown > 0 && (detailed || unknown == plan.Summary.Orgs):
		return fmt.Errorf("%d of %d orgs could not be read", unknown, plan.Summary.Orgs)
	case detailed && plan.Differs():
		return exitCode(exitDifferences)
	default:
		return nil
	}
}

// planner is what diff and apply have in common.
type planner struct {
	*daemon.Reconciler
	app   *app
	flags *planFlags
	// desired is what the plan was computed from; nil for a saved plan.
	desired *daemon.Desired
}

// prepare checks flags and config, before any call is made.
func (a *app) prepare(flags *planFlags) (*planner, error) {
	return a.prepareWith(flags, daemon.Options{Manifests: flags.manifests})
}

func (a *app) prepareWith(flags *planFlags, opts daemon.Options) (*planner, error) {
	if err := flags.check(); err != nil {
		return nil, err
	}
	var err error
	if opts.Logger, err = a.logger(); err != nil {
		return nil, err
	}
	opts.Environ = a.environ
	cfg, err := a.loadConfig()
	if err != nil {
		return nil, err
	}
	r, err := daemon.New(cfg, opts)
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

func (p *planner) filter() daemon.Filter {
	return daemon.Filter{Only: p.flags.only, Exclude: p.flags.exclude}
}

// plan computes the plan, and the data of a report on it.
func (p *planner) plan(ctx context.Context) (*diff.Plan, report.Data, error) {
	var alarms []daemon.Alarm
	var journal error
	looked := make(chan struct{})
	go func() { // while the API is being read
		defer close(looked)
		alarms, journal = p.Alarms()
	}()
	plan, desired, err := p.Plan(ctx, p.filter())
	<-looked
	if err != nil {
		return nil, report.Data{}, err
	}
	p.desired = desired
	warnings := desired.Warnings
	if journal != nil { // the differences can be shown without it
		warnings = append(warnings, "what was lost in earlier runs is not known: "+journal.Error())
	}
	for _, alarm := range alarms {
		warnings = append(warnings, alarm.String())
	}
	for _, w := range warnings {
		p.app.warn(w)
	}
	return plan, report.Data{Plan: plan, Warnings: warnings}, nil
}
