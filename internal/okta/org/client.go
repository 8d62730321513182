package org

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"reconciler/internal/okta/auth"
	"reconciler/internal/okta/objects"
	"reconciler/internal/okta/rest"
)

const (
	defaultTimeout     = 30 * time.Second
	defaultCallsPerOrg = 4
	defaultShare       = 50

	// maxBody caps an answer: a page of 200 objects of 50 kB.
	maxBody = 10 << 20

	// maxAttempts is how often a call is sent before a failure that may pass is
	// returned, with waits of up to 0.5, 1, 2, 4, 8 and 16 s between: the server
	// holds its locks for some seconds. Where attempts end by timeout, maxFailing
	// ends the call sooner. maxThrottled is how long it waits on rate limits
	// altogether.
	maxAttempts  = 7
	firstWait    = 500 * time.Millisecond
	maxFailing   = 2 * time.Minute
	maxThrottled = 5 * time.Minute

	// stopGrace is how long a write that was sent is still waited for when the run
	// is to stop.
	stopGrace = 5 * time.Second

	// maxSites bounds what is remembered of orgs: tokens, limits, connections'
	// failures. Of those beyond it the ones that were not used for longest are
	// forgotten, which costs a token call.
	maxSites = 4096
)

// Options is what a Client needs to know.
type Options struct {
	// URL is where an org's API is; {domain} stands for its domain, as in
	// "https://{domain}".
	URL string
	// Credentials returns the credentials for an org. Its error says why there are
	// none, and must hold no secret.
	Credentials func(objects.Target) (Credentials, error)
	// Keys are what the config calls what hints tell people to check.
	Keys Keys
	// Transport sends the requests.
	Transport http.RoundTripper
	// CallsPerOrg is how many calls may be in flight to one org; 0 means 4.
	CallsPerOrg int
	// Share is the percentage of each of an org's rate limits that is used at most;
	// 0 means 50.
	Share int
	// Timeout bounds one attempt of one call; 0 means 30 seconds.
	Timeout time.Duration
	// Steps remembers what a change leaves undone if the process ends in the middle
	// of it; nil remembers nothing.
	Steps Steps
	// Logger and Observer see each attempt, those at tokens included, and, the logger,
	// each retry; nil discards that.
	Logger   *slog.Logger
	Observer rest.Observer
}

// Keys name the settings of a Client in the config.
type Keys struct {
	URL, Auth, ClientID, KeyID, DPoP, CallsPerOrg, Share string
}

// Credentials are those for one org: of a service app, or an API token.
type Credentials struct {
	// ClientID is the service app's; empty for an API token.
	ClientID string
	// KeyID is the id under which Okta knows the public key; empty for that of the
	// key itself. Key returns the private key.
	KeyID string
	Key   func(context.Context) (auth.Key, error)
	// DPoP asks for tokens that are bound to a key.
	DPoP bool
	// Token returns the API token. It is only called if ClientID is empty.
	Token func() (string, error)
}

// token returns the API token, for which no context is needed.
func (c *Credentials) token(context.Context) (string, error) { return c.Token() }

// Steps remembers objects that are INACTIVE for the time of a change: because they can
// only be written so, or because Okta makes them so. Where no status is declared, nobody
// else would know that they are to be ACTIVE again. Both methods are called from many
// goroutines.
type Steps interface {
	// Begin is called before the object is made INACTIVE that is to be ACTIVE
	// afterwards. See [StepObject] for what the id means. An error keeps the change
	// from being made.
	Begin(orgID, kind, id string) error
	// End is called when the object is ACTIVE.
	End(orgID, kind, id string) error
}

// Client reads and writes the configuration of orgs. Its methods may be called
// concurrently.
//
// Reads end at once when their context is cancelled. A write that was sent is waited
// for some seconds longer. Errors of the API are a *rest.Error somewhere in the chain,
// and a write that may or may not have taken effect is a *rest.UncertainError; some
// errors have a method Hint() string. See [Reason] for what goes into a plan.
type Client struct {
	opts  Options
	log   *slog.Logger
	wire  http.RoundTripper // counts
	calls atomic.Int64

	mu    sync.Mutex
	sites *recent[siteKey, *site]
}

// New checks the options and returns a client. It sends nothing.
func New(opts Options) (*Client, error) {
	opts.CallsPerOrg = cmp.Or(opts.CallsPerOrg, defaultCallsPerOrg)
	opts.Share = cmp.Or(opts.Share, defaultShare)
	opts.Timeout = cmp.Or(opts.Timeout, defaultTimeout)
	switch {
	case opts.Transport == nil || opts.Credentials == nil:
		return nil, errors.New("the client of orgs needs a transport and credentials")
	case opts.CallsPerOrg < 0:
		return nil, fmt.Errorf("the calls per org must be positive, not %d", opts.CallsPerOrg)
	case opts.Share < 0 || opts.Share > 100:
		return nil, fmt.Errorf("the share of rate limits must be 1 to 100 percent, not %d", opts.Share)
	case opts.Timeout < 0:
		return nil, fmt.Errorf("the timeout must be positive, not %v", opts.Timeout)
	}
	c := &Client{opts: opts, log: opts.Logger, sites: newRecent[siteKey, *site](maxSites)}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.wire = counting{c}
	if _, err := c.home("acme.okta.com"); err != nil {
		return nil, err
	}
	return c, nil
}

// Calls returns how many requests were sent so far, to all orgs, those for tokens
// included.
func (c *Client) Calls() int64 { return c.calls.Load() }

// counting counts the requests that are sent.
type counting struct{ *Client }

func (c counting) RoundTrip(req *http.Request) (*http.Response, error) {
	c.calls.Add(1)
	return c.opts.Transport.RoundTrip(req)
}

// domains are what can stand in a URL in place of {domain} and be nothing else there.
var domains = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?(:[0-9]+)?$`)

// home returns the URL of the org with this domain.
func (c *Client) home(domain string) (*url.URL, error) {
	if !domains.MatchString(domain) {
		return nil, fmt.Errorf("%q is no domain", domain)
	}
	u, err := url.Parse(strings.ReplaceAll(c.opts.URL, "{domain}", domain))
	if err != nil {
		return nil, fmt.Errorf("the URL of orgs is malformed: %q", c.opts.URL)
	}
	return rest.Base(u, "an org")
}

// siteKey is what one org is remembered by.
type siteKey struct{ domain, orgID string }

// site is one org, and what is remembered of it from one read to the next.
type site struct {
	*Client
	target  objects.Target
	home    *url.URL
	caller  *rest.Caller // without credentials
	limits  *limits
	writing chan struct{} // held by the one that writes

	mu    sync.Mutex
	oauth *auth.Client
	as    appKey // whose tokens oauth gets
}

// appKey tells service apps apart.
type appKey struct {
	clientID, keyID string
	dpop            bool
}

// site returns the org that target means.
func (c *Client) site(target objects.Target) (*site, error) {
	if target.OrgID == "" {
		return nil, fmt.Errorf("the id of the org %q is not known, so it can't be told whether it is the right one", target.Domain)
	}
	home, err := c.home(target.Domain)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key := siteKey{target.Domain, target.OrgID}
	s, ok := c.sites.get(key)
	if !ok {
		s = &site{Client: c, target: target, home: home, limits: newLimits(c.opts.Share), writing: make(chan struct{}, 1)}
		s.caller = rest.New(rest.Options{
			Name: "the org", URLKey: c.opts.Keys.URL, TokenKey: c.opts.Keys.URL,
			Transport: learning{s}, Slots: c.opts.CallsPerOrg,
			Logger: c.log.With("org", target.Domain), Observer: c.opts.Observer,
		})
		c.sites.put(key, s)
	}
	return s, nil
}

// credentials returns what puts credentials with these scopes on requests to the org,
// having made sure that there are any.
func (s *site) credentials(ctx context.Context, target objects.Target, scopes []string) (func(http.RoundTripper) http.RoundTripper, error) {
	got, err := s.opts.Credentials(target)
	if err != nil {
		return nil, err
	}
	if got.ClientID == "" {
		return func(base http.RoundTripper) http.RoundTripper { return auth.SSWS(base, s.home, got.token) }, nil
	}
	client, err := s.app(got)
	if err != nil {
		return nil, err
	}
	// All calls that follow need it, and would each try for themselves.
	if _, err := client.Token(ctx, scopes...); err != nil {
		return nil, err
	}
	return func(base http.RoundTripper) http.RoundTripper { return client.Transport(base, s.home, scopes...) }, nil
}

// prepare has signed what a token call for a declared service app needs, while the org
// is asked who it is. What goes wrong here does so again when the token is asked for.
func (s *site) prepare(ctx context.Context, target objects.Target, kinds []*objects.Kind) {
	if target.ClientID == "" || len(kinds) == 0 {
		return
	}
	got, err := s.opts.Credentials(target)
	if err != nil || got.ClientID == "" {
		return
	}
	if client, err := s.app(got); err == nil {
		client.Prepare(ctx, scopes(kinds, ".read")...)
	}
}

// app returns the client of the service app, the same as long as the app is the same.
func (s *site) app(got Credentials) (*auth.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := appKey{got.ClientID, got.KeyID, got.DPoP}
	if s.oauth != nil && s.as == key {
		return s.oauth, nil
	}
	keys := s.opts.Keys
	client, err := auth.New(auth.Options{
		OrgURL: s.home, ClientID: got.ClientID, KeyID: got.KeyID, Key: got.Key, DPoP: got.DPoP,
		Keys: auth.Keys{OrgURL: keys.URL, ClientID: keys.ClientID, KeyID: keys.KeyID, DPoP: keys.DPoP},
		HTTP: s.wire, Timeout: s.opts.Timeout, Passing: passes, Logger: s.log, Observer: s.opts.Observer,
	})
	if err != nil {
		return nil, err
	}
	s.oauth, s.as = client, key
	return client, nil
}
