package auth

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTransportBearer(t *testing.T) {
	key := newKeyPair(t)
	f := newFake(t, key)
	rt := f.client(key, nil).Transport(f.server.Client().Transport, f.url, readScope)
	for range 3 {
		if status, _ := do(t.Context(), t, rt, "GET", f.server.URL+"/api/v1/orgs?limit=100", nil); status != 200 {
			t.Fatalf("status %d", status)
		}
	}
	if calls, hits := f.counts(); calls != 1 || hits != 3 {
		t.Errorf("%d token calls and %d requests, want 1 and 3", calls, hits)
	}
}

// A 401 leads to a new token and one more try, body and all; a second 401 is
// the caller's.
func TestTransportRenewsAfter401(t *testing.T) {
	key := newKeyPair(t)
	f := newFake(t, key)
	rt := f.client(key, nil).Transport(f.server.Client().Transport, f.url, readScope)
	target := f.server.URL + "/api/v1/orgs"
	do(t.Context(), t, rt, "GET", target, nil)
	f.revokeAll()
	if status, _ := do(t.Context(), t, rt, "PUT", target, strings.NewReader("body")); status != 200 {
		t.Errorf("status %d", status)
	}
	if diff := cmp.Diff([]string{"", "body", "body"}, f.bodies); diff != "" {
		t.Errorf("bodies: %s", diff)
	}
	if calls, _ := f.counts(); calls != 2 {
		t.Errorf("%d token calls, want 2", calls)
	}

	// Tokens that are never good.
	f.answer = func(n int, w http.ResponseWriter, r *http.Request) bool {
		io.WriteString(w, `{"token_type":"Bearer","access_token":"no-good"}`)
		return true
	}
	f.revokeAll()
	if status, _ := do(t.Context(), t, rt, "GET", target, nil); status != 401 {
		t.Errorf("status %d, want 401", status)
	}
	if calls, hits := f.counts(); calls != 3 || hits != 5 {
		t.Errorf("%d token calls, %d requests; want 3 and 5", calls, hits)
	}
}

// Ten requests that fail with the same token cause one renewal.
func TestTransportRenewsOnce(t *testing.T) {
	key := newKeyPair(t)
	f := newFake(t, key)
	c := f.client(key, nil)
	// All ten have their 401 before any of them asks for a new token.
	var gate sync.WaitGroup
	gate.Add(10)
	base := f.server.Client().Transport
	rt := c.Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := base.RoundTrip(r)
		if err == nil && resp.StatusCode == 401 {
			gate.Done()
			gate.Wait()
		}
		return resp, err
	}), f.url, readScope)
	if _, err := c.Token(t.Context(), readScope); err != nil {
		t.Fatal(err)
	}
	f.revokeAll()
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if status, _ := do(t.Context(), t, rt, "GET", f.server.URL+"/api/v1/x", nil); status != 200 {
				t.Errorf("status %d", status)
			}
		})
	}
	wg.Wait()
	if calls, hits := f.counts(); calls != 2 || hits != 20 {
		t.Errorf("%d token calls and %d requests, want 2 and 20", calls, hits)
	}
}

// A body that can't be had again is not half-sent: the caller gets the 401,
// and the next request has a new token.
func TestTransportBodyOnce(t *testing.T) {
	key := newKeyPair(t)
	f := newFake(t, key)
	rt := f.client(key, nil).Transport(f.server.Client().Transport, f.url, readScope)
	target := f.server.URL + "/api/v1/orgs"
	do(t.Context(), t, rt, "GET", target, nil)
	f.revokeAll()
	body := func() io.Reader { return io.MultiReader(strings.NewReader("body")) } // has no GetBody
	if status, _ := do(t.Context(), t, rt, "POST", target, body()); status != 401 {
		t.Errorf("status %d, want 401", status)
	}
	if status, _ := do(t.Context(), t, rt, "POST", target, body()); status != 200 {
		t.Errorf("status %d, want 200", status)
	}
	f.revokeAll()
	req, _ := http.NewRequest("POST", target, strings.NewReader("body"))
	broken := errors.New("gone")
	req.GetBody = func() (io.ReadCloser, error) { return nil, broken }
	if _, err := rt.RoundTrip(req); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
}

type closeSpy struct {
	io.Reader
	closed bool
}

func (c *closeSpy) Close() error { c.closed = true; return nil }

// Whatever leads there, no credential goes to another origin: nothing is sent
// at all.
func TestNoForeignOrigin(t *testing.T) {
	key := newKeyPair(t)
	f := newFake(t, key)
	foreign := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("a request went to the foreign host, with %v", r.Header)
	}))
	defer foreign.Close()
	base := f.server.Client().Transport
	transports := map[string]http.RoundTripper{
		"token": f.client(key, nil).Transport(base, f.url, readScope),
		"SSWS":  SSWS(base, f.url, func(context.Context) (string, error) { return "canary", nil }),
	}
	for name, rt := range transports {
		for _, target := range []string{
			foreign.URL + "/api?token=q",
			strings.Replace(f.server.URL, "http:", "https:", 1) + "/api",
			"http://" + f.url.Hostname() + "/api", // another port
			"http://localhost:" + f.url.Port() + "/api",
			"ftp://" + f.url.Host + "/api",
		} {
			spy := &closeSpy{Reader: strings.NewReader("x")}
			req, err := http.NewRequest("POST", target, spy)
			if err != nil {
				t.Fatal(err)
			}
			_, err = rt.RoundTrip(req)
			if !errors.Is(err, ErrOrigin) {
				t.Errorf("%s to %s: got %v", name, target, err)
			}
			if err != nil && strings.Contains(err.Error(), "token=q") {
				t.Errorf("the error holds the query: %v", err)
			}
			if !spy.closed {
				t.Error("the body was left open")
			}
		}
	}

	// A redirect, followed by an ordinary client.
	mux := http.NewServeMux()
	mux.Handle("/", http.RedirectHandler(foreign.URL+"/stolen", http.StatusTemporaryRedirect))
	redirecting := httptest.NewServer(mux)
	defer redirecting.Close()
	home, _ := url.Parse(redirecting.URL)
	for name, rt := range map[string]http.RoundTripper{
		"token": f.client(key, nil).Transport(base, home, readScope),
		"SSWS":  SSWS(base, home, func(context.Context) (string, error) { return "canary", nil }),
	} {
		client := &http.Client{Transport: rt}
		if _, err := client.Get(redirecting.URL + "/x"); !errors.Is(err, ErrOrigin) {
			t.Errorf("%s after a redirect: got %v", name, err)
		}
	}
}

func TestSSWS(t *testing.T) {
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization")
	}))
	defer server.Close()
	home, _ := url.Parse(server.URL)
	unreadable := errors.New("no such file")
	tests := []struct {
		name, token string
		err         error
		want        string
	}{
		{"good", "00abc", nil, ""},
		{"with a line end", "00abc\n", nil, ""},
		{"unreadable", "", unreadable, "no such file"},
		{"empty", "\n", nil, "empty"},
		{"two lines", "00abc\nX-Evil: 1", nil, "spaces or other characters"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got = ""
			rt := SSWS(server.Client().Transport, home, func(context.Context) (string, error) { return tt.token, tt.err })
			req, _ := http.NewRequest("GET", server.URL, nil)
			resp, err := rt.RoundTrip(req)
			if tt.want == "" {
				if err != nil || got != "SSWS 00abc" {
					t.Fatalf("sent %q, error %v", got, err)
				}
				defer resp.Body.Close()
				if resp.Request != req || req.Header.Get("Authorization") != "" {
					t.Error("the caller sees the token")
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if got != "" || strings.Contains(err.Error(), "00abc") {
				t.Errorf("sent %q, error %q", got, err)
			}
		})
	}
	req, _ := http.NewRequest("GET", server.URL, nil)
	if _, err := SSWS(nil, home, nil).RoundTrip(req); err == nil {
		t.Error("no error without a token")
	}
}

// DPoP: the nonce is learned from a refusal, remembered, and renewed from any
// answer; each request has a proof of its own.
func TestDPoP(t *testing.T) {
	key := newKeyPair(t)
	f := newFake(t, key)
	f.dpop, f.nonce, f.apiNonce = true, "n1", "a1"
	c := f.client(key, func(o *Options) { o.DPoP = true })
	rt := c.Transport(f.server.Client().Transport, f.url, readScope)
	target := f.server.URL + "/api/v1/orgs/00o%2F1?limit=100#top"
	put := func() {
		t.Helper()
		if status, text := do(t.Context(), t, rt, "PUT", target, strings.NewReader("body")); status != 200 {
			t.Fatalf("status %d: %s", status, text)
		}
	}
	check := func(calls, hits int) {
		t.Helper()
		if c, h := f.counts(); c != calls || h != hits {
			t.Fatalf("%d token calls and %d requests, want %d and %d", c, h, calls, hits)
		}
	}
	// The two nonces share an origin here, so learning one unlearns the other.
	put()
	check(2, 2)
	put()
	check(2, 3)
	f.apiNonce = "a2"
	put()
	check(2, 5)
	for _, b := range f.bodies {
		if b != "body" {
			t.Errorf("body %q", b)
		}
	}
	// A token that expired on the server and a new nonce at once.
	f.revokeAll()
	f.apiNonce = "a3"
	f.nonce = ""
	put()
	check(3, 8)
	// A server that keeps asking does not get asked forever.
	f.apiNonce = "a4"
	spin := c.Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := f.server.Client().Transport.RoundTrip(r)
		f.mu.Lock()
		f.apiNonce += "x"
		f.mu.Unlock()
		return resp, err
	}), f.url, readScope)
	if status, _ := do(t.Context(), t, spin, "GET", f.server.URL+"/api/x", nil); status != 401 {
		t.Errorf("status %d, want 401", status)
	}
	check(3, 12)
}

// A nonce that comes with a good answer is used from then on.
func TestDPoPNonceFromGoodAnswer(t *testing.T) {
	key := newKeyPair(t)
	f := newFake(t, key)
	f.nonce = "n1"
	c := f.client(key, func(o *Options) { o.DPoP = true })
	f.answer = func(n int, w http.ResponseWriter, r *http.Request) bool {
		if n == 2 {
			w.Header().Set("DPoP-Nonce", "n2")
		}
		return false
	}
	if _, err := c.Token(t.Context(), readScope); err != nil {
		t.Fatal(err)
	}
	f.nonce = "n2"
	f.clock.advance(2 * time.Hour)
	if _, err := c.Token(t.Context(), readScope); err != nil {
		t.Fatal(err)
	}
	if calls, _ := f.counts(); calls != 3 {
		t.Errorf("%d token calls, want 3", calls)
	}
}

// Okta says that the app requires DPoP: it is turned on and stays on.
func TestDPoPTurnsItselfOn(t *testing.T) {
	key := newKeyPair(t)
	f := newFake(t, key)
	f.dpop, f.nonce = true, "n1"
	c := f.client(key, nil)
	rt := c.Transport(f.server.Client().Transport, f.url, readScope)
	if status, text := do(t.Context(), t, rt, "GET", f.server.URL+"/api/x", nil); status != 200 {
		t.Fatalf("status %d: %s", status, text)
	}
	if calls, _ := f.counts(); calls != 3 { // no proof, no nonce, good
		t.Errorf("%d token calls, want 3", calls)
	}
	tok, err := c.Token(context.Background(), "okta.accounts.manage")
	if err != nil || tok.Type != DPoP {
		t.Errorf("got %v, %v", tok, err)
	}
	if calls, _ := f.counts(); calls != 4 {
		t.Errorf("%d token calls, want 4", calls)
	}
}

// A server that never has enough of nonces ends in an error.
func TestDPoPNonceForever(t *testing.T) {
	key := newKeyPair(t)
	f := newFake(t, key)
	f.answer = func(n int, w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("DPoP-Nonce", strings.Repeat("n", n))
		refuse(w, 400, "use_dpop_nonce", "again")
		return true
	}
	_, err := f.client(key, nil).Token(context.Background(), readScope)
	var e *Error
	if !errors.As(err, &e) || e.Refusal.Code != "use_dpop_nonce" || e.Hint() == "" {
		t.Errorf("got %v", err)
	}
	if calls, _ := f.counts(); calls != 4 {
		t.Errorf("%d token calls, want 4", calls)
	}
}

// A request without headers or method is no trap.
func TestTransportBareRequest(t *testing.T) {
	key := newKeyPair(t)
	f := newFake(t, key)
	f.dpop = true
	c := f.client(key, nil)
	u, _ := url.Parse(f.server.URL + "/api/x")
	resp, err := c.Transport(nil, f.url, readScope).RoundTrip(&http.Request{URL: u})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("status %d", resp.StatusCode)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}
