package strictyaml

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"reconciler/internal/text"
)

// Pos is a place in a file: what an editor jumps to. Line and Column count
// from 1; a Column counts characters, as yaml.v3 does. Both are 0 for the file,
// or the folder, as a whole. The zero Pos means "nowhere in particular".
type Pos struct {
	File   string
	Line   int
	Column int
}

// String gives FILE:LINE:COL, the form that editors, terminals and CI
// annotations all understand; FILE alone where there is no line. The name of the
// file is made Visible.
func (p Pos) String() string {
	if p.Line == 0 {
		return text.Visible(p.File)
	}
	return fmt.Sprintf("%s:%d:%d", text.Visible(p.File), p.Line, p.Column)
}

// Compare orders positions by file, line and column.
func (p Pos) Compare(q Pos) int {
	return cmp.Or(
		strings.Compare(p.File, q.File),
		cmp.Compare(p.Line, q.Line),
		cmp.Compare(p.Column, q.Column),
	)
}

// Error is one thing wrong at one place. Msg is one line: what is wrong and
// what to do about it, without the place.
type Error struct {
	Pos Pos
	Msg string
	// Cut says that the input could not be read beyond this place: what it may
	// declare there is not known.
	Cut bool
}

// Error gives "FILE:LINE:COL: message", as far as there is a place.
func (e *Error) Error() string { return e.Pos.String() + ": " + e.Msg }

// Errors is everything that is wrong with one input. Readers collect instead
// of stopping at the first mistake, so that one run shows all there is to mend.
type Errors []*Error

// Add notes one more mistake.
func (e *Errors) Add(pos Pos, format string, args ...any) {
	*e = append(*e, &Error{Pos: pos, Msg: fmt.Sprintf(format, args...)})
}

// Err sorts the errors by place, drops repeats, and gives them as one error;
// nil when there are none.
func (e Errors) Err() error {
	if len(e) == 0 {
		return nil
	}
	sorted := slices.Clone(e)
	slices.SortStableFunc(sorted, func(a, b *Error) int {
		return cmp.Or(a.Pos.Compare(b.Pos), strings.Compare(a.Msg, b.Msg))
	})
	return slices.CompactFunc(sorted, func(a, b *Error) bool { return *a == *b })
}

// Error gives one line for each mistake.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// AsErrors takes the positioned errors out of err, however deeply wrapped, so
// that they can be printed one a line or turned into annotations.
func AsErrors(err error) (Errors, bool) {
	var all Errors
	if errors.As(err, &all) {
		return all, true
	}
	var one *Error
	if errors.As(err, &one) {
		return Errors{one}, true
	}
	return nil, false
}
