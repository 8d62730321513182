package source

import (
	"errors"
	"fmt"
	"strings"

	"reconciler/internal/text"
)

// Kinds of failures, for errors.Is.
var (
	// ErrUnreachable: there was no answer, or it broke off, or the server is in
	// trouble. The same call may well succeed later.
	ErrUnreachable = errors.New("unreachable")
	// ErrDenied: the credentials can't be read or were refused, or the server
	// can't prove who it is.
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

// Further kinds, for this package alone.
var (
	// errTransient: the same request may succeed a moment later.
	errTransient = errors.New("transient")
	// errUnauthorized: the server doesn't accept the password.
	errUnauthorized = errors.New("unauthorized")
	// errPermanent: the same commit fails like that every time.
	errPermanent = errors.New("permanent")
)

// failure is a message of this package's own: one line that says what, where
// and why, without a secret. Its hint is kept apart; see text.WithHint.
type failure struct {
	msg   string
	kinds []error
}

func (f *failure) Error() string   { return f.msg }
func (f *failure) Unwrap() []error { return f.kinds }

// fail returns a failure with a hint, which may be empty.
func fail(msg, hint string, kinds ...error) error {
	return text.WithHint(&failure{msg, kinds}, hint)
}

// reclassify returns a failure with the text and the hint of err, of other kinds.
func reclassify(err error, kinds ...error) error {
	return fail(err.Error(), text.Hint(err), kinds...)
}

// oneLine makes foreign text fit for an error: one line of printable
// characters, cut where it gets long.
func oneLine(s string) string { return text.OneLine(s, 200) }

// listed returns the first few names, quoted, and how many more there are.
func listed(names []string) string {
	const limit = 10
	list := ""
	for _, name := range names[:min(limit, len(names))] {
		list += fmt.Sprintf(", %q", name)
	}
	if more := len(names) - limit; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return strings.TrimPrefix(list, ", ")
}
