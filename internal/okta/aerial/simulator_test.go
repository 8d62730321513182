package aerial

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/okta/auth"
	"reconciler/internal/okta/rest"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
	"reconciler/internal/state"
)

// okta is a simulator behind HTTP in memory, a client with real credentials,
// and everything that the client could have let slip.
type okta struct {
	*Client
	sim    *simulatortest.Server
	log    lockedBuffer // of client and credentials, at debug
	base   *http.Transport
	origin *url.URL
	alter  func(*http.Request) // on the way; nil does nothing

	mu      sync.Mutex
	secrets map[string]bool // credentials seen on the wire
}

func newOkta(t *testing.T, c simulatortest.Config) *okta {
	t.Helper()
	o := &okta{
		sim:     simulatortest.New(t, c),
		origin:  mustURL("http://" + simulator.DefaultAerialOrg),
		secrets: map[string]bool{},
	}
	o.base = serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		for _, name := range []string{"Authorization", "Dpop"} {
			if _, secret, _ := strings.Cut(" "+r.Header.Get(name), " "); secret != "" {
				o.secrets[secret[strings.LastIndex(secret, " ")+1:]] = true
			}
		}
		o.mu.Unlock()
		if o.alter != nil {
			o.alter(r)
		}
		o.sim.ServeHTTP(w, r)
	}))
	o.Client = o.client(t)
	t.Cleanup(func() { o.checkSecrets(t, o.log.String()) })
	return o
}

// client gives one more client of the same account, which shares nothing with
// the others.
func (o *okta) client(t *testing.T) *Client { return o.clientWith(t, func(*auth.Options) {}) }

// clientWith gives a client with other credentials, or another way to them.
func (o *okta) clientWith(t *testing.T, change func(*auth.Options)) *Client {
	t.Helper()
	pem, err := o.sim.Credentials.PEM()
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(&o.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	opts := auth.Options{
		OrgURL: o.origin, ClientID: o.sim.Credentials.ClientID, KeyID: o.sim.Credentials.KeyID,
		Key:  func(context.Context) (auth.Key, error) { return auth.ParsePrivateKey(pem) },
		Keys: auth.Keys{OrgURL: "orgURL", ClientID: "clientID", KeyID: "keyID", DPoP: "dpop"},
		HTTP: o.base, Logger: log,
	}
	change(&opts)
	tokens, err := auth.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	client, err := New(Options{
		URL: o.origin, AccountID: o.sim.AccountID, Keys: testKeys, Transport: o.base, Logger: log,
		Auth: func(base http.RoundTripper) http.RoundTripper {
			return tokens.Transport(base, o.origin, "okta.accounts.read", "okta.accounts.manage")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// lockedBuffer is written and read by many goroutines.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// checkSecrets fails the test when text holds a token or a proof.
func (o *okta) checkSecrets(t *testing.T, text string) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.secrets) == 0 && o.aerialCalls("") > 0 {
		t.Error("no credentials were seen: the check would find nothing")
	}
	for secret := range o.secrets {
		if strings.Contains(text, secret) {
			t.Errorf("a credential is in what was printed:\n%s", text)
		}
	}
}

// fault arms a fault.
func (o *okta) fault(t *testing.T, f simulator.Fault) {
	t.Helper()
	if err := o.sim.AddFault(f); err != nil {
		t.Fatal(err)
	}
}

// aerialCalls counts the calls of the Aerial API whose path holds part.
func (o *okta) aerialCalls(part string) (n int) {
	for _, r := range o.sim.Requests() {
		if r.Aerial && strings.Contains(r.Path, part) {
			n++
		}
	}
	return n
}

// agrees holds what was observed against what the simulator knows.
func (o *okta) agrees(t *testing.T, got *state.Actual) {
	t.Helper()
	want := []state.Org{}
	for _, s := range o.sim.Orgs() {
		if !s.Managed {
			continue
		}
		products := slices.Sorted(slices.Values(s.Products))
		if products == nil {
			products = []string{}
		}
		want = append(want, state.Org{ID: s.ID, Domain: s.Domain, Cell: s.Cell, Name: s.Name, Region: s.Region,
			Status: state.Status(s.Status), AerialOrg: s.AerialOrg, Products: products})
	}
	slices.SortFunc(want, func(a, b state.Org) int { return strings.Compare(a.Domain, b.Domain) })
	if d := cmp.Diff(want, got.Orgs); d != "" {
		t.Errorf("orgs:\n%s", d)
	}
	seed := o.sim.Dump()
	if got.Account != (state.Account{ID: seed.Account.ID, Name: seed.Account.Name}) || len(got.Catalog) != len(seed.Products) {
		t.Errorf("account = %v, %d products in the catalogue", got.Account, len(got.Catalog))
	}
}

// TestObserveThroughFaults: whatever comes and passes, what is read in the end
// is what there is, and never more than ten calls were under way. The faults
// are too rare to strike one call six times in a row.
func TestObserveThroughFaults(t *testing.T) {
	const n = 250
	for _, tt := range []struct {
		name   string
		config simulatortest.Config
		faults []simulator.Fault
		most   time.Duration
	}{
		{name: "none", most: 26 * 50 * time.Millisecond * 11 / 10},
		{name: "DPoP", config: simulatortest.Config{DPoP: true}, most: 2 * time.Second},
		{name: "nonces for the API too", config: simulatortest.Config{DPoP: true, Options: simulator.Options{ResourceNonce: true}}, most: 2 * time.Second},
		{name: "500s", faults: []simulator.Fault{{API: "aerial", Every: 16, Status: 500}}, most: 15 * time.Second},
		{name: "503s that say when", faults: []simulator.Fault{{API: "aerial", Every: 50, Status: 503, RetryAfter: 2 * time.Second}}, most: 10 * time.Second},
		{name: "cut connections", faults: []simulator.Fault{{API: "aerial", Every: 17, Cut: true}}, most: 15 * time.Second},
		{name: "cut bodies", faults: []simulator.Fault{{API: "aerial", Every: 18, CutBody: true}}, most: 15 * time.Second},
		{name: "garbage", faults: []simulator.Fault{{API: "aerial", Every: 18, Garbage: true}}, most: 15 * time.Second},
		{name: "empty bodies", faults: []simulator.Fault{{API: "aerial", Every: 18, Empty: true}}, most: 15 * time.Second},
		{name: "web pages", faults: []simulator.Fault{{API: "aerial", Every: 18, ContentType: "text/html"}}, most: 15 * time.Second},
		{name: "hanging calls", faults: []simulator.Fault{{API: "aerial", Every: 100, Hang: true}}, most: 2 * time.Minute},
		{name: "storm of rate limits", faults: []simulator.Fault{{API: "aerial", Every: 3, Status: 429, Reset: 10 * time.Second}}, most: 10 * time.Minute},
		{name: "storm of concurrency limits", faults: []simulator.Fault{{API: "aerial", Every: 2, Status: 429, Concurrency: true}}, most: 2 * time.Minute},
		{name: "limit per minute", config: simulatortest.Config{Seed: limitedSeed(n, 100)}, most: 4 * time.Minute},
		{name: "tokens that expire", faults: []simulator.Fault{{API: "aerial", Every: 40, ExpireTokens: true}}, most: 10 * time.Second},
		{name: "tokens that live shortly", config: simulatortest.Config{Options: simulator.Options{TokenLifetime: 300 * time.Millisecond}}, most: 10 * time.Second},
		{name: "a bit of everything", faults: []simulator.Fault{
			{API: "aerial", Every: 31, Status: 500}, {API: "aerial", Every: 37, CutBody: true}, {API: "aerial", Every: 17, Status: 429, Concurrency: true},
			{API: "aerial", Every: 19, Status: 429, RetryAfter: time.Second}, {API: "aerial", Every: 41, Cut: true}, {API: "aerial", Every: 29, ExpireTokens: true},
			{Path: "/oauth2/v1/token", Every: 2, Status: 503},
		}, most: time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if tt.config.Seed == nil {
					tt.config.Orgs = n
				}
				tt.config.Options.Latency = 50 * time.Millisecond
				o := newOkta(t, tt.config)
				for _, f := range tt.faults {
					o.fault(t, f)
				}
				start := time.Now()
				got, err := o.Observe(t.Context(), nil)
				took := time.Since(start)
				if err != nil {
					t.Fatal(err)
				}
				o.agrees(t, got)
				if took > tt.most {
					t.Errorf("took %v, want at most %v", took, tt.most)
				}
				if o.sim.MaxInFlight() > MaxConcurrency {
					t.Errorf("%d calls at once", o.sim.MaxInFlight())
				}
			})
		})
	}
}

// limitedSeed is a fleet with a limit of calls per minute.
func limitedSeed(orgs, perMinute int) *simulator.Seed {
	seed := simulator.DefaultSeed(orgs)
	seed.Limits.PerMinute = perMinute
	return seed
}

// TestObserveCalls: a drift check of a thousand orgs is one token, one account,
// one catalogue, ten pages and a thousand product reads, and takes 5 % more
// than the least that ten slots allow for pages and products.
func TestObserveCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const latency = 50 * time.Millisecond
		seed := simulator.DefaultSeed(1000)
		managed := 0
		for _, s := range seed.Orgs {
			if s.Managed {
				managed++
			}
		}
		o := newOkta(t, simulatortest.Config{Seed: seed, Options: simulator.Options{Latency: latency}})
		start := time.Now()
		got, err := o.Observe(t.Context(), nil)
		took := time.Since(start)
		if err != nil {
			t.Fatal(err)
		}
		o.agrees(t, got)
		calls := (managed+99)/100 + managed
		if managed%100 == 0 { // the last page is full, so the list is read again
			calls += (managed + 98) / 99
		}
		if least := time.Duration(calls) * latency / MaxConcurrency; took > least*105/100 {
			t.Errorf("took %v, want at most %v", took, least*105/100)
		}
		if n := len(o.sim.Requests()); n != calls+3 {
			t.Errorf("%d calls, want %d", n, calls+3)
		}
		if o.sim.MaxInFlight() != MaxConcurrency {
			t.Errorf("%d calls at once, want %d", o.sim.MaxInFlight(), MaxConcurrency)
		}
	})
}

// TestSharedAccount: three clients that know nothing of each other share the
// account's ten slots, and all of them finish.
func TestSharedAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOkta(t, simulatortest.Config{Orgs: 120, Options: simulator.Options{Latency: 50 * time.Millisecond}})
		var wg sync.WaitGroup
		for _, c := range []*Client{o.Client, o.client(t), o.client(t)} {
			wg.Go(func() {
				got, err := c.Observe(t.Context(), nil)
				if err != nil {
					t.Error(err)
					return
				}
				o.agrees(t, got)
			})
		}
		start := time.Now()
		wg.Wait()
		if took := time.Since(start); took > time.Minute {
			t.Errorf("took %v", took)
		}
	})
}

// TestObserveForbidden: orgs that may not be read are unknown, with Okta's
// words and error id.
func TestObserveForbidden(t *testing.T) {
	o := newOkta(t, simulatortest.Config{Orgs: 20})
	forbidden := 0
	for i, s := range o.sim.Orgs() {
		if s.Managed && i%3 == 0 {
			forbidden++
			if err := o.sim.SetReadForbidden(s.Domain, true); err != nil {
				t.Fatal(err)
			}
		}
	}
	got, err := o.Observe(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, org := range got.Orgs {
		s, _ := o.sim.Org(org.Domain)
		ok := org.Unknown == "" && org.Products != nil
		if s.ReadForbidden {
			forbidden--
			ok = strings.HasPrefix(org.Unknown, "403 E0000006 ") && strings.HasPrefix(org.ErrorID, "errorId oae") && org.Products == nil
		}
		if !ok {
			t.Errorf("%s: unknown = %q, products = %#v", org.Domain, org.Unknown, org.Products)
		}
	}
	if forbidden != 0 {
		t.Errorf("%d forbidden orgs were not listed", forbidden)
	}
}

// TestObserveRefuses: what can't be read in whole is an error that names what,
// and a token goes nowhere else.
func TestObserveRefuses(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault simulator.Fault
		err   string
	}{
		{"foreign next page", simulator.Fault{Path: "/api/v1/orgs", Nth: 1, Next: "https://evil.test/orgs"}, `listing the orgs: the next page is on "https://evil.test", not on "http://acme-aerial.okta.com", and is not followed`},
		{"page in circles", simulator.Fault{Path: "/api/v1/orgs", Nth: 2, Loop: true}, "listing the orgs: page 2: the pages go in circles"},
		{"endless pages", simulator.Fault{Path: "/api/v1/orgs", Endless: true}, "listing the orgs: page "},
		{"redirected page", simulator.Fault{Path: "/api/v1/orgs", Nth: 2, Redirect: "https://evil.test/x"}, `listing the orgs: page 2: 307 redirected to "https://evil.test"`},
		{"redirected account", simulator.Fault{Path: "/api/v1/accounts", Redirect: "https://evil.test/x"}, `reading the account: 307 redirected to "https://evil.test"`},
		{"page cut for ever", simulator.Fault{Path: "/api/v1/orgs", CutBody: true}, "listing the orgs: 200 with an unreadable body: unexpected EOF (tried 6 times)"},
		{"catalogue forbidden", simulator.Fault{Path: "/api/v1/products", Status: 403}, "reading the account's products: 403 E0000006"},
		{"token refused for ever", simulator.Fault{Path: "/api/v1/accounts", Status: 401}, "reading the account: 401 E0000011"},
		{"no token to be had", simulator.Fault{Path: "/oauth2/v1/token", Status: 400}, "getting a token from"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOkta(t, simulatortest.Config{Orgs: 250})
				o.fault(t, tt.fault)
				got, err := o.Observe(t.Context(), nil)
				if got != nil || err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error = %v\nwant    %v", err, tt.err)
				}
				o.checkSecrets(t, err.Error())
			})
		})
	}
}

// TestWrites makes each write for real and looks at what became of it.
func TestWrites(t *testing.T) {
	o := newOkta(t, simulatortest.Config{})
	ctx := t.Context()
	org := plainOrg(t, o)

	name, err := o.RenameAccount(ctx, "Acme & Töchter", yes)
	if err != nil || name.Name != "Acme & Töchter" || o.sim.Dump().Account.Name != name.Name {
		t.Errorf("renamed to %v, %v", name, err)
	}
	catalog, err := o.Products(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{catalog[1].ID, catalog[0].ID}
	for _, want := range [][]string{ids, {}} {
		answer, err := o.SetOrgProducts(ctx, org.ID, these(want))
		if err != nil {
			t.Fatal(err)
		}
		read, err := o.OrgProducts(ctx, org.ID)
		if err != nil {
			t.Fatal(err)
		}
		want = slices.Sorted(slices.Values(want))
		if len(want) == 0 {
			want = []string{}
		}
		if d := cmp.Diff([][]string{want, want}, [][]string{answer, read}); d != "" {
			t.Errorf("products:\n%s", d)
		}
	}
	for _, want := range []state.Status{state.Inactive, state.Active, state.Inactive} {
		answer, err := o.SetOrgStatus(ctx, org.ID, want, yes)
		if err != nil || answer.Status != want {
			t.Errorf("status = %q, %v, want %q", answer.Status, err, want)
		}
		read, err := o.Org(ctx, org.ID)
		if err != nil || read.Status != want {
			t.Errorf("read back: status = %q, %v, want %q", read.Status, err, want)
		}
	}
	_, err = o.SetOrgProducts(ctx, org.ID, these([]string{"P999999"}))
	var e *rest.Error
	if !errors.As(err, &e) || e.Status != 400 || e.Code != "E0000001" || e.ID == "" || len(e.Causes) == 0 {
		t.Errorf("unsubscribed product: error = %v", err)
	}
	var u *rest.UncertainError
	if errors.As(err, &u) {
		t.Errorf("a refusal is certain: %v", err)
	}
}

// plainOrg gives a managed org without children that isn't the Aerial org.
func plainOrg(t *testing.T, o *okta) simulator.Org {
	t.Helper()
	for _, s := range o.sim.Orgs() {
		if s.Managed && !s.AerialOrg && !s.Creator && s.Status == "ACTIVE" {
			return s
		}
	}
	t.Fatal("no such org")
	return simulator.Org{}
}

// TestWriteTookEffect: an idempotent write that failed after its effect is sent
// again and ends well.
func TestWriteTookEffect(t *testing.T) {
	for _, f := range []simulator.Fault{
		{Status: 500, After: true}, {Cut: true, After: true}, {CutBody: true}, {Garbage: true}, {Empty: true}, {Hang: true, After: true},
	} {
		t.Run(f.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOkta(t, simulatortest.Config{})
				org := plainOrg(t, o)
				f.Method, f.Path, f.Nth = "PUT", "/api/v1/orgs/*/products", 1
				o.fault(t, f)
				if _, err := o.SetOrgProducts(t.Context(), org.ID, these([]string{})); err != nil {
					t.Fatal(err)
				}
				if s, _ := o.sim.Org(org.Domain); len(s.Products) != 0 || len(o.sim.Writes()) != 2 {
					t.Errorf("products = %v after %d writes, want none after 2", s.Products, len(o.sim.Writes()))
				}
			})
		})
	}
}

// TestLinkLostAnswer: a link whose answer is lost is sent once; looking among
// the orgs tells what became of it.
func TestLinkLostAnswer(t *testing.T) {
	for _, tt := range []struct {
		fault  simulator.Fault
		linked bool
	}{
		{simulator.Fault{Status: 500}, false},
		{simulator.Fault{Status: 500, After: true}, true},
		{simulator.Fault{Cut: true}, false},
		{simulator.Fault{Cut: true, After: true}, true},
		{simulator.Fault{CutBody: true}, true},
		{simulator.Fault{Hang: true, After: true}, true},
		{simulator.Fault{Garbage: true}, true},
	} {
		t.Run(tt.fault.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				seed := simulator.DefaultSeed(120)
				seed.Orgs = append(seed.Orgs, simulator.Org{ID: "00olate", Domain: "acme-late.okta.com", Name: "Late", Cell: "ok1", Consent: true})
				o := newOkta(t, simulatortest.Config{Seed: seed})
				tt.fault.Method, tt.fault.Path = "POST", "/api/v1/orgs"
				o.fault(t, tt.fault)
				_, err := o.LinkOrg(t.Context(), "", "acme-late.okta.com", "ok1", yes)
				var u *rest.UncertainError
				if !errors.As(err, &u) {
					t.Errorf("error = %v, want a *rest.UncertainError", err)
				}
				o.sim.ClearFaults()
				found, err := o.FindOrg(t.Context(), "", "acme-late.okta.com")
				if err != nil || (found != nil) != tt.linked {
					t.Errorf("found %v, %v, want linked = %v", found, err, tt.linked)
				}
				if n := len(o.sim.Writes()); n != 1 {
					t.Errorf("%d writes, want 1", n)
				}
			})
		})
	}
}

// TestFindOrgOnALostPage: an org of a page that got lost without a trace, after one of
// an odd size, is found all the same.
func TestFindOrgOnALostPage(t *testing.T) {
	o := newOkta(t, simulatortest.Config{Orgs: 60})
	o.alter = func(r *http.Request) { r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "limit=100", "limit=37", 1) }
	o.fault(t, simulator.Fault{Path: "/api/v1/orgs", DropLink: true})
	listed := 0
	if err := o.Orgs(t.Context(), func(page []state.Org) error { listed += len(page); return nil }); err != nil || listed != 37 {
		t.Fatalf("listed %d, %v", listed, err)
	}
	all := o.sim.Orgs()
	last := all[len(all)-1]
	if found, err := o.FindOrg(t.Context(), "", last.Domain); err != nil || found == nil || found.ID != last.ID {
		t.Errorf("found %+v, %v", found, err)
	}
	if found, err := o.FindOrg(t.Context(), "", "acme-new.okta.com"); err != nil || found != nil { // which is not linked
		t.Errorf("found %+v, %v", found, err)
	}
}

// TestLink links for real; the second time is refused, and certainly so.
func TestLink(t *testing.T) {
	seed := simulator.DefaultSeed(3)
	seed.Orgs = append(seed.Orgs, simulator.Org{ID: "00olate", Domain: "acme-late.okta.com", Name: "Late", Cell: "ok1", Consent: true})
	o := newOkta(t, simulatortest.Config{Seed: seed})
	org, err := o.LinkOrg(t.Context(), "00olate", "acme-late.okta.com", "ok1", yes)
	if err != nil || org.ID != "00olate" || org.Domain != "acme-late.okta.com" {
		t.Errorf("linked %+v, %v", org, err)
	}
	_, err = o.LinkOrg(t.Context(), "00olate", "acme-late.okta.com", "ok1", yes)
	var e *rest.Error
	var u *rest.UncertainError
	if !errors.As(err, &e) || e.Status >= 500 || errors.As(err, &u) {
		t.Errorf("linked twice: error = %v", err)
	}
}

func TestRequestDeletion(t *testing.T) {
	seed := simulator.DefaultSeed(10)
	seed.Account.DeletionAllowed = true
	o := newOkta(t, simulatortest.Config{Seed: seed})
	org := plainOrg(t, o)
	if err := o.RequestDeletion(t.Context(), org.ID, yes); statusOf(err) < 400 || statusOf(err) > 499 {
		t.Errorf("deletion of an active org: error = %v, want a refusal", err)
	}
	if _, err := o.SetOrgStatus(t.Context(), org.ID, state.Inactive, yes); err != nil {
		t.Fatal(err)
	}
	if err := o.RequestDeletion(t.Context(), org.ID, yes); err != nil {
		t.Fatal(err)
	}
	if s, _ := o.sim.Org(org.Domain); !s.DeletionRequested {
		t.Error("the deletion was not requested")
	}
}

// TestWrongAccount: asked for an account that isn't its own, the client gets
// a refusal with a hint, not an empty fleet.
func TestWrongAccount(t *testing.T) {
	o := newOkta(t, simulatortest.Config{})
	o.sim.AccountID = "0200nobody"
	_, err := o.client(t).Observe(t.Context(), nil)
	var h interface{ Hint() string }
	if err == nil || !errors.As(err, &h) || h.Hint() == "" {
		t.Errorf("error = %v, want one with a hint", err)
	}
}

// TestStopMidRun: a run that is stopped ends at once, in the middle of a storm
// too.
func TestStopMidRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOkta(t, simulatortest.Config{Orgs: 300, Options: simulator.Options{Latency: 50 * time.Millisecond}})
		o.fault(t, simulator.Fault{API: "aerial", Every: 3, Status: 429, RetryAfter: time.Minute})
		ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := o.Observe(ctx, nil)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error = %v, want the deadline's", err)
		}
		if took := time.Since(start); took != 700*time.Millisecond {
			t.Errorf("took %v, want 700ms", took)
		}
	})
}
