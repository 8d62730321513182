package auth_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"reconciler/internal/okta/auth"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
)

const (
	readScope   = "okta.accounts.read"
	manageScope = "okta.accounts.manage"
)

// org is a simulator with a client of its service app.
type org struct {
	*simulatortest.Server
	home   *url.URL
	client *auth.Client
}

func start(t *testing.T, c simulatortest.Config, change func(*auth.Options)) *org {
	t.Helper()
	s := simulatortest.Start(t, c)
	home, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	opt := auth.Options{
		OrgURL: home, ClientID: s.Credentials.ClientID, KeyID: s.Credentials.KeyID,
		Keys: auth.Keys{OrgURL: "orgURL", ClientID: "clientID", KeyID: "keyID", DPoP: "dpop"},
		Key: func(context.Context) (auth.Key, error) {
			data, err := s.Credentials.PEM()
			if err != nil {
				return auth.Key{}, err
			}
			return auth.ParsePrivateKey(data)
		},
		HTTP: s.Client.Transport,
	}
	if change != nil {
		change(&opt)
	}
	client, err := auth.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	return &org{s, home, client}
}

// do calls the Aerial API and gives the status.
func (o *org) do(t *testing.T, rt http.RoundTripper, method, path, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, o.URL+"/"+o.AccountID+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	if resp.StatusCode >= 400 {
		t.Logf("%s %s: %d %s", method, path, resp.StatusCode, text)
	}
	return resp.StatusCode
}

// tokenCalls counts what reached the token endpoint.
func (o *org) tokenCalls() int {
	n := 0
	for _, r := range o.Requests() {
		if strings.HasSuffix(r.Path, "/oauth2/v1/token") {
			n++
		}
	}
	return n
}

// Every algorithm gets a token that opens the API, with and without DPoP, and
// whether or not the config says dpop.
func TestSimulatorAlgorithms(t *testing.T) {
	for _, alg := range []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.ES384, jose.ES512} {
		for _, dpop := range []bool{false, true} {
			for _, told := range []bool{false, true} {
				o := start(t, simulatortest.Config{Alg: alg, DPoP: dpop, Options: simulator.Options{ResourceNonce: true}},
					func(opt *auth.Options) { opt.DPoP = told })
				rt := o.client.Transport(o.Client.Transport, o.home, readScope)
				for range 3 {
					if status := o.do(t, rt, "GET", "/api/v1/orgs?limit=100", ""); status != 200 {
						t.Fatalf("%s, DPoP required %v, configured %v: status %d", alg, dpop, told, status)
					}
				}
				tok, err := o.client.Token(t.Context(), readScope)
				if err != nil || (tok.Type == auth.DPoP) != (dpop || told) {
					t.Errorf("%s, DPoP required %v, configured %v: %v, %v", alg, dpop, told, tok, err)
				}
			}
		}
	}
}

// Tokens that are revoked and nonces that are forgotten in the middle of the
// work cost one call each, for reads and writes alike.
func TestSimulatorRenewals(t *testing.T) {
	for _, dpop := range []bool{false, true} {
		o := start(t, simulatortest.Config{DPoP: dpop, Options: simulator.Options{ResourceNonce: dpop}}, nil)
		rt := o.client.Transport(o.Client.Transport, o.home, manageScope)
		rename := func(name string) {
			t.Helper()
			if status := o.do(t, rt, "PUT", "/api/v1/accounts", `{"name":"`+name+`"}`); status != 200 {
				t.Fatalf("DPoP %v: status %d", dpop, status)
			}
		}
		rename("one")
		before := o.tokenCalls()
		o.RevokeTokens()
		rename("two")
		if got := o.tokenCalls() - before; got != 1 {
			t.Errorf("DPoP %v: %d token calls after a revocation, want 1", dpop, got)
		}
		o.ForgetNonces()
		rename("three")
		o.ForgetNonces()
		o.RevokeTokens()
		rename("four")
		if name := o.Dump().Account.Name; name != "four" {
			t.Errorf("the account is called %q", name)
		}
	}
}

// Many requests at once, with tokens and nonces that cease to be good between
// them.
func TestSimulatorConcurrent(t *testing.T) {
	o := start(t, simulatortest.Config{DPoP: true, Options: simulator.Options{ResourceNonce: true}}, nil)
	rt := o.client.Transport(o.Client.Transport, o.home, readScope)
	var wg sync.WaitGroup
	// Held for writing while something is taken away, so that no request has
	// it happen to it twice.
	var between sync.RWMutex
	for worker := range 8 {
		wg.Go(func() {
			for i := range 20 {
				between.RLock()
				if status := o.do(t, rt, "GET", "/api/v1/products", ""); status != 200 {
					t.Errorf("status %d", status)
				}
				between.RUnlock()
				if worker == 0 && i%5 == 4 {
					between.Lock()
					o.ForgetNonces()
					o.RevokeTokens()
					between.Unlock()
				}
			}
		})
	}
	wg.Wait()
	// Three calls at first (without a proof, without a nonce, good), then two
	// each of the four times (with the old nonce, good), however many asked.
	if calls := o.tokenCalls(); calls > 3+4*2 {
		t.Errorf("%d token calls", calls)
	}
}

// What goes wrong on the way is tried again; the result is a token.
func TestSimulatorFaults(t *testing.T) {
	for name, fault := range map[string]simulator.Fault{
		"429":             {Status: 429},
		"500":             {Status: 500},
		"500 after":       {Status: 500, After: true},
		"cut":             {Cut: true},
		"cut body":        {CutBody: true},
		"503 with a wait": {Status: 503, RetryAfter: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := start(t, simulatortest.Config{}, nil)
			fault.Path, fault.Times = "/oauth2/v1/token", 2
			if err := o.AddFault(fault); err != nil {
				t.Fatal(err)
			}
			if _, err := o.client.Token(t.Context(), readScope); err != nil {
				t.Error(err)
			}
			if got := o.tokenCalls(); got != 3 {
				t.Errorf("%d token calls, want 3", got)
			}
		})
	}
}

// The simulator's words, like Okta's, stand in the error, and the hint fits
// them.
func TestSimulatorRefusals(t *testing.T) {
	ahead := func() time.Time { return time.Now().Add(2 * time.Hour) }
	other, err := auth.ParsePrivateKey(otherKey(t))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name      string
		config    simulatortest.Config
		change    func(*auth.Options)
		scope     string
		err, hint string
	}{
		{name: "wrong client", change: func(o *auth.Options) { o.ClientID = "0oaother" },
			err: "invalid_client: Invalid value for 'client_id' parameter.", hint: "check clientID"},
		{name: "wrong kid", change: func(o *auth.Options) { o.KeyID = "other" },
			err: "invalid_client", hint: "check keyID"},
		{name: "wrong key", change: func(o *auth.Options) { o.Key = func(context.Context) (auth.Key, error) { return other, nil } },
			err: "signature is invalid", hint: "not the other half"},
		{name: "clock", change: func(o *auth.Options) { o.Now = ahead },
			err: "too far into the future", hint: "this machine's clock is 2h0m0s ahead of Okta's"},
		{name: "scope not granted", config: simulatortest.Config{Scopes: []string{readScope}}, scope: manageScope,
			err: "You are not allowed any of the requested scopes.", hint: "grant okta.accounts.manage"},
		{name: "scope unknown", scope: "okta.accounts.admin",
			err: "invalid_scope", hint: "grant okta.accounts.admin"},
		{name: "not an org", change: func(o *auth.Options) { o.OrgURL = o.OrgURL.JoinPath("elsewhere") },
			err: "HTTP 404", hint: "no token endpoint"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := start(t, tt.config, tt.change)
			scope := readScope
			if tt.scope != "" {
				scope = tt.scope
			}
			_, err := o.client.Token(t.Context(), scope)
			var e *auth.Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), tt.err) || !strings.Contains(e.Hint(), tt.hint) {
				t.Errorf("error %v", err)
				if e != nil {
					t.Errorf("hint %s", e.Hint())
				}
			}
		})
	}
	t.Run("one of two scopes", func(t *testing.T) {
		o := start(t, simulatortest.Config{Scopes: []string{readScope}}, nil)
		_, err := o.client.Token(t.Context(), readScope, "okta.logs.read")
		var e *auth.Error
		if !errors.As(err, &e) || !strings.Contains(e.Hint(), "grant okta.logs.read") {
			t.Errorf("got %v", err)
		}
	})
}

func otherKey(t *testing.T) []byte {
	t.Helper()
	data, err := simulatortest.New(t, simulatortest.Config{}).Credentials.PEM()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A redirect of the API or of the token endpoint takes nothing along.
func TestSimulatorRedirects(t *testing.T) {
	foreign := simulatortest.Start(t, simulatortest.Config{})
	o := start(t, simulatortest.Config{}, nil)
	if err := o.AddFault(simulator.Fault{Path: "/api/v1/orgs", Redirect: foreign.URL + "/api/v1/orgs"}); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: o.client.Transport(o.Client.Transport, o.home, readScope)}
	if _, err := client.Get(o.URL + "/" + o.AccountID + "/api/v1/orgs"); !errors.Is(err, auth.ErrOrigin) {
		t.Errorf("got %v", err)
	}
	if err := o.AddFault(simulator.Fault{Path: "/oauth2/v1/token", Redirect: foreign.URL + "/oauth2/v1/token"}); err != nil {
		t.Fatal(err)
	}
	var e *auth.Error
	if _, err := o.client.Token(t.Context(), manageScope); !errors.As(err, &e) || e.Refusal.Status != 307 {
		t.Errorf("got %v", err)
	}
	if seen := foreign.Requests(); len(seen) > 0 {
		t.Errorf("the foreign host saw %v", seen)
	}
}

// The SSWS token of a parent opens the parent's API and nothing else.
func TestSimulatorSSWS(t *testing.T) {
	s := simulatortest.Start(t, simulatortest.Config{})
	home, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	get := func(token string) int {
		rt := auth.SSWS(s.Client.Transport, home, func(context.Context) (string, error) { return token, nil })
		resp, err := (&http.Client{Transport: rt}).Get(s.URL + "/api/v1/org/privacy/aerial")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if status := get(s.ParentToken + "\n"); status != 200 {
		t.Errorf("status %d", status)
	}
	if status := get("00wrong"); status != 401 {
		t.Errorf("status %d with a wrong token", status)
	}
}
