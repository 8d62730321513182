package auth

import (
	"cmp"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// The types of tokens, which are also the schemes of the Authorization header.
const (
	Bearer = "Bearer"
	DPoP   = "DPoP"
)

// Token is an access token. It prints without its secret.
type Token struct {
	// Type is Bearer or DPoP.
	Type string
	// Scopes are those granted, sorted; at least those that were asked for.
	Scopes []string
	// Expires is when the token ceases to be valid, by the local clock.
	Expires time.Time

	renew time.Time // when to get another one, some time before Expires
	// secret is a pointer because package fmt prints the fields of a nested
	// struct without asking its String method, but stops at a pointer. The
	// pointer also tells two tokens apart.
	secret *string
}

// Secret returns the token itself, for an Authorization header; "" for the zero
// Token.
func (t Token) Secret() string {
	if t.secret == nil {
		return ""
	}
	return *t.secret
}

// String returns everything but the secret.
func (t Token) String() string {
	if t.secret == nil {
		return "no token"
	}
	return cmp.Or(t.Type, "unknown") + " token for " + strings.Join(t.Scopes, " ") +
		" until " + t.Expires.UTC().Format(time.RFC3339)
}

// GoString keeps %#v from printing the secret's address.
func (t Token) GoString() string { return "auth.Token{" + t.String() + "}" }

// LogValue keeps the secret out of logs.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// fresh reports whether the token can be used at the time now.
func (t Token) fresh(now time.Time) bool { return t.secret != nil && now.Before(t.renew) }

// normalize sorts scopes and drops repeats, so that the same set always has
// the same key in the cache.
func normalize(scopes []string) []string {
	s := slices.Clone(scopes)
	slices.Sort(s)
	return slices.Compact(s)
}
