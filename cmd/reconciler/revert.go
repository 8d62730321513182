package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reconciler/internal/config"
	"reconciler/internal/git/source"
	"reconciler/internal/reconcile"
	"reconciler/internal/state/edit"
	"reconciler/internal/store/history"
	"reconciler/internal/text"
)

func (a *app) revertCommand() *cobra.Command {
	var f editFlags
	cmd := &cobra.Command{
		Use:   "revert RUN",
		Short: "Edit the manifests so that they declare what was live before a run",
		Long: `Take back what a run changed: edit the manifests in the clone that the command
stands in so that they declare what was live before that run, as the history in
` + config.KeyStateDir + ` has it, and nothing else otherwise. Comments and layout of the files
stay. Nothing is changed in Okta: look at the edit and its plan, commit it, and let
a run apply it.

What can't be undone, what was changed again since, and what an edit can't say is
named and left. Files with uncommitted changes are not edited; with --out, the
changed files are written into a folder instead. No credentials are needed.

Exit codes: 0 done, or nothing to do; 1 on errors, nothing was edited.`,
		Example: `  reconciler history --since 24h
  reconciler revert 20261130T030000Z-k3j2m5
  reconciler revert 20261130T030000Z-k3j2m5 --out /tmp/edited`,
		Args: exactly("run", findRuns),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return a.revert(cmd.Context(), args[0], &f)
		},
	}
	f.add(cmd.Flags())
	return cmd
}

func (a *app) revert(ctx context.Context, id string, f *editFlags) error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	store, err := a.historyOf(cfg)
	if err != nil {
		return err
	}
	defer store.Close()
	run, changes, err := readRun(store, id)
	if err != nil {
		return err
	}
	m, err := a.openManifests(ctx, cfg, f)
	if err != nil {
		return err
	}
	changes.Product = productName(m.desired.State)
	if run.Commit != "" {
		// What was declared before is only compared: a clone need not have it.
		if parent, err := m.At(ctx, run.Commit+"^"); err == nil {
			changes.Parent, changes.ParentName = parent.State, "the commit before "+source.Short(run.Commit)
		}
	}
	task, err := edit.Revert(changes)
	if err != nil {
		return err
	}
	r, err := m.edit(task)
	if err != nil {
		return err
	}
	r.message = revertMessage(run, r, m.desired)
	if len(r.Files) == 0 {
		fmt.Fprintln(a.err, nothingToRevert(id, task, r))
	}
	return m.finish(ctx, r)
}

// readRun returns a run, and what the history has of its changes.
func readRun(store *history.Store, id string) (*history.Run, *edit.Run, error) {
	run, err := store.FindRun(id)
	if err != nil {
		return nil, nil, err
	}
	if run == nil {
		return nil, nil, withHint(fmt.Sprintf("the history has no run %s", text.OneLine(id, 100)), "reconciler history shows changes with their runs; runs that changed nothing, and those older than "+config.KeyStateRetention+", are not kept")
	}
	if run.Result == "" {
		return nil, nil, withHint(fmt.Sprintf("run %s is still going on", id), "wait until it has ended")
	}
	changes := &edit.Run{}
	if changes.Changes, err = store.Entries(history.Query{Types: []history.Type{history.TypeChange}, Run: id}); err != nil {
		return nil, nil, err
	}
	later, err := store.Entries(history.Query{Types: []history.Type{history.TypeChange}, Since: run.Started})
	if err != nil {
		return nil, nil, err
	}
	var last int64
	for i := range changes.Changes {
		last = max(last, changes.Changes[i].Seq)
	}
	for i := range later {
		if e := &later[i]; e.Run != id && (e.Seq > last || e.Seq == 0) {
			changes.Later = append(changes.Later, *e)
		}
	}
	changes.Live = func(org string) map[string]any { return liveBefore(store, org, run.Started) }
	changes.Drift, err = store.Drifts()
	return run, changes, err
}

// liveBefore returns the declared fields of the objects of an org as they were live at a
// time; nil if the history doesn't have them.
func liveBefore(store *history.Store, org string, at time.Time) map[string]any {
	s, err := store.At(org, at)
	if err != nil || s == nil {
		return nil
	}
	var live struct{ Configuration map[string]any }
	if json.Unmarshal(s.Live, &live) != nil {
		return nil
	}
	return live.Configuration
}

// nothingToRevert returns why nothing was edited.
func nothingToRevert(id string, task *edit.Task, r *edited) string {
	switch {
	case len(task.Changes) == 0 && len(r.Left) == 0:
		return fmt.Sprintf("run %s changed nothing: there is nothing to take back", id)
	case len(r.Left) > 0:
		return "nothing was edited: what the run changed is left, for the reasons that are given"
	default:
		return fmt.Sprintf("nothing to edit: the manifests declare what was live before run %s", id)
	}
}

// maxListed is how many orgs a suggested commit message has.
const maxListed = 20

// revertMessage returns the suggested commit message.
func revertMessage(run *history.Run, r *edited, desired *reconcile.Desired) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Revert run %s\n\nBrings back what was live before that run of %s", run.ID, run.Started.UTC().Format(time.DateTime+" UTC"))
	if run.By != "" {
		fmt.Fprintf(&b, " by %s", text.Visible(run.By))
	}
	if run.Commit != "" {
		fmt.Fprintf(&b, ", which applied commit %s", source.Short(run.Commit))
	}
	b.WriteString(":\n\n")
	listDone(&b, r.Done, func(c *edit.Change) string { return c.Describe(productName(desired.State)) })
	return b.String()
}

// listDone lists the changes of a commit message, by org.
func listDone(b *strings.Builder, done []edit.Change, describe func(*edit.Change) string) {
	byOrg := map[string][]string{}
	for i := range done {
		org := cmp.Or(done[i].Org, "the account")
		byOrg[org] = append(byOrg[org], describe(&done[i]))
	}
	orgs := slices.Sorted(maps.Keys(byOrg))
	for _, org := range orgs[:min(len(orgs), maxListed)] {
		fmt.Fprintf(b, "- %s: %s\n", org, text.Visible(strings.Join(byOrg[org], "; ")))
	}
	if n := len(orgs) - maxListed; n > 0 {
		fmt.Fprintf(b, "- and %s more\n", text.Plural(n, "org"))
	}
}
