package simulator_test

import (
	"crypto/rand"
	"net/url"
	"strings"
	"testing"
	"time"

	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
)

// orgFixture is an org's own API with a token for all of it.
type orgFixture struct {
	*fixture
	test           *testing.T
	domain, bearer string
}

// startOrg starts a simulator and gets a token of one of its orgs.
func startOrg(t *testing.T, c simulatortest.Config) *orgFixture {
	t.Helper()
	if c.OrgScopes == nil {
		c.OrgScopes = simulator.OrgScopes()
	}
	f := start(t, c)
	o := &orgFixture{fixture: f, test: t, domain: f.anOrg()}
	o.bearer = o.orgToken(strings.Join(c.OrgScopes, " "))
	return o
}

// anOrg returns the domain of an active child.
func (f *fixture) anOrg() string {
	for _, o := range f.Orgs() {
		if o.Managed && o.Parent != "" {
			return o.Domain
		}
	}
	return ""
}

// orgForm is a good token request of the client that every org has.
func (o *orgFixture) orgForm(scope string) url.Values {
	now := o.clock.Now()
	id := o.OrgCredentials.ClientID
	claims := map[string]any{
		"aud": o.OrgURL(o.domain) + "/oauth2/v1/token", "iss": id, "sub": id,
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "jti": rand.Text(),
	}
	return url.Values{
		"grant_type": {"client_credentials"}, "scope": {scope},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {signed(o.t, o.OrgCredentials.Key, o.alg, map[string]any{"kid": o.OrgCredentials.KeyID}, claims)},
	}
}

func (o *orgFixture) orgToken(scope string) string {
	o.t.Helper()
	r := o.send("POST", "/org/"+o.domain+"/oauth2/v1/token", o.orgForm(scope).Encode(), "Content-Type", "application/x-www-form-urlencoded")
	wantStatus(o.t, r, 200)
	var answer struct {
		Token string `json:"access_token"`
	}
	r.decode(o.t, &answer)
	return answer.Token
}

// call makes a call of the org's API.
func (o *orgFixture) call(method, path, body string, header ...string) result {
	o.t.Helper()
	target := path
	if !strings.HasPrefix(path, "http") {
		target = "/org/" + o.domain + path
	}
	return o.send(method, target, body, append([]string{"Authorization", "Bearer " + o.bearer}, header...)...)
}

// want makes a call, and returns its JSON if the status is this one.
func (o *orgFixture) want(status int, method, path, body string) map[string]any {
	o.t.Helper()
	r := o.call(method, path, body)
	wantStatus(o.t, r, status)
	var v map[string]any
	if r.body != "" {
		r.decode(o.t, &v)
	}
	return v
}

// list returns the objects on a page.
func (o *orgFixture) list(path string) []map[string]any {
	o.t.Helper()
	r := o.call("GET", path, "")
	wantStatus(o.t, r, 200)
	var v []map[string]any
	r.decode(o.t, &v)
	return v
}
