package forgetest

import (
	"crypto/rsa"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// AddApp adds a GitHub App with one installation on the repository. Tokens of the
// installation have the permissions of as; the public key verifies the assertions
// of the app.
func (g *GitHub) AddApp(id, installation string, key *rsa.PublicKey, as GitHubToken) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.apps = append(g.apps, githubApp{id, installation, key, as})
}

// accessToken creates a token of an installation.
// https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app
func (g *GitHub) accessToken(w http.ResponseWriter, r *http.Request) {
	scheme, assertion, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") {
		githubError(w, http.StatusUnauthorized, "A JSON web token could not be decoded")
		return
	}
	app, words := g.checkAssertion(assertion)
	if words != "" {
		githubError(w, http.StatusUnauthorized, words)
		return
	}
	if app.installation != r.PathValue("id") {
		githubError(w, http.StatusNotFound, "Not Found")
		return
	}
	token := fmt.Sprintf("ghs_%036d", g.nextID())
	g.tokens[token] = app.as
	writeJSON(w, http.StatusCreated, map[string]any{
		"token": token, "expires_at": g.now().Add(time.Hour).UTC().Format(time.RFC3339), "repository_selection": "selected",
	})
}

// checkAssertion returns the app that signed, or the message of a refusal.
// https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app
func (g *GitHub) checkAssertion(assertion string) (githubApp, string) {
	const undecoded = "A JSON web token could not be decoded"
	parsed, err := jwt.ParseSigned(assertion, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return githubApp{}, undecoded
	}
	var claims jwt.Claims
	if parsed.UnsafeClaimsWithoutVerification(&claims) != nil {
		return githubApp{}, undecoded
	}
	for _, app := range g.apps {
		if app.id != claims.Issuer {
			continue
		}
		if parsed.Claims(app.key, &claims) != nil {
			return githubApp{}, undecoded
		}
		now := g.now()
		switch {
		case claims.Expiry == nil || !now.Before(claims.Expiry.Time()):
			return githubApp{}, "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires"
		case claims.Expiry.Time().After(now.Add(10 * time.Minute)):
			return githubApp{}, "'Expiration time' claim ('exp') is too far in the future"
		case claims.IssuedAt == nil || claims.IssuedAt.Time().After(now):
			return githubApp{}, "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
		}
		return app, ""
	}
	return githubApp{}, "Integration not found"
}
