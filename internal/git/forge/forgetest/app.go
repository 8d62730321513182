package forgetest

import (
	"crypto/rsa"
	"fmt"
	"net/http"
	"slices"
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

// RevokeTokens revokes all tokens that there are.
func (g *GitHub) RevokeTokens() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.tokens)
}

// RefuseTokens revokes all tokens, and each that an app gets from now on.
func (g *GitHub) RefuseTokens() {
	g.RevokeTokens()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.forgetful = true
}

// accessToken creates a token of an installation.
// https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app
func (g *GitHub) accessToken(r request) *answer {
	scheme, assertion, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") {
		return undecoded
	}
	app, refusal := g.checkAssertion(assertion)
	if refusal != nil {
		return refusal
	}
	if app.installation != r.PathValue("id") {
		return githubNotFound
	}
	token := fmt.Sprintf("ghs_%036d", g.nextID())
	if !g.forgetful {
		g.tokens[token] = app.as
	}
	return &answer{http.StatusCreated, object{
		"token": token, "expires_at": g.now().Add(time.Hour).UTC().Format(time.RFC3339), "repository_selection": "selected",
	}}
}

var undecoded = githubError(http.StatusUnauthorized, "A JSON web token could not be decoded")

// checkAssertion returns the app that signed, or a refusal.
// https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app
func (g *GitHub) checkAssertion(assertion string) (app githubApp, refusal *answer) {
	var claims jwt.Claims
	parsed, err := jwt.ParseSigned(assertion, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil || parsed.UnsafeClaimsWithoutVerification(&claims) != nil {
		return app, undecoded
	}
	i := slices.IndexFunc(g.apps, func(a githubApp) bool { return a.id == claims.Issuer })
	if i < 0 {
		return app, githubError(http.StatusUnauthorized, "Integration not found")
	}
	app = g.apps[i]
	if parsed.Claims(app.key, &claims) != nil {
		return app, undecoded
	}
	now, wrong := g.now(), ""
	switch {
	case claims.Expiry == nil || !now.Before(claims.Expiry.Time()):
		wrong = "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires"
	case claims.Expiry.Time().After(now.Add(10 * time.Minute)):
		wrong = "'Expiration time' claim ('exp') is too far in the future"
	case claims.IssuedAt == nil || claims.IssuedAt.Time().After(now):
		wrong = "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
	default:
		return app, nil
	}
	return app, githubError(http.StatusUnauthorized, wrong)
}
