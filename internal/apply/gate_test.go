package apply_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/okta/aerial"
	"reconciler/internal/okta/auth"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
	"reconciler/internal/state"
)

// latency is how long each call takes in the tests of this file: a round trip.
const latency = 50 * time.Millisecond

// sent is a request, from when it was sent to when it was carried out and answered.
type sent struct {
	method, path string
	from, to     time.Time
	status       int // 0: no answer
}

// wire is the way to a simulator; it notes what goes over it.
type wire struct {
	base http.RoundTripper
	mu   sync.Mutex
	all  []sent
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	s := sent{method: r.Method, path: r.URL.Path, from: time.Now()}
	resp, err := w.base.RoundTrip(r)
	s.to = time.Now()
	if err == nil {
		s.status = resp.StatusCode
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, s)
	return resp, err
}

// writes returns what was sent to the Aerial API that changes something.
func (w *wire) writes() []sent {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []sent
	for _, s := range w.all {
		if s.method != http.MethodGet && !strings.Contains(s.path, "/oauth2/") {
			all = append(all, s)
		}
	}
	return all
}

// looks returns when reads of the Aerial API were carried out.
func (w *wire) looks() []sent {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []sent
	for _, s := range w.all {
		if s.method == http.MethodGet && s.status == http.StatusOK {
			all = append(all, s)
		}
	}
	return all
}

// twoTokens reads with one token and writes with another, as production does.
type twoTokens struct {
	reader
	writer
}

type reader interface {
	Account(ctx context.Context) (state.Account, error)
	Org(ctx context.Context, id string) (state.Org, error)
	FindOrg(ctx context.Context, id, domain string) (*state.Org, error)
	OrgProducts(ctx context.Context, id string) ([]string, error)
}

type writer interface {
	RenameAccount(ctx context.Context, name string, maySend func(context.Context) error) (state.Account, error)
	LinkOrg(ctx context.Context, id, domain, cell string, maySend func(context.Context) error) (state.Org, error)
	SetOrgProducts(ctx context.Context, id string, maySend func(context.Context) ([]string, error)) ([]string, error)
	SetOrgStatus(ctx context.Context, id string, status state.Status, maySend func(context.Context) error) (state.Org, error)
	RequestDeletion(ctx context.Context, id string, maySend func(context.Context) error) error
}

// gated is a simulator in a bubble of fake time, and a program that makes one
// change to one of its orgs while others do what they do.
type gated struct {
	*simulatortest.Server
	dpop   bool
	wire   *wire
	read   *aerial.Client
	api    apply.API
	domain string // of the org that is changed
	orgID  string

	mu   sync.Mutex
	held string // why writes are held
}

func newGated(t testing.TB, c simulatortest.Config) *gated {
	c.Options.Latency = latency
	c.Seed = simulator.DefaultSeed(10)
	c.Seed.Account.DeletionAllowed = true
	g := &gated{Server: simulatortest.New(t, c), dpop: c.DPoP}
	g.wire = &wire{base: g.Client.Transport}
	origin, _ := url.Parse(g.URL)
	pem, err := g.Credentials.PEM()
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := auth.New(auth.Options{
		OrgURL: origin, ClientID: g.Credentials.ClientID, KeyID: g.Credentials.KeyID, DPoP: c.DPoP,
		Key:  func(context.Context) (auth.Key, error) { return auth.ParsePrivateKey(pem) },
		HTTP: g.wire,
	})
	if err != nil {
		t.Fatal(err)
	}
	scope := func(scope string) func(http.RoundTripper) http.RoundTripper {
		return func(rt http.RoundTripper) http.RoundTripper { return tokens.Transport(rt, origin, scope) }
	}
	g.read, err = aerial.New(aerial.Options{
		URL: origin, AccountID: g.AccountID, Transport: g.wire, Auth: scope("okta.accounts.read"), Concurrency: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	g.api = twoTokens{g.read, g.read.As(scope("okta.accounts.manage"))}
	org := g.Orgs()[6]
	g.domain, g.orgID = org.Domain, org.ID
	return g
}

func (g *gated) why(string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.held
}

func (g *gated) suspend() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = "suspended by ops"
}

func (g *gated) fault(t testing.TB, f simulator.Fault) {
	if err := g.AddFault(f); err != nil {
		t.Fatal(err)
	}
}

// setProducts is what another admin does.
func (g *gated) setProducts(t testing.TB, ids ...string) {
	if err := g.SetOrgProducts(g.domain, ids, "admin@acme.example"); err != nil {
		t.Error(err)
	}
}

// apply makes one change.
func (g *gated) apply(ctx context.Context, t testing.TB, c diff.Change) apply.Outcome {
	result, err := apply.Apply(ctx, &diff.Plan{Changes: []diff.Change{c}}, g.api, apply.Options{Held: g.why})
	if err != nil {
		t.Fatal(err)
	}
	return result.Outcomes[0]
}

func texts(before, after string) (diff.Value, diff.Value) { return diff.Text(before), diff.Text(after) }

// change is a change of the org of a gated, and what another admin does to what it
// changes.
type change struct {
	change  func(*gated) diff.Change
	prepare func(testing.TB, *gated)
	other   func(testing.TB, *gated)
	// intact reports whether what the other did is still so.
	intact func(*gated) bool
	// last is the path of the read that the write rests on.
	last func(*gated) string
}

var gatedChanges = map[diff.Action]change{
	diff.UpdateProducts: {
		change: func(g *gated) diff.Change {
			return diff.Change{
				Org: g.domain, OrgID: g.orgID, Action: diff.UpdateProducts,
				Before: diff.List([]string{"P000052"}), After: diff.List([]string{"P000052", "P000131"}), Enable: []string{"P000131"},
			}
		},
		prepare: func(t testing.TB, g *gated) { g.setProducts(t, "P000052") },
		other:   func(t testing.TB, g *gated) { g.setProducts(t, "P000052", "P000139") },
		intact: func(g *gated) bool {
			org, _ := g.Org(g.domain)
			return slices.Equal(org.Products, []string{"P000052", "P000139"})
		},
		last: func(g *gated) string { return "/orgs/" + g.orgID + "/products" },
	},
	diff.SetStatus: {
		change: func(g *gated) diff.Change {
			before, after := texts("ACTIVE", "INACTIVE")
			return diff.Change{Org: g.domain, OrgID: g.orgID, Action: diff.SetStatus, Before: before, After: after}
		},
		prepare: func(t testing.TB, g *gated) {
			if err := g.SetOrgStatus(g.domain, "ACTIVE", "admin@acme.example"); err != nil {
				t.Error(err)
			}
		},
		other: func(t testing.TB, g *gated) { g.suspend() }, // an org has no third status
		intact: func(g *gated) bool {
			org, _ := g.Org(g.domain)
			return org.Status == "ACTIVE"
		},
		last: func(g *gated) string { return "/orgs/" + g.orgID },
	},
	diff.RequestDeletion: {
		change: func(g *gated) diff.Change {
			return diff.Change{Org: g.domain, OrgID: g.orgID, Action: diff.RequestDeletion}
		},
		prepare: func(t testing.TB, g *gated) {
			if err := g.SetOrgStatus(g.domain, "INACTIVE", "admin@acme.example"); err != nil {
				t.Error(err)
			}
		},
		other: func(t testing.TB, g *gated) {
			if err := g.SetOrgStatus(g.domain, "ACTIVE", "admin@acme.example"); err != nil {
				t.Error(err)
			}
		},
		intact: func(g *gated) bool {
			org, _ := g.Org(g.domain)
			return org.Status == "ACTIVE" && !org.DeletionRequested
		},
		last: func(g *gated) string { return "/orgs/" + g.orgID },
	},
	diff.RenameAccount: {
		change: func(*gated) diff.Change {
			before, after := texts("Acme", "Acme Holdings")
			return diff.Change{Action: diff.RenameAccount, Before: before, After: after}
		},
		prepare: func(t testing.TB, g *gated) {
			if err := g.SetAccountName("Acme"); err != nil {
				t.Error(err)
			}
		},
		other: func(t testing.TB, g *gated) {
			if err := g.SetAccountName("Acme by another"); err != nil {
				t.Error(err)
			}
		},
		intact: func(g *gated) bool { return g.Dump().Account.Name == "Acme by another" },
		last:   func(*gated) string { return "/accounts" },
	},
}

// waits are what a write waits for between the plan and its last send. All take
// longer than three seconds.
var waits = map[string]func(testing.TB, *gated){
	"a limited token": func(t testing.TB, g *gated) {
		g.fault(t, simulator.Fault{Path: "/oauth2/v1/token", Status: 429, RetryAfter: 5 * time.Second, Times: 1})
	},
	"slow tokens, of the look too": func(t testing.TB, g *gated) {
		g.RevokeTokens()
		g.fault(t, simulator.Fault{Path: "/oauth2/v1/token", Delay: 5 * time.Second})
	},
	"a slot": func(t testing.TB, g *gated) {
		g.fault(t, simulator.Fault{Method: "GET", Path: "/api/v1/products", Delay: 7 * time.Second})
		for range 2 {
			go func() { _, _ = g.read.Products(t.Context()) }()
		}
		time.Sleep(time.Millisecond) // they have the slots
	},
	"a rate limit": func(t testing.TB, g *gated) {
		g.fault(t, simulator.Fault{Method: "PUT", Status: 429, RetryAfter: 80 * time.Second, Times: 1})
		g.fault(t, simulator.Fault{Method: "POST", Path: "/api/v1/orgs/**", Status: 429, Reset: 80 * time.Second, Times: 1})
	},
	"a limited look": func(t testing.TB, g *gated) {
		g.fault(t, simulator.Fault{Method: "GET", API: "aerial", Status: 429, RetryAfter: 70 * time.Second, Times: 1})
	},
	"a limited look before a repetition": func(t testing.TB, g *gated) {
		g.fault(t, simulator.Fault{Method: "PUT", Status: 429, RetryAfter: 3 * time.Second, Times: 1})
		g.fault(t, simulator.Fault{Method: "POST", Path: "/api/v1/orgs/**", Status: 429, RetryAfter: 3 * time.Second, Times: 1})
		g.fault(t, simulator.Fault{Method: "GET", API: "aerial", Status: 429, RetryAfter: 70 * time.Second, Nth: 3})
	},
	"a token that is refused": func(t testing.TB, g *gated) {
		g.fault(t, simulator.Fault{Method: "PUT", ExpireTokens: true, Delay: 4 * time.Second, Times: 1})
		g.fault(t, simulator.Fault{Method: "POST", Path: "/api/v1/orgs/**", ExpireTokens: true, Delay: 4 * time.Second, Times: 1})
	},
	"a nonce that is refused": func(t testing.TB, g *gated) {
		if g.dpop {
			g.fault(t, simulator.Fault{Method: "PUT", Do: g.ForgetNonces, Delay: 4 * time.Second, Times: 1})
			g.fault(t, simulator.Fault{Method: "POST", Path: "/api/v1/orgs/**", Do: g.ForgetNonces, Delay: 4 * time.Second, Times: 1})
		} else {
			g.fault(t, simulator.Fault{Path: "/oauth2/v1/token", Delay: 4 * time.Second, Times: 1})
		}
	},
	"a server that fails": func(t testing.TB, g *gated) {
		g.fault(t, simulator.Fault{Method: "PUT", Status: 503, RetryAfter: 4 * time.Second, Times: 2})
		g.fault(t, simulator.Fault{Path: "/oauth2/v1/token", Status: 503, RetryAfter: 4 * time.Second, Times: 1})
	},
}

// eachWait runs f for each change and each wait, in bubbles.
func eachWait(t *testing.T, f func(*testing.T, *gated, change)) {
	for _, dpop := range []bool{false, true} {
		for action, c := range gatedChanges {
			for name, wait := range waits {
				t.Run(fmt.Sprintf("%s/%s/dpop=%v", action, name, dpop), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						g := newGated(t, simulatortest.Config{DPoP: dpop, Options: simulator.Options{ResourceNonce: dpop}})
						c.prepare(t, g)
						if _, err := g.read.Account(t.Context()); err != nil { // the read token is there, as after a plan
							t.Fatal(err)
						}
						wait(t, g)
						f(t, g, c)
					})
				})
			}
		}
	}
}

// TestLastLook: the read that a write rests on is the last thing before it is sent,
// whatever it had to wait for, each time that it is sent.
func TestLastLook(t *testing.T) {
	eachWait(t, func(t *testing.T, g *gated, c change) {
		start := time.Now()
		if o := g.apply(t.Context(), t, c.change(g)); o.Result != apply.Applied {
			t.Fatalf("%+v", o)
		}
		if time.Since(start) < 3*time.Second {
			t.Fatal("it waited for nothing")
		}
		for _, w := range g.wire.writes() {
			looked := slices.ContainsFunc(g.wire.looks(), func(l sent) bool {
				return strings.HasSuffix(l.path, c.last(g)) && l.to.Equal(w.from)
			})
			if !looked {
				t.Errorf("sent at %v, looked at %v", w.from, g.wire.looks())
			}
		}
	})
}

// TestOthersChangeMeanwhile: what another admin does while a write waits is not
// undone, and the outcome says so.
func TestOthersChangeMeanwhile(t *testing.T) {
	eachWait(t, func(t *testing.T, g *gated, c change) {
		time.AfterFunc(3*time.Second, func() { c.other(t, g) })
		o := g.apply(t.Context(), t, c.change(g))
		left := o.Result == apply.Failed && strings.Contains(o.Error, "left alone: ") && o.Hint != ""
		if held := g.why("") != "" && strings.Contains(o.Error, "held since"); !left && !held {
			t.Errorf("%+v", o)
		}
		if !c.intact(g) {
			t.Error("what the other did is undone")
		}
	})
}

// TestRenamedMeanwhile: an org that gets another name while its products have to be
// waited for is left alone, and a read that did not wait costs no further one.
func TestRenamedMeanwhile(t *testing.T) {
	for name, fault := range map[string]*simulator.Fault{
		"limited": {Method: "GET", Path: "/api/v1/orgs/*/products", Status: 429, RetryAfter: 5 * time.Second, Times: 1},
		"slow":    {Method: "GET", Path: "/api/v1/orgs/*/products", Delay: 5 * time.Second, Times: 1},
		"at once": nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, c := newGated(t, simulatortest.Config{}), gatedChanges[diff.UpdateProducts]
				c.prepare(t, g)
				planned := c.change(g)
				if fault == nil {
					o := g.apply(t.Context(), t, planned)
					if n := len(g.wire.looks()); o.Result != apply.Applied || n != 3 { // org, products, and what was written
						t.Errorf("%d reads, %+v", n, o)
					}
					return
				}
				g.fault(t, *fault)
				time.AfterFunc(3*time.Second, func() {
					if err := g.RenameOrg(g.domain, "acme-renamed.okta.com"); err != nil {
						t.Error(err)
					}
				})
				o := g.apply(t.Context(), t, planned)
				if o.Result != apply.Failed || !strings.Contains(o.Error, `is "acme-renamed.okta.com", not`) || len(g.wire.writes()) > 0 {
					t.Errorf("%+v after the writes %v", o, g.wire.writes())
				}
			})
		})
	}
}

// TestSuspendedMeanwhile: what is suspended while a write waits isn't written.
func TestSuspendedMeanwhile(t *testing.T) {
	eachWait(t, func(t *testing.T, g *gated, c change) {
		var suspended time.Time
		time.AfterFunc(3*time.Second, func() { suspended = time.Now(); g.suspend() })
		o := g.apply(t.Context(), t, c.change(g))
		uncertain := slices.ContainsFunc(g.wire.writes(), func(w sent) bool { return w.status >= 500 })
		switch {
		case uncertain && o.Result == apply.Failed && strings.Contains(o.Error, "writes have been held since the plan was made: suspended by ops (not sent again after: 503") && strings.Contains(o.Error, "may have taken effect"):
		case !uncertain && o.Result == apply.Skipped && o.Error == "writes have been held since the plan was made: suspended by ops":
		default:
			t.Errorf("%+v", o)
		}
		for _, w := range g.wire.writes() {
			if w.from.After(suspended) {
				t.Errorf("%s %s was sent %v after the suspension", w.method, w.path, w.from.Sub(suspended))
			}
		}
	})
}

// TestStoppedMeanwhile: a write that waits when the run is stopped isn't sent, and
// the run ends at once.
func TestStoppedMeanwhile(t *testing.T) {
	eachWait(t, func(t *testing.T, g *gated, c change) {
		ctx, cancel := context.WithCancel(t.Context())
		var stopped time.Time
		time.AfterFunc(3*time.Second, func() { stopped = time.Now(); cancel() })
		o := g.apply(ctx, t, c.change(g))
		var inFlight time.Duration
		for _, w := range g.wire.writes() {
			if w.from.After(stopped) {
				t.Errorf("sent %v after the stop", w.from.Sub(stopped))
			}
			inFlight = max(inFlight, w.to.Sub(stopped))
		}
		if took := time.Since(stopped); took > inFlight {
			t.Errorf("ended %v after the stop, and what was in flight %v after it", took, inFlight)
		}
		uncertain := slices.ContainsFunc(g.wire.writes(), func(w sent) bool { return w.status >= 500 })
		if o.Result != apply.Skipped && !uncertain || o.Result == apply.Applied {
			t.Errorf("%+v", o)
		}
	})
}

// TestHeldLink: linking can't be undone, and has nothing to look at but what is
// held.
func TestHeldLink(t *testing.T) {
	for name, wait := range waits {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGated(t, simulatortest.Config{})
				g.fault(t, simulator.Fault{Method: "POST", Path: "/api/v1/orgs", API: "aerial", Status: 429, RetryAfter: 5 * time.Second, Times: 1})
				wait(t, g)
				time.AfterFunc(3*time.Second, g.suspend)
				o := g.apply(t.Context(), t, diff.Change{Org: bought, Action: diff.LinkOrg, Cell: "ok7"})
				if o.Result != apply.Skipped || !strings.HasSuffix(o.Error, "suspended by ops") {
					t.Errorf("%+v", o)
				}
				if org, _ := g.Org(bought); org.Managed {
					t.Error("it is linked")
				}
			})
		})
	}
}

// TestBodyOfARetry: a retry sends what the look before it says, not what was sent
// first.
func TestBodyOfARetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGated(t, simulatortest.Config{})
		desired := &state.Desired{Orgs: []state.DesiredOrg{{
			Domain: bought, Cell: "ok7", Products: []string{"P000131"}, ProductPolicy: state.Additive, Mode: state.Apply,
		}}}
		actual, err := g.read.Observe(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := diff.Compute(desired, actual, diff.Options{Account: g.AccountID, Guards: diff.Guards{MaxNewOrgs: 1}})
		if err != nil {
			t.Fatal(err)
		}
		g.fault(t, simulator.Fault{Method: "PUT", Status: 429, RetryAfter: 5 * time.Second, Times: 1, Do: func() {
			if err := g.SetOrgProducts(bought, []string{"P000052", "P000139", "P000207"}, "admin@acme.example"); err != nil {
				t.Error(err)
			}
		}})
		result, err := apply.Apply(t.Context(), plan, g.api, apply.Options{Concurrency: 1})
		if err != nil || result.Counts().Applied != 2 {
			t.Errorf("%v, %+v", err, result)
		}
		if org, _ := g.Org(bought); !slices.Equal(org.Products, []string{"P000052", "P000131", "P000139", "P000207"}) {
			t.Errorf("products %v", org.Products)
		}
	})
}
