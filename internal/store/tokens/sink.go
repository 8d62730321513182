package tokens

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"reconciler/internal/store/securedir"
	"reconciler/internal/text"
)

// Token is a secret whose printed form is something else.
type Token interface {
	Secret() string
}

// Meta describes what a token belongs to.
type Meta struct {
	// Domain is the org's, in any case.
	Domain string
	// OrgID is empty if Okta's answer was cut off before it.
	OrgID string
	// Parent is the name of the parent in the config.
	Parent string
	// CreatedAt is the time of the answer with the token.
	CreatedAt time.Time
}

// Stored is a token that a sink holds.
type Stored struct {
	// OrgID is empty if it was not known when the token was stored.
	OrgID string
	// Where is what Store returned.
	Where string
	// At is when it was stored, moments after the org was created.
	At time.Time
}

// Sink is a place where tokens are kept. Its methods may be called by several
// goroutines, of one process at a time; Probe by any process.
type Sink interface {
	// Probe proves that a token could be stored now, by storing a random word
	// in the same way, reading it back where that is possible, and removing it.
	// It is called before an org is created, and may be called at any time.
	Probe(ctx context.Context) error
	// Store keeps a token for good and returns where, in words for people. It
	// may be repeated, after an error as well as after a success: the same token
	// is then kept once. No other token is lost by it. It takes no context,
	// because a token that is not stored now never will be.
	Store(m Meta, t Token) (where string, err error)
	// Find returns the tokens of a domain that the sink holds, also those of a
	// Store that was killed before it could return, sorted by OrgID and Where. It
	// changes nothing. If the sink can't find tokens, the error is
	// errors.ErrUnsupported.
	Find(domain string) ([]Stored, error)
	// Finish completes what a Store of a token of the domain left that was killed, so
	// that Find returns it as Store would have done. It is for those who may Store.
	Finish(domain string) error
	// String describes the sink in a few words, without a secret.
	String() string
}

// Reader is a Sink that can return what it holds. If it can't for a token, because
// that is encrypted, the error is errors.ErrUnsupported.
type Reader interface {
	Read(Stored) (secret string, err error)
}

// systemError describes what the system refused. Errors of our own keep their
// text and their hint.
func systemError(doing string, err error) error {
	return text.WithHint(fmt.Errorf("%s: %w", doing, securedir.Cause(err)), cmp.Or(text.Hint(err), securedir.HintFor(err)))
}

// secretOf returns the secret of a token.
func secretOf(m Meta, t Token) (string, error) {
	if t == nil || t.Secret() == "" {
		return "", fmt.Errorf("storing the token of %q: there is no token", m.Domain)
	}
	return t.Secret(), nil
}
