package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"reconciler/internal/web"
)

// counting counts the requests in flight; f answers them.
type counting struct {
	f               func(*http.Request) (*http.Response, error)
	mu              sync.Mutex
	inFlight, most  int
	methods, agents []string
}

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	c.inFlight++
	c.most = max(c.most, c.inFlight)
	c.methods, c.agents = append(c.methods, r.Method), append(c.agents, r.Header.Get("User-Agent"))
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.inFlight--
		c.mu.Unlock()
	}()
	return c.f(r)
}

// reply answers with a status and, for a 429, a wait in seconds.
func reply(status int, wait string) (*http.Response, error) {
	return (&api{answers: []answer{{status: status, header: http.Header{"Retry-After": {wait}}}}}).RoundTrip(&http.Request{})
}

func get() *Call {
	c := call(Always)
	c.Method = "GET"
	return c
}

// TestLookInTheSlot: MaySend makes calls where there is one slot only, also by a
// Caller with other credentials; no more calls are in flight than there are slots.
func TestLookInTheSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wire := &counting{f: func(*http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return reply(200, "")
		}}
		writing := caller(wire, nil)
		reading := writing.As(nil)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				write := call(AfterLook)
				write.MaySend = func(ctx context.Context) ([]byte, error) {
					for range 2 {
						if err := reading.Do(ctx, get()); err != nil {
							return nil, err
						}
					}
					return []byte("body"), nil
				}
				if err := writing.Do(t.Context(), write); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := strings.Join(wire.methods, " "); wire.most != 1 || got != "GET GET POST GET GET POST GET GET POST" {
			t.Errorf("%d in flight: %s", wire.most, got)
		}
		if !writing.slots.TryAcquire(1) || writing.slots.TryAcquire(1) {
			t.Error("not one slot is free")
		}
	})
}

// TestLookWaits: while a call of MaySend waits to be sent again, others have the
// slot; and what it read last is read with the slot in hand.
func TestLookWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		limited := true
		wire := &counting{f: func(r *http.Request) (*http.Response, error) {
			if r.Method == "GET" && limited {
				limited = false
				return reply(429, "60")
			}
			return reply(200, "")
		}}
		c := caller(wire, nil)
		time.AfterFunc(10*time.Second, func() {
			other := get()
			other.Method = "HEAD"
			if err := c.Do(t.Context(), other); err != nil || time.Since(start) != 10*time.Second {
				t.Errorf("another call waited until %v: %v", time.Since(start), err)
			}
		})
		write := call(Never)
		var looked time.Time
		write.MaySend = func(ctx context.Context) ([]byte, error) {
			err := c.Do(ctx, get())
			looked = time.Now()
			return nil, err
		}
		write.Policy.Timeout = 5 * time.Second // of the send alone
		if err := c.Do(t.Context(), write); err != nil || !looked.Equal(time.Now()) {
			t.Errorf("looked at %v: %v", looked, err)
		}
		if got := strings.Join(wire.methods, " "); got != "GET HEAD GET POST" {
			t.Error(got)
		}
	})
}

// TestLookThatLostTheSlot: a call of MaySend that could not get the slot back, and
// that MaySend makes light of, is asked again with a slot.
func TestLookThatLostTheSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wire := &counting{f: func(r *http.Request) (*http.Response, error) {
			if r.Method == "GET" {
				return reply(429, "60")
			}
			return reply(200, "")
		}}
		c := caller(wire, nil)
		asked := 0
		write := call(Never)
		write.MaySend = func(ctx context.Context) ([]byte, error) {
			if asked++; asked == 1 {
				short, cancel := context.WithTimeout(ctx, time.Second)
				defer cancel()
				if err := c.Do(short, get()); !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
			}
			return nil, nil
		}
		if err := c.Do(t.Context(), write); err != nil || asked != 2 {
			t.Errorf("asked %d times, %v", asked, err)
		}
		if !c.slots.TryAcquire(1) {
			t.Error("the slot is lost")
		}
	})
}

// TestStopBeforeTheSend: a write whose context ends while it is asked, or gets
// credentials, is not sent and ends at once.
func TestStopBeforeTheSend(t *testing.T) {
	slow := func(base http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			select {
			case <-time.After(20 * time.Second):
				return base.RoundTrip(r)
			case <-r.Context().Done():
				return nil, context.Cause(r.Context())
			}
		})
	}
	for name, auth := range map[string]func(http.RoundTripper) http.RoundTripper{"asked": nil, "credentials": slow} {
		synctest.Test(t, func(t *testing.T) {
			wire := &counting{f: func(*http.Request) (*http.Response, error) { return reply(200, "") }}
			ctx, cancel := context.WithCancel(t.Context())
			stop := time.AfterFunc(3*time.Second, cancel)
			defer stop.Stop()
			write := call(AfterLook)
			write.Policy.Grace = 10 * time.Second
			write.MaySend = func(ctx context.Context) ([]byte, error) {
				return nil, web.Sleep(ctx, 20*time.Second)
			}
			start := time.Now()
			err := caller(wire, auth).Do(ctx, write)
			var open *UncertainError
			if !errors.Is(err, context.Canceled) || errors.As(err, &open) || len(wire.methods) > 0 || time.Since(start) != 3*time.Second {
				t.Errorf("%s: %v after %v, sent %v", name, err, time.Since(start), wire.methods)
			}
		})
	}
}

// TestObserverSeesSends: what is observed is what was sent, for as long as its
// answer took, and not what MaySend took.
func TestObserverSeesSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &observed{}
		c := New(Options{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return reply(401, "")
		}), Auth: renewing, Observer: o})
		write := call(Never)
		write.MaySend = func(context.Context) ([]byte, error) { time.Sleep(time.Minute); return nil, nil }
		_ = c.Do(t.Context(), write)
		if got := strings.Join(o.log, ", "); got != "started, 401 in 1s, started, 401 in 1s" {
			t.Error(got)
		}
		write.MaySend = func(context.Context) ([]byte, error) { return nil, errForbidden }
		_ = c.Do(t.Context(), write)
		if len(o.log) != 4 {
			t.Errorf("a call that was not sent is observed: %v", o.log)
		}
	})
}

type observed struct{ log []string }

func (o *observed) Started(string, string) { o.log = append(o.log, "started") }
func (o *observed) Finished(_, _ string, code int, took time.Duration) {
	o.log = append(o.log, fmt.Sprintf("%d in %v", code, took))
}

// TestUserAgent: each request says which program sends it, and for which run.
func TestUserAgent(t *testing.T) {
	wire := &counting{f: func(*http.Request) (*http.Response, error) { return reply(200, "") }}
	c := caller(wire, nil)
	for _, ctx := range []context.Context{t.Context(), web.WithRun(t.Context(), "20261130T081400Z-abcdef")} {
		for _, call := range []*Call{get(), call(Never)} {
			if err := c.Do(ctx, call); err != nil {
				t.Error(err)
			}
		}
	}
	none, run := "reconciler/devel", "reconciler/devel (run 20261130T081400Z-abcdef)"
	if got, want := strings.Join(wire.agents, ", "), strings.Join([]string{none, none, run, run}, ", "); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// TestTransportDoesNotRepeat: no transport can send a write again that rests on a
// look, because it can't get the body a second time.
func TestTransportDoesNotRepeat(t *testing.T) {
	for repeat, can := range map[Repeat]bool{Never: true, AfterLook: false, Always: true} {
		call := call(repeat)
		call.MaySend = func(context.Context) ([]byte, error) { return []byte("body"), nil }
		err := caller(roundTrip(func(r *http.Request) (*http.Response, error) {
			if (r.GetBody != nil) != can || r.ContentLength != 4 {
				t.Errorf("%d: GetBody is there: %v", repeat, r.GetBody != nil)
			}
			return reply(200, "")
		}), nil).Do(t.Context(), call)
		if err != nil {
			t.Error(err)
		}
	}
}

// TestClosed: a call that the API asked not to be sent again for longer than a call
// waits is not sent by those that follow, until then or for an hour at most; other
// calls are.
func TestClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait := "3000"
		wire := &counting{f: func(*http.Request) (*http.Response, error) { return reply(429, wait) }}
		c := caller(wire, nil)
		other := get()
		other.Endpoint = "another"
		first := c.Do(t.Context(), get())
		time.Sleep(49 * time.Minute)
		again := c.As(nil).Do(t.Context(), get())
		if again == nil || again.Error() != first.Error() || !errors.As(again, new(*UnsentError)) || len(wire.methods) != 1 {
			t.Errorf("%d calls: %v, then %v", len(wire.methods), first, again)
		}
		c.Do(t.Context(), other)
		if len(wire.methods) != 2 {
			t.Errorf("another call was not sent")
		}
		time.Sleep(time.Minute)
		wait = "864000"
		c.Do(t.Context(), get())
		time.Sleep(time.Hour)
		c.Do(t.Context(), get())
		if len(wire.methods) != 4 {
			t.Errorf("%d calls, want 4", len(wire.methods))
		}
	})
}
