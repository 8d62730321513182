package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reconciler/internal/config"
	"reconciler/internal/diff"
	"reconciler/internal/reconcile"
	"reconciler/internal/state/edit"
	"reconciler/internal/store/history"
	"reconciler/internal/text"
)

func (a *app) adoptCommand() *cobra.Command {
	var f editFlags
	var orgs []string
	cmd := &cobra.Command{
		Use:   "adopt",
		Short: "Edit the manifests so that they declare what is live",
		Long: `The opposite of apply: read the account and the orgs, and edit the manifests in the
clone that the command stands in so that they declare what is live, where it differs
from what they declare. Only what they manage is adopted, and comments and layout of
the files stay. Nothing is changed in Okta. Scopes for reading alone are requested.

What an edit can't say is named and left. Orgs that no manifest declares are declared
by "reconciler import". Files with uncommitted changes are not edited; with --out,
the changed files are written into a folder instead.

Exit codes: 0 done, or nothing to do; 1 on errors, or if no org could be read; 4 some
orgs could not be read, and the others were adopted.`,
		Example: `  reconciler adopt --org acme-emea.okta.com
  reconciler adopt --out /tmp/edited`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return a.adopt(cmd.Context(), orgs, &f)
		},
	}
	cmd.Flags().StringArrayVar(&orgs, "org", nil, "only the org with this `DOMAIN`; the account's name is left out; may be repeated")
	f.add(cmd.Flags())
	return cmd
}

func (a *app) adopt(ctx context.Context, orgs []string, f *editFlags) error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	m, err := a.openManifests(ctx, cfg, f)
	if err != nil {
		return err
	}
	if _, err := declaredOrgs(m.desired.State, orgs); err != nil {
		return err
	}
	plan, drift, err := a.readLive(ctx, cfg, m, orgs)
	if err != nil {
		return err
	}
	task := edit.Adopt(plan)
	if n := len(plan.Unmanaged); n > 0 && len(orgs) == 0 {
		task.Notes = append(task.Notes, fmt.Sprintf("%s of the account: no manifest declares them; reconciler import writes their declarations", text.Plural(n, "org")))
	}
	for i := range plan.Unknown {
		u := &plan.Unknown[i]
		what := "the org"
		if u.Part != "" {
			what = "its " + u.Part
		}
		task.Left = append(task.Left, edit.Left{Org: u.Org, What: what, Reason: "it could not be read: " + u.Reason()})
	}
	r, err := m.edit(task)
	if err != nil {
		return err
	}
	r.message = adoptMessage(r, m.desired, drift)
	if len(r.Files) == 0 {
		if len(r.Left) > 0 {
			fmt.Fprintln(a.err, "nothing was edited: what is live is left, for the reasons that are given")
		} else {
			fmt.Fprintln(a.err, "nothing to edit: the manifests declare what is live")
		}
	}
	if err := m.finish(ctx, r); err != nil {
		return err
	}
	if len(plan.Unknown) > 0 {
		return exitCode(exitPartly)
	}
	return nil
}

// readLive compares the manifests with what is live, and returns the open drift that the
// history has.
func (a *app) readLive(ctx context.Context, cfg *config.Config, m *manifestFiles, orgs []string) (*diff.Plan, []history.Drift, error) {
	logger, err := a.logger()
	if err != nil {
		return nil, nil, err
	}
	r, err := reconcile.New(cfg, reconcile.Options{Manifests: m.Place(), Environ: a.environ, Logger: logger, Commands: journalCommands})
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	plan, _, err := r.Plan(ctx, reconcile.Filter{Only: orgs})
	if err != nil {
		return nil, nil, err
	}
	if plan.NothingRead() {
		return nil, nil, differences(plan, false)
	}
	drift, err := r.History().Drifts()
	if err != nil { // who it was is not needed for the edit
		a.warn("who caused the drift is not known: " + err.Error())
	}
	return plan, drift, nil
}

// adoptMessage returns the suggested commit message.
func adoptMessage(r *edited, desired *reconcile.Desired, drift []history.Drift) string {
	var b strings.Builder
	orgs := map[string]bool{}
	for i := range r.Done {
		orgs[r.Done[i].Org] = true
	}
	fmt.Fprintf(&b, "Adopt what is live in %s\n\n", text.Plural(len(orgs), "org"))
	listDone(&b, r.Done, func(c *edit.Change) string {
		return c.Describe(productName(desired.State)) + whoCaused(c, drift)
	})
	return b.String()
}

// whoCaused returns who made what a change adopts; empty if nobody is known to have.
func whoCaused(c *edit.Change, drift []history.Drift) string {
	i := slices.IndexFunc(drift, func(d history.Drift) bool {
		return d.Org == c.Org && d.Cause != nil && (d.Field == c.Field() || strings.HasPrefix(d.Field, c.Field()+": "))
	})
	if i < 0 {
		return ""
	}
	cause := drift[i].Cause
	return fmt.Sprintf(" (%s, %s)", cause.Actor, cause.Time.UTC().Format(time.DateTime+" UTC"))
}
