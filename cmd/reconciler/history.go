package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reconciler/internal/config"
	"reconciler/internal/reconcile"
	"reconciler/internal/store/history"
	"reconciler/internal/store/journal"
	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
)

// historyFlags are those of history itself.
type historyFlags struct {
	org, action  string
	since, until string
	limit        int
	format       string
}

func (a *app) historyCommand() *cobra.Command {
	var f historyFlags
	cmd := &cobra.Command{
		Use:   "history",
		Short: "Show what happened: changes, drift, and what operators did",
		Long: `Show what is in the history of ` + config.KeyStateDir + `, newest first: each change that a run
attempted, with its outcome; drift that began or ended, with who caused it; and what
operators did, such as suspend and resume. Okta is not contacted, and no credentials
are needed.

A TIME is a date (2026-11-30), a date and time with zone (2026-11-30T03:00:00Z), or
how long ago (90m, 24h, 7d).`,
		Example: `  reconciler history --org acme-emea.okta.com --since 24h
  reconciler history --action set-status --since 2026-11-01 -o csv
  reconciler history run 20261130T030000Z-k3j2m5
  reconciler history org acme-emea.okta.com --at 2026-11-29T03:00:00Z
  reconciler history verify --head 3f1c9a54d2b7`,
		Args: historyArgs,
		RunE: func(*cobra.Command, []string) error { return a.history(&f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.org, "org", "", "only the org with this `DOMAIN`")
	flags.StringVar(&f.since, "since", "", "only since this `TIME`")
	flags.StringVar(&f.until, "until", "", "only before this `TIME`")
	flags.StringVar(&f.action, "action", "", "only this `ACTION`, such as update-products, set-status, drift or suspend")
	flags.IntVar(&f.limit, "limit", 100, "at most `N` entries; 0: all")
	flags.StringVarP(&f.format, "output", "o", "text", "`FORMAT`: text, json, csv")
	setValues(flags, "output", []string{"text", "json", "csv"})
	cmd.AddCommand(a.historyRunCommand(), a.historyOrgCommand(), a.historyVerifyCommand(), a.historyExportCommand())
	return cmd
}

// historyArgs refuses arguments of history itself, which can only be mistyped commands.
func historyArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	names := []string{"run", "org", "verify", "export"}
	return withHint(fmt.Sprintf("history %q: must be %s%s", args[0], strictyaml.OneOf(names), strictyaml.DidYouMean(args[0], names)),
		"one org's entries: reconciler history --org DOMAIN")
}

// openHistory returns the history in the config's state folder.
func (a *app) openHistory() (*history.Store, error) {
	cfg, err := a.loadConfig()
	if err != nil {
		return nil, err
	}
	return a.historyOf(cfg)
}

// historyOf returns the history in a config's state folder.
func (a *app) historyOf(cfg *config.Config) (*history.Store, error) {
	if !cfg.State.IsSet() {
		return nil, withHint("the config has no "+config.KeyStateDir+", in which the history is kept", "set it; the history begins with the next run")
	}
	logger, err := a.logger()
	if err != nil {
		return nil, err
	}
	return reconcile.OpenHistory(cfg, history.Options{Logger: logger}), nil
}

// readHistory returns the entries that q selects, newest first, with how drift ended.
func readHistory(s *history.Store, q history.Query) ([]history.Entry, error) {
	entries, err := s.Told(q)
	return byTime(entries), err
}

// byTime sorts entries, the newest first. The chain has the changes of a run that was
// killed where they were found, which is after what has happened since.
func byTime(entries []history.Entry) []history.Entry {
	slices.SortStableFunc(entries, func(a, b history.Entry) int { return b.Time.Compare(a.Time) })
	return entries
}

func (a *app) history(f *historyFlags) error {
	write := map[string]func(io.Writer, []history.Entry) error{"text": writeEntries, "json": writeJSONList[history.Entry], "csv": writeEntriesCSV}[f.format]
	if write == nil {
		names := []string{"text", "json", "csv"}
		return fmt.Errorf("-o %q: must be %s%s", f.format, strictyaml.OneOf(names), strictyaml.DidYouMean(f.format, names))
	}
	if f.limit < 0 {
		return fmt.Errorf("--limit %d: must not be negative", f.limit)
	}
	q := history.Query{Types: history.Happened(), Org: strings.ToLower(f.org), Action: f.action, Limit: f.limit}
	now := time.Now()
	var err error
	if q.Since, err = parseTime("--since", f.since, now); err != nil {
		return err
	}
	if q.Until, err = parseTime("--until", f.until, now); err != nil {
		return err
	}
	if !q.Since.IsZero() && !q.Until.IsZero() && !q.Since.Before(q.Until) {
		return fmt.Errorf("--since %s is not before --until %s", f.since, f.until)
	}
	s, err := a.openHistory()
	if err != nil {
		return err
	}
	defer s.Close()
	if f.action == string(history.TypeDriftEnded) {
		q.Types = []history.Type{history.TypeDriftEnded}
	}
	entries, err := readHistory(s, q)
	if err != nil {
		return err
	}
	return write(a.out, entries)
}

// parseTime returns the time that a flag means; zero for none.
func parseTime(flag, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := text.ParseTime(s, now)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s %q: %w", flag, s, err)
	}
	return t, nil
}

func (a *app) historyRunCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "run ID",
		Short:   "Show one run and all that it did",
		Example: "  reconciler history run 20261130T030000Z-k3j2m5",
		Args:    exactly("ID", findRuns),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := textOrJSON(format); err != nil {
				return err
			}
			s, err := a.openHistory()
			if err != nil {
				return err
			}
			defer s.Close()
			run, err := findRun(s, args[0])
			if err != nil {
				return err
			}
			entries, err := readHistory(s, history.Query{Run: run.ID, Types: history.Happened()})
			if err != nil {
				return err
			}
			if format == "json" {
				return writeJSONValue(a.out, struct {
					*history.Run
					Entries []history.Entry `json:"entries"`
				}{run, append([]history.Entry{}, entries...)})
			}
			return writeRun(a.out, run, entries)
		},
	}
	addTextOrJSON(cmd, &format)
	return cmd
}

// findRuns is the hint on where ids of runs are.
const findRuns = "reconciler history shows changes with their runs"

// findRun returns the run with an id.
func findRun(s *history.Store, id string) (*history.Run, error) {
	run, err := s.FindRun(id)
	if err == nil && run == nil {
		err = withHint(fmt.Sprintf("the history has no run %q", text.OneLine(id, 80)), findRuns+"; runs in which nothing happened are only counted")
	}
	return run, err
}

func (a *app) historyOrgCommand() *cobra.Command {
	var at, format string
	cmd := &cobra.Command{
		Use:   "org DOMAIN",
		Short: "Show what was declared and live in an org at a time",
		Example: `  reconciler history org acme-emea.okta.com --at 2026-11-29T03:00:00Z
  reconciler history org acme-emea.okta.com --at 7d -o json`,
		Args: exactly("DOMAIN", ""),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := textOrJSON(format); err != nil {
				return err
			}
			now := time.Now()
			when, err := parseTime("--at", at, now)
			if err != nil {
				return err
			}
			if when.IsZero() {
				when = now
			}
			s, err := a.openHistory()
			if err != nil {
				return err
			}
			defer s.Close()
			domain := strings.ToLower(args[0])
			state, err := s.At(domain, when)
			if err != nil {
				return err
			}
			if state == nil {
				return withHint(fmt.Sprintf("the history knows nothing of %s at %s", text.OneLine(domain, 255), when.UTC().Format(time.RFC3339)),
					"it knows what runs have read of declared orgs, for as long as "+config.KeyStateRetention+" says")
			}
			since := state.At
			state.At = when.UTC()
			if format == "json" {
				return writeJSONValue(a.out, struct {
					*history.OrgState
					// Since is when a run noted this state first.
					Since time.Time `json:"since"`
				}{state, since})
			}
			return writeOrgState(a.out, state, since)
		},
	}
	cmd.Flags().StringVar(&at, "at", "", "at this `TIME` (default: now)")
	addTextOrJSON(cmd, &format)
	return cmd
}

func (a *app) historyVerifyCommand() *cobra.Command {
	var head, format string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check that nobody has altered the history",
		Long: `Compute the chain of all entries anew. An entry that was altered, removed, inserted
or moved is named. With --head, also check that the history once had this head,
which was noted elsewhere: without one, whoever can write to the folder could have
computed the whole chain anew.

Exit codes: 0 the chain is whole; 1 it is not, or it never had the head.`,
		Example: "  reconciler history verify --head 3f1c9a54d2b7",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := textOrJSON(format); err != nil {
				return err
			}
			s, err := a.openHistory()
			if err != nil {
				return err
			}
			defer s.Close()
			v, err := s.Verify(head)
			if err != nil {
				return err
			}
			if format == "json" {
				if err := writeJSONValue(a.out, v); err != nil {
					return err
				}
			}
			return a.verified(v, head, format)
		},
	}
	cmd.Flags().StringVar(&head, "head", "", "the `HASH` of an earlier head, or its first 12 digits or more")
	addTextOrJSON(cmd, &format)
	return cmd
}

// verified returns how verify ends, and prints what is well.
func (a *app) verified(v *history.Verification, head, format string) error {
	switch {
	case v.Problem != "":
		problem := v.Problem
		if v.Seq > 0 {
			problem = fmt.Sprintf("entry %d: %s", v.Seq, problem)
		}
		return withHint(problem, "the history was altered, or the disk was: compare it with a backup (reconciler state backup) and an export")
	case head != "" && v.HeadAt == 0:
		return withHint(fmt.Sprintf("this history never had the head %s", head), "it was written anew since, or the head is that of another one")
	case format == "json":
		return nil
	}
	where := ""
	if v.HeadAt > 0 {
		where = fmt.Sprintf("; %s is the hash of entry %d", head, v.HeadAt)
	}
	pruned := ""
	if v.Pruned > 0 {
		pruned = fmt.Sprintf(", after %d that were pruned", v.Pruned)
	}
	if v.Head == "" {
		_, err := fmt.Fprintln(a.out, "the history has no entries yet")
		return err
	}
	_, err := fmt.Fprintf(a.out, "the chain is whole: %s%s, head %s%s\n", entriesText(v.Entries), pruned, v.Head, where)
	return err
}

func (a *app) historyExportCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "export",
		Short:   "Write all entries as JSON lines, oldest first",
		Example: "  reconciler history export > history.jsonl",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			s, err := a.openHistory()
			if err != nil {
				return err
			}
			defer s.Close()
			return s.Export(a.out)
		},
	}
}

// addTextOrJSON adds -o to a command that knows text and json.
func addTextOrJSON(cmd *cobra.Command, format *string) {
	cmd.Flags().StringVarP(format, "output", "o", "text", "`FORMAT`: text, json")
	setValues(cmd.Flags(), "output", []string{"text", "json"})
}

func textOrJSON(format string) error {
	if format != "text" && format != "json" {
		names := []string{"text", "json"}
		return fmt.Errorf("-o %q: must be %s%s", format, strictyaml.OneOf(names), strictyaml.DidYouMean(format, names))
	}
	return nil
}

// writeJSONValue writes v as indented JSON, with <, > and & as they are, and characters
// that a terminal would act on as escapes.
func writeJSONValue(w io.Writer, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(text.VisibleJSON(b.Bytes()))
	return err
}

// writeJSONList writes a list, which is never null.
func writeJSONList[T any](w io.Writer, all []T) error {
	return writeJSONValue(w, append([]T{}, all...))
}

// operator returns what acts for whoever runs this command; by is their name in the
// journal.
func (a *app) operator(cfg *config.Config, j *journal.Journal, by string) *reconcile.Operator {
	newer := func() error {
		s := reconcile.OpenHistory(cfg, history.Options{})
		defer s.Close()
		return s.Newer()
	}
	return &reconcile.Operator{Config: cfg, Journal: j, By: by, Newer: newer, Record: func(e history.Entry) { a.recordAction(cfg, e) }}
}

// recordAction records in the history what an operator did. It is done already: that it
// can't be recorded is a warning.
func (a *app) recordAction(cfg *config.Config, e history.Entry) {
	logger, err := a.logger()
	if err == nil {
		s := reconcile.OpenHistory(cfg, history.Options{Logger: logger})
		defer s.Close()
		e.Type, e.By = history.TypeOperator, a.invoker()
		_, err = s.Add(e)
	}
	if err != nil {
		a.warn(errors.Join(errors.New("the history does not take it"), err).Error())
	}
}

func entriesText(n int64) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}
