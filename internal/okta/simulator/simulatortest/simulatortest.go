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

// Config says what to start; the zero value is a fleet of ten orgs with one
// client that may do everything.
type Config struct {
	// Orgs is how many managed orgs DefaultSeed makes; 0 means 10.
	Orgs int
	// Seed instead of DefaultSeed. The test's client is added to it.
	Seed *simulator.Seed
	// Scopes of the client; nil means okta.accounts.read, okta.accounts.manage
	// and okta.logs.read.
	Scopes []string
	// Alg is the algorithm that the client's key is for; empty means ES256,
	// which is made quickly.
	Alg jose.SignatureAlgorithm
	// DPoP makes the client one that requires DPoP.
	DPoP bool
	// Options of the simulator.
	Options simulator.Options
}

// Server is a simulator that listens on loopback until the test ends.
type Server struct {
	*simulator.Simulator
	simulator.Access
	// Client speaks to the server and is closed with it.
	Client *http.Client
}

// Fault arms a fault given in ParseFault's form.
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

// Start starts a simulator. It fails the test when the seed is bad.
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

// New makes a simulator that listens nowhere: it is reached through Client or
// the simulator's RoundTripper, also inside a testing/synctest bubble. Its URL
// is https://acme-aerial.okta.com.
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
	s, err := simulator.New(seed, c.Options)
	if err != nil {
		t.Fatal(err)
	}
	access.URL, access.Settle = "https://"+simulator.DefaultAerialOrg, c.Options.Settle
	return &Server{Simulator: s, Access: *access, Client: &http.Client{Transport: s.RoundTripper()}}
}
