package main

import (
	"errors"
	"fmt"
	"io"
	"os/user"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"reconciler/internal/config"
	"reconciler/internal/freeze"
	"reconciler/internal/reconcile"
	"reconciler/internal/store/journal"
	"reconciler/internal/strictyaml"
)

// suspendFlags are those of suspend.
type suspendFlags struct {
	orgs          []string
	reason, owner string
	length        time.Duration
	until         string
	list          bool
	format        string
}

func (a *app) suspendCommand() *cobra.Command {
	var f suspendFlags
	cmd := &cobra.Command{
		Use:   "suspend --reason TEXT [--org GLOB ...] [--for DURATION | --until TIME]",
		Short: "Hold writes to all orgs or to some, until resume",
		Long: `Hold all writes, or with --org those to some orgs, until "reconciler resume" or
until it expires. Drift is still detected and reported. A running daemon
obeys before its next write, without a restart.

Suspensions are kept in the config's ` + config.KeyStateDir + `. Okta is not contacted, and no
credentials are needed.`,
		Example: `  reconciler suspend --reason "audit, ask Ada" --for 72h
  reconciler suspend --reason INC-1234 --org '*.oktapreview.com'
  reconciler suspend --list`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("%q: orgs are named with --org", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.list {
				return a.listSuspensions(cmd, &f)
			}
			return a.suspend(cmd, &f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.reason, "reason", "", "one-line reason, as `TEXT`; required")
	flags.StringArrayVar(&f.orgs, "org", nil, "only orgs whose domain this `GLOB` matches; may be repeated")
	flags.StringVar(&f.owner, "owner", "", "`NAME` of the person to ask (default: the user who runs this)")
	flags.DurationVar(&f.length, "for", 0, "end after this `DURATION`, such as 90m or 72h")
	flags.StringVar(&f.until, "until", "", "end at this `TIME`, such as 2026-11-30T06:00:00Z")
	flags.BoolVar(&f.list, "list", false, "list the suspensions, also those in the config")
	flags.StringVarP(&f.format, "output", "o", "text", "with --list: `FORMAT`, text or json")
	setValues(flags, "output", []string{"text", "json"})
	return cmd
}

// openJournal returns the config and the journal in its state folder. Without a
// state folder, the error says what for there is none.
func (a *app) openJournal(why, hint string) (*config.Config, *journal.Journal, error) {
	cfg, err := a.loadConfig()
	if err != nil {
		return nil, nil, err
	}
	if !cfg.State.IsSet() {
		return nil, nil, withHint("the config has no "+config.KeyStateDir+", "+why, hint)
	}
	return cfg, journal.New(reconcile.StateOf(cfg), journal.Options{Commands: journalCommands}), nil
}

// suspensions is openJournal for commands that change what is suspended.
func (a *app) suspensions() (*config.Config, *journal.Journal, error) {
	return a.openJournal("in which suspensions are kept", "set it, or declare suspend in the config; see docs/config.md")
}

func (a *app) suspend(cmd *cobra.Command, f *suspendFlags) error {
	if cmd.Flags().Changed("output") {
		return errors.New("-o is for --list")
	}
	if strings.TrimSpace(f.reason) == "" {
		return withHint("--reason is missing", "give a reason that others will see: --reason TEXT")
	}
	for _, glob := range f.orgs {
		if err := freeze.CheckGlob(glob); err != nil {
			return fmt.Errorf("--org %w", err)
		}
	}
	length := cmd.Flags().Changed("for")
	if length && f.until != "" {
		return errors.New("--for and --until are mutually exclusive: keep one")
	}
	until, err := f.end(length, time.Now())
	if err != nil {
		return err
	}
	if f.owner == "" {
		who, err := user.Current()
		if err != nil {
			return withHint("who runs this can't be told: "+err.Error(), "name somebody who knows more about it: --owner NAME")
		}
		f.owner = who.Username
	}
	cfg, j, err := a.suspensions()
	if err != nil {
		return err
	}
	defer j.Close()
	made, err := a.operator(cfg, j, f.owner).Suspend(freeze.Suspension{Orgs: f.orgs, Reason: f.reason, Owner: f.owner, Until: until})
	if err != nil {
		return err
	}
	a.warnOfUnknownOrgs(cfg, j, f.orgs)
	_, err = fmt.Fprintf(a.out, "writes to %s are %s\n"+
		"Drift is still reported; a running daemon obeys before its next write.\n"+
		"to end it: reconciler resume %s\n", made.Scope(), &made, made.ID)
	return err
}

// warnOfUnknownOrgs warns of patterns that match no org that is known, which may be
// mistyped. The suspension is made nevertheless: what is known may be incomplete, and
// whoever suspends something is in a hurry.
func (a *app) warnOfUnknownOrgs(cfg *config.Config, j *journal.Journal, globs []string) {
	known, err := reconcile.Domains(cfg, j)
	if err != nil || len(known) == 0 {
		return // nothing to compare with
	}
	for _, glob := range globs {
		if !slices.ContainsFunc(known, freeze.Globs{glob}.Match) {
			a.warn(fmt.Sprintf("--org %s matches none of the orgs that manifests on disk declare or earlier runs found%s", glob, strictyaml.DidYouMean(strings.ToLower(glob), known)))
		}
	}
}

// end returns when the suspension expires; zero for never.
func (f *suspendFlags) end(length bool, now time.Time) (time.Time, error) {
	switch {
	case length && f.length <= 0:
		return time.Time{}, fmt.Errorf("--for %s: must be positive", f.length)
	case length:
		return now.Add(f.length).Truncate(time.Second), nil
	case f.until == "":
		return time.Time{}, nil
	}
	until, err := time.Parse(time.RFC3339, f.until)
	if err != nil {
		return time.Time{}, fmt.Errorf("--until %q: must be a date and time with zone, such as %s", f.until, now.UTC().Add(24*time.Hour).Format(time.RFC3339))
	}
	if !until.After(now) {
		return time.Time{}, fmt.Errorf("--until %s: is in the past", f.until)
	}
	return until, nil
}

// addReason adds the flag of why something is done.
func addReason(cmd *cobra.Command, reason *string) {
	cmd.Flags().StringVar(reason, "reason", "", "one-line reason, as `TEXT`, for the history")
}

// checkReason returns what is wrong with the reason that addReason's flag sets.
func checkReason(cmd *cobra.Command, reason string) error {
	if !cmd.Flags().Changed("reason") {
		return nil
	}
	if err := freeze.CheckReason(reason); err != nil {
		return fmt.Errorf("--reason: %w", err)
	}
	return nil
}

func (a *app) resumeCommand() *cobra.Command {
	var orgs []string
	var all bool
	var reason string
	cmd := &cobra.Command{
		Use:   "resume {ID ... | --org GLOB ... | --all} [--reason TEXT]",
		Short: "End suspensions",
		Long: `End suspensions: by the ID that suspend printed, with --org those for exactly
these patterns, or with --all everything that suspend made. Suspensions in the
config can only be removed there.`,
		Example: `  reconciler resume k3j2m5x7
  reconciler resume --org '*.oktapreview.com'
  reconciler resume --all --reason "the audit is over"`,
		RunE: func(cmd *cobra.Command, ids []string) error {
			given := 0
			for _, is := range []bool{len(ids) > 0, len(orgs) > 0, all} {
				if is {
					given++
				}
			}
			if given > 1 {
				return errors.New("give only one of ID, --org and --all")
			}
			if given == 0 {
				return withHint("say what to resume: an ID, --org GLOB, or --all", `"reconciler suspend --list" shows what is suspended`)
			}
			if err := checkReason(cmd, reason); err != nil {
				return err
			}
			return a.resume(ids, orgs, strings.TrimSpace(reason))
		},
	}
	cmd.Flags().StringArrayVar(&orgs, "org", nil, "end the suspension made with exactly these --org `GLOB` values; may be repeated")
	cmd.Flags().BoolVar(&all, "all", false, "end all suspensions that suspend made")
	addReason(cmd, &reason)
	return cmd
}

// resume removes the suspensions with one of the ids, or of exactly these orgs, or
// all of them if neither is given. reason may be empty.
func (a *app) resume(ids, orgs []string, reason string) error {
	cfg, j, err := a.suspensions()
	if err != nil {
		return err
	}
	defer j.Close()
	o := a.operator(cfg, j, "")
	kept, err := o.Suspensions()
	if err != nil {
		return err
	}
	// All or none, so that a mistyped ID is noticed.
	for _, id := range ids {
		if !slices.ContainsFunc(kept, func(s freeze.Suspension) bool { return s.ID == id && !s.Expired(time.Now()) }) {
			return notSuspended(fmt.Sprintf("no suspension has the ID %q", id), activeSuspensions(cfg, kept))
		}
	}
	wanted := sortedGlobs(orgs)
	removed, err := o.Resume(func(s freeze.Suspension) bool {
		switch {
		case len(ids) > 0:
			return slices.Contains(ids, s.ID)
		case len(orgs) > 0:
			return slices.Equal(sortedGlobs(s.Orgs), wanted)
		}
		return true
	}, reason)
	if err != nil {
		return err
	}
	switch {
	case len(removed) > 0:
	case len(orgs) > 0:
		return notSuspended("nothing was suspended for exactly "+strings.Join(orgs, ", "), activeSuspensions(cfg, kept))
	default:
		if _, err := fmt.Fprintln(a.out, "nothing to resume: nothing was suspended while the program runs"); err != nil {
			return err
		}
	}
	for i := range removed {
		if _, err := fmt.Fprintf(a.out, "resumed: %s, %s\n", removed[i].Scope(), &removed[i]); err != nil {
			return err
		}
	}
	kept, err = j.Suspensions()
	for _, s := range activeSuspensions(cfg, kept) {
		a.warn("writes are still held: " + s.describe())
	}
	return err
}

// sortedGlobs returns the patterns in a form in which lists can be compared.
func sortedGlobs(globs []string) []string {
	var all []string
	for _, glob := range globs {
		all = append(all, strings.ToLower(glob))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// listed is a suspension and where it is defined: "config" or "state".
type listed struct {
	freeze.Suspension
	From string `json:"from"`
}

// describe describes it on one line.
func (l *listed) describe() string {
	where := "by ID " + l.ID
	if l.From == "config" {
		where = "by the config, and can only be resumed there"
	}
	return fmt.Sprintf("%s, %s (%s)", l.Scope(), &l.Suspension, where)
}

// activeSuspensions returns the suspensions of config and state that have not expired.
func activeSuspensions(cfg *config.Config, state []freeze.Suspension) []listed {
	all, now := []listed{}, time.Now()
	for _, s := range freeze.Active(cfg.Suspend, now) {
		all = append(all, listed{s, "config"})
	}
	for _, s := range freeze.Active(state, now) {
		all = append(all, listed{s, "state"})
	}
	return all
}

// notSuspended is an error that lists what is suspended.
func notSuspended(problem string, all []listed) error {
	if len(all) == 0 {
		return withHint(problem, "nothing is suspended")
	}
	var words []string
	for i := range all {
		words = append(words, all[i].describe())
	}
	return withHint(problem, "suspended are: "+strings.Join(words, "; "))
}

func (a *app) listSuspensions(cmd *cobra.Command, f *suspendFlags) error {
	for _, name := range []string{"reason", "org", "owner", "for", "until"} {
		if cmd.Flags().Changed(name) {
			return fmt.Errorf("--%s makes no sense with --list", name)
		}
	}
	if f.format != "text" && f.format != "json" {
		return fmt.Errorf("-o %q: must be %s", f.format, strictyaml.OneOf([]string{"text", "json"}))
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	j := journal.New(reconcile.StateOf(cfg), journal.Options{Commands: journalCommands})
	defer j.Close()
	kept, unread := j.Suspensions()
	all := activeSuspensions(cfg, kept)
	if unread != nil && len(all) == 0 {
		return unread // and not that nothing is suspended
	}
	if err := writeSuspensions(a.out, f.format, all); err != nil {
		return err
	}
	return unread
}

func writeSuspensions(w io.Writer, format string, all []listed) error {
	if format == "json" {
		return writeJSONValue(w, all)
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "nothing is suspended")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tORGS\tOWNER\tSINCE\tUNTIL\tREASON")
	for i := range all {
		s := &all[i]
		id, since, until := s.ID, "", "resumed"
		if s.From == "config" {
			id = "(config)"
		}
		if !s.Since.IsZero() {
			since = s.Since.Format(time.RFC3339)
		}
		if !s.Until.IsZero() {
			until = s.Until.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", id, s.Scope(), s.Owner, since, until, s.Reason)
	}
	return t.Flush()
}
