package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Status is how a check ended.
type Status string

const (
	OK Status = "ok"
	// Warning: it works, or may, and somebody should know.
	Warning Status = "warning"
	// Failure: something that the program needs doesn't work.
	Failure Status = "failure"
	// Skipped: there was nothing to look at, or nothing to do so with.
	Skipped Status = "skipped"
)

// Check is what a check found.
type Check struct {
	// Name is the same for the same check each time.
	Name   string `json:"check"`
	Status Status `json:"status"`
	// Message is one line; so is Hint, which says what to do, and is empty when
	// nothing is to be done.
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	// Details are what a message has no room for, such as all mistakes of the
	// manifests. They are in the JSON form only.
	Details []string `json:"details,omitempty"`
	// Shown is how many of the Details after the first are lines of the text as well.
	Shown int `json:"-"`
}

// reportVersion is that of the JSON form. A new field doesn't raise it.
const reportVersion = 1

// Report is what all checks found.
type Report struct {
	Version int `json:"version"`
	// OK says that no check failed.
	OK      bool    `json:"ok"`
	Summary Summary `json:"summary"`
	// Checks are in a fixed order.
	Checks []Check `json:"checks"`
}

// Summary counts checks by status.
type Summary struct {
	OK      int `json:"ok"`
	Warning int `json:"warning"`
	Failure int `json:"failure"`
	Skipped int `json:"skipped"`
}

func (r *Report) add(c Check) {
	r.Checks = append(r.Checks, c)
	switch c.Status {
	case OK:
		r.Summary.OK++
	case Warning:
		r.Summary.Warning++
	case Failure:
		r.Summary.Failure++
	default:
		r.Summary.Skipped++
	}
	r.OK = r.Summary.Failure == 0
}

// WriteJSON writes the report for programs.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}

// nameWidth is the width of the column of names; a parent may have a longer one.
const nameWidth = len("aerial account")

// Line returns the text for a check, without the last line end: one line, unless several
// things failed that have nothing in common.
func (c *Check) Line(color bool) string {
	status, hint := fmt.Sprintf("%-7s", c.Status), "hint:"
	if color {
		const bold, reset = "\x1b[1m", "\x1b[0m"
		status, hint = c.Status.color()+status+reset, bold+hint+reset
	}
	line := fmt.Sprintf("%s  %-*s  %s", status, nameWidth, c.Name, c.Message)
	if c.Hint != "" {
		line += "; " + hint + " " + c.Hint
	}
	for _, detail := range c.Details[min(1, len(c.Details)):][:c.Shown] {
		line += fmt.Sprintf("\n%*s%s", len("failure")+nameWidth+4, "", detail)
	}
	return line
}

// color returns the escape sequence for a status.
func (s Status) color() string {
	switch s {
	case OK:
		return "\x1b[32m" // green
	case Warning:
		return "\x1b[33m" // yellow
	case Failure:
		return "\x1b[1;31m" // bold red
	default:
		return "\x1b[2m" // faint
	}
}

// String returns one line, as in "9 ok, 1 warning, 2 failures, 3 skipped".
func (s Summary) String() string {
	parts := []string{fmt.Sprintf("%d ok", s.OK)}
	if s.Warning > 0 {
		parts = append(parts, count(s.Warning, "warning"))
	}
	if s.Failure > 0 {
		parts = append(parts, count(s.Failure, "failure"))
	}
	if s.Skipped > 0 {
		parts = append(parts, fmt.Sprintf("%d skipped", s.Skipped))
	}
	return strings.Join(parts, ", ")
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
