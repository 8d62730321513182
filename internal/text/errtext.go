// Package text has what errors are told with, whoever makes them: the words
// of strangers on one line, and advice that is kept apart from what went wrong,
// in a method Hint() string. It imports nothing of ours, so that all may use it.
package text

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// OneLine makes the words of a stranger fit for one line: what isn't printable
// becomes a space, spaces become one, and what has more than limit characters is
// cut to so many, of which the last is the mark of that. The limit is at least 1;
// math.MaxInt is none.
func OneLine(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(s, "?"))
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return strings.TrimRight(string([]rune(s)[:limit-1]), " ") + "…"
}

// Hint gives the advice that an error carries, or one that it wraps: that of the
// outermost. It is empty when there is none, as for nil.
func Hint(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

// WithHint gives err advice that is kept apart from it: see Hint.
func WithHint(err error, hint string) error { return &hinted{err, hint} }

type hinted struct {
	error
	hint string
}

// Hint says what to do about the error.
func (h *hinted) Hint() string { return h.hint }

// Unwrap gives the error without the advice.
func (h *hinted) Unwrap() error { return h.error }
