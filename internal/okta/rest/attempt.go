package rest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"reconciler/internal/text"
	"reconciler/internal/web"
	"reconciler/internal/web/trace"
)

// attempt is one attempt of a call. It is the end of its transports: what stands
// above it puts credentials on, what goes through it is sent.
type attempt struct {
	*Caller
	call *Call
	slot *slot
	// resent is how many attempts of the call came before it.
	resent int
	// asking is the context of the call, with the slot: MaySend gets it.
	asking context.Context

	// timer ends what is under way, such as a send, when it takes too long, and
	// end whatever is.
	timer *time.Timer
	end   context.CancelCauseFunc
	// state is idle until a request may have gone out, sending is what is known
	// of the last one.
	state   atomic.Int32
	sending *sending
	// body is what MaySend returned for the send that comes next; asked says
	// that it agreed to that one, and took is how long it took altogether.
	body  []byte
	asked bool
	took  time.Duration
}

// The states of an attempt.
const (
	idle  int32 = iota // nothing was sent, or what was sent did nothing
	sent               // a request may have gone out; its answer is waited for
	ended              // the call's context ended before anything was sent
)

// sending is one request that was sent.
type sending struct {
	start time.Time
	span  trace.Span
	code  int
	err   error
}

// attempt sends the call once, within its time; more than once if the credentials
// are refused and renewed.
func (c *Caller) attempt(ctx context.Context, s *slot, call *Call, resent int) *failure {
	start := time.Now()
	a := &attempt{Caller: c, call: call, resent: resent, slot: s, asking: s.lend(ctx)}
	timed, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	a.end = end
	a.timer = time.AfterFunc(call.Policy.Timeout, func() { end(&lateError{call.Policy.Timeout.String()}) })
	defer a.timer.Stop()
	defer context.AfterFunc(ctx, func() {
		grace := call.Policy.Grace
		if !call.Policy.writes() || a.state.CompareAndSwap(idle, ended) {
			end(context.Cause(ctx))
		} else if web.Sleep(timed, grace) == nil {
			end(&lateError{grace.String() + " of being asked to stop"})
		}
	})()
	defer a.finish()
	f := a.exchange(context.WithValue(timed, attemptKey{}, a))
	if f != nil {
		f.took = time.Since(start) - a.took
		if ctx.Err() != nil && !(call.Policy.writes() && a.state.Load() == sent) {
			f = &failure{err: ctx.Err()}
		}
	}
	return f
}

// attemptKey is the key of an attempt in the context of its requests.
type attemptKey struct{}

// MaySend asks Call.MaySend of the call that a request belongs to, given the
// request's context. It is for transports that put on credentials which are made
// for one moment, as DPoP proofs are: they have the token first, ask then, and
// make the proof last. For requests of those that don't, it is asked after them.
// The error must be returned as it is.
func MaySend(ctx context.Context) error {
	a, ok := ctx.Value(attemptKey{}).(*attempt)
	if !ok {
		return nil
	}
	return a.ask(ctx)
}

// ask asks whether the request may be sent. What MaySend takes is not part of the
// time in which an answer must come, which begins anew.
func (a *attempt) ask(ctx context.Context) error {
	start := time.Now()
	defer func() { a.took += time.Since(start) }()
	a.asked, a.body = false, nil
	if a.call.MaySend != nil {
		a.timer.Stop()
		for asked := false; !asked || !a.slot.held; asked = true { // a call in there may have failed waiting for the slot
			if err := a.slot.take(a.asking); err != nil {
				return &UnsentError{err}
			}
			var err error
			if a.body, err = a.call.MaySend(a.asking); err != nil {
				return &UnsentError{err}
			}
		}
		a.timer.Reset(a.call.Policy.Timeout)
	}
	for _, ctx := range []context.Context{a.asking, ctx} {
		if ctx.Err() != nil {
			return &UnsentError{context.Cause(ctx)}
		}
	}
	a.asked = true
	return nil
}

// RoundTrip sends the request, if it may be sent. A request whose token the API
// refuses comes here again with another one.
func (a *attempt) RoundTrip(req *http.Request) (*http.Response, error) {
	a.finish()
	a.sending = nil
	if !a.asked {
		if err := a.ask(req.Context()); err != nil {
			return nil, err
		}
	}
	a.asked = false
	if !a.state.CompareAndSwap(idle, sent) && a.state.Load() == ended {
		return nil, &UnsentError{context.Cause(a.asking)}
	}
	out := req.WithContext(req.Context())
	if body := a.body; a.call.MaySend != nil {
		out.Body, out.ContentLength = http.NoBody, int64(len(body))
		if len(body) > 0 {
			out.Body = io.NopCloser(bytes.NewReader(body))
		}
		// With GetBody, http.Transport sends a request again that a server didn't
		// look at, some seconds later perhaps. One that rests on a look comes here
		// again instead.
		if a.call.Policy.Repeat != AfterLook {
			out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		}
	}
	a.sending = &sending{start: time.Now(), span: trace.Call(req.Context(), a.call.Method, a.call.Endpoint)}
	a.opts.Observer.Started(a.call.Method, a.call.Endpoint)
	resp, err := a.opts.Transport.RoundTrip(out)
	a.sending.err = err
	if err != nil {
		return nil, err
	}
	a.sending.code = resp.StatusCode
	a.sending.span.Set("okta.request.id", resp.Header.Get(requestIDHeader))
	a.opts.observeLimits(a.call.Method, a.call.Endpoint, resp.Header)
	if resp.StatusCode == http.StatusUnauthorized { // it did nothing, and may come here again
		a.state.Store(idle)
		if a.asking.Err() != nil {
			a.end(context.Cause(a.asking))
		}
	}
	return resp, nil
}

// finish tells the observer and the log how the last send ended.
func (a *attempt) finish() {
	s := a.sending
	if s == nil {
		return
	}
	a.sending = nil
	took := time.Since(s.start)
	a.opts.Observer.Finished(a.call.Method, a.call.Endpoint, s.code, took)
	a.endSpan(s)
	if a.opts.Logger.Enabled(a.asking, slog.LevelDebug) { // there are many calls
		a.opts.Logger.Debug("called "+a.opts.Name,
			"method", a.call.Method, "path", a.call.URL.Path, "code", s.code, "took", took.Round(time.Microsecond))
	}
}

// endSpan ends the span of a send. The server is named, and of the path the template
// alone.
func (a *attempt) endSpan(s *sending) {
	if !s.span.On() {
		return
	}
	s.span.Set("server.address", a.call.URL.Hostname())
	if a.resent > 0 {
		s.span.SetInt("http.request.resend_count", a.resent)
	}
	if s.code > 0 {
		s.span.SetInt("http.response.status_code", s.code)
	}
	if s.code >= 400 {
		s.span.Fail(http.StatusText(s.code))
	}
	s.span.End(s.err)
}

// exchange is the HTTP of the attempt.
func (a *attempt) exchange(ctx context.Context) *failure {
	req, err := http.NewRequestWithContext(ctx, a.call.Method, a.call.URL.String(), nil)
	if err != nil {
		return &failure{err: &UnsentError{err}}
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", web.UserAgent(ctx))
	if a.call.ContentType != "" {
		req.Header.Set("Content-Type", a.call.ContentType)
	}
	// The transport itself is asked, not an http.Client: that would follow
	// redirects.
	var way http.RoundTripper = a
	if a.opts.Auth != nil {
		way = a.opts.Auth(a)
	}
	resp, err := way.RoundTrip(req)
	if err != nil {
		return a.unanswered(ctx, err)
	}
	defer resp.Body.Close()
	answer := readAnswer(ctx, resp, a.call.Policy.MaxBody)
	if a.call.Policy.writes() {
		web.NoteRequest(ctx, text.Clean(answer.Header.Get(requestIDHeader)))
	}
	if answer.Status >= 200 && answer.Status <= 299 {
		return read(a.call, answer)
	}
	e := newError(a.call, answer)
	if to, err := resp.Location(); err == nil && to.Host != "" && e.Status < 400 {
		e.Summary = fmt.Sprintf("redirected to %q", web.OriginOf(to))
	}
	f := &failure{uncertain: e.uncertain()}
	f.verdict, f.asked = judge(answer.Status, answer.Header)
	if passes := a.call.Policy.Passing; f.verdict == permanent && passes != nil && passes(e) {
		f.verdict = passing
	}
	e.RetryAfter = f.asked
	f.err = withHint(e, a.opts.Hint(e))
	return f
}

// unanswered judges a request that got no answer: whether it may be tried again,
// and whether it can have arrived.
func (a *attempt) unanswered(ctx context.Context, err error) *failure {
	var late *lateError
	errors.As(context.Cause(ctx), &late)
	if a.sending == nil || a.sending.err == nil { // it was not sent, or not again
		var forbidden *UnsentError
		switch {
		case errors.As(err, &forbidden):
		case late != nil:
			err = text.WithHint(errors.New("no access token within "+late.after),
				"the org that gives access tokens does not answer: check "+a.opts.TokenKey+", firewall and proxy")
			fallthrough
		default:
			err = &UnsentError{err}
		}
		return &failure{err: err}
	}
	err = a.sending.err
	f := &failure{err: &foreignError{err}, verdict: transient, uncertain: !unsent(err)}
	if untrusted(err) || unknownHost(err) || noProxy(err) {
		f.verdict = permanent
	}
	if late != nil {
		f.err = late
	}
	f.err = withHint(f.err, WayHint(f.err, a.opts.URLKey))
	return f
}
