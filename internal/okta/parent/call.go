package parent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"reconciler/internal/okta/rest"
	"reconciler/internal/text"
	"reconciler/internal/web"
)

const (
	// maxBody caps an answer; none need be longer.
	maxBody = 1 << 20
	// maxAttempts is how often a read is sent before a failure that may pass is
	// given out. The waits between are random, up to 0.5, 1 and 2 s.
	maxAttempts = 4
	backoffBase = 500 * time.Millisecond
	// maxWait caps what a 429 can ask for at a time, and maxThrottled how long
	// one call waits for 429s altogether; Okta's windows are a minute.
	maxWait      = 90 * time.Second
	maxThrottled = 5 * time.Minute
)

// answer is what came back, as far as it came.
type answer struct {
	status int
	header http.Header
	body   []byte
	// cut says why the body is not whole; nil when it is.
	cut error
}

// unsentError is an attempt of which nothing reached the server.
type unsentError struct{ error }

func (e *unsentError) Unwrap() error { return e.error }

// attempt sends a request once and reads the whole answer. Without an answer
// there is an error, which is an *unsentError where that is certain.
func (c *Client) attempt(ctx context.Context, method, endpoint string, body []byte) (*answer, error) {
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	start := time.Now()
	a, err := c.exchange(limited, method, endpoint, body)
	status := 0
	if a != nil {
		status = a.status
	}
	c.log.Debug("called the parent org", "parent", c.name, "method", method, "endpoint", endpoint,
		"status", status, "took", time.Since(start).Round(time.Microsecond))
	if limited.Err() == nil || ctx.Err() != nil {
		return a, err
	}
	// The words of a timeout, and no wrapped one: the caller's own ctx has not
	// ended.
	late := fmt.Errorf("no complete answer within %v", c.timeout)
	var unsent *unsentError
	switch {
	case errors.As(err, &unsent):
		err = &unsentError{fmt.Errorf("no access token within %v", c.timeout)}
	case err != nil:
		err = late
	case a.cut != nil:
		a.cut = late
	}
	return a, err
}

// exchange is the HTTP of one attempt.
func (c *Client) exchange(ctx context.Context, method, endpoint string, body []byte) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base.JoinPath("api", "v1", endpoint).String(), bytes.NewReader(body))
	if err != nil {
		return nil, &unsentError{err}
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	// The transport itself is asked, not an http.Client: that would follow
	// redirects.
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, c.transportError(err)
	}
	defer resp.Body.Close()
	a := &answer{status: resp.StatusCode, header: resp.Header}
	if a.status < 200 {
		return a, nil // an upgrade nobody asked for; its body has no end
	}
	a.body, a.cut = io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if len(a.body) == maxBody {
		a.cut = errors.New("it is longer than any such answer need be")
	}
	return a, nil
}

// wire marks the errors of sending, so that they can be told from those of the
// credentials that are put on before.
type wire struct{ http.RoundTripper }

type wireError struct{ error }

func (e *wireError) Unwrap() error { return e.error }

func (w wire) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := w.RoundTripper.RoundTrip(req)
	if err != nil {
		return nil, &wireError{err}
	}
	return resp, nil
}

// transportError words an error of the transport, and says where it is so that
// nothing was sent.
func (c *Client) transportError(err error) error {
	var sending *wireError
	if !errors.As(err, &sending) {
		return &unsentError{err}
	}
	if hint := rest.WayHint(err, fmt.Sprintf("`url` of the parent %q", c.name)); hint != "" {
		return &unsentError{text.WithHint(sending.error, hint)}
	}
	return &lostError{sending.error}
}

// lostError is a failure of the wire, which may quote what came over it.
type lostError struct{ error }

func (e *lostError) Error() string { return text.Clean(e.error.Error()) }

func (e *lostError) Unwrap() error { return e.error }

// refusal makes an error of an answer that is not a success.
func refusal(method, endpoint string, a *answer) *Error {
	e := &Error{Method: method, Endpoint: endpoint, Status: a.status, Body: rest.Read(a.body)}
	now := web.ServerTime(a.header)
	switch a.status {
	case http.StatusTooManyRequests:
		e.RetryAfter = max(web.RetryAfter(a.header, now), web.Reset(a.header, now))
	case http.StatusServiceUnavailable:
		e.RetryAfter = web.RetryAfter(a.header, now)
	}
	return e
}

func (a *answer) success() bool { return a.status >= 200 && a.status <= 299 }

// throttle adds up the waits of one call that meets a rate limit.
type throttle struct {
	limits int
	waited time.Duration
}

// next gives the wait before the call is sent again, and false when that has
// been done for long enough. Those who wait for the same moment are spread
// over a second.
func (t *throttle) next(e *Error) (time.Duration, bool) {
	wait := min(e.RetryAfter, maxWait)
	if wait <= 0 {
		wait = min(time.Second<<min(t.limits, 10), maxWait/3)
	}
	t.limits++
	wait += rand.N(time.Second)
	t.waited += wait
	return wait, t.waited <= maxThrottled
}

// again says in the log that a call will be sent again, and waits.
func (c *Client) again(ctx context.Context, method, endpoint string, wait time.Duration, err error) error {
	c.log.WarnContext(ctx, "calling the parent org again", "parent", c.name, "method", method, "endpoint", endpoint,
		"wait", wait.Round(time.Millisecond), "error", err)
	return c.sleep(ctx, wait)
}

// read makes a call that changes nothing, and repeats it as long as that may
// help. It gives an answer that is a success and whole, or an error.
func (c *Client) read(ctx context.Context, endpoint string) (*answer, error) {
	var limits throttle
	for failures := 0; ; {
		a, err := c.attempt(ctx, http.MethodGet, endpoint, nil)
		var refused *Error
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err == nil && a.success() && a.cut == nil:
			return a, nil
		case err == nil && a.success():
			err = fmt.Errorf("%d with an unreadable body: %w", a.status, a.cut)
		case err == nil:
			refused = refusal(http.MethodGet, endpoint, a)
			err = refused
		}
		var wait time.Duration
		if refused != nil && refused.Status == http.StatusTooManyRequests {
			var ok bool
			if wait, ok = limits.next(refused); !ok {
				return nil, fmt.Errorf("%w (gave up after %v)", err, maxThrottled)
			}
		} else {
			if !passing(err, refused) {
				return nil, err
			}
			if failures++; failures == maxAttempts {
				return nil, fmt.Errorf("%w (tried %d times)", err, failures)
			}
			wait = rand.N(backoffBase << (failures - 1))
		}
		if err := c.again(ctx, http.MethodGet, endpoint, wait, err); err != nil {
			return nil, err
		}
	}
}

// passing says whether a failed read may go better the next time.
func passing(err error, refused *Error) bool {
	if refused != nil {
		return refused.Status >= 500 && refused.Status != http.StatusNotImplemented
	}
	var unsent *unsentError
	if errors.As(err, &unsent) {
		return rest.Unsent(err) && !rest.Untrusted(err) // credentials were tried patiently already
	}
	return true
}
