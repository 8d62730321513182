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
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	// assertionLife is how long an assertion can be used. Okta takes up to an
	// hour; this leaves room for a clock that is minutes off and little for
	// one who finds an assertion in a log.
	assertionLife = 5 * time.Minute

	// Tokens are renewed renewMargin before they expire, or after nine tenths
	// of their life if that is later, so that none expires on its way.
	renewMargin = time.Minute
	// defaultLife is Okta's own, for answers that don't say.
	defaultLife = time.Hour
	// minLife and maxLife bound what an answer may say. A token is used for at
	// least minLife: should it expire sooner, a 401 renews it, and that is
	// cheaper than a token call before each request.
	minLife = 10 * time.Second
	maxLife = 24 * time.Hour
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
	// Key gives the private key. It is called for each token call, so that a
	// key that was changed on disk is taken up without a restart. Its error is
	// given on as it is, and must hold no secret.
	Key func() (Key, error)
	// DPoP asks for DPoP-bound tokens from the start. If it is false, they are
	// asked for as soon as Okta says that the app requires them.
	DPoP bool
	// HTTP carries the token calls; nil means http.DefaultTransport.
	HTTP http.RoundTripper
	// Timeout is that of one attempt at a token call; 0 means 30 seconds.
	Timeout time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Logger is told of renewals and retries; nil means nobody is.
	Logger *slog.Logger
}

// Client gets and keeps the tokens of one service app. It may be used by many
// goroutines at once.
type Client struct {
	opt      Options
	log      *slog.Logger
	tokenURL *url.URL
	prover   *prover
	dpop     atomic.Bool // opt.DPoP, or Okta said so

	mu    sync.Mutex
	cache map[string]*entry // by normalized scopes
}

// entry is what is known of one set of scopes.
type entry struct {
	token Token
	call  *call // the token call under way, or nil
}

// call is a token call that any number of goroutines wait for.
type call struct {
	cancel  context.CancelFunc
	waiters int           // guarded by Client.mu
	done    chan struct{} // closed when token and err are set
	token   Token
	err     error
}

// New makes a Client. It talks to nobody; it fails when an option is missing.
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
		opt.HTTP = http.DefaultTransport
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	opt.Timeout = cmp.Or(opt.Timeout, 30*time.Second)
	c := &Client{
		opt:      opt,
		log:      opt.Logger,
		tokenURL: opt.OrgURL.JoinPath("/oauth2/v1/token"),
		prover:   newProver(),
		cache:    map[string]*entry{},
	}
	c.tokenURL.RawQuery, c.tokenURL.Fragment, c.tokenURL.User = "", "", nil
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.dpop.Store(opt.DPoP)
	return c, nil
}

// String tells whose tokens the client gets.
func (c *Client) String() string {
	return fmt.Sprintf("client %q of %q", c.opt.ClientID, c.tokenURL.Host)
}

// GoString keeps %#v out of what the client holds.
func (c *Client) GoString() string { return "auth.Client{" + c.String() + "}" }

// Token gives a token for the scopes: the one kept from earlier while it
// lasts, else a new one. Any number of goroutines that ask for the same scopes
// share one token call, which goes on until none of them waits any more. When
// ctx ends, Token stops waiting. Okta's refusals are *Error.
func (c *Client) Token(ctx context.Context, scopes ...string) (Token, error) {
	scopes = normalize(scopes)
	key := strings.Join(scopes, " ")
	if key == "" {
		return Token{}, errors.New("oktaauth: a token without scopes can do nothing")
	}
	if ctx.Err() != nil {
		return Token{}, context.Cause(ctx)
	}

	c.mu.Lock()
	e := c.cache[key]
	if e == nil {
		e = &entry{}
		c.cache[key] = e
	}
	if e.token.fresh(c.opt.Now()) {
		defer c.mu.Unlock()
		return e.token, nil
	}
	if e.call == nil {
		e.call = c.start(ctx, e, scopes)
	}
	wait := e.call
	wait.waiters++
	c.mu.Unlock()

	select {
	case <-wait.done:
		return wait.token, wait.err
	case <-ctx.Done():
		c.leave(e, wait)
		return Token{}, fmt.Errorf("waiting for a token: %w", context.Cause(ctx))
	}
}

// start begins a token call for e. It does not end with the ctx of whoever
// happened to come first, because others may wait for it too. c.mu is held.
func (c *Client) start(ctx context.Context, e *entry, scopes []string) *call {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w := &call{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer cancel()
		token, err := c.fetch(ctx, scopes)
		c.mu.Lock()
		defer c.mu.Unlock()
		w.token, w.err = token, err
		close(w.done)
		if e.call == w {
			e.call = nil
			e.token = token
		}
	}()
	return w
}

// leave stops waiting for w; the last one to leave ends it.
func (c *Client) leave(e *entry, w *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.waiters--
	if w.waiters > 0 {
		return
	}
	w.cancel()
	if e.call == w {
		e.call = nil
	}
}

// reject forgets a token that an API refused. A newer one is kept, so that
// many requests that fail with the same token cause one renewal. scopes are
// normalized.
func (c *Client) reject(token Token, scopes []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.cache[strings.Join(scopes, " ")]
	if e != nil && e.token.secret == token.secret {
		e.token = Token{}
	}
}

// assertion is a signed statement of who asks (RFC 7523 section 3). Each can
// be used once.
func (c *Client) assertion() (string, error) {
	key, err := c.opt.Key()
	if err != nil {
		return "", err
	}
	if key.private == nil {
		return "", errors.New("no private key")
	}
	id := cmp.Or(c.opt.KeyID, key.ID)
	if id == "" {
		return "", errors.New("no key id: set keyID to the id that Okta shows beside the public key")
	}
	signer, err := jose.NewSigner(
		jose.SigningKey{
			Algorithm: jose.SignatureAlgorithm(key.Algorithm),
			Key:       jose.JSONWebKey{Key: key.private, KeyID: id},
		},
		(&jose.SignerOptions{}).WithType("JWT"),
	)
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
	if err != nil {
		return "", fmt.Errorf("signing with the private key: %w", err)
	}
	return s, nil
}
