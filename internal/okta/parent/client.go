package parent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"reconciler/internal/web"
)

// defaultTimeout leaves a process that is stopped in the middle of a creation, and
// that is usually given a minute to end, some time to keep the token.
const defaultTimeout = 45 * time.Second

// Options is what a Client needs to know.
type Options struct {
	// Name is what the config calls the parent, for errors.
	Name string
	// URL is the parent org's, such as https://acme.okta.com. No request goes
	// to another origin.
	URL *url.URL
	// Transport sends the requests.
	Transport http.RoundTripper
	// Auth puts credentials on the requests that go to the transport it is
	// given. What fails in there, before a request is sent, leaves nothing open.
	Auth func(http.RoundTripper) http.RoundTripper
	// Timeout bounds one attempt of one call, from sending it to the end of
	// the answer's body; 0 means 45 seconds. A creation that is slow is better
	// waited for than given up.
	Timeout time.Duration
	// Sleep waits between attempts until ctx ends; nil means by the clock.
	Sleep func(ctx context.Context, d time.Duration) error
	// Logger is told of attempts (debug) and retries (warn); nil is silent.
	Logger *slog.Logger
}

// Client makes the calls of one parent org. Its methods may be called from many
// goroutines. Errors of the API are an *Error somewhere in the chain; some
// errors have a method Hint() string, which says what to do about it. No error
// and no line of log holds a token.
type Client struct {
	name      string
	base      *url.URL
	transport http.RoundTripper
	timeout   time.Duration
	sleep     func(context.Context, time.Duration) error
	log       *slog.Logger
}

// New checks the options and gives a client. It sends nothing.
func New(opts Options) (*Client, error) {
	u := opts.URL
	switch {
	case u == nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("parent %q: it needs a URL such as https://acme.okta.com", opts.Name)
	case u.User != nil:
		return nil, fmt.Errorf("parent %q: its URL must not hold credentials", opts.Name)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("parent %q: its URL must have neither query nor fragment", opts.Name)
	case opts.Transport == nil || opts.Auth == nil:
		return nil, errors.New("the client of a parent org needs a transport and credentials")
	case opts.Timeout < 0:
		return nil, fmt.Errorf("parent %q: the timeout must be positive, not %v", opts.Name, opts.Timeout)
	}
	c := &Client{
		name:      opts.Name,
		base:      u,
		transport: opts.Auth(wire{opts.Transport}),
		timeout:   opts.Timeout,
		sleep:     opts.Sleep,
		log:       opts.Logger,
	}
	if c.timeout == 0 {
		c.timeout = defaultTimeout
	}
	if c.sleep == nil {
		c.sleep = web.Sleep
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// Timeout is how long a creation may take from being sent to being given up.
func (c *Client) Timeout() time.Duration { return c.timeout }
