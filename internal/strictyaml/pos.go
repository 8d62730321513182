package strictyaml

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"reconciler/internal/text"
)

// Pos is a position in a file. Line and Column count from 1, Column in
// characters; both are 0 for a whole file or folder. The zero Pos is no position.
type Pos struct {
	File   string
	Line   int
	Column int
}

// String returns FILE:LINE:COL, the form that editors and terminals understand;
// FILE alone without a line. Unprintable characters of the name are escaped.
func (p Pos) String() string {
	if p.Line == 0 {
		return text.Visible(p.File)
	}
	return fmt.Sprintf("%s:%d:%d", text.Visible(p.File), p.Line, p.Column)
}

// Compare returns -1, 0 or 1: the order of p and q by file, line and column.
func (p Pos) Compare(q Pos) int {
	return cmp.Or(
		strings.Compare(p.File, q.File),
		cmp.Compare(p.Line, q.Line),
		cmp.Compare(p.Column, q.Column),
	)
}

// Error is one mistake at one position. Msg is one line: what is wrong and what
// to do about it, without the position.
type Error struct {
	Pos Pos
	Msg string
	// Cut means that the input was not read beyond this position, so that what
	// it declares there is unknown.
	Cut bool
}

// Error returns "FILE:LINE:COL: message"; see [Pos.String].
func (e *Error) Error() string { return e.Pos.String() + ": " + e.Msg }

// Errors are all mistakes of one input, so that one run shows all there is to
// fix.
type Errors []*Error

// Add appends an error at pos; format and args are those of fmt.Sprintf.
func (e *Errors) Add(pos Pos, format string, args ...any) {
	*e = append(*e, &Error{Pos: pos, Msg: fmt.Sprintf(format, args...)})
}

// Err returns the errors as one error of type Errors, sorted by position and
// without repeats; nil if there are none. It does not change e.
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

// Error returns one line for each error.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// AsErrors returns the Errors, or the one *Error, that err wraps; false if there
// is none.
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
