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
	// maxHistory limits the request log and the System Log.
	maxHistory = 100_000
)

// Options are the options of a Simulator. With the zero value it answers at once
// and has Okta's times.
type Options struct {
	// Now is the clock for tokens, nonces, rate limits, settling and the Date
	// header; nil means time.Now. It must be safe for concurrent use.
	Now func() time.Time
	// Latency is how long every call takes at least, by the real clock.
	Latency time.Duration
	// Settle is how long a new org can't be linked or called; 0 means Okta's
	// 30 seconds, a negative value none.
	Settle time.Duration
	// TokenLifetime is that of access tokens; 0 means Okta's hour.
	TokenLifetime time.Duration
	// ResourceNonce makes the APIs, like the token endpoint, require a nonce in
	// DPoP proofs (RFC 9449 section 9).
	ResourceNonce bool
	// RandSeed is the seed of all ids, of the order of products and of faults
	// with a probability. The same seed and the same calls in the same order
	// result in the same answers, except for secrets.
	RandSeed uint64
	// Logger gets one debug line per call; nil means none.
	Logger *slog.Logger
}

// Simulator is a simulated Okta. It is an http.Handler; its methods are safe for
// concurrent use.
type Simulator struct {
	opts   Options
	routes []route
	secret []byte // signs cursors

	mu sync.Mutex
	// seed is the present state except for the orgs, which are in orgs.
	seed      *Seed
	orgRoutes []route
	states    map[*Org]*orgState
	parsed    map[string]doc            // configurations of the seed
	orgCalls  map[string]map[string]int // by domain and method
	orgs      []*Org                    // append only: cursors are indexes of it
	byID      map[string]*Org
	byDomain  map[string]*Org
	clients   map[string]*client
	ssws      map[string]*apiToken
	random    *rand.Rand

	tokens   map[string]*accessToken
	seen     map[string]time.Time // used jtis, until they are too old anyway
	nonces   []nonce
	consents map[string]consent // by domain

	log       []*event // in the order in which they came
	late      []*event // that have not come yet
	logFaults LogFaults
	dropped   int                    // events that are no longer in the log
	creates   map[string][]time.Time // calls of the Org Creator API, by parent
	minute    window

	faults   []*activeFault
	slots    int // of calls of the Aerial API
	inFlight int // such calls, with those that have no slot
	maxSeen  int // the most that were ever in flight
	requests []*Request
	count    int // requests ever
}

// New returns a simulator with a copy of the seed. The error has everything that
// is wrong with the seed.
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
		opts:      opts,
		routes:    routes(),
		orgRoutes: orgRoutes(),
		states:    map[*Org]*orgState{},
		parsed:    map[string]doc{},
		orgCalls:  map[string]map[string]int{},
		secret:    []byte(newSecret()),
		seed:      seed.clone(),
		byID:      map[string]*Org{},
		byDomain:  map[string]*Org{},
		clients:   map[string]*client{},
		ssws:      map[string]*apiToken{},
		random:    rand.New(rand.NewPCG(opts.RandSeed, 0x0a11a5)),
		tokens:    map[string]*accessToken{},
		seen:      map[string]time.Time{},
		consents:  map[string]consent{},
		creates:   map[string][]time.Time{},
	}
	s.index()
	if err := s.tryConfigurations(); err != nil {
		return nil, fmt.Errorf("simulator: bad seed: %w", err)
	}
	return s, nil
}

// index fills in the defaults of a valid seed and builds the maps over it.
func (s *Simulator) index() {
	l := &s.seed.Limits
	l.Concurrent = cmp.Or(l.Concurrent, defaultConcurrent)
	l.CreatePerMinute = cmp.Or(l.CreatePerMinute, defaultCreate)
	for _, o := range s.seed.Orgs {
		s.addOrg(&o)
	}
	s.seed.Orgs = nil
	for i := range s.seed.Clients {
		c := newClient(&s.seed.Clients[i])
		s.clients[c.ID] = c
	}
}

// addOrg adds an org and fills in its defaults.
func (s *Simulator) addOrg(o *Org) {
	now := s.opts.Now()
	o.Status = cmp.Or(o.Status, active)
	o.CreatedDate = cmp.Or(o.CreatedDate, formatTime(now))
	slices.Sort(o.Products)
	if o.Consent {
		s.consents[o.Domain] = consent{by: userID(o.CreatedBy), at: now}
	}
	s.orgs = append(s.orgs, o)
	s.byID[o.ID] = o
	s.byDomain[o.Domain] = o
	for _, t := range o.Tokens {
		s.ssws[t] = &apiToken{org: o, used: now}
	}
}

// Dump returns the present state as a seed: New(s.Dump()) is a simulator in the
// same state, with empty logs and without access tokens. Objects of the orgs' own
// APIs get new ids there, except apps, and those that refer to deleted ones are left
// out. The seed contains the SSWS tokens of created orgs.
func (s *Simulator) Dump() *Seed {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.dump()
	for i, o := range s.orgs {
		s.dumpObjects(o, &d.Orgs[i])
	}
	return d
}

// dump returns the present state with the objects that the orgs had at the start.
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
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dump().Orgs
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

// isParent reports whether o has, or may have, children: such an org can't be
// deactivated.
func (s *Simulator) isParent(o *Org) bool {
	return o.Creator || slices.ContainsFunc(s.orgs, func(c *Org) bool { return c.Parent == o.Domain })
}

func (s *Simulator) ready(o *Org) bool {
	if o.ReadyDate == "" {
		return true
	}
	at, err := time.Parse(oktaTime, o.ReadyDate)
	return err != nil || !s.opts.Now().Before(at)
}

// consentOrg returns the org whose consent counts for o: its parent, or itself.
// A parent is never a child.
func (s *Simulator) consentOrg(o *Org) *Org {
	if o.Parent != "" {
		return s.byDomain[o.Parent]
	}
	return o
}

func formatTime(t time.Time) string { return t.UTC().Format(oktaTime) }
