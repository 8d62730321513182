package doctor_test

import (
	"os"
	"testing"

	"reconciler/internal/daemon/signin"
	"reconciler/internal/daemon/signin/oidctest"
)

// TestSignIn looks at who may use the endpoints.
func TestSignIn(t *testing.T) {
	op := oidctest.New(oidctest.User{})
	t.Cleanup(op.Close)
	_, entry, err := signin.NewToken("ci", signin.Viewer)
	if err != nil {
		t.Fatal(err)
	}
	oidc := []string{
		"RECONCILER_HTTP_AUTH_OIDC_ISSUER=" + op.Issuer, "RECONCILER_HTTP_AUTH_OIDC_CLIENT_ID=" + op.ClientID, "RECONCILER_HTTP_AUTH_OIDC_CLIENT_SECRET=x",
		"RECONCILER_HTTP_AUTH_OIDC_GROUPS_VIEWER=staff",
	}
	const tokens = "RECONCILER_HTTP_AUTH_TOKENS_FILE=tokens.yaml"
	for _, tt := range []struct {
		name   string
		env    []string
		tokens string
		down   bool
		want   finding
	}{
		{name: "none", want: ok("nobody signs in: whoever is on this machine is an operator")},
		{name: "not set", env: []string{"RECONCILER_HTTP_ADDRESS=:0"}, want: failure("http.auth is not set", "http.auth.tokensFile")},
		{name: "none elsewhere", env: []string{"RECONCILER_HTTP_ADDRESS=:0", "RECONCILER_HTTP_AUTH=none"}, want: warning("whoever reaches the daemon", "http.auth.oidc")},
		{name: "none behind a proxy", env: []string{"RECONCILER_HTTP_URL=https://r.example"}, want: warning("whoever reaches the daemon", "http.auth.oidc")},
		{name: "tokens", env: []string{tokens}, tokens: entry.String(), want: ok("1 token")},
		{name: "no token", env: []string{tokens}, tokens: "[]", want: warning("no token yet", "reconciler token")},
		{name: "broken tokens", env: []string{tokens}, tokens: "- x", want: failure("tokens.yaml:1:3:", "")},
		{name: "oidc", env: append(oidc, tokens, "RECONCILER_HTTP_URL=https://r.example"), tokens: entry.String(), want: ok("1 token; sign-in at " + op.Issuer + ", redirect URI https://r.example/signin/callback")},
		{name: "oidc on loopback", env: oidc, want: ok("on this machine, with /signin/callback")},
		{name: "provider down", env: oidc, down: true, want: failure("can't be used now: 503 Service Unavailable", "http.auth.oidc.issuer")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			op.Set(func(s *oidctest.Settings) { s.Down = tt.down })
			w := newWorld(t, nil)
			w.env = tt.env
			if tt.tokens != "" {
				if err := os.WriteFile(w.path("tokens.yaml"), []byte(tt.tokens), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			check(t, w, expected{"sign-in": tt.want})
		})
	}
}
