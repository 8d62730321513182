// Package signin decides who may use the daemon's endpoints: bearer tokens of a file,
// sign-in at an OpenID provider, or nobody but this machine.
package signin

import "context"

// Role is what a user may do.
type Role string

const (
	// Viewer may read everything.
	Viewer Role = "viewer"
	// Operator may in addition run now, suspend and resume writes, and acknowledge
	// alarms. Nobody may change what is declared: that is for git.
	Operator Role = "operator"
)

// User is who makes a request.
type User struct {
	// Name is that of a token, the e-mail address or the subject of somebody who signed
	// in, or empty for a request of this machine without sign-in.
	Name string
	Role Role
}

// May reports whether the user has a role, or one that includes it. It may be called on
// nil, who has none.
func (u *User) May(r Role) bool {
	return u != nil && (u.Role == Operator || u.Role == r)
}

type key struct{}

// WithUser returns a context with the user who makes a request.
func WithUser(ctx context.Context, u *User) context.Context { return context.WithValue(ctx, key{}, u) }

// UserOf returns the user who makes a request; nil if nobody is known.
func UserOf(ctx context.Context) *User {
	u, _ := ctx.Value(key{}).(*User)
	return u
}
