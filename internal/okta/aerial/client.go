package aerial

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"reconciler/internal/okta/rest"
	"reconciler/internal/web"
)

const (
	// MaxConcurrency is how many calls at a time Okta allows an account.
	MaxConcurrency = 10

	defaultTimeout = 30 * time.Second

	// maxBody caps an answer; maxList one that lists orgs or products.
	maxBody = 1 << 20
	maxList = 10 << 20

	// maxAttempts is how often a call is sent before a failure that may pass is
	// returned, with waits of up to 0.5, 1, 2, 4 and 8 s between. Where attempts
	// end by timeout, maxFailing ends the call sooner. maxThrottled is how long
	// it waits on rate limits altogether.
	maxAttempts  = 6
	firstWait    = 500 * time.Millisecond
	maxFailing   = 2 * time.Minute
	maxThrottled = 5 * time.Minute

	// stopGrace is how long a write that was sent is still waited for when the
	// run is to stop: long enough for any answer that comes at all, and short
	// enough for those who stop a process and kill it ten seconds later.
	stopGrace = 5 * time.Second
)

// Options is what a Client needs to know.
type Options struct {
	// URL is where the Aerial API is served, such as
	// https://aerial-apac.okta.com. No request goes to another origin.
	URL *url.URL
	// AccountID is the id of the Aerial account.
	AccountID string
	// AerialDomain is the domain of the Aerial org, which identifies it in a list
	// whose entries don't say; empty if it is not known.
	AerialDomain string
	// Keys are what the config calls what hints tell people to check.
	Keys Keys
	// Transport sends the requests; BaseTransport returns one. Auth puts
	// credentials on those that go to the transport it is given; nil when
	// Transport does it itself.
	Transport http.RoundTripper
	Auth      func(http.RoundTripper) http.RoundTripper
	// Concurrency is how many calls may be in flight at a time, 1 to
	// MaxConcurrency; 0 means MaxConcurrency.
	Concurrency int
	// Timeout bounds one attempt of one call, from sending it to the end of
	// the answer's body; 0 means 30 seconds.
	Timeout time.Duration
	// Logger and Observer see each attempt and, the logger, each retry; nil
	// discards that.
	Logger   *slog.Logger
	Observer Observer
}

// Keys name the settings of a Client in the config.
type Keys struct {
	URL, AccountID, Concurrency string
	// Auth and OrgURL are the settings of the service app, and among them that
	// of the org that issues its tokens.
	Auth, OrgURL string
}

// Observer is told of each attempt of each call.
type Observer = rest.Observer

// Client makes the calls of the Aerial API for one account. Make one for the
// process, and others of it by As, so that the limit on concurrent calls and
// the retry budget are shared by all that goes on. Its methods may be called
// from many goroutines.
//
// The reads end at once when their context is cancelled. A write that was sent
// is waited for some seconds longer, because its outcome has to be known; there,
// cancelling keeps the call from being sent, or from being sent again.
//
// Each write takes a function maySend. It is asked right before the write is sent,
// for the first time and each time again, with everything in hand that a send
// needs: time may have passed since the caller looked, waiting for a slot, a token
// or a rate limit. It may look by reads of this client, or of one made by As, with
// the context that it is given; see rest.Call. Its error forbids the send, ends
// the call, and is wrapped by what is returned, which is a *rest.UncertainError too
// if an earlier attempt may have taken effect.
//
// Errors of the API are a *rest.Error somewhere in the chain; a write that may or
// may not have taken effect is a *rest.UncertainError. Some errors have a method
// Hint() string, which says what to do about it.
type Client struct {
	caller       *rest.Caller
	base         *url.URL // up to and including api/v1
	account      string
	aerialDomain string
	keys         Keys
	timeout      time.Duration
	concurrency  int
	log          *slog.Logger
}

// New checks the options and returns a client. It sends nothing.
func New(opts Options) (*Client, error) {
	if opts.URL == nil {
		return nil, errors.New("the Aerial client needs a URL")
	}
	base, err := rest.Base(opts.URL, "the Aerial API")
	if err != nil {
		return nil, err
	}
	c := &Client{
		base: base.JoinPath(url.PathEscape(opts.AccountID), "api", "v1"), account: opts.AccountID, aerialDomain: opts.AerialDomain, keys: opts.Keys,
		timeout: cmp.Or(opts.Timeout, defaultTimeout), concurrency: cmp.Or(opts.Concurrency, MaxConcurrency), log: opts.Logger,
	}
	switch {
	case opts.Transport == nil:
		return nil, errors.New("the Aerial client needs a transport")
	case c.concurrency < 0 || c.concurrency > MaxConcurrency:
		return nil, fmt.Errorf("concurrency must be 1 to %d, not %d: Okta allows an account no more", MaxConcurrency, c.concurrency)
	case c.timeout < 0:
		return nil, fmt.Errorf("the timeout must be positive, not %v", c.timeout)
	}
	if err := checkID("account", c.account); err != nil {
		return nil, err
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.caller = rest.New(rest.Options{
		Name: "the Aerial API", URLKey: c.keys.URL, TokenKey: c.keys.OrgURL, Hint: c.hint,
		Transport: opts.Transport, Auth: opts.Auth, Slots: c.concurrency, Logger: c.log, Observer: opts.Observer,
	})
	return c, nil
}

// As returns a client that makes its calls with other credentials, such as those
// of another scope, and is the same in all else: the two share the limit on
// concurrent calls and the retry budget. Nil puts no credentials on.
func (c *Client) As(auth func(http.RoundTripper) http.RoundTripper) *Client {
	other := *c
	other.caller = c.caller.As(auth)
	return &other
}

// checkID refuses what can't be one segment of a path, however it is escaped.
func checkID(what, id string) error {
	if id == "" || id == "." || id == ".." {
		return fmt.Errorf("%q is no id of an %s", id, what)
	}
	return nil
}

// path returns the URL of an endpoint; each segment is escaped.
func (c *Client) path(segments ...string) *url.URL {
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	return c.base.JoinPath(segments...)
}

// BaseTransport returns the transport to put credentials on top of: TLS 1.2 or
// newer, proxies as HTTPS_PROXY and NO_PROXY say, and as many idle connections
// to one host as there are calls in flight; the default of two would make most
// calls pay for a new connection. The caller owns it and may close its idle
// connections.
func BaseTransport(concurrency int) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:               web.EnvironmentProxy,
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
		GetProxyConnectHeader:  web.ProxyHeader,
		OnProxyConnectResponse: web.CheckProxy,
		// Without pings a dead HTTP/2 connection stays in use: each retry
		// would time out on it in turn.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
	}
}
