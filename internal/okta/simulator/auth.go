package simulator

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// caller is who makes an authenticated call.
type caller struct {
	id     string  // in the log of calls
	client *client // the service app; nil for a person
	ssws   string  // the SSWS token
	org    *Org    // of the credentials, whose API the call of an org is for
	actor  entity  // in the System Log
}

// app returns a service app, and admin a person, as the System Log has them.
func app(c *Client) entity {
	return entity{ID: c.ID, Type: "PublicClientApp", AlternateID: c.ID, DisplayName: c.Name}
}

// Okta's own hands, as who a change can be by. What support changes in an org is in its
// log as that alone.
const (
	OktaSystem  = "system@okta.com"
	OktaSupport = "support@okta.com"
)

func admin(login string) entity {
	if login == OktaSystem {
		return entity{ID: userID(login), Type: "SystemPrincipal", AlternateID: login, DisplayName: "Okta System"}
	}
	return entity{ID: userID(login), Type: "User", AlternateID: login, DisplayName: login}
}

// authenticate sets the caller, and returns the error if it may not use the route.
func (s *Simulator) authenticate(c *call, rt *route) *answer {
	headers := c.r.Header.Values("Authorization")
	if len(headers) != 1 {
		return s.unauthorized("Bearer", "", "")
	}
	scheme, credentials, _ := strings.Cut(headers[0], " ")
	switch strings.ToLower(scheme) {
	case "ssws":
		return s.authenticateSSWS(c, rt, credentials)
	case "bearer", "dpop":
		return s.authenticateToken(c, rt, strings.ToLower(scheme), credentials)
	}
	return s.unauthorized("Bearer", "", "")
}

// unauthorized returns a 401 with the challenge of RFC 6750 or RFC 9449.
func (s *Simulator) unauthorized(scheme, code, description string) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.fail(http.StatusUnauthorized, codeInvalidToken, "Invalid token provided")
	challenge := scheme
	if code != "" {
		challenge = fmt.Sprintf("%s error=%q, error_description=%q", scheme, code, description)
	}
	if scheme != "" {
		a.header.Set("Www-Authenticate", challenge)
	}
	return a
}

// apiToken is the SSWS token of an org's super admin.
type apiToken struct {
	org  *Org
	used time.Time // last
}

// apiTokenLife is how long after its last use an SSWS token expires.
const apiTokenLife = 30 * 24 * time.Hour

// useToken returns the org of an SSWS token, or nil if it is unknown or expired.
func (s *Simulator) useToken(token string) *Org {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, now := s.ssws[token], s.opts.Now()
	if t == nil || now.Sub(t.used) > apiTokenLife {
		return nil
	}
	t.used = now
	return t.org
}

// authenticateSSWS accepts the token of an org's super admin, who has all
// permissions of the org.
func (s *Simulator) authenticateSSWS(c *call, rt *route, token string) *answer {
	org := s.useToken(token)
	if org == nil || !rt.ssws {
		return s.unauthorized("", "", "")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.domain != "" && c.domain != org.Domain {
		a := s.fail(http.StatusUnauthorized, codeInvalidToken, "Invalid token provided")
		return a
	}
	c.who = &caller{id: "SSWS " + org.Domain, ssws: token, org: org, actor: admin("admin@" + org.Domain)}
	if !s.ready(org) {
		return s.notFound(org.Domain, "Org")
	}
	return nil
}

// authenticateToken accepts an access token of the token endpoint.
func (s *Simulator) authenticateToken(c *call, rt *route, scheme, token string) *answer {
	s.mu.Lock()
	t := s.tokens[token]
	now := s.opts.Now()
	s.mu.Unlock()
	switch {
	case t == nil:
		return s.unauthorized("Bearer", "invalid_token", "The access token is invalid.")
	case !now.Before(t.expires):
		return s.unauthorized("Bearer", "invalid_token", "The access token expired.")
	case c.domain != "" && c.domain != t.org.Domain:
		return s.unauthorized("Bearer", "invalid_token", "The access token was issued by another org.")
	case t.jkt != "" && scheme == "bearer":
		return s.unauthorized("DPoP", "invalid_token", "The access token is bound to a DPoP key and must be sent with the DPoP scheme.")
	case t.jkt == "" && scheme == "dpop":
		return s.unauthorized("Bearer", "invalid_token", "The access token is not bound to a DPoP key.")
	}
	if t.jkt != "" {
		if refusal := s.checkBound(c, t, token); refusal != nil {
			return refusal
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.who = &caller{id: t.client.ID, client: t.client, org: t.org, actor: app(t.client.Client)}
	switch {
	case c.aerial && !c.who.org.AerialOrg:
		return s.forbidden("The access token was not issued by the Aerial org")
	case !allows(c, t.scopes, rt.scope):
		const lacks = "The access token provided does not contain the required scopes."
		a := s.forbidden(lacks)
		a.header.Set("Www-Authenticate", fmt.Sprintf("Bearer error=%q, error_description=%q, scope=%q", "insufficient_scope", lacks, rt.scope))
		return a
	case c.aerial && c.account != s.seed.Account.ID:
		return s.forbidden()
	}
	return nil
}

// checkBound requires a proof by the key that the token is bound to.
func (s *Simulator) checkBound(c *call, t *accessToken, token string) *answer {
	p, problem := s.checkProof(c, token)
	if problem == "" && p.jkt != t.jkt {
		problem = "The DPoP proof is not signed by the key that the access token is bound to."
	}
	if problem != "" {
		return s.unauthorized("DPoP", "invalid_dpop_proof", problem)
	}
	if s.opts.ResourceNonce && !s.knowsNonce(p.nonce) {
		a := s.unauthorized("DPoP", "use_dpop_nonce", "Resource server requires nonce in DPoP proof.")
		a.header.Set("Dpop-Nonce", s.currentNonce())
		return a
	}
	return nil
}

// allows reports whether scopes are enough for a route. That manage includes read
// is unconfirmed, and not so for an org's own API, where Okta names one scope for
// each endpoint.
func allows(c *call, scopes []string, needed string) bool {
	return slices.Contains(scopes, needed) || c.domain == "" &&
		strings.HasSuffix(needed, ".read") && slices.Contains(scopes, strings.TrimSuffix(needed, ".read")+".manage")
}
