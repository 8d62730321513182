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

// Format is a form that findings can have.
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

// ParseFormat takes the name of a format, as a user writes it.
func ParseFormat(name string) (Format, error) {
	switch f := Format(name); f {
	case Text, JSON, GitHub, SARIF:
		return f, nil
	}
	hint := strictyaml.DidYouMean(name, Formats())
	if hint == "" {
		hint = ": take " + strictyaml.OneOf(Formats())
	}
	return "", fmt.Errorf("unknown output format %q%s", name, hint)
}

// Level says how bad a finding is.
type Level string

const (
	// Error is what makes the whole invalid.
	Error Level = "error"
	// Warning is what nobody may have meant.
	Warning Level = "warning"
)

// Rule names a kind of finding. The names are for filters and for code
// scanning, which tells findings apart by them: they don't change.
type Rule string

const (
	// ManifestError is a mistake in a manifest.
	ManifestError Rule = "manifest/error"
	// ManifestUnreadable is a manifest that could not be read beyond a place.
	ManifestUnreadable Rule = "manifest/unreadable"
	// ManifestWarning is about files that are left out.
	ManifestWarning Rule = "manifest/warning"
	// ConfigError is a mistake in the config file or in a variable that stands
	// for a key of it.
	ConfigError Rule = "config/error"
	// ConfigUnreadable is a config file that could not be read beyond a place.
	ConfigUnreadable Rule = "config/unreadable"
	// ConfigWarning is about a key that is probably not meant.
	ConfigWarning Rule = "config/warning"
	// InputError is about what could not be looked at in the first place, such
	// as a folder that isn't there.
	InputError Rule = "input/error"
)

// Finding is one thing that is wrong.
type Finding struct {
	Level Level `json:"level"`
	Rule  Rule  `json:"rule"`
	// File is relative to Report.Dir, or absolute; empty when the finding is
	// about no file.
	File string `json:"file,omitempty"`
	// Line and Column count from 1, a Column in characters; 0 when the finding
	// is about the file as a whole.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Message is what is wrong, without the place.
	Message string `json:"message"`
	// Hint is advice that isn't part of the message; often empty.
	Hint string `json:"hint,omitempty"`
}

// String returns "FILE:LINE:COL: message", as far as there is a place.
func (f Finding) String() string {
	switch {
	case f.File == "":
		return f.Message
	case f.Line == 0:
		return f.File + ": " + f.Message
	default:
		return strictyaml.Pos{File: f.File, Line: f.Line, Column: f.Column}.String() + ": " + f.Message
	}
}

// compare orders findings by place.
func (f Finding) compare(g Finding) int {
	return cmp.Or(
		strings.Compare(f.File, g.File),
		cmp.Compare(f.Line, g.Line),
		cmp.Compare(f.Column, g.Column),
		strings.Compare(string(f.Level), string(g.Level)),
		strings.Compare(string(f.Rule), string(g.Rule)),
		strings.Compare(f.Message, g.Message),
		strings.Compare(f.Hint, g.Hint),
	)
}

// Report is all that was found.
type Report struct {
	// Findings may come in any order; every format sorts them by place.
	Findings []Finding
	// Orgs and Products are how many are declared. They are shown when nothing
	// is invalid.
	Orgs, Products int
	// Version is that of this program.
	Version string
	// Top is the top of the repository and Dir the folder that Finding.File is
	// relative to, both absolute. With an empty Top, paths are shown as they are
	// in Finding.File.
	Top, Dir string
}

// Valid says that no finding is an error.
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

// Summary is the whole in one line.
func (r Report) Summary() string {
	if r.Valid() {
		return "valid: " + text.Plural(r.Orgs, "org") + ", " + text.Plural(r.Products, "product")
	}
	return "invalid: " + r.counted()
}

// counted is how many findings there are of each level.
func (r Report) counted() string {
	return text.Plural(r.count(Error), "error") + ", " + text.Plural(r.count(Warning), "warning")
}

// sorted returns the findings by place, each once.
func (r Report) sorted() []Finding {
	all := slices.Clone(r.Findings)
	slices.SortFunc(all, Finding.compare)
	return slices.Compact(all)
}

// path returns the file of a finding as seen from the top of the repository, with
// slashes, and whether it lies below it. One that doesn't has an absolute path.
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

// Write writes r to w in one format; the same findings give the same bytes. The
// error is w's.
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
	return fmt.Errorf("annotate: unknown format %q", f)
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

// jsonReport is the object that scripts hold on to.
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
