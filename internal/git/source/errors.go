package source

import (
	"errors"
	"fmt"
	"strings"

	"reconciler/internal/text"
)

// What kind of failure an Error is, for errors.Is.
var (
	// ErrUnreachable: there was no answer, or it broke off, or the server is in
	// trouble. The same call may well succeed later.
	ErrUnreachable = errors.New("unreachable")
	// ErrDenied: the credentials are not to be had or were refused, or the
	// server can't prove who it is.
	ErrDenied = errors.New("denied")
	// ErrNotFound: there is no such repository, branch, tag, commit or path.
	ErrNotFound = errors.New("not found")
	// ErrIncomplete: the repository is there, but lacks what was asked for and
	// could be completed: a shallow or partial clone, or a damaged one.
	ErrIncomplete = errors.New("incomplete")
	// ErrContent: the commit is there, but what it holds can't be manifests.
	ErrContent = errors.New("unusable content")
	// ErrChanging: a file on disk was written to while it was read. The same
	// call may well succeed later.
	ErrChanging = errors.New("changing")
)

// Error is a failure to get manifests: one line that says what, where and
// why, and apart from it, as the Hint, what to do. Neither holds a secret.
type Error struct {
	kind error // one of the above, or nil for options that make no sense
	msg  string
	hint string
	// again says that the same request may succeed a moment later, and lasting
	// that the same commit will fail for ever.
	again, lasting bool
}

// Error gives the line without the hint.
func (e *Error) Error() string { return e.msg }

// Hint says what to do about it; empty when there is nothing useful to say.
func (e *Error) Hint() string { return e.hint }

// Unwrap gives the kind of failure, for errors.Is.
func (e *Error) Unwrap() error { return e.kind }

// oneLine makes words of a stranger fit for an error: one line of printable
// characters, cut where it gets long.
func oneLine(s string) string { return text.OneLine(s, 200) }

// listed gives the first few names, quoted, and says how many there are more.
func listed(names []string) string {
	const limit = 10
	var b strings.Builder
	for i, name := range names {
		if i == limit {
			fmt.Fprintf(&b, " and %d more", len(names)-limit)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", name)
	}
	return b.String()
}
