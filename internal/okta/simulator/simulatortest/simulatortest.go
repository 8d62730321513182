// Package simulatortest starts simulators for tests.
package simulatortest

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"reconciler/internal/okta/simulator"
)

// Config is what to start. The zero value is a fleet of ten orgs with one client
// that has all scopes of the Aerial API.
type Config struct {
	// Orgs is how many managed orgs DefaultSeed has; 0 means 10.
	Orgs int
	// Seed replaces DefaultSeed. The test's client is added to it.
	Seed *simulator.Seed
	// Scopes are those of the client; nil means okta.accounts.read,
	// okta.accounts.manage and okta.logs.read.
	Scopes []string
	// Alg is the algorithm of the client's key; empty means ES256, whose keys
	// are generated quickly.
	Alg jose.SignatureAlgorithm
	// DPoP means that the client requires DPoP.
	DPoP bool
	// OrgScopes are those of a second client, which every org has; none if it is
	// empty. It requires DPoP if OrgDPoP is true.
	OrgScopes []string
	OrgDPoP   bool
	Options   simulator.Options
}

// Server is a simulator for a test.
type Server struct {
	*simulator.Simulator
	simulator.Access
	// Client sends requests to the simulator.
	Client *http.Client
}

// Fault adds a fault in ParseFault's form. It fails the test if that is wrong.
func (s *Server) Fault(t testing.TB, text string) {
	t.Helper()
	f, err := simulator.ParseFault(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AddFault(f); err != nil {
		t.Fatal(err)
	}
}

// Start returns a simulator that listens on loopback until the test ends. It fails
// the test if the seed is invalid.
func Start(t testing.TB, c Config) *Server {
	t.Helper()
	s := New(t, c)
	ctx, cancel := context.WithCancel(context.Background())
	srv := httptest.NewUnstartedServer(s.Simulator)
	srv.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	srv.Start()
	t.Cleanup(func() {
		cancel() // ends the calls that hang
		srv.Close()
	})
	s.URL, s.Client = srv.URL, srv.Client()
	return s
}

// OrgURL returns the base URL of the own API of the org with the domain.
func (s *Server) OrgURL(domain string) string { return s.URL + "/org/" + domain }

// New returns a simulator without a listener: Client and the simulator's
// RoundTripper call it directly, also inside a testing/synctest bubble. Its URL is
// https://acme-aerial.okta.com. It fails the test if the seed is invalid.
func New(t testing.TB, c Config) *Server {
	t.Helper()
	seed := c.Seed
	if seed == nil {
		if c.Orgs == 0 {
			c.Orgs = 10
		}
		seed = simulator.DefaultSeed(c.Orgs)
	}
	if c.Scopes == nil {
		c.Scopes = []string{"okta.accounts.read", "okta.accounts.manage", "okta.logs.read"}
	}
	if c.Alg == "" {
		c.Alg = jose.ES256
	}
	access, err := simulator.Grant(seed, c.Alg, c.DPoP, c.Scopes...)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.OrgScopes) > 0 {
		if access.OrgCredentials, err = seed.AddClient(simulator.AllOrgs, c.Alg, c.OrgScopes...); err != nil {
			t.Fatal(err)
		}
		seed.Clients[len(seed.Clients)-1].DPoP = c.OrgDPoP
	}
	s, err := simulator.New(seed, c.Options)
	if err != nil {
		t.Fatal(err)
	}
	access.URL, access.Settle = "https://"+simulator.DefaultAerialOrg, c.Options.Settle
	return &Server{Simulator: s, Access: *access, Client: &http.Client{Transport: s.RoundTripper()}}
}
