package aerial

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"reconciler/internal/okta/rest"
	"reconciler/internal/text"
	"reconciler/internal/web"
)

const (
	// maxBody caps an answer; maxList one that lists orgs or products.
	maxBody = 1 << 20
	maxList = 10 << 20
)

// call is one call of the API, to be attempted as often as need be.
type call struct {
	method   string
	endpoint string // a template, for errors and metrics
	url      *url.URL
	body     []byte // JSON, or nil
	maxBody  int64
	read     int64 // how many bytes of good answers have come
	// again is asked before the call is sent another time; see askAfter.
	again func(context.Context) error
}

// get, put and post prepare calls. A body is a value of this package's own
// making, which always marshals.
func get(u *url.URL, endpoint string, limit int64) *call {
	return &call{method: http.MethodGet, endpoint: endpoint, url: u, maxBody: limit}
}

func put(u *url.URL, endpoint string, body any, again func(context.Context) error) *call {
	data, _ := json.Marshal(body)
	return &call{method: http.MethodPut, endpoint: endpoint, url: u, body: data, maxBody: maxBody, again: again}
}

func post(u *url.URL, endpoint string, body any) *call {
	c := put(u, endpoint, body, nil)
	c.method = http.MethodPost
	if body == nil {
		c.body = nil
	}
	return c
}

func (c *call) writes() bool { return c.method != http.MethodGet }

// repeatable says whether the call may be sent again when its outcome is not
// known. What POST does can't be done twice, nor be taken back.
func (c *call) repeatable() bool { return c.method != http.MethodPost }

// fetch makes the call, repeats it as the rules allow, and gives the answer.
func fetch[T any](ctx context.Context, c *Client, call *call) (T, http.Header, error) {
	var v T
	header, err := c.do(ctx, call, func(body []byte) error {
		var fresh T // nothing of an attempt that failed half-way is kept
		if err := json.Unmarshal(body, &fresh); err != nil {
			return jsonError(err)
		}
		v = fresh
		call.read += int64(len(body))
		return nil
	})
	return v, header, err
}

// jsonError says what is wrong with a body, without Go's names for it.
func jsonError(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return fmt.Errorf("%s is of type %s", cmp.Or(wrong.Field, "it"), wrong.Value)
	}
	return err
}

// do makes the call until it succeeds or may not be repeated any more. A nil
// read means that the status says it all.
func (c *Client) do(ctx context.Context, call *call, read func([]byte) error) (http.Header, error) {
	var pace pacer
	var last *failure
	uncertain := false
	asked := time.Now()
	for {
		if err := c.turn(ctx, call, last, &asked); err != nil {
			return nil, outcome(err, uncertain)
		}
		header, f := c.attempt(ctx, call, read)
		if f == nil {
			c.budget.success()
			return header, nil
		}
		last = f
		uncertain = uncertain || f.uncertain && call.writes()
		if f.verdict == passing && !call.repeatable() {
			f.verdict = final
		}
		wait, err := pace.next(f, c.budget)
		if err != nil {
			return nil, outcome(err, uncertain)
		}
		c.logRetry(ctx, call, f, wait)
		if err := web.Sleep(ctx, wait); err != nil {
			return nil, outcome(stopped(err, last), uncertain)
		}
	}
}

// turn waits for a slot. When the call was sent before, call.again has a say
// first: at the moment of sending, no more than askAfter have passed since
// *asked, which is when it last agreed. It is asked without holding a slot,
// because it makes calls of its own.
func (c *Client) turn(ctx context.Context, call *call, last *failure, asked *time.Time) error {
	stale := func() bool {
		return call.again != nil && last != nil && time.Since(*asked) > askAfter
	}
	for {
		if stale() {
			if err := call.again(ctx); err != nil {
				return fmt.Errorf("%w (not sent again after: %v)", err, last.err)
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

// outcome gives the error of a call that is over, and nil for nil.
func outcome(err error, uncertain bool) error {
	if err != nil && uncertain {
		return &UncertainError{Err: err}
	}
	return err
}

// logRetry warns, except of a wait for a slot: that happens all the time where
// the account is shared.
func (c *Client) logRetry(ctx context.Context, call *call, f *failure, wait time.Duration) {
	level := slog.LevelWarn
	if f.verdict == busy {
		level = slog.LevelDebug
	}
	c.log.Log(ctx, level, "calling the Aerial API again",
		"method", call.method, "path", call.url.Path, "wait", wait.Round(time.Millisecond), "error", f.err)
}

// attempt sends the call once and reads the whole answer, or tells the failure.
// It gives the slot back, in a panic too.
func (c *Client) attempt(ctx context.Context, call *call, read func([]byte) error) (http.Header, *failure) {
	defer c.slots.Release(1)
	whole := ctx
	if call.writes() {
		// What is on the wire may take effect, whoever stops waiting for it.
		var release func()
		whole, release = outlive(ctx, stopGrace)
		defer release()
		ctx = context.WithoutCancel(ctx)
	}
	timed, cancel := context.WithTimeout(whole, c.timeout)
	defer cancel()

	header, f := c.observed(timed, call, read)
	switch {
	case f == nil:
		return header, nil
	case ctx.Err() != nil:
		return nil, &failure{err: ctx.Err()}
	case errors.Is(context.Cause(timed), errGrace):
		f.err = errGrace
	case timed.Err() != nil && isStop(f.err):
		f.err = late(f.err, c.timeout)
	}
	return nil, f
}

// stopGrace is how long a write on the wire is still waited for when the run is
// to stop: long enough for any answer that comes at all, and short enough for
// those who stop a process and kill it ten seconds later.
const stopGrace = 5 * time.Second

var errGrace = fmt.Errorf("no complete answer within %v of being asked to stop", stopGrace)

// outlive gives a context that ends with the cause errGrace so long after ctx.
// The caller calls release when it is no longer needed.
func outlive(ctx context.Context, grace time.Duration) (longer context.Context, release func()) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(grace, func() { cancel(errGrace) })
		context.AfterFunc(longer, func() { timer.Stop() })
	})
	return longer, func() {
		stop()
		cancel(nil)
	}
}

// observed makes an exchange, and tells the observer and the log of it.
func (c *Client) observed(ctx context.Context, call *call, read func([]byte) error) (header http.Header, f *failure) {
	start := time.Now()
	code := 0
	c.observer.Started(call.method, call.endpoint)
	defer func() {
		took := time.Since(start)
		if f != nil {
			f.took = took
		}
		c.observer.Finished(call.method, call.endpoint, code, took)
		c.log.Debug("called the Aerial API",
			"method", call.method, "path", call.url.Path, "code", code, "took", took.Round(time.Microsecond))
	}()
	code, header, f = c.exchange(ctx, call, read)
	return header, f
}

// late words an attempt that took too long. It doesn't wrap err: the caller's
// own context has not ended.
func late(err error, timeout time.Duration) error {
	var auth *authError
	if errors.As(err, &auth) {
		return &authError{text.WithHint(
			fmt.Errorf("no access token within %v", timeout),
			"the org that gives access tokens does not answer: check aerial.auth.orgURL, firewall and proxy")}
	}
	return fmt.Errorf("no complete answer within %v", timeout)
}

// exchange is the HTTP of one attempt. The code is 0 when there was no answer.
func (c *Client) exchange(ctx context.Context, call *call, read func([]byte) error) (code int, _ http.Header, _ *failure) {
	req, err := http.NewRequestWithContext(ctx, call.method, call.url.String(), bytes.NewReader(call.body))
	if err != nil {
		return 0, nil, &failure{err: err}
	}
	req.Header.Set("Accept", "application/json")
	if call.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	// The transport itself is asked, not an http.Client: that would follow
	// redirects.
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return 0, nil, transportFailure(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return resp.StatusCode, nil, refusal(call, resp)
	}
	if err := readBody(resp, call.maxBody, read); err != nil {
		f := &failure{verdict: passing, uncertain: true}
		f.err = fmt.Errorf("%d with an unreadable body: %w", resp.StatusCode, err)
		if errors.Is(err, errTooLong) {
			f.verdict = final
		}
		return resp.StatusCode, nil, f
	}
	return resp.StatusCode, resp.Header, nil
}

var errTooLong = errors.New("it is longer than any such answer need be")

// readBody reads the body to its end, so that the connection can be used again.
func readBody(resp *http.Response, limit int64, read func([]byte) error) error {
	if read == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, limit))
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return err
	case int64(len(body)) > limit:
		return fmt.Errorf("%w (over %d bytes)", errTooLong, limit)
	case len(body) == 0:
		return errors.New("it is empty")
	}
	if err := read(body); err != nil {
		return notJSON(resp.Header.Get("Content-Type"), err)
	}
	return nil
}

// notJSON says of a body that could not be read what it claims to be, where
// that explains it. What can be read is taken whatever it claims.
func notJSON(contentType string, err error) error {
	media, _, _ := mime.ParseMediaType(contentType)
	if media == "application/json" || strings.HasSuffix(media, "+json") {
		return err
	}
	return fmt.Errorf("it is %q, not JSON", text.Clean(contentType))
}

// refusal makes a failure of an answer that is not a success.
func refusal(call *call, resp *http.Response) *failure {
	status := resp.StatusCode
	if status < 200 {
		// An upgrade nobody asked for; its body is the connection, without end.
		return &failure{err: &Error{Method: call.method, Endpoint: call.endpoint, Status: status}, uncertain: true}
	}
	// A body that is cut off still came with its status.
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	e := &Error{Method: call.method, Endpoint: call.endpoint, Status: status, Body: rest.Read(body)}
	f := &failure{err: e, uncertain: status < 400 || status >= 500}
	now := web.ServerTime(resp.Header)
	switch status {
	case http.StatusTooManyRequests:
		f.verdict, f.wait = throttled(resp.Header, now)
	case http.StatusServiceUnavailable:
		f.verdict, f.wait = passing, web.RetryAfter(resp.Header, now)
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
		f.verdict = passing
	}
	e.RetryAfter = f.wait
	if to, err := resp.Location(); err == nil && to.Host != "" && status < 400 {
		e.Summary = fmt.Sprintf("redirected to %q", web.OriginOf(to))
	}
	return f
}

// transportFailure judges an error of the transport: whether it may pass, and
// whether the request may have been sent.
func transportFailure(err error) *failure {
	sending := rest.OnWire(err)
	if sending == nil {
		return &failure{err: &authError{err}}
	}
	f := &failure{err: sending, verdict: passing, uncertain: !rest.Unsent(sending)}
	if rest.Untrusted(f.err) {
		f.verdict = final
	}
	if hint := rest.WayHint(f.err, "aerial.url"); hint != "" {
		f.err = text.WithHint(f.err, hint)
	}
	return f
}
