package simulator

import (
	"crypto/rand"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	tokenPath     = "/oauth2/v1/token"
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	// maxAssertionLife is how far ahead an assertion may expire.
	maxAssertionLife = time.Hour
	// skew is by how much the clocks of client and server may differ, where Okta
	// allows it at all; unconfirmed.
	skew = time.Minute
)

// signatureAlgs are the algorithms that Okta accepts for assertions and proofs.
var signatureAlgs = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512,
}

// client is a registered service app with its keys by id.
type client struct {
	*Client
	keys map[string]*jose.JSONWebKey
	// made is the app that the client belongs to, if the API made it.
	made *item
}

func newClient(c *Client) *client {
	keys := map[string]*jose.JSONWebKey{}
	for i := range c.Keys {
		if key, err := c.Keys[i].public(); err == nil {
			keys[key.KeyID] = key
		}
	}
	return &client{Client: c, keys: keys}
}

// accessToken is a token that was issued.
type accessToken struct {
	client  *client
	org     *Org // that issued it
	scopes  []string
	expires time.Time
	jkt     string // thumbprint of the DPoP key that it is bound to, or ""
}

// token is POST /oauth2/v1/token: client credentials, authenticated by
// private_key_jwt. Signatures are verified without the lock.
func (s *Simulator) token(c *call) *answer {
	form, refusal := tokenForm(c)
	if refusal != nil {
		return refusal
	}
	cl, refusal := s.checkAssertion(c, form)
	if refusal != nil {
		return refusal
	}
	c.who = &caller{id: cl.ID}
	scopes, refusal := grantScopes(cl, form.Get("scope"))
	if refusal != nil {
		return refusal
	}
	jkt := ""
	if cl.DPoP || len(c.r.Header.Values("DPoP")) > 0 {
		p, problem := s.checkProof(c, "")
		if problem != "" {
			return oauthFail("invalid_dpop_proof", "%s", problem)
		}
		if !s.knowsNonce(p.nonce) {
			a := oauthFail("use_dpop_nonce", "Authorization server requires nonce in DPoP proof.")
			a.header.Set("Dpop-Nonce", s.currentNonce())
			return a
		}
		jkt = p.jkt
	}
	return s.issue(c, cl, scopes, jkt)
}

func (s *Simulator) issue(c *call, cl *client, scopes []string, jkt string) *answer {
	token, kind := newSecret(), "Bearer"
	if jkt != "" {
		kind = "DPoP"
	}
	s.mu.Lock()
	now := s.opts.Now()
	maps.DeleteFunc(s.tokens, func(_ string, t *accessToken) bool { return now.After(t.expires.Add(time.Hour)) })
	s.tokens[token] = &accessToken{client: cl, org: s.issuer(c, cl), scopes: scopes, expires: now.Add(s.opts.TokenLifetime), jkt: jkt}
	s.mu.Unlock()
	a := jsonAnswer(http.StatusOK, struct {
		Type    string `json:"token_type"`
		Expires int    `json:"expires_in"`
		Token   string `json:"access_token"`
		Scope   string `json:"scope"`
	}{kind, int(s.opts.TokenLifetime / time.Second), token, strings.Join(scopes, " ")})
	a.header.Set("Cache-Control", "no-store")
	if jkt != "" {
		a.header.Set("Dpop-Nonce", s.currentNonce())
	}
	return a
}

// RevokeTokens revokes every access token that was issued so far.
func (s *Simulator) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// newSecret returns 52 random characters.
func newSecret() string { return rand.Text() + rand.Text() }

// tokenForm returns the parameters, and checks all of them but assertion and
// scope. RFC 6749 has them in the body; Okta's own SDKs send them in the query.
func tokenForm(c *call) (url.Values, *answer) {
	if mediaType(c.r) != "application/x-www-form-urlencoded" {
		return nil, oauthFail("invalid_request", "The token request must be sent as application/x-www-form-urlencoded.")
	}
	form, err := url.ParseQuery(string(c.body))
	query, queryErr := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil || queryErr != nil || len(c.body) > maxBody {
		return nil, oauthFail("invalid_request", "The token request is malformed.")
	}
	for name, values := range query {
		form[name] = append(form[name], values...)
	}
	for _, name := range []string{"grant_type", "client_assertion_type", "client_assertion", "scope", "client_id", "client_secret"} {
		if len(form[name]) > 1 {
			return nil, oauthFail("invalid_request", "The parameter '%s' must not be sent more than once.", name)
		}
	}
	switch {
	case form.Get("grant_type") == "":
		return nil, oauthFail("invalid_request", "The token request must specify a 'grant_type'.")
	case form.Get("grant_type") != "client_credentials":
		return nil, oauthFail("unsupported_grant_type", "The authorization grant type is not supported by the authorization server.")
	case c.r.Header.Get("Authorization") != "", form.Has("client_secret"), !form.Has("client_assertion"):
		return nil, oauthFail("invalid_client", "Client Credentials requests to the Org Authorization Server must use the private_key_jwt token_endpoint_auth_method.")
	case form.Get("client_assertion_type") != assertionType:
		return nil, oauthFail("invalid_request", "The 'client_assertion_type' must be '%s'.", assertionType)
	}
	return form, nil
}

// checkAssertion authenticates the client. A valid assertion that has a jti is
// used up, even if the request fails.
func (s *Simulator) checkAssertion(c *call, form url.Values) (*client, *answer) {
	tok, err := jwt.ParseSigned(form.Get("client_assertion"), signatureAlgs)
	if err != nil || len(tok.Headers) != 1 {
		return nil, oauthFail("invalid_client", "The client_assertion must be a JWT signed with RS256, RS384, RS512, ES256, ES384 or ES512.")
	}
	var claims jwt.Claims
	if err := tok.UnsafeClaimsWithoutVerification(&claims); err != nil {
		return nil, oauthFail("invalid_client", "The claims of the client_assertion are malformed.")
	}
	s.mu.Lock()
	cl := s.clients[claims.Subject]
	if cl != nil && !cl.in(c) {
		cl = nil
	}
	s.mu.Unlock()
	switch {
	case claims.Subject == "" || claims.Issuer != claims.Subject:
		return nil, oauthFail("invalid_client", "The issuer and the subject of the client_assertion must both be the client id.")
	case cl == nil, form.Has("client_id") && form.Get("client_id") != cl.ID:
		return nil, oauthFail("invalid_client", "Invalid value for 'client_id' parameter.")
	}
	head := tok.Headers[0]
	key := cl.keys[head.KeyID]
	if key == nil {
		return nil, oauthFail("invalid_client", "The client has no key with the kid '%s' of the client_assertion.", head.KeyID)
	}
	if !fits(key, head.Algorithm) || tok.Claims(key.Key, &claims) != nil {
		return nil, oauthFail("invalid_client", "The client_assertion signature is invalid.")
	}
	if problem := s.checkClaims(c, &claims); problem != "" {
		return nil, oauthFail("invalid_client", "%s", problem)
	}
	if claims.ID != "" && !s.firstUse("assertion "+cl.ID+" "+claims.ID, claims.Expiry.Time()) {
		return nil, oauthFail("invalid_client", "The client_assertion has already been used: its jti must be unique.")
	}
	return cl, nil
}

func fits(key *jose.JSONWebKey, alg string) bool {
	return (key.Algorithm == "" || key.Algorithm == alg) &&
		slices.Contains(keyAlgs(key.Key), jose.SignatureAlgorithm(alg))
}

// checkClaims returns what is wrong with the claims of an assertion, or "".
func (s *Simulator) checkClaims(c *call, claims *jwt.Claims) string {
	now := s.opts.Now()
	switch {
	case len(claims.Audience) != 1 || claims.Audience[0] != c.url:
		return "The audience claim for client_assertion must be the endpoint invoked for the request."
	case claims.Expiry == nil:
		return "The client_assertion token must have an expiration."
	case !now.Before(claims.Expiry.Time()):
		return "The client_assertion token is expired."
	case claims.Expiry.Time().After(now.Add(maxAssertionLife)):
		return "The client_assertion token has an expiration too far into the future."
	case claims.IssuedAt != nil && claims.IssuedAt.Time().After(now.Add(skew)):
		return "The client_assertion token was issued in the future."
	case claims.NotBefore != nil && claims.NotBefore.Time().After(now.Add(skew)):
		return "The client_assertion token is not valid yet."
	}
	return ""
}

// firstUse reports whether an identifier was never used before, and stores it until
// it would be rejected for its age.
func (s *Simulator) firstUse(id string, until time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.seen)%1024 == 1023 {
		now := s.opts.Now()
		maps.DeleteFunc(s.seen, func(_ string, end time.Time) bool { return now.After(end) })
	}
	if _, used := s.seen[id]; used {
		return false
	}
	s.seen[id] = until
	return true
}

// grantScopes returns the requested scopes that the client may have. That Okta
// grants a part of them is unconfirmed (its error says "any of"); a client that
// needs all has to check the answer.
func grantScopes(cl *client, requested string) ([]string, *answer) {
	wanted := strings.Fields(requested)
	if len(wanted) == 0 {
		return nil, oauthFail("invalid_scope", "The authorization server resource does not have any configured default scopes, 'scope' must be provided.")
	}
	var granted []string
	for _, scope := range wanted {
		if slices.Contains([]string{"openid", "profile", "email", "offline_access"}, scope) {
			return nil, oauthFail("invalid_scope", "Cannot request '%s' scopes using client credentials.", scope)
		}
		if !slices.Contains(knownScopes, scope) {
			return nil, oauthFail("invalid_scope", "One or more scopes are not configured for the authorization server resource.")
		}
		if slices.Contains(cl.Scopes, scope) && !slices.Contains(granted, scope) {
			granted = append(granted, scope)
		}
	}
	if len(granted) == 0 {
		return nil, oauthFail("consent_required", "You are not allowed any of the requested scopes.")
	}
	return granted, nil
}

// in reports whether the client is registered in the org of a call: at the root,
// that is any org, and a client of all orgs is in none.
func (cl *client) in(c *call) bool {
	if cl.made != nil && cl.made.status == inactive {
		return false
	}
	if c.domain == "" {
		return cl.Org != AllOrgs
	}
	return cl.Org == AllOrgs || cl.Org == c.domain
}

// issuer returns the org that issues a token.
func (s *Simulator) issuer(c *call, cl *client) *Org {
	if c.domain != "" {
		return s.byDomain[c.domain]
	}
	return s.byDomain[cl.Org]
}
