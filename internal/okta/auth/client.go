package auth

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"golang.org/x/sync/singleflight"

	"reconciler/internal/okta/rest"
	"reconciler/internal/web"
)

const (
	// assertionLife is how long an assertion can be used. Okta accepts up to an
	// hour; this allows for a clock that is minutes off, and makes an assertion
	// that leaks worth little.
	assertionLife = 5 * time.Minute
	// preparedLife is for how long an assertion that was made ahead is used.
	preparedLife = time.Minute

	// Tokens are renewed renewMargin before they expire, or after nine tenths
	// of their life if that is later, so that none expires on its way.
	renewMargin = time.Minute
	// defaultLife is Okta's own, for answers that don't say. minLife and maxLife
	// bound what an answer may say. A token is used for at least minLife: should
	// it expire sooner, a 401 renews it, and that is cheaper than a token call
	// before each request.
	defaultLife = time.Hour
	minLife     = 10 * time.Second
	maxLife     = 24 * time.Hour
)

// Options say which service app of which org a Client is.
type Options struct {
	// OrgURL is the org that is the authorization server: for the Aerial API
	// the Aerial org, for a parent's API the parent itself.
	OrgURL *url.URL
	// ClientID is the service app's.
	ClientID string
	// KeyID is the id under which Okta knows the public key. Empty means that
	// of the key itself, which only a JWK has.
	KeyID string
	// Key returns the private key. It is called for each token call, so that a
	// key that was changed on disk is used without a restart. Its error is
	// returned as it is, and must hold no secret.
	Key func(context.Context) (Key, error)
	// DPoP asks for DPoP-bound tokens from the start. If it is false, they are
	// asked for as soon as Okta says that the app requires them.
	DPoP bool
	// Keys are what the config calls these settings. Hints name them.
	Keys Keys
	// HTTP carries the token calls; nil means web.Default.
	HTTP http.RoundTripper
	// Timeout is that of one attempt at a token call; 0 means 30 seconds.
	Timeout time.Duration
	// Passing, where not nil, reports whether a refusal passes by itself, so that the
	// token call is made again.
	Passing func(*rest.Error) bool
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Logger is told of renewals and retries, and Observer of each attempt at a token
	// call; nil discards them.
	Logger   *slog.Logger
	Observer rest.Observer
}

// Keys name the settings of a service app in the config.
type Keys struct {
	OrgURL, ClientID, KeyID, DPoP string
}

// Client gets and keeps the tokens of one service app. It may be used by many
// goroutines at once.
type Client struct {
	opt      Options
	log      *slog.Logger
	tokenURL *url.URL
	caller   *rest.Caller // of the token endpoint
	prover   *prover
	dpop     atomic.Bool              // opt.DPoP, or Okta said so
	ahead    atomic.Pointer[prepared] // for the next token call; nil if there is none

	flights singleflight.Group // token calls by normalized scopes
	mu      sync.Mutex
	cache   map[string]*entry // the same
}

// entry is what is known of one set of scopes.
type entry struct {
	token Token
	// waiters is how many goroutines wait for a token call, and cancel ends it.
	waiters int
	flight  context.Context
	cancel  context.CancelFunc
}

// New returns a Client. It sends nothing; a missing option is an error.
func New(opt Options) (*Client, error) {
	switch {
	case opt.OrgURL == nil || opt.OrgURL.Host == "":
		return nil, errors.New("oktaauth: no org URL")
	case opt.ClientID == "":
		return nil, errors.New("oktaauth: no client id")
	case opt.Key == nil:
		return nil, errors.New("oktaauth: no private key")
	}
	if opt.HTTP == nil {
		opt.HTTP = web.Default
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	opt.Timeout = cmp.Or(opt.Timeout, 30*time.Second)
	c := &Client{
		opt:      opt,
		log:      opt.Logger.With("org", opt.OrgURL.Host),
		tokenURL: opt.OrgURL.JoinPath("/oauth2/v1/token"),
		prover:   newProver(),
		cache:    map[string]*entry{},
	}
	c.tokenURL.RawQuery, c.tokenURL.Fragment, c.tokenURL.User = "", "", nil
	c.caller = rest.New(rest.Options{
		Name: "the token endpoint", URLKey: opt.Keys.OrgURL, Transport: opt.HTTP, Logger: c.log, Observer: opt.Observer,
	})
	c.dpop.Store(opt.DPoP)
	return c, nil
}

// String says whose tokens the client gets.
func (c *Client) String() string {
	return fmt.Sprintf("client %q of %q", c.opt.ClientID, c.tokenURL.Host)
}

// GoString keeps %#v out of what the client holds.
func (c *Client) GoString() string { return "auth.Client{" + c.String() + "}" }

// Token returns a token for the scopes: the one kept from earlier while it
// lasts, else a new one. Any number of goroutines that ask for the same scopes
// share one token call, which goes on until none of them waits any more. When
// ctx ends, Token stops waiting. A token call that fails is an *Error.
func (c *Client) Token(ctx context.Context, scopes ...string) (Token, error) {
	scopes = normalize(scopes)
	key := strings.Join(scopes, " ")
	if key == "" {
		return Token{}, errors.New("oktaauth: a token without scopes can do nothing")
	}
	if ctx.Err() != nil {
		return Token{}, context.Cause(ctx)
	}
	token, flight := c.join(ctx, key)
	if flight == nil {
		return token, nil
	}
	defer c.leave(key)
	result := c.flights.DoChan(key, func() (any, error) {
		if token, ok := c.cached(key); ok { // since join, another call has got one
			return token, nil
		}
		token, err := c.fetch(flight, scopes)
		if err == nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.cache[key].token = token
		}
		return token, err
	})
	select {
	case r := <-result:
		return r.Val.(Token), r.Err
	case <-ctx.Done():
		return Token{}, fmt.Errorf("waiting for a token: %w", context.Cause(ctx))
	}
}

// cached returns the token kept for the scopes, if it can be used.
func (c *Client) cached(key string) (Token, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.cache[key]
	return e.token, e.token.fresh(c.opt.Now())
}

// join returns the token kept for the scopes if it can be used, else the context
// of the token call to wait for. It does not end with the ctx that came first,
// because others may wait for the call too.
func (c *Client) join(ctx context.Context, key string) (Token, context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.cache[key]
	if e == nil {
		e = &entry{}
		c.cache[key] = e
	}
	if e.token.fresh(c.opt.Now()) {
		return e.token, nil
	}
	if e.waiters == 0 {
		e.flight, e.cancel = context.WithCancel(context.WithoutCancel(ctx))
	}
	e.waiters++
	return Token{}, e.flight
}

// leave stops waiting for a token call; the last one to leave ends it.
func (c *Client) leave(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.cache[key]
	if e.waiters--; e.waiters == 0 {
		e.cancel()
		c.flights.Forget(key)
	}
}

// reject drops a token that an API refused. A newer one is kept, so that many
// requests that fail with the same token cause one renewal. scopes are normalized.
func (c *Client) reject(token Token, scopes []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.cache[strings.Join(scopes, " ")]
	if e != nil && e.token.secret == token.secret {
		e.token = Token{}
	}
}

// prepared is an assertion that is made ahead of the token call that it is for.
type prepared struct {
	done chan struct{} // closed when the other fields are set
	at   time.Time
	text string // empty if it could not be made
}

// Prepare begins to sign for the next token call, unless the token for the scopes can
// still be used. It returns at once and sends nothing: it is for callers who wait for
// something else before they ask for the token, as a signature with an RSA key takes a
// millisecond. A failure is that of the token call, which signs again.
func (c *Client) Prepare(ctx context.Context, scopes ...string) {
	if c.kept(strings.Join(normalize(scopes), " ")) {
		return
	}
	p := &prepared{done: make(chan struct{}), at: c.opt.Now()}
	c.ahead.Store(p)
	go func() {
		defer close(p.done)
		var err error
		defer rest.Recover(c.log, "signing", &err)
		if p.text, err = c.sign(ctx); err != nil {
			p.text = ""
		}
	}()
}

// kept reports whether there is a token that can be used.
func (c *Client) kept(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.cache[key]
	return e != nil && e.token.fresh(c.opt.Now())
}

// assertion returns the assertion that was prepared, if it is a recent one, or else a
// new one. Each is used once.
func (c *Client) assertion(ctx context.Context) (string, error) {
	if p := c.ahead.Swap(nil); p != nil && c.opt.Now().Sub(p.at) < preparedLife {
		select {
		case <-p.done:
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
		if p.text != "" {
			return p.text, nil
		}
	}
	return c.sign(ctx)
}

// signers are as many as sign here at a time: no more than can compute, so that those who
// only have an answer to read need not wait for all who sign.
var signers = make(chan struct{}, runtime.GOMAXPROCS(0))

// sign returns a signed statement of who asks (RFC 7523 section 3).
func (c *Client) sign(ctx context.Context) (string, error) {
	key, err := c.opt.Key(ctx)
	if err != nil {
		return "", err
	}
	if key.Public() == nil {
		return "", errors.New("no private key")
	}
	id := cmp.Or(c.opt.KeyID, key.ID)
	if id == "" {
		return "", errors.New("no key id: set " + c.opt.Keys.KeyID + " to the id that Okta shows beside the public key")
	}
	signing := jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: jose.JSONWebKey{Key: key.private, KeyID: id}}
	if key.remote != nil {
		key.ID = id
		signing.Key = opaque{ctx, key}
	} else {
		signers <- struct{}{}
		defer func() { <-signers }()
	}
	signer, err := jose.NewSigner(signing, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", fmt.Errorf("signing with the private key: %w", err)
	}
	now := c.opt.Now()
	s, err := jwt.Signed(signer).Claims(map[string]any{
		"iss": c.opt.ClientID,
		"sub": c.opt.ClientID,
		"aud": c.tokenURL.String(),
		"iat": now.Unix(),
		"exp": now.Add(assertionLife).Unix(),
		"jti": rand.Text(),
	}).Serialize()
	if err != nil && key.remote != nil {
		return "", err // which names the program
	}
	if err != nil {
		return "", fmt.Errorf("signing with the private key: %w", err)
	}
	return s, nil
}
