package auth

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/web"
)

// A token is kept while it lasts, for each set of scopes whatever their order,
// and renewed before it expires.
func TestTokenIsCached(t *testing.T) {
	key := newKeyPair(t)
	f := newFake(t, key)
	c := f.client(key, nil)
	ctx := context.Background()
	get := func(scopes ...string) Token {
		t.Helper()
		tok, err := c.Token(ctx, scopes...)
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	calls := func(want int) {
		t.Helper()
		if got, _ := f.counts(); got != want {
			t.Fatalf("%d token calls, want %d", got, want)
		}
	}

	first := get("b", "a")
	if diff := cmp.Diff([]string{"a", "b"}, first.Scopes); diff != "" {
		t.Error(diff)
	}
	if get("a", "b", "a").Secret() != first.Secret() {
		t.Error("another token for the same scopes")
	}
	calls(1)
	if get("a").Secret() == first.Secret() {
		t.Error("the same token for other scopes")
	}
	calls(2)
	f.clock.advance(time.Hour - renewMargin - time.Second)
	get("a", "b")
	calls(2)
	f.clock.advance(2 * time.Second)
	if renewed := get("a", "b"); renewed.Secret() == first.Secret() || !renewed.Expires.After(first.Expires) {
		t.Error("not renewed before it expires")
	}
	calls(3)
}

func TestLifetime(t *testing.T) {
	tests := []struct {
		raw  string
		want time.Duration
	}{
		{`3600`, time.Hour},
		{`"3600"`, time.Hour},
		{`300.5`, 300500 * time.Millisecond},
		{`3.6e3`, time.Hour},
		{``, defaultLife},
		{`null`, defaultLife},
		{`"soon"`, defaultLife},
		{`{}`, defaultLife},
		{`"NaN"`, defaultLife},
		{`0`, defaultLife},
		{`-5`, defaultLife},
		{`1`, minLife},
		{`1e300`, maxLife},
		{`"Inf"`, maxLife},
	}
	for _, tt := range tests {
		if got := lifetime([]byte(tt.raw)); got != tt.want {
			t.Errorf("lifetime(%s) = %v, want %v", tt.raw, got, tt.want)
		}
	}
}

// An answer without expires_in gives a token that lives an hour.
func TestExpiryMissing(t *testing.T) {
	key := newKeyPair(t)
	f := newFake(t, key)
	f.expiresIn = nil
	tok, err := f.client(key, nil).Token(context.Background(), readScope)
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.Expires.Sub(f.clock.now()); got != time.Hour {
		t.Errorf("lives %v", got)
	}
}

// Many goroutines that need a token at once cause one token call, and each
// obeys its own context.
func TestSingleFlight(t *testing.T) {
	key := newKeyPair(t)
	f := newFake(t, key)
	release := make(chan struct{})
	arrived := make(chan struct{}, 1)
	f.answer = func(int, http.ResponseWriter, *http.Request) bool {
		arrived <- struct{}{}
		<-release
		return false
	}
	c := f.client(key, nil)

	// The first one to ask gives up while others wait.
	ctx, cancel := context.WithCancel(context.Background())
	gone := make(chan error)
	go func() {
		_, err := c.Token(ctx, readScope)
		gone <- err
	}()
	<-arrived
	var wg sync.WaitGroup
	secrets := make([]string, 20)
	for i := range secrets {
		wg.Go(func() {
			tok, err := c.Token(context.Background(), readScope)
			if err != nil {
				t.Error(err)
			}
			secrets[i] = tok.Secret()
		})
	}
	waitFor(t, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		e := c.cache[readScope]
		return e.waiters == 21
	})
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the one who gave up got %v", err)
	}
	close(release)
	wg.Wait()
	for _, s := range secrets {
		if s == "" || s != secrets[0] {
			t.Fatalf("different tokens: %q", secrets)
		}
	}
	if calls, _ := f.counts(); calls != 1 {
		t.Errorf("%d token calls", calls)
	}
}

// When nobody waits any more the call ends, and the next one to ask starts
// another.
func TestAbandonedCall(t *testing.T) {
	key := newKeyPair(t)
	f := newFake(t, key)
	ended := make(chan error, 1)
	var hang atomic.Bool
	hang.Store(true)
	c := f.client(key, func(o *Options) {
		base := o.HTTP
		o.HTTP = roundTripper(func(r *http.Request) (*http.Response, error) {
			if !hang.Load() {
				return base.RoundTrip(r)
			}
			<-r.Context().Done()
			ended <- r.Context().Err()
			return nil, r.Context().Err()
		})
	})
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("the user went home")
	time.AfterFunc(10*time.Millisecond, func() { cancel(why) })
	if _, err := c.Token(ctx, readScope); !errors.Is(err, why) {
		t.Errorf("got %v, want %v", err, why)
	}
	<-ended
	hang.Store(false)
	if _, err := c.Token(context.Background(), readScope); err != nil {
		t.Error(err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for range 1000 {
		if ok() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("it never happened")
}

// 429, 5xx, cut answers and broken connections are tried again, each time with
// a new assertion (the server refuses one that it has seen).
func TestRetries(t *testing.T) {
	tests := map[string]func(w http.ResponseWriter){
		"429": func(w http.ResponseWriter) { w.WriteHeader(429) },
		"500": func(w http.ResponseWriter) { w.WriteHeader(500) },
		"503": func(w http.ResponseWriter) { w.WriteHeader(503) },
		"cut body": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "500")
			io.WriteString(w, `{"access_token":`)
		},
		"cut connection": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	}
	for name, fail := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := newKeyPair(t)
			f := newFake(t, key)
			f.answer = func(n int, w http.ResponseWriter, r *http.Request) bool {
				if n > 2 {
					return false
				}
				f.jtis["seen"] = true
				fail(w)
				return true
			}
			if _, err := f.client(key, nil).Token(context.Background(), readScope); err != nil {
				t.Fatal(err)
			}
			if calls, _ := f.counts(); calls != 3 {
				t.Errorf("%d calls, want 3", calls)
			}
		})
	}
}

// What can't get better is not tried again.
func TestNoRetry(t *testing.T) {
	for _, status := range []int{301, 307, 400, 401, 403, 404, 501} {
		key := newKeyPair(t)
		f := newFake(t, key)
		f.answer = func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Location", f.server.URL+"/oauth2/v1/token")
			w.WriteHeader(status)
			return true
		}
		_, err := f.client(key, nil).Token(context.Background(), readScope)
		var e *Error
		if !errors.As(err, &e) || e.Refusal == nil || e.Refusal.Status != status {
			t.Errorf("%d: got %v", status, err)
		}
		if calls, _ := f.counts(); calls != 1 {
			t.Errorf("%d: %d calls", status, calls)
		}
	}
}

// Patience ends: after maxAttempts, when the budget is spent, at once when the
// server asks for more than the budget, and when the caller gives up.
func TestRetryBudget(t *testing.T) {
	key := newKeyPair(t)
	run := func(ctx context.Context, t *testing.T, h http.Header, slow time.Duration) (attempts int, took time.Duration, err error) {
		c, err := New(Options{
			OrgURL: &url.URL{Scheme: "https", Host: "acme.okta.com"}, ClientID: clientID, KeyID: keyID,
			Key: func(context.Context) (Key, error) { return key, nil },
			HTTP: roundTripper(func(r *http.Request) (*http.Response, error) {
				attempts++
				if err := web.Sleep(r.Context(), slow); err != nil {
					return nil, err
				}
				return &http.Response{StatusCode: 429, Header: h, Body: http.NoBody}, nil
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = c.Token(ctx, readScope)
		return attempts, time.Since(start), err
	}
	var e *Error

	synctest.Test(t, func(t *testing.T) {
		attempts, took, err := run(t.Context(), t, http.Header{}, 0)
		if !errors.As(err, &e) || attempts != maxAttempts || took < firstWait/2 || took > time.Minute {
			t.Errorf("quick refusals: %d attempts in %v: %v", attempts, took, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		attempts, took, err := run(t.Context(), t, http.Header{"Retry-After": {"5"}}, 0)
		if !errors.As(err, &e) || attempts != maxAttempts || took != 20*time.Second {
			t.Errorf("asked to wait 5s: %d attempts in %v: %v", attempts, took, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		attempts, took, err := run(t.Context(), t, http.Header{"Retry-After": {"120"}}, 0)
		if !errors.As(err, &e) || attempts != 1 || took != 0 || e.Refusal.RetryAfter != 2*time.Minute {
			t.Errorf("asked to wait 2m: %d attempts in %v: %v", attempts, took, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		attempts, took, err := run(t.Context(), t, http.Header{}, 12*time.Second)
		if !errors.As(err, &e) || attempts != 3 || took > retryBudget+12*time.Second {
			t.Errorf("slow refusals: %d attempts in %v: %v", attempts, took, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		attempts, took, err := run(t.Context(), t, http.Header{}, time.Hour)
		if !strings.Contains(err.Error(), "no complete answer within 30s") || attempts != 1 || took != 30*time.Second {
			t.Errorf("no answer: %d attempts in %v: %v", attempts, took, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, took, err := run(ctx, t, http.Header{"Retry-After": {"5"}}, 0)
		synctest.Wait()
		if !errors.Is(err, context.DeadlineExceeded) || took != 3*time.Second {
			t.Errorf("caller gave up: %v: %v", took, err)
		}
	})
}

func TestNewOptions(t *testing.T) {
	key := newKeyPair(t)
	good := Options{
		OrgURL: &url.URL{Scheme: "https", Host: "acme.okta.com"}, ClientID: clientID,
		Key: func(context.Context) (Key, error) { return key, nil },
	}
	for want, change := range map[string]func(*Options){
		"no org URL":     func(o *Options) { o.OrgURL = nil },
		"no client id":   func(o *Options) { o.ClientID = "" },
		"no private key": func(o *Options) { o.Key = nil },
	} {
		opt := good
		change(&opt)
		if _, err := New(opt); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	c, err := New(good)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Token(context.Background()); err == nil {
		t.Error("a token without scopes was asked for")
	}
	if _, err := c.Token(context.Background(), readScope); err == nil || !strings.Contains(err.Error(), "no key id") {
		t.Errorf("got %v, want an error that there is no key id", err)
	}
	good.Key = func(context.Context) (Key, error) { return Key{}, nil }
	c, _ = New(good)
	if _, err := c.Token(context.Background(), readScope); err == nil || !strings.Contains(err.Error(), "no private key") {
		t.Errorf("got %v, want an error that there is no key", err)
	}
	unreadable := errors.New("no such file")
	good.Key = func(context.Context) (Key, error) { return Key{}, unreadable }
	c, _ = New(good)
	if _, err := c.Token(context.Background(), readScope); !errors.Is(err, unreadable) {
		t.Errorf("got %v, want %v", err, unreadable)
	}
}

// A panic in the goroutine of a token call is the error of all who wait for it,
// and of nobody after them.
func TestPanic(t *testing.T) {
	key := newKeyPair(t)
	f := newFake(t, key)
	bug := true
	c := f.client(key, func(o *Options) {
		o.Key = func(context.Context) (Key, error) {
			if bug {
				panic("a bug")
			}
			return key, nil
		}
	})
	if _, err := c.Token(t.Context(), readScope); err == nil || err.Error() != "getting a token panicked: a bug" {
		t.Errorf("got %v", err)
	}
	bug = false
	if _, err := c.Token(t.Context(), readScope); err != nil {
		t.Error(err)
	}
}

// A key that was changed on disk is taken up at the next token call.
func TestKeyRotation(t *testing.T) {
	first, second := newKeyPair(t), newKeyPair(t)
	f := newFake(t, first)
	inUse := first
	c := f.client(first, func(o *Options) { o.Key = func(context.Context) (Key, error) { return inUse, nil } })
	if _, err := c.Token(context.Background(), readScope); err != nil {
		t.Fatal(err)
	}
	f.public, inUse = second.Public(), second
	f.clock.advance(2 * time.Hour)
	if _, err := c.Token(context.Background(), readScope); err != nil {
		t.Error(err)
	}
}

// TestPrepare: what was signed ahead is used for one token call, while it is young; what
// could not be signed is the failure of the token call.
func TestPrepare(t *testing.T) {
	key := newKeyPair(t)
	f := newFake(t, key) // which refuses an assertion the second time
	var asked atomic.Int64
	var broken error
	c := f.client(key, func(o *Options) {
		o.Key = func(context.Context) (Key, error) {
			asked.Add(1)
			return key, broken
		}
	})
	for _, step := range []struct {
		name    string
		prepare int
		before  time.Duration // the preparation
		late    time.Duration // after it
		signed  int64         // by then
		asked   int64
		calls   int
	}{
		{"prepared", 1, 0, 0, 1, 1, 1},
		{"there is a token", 1, 0, 0, 1, 1, 1},
		{"not prepared", 0, 2 * time.Hour, 0, 1, 2, 2},
		{"prepared twice", 2, 2 * time.Hour, 0, 4, 4, 3},
		{"too old", 1, 2 * time.Hour, 2 * preparedLife, 5, 6, 4},
	} {
		f.clock.advance(step.before)
		for range step.prepare {
			c.Prepare(t.Context(), readScope)
		}
		waitFor(t, func() bool { return asked.Load() == step.signed })
		f.clock.advance(step.late)
		if _, err := c.Token(t.Context(), readScope); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		if calls, _ := f.counts(); asked.Load() != step.asked || calls != step.calls {
			t.Errorf("%s: asked for the key %d times and made %d calls so far, want %d and %d", step.name, asked.Load(), calls, step.asked, step.calls)
		}
	}
	f.clock.advance(2 * time.Hour)
	broken = errors.New("no such file")
	c.Prepare(t.Context(), readScope)
	if _, err := c.Token(t.Context(), readScope); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	broken = nil
	if _, err := c.Token(t.Context(), readScope); err != nil {
		t.Error(err)
	}
}
