package findings

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
)

// Format is an output format.
type Format string

const (
	// Text is a line for each finding, FILE:LINE:COL first, and a summary.
	Text Format = "text"
	// JSON is one object with all findings.
	JSON Format = "json"
	// GitHub is workflow commands, which annotate files in a pull request.
	GitHub Format = "github"
	// SARIF is a log of version 2.1.0.
	SARIF Format = "sarif"
)

// Formats returns the names of all formats, for help texts and completion.
func Formats() []string {
	return []string{string(Text), string(JSON), string(GitHub), string(SARIF)}
}

// ParseFormat returns the format that name names. The error suggests a name.
func ParseFormat(name string) (Format, error) {
	switch f := Format(name); f {
	case Text, JSON, GitHub, SARIF:
		return f, nil
	}
	return "", fmt.Errorf("unknown output format %q%s", name,
		cmp.Or(strictyaml.DidYouMean(name, Formats()), ": must be "+strictyaml.OneOf(Formats())))
}

// Level is the severity of a finding.
type Level string

const (
	// Error is a mistake, which makes the report invalid.
	Error Level = "error"
	// Warning is a probable mistake.
	Warning Level = "warning"
)

// Rule is a kind of finding. Filters and code scanning identify findings by it:
// the names must not change.
type Rule string

const (
	// ManifestError is a mistake in a manifest.
	ManifestError Rule = "manifest/error"
	// ManifestUnreadable is a manifest that could not be read to its end.
	ManifestUnreadable Rule = "manifest/unreadable"
	// ManifestWarning is a file that was skipped.
	ManifestWarning Rule = "manifest/warning"
	// ConfigError is a mistake in the config file or in the variable of a key.
	ConfigError Rule = "config/error"
	// ConfigUnreadable is a config file that could not be read to its end.
	ConfigUnreadable Rule = "config/unreadable"
	// ConfigWarning is a probable mistake in the config.
	ConfigWarning Rule = "config/warning"
	// InputError is an input that could not be checked at all, such as a folder
	// that doesn't exist.
	InputError Rule = "input/error"
)

// Finding is one mistake.
type Finding struct {
	Level Level `json:"level"`
	Rule  Rule  `json:"rule"`
	// File is relative to Report.Dir, or absolute; empty if the finding is about
	// no file.
	File string `json:"file,omitempty"`
	// Line and Column count from 1, Column in characters; 0 if the finding is
	// about the file as a whole.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Message is what is wrong, without the position.
	Message string `json:"message"`
	// Hint is what to do about it; it may be empty.
	Hint string `json:"hint,omitempty"`
}

// String returns "FILE:LINE:COL: message", as far as there is a position.
func (f Finding) String() string {
	if f.File == "" {
		return f.Message
	}
	return f.pos().String() + ": " + f.Message
}

func (f Finding) pos() strictyaml.Pos {
	return strictyaml.Pos{File: f.File, Line: f.Line, Column: f.Column}
}

func (f Finding) compare(g Finding) int {
	return cmp.Or(
		f.pos().Compare(g.pos()),
		cmp.Compare(f.Level, g.Level),
		cmp.Compare(f.Rule, g.Rule),
		cmp.Compare(f.Message, g.Message),
		cmp.Compare(f.Hint, g.Hint),
	)
}

// Report is what was checked and found.
type Report struct {
	// Findings may have any order; every format sorts them by position.
	Findings []Finding
	// Orgs and Products are the numbers of declared ones, which a valid report
	// shows.
	Orgs, Products int
	// Version is that of this program.
	Version string
	// Top is the top of the repository and Dir the folder that Finding.File is
	// relative to, both absolute. With an empty Top, paths are written as they
	// are in Finding.File.
	Top, Dir string
}

// Valid reports whether no finding is an error.
func (r Report) Valid() bool { return r.count(Error) == 0 }

func (r Report) count(l Level) int {
	n := 0
	for _, f := range r.Findings {
		if f.Level == l {
			n++
		}
	}
	return n
}

// Summary returns the result in one line.
func (r Report) Summary() string {
	if r.Valid() {
		return "valid: " + text.Plural(r.Orgs, "org") + ", " + text.Plural(r.Products, "product")
	}
	return "invalid: " + r.counted()
}

func (r Report) counted() string {
	return text.Plural(r.count(Error), "error") + ", " + text.Plural(r.count(Warning), "warning")
}

func (r Report) sorted() []Finding {
	return slices.Compact(slices.SortedFunc(slices.Values(r.Findings), Finding.compare))
}

// path returns the path of a finding's file from the top of the repository, with
// slashes, and whether the file is below it. If it isn't, the path is absolute.
func (r Report) path(file string) (path string, inside bool) {
	switch {
	case file == "":
		return "", false
	case r.Top == "":
		return filepath.ToSlash(file), !filepath.IsAbs(file)
	case !filepath.IsAbs(file):
		file = filepath.Join(r.Dir, file)
	}
	rel, err := filepath.Rel(r.Top, file)
	if err != nil || !filepath.IsLocal(rel) {
		return filepath.ToSlash(file), false
	}
	return filepath.ToSlash(rel), true
}

// Write writes r to w; the same findings are the same bytes. It returns w's error.
func Write(w io.Writer, f Format, r Report) error {
	r.Findings = r.sorted()
	switch f {
	case Text:
		return writeText(w, r)
	case JSON:
		return writeJSON(w, r)
	case GitHub:
		return writeGitHub(w, r)
	case SARIF:
		return writeSARIF(w, r)
	}
	return fmt.Errorf("findings: unknown format %q", f)
}

func writeText(w io.Writer, r Report) error {
	var b strings.Builder
	for _, f := range r.Findings {
		if f.Level == Warning {
			b.WriteString("warning: ")
		}
		b.WriteString(text.Visible(f.String()) + "\n")
		if f.Hint != "" {
			b.WriteString("hint: " + text.Visible(f.Hint) + "\n")
		}
	}
	b.WriteString(r.Summary() + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// jsonReport is the JSON format.
type jsonReport struct {
	Version  int       `json:"version"`
	Valid    bool      `json:"valid"`
	Orgs     int       `json:"orgs"`
	Products int       `json:"products"`
	Findings []Finding `json:"findings"`
}

func writeJSON(w io.Writer, r Report) error {
	out := jsonReport{1, r.Valid(), r.Orgs, r.Products, r.Findings}
	if out.Findings == nil {
		out.Findings = []Finding{}
	}
	return encode(w, out)
}

func encode(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
