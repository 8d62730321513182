package signin

import (
	"context"
	"strconv"
	"strings"
)

// Role is what a user may do.
type Role string

const (
	// Viewer may read everything.
	Viewer Role = "viewer"
	// Operator may in addition run now, suspend and resume writes, and acknowledge
	// alarms. Nobody may change what is declared: that is for git.
	Operator Role = "operator"
)

// Values returns the roles, for the strict decoder.
func (Role) Values() []string { return []string{string(Viewer), string(Operator)} }

// Via is how a user was authenticated.
type Via string

const (
	// ViaToken is a bearer token, sent along or exchanged for a session.
	ViaToken Via = "token"
	// ViaOIDC is a sign-in at the OpenID provider.
	ViaOIDC Via = "oidc"
	// ViaNone is no authentication at all.
	ViaNone Via = ""
)

// User is who makes a request.
type User struct {
	// Name is that of a token, the e-mail address or the subject of somebody who signed
	// in, or empty for a request without sign-in.
	Name string
	Role Role
	Via  Via
	// Session reports whether there is a session that can be ended.
	Session bool
}

// May reports whether the user has a role, or one that includes it. It may be called on
// nil, who has none.
func (u *User) May(r Role) bool {
	switch {
	case u == nil:
		return false
	case r == Viewer:
		return u.Role == Viewer || u.Role == Operator
	}
	return r == Operator && u.Role == Operator
}

// tokenUser is before the name of a token in the history.
const tokenUser = "token "

// By returns the user as the history names them; empty for a request without sign-in.
// Nobody who signs in at the provider can have the name of a token.
func (u *User) By() string {
	switch {
	case u == nil || u.Name == "":
		return ""
	case u.Via == ViaToken:
		return tokenUser + u.Name
	case strings.HasPrefix(u.Name, tokenUser):
		return strconv.Quote(u.Name)
	}
	return u.Name
}

type (
	userKey struct{}
	csrfKey struct{}
)

// WithUser returns a context with the user who makes a request.
func WithUser(ctx context.Context, u *User) context.Context {
	return context.WithValue(ctx, userKey{}, u)
}

// UserOf returns the user who makes a request; nil if nobody is known.
func UserOf(ctx context.Context) *User {
	u, _ := ctx.Value(userKey{}).(*User)
	return u
}

// WithCSRF returns a context with the token that forms of the response must contain.
func WithCSRF(ctx context.Context, token string) context.Context {
	return context.WithValue(ctx, csrfKey{}, token)
}

// CSRF returns the token that each form of the response must contain, as a field called
// [CSRFField]; empty for a request whose response has no forms.
func CSRF(ctx context.Context) string {
	token, _ := ctx.Value(csrfKey{}).(string)
	return token
}
