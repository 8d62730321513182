package main

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"reconciler/internal/diff"
	"reconciler/internal/reconcile"
	"reconciler/internal/report"
	"reconciler/internal/store/history"
	"reconciler/internal/text"
)

// writeEntries writes entries as a table.
func writeEntries(w io.Writer, entries []history.Entry) error {
	if len(entries) == 0 {
		_, err := fmt.Fprintln(w, "nothing of this kind has happened")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TIME\tORG\tACTION\tWHAT\tOUTCOME\tWHO\tRUN\tCOMMIT")
	for i := range entries {
		e := &entries[i]
		fmt.Fprintln(t, strings.Join(cells(entryRow(e, nil)), "\t"))
	}
	return t.Flush()
}

// entryRow returns the row of an entry in tables. names are those of products, by id.
func entryRow(e *history.Entry, names map[string]string) []string {
	return []string{shortTime(e.Time), orgOf(e), e.Action, what(e, names), e.Outcome, who(e), e.Run, short(e.Commit)}
}

// cells returns cells of a table in which nothing breaks it, "-" for empty ones.
func cells(row []string) []string {
	for i := range row {
		row[i] = cmp.Or(text.Visible(row[i]), "-")
	}
	return row
}

func shortTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func short(commit string) string { return commit[:min(len(commit), 12)] }

// orgOf returns the org of an entry; empty for what is about none.
func orgOf(e *history.Entry) string {
	if e.Org == "" && e.Type != history.TypeOperator {
		return report.Org("")
	}
	return e.Org
}

// who returns who an entry is about: who caused drift, else who ran the command.
func who(e *history.Entry) string {
	if e.Type != history.TypeDrift && e.Type != history.TypeDriftEnded {
		return e.By
	}
	switch {
	case e.Cause != nil:
		return e.Cause.String()
	case e.Unknown != "":
		return "unknown: " + e.Unknown
	case e.Type == history.TypeDrift:
		return "not known yet"
	}
	return ""
}

// maxWhat is how much of values a table shows.
const maxWhat = 120

// what returns what an entry is about, on one line.
func what(e *history.Entry, names map[string]string) string {
	s := ""
	switch {
	case e.Type == history.TypeOperator:
		s = e.Reason
	case e.Type == history.TypeDriftEnded:
		s = e.Field
		if e.Since != nil {
			s += ": there since " + shortTime(*e.Since)
		}
	case e.Type == history.TypeDrift && nothing(e.Before) && nothing(e.After):
		s = e.Field
	case e.Type == history.TypeDrift:
		s = e.Field + ": " + report.Phrase(e.Field, reconcile.EntryLines(e, names))
	default:
		s = report.Phrase(diff.FieldOf(diff.Action(e.Action)), reconcile.EntryLines(e, names))
	}
	switch {
	case s == "":
		s = e.Error
	case e.Error != "":
		s += ": " + e.Error
	}
	return text.OneLine(s, maxWhat)
}

// nothing reports whether a value of an entry is none.
func nothing(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// writeEntriesCSV writes entries as CSV, with values as JSON.
func writeEntriesCSV(w io.Writer, entries []history.Entry) error {
	c := csv.NewWriter(w)
	_ = c.Write(entryColumns()) // c keeps its error
	for i := range entries {
		_ = c.Write(text.Spreadsheet(entryCells(&entries[i])))
	}
	c.Flush()
	return c.Error()
}

// entryColumns and entryCells are the columns of an entry as CSV, and what is in them.
func entryColumns() []string {
	return []string{"seq", "time", "type", "org", "action", "field", "before", "after", "kind", "object", "fields", "outcome", "requestID", "errorID", "error",
		"seconds", "run", "commit", "signer", "digest", "by", "cause", "causeTime", "reason", "hash"}
}

func entryCells(e *history.Entry) []string {
	cause, at := "", ""
	if e.Cause != nil {
		cause, at = e.Cause.Actor, shortTime(e.Cause.Time)
	}
	return []string{strconv.FormatInt(e.Seq, 10), e.Time.UTC().Format(time.RFC3339Nano), string(e.Type), e.Org, e.Action, e.Field, string(e.Before),
		string(e.After), e.Kind, e.Object, string(e.Fields), e.Outcome, e.RequestID, e.ErrorID, e.Error, strconv.FormatFloat(e.Seconds, 'f', 3, 64), e.Run, e.Commit,
		e.Signer, e.Digest, e.By, cause, at, e.Reason, e.Hash}
}

// writeRun writes a run and its entries.
func writeRun(w io.Writer, run *history.Run, entries []history.Entry) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	result := cmp.Or(run.Result, "goes on")
	if run.Error != "" {
		result += ": " + run.Error
	}
	finished := ""
	if !run.Finished.IsZero() {
		finished = fmt.Sprintf("%s (%s)", shortTime(run.Finished), text.Age(run.Finished.Sub(run.Started)))
	}
	for _, line := range [][]string{
		{"Run", run.ID}, {"Command", strings.TrimSpace(run.Command + " " + parenthesized(run.Trigger))}, {"By", run.By}, {"Started", shortTime(run.Started)},
		{"Finished", finished}, {"Commit", run.Commit}, {"Signer", run.Signer}, {"Plan", run.Digest}, {"Result", result},
	} {
		if line[1] != "" {
			fmt.Fprintln(t, strings.Join(cells(line), "\t"))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(entries) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	return writeEntries(w, entries)
}

func parenthesized(s string) string {
	if s == "" {
		return ""
	}
	return "(" + s + ")"
}

// writeOrgState writes what was declared and live in an org, as a run noted it first at a
// time.
func writeOrgState(w io.Writer, s *history.OrgState, since time.Time) error {
	fmt.Fprintf(w, "%s at %s, as known since %s", text.Visible(s.Org), shortTime(s.At), shortTime(since))
	if s.Commit != "" {
		fmt.Fprintf(w, " (commit %s)", short(s.Commit))
	}
	fmt.Fprintln(w)
	for _, side := range []struct {
		name string
		raw  json.RawMessage
	}{{"declared", s.Declared}, {"live", s.Live}} {
		if nothing(side.raw) {
			fmt.Fprintf(w, "\n%s: nothing\n", side.name)
			continue
		}
		var v any
		if err := json.Unmarshal(side.raw, &v); err != nil {
			return fmt.Errorf("the history of %s: %w", s.Org, err)
		}
		fmt.Fprintf(w, "\n%s: ", side.name)
		if err := writeJSONValue(w, v); err != nil {
			return err
		}
	}
	return nil
}
