package rest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/url"
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
	// Observer may be nil.
	Observer Observer
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

// Caller makes the calls of one API. Its methods may be called from many
// goroutines.
type Caller struct {
	opts   Options
	slots  *semaphore.Weighted // first come, first served
	budget *budget
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
	slots := cmp.Or(int64(opts.Slots), math.MaxInt64)
	return &Caller{opts: opts, slots: semaphore.NewWeighted(slots), budget: &budget{}}
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
	// repetition, with a slot and the credentials in hand. It returns the body
	// to send. Its error forbids the send and ends the call, in an UnsentError.
	// It must make no calls of the same Caller, which might wait for this slot.
	// Nil sends no body.
	MaySend func(context.Context) ([]byte, error)
	// Again is asked before the call is sent another time, if more than two
	// seconds have passed since the call began or Again last agreed: others may
	// have changed meanwhile what a write replaces. It holds no slot, because it
	// makes calls of its own. Its error ends the call. Nil agrees.
	Again func(context.Context) error
	// Read reads the answer of a success, once for each attempt. If it returns an
	// error, the body counts as unreadable, as if it had been cut. Nil ignores
	// the body.
	Read func(*Answer) error
}

// JSON returns a MaySend that always agrees and sends v as JSON.
func JSON(v any) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) { return json.Marshal(v) }
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
	asked := time.Now()
	for {
		if err := c.turn(ctx, call, last, &asked); err != nil {
			return err
		}
		f := c.attempt(ctx, call)
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
		if err != nil {
			return err
		}
		c.logRetry(ctx, call, f, wait)
		if err := web.Sleep(ctx, wait); err != nil {
			return stopped(err, last)
		}
	}
}

// turn waits for a slot. When the call was sent before, call.Again is asked
// first, so that at the moment of sending no more than maxAge has passed since
// *asked, when it last agreed.
func (c *Caller) turn(ctx context.Context, call *Call, last *failure, asked *time.Time) error {
	stale := func() bool {
		return call.Again != nil && last != nil && time.Since(*asked) > maxAge
	}
	for {
		if stale() {
			if err := call.Again(ctx); err != nil {
				return notAgain(err, last)
			}
			*asked = time.Now()
		}
		if err := c.slots.Acquire(ctx, 1); err != nil {
			return stopped(err, last)
		}
		if !stale() {
			return nil
		}
		c.slots.Release(1)
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

// attempt sends the call once, within its time. It releases the slot, in a panic
// too.
func (c *Caller) attempt(ctx context.Context, call *Call) *failure {
	defer c.slots.Release(1)
	whole := ctx
	if call.Policy.writes() {
		var cancel func()
		whole, cancel = outlive(ctx, call.Policy.Grace)
		defer cancel()
		ctx = context.WithoutCancel(ctx)
	}
	timed, cancel := context.WithTimeoutCause(whole, call.Policy.Timeout, &lateError{call.Policy.Timeout.String()})
	defer cancel()
	f := c.observed(timed, call)
	if f != nil && ctx.Err() != nil {
		return &failure{err: ctx.Err()}
	}
	return f
}

// outlive returns a context that ends so long after ctx, with a lateError. The
// caller must call cancel.
func outlive(ctx context.Context, grace time.Duration) (_ context.Context, cancel func()) {
	longer, end := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if web.Sleep(longer, grace) == nil {
			end(&lateError{grace.String() + " of being asked to stop"})
		}
	})
	return longer, func() { stop(); end(nil) }
}

// observed makes an exchange, for the observer and the log to see.
func (c *Caller) observed(ctx context.Context, call *Call) (f *failure) {
	start := time.Now()
	code := 0
	c.opts.Observer.Started(call.Method, call.Endpoint)
	defer func() {
		took := time.Since(start)
		if f != nil {
			f.took = took
		}
		c.opts.Observer.Finished(call.Method, call.Endpoint, code, took)
		c.opts.Logger.Debug("called "+c.opts.Name,
			"method", call.Method, "path", call.URL.Path, "code", code, "took", took.Round(time.Microsecond))
	}()
	code, f = c.exchange(ctx, call)
	return f
}

// exchange is the HTTP of one attempt. The code is 0 when there was no answer.
func (c *Caller) exchange(ctx context.Context, call *Call) (code int, _ *failure) {
	req, err := http.NewRequestWithContext(ctx, call.Method, call.URL.String(), nil)
	if err != nil {
		return 0, &failure{err: &UnsentError{err}}
	}
	req.Header.Set("Accept", "application/json")
	if call.ContentType != "" {
		req.Header.Set("Content-Type", call.ContentType)
	}
	// The transport itself is asked, not an http.Client: that would follow
	// redirects.
	end := &sender{base: c.opts.Transport, maySend: call.MaySend}
	var way http.RoundTripper = end
	if c.opts.Auth != nil {
		way = c.opts.Auth(end)
	}
	resp, err := way.RoundTrip(req)
	if err != nil {
		return 0, c.unanswered(ctx, end, err)
	}
	defer resp.Body.Close()
	a := readAnswer(ctx, resp, call.Policy.MaxBody)
	if a.Status >= 200 && a.Status <= 299 {
		return a.Status, read(call, a)
	}
	e := newError(call, a)
	if to, err := resp.Location(); err == nil && to.Host != "" && e.Status < 400 {
		e.Summary = fmt.Sprintf("redirected to %q", web.OriginOf(to))
	}
	f := &failure{uncertain: e.uncertain()}
	f.verdict, f.asked = judge(a.Status, a.Header)
	e.RetryAfter = f.asked
	f.err = withHint(e, c.opts.Hint(e))
	return a.Status, f
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

// sender is the end of the transports of one attempt: what stands above it puts
// credentials on, what goes through it is sent.
type sender struct {
	base    http.RoundTripper
	maySend func(context.Context) ([]byte, error)
	err     error // of the last send
}

// RoundTrip sends the request, if it may be sent. A request whose token the API
// refuses comes here again with another one.
func (s *sender) RoundTrip(req *http.Request) (*http.Response, error) {
	out := req.WithContext(req.Context())
	if s.maySend != nil {
		body, err := s.maySend(req.Context())
		if err != nil {
			return nil, &UnsentError{err}
		}
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		out.Body, out.ContentLength = http.NoBody, int64(len(body))
		if len(body) > 0 {
			out.Body, _ = out.GetBody()
		}
	}
	resp, err := s.base.RoundTrip(out)
	s.err = err
	return resp, err
}

// unanswered judges a request that got no answer: whether it may be tried again,
// and whether it can have arrived.
func (c *Caller) unanswered(ctx context.Context, end *sender, err error) *failure {
	var late *lateError
	errors.As(context.Cause(ctx), &late)
	if end.err == nil { // it didn't reach the sender, or not again
		var forbidden *UnsentError
		switch {
		case errors.As(err, &forbidden):
		case late != nil:
			err = text.WithHint(errors.New("no access token within "+late.after),
				"the org that gives access tokens does not answer: check "+c.opts.TokenKey+", firewall and proxy")
			fallthrough
		default:
			err = &UnsentError{err}
		}
		return &failure{err: err}
	}
	f := &failure{err: &foreignError{end.err}, verdict: transient, uncertain: !unsent(end.err)}
	if untrusted(end.err) || unknownHost(end.err) || noProxy(end.err) {
		f.verdict = permanent
	}
	if late != nil {
		f.err = late
	}
	f.err = withHint(f.err, WayHint(f.err, c.opts.URLKey))
	return f
}

// withHint returns err with a hint, if there is one.
func withHint(err error, hint string) error {
	if hint == "" {
		return err
	}
	return text.WithHint(err, hint)
}
