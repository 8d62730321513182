package simulator_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
)

type oauthError struct {
	Code        string `json:"error"`
	Description string `json:"error_description"`
}

func wantOAuth(t *testing.T, r result, status int, code, says string) {
	t.Helper()
	if r.err != nil {
		t.Fatal(r.err)
	}
	var e oauthError
	r.decode(t, &e)
	if r.status != status || e.Code != code || !strings.Contains(e.Description, says) {
		t.Errorf("want %d %s %q, got %d %s", status, code, says, r.status, r.body)
	}
}

func TestTokenForEveryAlgorithm(t *testing.T) {
	for _, alg := range []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512} {
		t.Run(string(alg), func(t *testing.T) {
			f := start(t, simulatortest.Config{Alg: alg})
			r := f.post(f.form(scopeRead + " " + scopeLogs))
			wantStatus(t, r, 200)
			var answer struct {
				Type    string `json:"token_type"`
				Expires int    `json:"expires_in"`
				Token   string `json:"access_token"`
				Scope   string `json:"scope"`
			}
			r.decode(t, &answer)
			if answer.Type != "Bearer" || answer.Expires != 3600 || answer.Scope != scopeRead+" "+scopeLogs {
				t.Errorf("got %s", r.body)
			}
			wantStatus(t, f.aerial(answer.Token, "GET", "/api/v1/accounts", ""), 200)
		})
	}
}

// The assertion's rules are those of
// https://developer.okta.com/docs/api/openapi/okta-oauth/guides/client-auth/.
func TestAssertion(t *testing.T) {
	f := start(t, simulatortest.Config{})
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wider, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := f.clock.Now()
	claim := func(name string, value any) func(map[string]any) {
		return func(c map[string]any) {
			c[name] = value
			if value == nil {
				delete(c, name)
			}
		}
	}
	tests := []struct {
		name string
		edit func(claims map[string]any)
		says string // empty: good
	}{
		{"as it should be", claim("x", "y"), ""},
		{"audience of one in a list", claim("aud", []string{f.URL + "/oauth2/v1/token"}), ""},
		{"audience is the org", claim("aud", f.URL), "audience claim"},
		{"audience with a slash", claim("aud", f.URL+"/oauth2/v1/token/"), "audience claim"},
		{"two audiences", claim("aud", []string{f.URL + "/oauth2/v1/token", f.URL}), "audience claim"},
		{"no audience", claim("aud", nil), "audience claim"},
		{"no expiration", claim("exp", nil), "must have an expiration"},
		{"expires this second", claim("exp", now.Unix()), "is expired"},
		{"expires in a second", claim("exp", now.Unix()+1), ""},
		{"expires in an hour", claim("exp", now.Unix()+3600), ""},
		{"expires in an hour and a second", claim("exp", now.Unix()+3601), "too far into the future"},
		{"no issue date", claim("iat", nil), ""},
		{"issued within the skew", claim("iat", now.Unix()+60), ""},
		{"issued beyond the skew", claim("iat", now.Unix()+61), "issued in the future"},
		{"not valid yet", claim("nbf", now.Unix()+61), "not valid yet"},
		{"no issuer", claim("iss", nil), "issuer and the subject"},
		{"another subject", claim("sub", "0oa00000000000000009"), "issuer and the subject"},
		{"neither", func(c map[string]any) { delete(c, "iss"); delete(c, "sub") }, "issuer and the subject"},
		{"unknown client", func(c map[string]any) { c["iss"], c["sub"] = "0oax", "0oax" }, "'client_id'"},
		{"claims of the wrong type", claim("exp", "soon"), "malformed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f.t = t
			claims := f.claims()
			tt.edit(claims)
			form := f.form(scopeRead)
			form.Set("client_assertion", signed(t, f.Credentials.Key, jose.ES256, map[string]any{"kid": f.Credentials.KeyID}, claims))
			r := f.post(form)
			if tt.says == "" {
				wantStatus(t, r, 200)
				return
			}
			wantOAuth(t, r, 401, "invalid_client", tt.says)
		})
	}

	keys := []struct {
		name string
		form func() url.Values
		says string
	}{
		{"unknown kid", func() url.Values {
			return url.Values{"client_assertion": {signed(t, f.Credentials.Key, jose.ES256, map[string]any{"kid": "other"}, f.claims())}}
		}, "no key with the kid 'other'"},
		{"no kid", func() url.Values {
			return url.Values{"client_assertion": {signed(t, f.Credentials.Key, jose.ES256, nil, f.claims())}}
		}, "no key with the kid ''"},
		{"another key", func() url.Values {
			return url.Values{"client_assertion": {signed(t, stranger, jose.ES256, map[string]any{"kid": f.Credentials.KeyID}, f.claims())}}
		}, "signature is invalid"},
		{"algorithm of another curve", func() url.Values {
			return url.Values{"client_assertion": {signed(t, wider, jose.ES384, map[string]any{"kid": f.Credentials.KeyID}, f.claims())}}
		}, "signature is invalid"},
		{"tampered", func() url.Values {
			parts := strings.Split(signed(t, f.Credentials.Key, jose.ES256, map[string]any{"kid": f.Credentials.KeyID}, f.claims()), ".")
			other := strings.Split(signed(t, f.Credentials.Key, jose.ES256, map[string]any{"kid": f.Credentials.KeyID}, f.claims()), ".")
			return url.Values{"client_assertion": {parts[0] + "." + other[1] + "." + parts[2]}}
		}, "signature is invalid"},
		{"no algorithm", func() url.Values {
			return url.Values{"client_assertion": {"eyJhbGciOiJub25lIn0.e30."}}
		}, "must be a JWT signed with RS256"},
		{"no JWT", func() url.Values { return url.Values{"client_assertion": {"x"}} }, "must be a JWT"},
		{"another client id beside it", func() url.Values { return url.Values{"client_id": {"0oax"}} }, "'client_id'"},
	}
	for _, tt := range keys {
		t.Run(tt.name, func(t *testing.T) {
			f.t = t
			form := f.form(scopeRead)
			for name, value := range tt.form() {
				form[name] = value
			}
			wantOAuth(t, f.post(form), 401, "invalid_client", tt.says)
		})
	}
}

func TestAssertionOnce(t *testing.T) {
	f := start(t, simulatortest.Config{})
	form := f.form(scopeRead)
	wantStatus(t, f.post(form), 200)
	wantOAuth(t, f.post(form), 401, "invalid_client", "already been used")

	// It is used up too when the request fails for another reason, and when
	// its answer never arrived.
	form = f.form("")
	wantOAuth(t, f.post(form), 400, "invalid_scope", "must be provided")
	form.Set("scope", scopeRead)
	wantOAuth(t, f.post(form), 401, "invalid_client", "already been used")
	f.Fault(t, "POST /oauth2/v1/token status=503 times=1")
	form = f.form(scopeRead)
	wantError(t, f.post(form), 503, "E0000009", "")
	wantOAuth(t, f.post(form), 401, "invalid_client", "already been used")
}

// An assertion need not have a jti; it can be sent again then.
func TestAssertionWithoutID(t *testing.T) {
	f := start(t, simulatortest.Config{})
	claims := f.claims()
	delete(claims, "jti")
	form := f.form(scopeRead)
	form.Set("client_assertion", signed(t, f.Credentials.Key, f.alg, map[string]any{"kid": f.Credentials.KeyID}, claims))
	for range 2 {
		wantStatus(t, f.post(form), 200)
	}
}

func TestTokenForm(t *testing.T) {
	f := start(t, simulatortest.Config{})
	tests := []struct {
		name   string
		edit   func(url.Values)
		header []string
		status int
		code   string
	}{
		{"no grant type", func(v url.Values) { v.Del("grant_type") }, nil, 400, "invalid_request"},
		{"another grant type", func(v url.Values) { v.Set("grant_type", "password") }, nil, 400, "unsupported_grant_type"},
		{"no assertion type", func(v url.Values) { v.Del("client_assertion_type") }, nil, 400, "invalid_request"},
		{"another assertion type", func(v url.Values) { v.Set("client_assertion_type", "jwt-bearer") }, nil, 400, "invalid_request"},
		{"no assertion", func(v url.Values) { v.Del("client_assertion") }, nil, 401, "invalid_client"},
		{"a secret", func(v url.Values) { v.Set("client_secret", "x") }, nil, 401, "invalid_client"},
		{"basic authentication", func(url.Values) {}, []string{"Authorization", "Basic eDp5"}, 401, "invalid_client"},
		{"no scope", func(v url.Values) { v.Del("scope") }, nil, 400, "invalid_scope"},
		{"unknown scope", func(v url.Values) { v.Set("scope", scopeRead+" okta.accounts.write") }, nil, 400, "invalid_scope"},
		{"scope of people", func(v url.Values) { v.Set("scope", "openid") }, nil, 400, "invalid_scope"},
		{"scope not granted", func(v url.Values) { v.Set("scope", "okta.orgs.manage") }, nil, 400, "consent_required"},
		{"two scopes parameters", func(v url.Values) { v.Add("scope", scopeRead) }, nil, 400, "invalid_request"},
		{"JSON", func(url.Values) {}, []string{"Content-Type", "application/json"}, 400, "invalid_request"},
		{"no content type", func(url.Values) {}, []string{"Content-Type", ""}, 400, "invalid_request"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f.t = t
			form := f.form(scopeRead)
			tt.edit(form)
			wantOAuth(t, f.post(form, tt.header...), tt.status, tt.code, "")
		})
	}
	t.Run("in the query", func(t *testing.T) {
		f.t = t
		form := f.form(scopeRead)
		query := "/oauth2/v1/token?" + form.Encode()
		r := f.send("POST", query, "scope="+scopeLogs, "Content-Type", "application/x-www-form-urlencoded")
		wantOAuth(t, r, 400, "invalid_request", "'scope' must not be sent more than once")
		wantStatus(t, f.send("POST", query, "", "Content-Type", "application/x-www-form-urlencoded"), 200)
		for _, r := range f.Requests() {
			if r.Query != "" {
				t.Errorf("the log of calls contains %q", r.Query)
			}
		}
	})
	t.Run("malformed", func(t *testing.T) {
		f.t = t
		r := f.send("POST", "/oauth2/v1/token", "a=%zz", "Content-Type", "application/x-www-form-urlencoded")
		wantOAuth(t, r, 400, "invalid_request", "malformed")
	})
}

// Scopes are granted one by one; the answer says which.
func TestPartOfScopes(t *testing.T) {
	f := start(t, simulatortest.Config{Scopes: []string{scopeRead}})
	r := f.post(f.form(scopeRead + " " + scopeManage))
	wantStatus(t, r, 200)
	if !strings.Contains(r.body, `"scope":"`+scopeRead+`"`) {
		t.Errorf("got %s", r.body)
	}
}

func TestTokenEnds(t *testing.T) {
	f := start(t, simulatortest.Config{})
	token := f.token(scopeRead)
	get := func() result { return f.aerial(token, "GET", "/api/v1/accounts", "") }

	f.clock.Add(time.Hour - time.Second)
	wantStatus(t, get(), 200)
	f.clock.Add(time.Second)
	r := get()
	wantError(t, r, 401, "E0000011", "Invalid token provided")
	if got := r.header.Get("Www-Authenticate"); !strings.Contains(got, `error="invalid_token"`) || !strings.Contains(got, "expired") {
		t.Errorf("challenge is %q", got)
	}

	token = f.token(scopeRead)
	wantStatus(t, get(), 200)
	f.RevokeTokens()
	wantError(t, get(), 401, "E0000011", "Invalid token provided")
}

func TestAuthorization(t *testing.T) {
	seed := simulator.DefaultSeed(3)
	parent, err := seed.AddClient(simulator.DefaultParent, jose.ES256, "okta.orgs.manage", scopeRead)
	if err != nil {
		t.Fatal(err)
	}
	f := start(t, simulatortest.Config{Seed: seed})
	read, manage, logs := f.token(scopeRead), f.token(scopeManage), f.token(scopeLogs)
	aerial := f.Credentials
	f.Credentials = parent
	foreign := f.token(scopeRead)
	f.Credentials = aerial

	accounts := "/" + f.AccountID + "/api/v1/accounts"
	tests := []struct {
		name, method, path, body, authorization string
		status                                  int
		code                                    string
	}{
		{"none", "GET", accounts, "", "", 401, "E0000011"},
		{"unknown scheme", "GET", accounts, "", "Basic eDp5", 401, "E0000011"},
		{"unknown token", "GET", accounts, "", "Bearer x", 401, "E0000011"},
		{"no token", "GET", accounts, "", "Bearer", 401, "E0000011"},
		{"any case of the scheme", "GET", accounts, "", "bearer " + read, 200, ""},
		{"read may read", "GET", accounts, "", "Bearer " + read, 200, ""},
		{"manage may read", "GET", accounts, "", "Bearer " + manage, 200, ""},
		{"manage may write", "PUT", accounts, `{"name":"A"}`, "Bearer " + manage, 200, ""},
		{"read may not write", "PUT", accounts, `{"name":"A"}`, "Bearer " + read, 403, "E0000006"},
		{"logs may not read accounts", "GET", accounts, "", "Bearer " + logs, 403, "E0000006"},
		{"unbound token as DPoP", "GET", accounts, "", "DPoP " + read, 401, "E0000011"},
		{"SSWS on the Aerial API", "GET", accounts, "", "SSWS " + f.ParentToken, 401, "E0000011"},
		{"token of another org", "GET", accounts, "", "Bearer " + foreign, 403, "E0000006"},
		{"another account", "GET", "/0200other/api/v1/accounts", "", "Bearer " + read, 403, "E0000006"},
		{"unknown SSWS", "GET", "/api/v1/logs", "", "SSWS 00x", 401, "E0000011"},
		{"read may not read logs", "GET", "/api/v1/logs", "", "Bearer " + read, 403, "E0000006"},
		{"Aerial client is not the parent's", "POST", "/api/v1/orgs", "{}", "Bearer " + manage, 403, "E0000006"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f.t = t
			r := f.send(tt.method, tt.path, tt.body, "Authorization", tt.authorization)
			if tt.code == "" {
				wantStatus(t, r, tt.status)
				return
			}
			wantError(t, r, tt.status, tt.code, "")
		})
	}
}
