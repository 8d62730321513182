package simulator_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
)

func TestParseFault(t *testing.T) {
	tests := []struct {
		text string
		want simulator.Fault
		err  string
	}{
		{"PUT /api/v1/orgs/*/products status=500 after times=2", simulator.Fault{Method: "PUT", Path: "/api/v1/orgs/*/products", Status: 500, After: true, Times: 2}, ""},
		{" *  /**  cut ", simulator.Fault{Cut: true}, ""},
		{"GET /api/v1/orgs/** api=aerial nth=3 cut-body", simulator.Fault{Method: "GET", Path: "/api/v1/orgs/**", API: "aerial", Nth: 3, CutBody: true}, ""},
		{"* /** status=429 retry-after=2s reset=10s every=5", simulator.Fault{Status: 429, RetryAfter: 2 * time.Second, Reset: 10 * time.Second, Every: 5}, ""},
		{"* /** status=429 concurrency probability=0.25", simulator.Fault{Status: 429, Concurrency: true, Probability: 0.25}, ""},
		{"GET /api/v1/orgs next=https://evil.example/x", simulator.Fault{Method: "GET", Path: "/api/v1/orgs", Next: "https://evil.example/x"}, ""},
		{"GET /x redirect=https://evil.example after", simulator.Fault{Method: "GET", Path: "/x", Redirect: "https://evil.example", After: true}, ""},
		{"GET /x status=403 code=E0000015 content-type=text/html garbage", simulator.Fault{Method: "GET", Path: "/x", Status: 403, Code: "E0000015", ContentType: "text/html", Garbage: true}, ""},

		{"", simulator.Fault{}, "want METHOD PATH and what happens"},
		{"PUT /x", simulator.Fault{}, "want METHOD PATH and what happens"},
		{"put /x cut", simulator.Fault{}, `method "put": want * or one of GET`},
		{"PUT x cut", simulator.Fault{}, "starts with /"},
		{"PUT /[ cut", simulator.Fault{}, "malformed pattern"},
		{"PUT /**/x cut", simulator.Fault{}, "** can only stand at the end"},
		{"PUT /x statu=500", simulator.Fault{}, `unknown word "statu": want one of after, api=, code=`},
		{"PUT /x status", simulator.Fault{}, `"status" needs a value`},
		{"PUT /x status=", simulator.Fault{}, `"status" needs a value`},
		{"PUT /x status=200", simulator.Fault{}, "from 400 to 599"},
		{"PUT /x status=x", simulator.Fault{}, `status "x": want a number`},
		{"PUT /x cut=1", simulator.Fault{}, `"cut" takes no value`},
		{"PUT /x cut cut", simulator.Fault{}, `"cut" is there twice`},
		{"PUT /x cut nth=0", simulator.Fault{}, `nth "0": want a number from 1 on`},
		{"PUT /x delay=5", simulator.Fault{}, "want a duration"},
		{"PUT /x delay=-5s", simulator.Fault{}, "want a duration"},
		{"PUT /x cut probability=2", simulator.Fault{}, "up to 1"},
		{"PUT /x cut probability=NaN", simulator.Fault{}, "up to 1"},
		{"PUT /x cut api=okta", simulator.Fault{}, "want aerial or org"},
		{"PUT /x redirect=/y", simulator.Fault{}, "absolute URL"},
		{"PUT /x next=y", simulator.Fault{}, "absolute URL"},
		{"PUT /x cut hang", simulator.Fault{}, "only one of status, cut, hang, edge and redirect"},
		{"PUT /x cut garbage", simulator.Fault{}, "no answer to change"},
		{"PUT /x after garbage", simulator.Fault{}, "after needs status"},
		{"PUT /x cut retry-after=5s", simulator.Fault{}, "need a status"},
		{"PUT /x times=2", simulator.Fault{}, "nothing would happen"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			got, err := simulator.ParseFault(tt.text)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "\n") {
					t.Fatalf("got error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(simulator.Fault{}, "Do")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Whatever ParseFault takes, its String is taken too and means the same.
func TestFaultText(t *testing.T) {
	words := []string{
		"after", "concurrency", "cut", "hang", "cut-body", "garbage", "empty", "drop-link", "loop", "endless", "expire-tokens",
		"api=org", "nth=2", "every=3", "times=4", "probability=0.125", "status=429", "code=E0000047", "retry-after=1.5s",
		"reset=1m0s", "delay=20ms", "redirect=https://x.example/y", "next=http://x.example", "content-type=text/plain",
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom([]string{"*", "GET", "PUT"}).Draw(t, "method") + " " +
			rapid.SampledFrom([]string{"/**", "/api/v1/orgs/*/products", "/a*"}).Draw(t, "path") + " " +
			strings.Join(rapid.SliceOfNDistinct(rapid.SampledFrom(words), 1, 6, rapid.ID).Draw(t, "words"), " ")
		f, err := simulator.ParseFault(text)
		if err != nil {
			t.Skip(err)
		}
		again, err := simulator.ParseFault(f.String())
		if err != nil {
			t.Fatalf("%q: %v", f.String(), err)
		}
		if diff := cmp.Diff(f, again, cmpopts.IgnoreFields(simulator.Fault{}, "Do")); diff != "" {
			t.Fatal(diff)
		}
	})
}

// What each fault does to a write: what the client sees, and whether it took
// effect.
func TestFaultEffects(t *testing.T) {
	tests := []struct {
		fault string
		check func(t *testing.T, r result)
		took  bool
	}{
		{"status=500", isError(500, "E0000009"), false},
		{"status=500 after", isError(500, "E0000009"), true},
		{"status=503", isError(503, "E0000009"), false},
		{"status=401", isError(401, "E0000011"), false},
		{"status=403", isError(403, "E0000006"), false},
		{"status=404", isError(404, "E0000007"), false},
		{"status=400", isError(400, "E0000001"), false},
		{"status=403 code=E0000015", isError(403, "E0000015"), false},
		{"status=429", isError(429, "E0000047"), false},
		{"cut", isCut, false},
		{"cut after", isCut, true},
		{"cut-body", func(t *testing.T, r result) {
			if r.status != 200 || !errors.Is(r.err, io.ErrUnexpectedEOF) || r.body == "" {
				t.Errorf("got %+v", r)
			}
		}, true},
		{"garbage", func(t *testing.T, r result) {
			if r.status != 200 || !strings.HasPrefix(r.body, "<html>") || r.err != nil {
				t.Errorf("got %+v", r)
			}
		}, true},
		{"garbage status=502 content-type=text/html", func(t *testing.T, r result) {
			if r.status != 502 || !strings.HasPrefix(r.body, "<html>") || r.header.Get("Content-Type") != "text/html" {
				t.Errorf("got %+v", r)
			}
		}, false},
		{"empty", func(t *testing.T, r result) {
			if r.status != 200 || r.body != "" || r.err != nil {
				t.Errorf("got %+v", r)
			}
		}, true},
		{"content-type=text/plain", func(t *testing.T, r result) {
			if r.status != 200 || r.header.Get("Content-Type") != "text/plain" || !strings.HasPrefix(r.body, "[") {
				t.Errorf("got %+v", r)
			}
		}, true},
		{"redirect=https://evil.example/x", func(t *testing.T, r result) {
			if r.status != 307 || r.header.Get("Location") != "https://evil.example/x" {
				t.Errorf("got %+v", r)
			}
		}, false},
		{"redirect=https://evil.example/x after", func(t *testing.T, r result) {
			if r.status != 307 {
				t.Errorf("got %+v", r)
			}
		}, true},
		{"expire-tokens", isError(401, "E0000011"), false},
		{"delay=1ms", func(t *testing.T, r result) { wantStatus(t, r, 200) }, true},
	}
	for _, tt := range tests {
		t.Run(tt.fault, func(t *testing.T) {
			t.Run("over a socket", func(t *testing.T) {
				checkFault(t, start(t, simulatortest.Config{Orgs: 3}), tt.fault, tt.check, tt.took)
			})
			t.Run("in process", func(t *testing.T) {
				clock := newClock()
				s := simulatortest.New(t, simulatortest.Config{Orgs: 3, Options: simulator.Options{Now: clock.Now}})
				checkFault(t, &fixture{s, t, clock, "ES256"}, tt.fault, tt.check, tt.took)
			})
		})
	}
}

// checkFault makes a write that a fault strikes, and once more without.
func checkFault(t *testing.T, f *fixture, fault string, check func(*testing.T, result), took bool) {
	token := f.token(scopeManage)
	domain := f.Orgs()[6].Domain
	f.Fault(t, "PUT /api/v1/orgs/*/products times=1 "+fault)
	put := func() result {
		return f.aerial(token, "PUT", "/api/v1/orgs/"+f.orgID(domain)+"/products", `[{"id":"P000207"}]`)
	}
	check(t, put())
	o, _ := f.Org(domain)
	if got := slices.Equal(o.Products, []string{"P000207"}); got != took {
		t.Errorf("took effect: %v, want %v", got, took)
	}
	if w := f.Writes(); len(w) != 1 || !strings.Contains(w[0].Fault, strings.Fields(fault)[0]) {
		t.Errorf("writes: %+v", w)
	}
	token = f.token(scopeManage)
	wantStatus(t, put(), 200)
}

func isError(status int, code string) func(*testing.T, result) {
	return func(t *testing.T, r result) { t.Helper(); wantError(t, r, status, code, "") }
}

func isCut(t *testing.T, r result) {
	t.Helper()
	if r.err == nil || r.status != 0 {
		t.Errorf("got %+v, want a broken connection", r)
	}
}

func TestFaultHeaders(t *testing.T) {
	f := start(t, simulatortest.Config{})
	token := f.token(scopeRead)
	f.Fault(t, "GET /api/v1/accounts status=429 retry-after=1500ms reset=10s")
	r := f.aerial(token, "GET", "/api/v1/accounts", "")
	now := f.clock.Now().Unix()
	for name, want := range map[string]string{
		"Retry-After": "2", "X-Rate-Limit-Limit": "600", "X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": strconv.FormatInt(now+10, 10),
	} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	f.ClearFaults()
	f.Fault(t, "GET /api/v1/accounts status=429 concurrency")
	r = f.aerial(token, "GET", "/api/v1/accounts", "")
	if r.header.Get("X-Rate-Limit-Limit") != "0" || r.header.Get("X-Rate-Limit-Remaining") != "0" || r.header.Get("Retry-After") != "" {
		t.Errorf("got %v", r.header)
	}
}

func TestFaultLinks(t *testing.T) {
	f := start(t, simulatortest.Config{Orgs: 30})
	token := f.token(scopeRead)
	get := func(at string) result { return f.send("GET", at, "", "Authorization", "Bearer "+token) }
	first := f.URL + "/" + f.AccountID + "/api/v1/orgs?limit=10"
	next := func(fault, at string) string {
		t.Helper()
		f.ClearFaults()
		if fault != "" {
			f.Fault(t, "GET /api/v1/orgs "+fault)
		}
		r := get(at)
		wantStatus(t, r, 200)
		return links(t, r)["next"]
	}
	if got := next("next=https://evil.example/orgs", first); got != "https://evil.example/orgs" {
		t.Errorf("got %q", got)
	}
	if got := next("drop-link", first); got != "" {
		t.Errorf("got %q", got)
	}
	if got := next("loop", first); got != first {
		t.Errorf("got %q", got)
	}
	last := next("", next("", first))
	if got := next("", last); got != "" {
		t.Fatalf("the last page has a next: %q", got)
	}
	seen := map[string]bool{}
	for at, i := first, 0; i < 20; i++ {
		at = next("endless", at)
		if seen[at] {
			t.Fatalf("%q again", at)
		}
		seen[at] = true
		if got := ids(t, get(at)); len(got) != 10 {
			t.Fatalf("got %d orgs", len(got))
		}
	}
}

func TestFaultMatching(t *testing.T) {
	tests := []struct {
		fault string
		hit   string // of ten calls, each + or -
	}{
		{"GET /api/v1/accounts status=500", "++++++++++"},
		{"* /** status=500", "++++++++++"},
		{"* /**  api=aerial status=500", "++++++++++"},
		{"* /** api=org status=500", "----------"},
		{"PUT /** status=500", "----------"},
		{"GET /api/v1/account status=500", "----------"},
		{"GET /api/v1/accounts/* status=500", "----------"},
		{"GET /api/v1/* status=500", "++++++++++"},
		{"GET /*/api/v1/accounts status=500", "++++++++++"},
		{"GET /api/v1/acc* status=500", "++++++++++"},
		{"GET /api/** status=500", "++++++++++"},
		{"GET /api/v1/accounts nth=3 status=500", "--+-------"},
		{"GET /api/v1/accounts times=2 status=500", "++--------"},
		{"GET /api/v1/accounts every=4 status=500", "---+---+--"},
		{"GET /api/v1/accounts every=2 times=2 status=500", "-+-+------"},
		{"GET /api/v1/accounts probability=1 status=500", "++++++++++"},
	}
	for _, tt := range tests {
		t.Run(tt.fault, func(t *testing.T) {
			f := start(t, simulatortest.Config{})
			token := f.token(scopeRead)
			f.Fault(t, tt.fault)
			got := ""
			for range 10 {
				got += map[int]string{200: "-", 500: "+"}[f.aerial(token, "GET", "/api/v1/accounts", "").status]
			}
			if got != tt.hit {
				t.Errorf("got %s, want %s", got, tt.hit)
			}
		})
	}
	t.Run("the first that strikes wins", func(t *testing.T) {
		f := start(t, simulatortest.Config{})
		token := f.token(scopeRead)
		f.Fault(t, "GET /** nth=2 status=500")
		f.Fault(t, "GET /** nth=2 status=501")
		f.Fault(t, "GET /** nth=3 status=502")
		var got []int
		for range 4 {
			got = append(got, f.aerial(token, "GET", "/api/v1/accounts", "").status)
		}
		if !slices.Equal(got, []int{200, 500, 502, 200}) {
			t.Errorf("got %v", got)
		}
	})
	t.Run("chance", func(t *testing.T) {
		hits := func() (n int) {
			f := start(t, simulatortest.Config{})
			token := f.token(scopeRead)
			f.Fault(t, "GET /** probability=0.5 status=500")
			for range 100 {
				if f.aerial(token, "GET", "/api/v1/accounts", "").status == 500 {
					n++
				}
			}
			return n
		}
		if a, b := hits(), hits(); a != b || a < 30 || a > 70 {
			t.Errorf("%d and %d of 100 calls: want about half, and the same each time", a, b)
		}
	})
}

// Do lets a test change something in the middle of what it watches.
func TestFaultDo(t *testing.T) {
	f := start(t, simulatortest.Config{Orgs: 3})
	token := f.token(scopeRead)
	domain := f.Orgs()[6].Domain
	err := f.AddFault(simulator.Fault{Method: "GET", Path: "/api/v1/orgs/*/products", Times: 1, Do: func() {
		if err := f.SetOrgProducts(domain, []string{"P000207"}, "eve@acme.example"); err != nil {
			t.Error(err)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	r := f.aerial(token, "GET", "/api/v1/orgs/"+f.orgID(domain)+"/products", "")
	if r.body != `[{"id":"P000207","name":"IT Products - Identity Governance"}]` {
		t.Errorf("got %s", r.body)
	}
	if err := f.AddFault(simulator.Fault{Path: "x", Cut: true}); err == nil {
		t.Error("a fault that can never match was taken")
	}
}

// A call that hangs ends with its client, and holds its slot until then.
func TestHang(t *testing.T) {
	for _, after := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := simulatortest.New(t, simulatortest.Config{Orgs: 3})
			f := &fixture{s, t, newClock(), "ES256"}
			f.clock.now = time.Now()
			token := f.token(scopeManage)
			domain := f.Orgs()[6].Domain
			if err := f.AddFault(simulator.Fault{Method: "PUT", Hang: true, After: after}); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, "PUT", f.URL+"/"+f.AccountID+"/api/v1/orgs/"+f.orgID(domain)+"/status", strings.NewReader(`{"status":"INACTIVE"}`))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+token)
			req.Header.Set("Content-Type", "application/json")
			begin := time.Now()
			if resp, err := f.Client.Do(req); err == nil {
				t.Fatalf("got an answer: %s", resp.Status)
			}
			if took := time.Since(begin); took != time.Minute {
				t.Errorf("it hung for %s", took)
			}
			synctest.Wait()
			if o, _ := f.Org(domain); (o.Status == "INACTIVE") != after {
				t.Errorf("after %v: status %s", after, o.Status)
			}
			wantStatus(t, f.aerial(token, "GET", "/api/v1/accounts", ""), 200)
			if r := f.Requests(); r[len(r)-1].InFlight != 1 {
				t.Errorf("%d in flight", r[len(r)-1].InFlight)
			}
		})
	}
}

// A client that does not wait for the answer gets what it asked for all the
// same, as at the real thing.
func TestClientGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := simulatortest.New(t, simulatortest.Config{Orgs: 3, Options: simulator.Options{Latency: time.Second}})
		f := &fixture{s, t, newClock(), "ES256"}
		f.clock.now = time.Now()
		token := f.token(scopeManage)
		domain := f.Orgs()[6].Domain
		f.Client.Timeout = 10 * time.Millisecond
		if r := f.aerial(token, "PUT", "/api/v1/orgs/"+f.orgID(domain)+"/status", `{"status":"INACTIVE"}`); r.err == nil {
			t.Fatal("no timeout")
		}
		synctest.Wait()
		if o, _ := f.Org(domain); o.Status != "INACTIVE" {
			t.Errorf("status %s", o.Status)
		}
	})
}
