package simulator_test

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
)

// Ten calls at once are allowed; the eleventh fails, with zeros and a
// guess in the headers, and has no slot meanwhile.
func TestConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := simulatortest.New(t, simulatortest.Config{Options: simulator.Options{Latency: time.Second}})
		f := &fixture{s, t, newClock(), "ES256"}
		f.clock.now = time.Now()
		token := f.token(scopeRead)
		get := func() result { return f.aerial(token, "GET", "/api/v1/accounts", "") }

		var wg sync.WaitGroup
		results := make([]result, 12)
		for i := range results {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				results[i] = get()
			})
		}
		wg.Wait()
		for i, r := range results {
			if i < 10 {
				wantStatus(t, r, 200)
				continue
			}
			wantError(t, r, 429, "E0000047", "rate limit")
			limit, remaining := r.header.Get("X-Rate-Limit-Limit"), r.header.Get("X-Rate-Limit-Remaining")
			reset, err := strconv.ParseInt(r.header.Get("X-Rate-Limit-Reset"), 10, 64)
			if limit != "0" || remaining != "0" || err != nil || reset <= time.Now().Unix() {
				t.Errorf("limit %q, remaining %q, reset %d", limit, remaining, reset)
			}
		}
		if got := f.MaxInFlight(); got != 12 {
			t.Errorf("at most %d were in flight, want 12", got)
		}

		// Two failing calls are in flight when a slot gets free: it is free.
		f.ResetRequests()
		for i := range 12 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				get()
			})
		}
		time.Sleep(time.Second + time.Microsecond)
		wantStatus(t, get(), 200)
		wg.Wait()
	})
}

// Calls of an org don't count: neither token, nor log, nor Org Creator.
func TestConcurrencyOfOrgs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := simulatortest.New(t, simulatortest.Config{Options: simulator.Options{Latency: time.Second}})
		f := &fixture{s, t, newClock(), "ES256"}
		f.clock.now = time.Now()
		var wg sync.WaitGroup
		results := make([]result, 20)
		for i := range results {
			wg.Go(func() { results[i] = f.asParent("GET", "/api/v1/logs", "") })
		}
		wg.Wait()
		for _, r := range results {
			wantStatus(t, r, 200)
		}
		if got := f.MaxInFlight(); got != 0 {
			t.Errorf("%d calls of the Aerial API", got)
		}
	})
}

func TestPerMinute(t *testing.T) {
	seed := simulator.DefaultSeed(3)
	seed.Limits.PerMinute = 5
	f := start(t, simulatortest.Config{Seed: seed})
	token := f.token(scopeRead)
	get := func() result { return f.aerial(token, "GET", "/api/v1/accounts", "") }
	f.clock.Add(20 * time.Second)
	reset := strconv.FormatInt(f.clock.Now().Add(40*time.Second).Unix(), 10)
	for left := 4; left >= 0; left-- {
		r := get()
		wantStatus(t, r, 200)
		if r.header.Get("X-Rate-Limit-Limit") != "5" || r.header.Get("X-Rate-Limit-Remaining") != strconv.Itoa(left) || r.header.Get("X-Rate-Limit-Reset") != reset {
			t.Errorf("with %d left: %v", left, r.header)
		}
	}
	r := get()
	wantError(t, r, 429, "E0000047", "")
	if r.header.Get("X-Rate-Limit-Limit") != "5" || r.header.Get("X-Rate-Limit-Remaining") != "0" || r.header.Get("X-Rate-Limit-Reset") != reset {
		t.Errorf("headers %v", r.header)
	}
	f.clock.Add(40*time.Second - time.Nanosecond)
	wantStatus(t, get(), 429)
	f.clock.Add(time.Nanosecond)
	wantStatus(t, get(), 200)
}

func TestCreatorLimit(t *testing.T) {
	f := start(t, simulatortest.Config{Orgs: 2})
	create := func(i int) result {
		return f.send("POST", "/api/v1/orgs", creation("acme-n"+strconv.Itoa(i)), "Authorization", "SSWS "+f.ParentToken)
	}
	for i := range 10 {
		wantStatus(t, create(i), 201)
		f.clock.Add(time.Second)
	}
	r := create(10)
	wantError(t, r, 429, "E0000047", "")
	if got := r.header.Get("X-Rate-Limit-Reset"); got != strconv.FormatInt(f.clock.Now().Add(50*time.Second).Unix(), 10) {
		t.Errorf("reset %s", got)
	}
	// It is ten in any sixty seconds: a place gets free when the first is old
	// enough, and only one.
	f.clock.Add(50 * time.Second)
	wantStatus(t, create(11), 201)
	wantStatus(t, create(12), 429)
	if _, made := f.Org("acme-n10.okta.com"); made {
		t.Error("a refused creation took effect")
	}
}

// creation is a good body for the Org Creator API.
func creation(subdomain string) string {
	return strings.ReplaceAll(`{"subdomain":"SUB","name":"Acme SUB","website":"https://acme.example","edition":"SKU",
		"admin":{"profile":{"firstName":"Ada","lastName":"Admin","email":"okta@acme.example","login":"okta@acme.example"}}}`, "SUB", subdomain)
}
