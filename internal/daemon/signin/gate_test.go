package signin

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Nothing leads from here to another site.
func TestLocalPath(t *testing.T) {
	for raw, want := range map[string]string{
		"":                              "/",
		"/":                             "/",
		"/orgs":                         "/orgs",
		"/orgs?q=a%26b&sort=-since":     "/orgs?q=a%26b&sort=-since",
		"/orgs/acme.okta.com#x":         "/orgs/acme.okta.com",
		"/x?u=https://evil.example":     "/x?u=https://evil.example",
		"//evil.example":                "/",
		"///evil.example":               "/",
		"/\\evil.example":               "/",
		"\\\\evil.example":              "/",
		"/%2fevil.example":              "/",
		"/%5cevil.example":              "/",
		"/\t/evil.example":              "/",
		"/\n/evil.example":              "/",
		"https://evil.example":          "/",
		"https:evil.example":            "/",
		"javascript:alert(1)":           "/",
		"evil.example":                  "/",
		"//user@evil.example":           "/",
		"/signin":                       "/",
		"/signin/start?return=x":        "/",
		"/signout":                      "/",
		"/actions/run":                  "/",
		"/%":                            "/",
		" /x":                           "/",
		"/" + strings.Repeat("a", 2001): "/",
	} {
		if got := LocalPath(raw); got != want {
			t.Errorf("%q: %q, want %q", raw, got, want)
		}
		if back := httptest.NewRequest("GET", SignInURL(raw), nil).URL.Query().Get("return"); back != strings.TrimSuffix(want, "/") && back != want {
			t.Errorf("%q: signing in leads to %q", raw, back)
		}
	}
}

// A return path can't lead away, whichever way it comes.
func TestOpenRedirects(t *testing.T) {
	w := newWorld(t, withOIDC)
	for _, evil := range []string{"//evil.example", "https://evil.example", "/%5cevil.example", "%2f%2fevil.example", "/%09/evil.example"} {
		b := w.browser()
		last, p := b.follow("/signin/start?return="+evil, "")
		p.expect(t, 200, "operator")
		if last != w.srv.URL+"/" {
			t.Errorf("%s leads to %s", evil, last)
		}
		if p := b.get("/signin?return=" + evil); p.header.Get("Location") != "/" {
			t.Errorf("%s leads to %v", evil, p.header)
		}
	}
}

// Where nobody signs in, this machine alone may change something, and no page of another
// origin.
func TestNone(t *testing.T) {
	w := newWorld(t, "url: 'https://reconciler.example'")
	b := w.browser()
	p := b.get("/", "Host", "localhost:1")
	p.expect(t, 200, "by operator ; csrf=")
	if p.csrf() == "" {
		t.Fatal("no token")
	}
	b.do("POST", "/api/v1/runs", "{}", "Content-Type", "application/json").expect(t, 200, "POST")
	b.do("POST", "/actions/run", "reason=x").expect(t, http.StatusForbidden, "not sent by a page of the daemon")
	b.do("POST", "/actions/run", "csrf="+p.csrf()).expect(t, 200, "POST")
	b.do("POST", "/actions/run", "csrf="+p.csrf(), "Origin", "http://localhost:9999").expect(t, http.StatusForbidden, "another origin")
	b.do("POST", "/actions/run", "csrf="+p.csrf(), "Sec-Fetch-Site", "same-site").expect(t, http.StatusForbidden, "another origin")
	b.do("POST", "/actions/run", "csrf="+p.csrf(), "Sec-Fetch-Site", "same-origin").expect(t, 200, "")

	// The token is another text in each response.
	if again := b.get("/").csrf(); again == p.csrf() || again == "" {
		t.Errorf("csrf %q and %q", p.csrf(), again)
	}
	for _, bad := range []string{w.gate.csrf(nil), "", "AAAA", mask(""), mask("x"), p.csrf() + "AA"} {
		b.do("POST", "/actions/run", "csrf="+bad).expect(t, http.StatusForbidden, "not sent by a page of the daemon")
	}

	// Through a proxy, everybody is a viewer, also if it asks by localhost.
	for _, header := range []string{"X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"} {
		b.do("POST", "/api/v1/runs", "{}", "Host", "localhost", header, "x", "Accept", "*/*").expect(t, http.StatusForbidden, "a viewer can't change anything")
	}
	b.get("/", "Host", "reconciler.example").expect(t, 200, "by viewer ;")
	b.do("POST", "/api/v1/runs", "{}", "Host", "reconciler.example", "Accept", "*/*").expect(t, http.StatusForbidden, "by localhost, or set http.auth")
	b.get("/", "Host", "evil.example").expect(t, http.StatusMisdirectedRequest, "serves localhost only")
	b.get("/signin?return=%2Fx").expect(t, http.StatusSeeOther, "")
	if !w.gate.Open() {
		t.Error("not open, though a proxy may lead here")
	}
	if newWorld(t, "openMetrics: false").gate.Open() {
		t.Error("open on loopback")
	}

	off := newWorld(t, "address: '0.0.0.0:8080', auth: none")
	off.browser().get("/").expect(t, 200, "by viewer ;")
	off.browser().do("POST", "/api/v1/runs", "{}", "Accept", "*/*").expect(t, http.StatusForbidden, "a viewer can't change anything")
	if !off.gate.Open() {
		t.Error("not open")
	}
}

func TestHosts(t *testing.T) {
	for _, tt := range []struct {
		text             string
		allowed, refused []string
	}{
		{withTokens, []string{"localhost", "127.0.0.1:8080", "[::1]:1", ""}, []string{"evil.example", "10.0.0.1", "localhost.evil.example", "reconciler.example", "0.0.0.0"}},
		{"url: 'https://reconciler.example', " + withTokens, []string{"localhost", "reconciler.example", "Reconciler.example:443"}, []string{"evil.example", "reconciler.example.evil.example", "10.0.0.1"}},
		{"address: ':8080', " + withTokens, []string{"localhost:8080", "10.0.0.1:8080", "[2001:db8::1]:8080", "127.0.0.1"}, []string{"evil.example", "reconciler", "10.0.0.1.evil.example", "[::1"}},
		{"address: 'ops1.acme.example:8080', " + withTokens, []string{"ops1.acme.example:8080", "OPS1.acme.example", "192.0.2.1"}, []string{"evil.example", "acme.example"}},
		{"address: ':8080', url: 'https://reconciler.example', " + withTokens, []string{"reconciler.example", "10.0.0.1:8080"}, []string{"evil.example", "x.reconciler.example"}},
	} {
		w := newWorld(t, tt.text)
		h := w.gate.CheckHost(endpoints())
		ask := func(host, path string) int {
			r := httptest.NewRequest("GET", path, nil)
			r.Host = host
			resp := httptest.NewRecorder()
			h.ServeHTTP(resp, r)
			return resp.Code
		}
		for _, host := range tt.allowed {
			if code := ask(host, "/api/v1/status"); code != 200 {
				t.Errorf("%s: Host %q: %d", tt.text, host, code)
			}
		}
		for _, host := range tt.refused {
			if code := ask(host, "/api/v1/status"); code != http.StatusMisdirectedRequest {
				t.Errorf("%s: Host %q: %d", tt.text, host, code)
			}
			want := 200
			if w.http.OnLoopback() {
				want = http.StatusMisdirectedRequest
			}
			if code := ask(host, "/healthz"); code != want {
				t.Errorf("%s: /healthz, Host %q: %d", tt.text, host, code)
			}
		}
	}
}

// Nobody has the name of somebody else in the history.
func TestBy(t *testing.T) {
	for _, tt := range []struct {
		user *User
		want string
	}{
		{nil, ""}, {&User{Role: Operator}, ""}, {&User{Name: "ci", Via: ViaToken}, "token ci"},
		{&User{Name: "ada@acme.example", Via: ViaOIDC}, "ada@acme.example"}, {&User{Name: "token ci", Via: ViaOIDC}, `"token ci"`},
	} {
		if got := tt.user.By(); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.user, got, tt.want)
		}
	}
}

func TestMay(t *testing.T) {
	for _, tt := range []struct {
		user             *User
		viewer, operator bool
	}{
		{nil, false, false}, {&User{}, false, false}, {&User{Role: Viewer}, true, false}, {&User{Role: Operator}, true, true}, {&User{Role: "admin"}, false, false},
	} {
		if tt.user.May(Viewer) != tt.viewer || tt.user.May(Operator) != tt.operator || tt.user.May("") {
			t.Errorf("%+v", tt.user)
		}
	}
}
