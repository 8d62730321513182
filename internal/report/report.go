package report

import (
	"errors"
	"fmt"
	"io"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/strictyaml"
)

// Format is a format of reports.
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

// ParseFormat returns the format with a name.
func ParseFormat(name string) (Format, error) {
	switch f := Format(name); f {
	case Text, JSON, Markdown, HTML:
		return f, nil
	}
	hint := strictyaml.DidYouMean(name, Formats())
	if name == "md" { // too short for DidYouMean
		hint = `: did you mean "markdown"?`
	}
	if hint == "" {
		hint = ": must be " + strictyaml.OneOf(Formats())
	}
	return "", fmt.Errorf("unknown output format %q%s", name, hint)
}

// Data is what a report shows.
type Data struct {
	// Plan is never nil.
	Plan *diff.Plan
	// Result is that of applying the plan; nil if it was not applied.
	Result *apply.Result
	// Saved is set if the plan was made by an earlier command.
	Saved bool
	// Title is not in JSON; empty means a default one (none, in text).
	Title string
	// Head is the head of the history after the plan was applied; empty if there is none.
	Head string
	// Warnings come first, one line each; not in JSON.
	Warnings []string
	// Color enables colours in text.
	Color bool
}

// Write writes d to w in one format. The error is w's, or that d is not valid; a
// part may have been written by then. Markdown fits into a comment on GitHub, and text
// and HTML leave out, and count, what of a huge plan nobody would read; JSON is complete.
func Write(w io.Writer, f Format, d Data) error {
	if d.Plan == nil {
		return errors.New("report: no plan to show")
	}
	if d.Result != nil && len(d.Result.Outcomes) != len(d.Plan.Changes) {
		return fmt.Errorf("report: %d outcomes for %d changes", len(d.Result.Outcomes), len(d.Plan.Changes))
	}
	switch f {
	case Text:
		return writeText(w, newView(d), d.Color)
	case JSON:
		return writeJSON(w, d)
	case Markdown:
		_, err := io.WriteString(w, markdown(d, markdownLimit))
		return err
	case HTML:
		return writeHTML(w, newView(d))
	}
	return fmt.Errorf("report: unknown format %q", f)
}

// applied is the JSON form of a plan that was applied: the plan with more keys.
type applied struct {
	*diff.Plan
	Outcomes    []apply.Outcome `json:"outcomes"`
	Interrupted bool            `json:"interrupted,omitempty"`
	// Head is that of the history.
	Head string `json:"head,omitempty"`
}

func writeJSON(w io.Writer, d Data) error {
	j := diff.JSON{Indent: "  "}
	if d.Result != nil {
		j.Wrap = func(p *diff.Plan) any {
			return applied{p, append([]apply.Outcome{}, d.Result.Outcomes...), d.Result.Interrupted, d.Head}
		}
	}
	if err := j.Write(w, d.Plan); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
