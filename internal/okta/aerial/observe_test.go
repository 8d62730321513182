package aerial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"reconciler/internal/state"
	"reconciler/internal/text"
)

// fleet is an API that serves these orgs, pageSize to a page, and lets single
// paths (below api/v1, the second page being "orgs?after=1") be answered
// otherwise.
type fleet struct {
	orgs     []state.Org
	pageSize int  // less if a call asks for less
	cut      bool // there is never a link to the next page
	latency  time.Duration
	instead  map[string]http.HandlerFunc

	mu    sync.Mutex
	calls map[string]int
}

// newFleet makes n orgs without products, the first of which is the Aerial org.
func newFleet(n int) *fleet {
	f := &fleet{pageSize: 100, instead: map[string]http.HandlerFunc{}, calls: map[string]int{}}
	for i := range n {
		id := strconv.Itoa(i)
		f.orgs = append(f.orgs, state.Org{ID: id, Domain: "org-" + id + ".okta.com", Cell: "ok1", Status: state.Active, AerialOrg: i == 0, Products: []string{}})
	}
	return f
}

func (f *fleet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/"+testAccount+"/api/v1/")
	after, _ := strconv.Atoi(r.URL.Query().Get("after"))
	if after > 0 {
		path += "?after=" + strconv.Itoa(after)
	}
	f.mu.Lock()
	f.calls[path]++
	f.mu.Unlock()
	time.Sleep(f.latency)
	if h := f.instead[path]; h != nil {
		h(w, r)
		return
	}
	switch parts := strings.Split(path, "/"); {
	case path == "accounts":
		reply(200, accountBody)(w, r)
	case path == "products":
		reply(200, `[{"id":"P2","name":"two"},{"id":"P1","name":"one"}]`)(w, r)
	case len(parts) == 1:
		f.page(w, r, after)
	default:
		for _, o := range f.orgs {
			if o.ID == parts[1] {
				reply(200, productsBody(o.Products))(w, r)
				return
			}
		}
		reply(404, "{}")(w, r)
	}
}

func (f *fleet) page(w http.ResponseWriter, r *http.Request, n int) {
	size := f.pageSize
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	if limit > 0 {
		size = min(size, limit)
	}
	from := min(n*size, len(f.orgs))
	to := min(from+size, len(f.orgs))
	wire := []wireOrg{}
	for _, o := range f.orgs[from:to] {
		wire = append(wire, wireOrg{ID: o.ID, Domain: o.Domain, Cell: o.Cell, Name: o.Name, Status: string(o.Status), AerialOrg: o.AerialOrg})
	}
	body, _ := json.Marshal(wire)
	next := ""
	if to < len(f.orgs) && !f.cut {
		next = fmt.Sprintf("http://aerial.test%s?after=%d&limit=%d", orgsPath, n+1, limit)
	}
	page(string(body), next)(w, r)
}

func productsBody(ids []string) string {
	wire := []wireProduct{}
	for _, id := range ids {
		wire = append(wire, wireProduct{ID: id})
	}
	body, _ := json.Marshal(wire)
	return string(body)
}

func (f *fleet) count() (all int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range f.calls {
		all += n
	}
	return all
}

func TestObserve(t *testing.T) {
	f := newFleet(5)
	f.pageSize = 2
	f.orgs[1].Status = state.Inactive
	f.orgs[2].Products = []string{"P2", "P1"}
	f.orgs[3].Domain = "" // Okta may leave it out
	got, err := newClient(t, f, nil).Observe(t.Context(), func(o state.Org) bool { return o.ID != "4" })
	if err != nil {
		t.Fatal(err)
	}
	want := &state.Actual{
		Account: state.Account{ID: testAccount, Name: "Acme"},
		Catalog: []state.Product{{ID: "P1", Name: "one"}, {ID: "P2", Name: "two"}},
		Orgs: []state.Org{
			{ID: "3", Cell: "ok1", Status: state.Active, Products: []string{}},
			{ID: "0", Domain: "org-0.okta.com", Cell: "ok1", Status: state.Active, AerialOrg: true, Products: []string{}},
			{ID: "1", Domain: "org-1.okta.com", Cell: "ok1", Status: state.Inactive, Products: []string{}},
			{ID: "2", Domain: "org-2.okta.com", Cell: "ok1", Status: state.Active, Products: []string{"P1", "P2"}},
			{ID: "4", Domain: "org-4.okta.com", Cell: "ok1", Status: state.Active},
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if n := f.count(); n != 1+1+3+4 || f.calls["orgs/4/products"] != 0 {
		t.Errorf("%d calls: %v", n, f.calls)
	}
}

// TestObserveNothing: an account has its Aerial org at least, so that an empty
// list is no fact, and neither is an empty catalogue.
func TestObserveNothing(t *testing.T) {
	for path, want := range map[string]string{
		"orgs":     "listing the orgs: the list is not whole: the Aerial org is always on it, and is not among the 0 orgs that came",
		"products": "reading the account's products: the answer is an empty list, but an account subscribes to some",
	} {
		f := newFleet(1)
		f.instead[path] = reply(200, "[]")
		got, err := newClient(t, f, nil).Observe(t.Context(), nil)
		if got != nil || fmt.Sprint(err) != want || text.Hint(err) == "" {
			t.Errorf("%s: got %v, error = %v, want %s and a hint", path, got, err, want)
		}
	}
}

// TestObserveWrongOrg: the products of one org are not taken for those of
// another.
func TestObserveWrongOrg(t *testing.T) {
	f := newFleet(2)
	f.instead["orgs/1/products"] = reply(200, `[{"id":"P1"}]`, "Link", `<http://aerial.test`+orgsPath+`/0/products>; rel="self"`)
	got, err := newClient(t, f, nil).Observe(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if o := got.Orgs[1]; o.Products != nil || !strings.Contains(o.Unknown, `the answer is that of "orgs/0/products", not of "orgs/1/products"`) {
		t.Errorf("got %+v, want it unknown", o)
	}
}

// TestObserveUnknown: what is wrong with one org is told of that org, and the
// others are read.
func TestObserveUnknown(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"forbidden", reply(403, forbiddenBody), "403 E0000006 You do not have permission to perform the requested action"},
		{"gone", reply(404, ""), "404 Not Found"},
		{"bad request", reply(400, ""), "400 Bad Request"},
		{"failing", reply(500, internalBody), "500 E0000009 Internal Server Error"},
		{"cut", cutBody("["), "200 with an unreadable body: unexpected EOF (tried 6 times)"},
		{"hanging", hang, "no complete answer within 30s (tried 4 times)"},
		{"null", reply(200, "null"), "the answer is null instead of a list"},
		{"redirected", reply(302, "", "Location", "//evil.test"), `302 redirected to "http://evil.test"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(30)
				for _, o := range f.orgs {
					o.Products = append(o.Products, "P1")
				}
				f.instead["orgs/7/products"] = tt.answer
				got, err := newClient(t, f, nil).Observe(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				if len(got.Orgs) != 30 {
					t.Fatalf("%d orgs, want 30", len(got.Orgs))
				}
				for _, o := range got.Orgs {
					switch {
					case o.ID == "7":
						if id := (tt.name == "forbidden" || tt.name == "failing"); id != strings.HasPrefix(o.ErrorID, "errorId oae") {
							t.Errorf("errorID = %q", o.ErrorID)
						}
						if o.Unknown != tt.want || o.Products != nil {
							t.Errorf("unknown = %q, products = %#v\nwant      %q", o.Unknown, o.Products, tt.want)
						}
					case o.Unknown != "" || o.Products == nil:
						t.Errorf("org %s: unknown = %q, products = %#v", o.ID, o.Unknown, o.Products)
					}
				}
			})
		})
	}
}

// TestObserveWholeOrNothing: what is no single org's matter fails all of it.
func TestObserveWholeOrNothing(t *testing.T) {
	failing := func(f *fleet, from, to int) {
		for i := from; i < to; i++ {
			f.instead[fmt.Sprintf("orgs/%d/products", i)] = reply(500, internalBody)
		}
	}
	for _, tt := range []struct {
		name   string
		spoil  func(*fleet)
		err    string // a part of it
		status int
	}{
		{"account refused", func(f *fleet) { f.instead["accounts"] = reply(403, forbiddenBody) }, "reading the account: 403", 403},
		{"another account", func(f *fleet) { f.instead["accounts"] = reply(200, `{"id":"x"}`) }, `reading the account: the answer is about the account "x"`, 0},
		{"catalogue failing", func(f *fleet) { f.instead["products"] = reply(503, "") }, "reading the account's products: 503", 503},
		{"catalogue null", func(f *fleet) { f.instead["products"] = reply(200, "null") }, "reading the account's products: the answer is null", 0},
		{"first page refused", func(f *fleet) { f.instead["orgs"] = reply(403, forbiddenBody) }, "listing the orgs: 403", 403},
		{"second page cut", func(f *fleet) { f.instead["orgs?after=1"] = cutBody("[") }, "listing the orgs: page 2: 200 with an unreadable body", 0},
		{"third page foreign", func(f *fleet) { f.instead["orgs?after=1"] = page(`[{"id":"99"}]`, "https://evil.test/") }, `listing the orgs: page 2: the next page is on "https://evil.test"`, 0},
		{"token refused for an org", func(f *fleet) { f.instead["orgs/7/products"] = reply(401, "") }, `reading the products of the org "org-7.okta.com": 401 Unauthorized`, 401},
		{"no room for an org", func(f *fleet) { f.instead["orgs/7/products"] = reply(429, limitBody) }, `reading the products of the org "org-7.okta.com": 429`, 429},
		{"API down from some org on", func(f *fleet) { failing(f, 10, 60) }, `500 E0000009 Internal Server Error`, 500},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(60)
				f.pageSize = 22
				tt.spoil(f)
				got, err := newClient(t, f, nil).Observe(t.Context(), nil)
				if got != nil || err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "\n") {
					t.Errorf("got %v, error = %v, want %q", got, err, tt.err)
				}
				if statusOf(err) != tt.status {
					t.Errorf("status %d, want %d", statusOf(err), tt.status)
				}
			})
		})
	}
}

// TestObserveSameError: what makes all calls fail has the same error, whichever is the
// first to fail.
func TestObserveSameError(t *testing.T) {
	late := func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Second)
		reply(403, forbiddenBody)(w, r)
	}
	now := reply(403, forbiddenBody)
	for _, tt := range []struct {
		name                    string
		accounts, products, all http.HandlerFunc
		err                     string
	}{
		{"the list first", late, late, now, "reading the account: 403"},
		{"the catalogue first", late, now, late, "reading the account: 403"},
		{"the account first", now, late, late, "reading the account: 403"},
		{"the account works", nil, late, now, "reading the account's products: 403"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(60)
				f.instead["products"], f.instead["orgs"] = tt.products, tt.all
				if tt.accounts != nil {
					f.instead["accounts"] = tt.accounts
				}
				_, err := newClient(t, f, nil).Observe(t.Context(), nil)
				if err == nil || !strings.HasPrefix(err.Error(), tt.err) {
					t.Errorf("error = %v, want %q", err, tt.err)
				}
			})
		})
	}
}

// TestObserveManyUnknown: half the fleet failing, here and there, is not the
// API being down.
func TestObserveManyUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(100)
		for i := 0; i < 100; i += 2 {
			f.instead[fmt.Sprintf("orgs/%d/products", i)] = reply(500, internalBody)
		}
		got, err := newClient(t, f, nil).Observe(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		unknown := 0
		for _, o := range got.Orgs {
			if o.Unknown != "" {
				unknown++
			}
		}
		if unknown != 50 {
			t.Errorf("%d orgs unknown, want 50", unknown)
		}
	})
}

// TestObservePanics: whatever panics in one of its goroutines ends the reading
// and nothing else: the observer has seen an end for each start.
func TestObservePanics(t *testing.T) {
	bug := func(n int32) bool {
		if n > 40 {
			panic("a bug\nof ours")
		}
		return true
	}
	for _, name := range []string{"products", "transport", "credentials", "observer"} {
		t.Run(name, func(t *testing.T) {
			var calls, started, finished atomic.Int32
			var logged lockedBuffer
			counts := countingObserver{
				started: func() {
					started.Add(1)
					if name == "observer" {
						bug(started.Load())
					}
				},
				finished: func() { finished.Add(1) },
			}
			spoiled := func(at string, base http.RoundTripper) http.RoundTripper {
				return roundTripper(func(r *http.Request) (*http.Response, error) {
					if name == at {
						bug(calls.Add(1))
					}
					return base.RoundTrip(r)
				})
			}
			c := newClient(t, newFleet(300), func(o *Options) {
				o.Logger = slog.New(slog.NewTextHandler(&logged, nil))
				o.Observer = counts
				o.Transport = spoiled("transport", o.Transport)
				o.Auth = func(base http.RoundTripper) http.RoundTripper { return spoiled("credentials", base) }
			})
			got, err := c.Observe(t.Context(), func(state.Org) bool { return name != "products" || bug(calls.Add(1)) })
			if got != nil || err == nil || err.Error() != "reading the account's orgs panicked: a bug of ours" || !strings.Contains(hintOf(err), "this is a bug") {
				t.Errorf("got %v, error = %v", got, err)
			}
			if text := logged.String(); !strings.Contains(text, "level=ERROR") || !strings.Contains(text, "TestObservePanics") {
				t.Errorf("logged %s", text)
			}
			if s, f := started.Load(), finished.Load(); name != "observer" && s != f {
				t.Errorf("%d starts and %d ends", s, f)
			}
		})
	}
}

type countingObserver struct{ started, finished func() }

func (c countingObserver) Started(string, string)                      { c.started() }
func (c countingObserver) Finished(string, string, int, time.Duration) { c.finished() }

// TestObserveHolds: there is a bound to what it holds.
func TestObserveHolds(t *testing.T) {
	f := newFleet(1)
	f.orgs[0].Products = []string{"P1"}
	o := &observation{client: newClient(t, f, nil)}
	e := &entry{id: "0", domain: "org-0.okta.com"}
	o.held.Store(maxHeld - 100)
	if err := o.read(t.Context(), e); err != nil {
		t.Error(err)
	}
	o.held.Store(maxHeld)
	if err := o.read(t.Context(), e); err == nil || !strings.Contains(err.Error(), "no fleet has so many") {
		t.Errorf("error = %v", err)
	}
}

// TestObserveDown: an API that dies in the middle of a large fleet is given up
// soon, not after six attempts for each org.
func TestObserveDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(2000)
		for i := 500; i < 2000; i++ {
			f.instead[fmt.Sprintf("orgs/%d/products", i)] = hang
		}
		start := time.Now()
		_, err := newClient(t, f, nil).Observe(t.Context(), nil)
		if err == nil {
			t.Fatal("no error")
		}
		if took := time.Since(start); took > 5*time.Minute {
			t.Errorf("took %v", took)
		}
	})
}

// TestObserveNoToken: without credentials there is one failure, at once.
func TestObserveNoToken(t *testing.T) {
	f := newFleet(300)
	noToken := errors.New("token expired for good")
	var mu sync.Mutex
	calls := 0
	c := newClient(t, f, func(o *Options) {
		o.Auth = func(base http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				mu.Lock()
				calls++
				late := calls > 100
				mu.Unlock()
				if late {
					return nil, noToken
				}
				return base.RoundTrip(r)
			})
		}
	})
	if _, err := c.Observe(t.Context(), nil); !errors.Is(err, noToken) {
		t.Errorf("error = %v, want %v", err, noToken)
	}
	if calls > 100+2*MaxConcurrency {
		t.Errorf("%d calls after the token was gone", calls-100)
	}
}

func TestObserveCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(1000)
		f.latency = 50 * time.Millisecond
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		got, err := newClient(t, f, nil).Observe(ctx, nil)
		if got != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, error = %v, want context.Canceled", got, err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v, want 1s", took)
		}
	})
}

// TestObservePace: with latency L and ten slots, what is left beyond the least
// time is one round for the account, the catalogue and the first page. No call
// is made twice, and there are never more than ten.
func TestObservePace(t *testing.T) {
	const latency = 50 * time.Millisecond
	for _, tt := range []struct{ orgs, concurrency int }{
		{1, 10}, {100, 10}, {101, 10}, {1000, 10}, {5000, 10}, {1000, 1}, {1500, 2}, {250, 3},
	} {
		t.Run(fmt.Sprintf("%d orgs, %d slots", tt.orgs, tt.concurrency), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(tt.orgs)
				f.latency = latency
				start := time.Now()
				got, err := newClient(t, f, func(o *Options) { o.Concurrency = tt.concurrency }).Observe(t.Context(), nil)
				took := time.Since(start)
				if err != nil || len(got.Orgs) != tt.orgs {
					t.Fatalf("%d orgs, %v", len(got.Orgs), err)
				}
				calls := (tt.orgs+99)/100 + tt.orgs + 2
				again := 0
				if tt.orgs%100 == 0 { // the last page is full, so the list is read again
					again = (tt.orgs + 98) / 99
				}
				if n := f.count(); n != calls+again {
					t.Errorf("%d calls, want %d", n, calls+again)
				}
				rounds := (calls + tt.concurrency - 1) / tt.concurrency
				if least := time.Duration(rounds) * latency; took > least+time.Duration(2+again)*latency {
					t.Errorf("took %v, the least is %v", took, least)
				}
			})
		})
	}
}

// TestObserveShift: an org that two pages list is read once, its later entry
// counts, and the caller is asked again when it changed.
func TestObserveShift(t *testing.T) {
	f := newFleet(0)
	f.instead["orgs"] = page(`[{"id":"a","domain":"a.okta.com","status":"ACTIVE"},{"id":"b","domain":"b.okta.com"},{"id":"c","domain":"c.okta.com"},
		{"id":"d","domain":"d.okta.com"}]`, "?after=1")
	f.instead["orgs?after=1"] = page(`[{"id":"a","domain":"a.okta.com","status":"INACTIVE"},{"id":"b","domain":"b.okta.com","name":"wanted"},
		{"id":"aerial","aerialOrg":true}]`, "")
	for _, id := range []string{"a", "aerial", "b", "c", "d"} {
		f.instead["orgs/"+id+"/products"] = reply(200, `[{"id":"P1"}]`)
	}
	got, err := newClient(t, f, nil).Observe(t.Context(), func(o state.Org) bool { return o.Domain != "b.okta.com" || o.Name == "wanted" })
	if err != nil {
		t.Fatal(err)
	}
	want := []state.Org{
		{ID: "aerial", AerialOrg: true, Products: []string{"P1"}},
		{ID: "a", Domain: "a.okta.com", Status: state.Inactive, Products: []string{"P1"}},
		{ID: "b", Domain: "b.okta.com", Name: "wanted", Products: []string{"P1"}},
		{ID: "c", Domain: "c.okta.com", Products: []string{"P1"}},
		{ID: "d", Domain: "d.okta.com", Products: []string{"P1"}},
	}
	if d := cmp.Diff(want, got.Orgs); d != "" {
		t.Error(d)
	}
	for _, id := range []string{"a", "b", "c"} {
		if n := f.calls["orgs/"+id+"/products"]; n != 1 {
			t.Errorf("the products of %s were read %d times", id, n)
		}
	}
}

// TestObserveOrder: the order in which Okta lists orgs and products, and the
// size of its pages, decide nothing.
func TestObserveOrder(t *testing.T) {
	products := []string{"P1", "P2", "P3", "P4"}
	rapid.Check(t, func(rt *rapid.T) {
		f := newFleet(rapid.IntRange(1, 12).Draw(rt, "orgs"))
		for i := range f.orgs {
			f.orgs[i].Products = rapid.Permutation(products).Draw(rt, "products")[:rapid.IntRange(0, 4).Draw(rt, "n")]
		}
		want := make([]state.Org, len(f.orgs))
		for i, o := range f.orgs {
			o.Products = slices.Sorted(slices.Values(o.Products))
			if len(o.Products) == 0 {
				o.Products = []string{}
			}
			want[i] = o
		}
		slices.SortFunc(want, func(a, b state.Org) int { return strings.Compare(a.Domain, b.Domain) })
		f.orgs = rapid.Permutation(f.orgs).Draw(rt, "listed")
		f.pageSize = rapid.IntRange(2, 5).Draw(rt, "page size")
		c, err := New(Options{URL: mustURL("http://aerial.test"), AccountID: testAccount, Transport: inProcess{f},
			Concurrency: rapid.IntRange(1, 10).Draw(rt, "concurrency")})
		if err != nil {
			rt.Fatal(err)
		}
		got, err := c.Observe(t.Context(), nil)
		if err != nil {
			rt.Fatal(err)
		}
		if d := cmp.Diff(want, got.Orgs); d != "" {
			rt.Error(d)
		}
	})
}
