package aerial

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"reconciler/internal/okta/rest"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
	"reconciler/internal/state"
)

// askAfter is how old the look may be on which a repeated write rests.
const askAfter = 2 * time.Second

// puts are the writes that are sent again and so may meet changes of others.
var puts = map[string]func(context.Context, *Client, func(context.Context) error) error{
	"name": func(ctx context.Context, c *Client, again func(context.Context) error) error {
		_, err := c.RenameAccount(ctx, "Acme", again)
		return err
	},
	"products": func(ctx context.Context, c *Client, again func(context.Context) error) error {
		_, err := c.SetOrgProducts(ctx, "00o1", []string{"P1"}, again)
		return err
	},
	"status": func(ctx context.Context, c *Client, again func(context.Context) error) error {
		_, err := c.SetOrgStatus(ctx, "00o1", state.Inactive, again)
		return err
	},
}

// done is a success of each of the puts.
func done(w http.ResponseWriter, r *http.Request) {
	body := accountBody
	switch {
	case strings.HasSuffix(r.URL.Path, "/products"):
		body = `[{"id":"P1"}]`
	case strings.HasSuffix(r.URL.Path, "/status"):
		body = `{"id":"00o1"}`
	}
	reply(200, body)(w, r)
}

var errChanged = errors.New("somebody has changed it")

// TestAgainRefuses: what others changed while the write waited stays as it is.
// Only an attempt that may have taken effect leaves the outcome open.
func TestAgainRefuses(t *testing.T) {
	for _, tt := range []struct {
		name      string
		first     http.HandlerFunc
		err       string // its end
		uncertain bool
	}{
		{"limited", reply(429, limitBody, "Retry-After", "2"),
			": somebody has changed it (not sent again after: 429 E0000047 API call exceeded rate limit due to too many requests. (errorId oaeL))", false},
		{"failed", reply(503, "", "Retry-After", "3"),
			": somebody has changed it (not sent again after: 503 Service Unavailable); it may have taken effect all the same", true},
		{"no answer", hang,
			": somebody has changed it (not sent again after: no complete answer within 30s); it may have taken effect all the same", true},
	} {
		for what, put := range puts {
			t.Run(what+" "+tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := play(tt.first, done)
					asked := 0
					err := put(t.Context(), newClient(t, s, nil), func(context.Context) error { asked++; return errChanged })
					if asked != 1 || s.count() != 1 {
						t.Errorf("asked %d times and sent %d times, want once and once", asked, s.count())
					}
					var u *rest.UncertainError
					if !errors.Is(err, errChanged) || !strings.HasSuffix(err.Error(), tt.err) || errors.As(err, &u) != tt.uncertain {
						t.Errorf("error = %v\nwant  … %s", err, tt.err)
					}
					if statusOf(err) != 0 {
						t.Errorf("Okta's answer to the attempt before passes for the reason: %v", err)
					}
				})
			})
		}
	}
}

// TestAgainAgrees: it is asked when the last look is older than askAfter, and
// not on each of many short waits.
func TestAgainAgrees(t *testing.T) {
	crowd := reply(429, limitBody, "X-Rate-Limit-Limit", "0", "X-Rate-Limit-Remaining", "0")
	for name, first := range map[string]http.HandlerFunc{
		"limited": reply(429, limitBody, "Retry-After", "5"),
		"failed":  reply(500, internalBody),
		"no slot": crowd,
	} {
		for what, put := range puts {
			t.Run(what+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := play(first, first, first, first, first, done)
					looks := []time.Time{time.Now()}
					err := put(t.Context(), newClient(t, s, nil), func(context.Context) error {
						if now := time.Now(); now.Sub(looks[len(looks)-1]) <= askAfter {
							t.Errorf("asked %v after the last look", now.Sub(looks[len(looks)-1]))
						}
						looks = append(looks, time.Now())
						return nil
					})
					if err != nil || s.count() != 6 {
						t.Errorf("error = %v, %d calls", err, s.count())
					}
					for _, at := range s.times {
						fresh := func(look time.Time) bool { return !look.After(at) && at.Sub(look) <= askAfter }
						if !slices.ContainsFunc(looks, fresh) {
							t.Errorf("sent at %v, looked at %v", at, looks)
						}
					}
				})
			})
		}
	}
}

// TestAgainIsNotAsked: not before a call is sent for the first time, nor when
// it is sent again at once.
func TestAgainIsNotAsked(t *testing.T) {
	crowd := reply(429, limitBody, "X-Rate-Limit-Limit", "0", "X-Rate-Limit-Remaining", "0")
	for what, put := range puts {
		synctest.Test(t, func(t *testing.T) {
			slow := func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(20 * time.Second)
				reply(200, accountBody)(w, r)
			}
			c := newClient(t, play(slow, crowd, done), func(o *Options) { o.Concurrency = 1 })
			go func() { _, _ = c.Account(t.Context()) }()
			synctest.Wait()
			// The time goes by before the first attempt, and then counts.
			asked := 0
			err := put(t.Context(), c, func(context.Context) error { asked++; return nil })
			if err != nil || asked != 1 {
				t.Errorf("%s, late: asked %d times, error %v", what, asked, err)
			}
			c = newClient(t, play(crowd, done), nil)
			err = put(t.Context(), c, func(context.Context) error { return errChanged })
			if err != nil {
				t.Errorf("%s, at once: %v", what, err)
			}
		})
	}
}

// TestAgainHoldsNoSlot: it can make calls where there is one slot only; and
// should it wait for a slot afterwards, it is asked once more.
func TestAgainHoldsNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		sent := 0
		c := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				time.Sleep(time.Second)
				done(w, r)
				return
			}
			mu.Lock()
			sent++
			first := sent == 1
			mu.Unlock()
			if first {
				reply(429, limitBody, "Retry-After", "5")(w, r)
				return
			}
			done(w, r)
		}), func(o *Options) { o.Concurrency = 1 })
		var wg sync.WaitGroup
		defer wg.Wait()
		asked := 0
		_, err := c.SetOrgProducts(t.Context(), "00o1", []string{"P1"}, func(ctx context.Context) error {
			asked++
			if _, err := c.OrgProducts(ctx, "00o1"); err != nil {
				return err
			}
			if asked > 1 {
				return errChanged
			}
			// Five others come first, and take a second each.
			for range 5 {
				wg.Go(func() { _, _ = c.Account(t.Context()) })
			}
			synctest.Wait()
			return nil
		})
		if !errors.Is(err, errChanged) || asked != 2 || sent != 1 {
			t.Errorf("asked %d times, sent %d times, error %v", asked, sent, err)
		}
	})
}

// TestAgainStopped: a call whose context ends while it is asked is over.
func TestAgainStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s := play(reply(429, limitBody, "Retry-After", "5"), done)
		_, err := newClient(t, s, nil).RenameAccount(ctx, "Acme", func(ctx context.Context) error {
			cancel()
			return ctx.Err()
		})
		if !errors.Is(err, context.Canceled) || s.count() != 1 {
			t.Errorf("error = %v, %d calls", err, s.count())
		}
	})
}

// TestAgainAgainstOkta: an org that is emptied while a write to it waits for a
// rate limit stays empty.
func TestAgainAgainstOkta(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOkta(t, simulatortest.Config{})
		org := plainOrg(t, o)
		before, err := o.OrgProducts(t.Context(), org.ID)
		if err != nil || len(before) == 0 {
			t.Fatalf("products %v, %v", before, err)
		}
		o.fault(t, simulator.Fault{Method: "PUT", Path: "/api/v1/orgs/*/products", Nth: 1, Status: 429, RetryAfter: 2 * time.Second,
			Do: func() {
				if err := o.sim.SetOrgProducts(org.Domain, []string{}, "admin@acme.example"); err != nil {
					t.Error(err)
				}
			}})
		_, err = o.SetOrgProducts(t.Context(), org.ID, append([]string{"P000139"}, before...), func(ctx context.Context) error {
			now, err := o.OrgProducts(ctx, org.ID)
			if err == nil && !slices.Equal(now, before) {
				err = errChanged
			}
			return err
		})
		var u *rest.UncertainError
		if !errors.Is(err, errChanged) || errors.As(err, &u) {
			t.Errorf("error = %v", err)
		}
		if s, _ := o.sim.Org(org.Domain); len(s.Products) != 0 {
			t.Errorf("the org has the products %v", s.Products)
		}
	})
}
