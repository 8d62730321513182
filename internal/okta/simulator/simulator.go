package simulator

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	defaultSettle        = 30 * time.Second
	defaultTokenLifetime = time.Hour
	defaultConcurrent    = 10
	defaultCreate        = 10
	// maxHistory caps the request log and the System Log, so that a simulator
	// that runs for days does not grow without end.
	maxHistory = 100_000
)

// Options are what a Simulator does not take from its seed. The zero value is
// a simulator that answers at once and keeps Okta's times.
type Options struct {
	// Now is the simulator's clock; nil means time.Now. Tokens, nonces, rate
	// limits, settling and the Date header go by it. It is called from many
	// goroutines.
	Now func() time.Time
	// Latency is how long every call takes at least, by the real clock.
	Latency time.Duration
	// Settle is how long a new org can't be linked or called; 0 means Okta's
	// 30 seconds, a negative value none.
	Settle time.Duration
	// TokenLifetime of access tokens; 0 means Okta's hour.
	TokenLifetime time.Duration
	// ResourceNonce makes the APIs too, not only the token endpoint, ask for a
	// nonce in DPoP proofs (RFC 9449 section 9).
	ResourceNonce bool
	// RandSeed starts the source of all ids, of product order and of faults
	// with a probability. The same seed and the same calls in the same order
	// give the same answers, secrets excepted.
	RandSeed uint64
	// Logger gets one debug line a call; nil means none.
	Logger *slog.Logger
}

// Simulator is a running stand-in for Okta. It is an http.Handler; all its
// methods may be called at the same time from many goroutines.
type Simulator struct {
	opts   Options
	routes []route
	secret []byte // signs cursors

	mu sync.Mutex
	// seed holds what there is but for the orgs, which are kept in orgs.
	seed     *Seed
	orgs     []*Org // only ever appended to: cursors are places in it
	byID     map[string]*Org
	byDomain map[string]*Org
	clients  map[string]*client
	ssws     map[string]*Org // by token
	random   *rand.Rand

	tokens   map[string]*accessToken
	seen     map[string]time.Time // used jtis, until they would be refused anyway
	nonces   []nonce
	consents map[string]consent // by domain

	log     []*event
	dropped int                    // events that fell out of the log
	creates map[string][]time.Time // calls of the Org Creator API, by parent
	minute  window

	faults   []*armedFault
	slots    int // that calls of the Aerial API hold
	inFlight int // such calls, with those that got no slot
	maxSeen  int // the most that were ever in flight
	requests []*Request
	count    int // requests ever
}

// New starts a simulator from a seed, which is copied. The error says
// everything that is wrong with the seed.
func New(seed *Seed, opts Options) (*Simulator, error) {
	if seed == nil {
		return nil, errors.New("simulator: no seed")
	}
	if err := seed.Validate(); err != nil {
		return nil, fmt.Errorf("simulator: bad seed: %w", err)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	opts.Settle = max(cmp.Or(opts.Settle, defaultSettle), 0)
	opts.TokenLifetime = cmp.Or(opts.TokenLifetime, defaultTokenLifetime)
	s := &Simulator{
		opts:     opts,
		routes:   routes(),
		secret:   []byte(newSecret()),
		seed:     seed.clone(),
		byID:     map[string]*Org{},
		byDomain: map[string]*Org{},
		clients:  map[string]*client{},
		ssws:     map[string]*Org{},
		random:   rand.New(rand.NewPCG(opts.RandSeed, 0x0a11a5)),
		tokens:   map[string]*accessToken{},
		seen:     map[string]time.Time{},
		consents: map[string]consent{},
		creates:  map[string][]time.Time{},
	}
	s.index()
	return s, nil
}

// index fills in the defaults of a valid seed and builds the maps over it.
func (s *Simulator) index() {
	l := &s.seed.Limits
	l.Concurrent = cmp.Or(l.Concurrent, defaultConcurrent)
	l.CreatePerMinute = cmp.Or(l.CreatePerMinute, defaultCreate)
	orgs := s.seed.Orgs
	s.seed.Orgs = nil
	for i := range orgs {
		o := orgs[i]
		s.complete(&o)
		s.addOrg(&o)
	}
	for i := range s.seed.Clients {
		c := newClient(&s.seed.Clients[i])
		s.clients[c.ID] = c
	}
}

// complete fills in the defaults of an org.
func (s *Simulator) complete(o *Org) {
	now := s.opts.Now()
	o.Status = cmp.Or(o.Status, active)
	o.CreatedDate = cmp.Or(o.CreatedDate, formatTime(now))
	slices.Sort(o.Products)
	if o.Consent {
		s.consents[o.Domain] = consent{by: o.CreatedBy, at: now}
	}
}

func (s *Simulator) addOrg(o *Org) {
	s.orgs = append(s.orgs, o)
	s.byID[o.ID] = o
	s.byDomain[o.Domain] = o
	for _, t := range o.Tokens {
		s.ssws[t] = o
	}
}

// Dump returns the present state as a seed: New(s.Dump()) is a simulator in the
// same state, with an empty log and without the access tokens handed out. It
// holds the SSWS tokens of created orgs.
func (s *Simulator) Dump() *Seed {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dump()
}

func (s *Simulator) dump() *Seed {
	d := s.seed.clone()
	for _, o := range s.orgs {
		d.Orgs = append(d.Orgs, o.clone())
	}
	return d
}

// Orgs returns copies of all associated orgs, in the order in which the API
// lists the managed ones.
func (s *Simulator) Orgs() []Org {
	return s.Dump().Orgs
}

// Org returns a copy of an org by its domain, and whether it exists.
func (s *Simulator) Org(domain string) (Org, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.byDomain[strings.ToLower(domain)]
	if o == nil {
		return Org{}, false
	}
	return o.clone(), true
}

// isParent reports whether o has children or may have: such an org must not be
// deactivated.
func (s *Simulator) isParent(o *Org) bool {
	return o.Creator || slices.ContainsFunc(s.orgs, func(c *Org) bool { return c.Parent == o.Domain })
}

// ready reports whether a new org has settled.
func (s *Simulator) ready(o *Org) bool {
	if o.ReadyDate == "" {
		return true
	}
	at, err := time.Parse(oktaTime, o.ReadyDate)
	return err != nil || !s.opts.Now().Before(at)
}

// decides returns the org whose consent counts for o: its parent, or itself.
// A parent is never a child.
func (s *Simulator) decides(o *Org) *Org {
	if o.Parent != "" {
		return s.byDomain[o.Parent]
	}
	return o
}

func formatTime(t time.Time) string { return t.UTC().Format(oktaTime) }
