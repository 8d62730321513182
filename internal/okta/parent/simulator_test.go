package parent_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"reconciler/internal/okta/auth"
	"reconciler/internal/okta/parent"
	"reconciler/internal/okta/rest"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
	"reconciler/internal/state"
)

var org = state.Create{
	Parent: "acme", Name: "Acme Fresh", Website: "https://acme.example",
	Admin: state.Admin{FirstName: "Ada", LastName: "Admin", Email: "okta@acme.example", Login: "okta@acme.example"},
}

func origin(t *testing.T, s *simulatortest.Server) *url.URL {
	t.Helper()
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func client(t *testing.T, s *simulatortest.Server, auth func(http.RoundTripper) http.RoundTripper, log *slog.Logger) *parent.Client {
	t.Helper()
	c, err := parent.New(parent.Options{
		Name: "acme", URL: origin(t, s), Transport: s.Client.Transport, Auth: auth, Timeout: 2 * time.Second, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func ssws(t *testing.T, s *simulatortest.Server, token string) func(http.RoundTripper) http.RoundTripper {
	return func(rt http.RoundTripper) http.RoundTripper {
		return auth.SSWS(rt, origin(t, s), func() (string, error) { return token, nil })
	}
}

func TestBySSWS(t *testing.T) {
	s := simulatortest.Start(t, simulatortest.Config{})
	c := client(t, s, ssws(t, s, s.ParentToken), nil)
	if err := c.CheckConsent(t.Context(), s.AccountID); err != nil {
		t.Error(err)
	}
	made, err := c.CreateOrg(t.Context(), "acme-fresh", org)
	if err != nil {
		t.Fatal(err)
	}
	live, ok := s.Org("acme-fresh.okta.com")
	if !ok || live.ID != made.OrgID || live.Tokens[0] != made.Token.Secret() || made.Domain != live.Domain || made.Subdomain != "acme-fresh" || made.Flaw != "" {
		t.Errorf("got %+v of %v", made, ok)
	}
	if _, err := c.CreateOrg(t.Context(), "acme-fresh", org); !parent.Taken(err) {
		t.Errorf("the second one: %v", err)
	}
	bad := org
	bad.Admin.Email = "nobody"
	if _, err := c.CreateOrg(t.Context(), "acme-other", bad); err == nil || parent.Taken(err) ||
		!strings.Contains(err.Error(), "400 E0000001 Api validation failed: subdomain: admin.profile.email: ") {
		t.Errorf("a bad address: %v", err)
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
		s := simulatortest.Start(t, simulatortest.Config{Seed: seed, Options: simulator.Options{ResourceNonce: true}})
		pem, err := credentials.PEM()
		if err != nil {
			t.Fatal(err)
		}
		app, err := auth.New(auth.Options{
			OrgURL: origin(t, s), ClientID: credentials.ClientID, KeyID: credentials.KeyID,
			Key:  func() (auth.Key, error) { return auth.ParsePrivateKey(pem) },
			HTTP: s.Client.Transport,
		})
		if err != nil {
			t.Fatal(err)
		}
		c := client(t, s, func(rt http.RoundTripper) http.RoundTripper {
			return app.Transport(rt, origin(t, s), "okta.orgs.manage")
		}, nil)
		if err := c.CheckConsent(t.Context(), s.AccountID); err != nil {
			t.Errorf("DPoP %v: %v", dpop, err)
		}
		// A token that ended costs a refusal, which did nothing, and a new one.
		s.RevokeTokens()
		if made, err := c.CreateOrg(t.Context(), "acme-fresh", org); err != nil || made.Token.IsZero() {
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
	s := simulatortest.Start(t, simulatortest.Config{Seed: seed})
	c := client(t, s, ssws(t, s, s.ParentToken), nil)
	err := c.CheckConsent(t.Context(), s.AccountID)
	var h interface{ Hint() string }
	if !errors.Is(err, parent.ErrNoConsent) || !errors.As(err, &h) || !strings.Contains(h.Hint(), s.AccountID) {
		t.Errorf("got %v", err)
	}
}

func TestNoOrgCreator(t *testing.T) {
	s := simulatortest.Start(t, simulatortest.Config{})
	made, err := client(t, s, ssws(t, s, s.ParentToken), nil).CreateOrg(t.Context(), "acme-fresh", org)
	if err != nil {
		t.Fatal(err)
	}
	// A child makes no children. Its token works once it has settled.
	now := time.Now().Add(time.Minute)
	s = simulatortest.Start(t, simulatortest.Config{Seed: s.Dump(), Options: simulator.Options{Now: func() time.Time { return now }}})
	_, err = client(t, s, ssws(t, s, made.Token.Secret()), nil).CreateOrg(t.Context(), "acme-grandchild", org)
	var e *parent.Error
	if !errors.As(err, &e) || e.Status != 403 || !strings.Contains(e.Hint(), "Okta Support") {
		t.Errorf("got %v", err)
	}
}

// With each fault: what the client says about whether there is a new org is so,
// the token that came over is not lost, and neither is told anybody else.
func TestFaults(t *testing.T) {
	for _, f := range []simulator.Fault{
		{Status: 500}, {Status: 500, After: true}, {Status: 503, RetryAfter: time.Second}, {Status: 403}, {Status: 400},
		{Cut: true}, {Cut: true, After: true}, {CutBody: true}, {Garbage: true}, {Empty: true},
		{Hang: true}, {Hang: true, After: true}, {ContentType: "text/html"}, {Redirect: "http://127.0.0.1:1/"},
		{Status: 429, RetryAfter: time.Second, Times: 1}, {Delay: 3 * time.Second},
	} {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			f.Method, f.API, f.Path = "POST", "org", "/api/v1/orgs"
			s := simulatortest.Start(t, simulatortest.Config{})
			if err := s.AddFault(f); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			log := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
			made, err := client(t, s, ssws(t, s, s.ParentToken), log).CreateOrg(t.Context(), "acme-fresh", org)
			log.Info("result", "made", made, "error", err)
			live, exists := s.Org("acme-fresh.okta.com")
			var open *rest.UncertainError
			switch {
			case err == nil && !exists:
				t.Error("told as made, and is not there")
			case err != nil && !errors.As(err, &open) && exists:
				t.Errorf("told as not made, and is there: %v", err)
			case err == nil && !made.Token.IsZero() && made.Token.Secret() != live.Tokens[0]:
				t.Error("not the org's token")
			}
			if exists && strings.Contains(out.String(), live.Tokens[0]) || strings.Contains(out.String(), s.ParentToken) {
				t.Errorf("told a token:\n%s", out.String())
			}
		})
	}
}
