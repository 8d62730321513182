package signin

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/strictyaml"
)

func TestNewToken(t *testing.T) {
	seen := map[string]bool{}
	for range 50 {
		token, entry, err := NewToken("ci", Operator)
		if err != nil || !regexp.MustCompile(`^rcn_[A-Za-z0-9_-]{43}$`).MatchString(token) || seen[token] {
			t.Fatalf("%s %v", token, err)
		}
		seen[token] = true
		all, err := ParseTokens("t.yaml", []byte(entry.String()+"\n"))
		if err != nil || len(all) != 1 || all[0] != *entry || strings.Contains(entry.String(), token) {
			t.Errorf("%v %v", all, err)
		}
	}
	for _, name := range []string{"", "a b", "-x", "a\nb", strings.Repeat("a", 101), "ä", "{"} {
		if _, _, err := NewToken(name, Viewer); err == nil || !strings.HasPrefix(err.Error(), "the name must be") {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, _, err := NewToken("ci", "admin"); err == nil {
		t.Error("made for a role that there isn't")
	}
	// Names that YAML reads as something else.
	for _, name := range []string{"no", "1234", "1e3", "2026-11-30", "ada@acme.example", "null", "0x1"} {
		_, entry, err := NewToken(name, Viewer)
		if err != nil {
			t.Fatal(err)
		}
		if all, err := ParseTokens("t.yaml", []byte(entry.String())); err != nil || all[0].Name != name {
			t.Errorf("%s: %v %v", name, all, err)
		}
	}
}

func TestParseTokens(t *testing.T) {
	a, b := strings.Repeat("a", 64), strings.Repeat("12", 32)
	for _, tt := range []struct{ text, want string }{
		{"", "t.yaml:1:1: the file is empty"},
		{"\n", "t.yaml:1:1: the file is empty"},
		{"# none yet\n", ""},
		{"[]", ""},
		{"- {name: ci, role: viewer, sha256: " + a + "}\n- {name: on-call, role: operator, sha256: " + b + "}", ""},
		{"tokens: []", `t.yaml:1:1: the document must be a list`},
		{"- ci", `t.yaml:1:3: an item must be a mapping`},
		{"- {name: ci, role: admin, sha256: " + a + "}", `t.yaml:1:20: "0.role" must be "viewer" or "operator"`},
		{"- {name: ci, sha256: " + a + "}", `t.yaml:1:3: the token has no "role"`},
		{"- {name: ci, role: viewer}", `t.yaml:1:3: the token has no "sha256"`},
		{"- {role: viewer, sha256: " + a + "}", `t.yaml:1:3: the token has no "name"`},
		{"- {name: ci, role: viewer, sha256: rcn_itself}", `must be the 64 hexadecimal digits (in lower case) of the token's SHA-256`},
		{"- {name: ci, role: viewer, sha256: " + strings.ToUpper(a) + "}", `must be the 64 hexadecimal digits`},
		{"- {name: ci, role: viewer, sha256: " + a + ", token: x}", `unknown key "0.token"`},
		{"- {name: ci, name: ci, role: viewer, sha256: " + a + "}", `t.yaml:1:14: `},
		{"- {name: ci, role: viewer, sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855}", `is the hash of an empty token`},
		{"- {name: 'a b', role: viewer, sha256: " + a + "}", `must be 1 to 100 letters`},
		{"- {name: ci, role: viewer, sha256: " + a + "}\n- {name: ci, role: viewer, sha256: " + b + "}", `t.yaml:2:10: there is another token "ci" at t.yaml:1:10: names must differ`},
		{"- {name: ci, role: viewer, sha256: " + a + "}\n- {name: cd, role: viewer, sha256: " + a + "}", `t.yaml:2:36: the same hash stands at t.yaml:1:36`},
		{"- {name: ci, role: viewer, sha256: ", `t.yaml:1:`},
	} {
		all, err := ParseTokens("t.yaml", []byte(tt.text))
		switch {
		case tt.want == "" && err != nil, tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: got %v, want %s", tt.text, err, tt.want)
		case err != nil && (all != nil || strings.Contains(err.Error(), "rcn_itself")):
			t.Errorf("%s: %v, %v", tt.text, all, err)
		}
	}
}

func FuzzParseTokens(f *testing.F) {
	hash := strings.Repeat("0", 64)
	for _, seed := range []string{"", "[]", "- {name: ci, role: viewer, sha256: " + hash + "}", "- name: 1\n  role: operator\n  sha256: " + strings.Repeat("1", 64), "- &a {name: a}\n- *a", "---\n---", "- {<<: {name: a}}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, err := ParseTokens("t.yaml", []byte(text))
		if err != nil {
			errs, ok := strictyaml.AsErrors(err)
			if !ok || all != nil {
				t.Fatalf("%v with %v", err, all)
			}
			for _, e := range errs {
				if e.Pos.File != "t.yaml" || strings.ContainsAny(e.Msg, "\n\x1b") {
					t.Errorf("%q at %v", e.Msg, e.Pos)
				}
			}
			return
		}
		// What was read is written, and read again.
		if len(all) == 0 {
			return
		}
		var lines []string
		for i := range all {
			lines = append(lines, all[i].String())
		}
		again, err := ParseTokens("t.yaml", []byte(strings.Join(lines, "\n")))
		if diff := cmp.Diff(all, again); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	})
}

// Tokens are rotated while the program runs; a file with a mistake changes nothing.
func TestTokensAreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "tokens.yaml")
		write := func(text string) {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			time.Sleep(rereadAfter)
		}
		one, first, _ := NewToken("one", Viewer)
		two, second, _ := NewToken("two", Operator)
		if _, err := openTokens(path, nil); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%v", err)
		}
		write(first.String())
		var said []string
		tokens, err := openTokens(path, func(err error) { said = append(said, fmt.Sprint(err)) })
		if err != nil {
			t.Fatal(err)
		}
		want := func(oneIs, twoIs bool, n int) {
			t.Helper()
			if (tokens.find(one) != nil) != oneIs || (tokens.find(two) != nil) != twoIs || len(said) != n {
				t.Errorf("one: %v, two: %v, said: %v", tokens.find(one), tokens.find(two), said)
			}
		}
		want(true, false, 0)
		write(first.String() + "\n" + second.String())
		want(true, true, 0)
		write("- {name: two")
		want(true, true, 1)
		want(true, true, 1)
		time.Sleep(time.Minute)
		want(true, true, 1)
		if !strings.Contains(said[0], path+":1:") {
			t.Errorf("said: %v", said)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(rereadAfter)
		want(true, true, 2)
		write(second.String())
		want(false, true, 3)
		if said[2] != "<nil>" {
			t.Errorf("said: %v", said)
		}
		write("[]")
		want(false, false, 3)
	})
}

const withTokens = "auth: {tokensFile: 'TOKENS'}"

func TestBearerTokens(t *testing.T) {
	w := newWorld(t, withTokens)
	b := w.browser()
	json := []string{"Accept", "application/json"}
	bearer := func(token string) []string { return append(json, "Authorization", "Bearer "+token) }
	b.get("/api/v1/status", bearer(w.viewer)...).expect(t, 200, "by viewer token ci-viewer; csrf=;")
	b.get("/metrics", bearer(w.viewer)...).expect(t, 200, "viewer")
	b.do("POST", "/api/v1/runs", "{}", bearer(w.operator)...).expect(t, 200, "by operator token ci-operator")
	b.do("POST", "/api/v1/runs", "{}", bearer(w.viewer)...).expect(t, http.StatusForbidden, "a viewer can't change anything")
	b.do("DELETE", "/api/v1/suspensions/x", "", bearer(w.viewer)...).expect(t, http.StatusForbidden, "needs the role operator")
	b.do("POST", "/api/v1/runs", "{}", append(bearer(w.operator), "Origin", "https://evil.example")...).expect(t, http.StatusForbidden, "another origin")

	p := b.get("/api/v1/status", json...)
	p.expect(t, http.StatusUnauthorized, `"error": "this daemon wants to know who asks"`)
	p.expect(t, http.StatusUnauthorized, `"hint": "send a token of http.auth.tokensFile`)
	if p.header.Get("WWW-Authenticate") != `Bearer realm="reconciler"` || p.header.Get("Content-Type") != "application/json" {
		t.Errorf("%v", p.header)
	}
	for name, header := range map[string][]string{
		"another token":  bearer("rcn_" + strings.Repeat("A", 43)),
		"an empty one":   bearer(""),
		"the hash":       bearer(tokenHashOf(t, w)),
		"cut":            bearer(w.viewer[:len(w.viewer)-1]),
		"in a page":      {"Authorization", "Bearer x"},
		"very long":      bearer(strings.Repeat("x", 10_000)),
		"with the realm": append(json, "Authorization", "bearer   "+w.viewer+"x"),
	} {
		if p := b.get("/", header...); p.code != http.StatusUnauthorized || !strings.Contains(p.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
			t.Errorf("%s: %d %s", name, p.code, p.body)
		}
	}
	// A token counts in the header alone.
	for _, target := range []string{"/api/v1/status?access_token=" + w.viewer, "/api/v1/status?token=" + w.viewer, "/api/v1/status?Authorization=Bearer%20" + w.viewer} {
		b.get(target, json...).expect(t, http.StatusUnauthorized, "wants to know who asks")
	}
	b.do("POST", "/api/v1/runs", "access_token="+w.operator, json...).expect(t, http.StatusUnauthorized, "")
	b.get("/api/v1/status", append(json, "Authorization", "Basic "+w.viewer)...).expect(t, http.StatusUnauthorized, "")
	b.get("/api/v1/status", append(json, "Cookie", "reconciler-session="+w.viewer)...).expect(t, http.StatusUnauthorized, "")
	w.noSecrets()
}

func tokenHashOf(t *testing.T, w *world) string {
	t.Helper()
	all, err := ReadTokens(w.path("tokens.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return all[0].SHA256
}

// What is open to everybody, and what isn't.
func TestOpenEndpoints(t *testing.T) {
	for text, metrics := range map[string]int{withTokens: 401, "openMetrics: true, " + withTokens: 200} {
		w := newWorld(t, text)
		b := w.browser()
		for target, code := range map[string]int{
			"/healthz": 200, "/readyz": 200, "/static/style.css": 200, "/hooks/git": 200, "/metrics": metrics,
			"/healthz/x": 401, "/metrics/": 401, "/static": 401, "/api/v1/status": 401, "/api/v1/openapi.json": 401, "/orgs.csv": 401, "/": 401, "/favicon.ico": 401,
			"/hooks/git/x": 401, "/HEALTHZ": 401, "/static%2f..%2fapi/v1/status": 401, "/static/%2e%2e/orgs": 401, "/static/x/y": 401,
		} {
			if p := b.get(target, "Accept", "*/*"); p.code != code {
				t.Errorf("%s: %d, want %d", target, p.code, code)
			}
		}
		b.do("POST", "/hooks/git", "{}", "Content-Type", "application/json").expect(t, 200, "POST /hooks/git by nobody")
		// A path with dots is led to what it means, which isn't open.
		if p := b.get("/static/../api/v1/status", "Accept", "*/*"); p.code == 200 {
			t.Errorf("%d %s", p.code, p.body)
		}
	}
}

// Somebody with a token signs in by a form. The session ends with the token.
func TestSignInWithToken(t *testing.T) {
	w := newWorld(t, withTokens)
	b := w.browser()
	b.get("/signin?return=%2Fx").expect(t, 200, `name="token" type="password"`)
	b.do("POST", "/signin", "token=rcn_x&return=/x").expect(t, http.StatusUnauthorized, "the token is not valid")
	b.do("POST", "/signin", "token="+w.operator, "Origin", "https://evil.example").expect(t, http.StatusForbidden, "")
	b.do("POST", "/signin?token="+w.operator, "return=/x").expect(t, http.StatusUnauthorized, "")
	if p := b.do("POST", "/signin", "token="+w.operator+"&return=//evil.example"); p.code != http.StatusSeeOther || p.header.Get("Location") != "/" {
		t.Fatalf("%d %v", p.code, p.header)
	}
	p := b.get("/")
	p.expect(t, 200, "operator token ci-operator; csrf=")
	b.do("POST", "/actions/run", "csrf="+p.csrf()).expect(t, 200, "")
	b.do("POST", "/actions/run", "").expect(t, http.StatusForbidden, "")
	b.get("/signin/start").expect(t, http.StatusSeeOther, "")
	b.get("/signin/callback?state=ABCDEFGHIJ&code=x").expect(t, http.StatusSeeOther, "")

	entries, err := ReadTokens(w.path("tokens.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	w.write("tokens.yaml", entries[0].String())
	w.gate.tokens.mu.Lock()
	w.gate.tokens.read = time.Time{}
	w.gate.tokens.mu.Unlock()
	b.get("/").expect(t, http.StatusSeeOther, "")

	again := w.browser()
	again.do("POST", "/signin", "token="+w.viewer).expect(t, http.StatusSeeOther, "")
	again.do("POST", "/signout", "csrf="+again.get("/").csrf()).expect(t, http.StatusSeeOther, "")
	if !strings.Contains(w.log.String(), `msg="signed out" user="token ci-viewer"`) {
		t.Errorf("not said who signed out:\n%s", w.log)
	}
	w.noSecrets()
}

// Whoever guesses is slowed down; whoever has a token isn't, though they come from the same
// address.
func TestFailuresAreLimited(t *testing.T) {
	w := newWorld(t, withTokens)
	b := w.browser()
	for range maxFailures {
		b.get("/", "Authorization", "Bearer x").expect(t, http.StatusUnauthorized, "the token is not valid")
	}
	p := b.get("/", "Authorization", "Bearer x")
	p.expect(t, http.StatusTooManyRequests, "too many failed attempts")
	if p.header.Get("Retry-After") != "60" {
		t.Errorf("%v", p.header)
	}
	b.get("/", "Authorization", "Bearer "+w.viewer).expect(t, 200, "viewer")
	b.do("POST", "/signin", "token=x").expect(t, http.StatusTooManyRequests, "too many failed attempts")
	b.do("POST", "/signin", "token="+w.viewer).expect(t, http.StatusSeeOther, "")
	if n := strings.Count(w.log.String(), "a failed attempt to sign in"); n != maxFailures-1 {
		t.Errorf("%d lines:\n%s", n, w.log)
	}
	if n := strings.Count(w.log.String(), "further ones are refused"); n != 1 {
		t.Errorf("%d lines", n)
	}
}

func TestFailureWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f failures
		for range maxFailures {
			f.add("192.0.2.1:1")
			f.add(fmt.Sprintf("[2001:db8::%x]:1", len(f.count)))
		}
		if f.add("192.0.2.1:2") != maxFailures+1 || f.add("192.0.2.2:1") != 1 {
			t.Error("not by address")
		}
		if f.add("[2001:db8::1234:0:0:1%eth0]:1") != maxFailures+1 || f.add("[2001:db8:1::1]:1") != 1 {
			t.Error("not by network")
		}
		time.Sleep(failureWindow + time.Second)
		if f.add("192.0.2.1:2") != 1 {
			t.Error("no end to it")
		}
		for i := range maxAddresses + 100 {
			f.add(fmt.Sprintf("[2001:db8:%x::1]:1", i))
		}
		if len(f.count) > maxAddresses+1 || f.add("198.51.100.1:1") <= maxFailures {
			t.Errorf("%d addresses", len(f.count))
		}
	})
}

// Whoever ends very many sessions keeps nobody from ending theirs.
func TestManyRevoked(t *testing.T) {
	var v revoked
	for i := range maxRevoked {
		v.add(fmt.Sprint(i), time.Now().Add(time.Hour))
	}
	v.add("theirs", time.Now().Add(time.Hour))
	if !v.has("theirs") || len(v.ids) != maxRevoked {
		t.Errorf("%d sessions", len(v.ids))
	}
}

func TestBrokenAtFirst(t *testing.T) {
	w := newWorld(t, withTokens)
	for name, want := range map[string]string{"": "no such file", "- x": "tokens.yaml:1:3: "} {
		if name == "" {
			_ = os.Remove(w.path("tokens.yaml"))
		} else {
			w.write("tokens.yaml", name)
		}
		if _, err := New(Options{HTTP: w.http, Memory: NewMemory()}); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "http.auth.tokensFile: ") {
			t.Errorf("%v", err)
		}
	}
}
