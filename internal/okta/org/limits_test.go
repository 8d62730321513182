package org

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestBucket(t *testing.T) {
	for endpoint, want := range map[string]string{
		"/api/v1/zones":                                   "/api/v1/zones",
		"/api/v1/zones/{id}":                              "/api/v1/zones/{id}",
		"/api/v1/zones/{id}/lifecycle/activate":           "/api/v1/zones",
		"/api/v1/groups":                                  "/api/v1/groups",
		"/api/v1/groups/{id}":                             "/api/v1/groups/{id}",
		"/api/v1/groups/rules":                            "/api/v1/groups",
		"/api/v1/groups/rules/{id}":                       "/api/v1/groups",
		"/api/v1/policies/{parent}/rules":                 "/api/v1/policies",
		"/api/v1/policies/{parent}/rules/{id}":            "/api/v1/policies",
		"/api/v1/org/settings/clientPrivilegesSetting":    "/api/v1/org",
		"/attack-protection/api/v1/user-lockout-settings": "/attack-protection/api/v1/user-lockout-settings",
		"/.well-known/okta-organization":                  "/.well-known/okta-organization",
	} {
		if got := bucket(endpoint); got != want {
			t.Errorf("%s: %s, want %s", endpoint, got, want)
		}
	}
}

// limited is a server whose one bucket allows so many calls in each minute of the
// clock, of which others use some.
type limited struct {
	mu             sync.Mutex
	limit, others  int
	used           map[int64]int
	refused, total int
	times          []time.Time
}

func (l *limited) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.URL.Path, "well-known") {
		reply(200, `{"id":"00o1","pipeline":"idx"}`)(w, r)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	minute := time.Now().Unix() / 60
	used := l.used[minute] + l.others
	headers := []string{"X-Rate-Limit-Limit", strconv.Itoa(l.limit), "X-Rate-Limit-Remaining", strconv.Itoa(max(0, l.limit-used-1)),
		"X-Rate-Limit-Reset", strconv.FormatInt(60*(minute+1), 10)}
	if used >= l.limit {
		l.refused++
		reply(429, refusal("E0000047", "API call exceeded rate limit due to too many requests."), headers...)(w, r)
		return
	}
	l.used[minute]++
	l.total++
	l.times = append(l.times, time.Now())
	reply(200, "[]", headers...)(w, r)
}

// TestShare: in no minute more than the share of the limit is used, nothing is refused,
// and the calls all come to their end.
func TestShare(t *testing.T) {
	for _, tt := range []struct {
		share, limit, others, calls int
		most                        int // in a minute, apart from those before the limit was known
		minutes                     int
	}{
		{50, 20, 0, 35, 10, 3},
		{100, 10, 0, 25, 10, 2},
		{10, 5, 0, 3, 1, 3}, // less than one call: one
		{50, 20, 15, 10, 5, 1},
	} {
		t.Run(fmt.Sprintf("%d percent of %d beside %d", tt.share, tt.limit, tt.others), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &limited{limit: tt.limit, others: tt.others, used: map[int64]int{}}
				c := newClient(t, l, func(o *Options) { o.Share, o.CallsPerOrg = tt.share, 1 })
				start := time.Now()
				for range tt.calls {
					if _, err := c.Read(t.Context(), acme, reads("networkZones")); err != nil {
						t.Fatal(err)
					}
				}
				if l.refused > 0 || l.total != tt.calls {
					t.Errorf("%d of %d calls were refused", l.refused, l.total)
				}
				for minute, n := range l.used {
					if n > tt.most {
						t.Errorf("%d calls in minute %d, want at most %d", n, minute, tt.most)
					}
				}
				if took := time.Since(start); took > time.Duration(tt.minutes)*time.Minute+5*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// TestShareConcurrently: many calls at once keep to the limit as one after the other,
// but for those that were under way when it was learned.
func TestShareConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &limited{limit: 40, used: map[int64]int{}}
		c := newClient(t, l, nil)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if _, err := c.Read(t.Context(), acme, reads("networkZones")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for minute, n := range l.used {
			if n > 20 {
				t.Errorf("%d calls in minute %d", n, minute)
			}
		}
		if l.refused > 0 || l.total != 50 {
			t.Errorf("%d refused, %d calls", l.refused, l.total)
		}
	})
}

// TestNoRoom: a call that can't be made within the bounds is an error that names the
// limit, and one whose context ends ends.
func TestNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimits(50)
		if err := l.reserve(t.Context(), "/api/v1/zones", "orgs.share"); err != nil {
			t.Fatal(err)
		}
		l.learn("/api/v1/zones", http.Header{
			"X-Rate-Limit-Limit": {"2"}, "X-Rate-Limit-Reset": {strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10)}, "X-Rate-Limit-Remaining": {"1"},
		})
		start := time.Now()
		err := l.reserve(t.Context(), "/api/v1/zones", "orgs.share")
		if err == nil || err.Error() != "the org's rate limit of 2 calls for /api/v1/zones leaves no room" || time.Since(start) > time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if err := l.reserve(t.Context(), "/api/v1/groups", "orgs.share"); err != nil {
			t.Errorf("another bucket: %v", err)
		}
		l.learn("/api/v1/groups", http.Header{"X-Rate-Limit-Limit": {"1"}, "X-Rate-Limit-Remaining": {"0"}})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if err := l.reserve(ctx, "/api/v1/groups", "orgs.share"); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		time.Sleep(longest)
		if err := l.reserve(t.Context(), "/api/v1/zones", "orgs.share"); err != nil {
			t.Errorf("although no window lasts an hour: %v", err)
		}
	})
}

// TestLearn: what an answer says that can't be so changes nothing.
func TestLearn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, h := range []http.Header{
			{},
			{"X-Rate-Limit-Limit": {"0"}, "X-Rate-Limit-Remaining": {"0"}}, // concurrent calls
			{"X-Rate-Limit-Limit": {"-1"}},
			{"X-Rate-Limit-Limit": {"many"}},
		} {
			l := newLimits(50)
			for range 100 {
				if wait, _ := l.take("b", time.Now()); wait != 0 {
					t.Fatalf("%v: waits for %v", h, wait)
				}
				l.learn("b", h)
			}
		}
		newLimits(50).learn("never called", http.Header{"X-Rate-Limit-Limit": {"1"}})
	})
}
