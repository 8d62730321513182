package rest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"golang.org/x/sync/semaphore"

	"reconciler/internal/text"
	"reconciler/internal/web"
)

// Options say which API a Caller calls, and how it gets there.
type Options struct {
	// Name is what the log calls the API, such as "the Aerial API".
	Name string
	// URLKey and TokenKey are what the config calls the URL of the API, and that
	// of the org that issues access tokens for it. Hints name them.
	URLKey, TokenKey string
	// Hint returns what to do about an answer that is not a success; empty when
	// there is nothing to add. Nil is allowed.
	Hint func(*Error) string
	// Transport sends the requests.
	Transport http.RoundTripper
	// Auth puts credentials on the requests that go to the transport it is
	// given. What fails in there, before a request is sent, is no failure of the
	// API: it is not repeated, and leaves nothing open. Nil puts none on.
	Auth func(http.RoundTripper) http.RoundTripper
	// Slots is how many calls may be in flight at a time; 0 means any number.
	Slots int
	// Logger gets a line for each attempt (debug) and each retry (warn); nil
	// discards them.
	Logger *slog.Logger
	// Observer may be nil. One that is a LimitObserver as well sees what answers say of
	// rate limits.
	Observer Observer

	limits LimitObserver
}

// Observer sees each attempt of each call, for metrics. Both methods are
// called from many goroutines at once and must return quickly. The endpoint is
// a template such as "orgs/{id}/products", so that it can be a label.
type Observer interface {
	// Started is called when an attempt has a slot and is about to be sent.
	Started(method, endpoint string)
	// Finished is called once for each Started. The code is the HTTP status,
	// or 0 when there was no answer; the duration includes reading the body.
	Finished(method, endpoint string, code int, took time.Duration)
}

// LimitObserver sees what each answer says of the rate limit that the call counts
// under: how many calls it allows in its window, and how many of them are left, to
// whoever makes them. Where an answer says nothing of it, or a limit on concurrent calls
// was met, it isn't called. It must return quickly.
type LimitObserver interface {
	Limited(method, endpoint string, limit, left int)
}

// Caller makes the calls of one API. Its methods may be called from many
// goroutines.
type Caller struct {
	opts   Options
	slots  *semaphore.Weighted // first come, first served
	budget *budget
	closed *closed
}

// New returns a Caller. It sends nothing.
func New(opts Options) *Caller {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Hint == nil {
		opts.Hint = func(*Error) string { return "" }
	}
	if opts.Observer == nil {
		opts.Observer = nobody{}
	}
	opts.limits, _ = opts.Observer.(LimitObserver)
	slots := cmp.Or(int64(opts.Slots), math.MaxInt64)
	return &Caller{opts: opts, slots: semaphore.NewWeighted(slots), budget: &budget{}, closed: &closed{}}
}

// observeLimits tells the observer what an answer says of its rate limit, if it wants to
// know.
func (o *Options) observeLimits(method, endpoint string, h http.Header) {
	if o.limits == nil {
		return
	}
	limit, err := strconv.Atoi(h.Get("X-Rate-Limit-Limit"))
	if err != nil || limit <= 0 { // 0: the limit of concurrent calls
		return
	}
	if left, err := strconv.Atoi(h.Get("X-Rate-Limit-Remaining")); err == nil && left >= 0 {
		o.limits.Limited(method, endpoint, limit, left)
	}
}

type nobody struct{}

func (nobody) Started(string, string)                      {}
func (nobody) Finished(string, string, int, time.Duration) {}

// As returns a Caller that makes its calls with other credentials and is the
// same in all else: the two share the slots and the retry budget.
func (c *Caller) As(auth func(http.RoundTripper) http.RoundTripper) *Caller {
	other := *c
	other.opts.Auth = auth
	return &other
}

// Base returns the URL that the paths of an API hang from. api names the API in
// errors.
func Base(u *url.URL, api string) (*url.URL, error) {
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("the URL of %s must start with https://, not %q", api, u.Scheme+":")
	case u.Host == "":
		return nil, fmt.Errorf("the URL of %s has no host", api)
	case u.User != nil:
		return nil, fmt.Errorf("the URL of %s must not hold credentials", api)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("the URL of %s must have neither query nor fragment", api)
	}
	base := *u
	base.Path = cmp.Or(base.Path, "/") // else JoinPath returns a path without a slash before it
	return &base, nil
}

// Call is one call of an API.
type Call struct {
	Method string
	// Endpoint is a template, such as "orgs/{id}/products", for errors and
	// metrics.
	Endpoint string
	URL      *url.URL
	Policy   Policy
	// ContentType is that of the body; empty for a call that has none.
	ContentType string
	// MaySend is asked right before each send, the first one and each
	// repetition, with a slot and the credentials in hand, and returns the body to
	// send. It is the last moment to look at what the call would change: what
	// follows it is the round trip. Its error forbids the send and ends the call,
	// in an UnsentError.
	//
	// It may make calls of the same Caller, or of one made by As, with the context
	// that it is given, one at a time: they use the slot of this call. The context
	// ends with that of the call; the time that MaySend takes is not part of
	// Policy.Timeout. Nil sends no body.
	MaySend func(context.Context) ([]byte, error)
	// Read reads the answer of a success, once for each attempt. If it returns an
	// error, the body counts as unreadable, as if it had been cut. Nil ignores
	// the body.
	Read func(*Answer) error
}

// Do makes the call until it succeeds or may not be repeated any more. When ctx
// ends, a read ends at once; a write that was sent is waited for, up to
// Policy.Grace, and not sent again.
func (c *Caller) Do(ctx context.Context, call *Call) (err error) {
	var pace pacer
	var last *failure
	uncertain := false
	defer func() {
		if uncertain {
			err = Uncertain(err)
		}
	}()
	if err := c.closed.check(call); err != nil {
		return err
	}
	slot, lent := c.slot(ctx)
	if !lent {
		defer slot.giveBack()
	}
	for resent := 0; ; resent++ {
		if err := slot.take(ctx); err != nil {
			return stopped(err, last)
		}
		f := c.attempt(ctx, slot, call, resent)
		if f == nil {
			c.budget.success()
			return nil
		}
		var forbidden *UnsentError
		if last != nil && errors.As(f.err, &forbidden) {
			f.err = notAgain(f.err, last)
		}
		last = f
		uncertain = uncertain || f.uncertain && call.Policy.writes()
		wait, err := pace.next(f, &call.Policy, c.budget)
		if f.asked > maxAsked && f.verdict == limited {
			c.closed.set(call, f.asked, err)
		}
		if err != nil {
			return err
		}
		c.logRetry(ctx, call, f, wait)
		slot.giveBack() // others need not wait as well
		if err := web.Sleep(ctx, wait); err != nil {
			return stopped(err, last)
		}
	}
}

// notAgain and stopped return the error of a call that ends before it is sent
// another time. They mention the last failure, but wrap only err: it is what
// ended the call.
func notAgain(err error, last *failure) error {
	return fmt.Errorf("%w (not sent again after: %v)", err, last.err)
}

func stopped(err error, last *failure) error {
	if last == nil {
		return err
	}
	return fmt.Errorf("%w while waiting to try again after: %v", err, last.err)
}

// logRetry warns, except of a wait for a slot: that happens all the time where
// the account is shared.
func (c *Caller) logRetry(ctx context.Context, call *Call, f *failure, wait time.Duration) {
	level := slog.LevelWarn
	if f.verdict == busy {
		level = slog.LevelDebug
	}
	c.opts.Logger.Log(ctx, level, "retrying", "api", c.opts.Name,
		"method", call.Method, "path", call.URL.Path, "wait", wait.Round(time.Millisecond), "error", f.err)
}

// read has the answer of a success read.
func read(call *Call, a *Answer) *failure {
	if call.Read == nil {
		return nil
	}
	err := call.Read(a)
	if err == nil {
		return nil
	}
	f := &failure{err: fmt.Errorf("%d with an unreadable body: %w", a.Status, err), verdict: transient, uncertain: true}
	if errors.Is(err, errTooLong) {
		f.verdict = permanent
	}
	return f
}

// withHint returns err with a hint, if there is one.
func withHint(err error, hint string) error {
	if hint == "" {
		return err
	}
	return text.WithHint(err, hint)
}
