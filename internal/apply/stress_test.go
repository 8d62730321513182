package apply_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
)

// seeds returns how many seeds a stress test runs through: a few for each run of
// the tests, and as many as RECONCILER_STRESS_SEEDS says for a long one.
func seeds(t *testing.T, few int) int {
	text, ok := os.LookupEnv("RECONCILER_STRESS_SEEDS")
	if !ok {
		return few
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// each of these products is enabled by at most one of those who write.
var (
	ours   = []string{"P000131", "P001113"}
	theirs = []string{"P000139", "P000201", "P000203", "P000207"}
)

// TestNobodysChangeIsLost changes the products of one org while another admin
// enables some, writes are suspended, tokens are revoked, and calls are limited,
// slow, cut or fail, in an order that the seed decides. What the other enables
// stays, unless that falls into the round trip between the last look and the write.
func TestNobodysChangeIsLost(t *testing.T) {
	n := seeds(t, 1000)
	excused, moved, applied := 0, 0, 0
	for seed := range n {
		synctest.Test(t, func(t *testing.T) {
			s := newStress(t, uint64(seed))
			s.run(t)
			if s.excused {
				excused++
			}
			if s.outcome.Result == apply.Applied {
				applied++
			} else if strings.Contains(s.outcome.Error, "left alone") {
				moved++
			}
		})
		if t.Failed() {
			t.Fatalf("RECONCILER_STRESS_SEEDS: seed %d", seed)
		}
	}
	t.Logf("of %d: %d applied, %d left alone, %d within the round trip", n, applied, moved, excused)
	if excused > n/4 || applied < n/10 || moved < n/10 {
		t.Errorf("of %d, %d applied, %d left alone and %d within the round trip: too few to tell anything", n, applied, moved, excused)
	}
}

// stress is one interleaving.
type stress struct {
	*gated
	rand    *rand.Rand
	outcome apply.Outcome
	// enabled is when the other admin enabled which product, and suspended since
	// when writes are held.
	enabled   map[string]time.Time
	suspended time.Time
	// excused says that the other wrote within the round trip.
	excused bool
}

func newStress(t *testing.T, seed uint64) *stress {
	s := &stress{
		gated:   newGated(t, simulatortest.Config{Options: simulator.Options{RandSeed: seed, TokenLifetime: 20 * time.Second}}),
		rand:    rand.New(rand.NewPCG(seed, 7)),
		enabled: map[string]time.Time{},
	}
	s.setProducts(t, "P000052")
	return s
}

// run lets everything happen, and checks what came of it.
func (s *stress) run(t *testing.T) {
	for range s.rand.IntN(4) {
		s.disturb(t)
	}
	for i := range s.rand.IntN(3) {
		time.AfterFunc(time.Duration(s.rand.Int64N(int64(8*time.Second))), func() {
			org, _ := s.Org(s.domain)
			s.setProducts(t, append(slices.Clone(org.Products), theirs[i])...)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.enabled[theirs[i]] = time.Now()
		})
	}
	if s.rand.IntN(4) == 0 {
		time.AfterFunc(time.Duration(s.rand.Int64N(int64(8*time.Second))), func() {
			s.suspended = time.Now()
			s.suspend()
		})
	}
	time.Sleep(time.Duration(s.rand.Int64N(int64(2 * time.Second))))
	s.outcome = s.gated.apply(t.Context(), t, diff.Change{
		Org: s.domain, OrgID: s.orgID, Action: diff.UpdateProducts, Enable: ours,
		Before: diff.List([]string{"P000052"}), After: diff.List(append([]string{"P000052"}, ours...)),
	})
	time.Sleep(10 * time.Second) // until all has happened
	synctest.Wait()
	s.check(t)
}

// disturb adds a fault.
func (s *stress) disturb(t *testing.T) {
	f := []simulator.Fault{
		{Method: "PUT", Status: 429, RetryAfter: time.Second},
		{Method: "PUT", Status: 429, Concurrency: true},
		{Method: "PUT", Status: 503},
		{Method: "PUT", Status: 500, After: true},
		{Method: "PUT", Cut: true},
		{Method: "PUT", Cut: true, After: true},
		{Method: "PUT", CutBody: true},
		{Method: "PUT", ExpireTokens: true},
		{Method: "PUT", Delay: 2 * time.Second},
		{Method: "GET", API: "aerial", Status: 429, RetryAfter: 2 * time.Second},
		{Method: "GET", API: "aerial", Cut: true},
		{Method: "GET", API: "aerial", ExpireTokens: true},
		{Method: "GET", API: "aerial", Delay: time.Second},
		{Path: "/oauth2/v1/token", Status: 429, RetryAfter: 3 * time.Second},
		{Path: "/oauth2/v1/token", Status: 500},
		{Path: "/oauth2/v1/token", Delay: 4 * time.Second},
	}[s.rand.IntN(16)]
	f.Times = 1 + s.rand.IntN(2)
	s.fault(t, f)
}

// check looks at what was sent, what is live, and what the outcome says.
func (s *stress) check(t *testing.T) {
	for _, w := range s.wire.writes() {
		if !s.suspended.IsZero() && w.from.After(s.suspended) {
			t.Errorf("sent %v after the suspension", w.from.Sub(s.suspended))
		}
		looked := false
		for _, l := range s.wire.looks() {
			looked = looked || strings.HasSuffix(l.path, "/products") && l.to.Equal(w.from)
		}
		if !looked {
			t.Errorf("sent at %v without a look", w.from)
		}
		for _, at := range s.enabled {
			s.excused = s.excused || !at.Before(w.from) && !at.After(w.to)
		}
	}
	org, _ := s.Org(s.domain)
	for product := range s.enabled {
		if !slices.Contains(org.Products, product) && !s.excused {
			t.Errorf("%s is lost: %s", product, s.story(org))
		}
	}
	made := slices.Contains(org.Products, ours[0])
	switch certain := !strings.Contains(s.outcome.Error, "may have taken effect"); {
	case s.excused, !certain:
	case made != (s.outcome.Result == apply.Applied) && !strings.HasPrefix(s.outcome.Error, "written"):
		t.Errorf("made: %v, but the outcome is %s", made, s.story(org))
	}
}

func (s *stress) story(org simulator.Org) string {
	return fmt.Sprintf("%+v\nthe other enabled %v\nsent %v\nnow %v", s.outcome, s.enabled, s.wire.all, org.Products)
}
