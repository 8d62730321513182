package aerial

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"reconciler/internal/okta/rest"
)

// get, replace and once prepare calls, each with what it means to send it twice:
// a read changes nothing, a PUT replaces what is there, and what POST does can't
// be done twice, nor be undone.

func (c *Client) get(u *url.URL, endpoint string, limit int64) *rest.Call {
	call := c.call(http.MethodGet, u, endpoint, rest.Always)
	call.Policy.MaxBody = limit
	return call
}

func (c *Client) replace(u *url.URL, endpoint string, maySend body) *rest.Call {
	call := c.call(http.MethodPut, u, endpoint, rest.AfterLook)
	call.ContentType, call.MaySend = "application/json", maySend
	return call
}

func (c *Client) once(u *url.URL, endpoint string, maySend body) *rest.Call {
	call := c.call(http.MethodPost, u, endpoint, rest.Never)
	call.MaySend = maySend
	return call
}

// body asks the caller of a write whether it may be sent, and returns what to send.
type body = func(context.Context) ([]byte, error)

// fixed returns a body that is v as JSON, whenever it is sent; none if v is nil.
func fixed(maySend func(context.Context) error, v any) body {
	return func(ctx context.Context) ([]byte, error) {
		if err := maySend(ctx); err != nil || v == nil {
			return nil, err
		}
		return json.Marshal(v)
	}
}

func (c *Client) call(method string, u *url.URL, endpoint string, repeat rest.Repeat) *rest.Call {
	return &rest.Call{Method: method, URL: u, Endpoint: endpoint, Policy: rest.Policy{
		Repeat:   repeat,
		Timeout:  c.timeout,
		Grace:    stopGrace,
		MaxBody:  maxBody,
		Attempts: maxAttempts,
		Backoff:  firstWait,
		// An attempt that ends by a long timeout is repeated once.
		Failing:   max(maxFailing, 2*c.timeout),
		Throttled: maxThrottled,
	}}
}

// fetch makes the call and returns what its answer holds, and the answer. check
// judges what it holds; where the answer to a write fails it, the outcome is open.
func fetch[T any](ctx context.Context, c *Client, call *rest.Call, check func(T) error) (T, *rest.Answer, error) {
	var v, none T
	var answer *rest.Answer
	call.Read = func(a *rest.Answer) (err error) {
		answer = a
		v, err = rest.Decode[T](a)
		return err
	}
	if err := c.caller.Do(ctx, call); err != nil {
		return none, nil, err
	}
	err := check(v)
	switch {
	case err == nil:
		return v, answer, nil
	case call.Policy.Repeat != rest.Always:
		err = rest.Uncertain(err)
	}
	return none, nil, err
}

// wrap says of an error in what it happened.
func wrap(err *error, format string, args ...any) {
	if *err != nil {
		*err = fmt.Errorf(format+": %w", append(args, *err)...)
	}
}
