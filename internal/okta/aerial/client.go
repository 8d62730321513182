package aerial

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/sync/semaphore"

	"reconciler/internal/okta/rest"
)

const (
	// MaxConcurrency is how many calls at a time Okta allows an account.
	MaxConcurrency = 10

	defaultTimeout = 30 * time.Second
)

// Options is what a Client needs to know.
type Options struct {
	// URL is where the Aerial API is served, such as
	// https://aerial-apac.okta.com. No request goes to another origin.
	URL *url.URL
	// AccountID is the id of the Aerial account.
	AccountID string
	// Transport sends the requests; BaseTransport gives one.
	Transport http.RoundTripper
	// Auth puts credentials on the requests that go to the transport it is
	// given. What fails in there, before a request is sent, is no failure of
	// the API: it is neither repeated nor does it leave a write's outcome open.
	// Nil when the Transport does it itself; then the two can't be told apart.
	Auth func(http.RoundTripper) http.RoundTripper
	// Concurrency is how many calls may be in flight at a time, 1 to
	// MaxConcurrency; 0 means MaxConcurrency.
	Concurrency int
	// Timeout bounds one attempt of one call, from sending it to the end of
	// the answer's body; 0 means 30 seconds.
	Timeout time.Duration
	// Logger gets a line for each attempt (debug) and each retry (warn); nil
	// is silent.
	Logger *slog.Logger
	// Observer is told of each attempt; nil is allowed.
	Observer Observer
}

// Observer is told of each attempt of each call, for metrics. Both methods are
// called from many goroutines at once and must return quickly. The endpoint is
// a template such as "orgs/{id}/products", so that it can be a label.
type Observer interface {
	// Started is called when an attempt has a slot and is about to be sent.
	Started(method, endpoint string)
	// Finished is called once for each Started. The code is the HTTP status,
	// or 0 when there was no answer; the duration includes reading the body.
	Finished(method, endpoint string, code int, took time.Duration)
}

// Client makes the calls of the Aerial API for one account. Make one for the
// process, and others of it by As, so that the limit on concurrent calls and
// the retry budget are shared by all that goes on. Its methods may be called
// from many goroutines.
//
// The reads end at once when their context is cancelled. A write that is on
// the wire is waited for all the same, up to the timeout, because its outcome
// has to be known; there, cancelling keeps the call from being sent, or from
// being sent again.
//
// Errors of the API are an *Error somewhere in the chain; a write that may or
// may not have taken effect is an *UncertainError. Some errors have a method
// Hint() string, which says what to do about it.
type Client struct {
	transport http.RoundTripper // credentials, then wire; all else is the same after As

	base        *url.URL // up to and including api/v1
	account     string
	wire        rest.Wire
	timeout     time.Duration
	concurrency int
	slots       *semaphore.Weighted // first come, first served
	budget      *budget
	log         *slog.Logger
	observer    Observer
}

// New checks the options and gives a client. It sends nothing.
func New(opts Options) (*Client, error) {
	base, err := baseURL(opts.URL, opts.AccountID)
	if err != nil {
		return nil, err
	}
	c := &Client{
		base:        base,
		account:     opts.AccountID,
		wire:        rest.Wire{RoundTripper: opts.Transport},
		timeout:     opts.Timeout,
		concurrency: opts.Concurrency,
		budget:      &budget{},
		log:         opts.Logger,
		observer:    opts.Observer,
	}
	switch {
	case opts.Transport == nil:
		return nil, errors.New("the Aerial client needs a transport")
	case c.concurrency == 0:
		c.concurrency = MaxConcurrency
	case c.concurrency < 0 || c.concurrency > MaxConcurrency:
		return nil, fmt.Errorf("concurrency must be 1 to %d, not %d: Okta allows an account no more", MaxConcurrency, c.concurrency)
	}
	switch {
	case c.timeout == 0:
		c.timeout = defaultTimeout
	case c.timeout < 0:
		return nil, fmt.Errorf("the timeout must be positive, not %v", c.timeout)
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.observer == nil {
		c.observer = nobody{}
	}
	c.slots = semaphore.NewWeighted(int64(c.concurrency))
	return c.As(opts.Auth), nil
}

// As gives a client that makes its calls with other credentials, such as those
// of another scope, and is the same in all else: the two share the limit on
// concurrent calls and the retry budget. Nil puts no credentials on.
func (c *Client) As(auth func(http.RoundTripper) http.RoundTripper) *Client {
	other := *c
	other.transport = c.wire
	if auth != nil {
		other.transport = auth(c.wire)
	}
	return &other
}

type nobody struct{}

func (nobody) Started(string, string)                      {}
func (nobody) Finished(string, string, int, time.Duration) {}

// baseURL gives the URL that all paths of the API hang from.
func baseURL(u *url.URL, account string) (*url.URL, error) {
	switch {
	case u == nil:
		return nil, errors.New("the Aerial client needs a URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("the URL of the Aerial API must start with https://, not %q", u.Scheme+":")
	case u.Host == "":
		return nil, errors.New("the URL of the Aerial API has no host")
	case u.User != nil:
		return nil, errors.New("the URL of the Aerial API must not hold credentials")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("the URL of the Aerial API must have neither query nor fragment")
	}
	if err := checkID("account", account); err != nil {
		return nil, err
	}
	base := *u
	if base.Path == "" {
		base.Path = "/" // else JoinPath gives a path without a slash before it
	}
	return base.JoinPath(url.PathEscape(account), "api", "v1"), nil
}

// checkID refuses what can't be one segment of a path, however it is escaped.
func checkID(what, id string) error {
	if id == "" || id == "." || id == ".." {
		return fmt.Errorf("%q is no id of an %s", id, what)
	}
	return nil
}

// path gives the URL of an endpoint; each segment is escaped.
func (c *Client) path(segments ...string) *url.URL {
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	return c.base.JoinPath(segments...)
}

// BaseTransport gives the transport to put credentials on top of: TLS 1.2 or
// newer, proxies as HTTPS_PROXY and NO_PROXY say, and as many idle connections
// to one host as there are calls in flight; the default of two would make most
// calls pay for a new connection. The caller owns it and may close its idle
// connections.
func BaseTransport(concurrency int) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 10 * time.Second,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        4 * concurrency,
		MaxIdleConnsPerHost: concurrency,
		// Shorter than load balancers keep an idle connection (60 s and more):
		// a POST on one that is just being closed can't be sent again.
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 1 << 20,
		// Without pings a dead HTTP/2 connection stays in use: each retry
		// would time out on it in turn.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
	}
}
