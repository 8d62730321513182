package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/strictyaml"
)

// Format is a form that a report can have.
type Format string

const (
	Text     Format = "text"
	JSON     Format = "json"
	Markdown Format = "markdown"
	HTML     Format = "html"
)

// Formats returns the names of all formats, for help texts and completion.
func Formats() []string {
	return []string{string(Text), string(JSON), string(Markdown), string(HTML)}
}

// ParseFormat takes the name of a format, as a user writes it.
func ParseFormat(name string) (Format, error) {
	switch f := Format(name); f {
	case Text, JSON, Markdown, HTML:
		return f, nil
	}
	hint := strictyaml.DidYouMean(name, Formats())
	if name == "md" { // too short to be near, too common not to know
		hint = `: did you mean "markdown"?`
	}
	if hint == "" {
		hint = ": take " + strictyaml.OneOf(Formats())
	}
	return "", fmt.Errorf("unknown output format %q%s", name, hint)
}

// Data is what a report shows.
type Data struct {
	// Plan is never nil.
	Plan *diff.Plan
	// Result is what became of the plan; nil when nothing was tried.
	Result *apply.Result
	// Title heads text, markdown and HTML; empty means a plain one (none, in
	// text). JSON has no place for it.
	Title string
	// Warnings are told before anything else, one line each; not in JSON.
	Warnings []string
	// Color lets the text have colours. The caller knows whether w is a
	// terminal and what the user wishes.
	Color bool
}

// Write writes d to w in one format. The error is w's, or says that d is not
// something that can be shown; w may have got a part by then. Markdown is never
// more than GitHub takes in one comment.
func Write(w io.Writer, f Format, d Data) error {
	if d.Plan == nil {
		return errors.New("report: no plan to show")
	}
	if d.Result != nil && len(d.Result.Outcomes) != len(d.Plan.Changes) {
		return fmt.Errorf("report: %d outcomes for %d changes", len(d.Result.Outcomes), len(d.Plan.Changes))
	}
	switch f {
	case Text:
		return writeText(w, d)
	case JSON:
		return writeJSON(w, d)
	case Markdown:
		_, err := io.WriteString(w, markdown(d, markdownLimit))
		return err
	case HTML:
		return writeHTML(w, d)
	}
	return fmt.Errorf("report: unknown format %q", f)
}

// applied is a plan's JSON form once it was carried out: the same object with
// more keys, so that a reader of plans can read it.
type applied struct {
	*diff.Plan
	Outcomes    []apply.Outcome `json:"outcomes"`
	Interrupted bool            `json:"interrupted,omitempty"`
}

func writeJSON(w io.Writer, d Data) error {
	var v any = d.Plan
	if d.Result != nil {
		outcomes := d.Result.Outcomes
		if outcomes == nil {
			outcomes = []apply.Outcome{}
		}
		v = applied{d.Plan, outcomes, d.Result.Interrupted}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
