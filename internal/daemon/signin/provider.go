package signin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"reconciler/internal/config"
	"reconciler/internal/text"
	"reconciler/internal/web"
)

const (
	// providerTimeout limits each call to the provider.
	providerTimeout = 10 * time.Second
	// discoveredFor is how long what the provider says of itself counts, and retryAfter
	// how long a failure does.
	discoveredFor = time.Hour
	retryAfter    = 5 * time.Second
	// clockSkew is how much the provider's clock may be behind ours.
	clockSkew = time.Minute
	// maxAnswer limits an answer of the provider.
	maxAnswer = 4 << 20
	// groupsClaim is what the groups are called.
	groupsClaim = "groups"
)

// provider is the OpenID provider. Nothing is asked of it before somebody signs in.
type provider struct {
	cfg    *config.OIDC
	client *http.Client

	mu       sync.Mutex
	found    *discovered
	foundAt  time.Time
	failed   error
	failedAt time.Time
}

// discovered is what the provider says of itself.
type discovered struct {
	*oidc.Provider
	verifier *oidc.IDTokenVerifier
	endpoint oauth2.Endpoint
	scopes   []string
}

func newProvider(cfg *config.OIDC, transport http.RoundTripper) *provider {
	return &provider{cfg: cfg, client: &http.Client{
		Transport: &limited{transport},
		Timeout:   providerTimeout,
		// What is sent is for the provider alone.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// limited cuts long answers.
type limited struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (l *limited) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := l.RoundTripper.RoundTrip(req)
	if err == nil {
		resp.Body = &cutBody{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	}
	return resp, err
}

type cutBody struct {
	io.Reader
	io.Closer
}

// host returns what people call the provider.
func (p *provider) host() string {
	if u, err := url.Parse(p.cfg.Issuer); err == nil {
		return u.Host
	}
	return p.cfg.Issuer
}

// discover returns what the provider says of itself. What it said last stays in force
// while it can't be reached.
func (p *provider) discover(ctx context.Context) (*discovered, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.found != nil && now.Sub(p.foundAt) < discoveredFor {
		return p.found, nil
	}
	if p.failed != nil && now.Sub(p.failedAt) < retryAfter {
		return p.found, p.unlessFound(p.failed)
	}
	found, err := p.ask(ctx)
	if err != nil {
		if ctx.Err() == nil { // not because this one person went away
			p.failed, p.failedAt = err, now
		}
		return p.found, p.unlessFound(err)
	}
	p.found, p.foundAt, p.failed = found, now, nil
	return found, nil
}

func (p *provider) unlessFound(err error) error {
	if p.found != nil {
		return nil
	}
	return err
}

func (p *provider) ask(ctx context.Context) (*discovered, error) {
	op, err := oidc.NewProvider(p.context(ctx), p.cfg.Issuer)
	if err != nil {
		return nil, text.WithHint(fmt.Errorf("the sign-in provider %s can't be used now: %s", p.cfg.Issuer, text.OneLine(cause(err), 300)),
			"is "+config.KeyHTTPIssuer+" right, and can this machine reach it? it is tried again with each sign-in")
	}
	var more struct {
		Keys    string   `json:"jwks_uri"`
		Scopes  []string `json:"scopes_supported"`
		Methods []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := op.Claims(&more); err != nil {
		return nil, err
	}
	if plain := unencrypted(op.Endpoint().AuthURL, op.Endpoint().TokenURL, op.UserInfoEndpoint(), more.Keys); plain != "" {
		return nil, text.WithHint(fmt.Errorf("the sign-in provider %s can't be used: it names the endpoint %s, which has no TLS", p.cfg.Issuer, text.OneLine(plain, 300)),
			"the provider, or the proxy in front of it, must have its own URL right")
	}
	d := &discovered{
		Provider: op, endpoint: op.Endpoint(), scopes: []string{oidc.ScopeOpenID, "profile", "email"},
		// A token may seem to have expired to a clock that is ahead of the provider's.
		verifier: op.VerifierContext(p.context(context.WithoutCancel(ctx)), &oidc.Config{ClientID: p.cfg.ClientID, Now: func() time.Time { return time.Now().Add(-clockSkew) }}),
	}
	if slices.Contains(more.Scopes, groupsClaim) {
		d.scopes = append(d.scopes, groupsClaim)
	}
	// The secret is sent in one way: a code that was sent twice would count as stolen.
	d.endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if len(more.Methods) > 0 && !slices.Contains(more.Methods, "client_secret_basic") {
		d.endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return d, nil
}

// unencrypted returns the first endpoint that is neither reached over TLS nor on this
// machine; "" if there is none. An empty one isn't there.
func unencrypted(endpoints ...string) string {
	for _, endpoint := range endpoints {
		u, err := url.Parse(endpoint)
		if endpoint != "" && (err != nil || u.Scheme != "https" && (u.Scheme != "http" || !web.IsLoopback(u.Hostname()))) {
			return endpoint
		}
	}
	return ""
}

// cause returns an error of the library without the body of the answer, which may be a
// page.
func cause(err error) string {
	var answered *url.Error
	if errors.As(err, &answered) {
		return answered.Err.Error()
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	status, _, _ := strings.Cut(first, ": <")
	return status
}

func (p *provider) context(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, p.client)
}

// authURL returns where somebody signs in.
func (d *discovered) authURL(p *provider, redirect string, a *attempt) string {
	c := oauth2.Config{ClientID: p.cfg.ClientID, Endpoint: d.endpoint, RedirectURL: redirect, Scopes: d.scopes}
	return c.AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier))
}

// identity is who signed in.
type identity struct {
	name, subject string
	groups        []string
}

// identify exchanges a code for an ID token, checks it, and returns who signed in. No
// error has anything of code, token or secret.
func (p *provider) identify(ctx context.Context, d *discovered, secret, code, redirect string, a *attempt) (*identity, error) {
	c := oauth2.Config{ClientID: p.cfg.ClientID, ClientSecret: secret, Endpoint: d.endpoint, RedirectURL: redirect}
	ctx = p.context(ctx)
	got, err := c.Exchange(ctx, code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return nil, exchangeError(err)
	}
	raw, ok := got.Extra("id_token").(string)
	if !ok {
		return nil, errors.New("the provider's answer has no ID token")
	}
	token, err := d.verifier.Verify(ctx, raw)
	if err != nil {
		return nil, fmt.Errorf("the provider's ID token is refused: %s", text.OneLine(strings.TrimPrefix(cause(err), "oidc: "), 300))
	}
	if !same(token.Nonce, a.Nonce) {
		return nil, errors.New("the provider's ID token is refused: it is for another sign-in (nonce)")
	}
	if token.AccessTokenHash != "" {
		if err := token.VerifyAccessToken(got.AccessToken); err != nil {
			return nil, errors.New("the provider's ID token is refused: it doesn't belong to the access token (at_hash)")
		}
	}
	var claims claims
	if err := token.Claims(&claims); err != nil {
		return nil, fmt.Errorf("the provider's ID token can't be understood: %s", text.OneLine(err.Error(), 300))
	}
	if len(token.Audience) > 1 && claims.Party != p.cfg.ClientID {
		return nil, errors.New("the provider's ID token is refused: it was made for another client (azp)")
	}
	if claims.Groups == nil || claims.name() == "" {
		if err := p.userInfo(ctx, d, got, token.Subject, &claims); err != nil {
			return nil, err
		}
	}
	id := &identity{name: cmp.Or(text.OneLine(claims.name(), maxName), text.OneLine(token.Subject, maxName)), subject: token.Subject}
	if id.name == "" {
		return nil, errors.New("the provider's ID token is refused: it names nobody")
	}
	if claims.Groups != nil {
		id.groups = *claims.Groups
	}
	return id, nil
}

// maxName limits the name of somebody who signed in.
const maxName = 100

// userInfo adds what the ID token lacks. Okta leaves claims out of one that comes with an
// access token.
func (p *provider) userInfo(ctx context.Context, d *discovered, got *oauth2.Token, subject string, c *claims) error {
	if d.UserInfoEndpoint() == "" {
		return nil
	}
	info, err := d.UserInfo(ctx, oauth2.StaticTokenSource(got))
	if err != nil {
		return fmt.Errorf("the provider doesn't say who signed in: %s", text.OneLine(strings.TrimPrefix(cause(err), "oidc: "), 300))
	}
	if info.Subject != subject {
		return errors.New("the provider's userinfo is of somebody else than its ID token")
	}
	var more claims
	if err := info.Claims(&more); err != nil {
		return fmt.Errorf("the provider's userinfo can't be understood: %s", text.OneLine(err.Error(), 300))
	}
	if c.Groups == nil {
		c.Groups = more.Groups
	}
	if c.name() == "" {
		c.Email, c.Verified, c.Preferred = more.Email, more.Verified, more.Preferred
	}
	return nil
}

// exchangeError returns why a code was refused, without it.
func exchangeError(err error) error {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.ErrorCode != "" {
		why := text.OneLine(refused.ErrorCode, 100)
		if refused.ErrorDescription != "" {
			why += ": " + text.OneLine(refused.ErrorDescription, 300)
		}
		hint := "begin again"
		if refused.ErrorCode == "invalid_client" {
			hint = "are " + config.KeyHTTPClientID + " and " + config.KeyHTTPClientSecret + " those of the application?"
		}
		return text.WithHint(errors.New("the provider refuses: "+why), hint)
	}
	if refused != nil && refused.Response != nil {
		return errors.New("the provider refuses: " + refused.Response.Status)
	}
	var answered *url.Error
	if errors.As(err, &answered) {
		return errors.New("the provider can't be reached: " + text.OneLine(answered.Err.Error(), 300))
	}
	return errors.New("the provider's answer to the sign-in can't be understood")
}

// claims are those that matter here.
type claims struct {
	Party     string  `json:"azp"`
	Email     string  `json:"email"`
	Verified  truth   `json:"email_verified"`
	Preferred string  `json:"preferred_username"`
	Groups    *groups `json:"groups"`
}

// name returns the e-mail address, unless the provider says that nobody has verified it,
// or the name to sign in with.
func (c *claims) name() string {
	if c.Email != "" && (!c.Verified.known || c.Verified.is) {
		return c.Email
	}
	return c.Preferred
}

// truth is a boolean, which some providers write as a string.
type truth struct{ known, is bool }

// UnmarshalJSON implements json.Unmarshaler.
func (t *truth) UnmarshalJSON(data []byte) error {
	word := strings.Trim(string(data), `"`)
	if word != "true" && word != "false" && word != "null" {
		return fmt.Errorf("%.20s is no boolean", data)
	}
	t.known, t.is = word != "null", word == "true"
	return nil
}

// groups are a list, or one name that stands alone.
type groups []string

// UnmarshalJSON implements json.Unmarshaler.
func (g *groups) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*g = groups{one}
		return nil
	}
	var all []string
	err := json.Unmarshal(data, &all)
	*g = all
	return err
}

// Discovered is what a provider says of itself.
type Discovered struct {
	// GroupsScope reports whether there is a scope for the groups claim.
	GroupsScope bool
}

// Discover asks a provider what it says of itself. transport may be nil.
func Discover(ctx context.Context, cfg *config.OIDC, transport http.RoundTripper) (*Discovered, error) {
	if transport == nil {
		transport = web.Default
	}
	found, err := newProvider(cfg, transport).ask(ctx)
	if err != nil {
		return nil, err
	}
	return &Discovered{GroupsScope: slices.Contains(found.scopes, groupsClaim)}, nil
}
