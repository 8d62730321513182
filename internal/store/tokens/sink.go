package tokens

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"reconciler/internal/store/securedir"
	"reconciler/internal/text"
)

// Token is a secret that prints as something else, in the hands of whoever
// received it. Secret gives it away.
type Token interface {
	Secret() string
}

// Meta says what a token belongs to.
type Meta struct {
	// Domain is the org's, in any case.
	Domain string
	// OrgID may be empty, when Okta's answer was cut off before it.
	OrgID string
	// Parent is the name of the parent in the config.
	Parent string
	// CreatedAt is the time of the answer that held the token.
	CreatedAt time.Time
}

// Stored is a token that a sink holds.
type Stored struct {
	// OrgID is empty when it was not known as the token came.
	OrgID string
	// Where is what Store gave.
	Where string
	// At is when it was stored, moments after the org was created.
	At time.Time
}

// Sink is a place where tokens are kept. Its methods may be called from several
// goroutines, by one process at a time; Probe by any.
type Sink interface {
	// Probe proves that a token could be stored now, by storing a random word
	// in the same way, reading it back where that is possible, and removing it.
	// It is called before an org is created, and may be called at any time.
	Probe(ctx context.Context) error
	// Store keeps a token for good and says where, in words for people. It may
	// be repeated, after an error as well as after a success: the same token is
	// then kept once. No other token is lost by it. It takes no context, for a
	// token that is not stored now never will be.
	Store(m Meta, t Token) (where string, err error)
	// Find gives the tokens of a domain that the sink holds, also those of a
	// Store that was killed before it could return, sorted by OrgID and Where.
	// A sink that can't tell gives an error that is errors.ErrUnsupported.
	Find(domain string) ([]Stored, error)
	// String describes the sink in a few words, without a secret.
	String() string
}

// Error says why a token could not be kept, or a sink not be used: one line,
// and apart from it, as the Hint, what to do. Neither holds a token.
type Error struct {
	msg  string
	hint string
	err  error
}

// Error gives the line without the hint.
func (e *Error) Error() string { return e.msg }

// Hint says what to do about it; empty when there is nothing useful to say.
func (e *Error) Hint() string { return e.hint }

// Unwrap gives the error of the system behind it, if there is one.
func (e *Error) Unwrap() error { return e.err }

// systemError tells what the system refused. Errors of our own keep their
// words and their hint.
func systemError(doing string, err error) *Error {
	return &Error{msg: doing + ": " + securedir.Reason(err), hint: cmp.Or(text.Hint(err), securedir.HintFor(err)), err: err}
}

// secretOf takes the secret out of a token.
func secretOf(m Meta, t Token) (string, error) {
	if t == nil || t.Secret() == "" {
		return "", &Error{msg: fmt.Sprintf("storing the token of %q: there is no token", m.Domain)}
	}
	return t.Secret(), nil
}
