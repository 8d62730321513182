package signin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"reconciler/internal/daemon/signin/oidctest"
)

const withOIDC = "auth: {oidc: {issuer: 'ISSUER', clientID: 0oa1client, clientSecretFile: 'SECRET', groups: {viewer: [staff], operator: [ops]}}}"

func TestSignInAndOut(t *testing.T) {
	w := newWorld(t, withOIDC)
	b := w.browser()
	p := b.get("/orgs?q=a%26b")
	if p.code != http.StatusSeeOther || p.header.Get("Location") != "/signin?return=%2Forgs%3Fq%3Da%2526b" {
		t.Fatalf("%d %v", p.code, p.header)
	}
	p = b.get(p.header.Get("Location"))
	p.expect(t, 200, `href="/signin/start?return=%2Forgs%3Fq%3Da%2526b"`)
	last, p := b.follow("/signin/start?return=%2Forgs%3Fq%3Da%2526b", "")
	p.expect(t, 200, "GET /orgs by operator ada@acme.example; csrf=")
	if last != w.srv.URL+"/orgs?q=a%26b" {
		t.Errorf("ends at %s", last)
	}
	token := p.csrf()
	b.get("/signin").expect(t, http.StatusSeeOther, "")

	// What changes something needs the token of this session.
	b.do("POST", "/actions/run", "reason=x").expect(t, http.StatusForbidden, "not sent by a page of the daemon")
	b.do("POST", "/actions/run", "csrf=wrong").expect(t, http.StatusForbidden, "")
	b.do("POST", "/actions/run?csrf="+token, "reason=x").expect(t, http.StatusForbidden, "")
	b.do("POST", "/actions/run", "csrf="+token).expect(t, 200, "POST /actions/run by operator ada@acme.example")
	b.do("POST", "/api/v1/runs", "{}", "Content-Type", "application/json").expect(t, http.StatusForbidden, "")
	b.do("POST", "/api/v1/runs", "{}", "Content-Type", "application/json", "X-CSRF-Token", token).expect(t, 200, "POST /api/v1/runs")
	b.do("POST", "/actions/run", "csrf="+token, "Sec-Fetch-Site", "cross-site").expect(t, http.StatusForbidden, "another origin")
	b.do("POST", "/actions/run", "csrf="+token, "Origin", "https://evil.example").expect(t, http.StatusForbidden, "another origin")

	// Another session has another one.
	other := w.browser()
	if another := other.signIn("/").csrf(); another == token || another == "" {
		t.Errorf("csrf %q and %q", token, another)
	}
	other.do("POST", "/actions/run", "csrf="+token).expect(t, http.StatusForbidden, "")

	// Signing out: the cookie is gone, and a copy of it is worth nothing.
	at, _ := url.Parse(w.srv.URL)
	copied := b.c.Jar.Cookies(at)
	b.do("POST", "/signout", "csrf=wrong").expect(t, http.StatusForbidden, "")
	b.do("GET", "/signout", "").expect(t, http.StatusMethodNotAllowed, "")
	b.do("POST", "/signout", "csrf="+token, "Origin", "https://evil.example").expect(t, http.StatusForbidden, "")
	b.get("/").expect(t, 200, "ada@")
	p = b.do("POST", "/signout", "csrf="+token)
	if p.code != http.StatusSeeOther || p.header.Get("Location") != "/signin?out" {
		t.Fatalf("%d %v", p.code, p.header)
	}
	b.get("/signin?out").expect(t, 200, "You are signed out")
	b.get("/").expect(t, http.StatusSeeOther, "")
	b.c.Jar.SetCookies(at, copied)
	b.get("/").expect(t, http.StatusSeeOther, "")
	w.noSecrets()
}

// A session outlives a restart, and holds at another daemon with the same config. With
// another secret of the client it doesn't.
func TestSessionOutlivesARestart(t *testing.T) {
	w := newWorld(t, withOIDC)
	b := w.browser()
	b.signIn("/").expect(t, 200, "operator")
	w.serve(NewMemory())
	b.get("/").expect(t, 200, "operator ada@acme.example")
	w.write("secret", "another")
	b.get("/").expect(t, http.StatusSeeOther, "")
	w.write("secret", w.op.Secret)
	b.get("/").expect(t, 200, "operator")
	w.write("secret", "") // which can't be a secret: the one before stays
	b.get("/").expect(t, 200, "operator")
}

// Groups have other roles as soon as the config says so.
func TestGroups(t *testing.T) {
	w := newWorld(t, withOIDC)
	b := w.browser()
	b.signIn("/").expect(t, 200, "operator")
	w.load(strings.Replace(withOIDC, "operator: [ops]", "operator: [others]", 1))
	w.serve(NewMemory())
	p := b.get("/")
	p.expect(t, http.StatusForbidden, "ada@acme.example is in none of the groups that may see this")
	p.expect(t, http.StatusForbidden, "Sign out")
	b.get("/signin").expect(t, http.StatusForbidden, "in none of the groups")

	w.op.Set(func(s *oidctest.Settings) { s.User.Groups = []string{"staff"} })
	b = w.browser()
	p = b.signIn("/")
	p.expect(t, 200, "viewer ada@acme.example")
	b.do("POST", "/actions/run", "csrf="+p.csrf()).expect(t, http.StatusForbidden, "a viewer can&#39;t change anything")
	b.do("DELETE", "/api/v1/suspensions/x", "", "Accept", "*/*", "X-CSRF-Token", p.csrf()).expect(t, http.StatusForbidden, `"error": "a viewer can't change anything"`)

	for name, set := range map[string]func(*oidctest.Settings){
		"none of them": func(s *oidctest.Settings) { s.User.Groups = []string{"Staff", "staff "} },
		"no claim":     func(s *oidctest.Settings) { s.NoGroups = true },
		"userinfo":     func(s *oidctest.Settings) { s.NoGroups, s.Thin = true, true },
	} {
		w.op.Set(func(s *oidctest.Settings) { set(s) })
		b = w.browser()
		b.signIn("/").expect(t, http.StatusForbidden, "in none of the groups")
		if p := b.get("/"); p.code != http.StatusSeeOther {
			t.Errorf("%s: signed in: %d %s", name, p.code, p.body)
		}
	}
	w.noSecrets()
}

// Okta leaves claims out of ID tokens that come with an access token.
func TestThinIDToken(t *testing.T) {
	w := newWorld(t, withOIDC)
	w.op.Set(func(s *oidctest.Settings) { s.Thin = true })
	w.browser().signIn("/").expect(t, 200, "operator ada@acme.example")
	w.op.Set(func(s *oidctest.Settings) {
		s.Thin, s.Claims = false, func(c map[string]any) { c["email_verified"], c["preferred_username"] = "false", "ada" }
	})
	w.browser().signIn("/").expect(t, 200, "operator ada;")
	w.op.Set(func(s *oidctest.Settings) { s.Claims = func(c map[string]any) { c["groups"] = "ops" } })
	w.browser().signIn("/").expect(t, 200, "operator ada@")
}

// Tokens that a provider would never make, or made for somebody else, let nobody in.
func TestHostileIDTokens(t *testing.T) {
	w := newWorld(t, withOIDC)
	foreign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	claim := func(name string, value any) func(*oidctest.Settings) {
		return func(s *oidctest.Settings) {
			s.Claims = func(c map[string]any) {
				if value == nil {
					delete(c, name)
				} else {
					c[name] = value
				}
			}
		}
	}
	for _, tt := range []struct {
		name string
		set  func(*oidctest.Settings)
		says string
	}{
		{"another issuer", claim("iss", "https://evil.example"), "issued by a different provider"},
		{"another audience", claim("aud", "somebody-else"), "expected audience"},
		{"several audiences", claim("aud", []string{"somebody-else", "0oa1client"}), "made for another client (azp)"},
		{"another nonce", claim("nonce", "replayed"), "for another sign-in (nonce)"},
		{"no nonce", claim("nonce", nil), "for another sign-in (nonce)"},
		{"expired", claim("exp", time.Now().Add(-time.Hour).Unix()), "token is expired"},
		{"not yet valid", claim("nbf", time.Now().Add(time.Hour).Unix()), "before the nbf"},
		{"another access token", claim("at_hash", base64.RawURLEncoding.EncodeToString(make([]byte, 16))), "at_hash"},
		{"another key", func(s *oidctest.Settings) {
			s.Sign = func(c []byte) string { signed, _ := oidctest.Sign(c, foreign, "k1"); return signed }
		}, "failed to verify"},
		{"no signature", func(s *oidctest.Settings) {
			s.Sign = func(c []byte) string {
				part := base64.RawURLEncoding.EncodeToString
				return part([]byte(`{"alg":"none"}`)) + "." + part(c) + "."
			}
		}, "unexpected signature algorithm"},
		{"signed with the client secret", func(s *oidctest.Settings) {
			s.Sign = func(c []byte) string {
				part := base64.RawURLEncoding.EncodeToString
				return part([]byte(`{"alg":"HS256"}`)) + "." + part(c) + ".AAAA"
			}
		}, "unexpected signature algorithm"},
		{"no token", func(s *oidctest.Settings) { s.Sign = func([]byte) string { return "no-token-at-all" } }, "malformed jwt"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.op.Set(func(s *oidctest.Settings) { s.Claims, s.Sign = nil, nil; tt.set(s) })
			b := w.browser()
			p := b.signIn("/")
			p.expect(t, http.StatusBadRequest, "You could not be signed in")
			p.expect(t, http.StatusBadRequest, tt.says)
			b.get("/").expect(t, http.StatusSeeOther, "")
		})
	}
	w.noSecrets()
}

// A clock that is a little ahead of the provider's lets people in.
func TestClockSkew(t *testing.T) {
	w := newWorld(t, withOIDC)
	for ago, code := range map[time.Duration]int{30 * time.Second: 200, 5 * time.Minute: 400} {
		w.op.Set(func(s *oidctest.Settings) {
			s.Claims = func(c map[string]any) { c["exp"] = time.Now().Add(-ago).Unix() }
		})
		w.browser().signIn("/").expect(t, code, "")
	}
}

func TestCallback(t *testing.T) {
	w := newWorld(t, withOIDC)
	// begun returns a browser that has begun, and where the provider sends it.
	begun := func() (*browser, *url.URL) {
		t.Helper()
		b := w.browser()
		at, _ := b.follow("/signin/start?return=%2Fx", "/signin/callback")
		u, err := url.Parse(at)
		if err != nil || u.Query().Get("code") == "" {
			t.Fatal(err, at)
		}
		return b, u
	}
	with := func(u *url.URL, name, value string) string {
		q := u.Query()
		q.Set(name, value)
		return u.Path + "?" + q.Encode()
	}

	b, u := begun()
	for name, bad := range map[string]string{
		"no state":          "/signin/callback?code=x",
		"short state":       with(u, "state", "A"),
		"another state":     with(u, "state", "A"+u.Query().Get("state")[1:]),
		"another end":       with(u, "state", u.Query().Get("state")[:attemptName]+strings.Repeat("A", 18)),
		"a state with dots": with(u, "state", "../../../../../../etc/passwd"),
	} {
		p := b.get(bad)
		if p.code != http.StatusBadRequest || !strings.Contains(p.body, "this browser has begun no such sign-in") {
			t.Errorf("%s: %d %s", name, p.code, p.body)
		}
		b, u = begun()
	}
	// Somebody else's browser: the link was sent to them.
	w.browser().get(u.String()).expect(t, http.StatusBadRequest, "has begun no such sign-in")
	// The right one, once.
	if p := b.get(u.String()); p.code != http.StatusSeeOther || p.header.Get("Location") != "/x" {
		t.Errorf("%d %v", p.code, p.header)
	}
	b.get("/").expect(t, 200, "operator")
	b.get(u.String()).expect(t, http.StatusBadRequest, "has begun no such sign-in")

	// A code that was used, by a browser that has begun another sign-in.
	used := u.Query().Get("code")
	b, u = begun()
	b.get(with(u, "code", used)).expect(t, http.StatusBadRequest, "the provider refuses: invalid_grant")
	// One that was issued to somebody else: PKCE binds it to their browser.
	_, theirs := begun()
	b, u = begun()
	b.get(with(u, "code", theirs.Query().Get("code"))).expect(t, http.StatusBadRequest, "invalid_grant")
	// Another provider answers.
	b, u = begun()
	b.get(with(u, "iss", "https://evil.example")).expect(t, http.StatusBadRequest, "from another provider")
	b, u = begun()
	p := b.get("/signin/callback?state=" + u.Query().Get("state") + "&error=access_denied&error_description=" + url.QueryEscape("<b>no\u202e</b>"))
	p.expect(t, http.StatusBadRequest, "the provider says access_denied: &lt;b&gt;no")
	if strings.Contains(p.body, "\u202e") || strings.Contains(p.body, "<b>") {
		t.Errorf("not made visible: %q", p.body)
	}
	b, u = begun()
	b.get("/signin/callback?state="+u.Query().Get("state")).expect(t, http.StatusBadRequest, "has no code")
	w.noSecrets()
}

// Tabs that sign in at the same time don't get into each other's way, and an endless
// number of them doesn't fill the headers.
func TestParallelTabs(t *testing.T) {
	w := newWorld(t, withOIDC)
	b := w.browser()
	var ends []string
	for i := range 3 {
		at, _ := b.follow(fmt.Sprintf("/signin/start?return=%%2Ftab%d", i), "/signin/callback")
		ends = append(ends, at)
	}
	for i, at := range ends {
		if p := b.get(at); p.code != http.StatusSeeOther || p.header.Get("Location") != fmt.Sprintf("/tab%d", i) {
			t.Errorf("tab %d: %d %s", i, p.code, p.body)
		}
	}
	for range 30 {
		b.follow("/signin/start", "/signin/callback")
	}
	at, _ := url.Parse(w.srv.URL)
	if n := len(b.c.Jar.Cookies(at)); n > maxAttempts+2 {
		t.Errorf("%d cookies", n)
	}
}

// Cookies that were not made here, or were changed, are no session.
func TestCookies(t *testing.T) {
	w := newWorld(t, withOIDC)
	b := w.browser()
	b.signIn("/").expect(t, 200, "operator")
	at, _ := url.Parse(w.srv.URL)
	value := ""
	for _, c := range b.c.Jar.Cookies(at) {
		if c.Name == sessionCookie {
			value = c.Value
		}
	}
	if value == "" || strings.Contains(value, "ada") {
		t.Fatalf("session %q", value)
	}
	half, char := len(value)/2, "A"
	if value[half] == 'A' {
		char = "B"
	}
	send := func(cookie string) page { return w.browser().get("/", "Cookie", cookie) }
	send(sessionCookie+"="+value).expect(t, 200, "operator")
	for name, cookie := range map[string]string{
		"changed":      sessionCookie + "=" + value[:half] + char + value[half+1:],
		"cut":          sessionCookie + "=" + value[:len(value)-4],
		"empty":        sessionCookie + "=",
		"of a sign-in": attemptCookie + "ABCDEFGH=" + value,
		"other prefix": "__Host-" + sessionCookie + "=" + value,
		"twice":        sessionCookie + "=" + value + "; " + sessionCookie + "=" + value,
		"long":         sessionCookie + "=" + strings.Repeat("A", 9000),
	} {
		if p := send(cookie); p.code != http.StatusSeeOther {
			t.Errorf("%s: %d %s", name, p.code, p.body)
		}
	}
	// One that another client's secret made.
	other := newWorld(t, withOIDC)
	ob := other.browser()
	ob.signIn("/")
	for _, c := range ob.c.Jar.Cookies(&url.URL{Scheme: "http", Host: strings.TrimPrefix(other.srv.URL, "http://")}) {
		if c.Name == sessionCookie {
			send(sessionCookie+"="+c.Value).expect(t, http.StatusSeeOther, "")
		}
	}
}

// The provider may be down when the daemon starts, and later.
func TestProviderIsDown(t *testing.T) {
	w := newWorld(t, withOIDC)
	w.op.Set(func(s *oidctest.Settings) { s.Down = true })
	b := w.browser()
	b.get("/").expect(t, http.StatusSeeOther, "")
	b.get("/signin").expect(t, 200, "Sign in")
	p := b.get("/signin/start?return=%2Fx")
	p.expect(t, http.StatusServiceUnavailable, "can&#39;t be used now: 503 Service Unavailable")
	p.expect(t, http.StatusServiceUnavailable, "/signin/start?return=%2Fx")
	if strings.Contains(p.body, "maintenance") {
		t.Errorf("the page of the provider is shown: %s", p.body)
	}
	w.op.Set(func(s *oidctest.Settings) { s.Down = false })
	w.gate.oidc.mu.Lock()
	w.gate.oidc.failedAt = time.Now().Add(-retryAfter)
	w.gate.oidc.mu.Unlock()
	b.signIn("/").expect(t, 200, "operator")
	// What it said once stays while it is down.
	w.op.Set(func(s *oidctest.Settings) { s.Down = true })
	w.gate.oidc.mu.Lock()
	w.gate.oidc.foundAt = time.Now().Add(-2 * discoveredFor)
	w.gate.oidc.mu.Unlock()
	if p := w.browser().get("/signin/start"); p.code != http.StatusSeeOther {
		t.Errorf("%d %s", p.code, p.body)
	}
}

// Behind TLS, cookies are for this host and TLS alone, and the place to come back to is
// that of the config.
func TestBehindTLS(t *testing.T) {
	w := newWorld(t, "url: 'https://reconciler.example', "+withOIDC)
	w.op.Set(func(s *oidctest.Settings) { s.Redirects = []string{"https://reconciler.example/signin/callback"} })
	b := w.browser()
	if p := b.get("/signin/start?return=%2Fx"); p.header.Get("Location") != "https://reconciler.example/signin/start?moved=1&return=%2Fx" {
		t.Errorf("%d %v", p.code, p.header)
	}
	p := b.get("/signin/start?return=%2Fx", "Host", "reconciler.example")
	cookie := p.header.Get("Set-Cookie")
	for _, part := range []string{"__Host-" + attemptCookie, "Path=/", "HttpOnly", "Secure", "SameSite=Lax", "Max-Age=600"} {
		if !strings.Contains(cookie, part) || strings.Contains(cookie, "Domain") {
			t.Errorf("%s is not in %s", part, cookie)
		}
	}
	if p.header.Get("Strict-Transport-Security") == "" {
		t.Error("no HSTS")
	}
	u, err := url.Parse(p.header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if q.Get("redirect_uri") != "https://reconciler.example/signin/callback" || q.Get("code_challenge_method") != "S256" || q.Get("response_type") != "code" ||
		q.Get("scope") != "openid profile email groups" || q.Get("nonce") == "" || len(q.Get("state")) < 26 {
		t.Errorf("%v", q)
	}
	// The provider sends the browser to the proxy, which asks here.
	back := w.browser().get(u.String()).header.Get("Location")
	at, err := url.Parse(back)
	if err != nil {
		t.Fatal(err)
	}
	value, _, _ := strings.Cut(cookie, ";")
	p = b.get(at.Path+"?"+at.RawQuery, "Host", "reconciler.example", "Cookie", value)
	if p.code != http.StatusSeeOther || p.header.Get("Location") != "/x" {
		t.Fatalf("%d %v %s", p.code, p.header, p.body)
	}
	for _, set := range p.header.Values("Set-Cookie") {
		if name, _, _ := strings.Cut(set, "="); name == "__Host-"+sessionCookie {
			if !strings.Contains(set, "Secure") || !strings.Contains(set, "HttpOnly") || !strings.Contains(set, "Max-Age=43200") {
				t.Errorf("%s", set)
			}
			value, _, _ = strings.Cut(set, ";")
		}
	}
	b.get("/", "Host", "reconciler.example", "Cookie", value).expect(t, 200, "operator ada@")
	w.noSecrets()

	// A proxy that asks by another name leads nobody in circles.
	b.get("/signin/start?moved=1&return=%2Fx").expect(t, http.StatusMisdirectedRequest, "what is sent to reconciler.example arrives here for 127.0.0.1")
}

// Failed attempts of others, who may come from the address of the same proxy, keep nobody
// out.
func TestFailuresOfOthers(t *testing.T) {
	w := newWorld(t, withOIDC)
	for range maxFailures + 5 {
		w.gate.memory.failures.add("127.0.0.1:1")
	}
	w.browser().signIn("/").expect(t, 200, "operator")
	b := w.browser()
	at, _ := b.follow("/signin/start", "/signin/callback")
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	p := b.get("/signin/callback?state=" + u.Query().Get("state") + "&error=access_denied")
	p.expect(t, http.StatusTooManyRequests, "too many failed attempts")
	if p.header.Get("Retry-After") == "" {
		t.Errorf("%v", p.header)
	}
}

// The cookies of attempts fit into a request, however long the path to return to is.
func TestLongReturn(t *testing.T) {
	w := newWorld(t, withOIDC)
	b := w.browser()
	long := "/orgs?q=" + strings.Repeat("%26", 400) + strings.Repeat("a", 700)
	for range maxAttempts {
		if p := b.get("/signin/start?return=" + url.QueryEscape(long)); p.code != http.StatusSeeOther || !strings.HasPrefix(p.header.Get("Location"), w.op.Issuer) {
			t.Fatalf("%d %s", p.code, p.body)
		}
	}
	at, _ := url.Parse(w.srv.URL)
	size := 0
	for _, c := range b.c.Jar.Cookies(at) {
		size += len(c.Name) + len(c.Value)
	}
	if size == 0 || size > 8<<10 {
		t.Errorf("%d bytes of cookies", size)
	}
	b.signIn(long).expect(t, 200, "GET / by operator")
}

// While the client secret can't be read, that is for the log, not for whoever signs in.
func TestSecretThatIsGone(t *testing.T) {
	w := newWorld(t, withOIDC)
	b := w.browser()
	at, _ := b.follow("/signin/start", "/signin/callback")
	w.write("secret", "")
	p := b.get(at)
	p.expect(t, http.StatusServiceUnavailable, "the daemon has no client secret for the provider now")
	if strings.Contains(p.body, w.dir) || !strings.Contains(w.log.String(), w.path("secret")) {
		t.Errorf("%s\n%s", p.body, w.log)
	}
	w.write("secret", w.op.Secret)
	w.browser().signIn("/").expect(t, 200, "operator")
}

// Neither the client secret nor the keys of signatures go over a network without TLS.
func TestEndpointsWithoutTLS(t *testing.T) {
	for endpoint, refused := range map[string]bool{
		"": false, "https://acme.okta.com/token": false, "http://127.0.0.1:1/token": false, "http://localhost/keys": false,
		"http://acme.okta.com/token": true, "HTTP://10.0.0.1/keys": true, "javascript:alert(1)": true, "//acme.okta.com": true, "token": true, "ftp://localhost": true,
	} {
		if got := unencrypted("https://acme.okta.com/authorize", endpoint); (got != "") != refused {
			t.Errorf("%s: %q", endpoint, got)
		}
	}
	w := newWorld(t, withOIDC)
	w.op.Set(func(s *oidctest.Settings) { s.Keys = "http://192.0.2.1/keys" })
	w.browser().get("/signin/start").expect(t, http.StatusServiceUnavailable, "it names the endpoint http://192.0.2.1/keys, which has no TLS")
}

// Somebody whose name can't be seen has that of their account.
func TestNameThatShowsNothing(t *testing.T) {
	w := newWorld(t, withOIDC)
	w.op.Set(func(s *oidctest.Settings) {
		s.Claims = func(c map[string]any) { delete(c, "email"); c["preferred_username"] = "\u3164\u200b" }
	})
	w.browser().signIn("/").expect(t, 200, "by operator 00u1;")
}
