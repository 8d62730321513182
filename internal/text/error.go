package text

import (
	"errors"
	"strings"
)

// WithHint returns err with a hint: what to do about it, kept apart from what
// went wrong. The error's text stays as it is; [Hint] returns the hint.
func WithHint(err error, hint string) error { return &hinted{err, hint} }

// Hint returns the hint of err: that of the outermost error in its chain that
// has a method Hint() string. It is empty if there is none, as for nil.
func Hint(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

type hinted struct {
	error
	hint string
}

// Hint returns what to do about the error.
func (h *hinted) Hint() string { return h.hint }

// Unwrap returns the error without the hint.
func (h *hinted) Unwrap() error { return h.error }

// Flat returns err with its text on one line; see [JoinLines]. It wraps err.
func Flat(err error) error { return &flat{err} }

type flat struct{ error }

// Error returns the text of the error on one line.
func (f *flat) Error() string { return JoinLines(f.error.Error()) }

// Unwrap returns the error as it was.
func (f *flat) Unwrap() error { return f.error }

// JoinLines returns the lines of s on one line, with "; " between them.
func JoinLines(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
