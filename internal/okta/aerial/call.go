package aerial

import (
	"context"
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

func (c *Client) replace(u *url.URL, endpoint string, body any, again func(context.Context) error) *rest.Call {
	call := c.call(http.MethodPut, u, endpoint, rest.AfterLook)
	call.ContentType, call.MaySend, call.Again = "application/json", rest.JSON(body), again
	return call
}

func (c *Client) once(u *url.URL, endpoint string, body any) *rest.Call {
	call := c.call(http.MethodPost, u, endpoint, rest.Never)
	if body != nil {
		call.ContentType, call.MaySend = "application/json", rest.JSON(body)
	}
	return call
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
