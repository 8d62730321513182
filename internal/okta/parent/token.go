package parent

import "log/slog"

// Token is the token of a new org's super admin. It prints without its secret,
// however it is printed. The zero Token is none.
type Token struct {
	// secret is a pointer because package fmt prints the fields of a nested
	// struct without asking its String method, but stops at a pointer.
	secret *string
}

// NewToken returns a Token for the secret; for "" the zero Token.
func NewToken(secret string) Token {
	if secret == "" {
		return Token{}
	}
	return Token{&secret}
}

// Secret returns the token itself; "" for the zero Token.
func (t Token) Secret() string {
	if t.secret == nil {
		return ""
	}
	return *t.secret
}

// IsZero reports whether there is no token.
func (t Token) IsZero() bool { return t.secret == nil }

// String returns "[token]", or "no token" for the zero Token.
func (t Token) String() string {
	if t.IsZero() {
		return "no token"
	}
	return "[token]"
}

// GoString keeps %#v from printing the secret's address.
func (t Token) GoString() string { return "parent.Token{" + t.String() + "}" }

// LogValue keeps the secret out of logs.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText keeps the secret out of JSON and YAML.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }
