package parent

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"reconciler/internal/okta/auth"
	"reconciler/internal/okta/rest"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
	"reconciler/internal/state"
)

// world is a simulator behind HTTP in memory.
type world struct {
	*simulatortest.Server
	home *url.URL
	base http.RoundTripper
}

func newWorld(t *testing.T, c simulatortest.Config) *world {
	t.Helper()
	s := simulatortest.New(t, c)
	return &world{s, &url.URL{Scheme: "http", Host: simulator.DefaultParent}, serve(t, s.ServeHTTP)}
}

func (w *world) client(t *testing.T, auth func(http.RoundTripper) http.RoundTripper, log *slog.Logger) *Client {
	t.Helper()
	return newClient(t, w.base, func(o *Options) { o.URL, o.Auth, o.Logger = w.home, auth, log })
}

func (w *world) ssws(token string) func(http.RoundTripper) http.RoundTripper {
	return func(rt http.RoundTripper) http.RoundTripper {
		return auth.SSWS(rt, w.home, func(context.Context) (string, error) { return token, nil })
	}
}

func TestBySSWS(t *testing.T) {
	w := newWorld(t, simulatortest.Config{})
	c := w.client(t, w.ssws(w.ParentToken), nil)
	if err := c.CheckConsent(t.Context(), w.AccountID); err != nil {
		t.Error(err)
	}
	made, err := c.CreateOrg(t.Context(), "acme-fresh", testOrg, yes)
	if err != nil {
		t.Fatal(err)
	}
	live, ok := w.Org("acme-fresh.okta.com")
	if !ok || live.ID != made.OrgID || live.Tokens[0] != made.Token.Secret() || made.Domain != live.Domain || made.Subdomain != "acme-fresh" || made.Flaw != "" {
		t.Errorf("got %+v of %v", made, ok)
	}
	if _, err := c.CreateOrg(t.Context(), "acme-fresh", testOrg, yes); !Taken(err) {
		t.Errorf("the second one: %v", err)
	}
	bad := testOrg
	bad.Admin.Email = "nobody"
	if _, err := c.CreateOrg(t.Context(), "acme-other", bad, yes); err == nil || Taken(err) ||
		!strings.Contains(err.Error(), "400 E0000001 Api validation failed: subdomain: admin.profile.email: ") {
		t.Errorf("a bad address: %v", err)
	}
}

// A parent tells its id, by whatever name, without credentials.
func TestOrgID(t *testing.T) {
	w := newWorld(t, simulatortest.Config{})
	c := w.client(t, func(http.RoundTripper) http.RoundTripper { t.Error("credentials are used"); return nil }, nil)
	org, _ := w.Org(simulator.DefaultParent)
	if id, err := c.OrgID(t.Context()); err != nil || id != org.ID {
		t.Errorf("%q, %v", id, err)
	}
	if err := w.RenameOrg(simulator.DefaultParent, "acme-group.okta.com"); err != nil {
		t.Fatal(err)
	}
	if id, err := c.OrgID(t.Context()); err != nil || id != org.ID {
		t.Errorf("renamed: %q, %v", id, err)
	}
	for fault, words := range map[string]string{
		"status=404": "asking the parent \"acme\" for its id: 404",
		"garbage":    "with an unreadable body",
		"empty":      "it is empty",
		"cut":        "(tried 2 times)",
	} {
		w.ClearFaults()
		w.Fault(t, "GET /.well-known/okta-organization "+fault)
		if id, err := c.OrgID(t.Context()); err == nil || id != "" || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %q, %v", fault, id, err)
		}
	}
}

// A subdomain or name that Okta doesn't take is sent once, creates nothing, and the
// hint says what to declare.
func TestRefusedNames(t *testing.T) {
	w := newWorld(t, simulatortest.Config{})
	c := w.client(t, w.ssws(w.ParentToken), nil)
	long := testOrg
	long.Name = strings.Repeat("n", 101)
	for _, tt := range []struct {
		subdomain  string
		org        state.Create
		code, hint string
	}{
		{"www", testOrg, "E0000170", "Okta keeps this subdomain"},
		{"login", testOrg, "E0000170", "Okta keeps this subdomain"},
		{"acme-other-admin", testOrg, "E0000170", "Okta keeps this subdomain"},
		{"bad name", testOrg, "E0000089", "letters, digits, and hyphens"},
		{"acme-long", long, "E0000089", "at most 100 characters"},
		{strings.Repeat("a", 58), testOrg, "E0000172", "at most 57 characters"},
	} {
		asked := 0
		_, err := c.CreateOrg(t.Context(), tt.subdomain, tt.org, func(context.Context) error { asked++; return nil })
		var uncertain *rest.UncertainError
		if err == nil || Taken(err) || errors.As(err, &uncertain) || asked != 1 ||
			!strings.Contains(err.Error(), "400 "+tt.code) || !strings.Contains(hintOf(err), tt.hint) {
			t.Errorf("%q, sent %d times: %v; hint %q", tt.subdomain, asked, err, hintOf(err))
		}
		if _, ok := w.Org(tt.subdomain + ".okta.com"); ok {
			t.Errorf("%q was created", tt.subdomain)
		}
	}
}

func TestByServiceApp(t *testing.T) {
	for _, dpop := range []bool{false, true} {
		seed := simulator.DefaultSeed(4)
		credentials, err := seed.AddClient(simulator.DefaultParent, jose.ES256, "okta.orgs.manage")
		if err != nil {
			t.Fatal(err)
		}
		seed.Clients[len(seed.Clients)-1].DPoP = dpop
		w := newWorld(t, simulatortest.Config{Seed: seed, Options: simulator.Options{ResourceNonce: true}})
		pem, err := credentials.PEM()
		if err != nil {
			t.Fatal(err)
		}
		app, err := auth.New(auth.Options{
			OrgURL: w.home, ClientID: credentials.ClientID, KeyID: credentials.KeyID,
			Key:  func(context.Context) (auth.Key, error) { return auth.ParsePrivateKey(pem) },
			HTTP: w.base,
		})
		if err != nil {
			t.Fatal(err)
		}
		c := w.client(t, func(rt http.RoundTripper) http.RoundTripper { return app.Transport(rt, w.home, "okta.orgs.manage") }, nil)
		if err := c.CheckConsent(t.Context(), w.AccountID); err != nil {
			t.Errorf("DPoP %v: %v", dpop, err)
		}
		// A token that ended costs a refusal, which did nothing, and a new one.
		w.RevokeTokens()
		if made, err := c.CreateOrg(t.Context(), "acme-fresh", testOrg, yes); err != nil || made.Token.IsZero() {
			t.Errorf("DPoP %v: %+v, %v", dpop, made, err)
		}
	}
}

func TestConsentIsMissing(t *testing.T) {
	seed := simulator.DefaultSeed(4)
	for i := range seed.Orgs {
		if seed.Orgs[i].Domain == simulator.DefaultParent {
			seed.Orgs[i].Consent, seed.Orgs[i].Managed = false, false
		}
	}
	w := newWorld(t, simulatortest.Config{Seed: seed})
	err := w.client(t, w.ssws(w.ParentToken), nil).CheckConsent(t.Context(), w.AccountID)
	if !errors.Is(err, ErrNoConsent) || !strings.Contains(hintOf(err), w.AccountID) {
		t.Errorf("got %v", err)
	}
}

func TestNoOrgCreator(t *testing.T) {
	w := newWorld(t, simulatortest.Config{})
	made, err := w.client(t, w.ssws(w.ParentToken), nil).CreateOrg(t.Context(), "acme-fresh", testOrg, yes)
	if err != nil {
		t.Fatal(err)
	}
	// A child makes no children. Its token works once it has settled.
	now := time.Now().Add(time.Minute)
	w = newWorld(t, simulatortest.Config{Seed: w.Dump(), Options: simulator.Options{Now: func() time.Time { return now }}})
	w.home.Host = made.Domain
	_, err = w.client(t, w.ssws(made.Token.Secret()), nil).CreateOrg(t.Context(), "acme-grandchild", testOrg, yes)
	var e *rest.Error
	if !errors.As(err, &e) || e.Status != 403 || !strings.Contains(hintOf(err), "Okta Support") {
		t.Errorf("got %v", err)
	}
}

// With each fault: what the client says about whether there is a new org is so,
// the token that came over is not lost, and neither token is in the log.
func TestFaults(t *testing.T) {
	for _, f := range []simulator.Fault{
		{Status: 500}, {Status: 500, After: true}, {Status: 503, RetryAfter: time.Second}, {Status: 403}, {Status: 400},
		{Cut: true}, {Cut: true, After: true}, {CutBody: true}, {Garbage: true}, {Empty: true},
		{Hang: true}, {Hang: true, After: true}, {ContentType: "text/html"}, {Redirect: "http://127.0.0.1:1/"},
		{Status: 429, RetryAfter: time.Second, Times: 1}, {Delay: time.Minute},
	} {
		t.Run(f.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f.Method, f.API, f.Path = "POST", "org", "/api/v1/orgs"
				w := newWorld(t, simulatortest.Config{})
				if err := w.AddFault(f); err != nil {
					t.Fatal(err)
				}
				var out bytes.Buffer
				log := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
				made, err := w.client(t, w.ssws(w.ParentToken), log).CreateOrg(t.Context(), "acme-fresh", testOrg, yes)
				log.Info("result", "made", made, "error", err)
				live, exists := w.Org("acme-fresh.okta.com")
				var open *rest.UncertainError
				switch {
				case err == nil && !exists:
					t.Error("told as made, and is not there")
				case err != nil && !errors.As(err, &open) && exists:
					t.Errorf("told as not made, and is there: %v", err)
				case err == nil && !made.Token.IsZero() && made.Token.Secret() != live.Tokens[0]:
					t.Error("not the org's token")
				}
				if exists && strings.Contains(out.String(), live.Tokens[0]) || strings.Contains(out.String(), w.ParentToken) {
					t.Errorf("told a token:\n%s", out.String())
				}
			})
		})
	}
}
