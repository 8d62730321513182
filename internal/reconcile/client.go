package reconcile

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/okta/aerial"
	"reconciler/internal/okta/auth"
	"reconciler/internal/okta/parent"
	"reconciler/internal/state"
)

// Scopes of access tokens: two for the Aerial API, and one that lets a service
// app of a parent create orgs and read its consent.
const (
	ScopeRead   = "okta.accounts.read"
	ScopeManage = "okta.accounts.manage"
	scopeOrgs   = "okta.orgs.manage"
)

// ClientOptions is what clients of Okta need beside the config.
type ClientOptions struct {
	// Transport sends all requests.
	Transport http.RoundTripper
	// Now returns the time; time.Now if nil.
	Now func() time.Time
	// Logger logs calls and retries.
	Logger *slog.Logger
	// Observer observes the calls of the Aerial API and those for its tokens; nil is
	// allowed.
	Observer aerial.Observer
}

// OpenServiceApp returns the source of access tokens of a service app. It opens no
// connection and no secret.
func OpenServiceApp(a *config.Auth, timeout time.Duration, opts ClientOptions) (*auth.Client, error) {
	return auth.New(auth.Options{
		OrgURL:   a.OrgURL,
		ClientID: a.ClientID,
		KeyID:    a.KeyID,
		Key:      func(ctx context.Context) (auth.Key, error) { return ReadKey(ctx, a.PrivateKey) },
		DPoP:     a.DPoP,
		Keys:     a.Keys(),
		HTTP:     opts.Transport,
		Timeout:  timeout,
		Now:      opts.Now,
		Logger:   opts.Logger,
		Observer: opts.Observer,
	})
}

// ReadKey reads the private key of a service app, or the public one where a program
// signs.
func ReadKey(ctx context.Context, k config.Key) (auth.Key, error) { return (&keyReader{}).read(ctx, k) }

// keyReader reads the private keys of service apps. Most orgs have the same one, which
// is parsed again only when it is replaced: that takes a fifth of what signing does.
type keyReader struct {
	mu   sync.Mutex
	data []byte
	key  auth.Key // parsed from data
}

func (k *keyReader) read(ctx context.Context, c config.Key) (auth.Key, error) {
	if s := c.Signer(); s != nil {
		return remoteKey(s)
	}
	data, err := c.Read(ctx)
	if err != nil {
		return auth.Key{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.data != nil && bytes.Equal(data, k.data) {
		return k.key, nil
	}
	key, err := auth.ParsePrivateKey(data)
	if err != nil {
		return auth.Key{}, fmt.Errorf("%s: %w", c, err)
	}
	k.data, k.key = data, key
	return key, nil
}

// remoteKey returns a key that a program signs with.
func remoteKey(s *config.Signer) (auth.Key, error) {
	public, err := s.Public()
	if err != nil {
		return auth.Key{}, err
	}
	key, err := auth.NewRemoteKey(public, s)
	if err != nil {
		return auth.Key{}, fmt.Errorf("%s: %w", s.PublicName(), err)
	}
	return key, nil
}

// OpenAerial returns a client of the Aerial API whose tokens can only read. It
// opens no connection.
func OpenAerial(a *config.Aerial, app *auth.Client, opts ClientOptions) (*aerial.Client, error) {
	return aerial.New(aerial.Options{
		URL:          a.URL,
		AccountID:    a.AccountID,
		AerialDomain: config.OktaDomain(a.Auth.OrgURL),
		Keys:         a.Keys(),
		Transport:    opts.Transport,
		Auth:         authorize(a, app, ScopeRead),
		Concurrency:  a.Concurrency,
		Timeout:      a.Timeout,
		Logger:       opts.Logger,
		Observer:     opts.Observer,
	})
}

func authorize(a *config.Aerial, app *auth.Client, scope string) func(http.RoundTripper) http.RoundTripper {
	return func(base http.RoundTripper) http.RoundTripper { return app.Transport(base, a.URL, scope) }
}

// OpenParent returns a client of a parent that sends by base. It opens no
// connection and no secret.
func OpenParent(p *config.Parent, base http.RoundTripper, log *slog.Logger) (*parent.Client, error) {
	authorize := func(base http.RoundTripper) http.RoundTripper {
		return auth.SSWS(forgetful{base, p.Auth.Token}, p.URL, func(ctx context.Context) (string, error) {
			token, err := p.Auth.Token.Read(ctx)
			return string(token), err
		})
	}
	if !p.Auth.Token.IsSet() {
		app, err := OpenServiceApp(&p.Auth, 0, ClientOptions{Transport: base, Logger: log})
		if err != nil {
			return nil, fmt.Errorf("parents: %q: %w", p.Name, err)
		}
		authorize = func(base http.RoundTripper) http.RoundTripper { return app.Transport(base, p.URL, scopeOrgs) }
	}
	return parent.New(parent.Options{Name: p.Name, URL: p.URL, Keys: p.Keys(), Transport: base, Auth: authorize, Logger: log})
}

// forgetful sends requests that carry a secret, and forgets what is kept of it when a
// server refuses it.
type forgetful struct {
	base   http.RoundTripper
	secret config.Secret
}

// RoundTrip sends a request.
func (f forgetful) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := f.base.RoundTrip(req)
	if err == nil && resp.StatusCode == http.StatusUnauthorized {
		f.secret.Refused()
	}
	return resp, err
}

// reader is the part of the Aerial API that changes nothing. It is all that
// making a plan can reach.
type reader interface {
	Observe(ctx context.Context, want func(state.Org) bool) (*state.Actual, error)
	Account(ctx context.Context) (state.Account, error)
	Org(ctx context.Context, id string) (state.Org, error)
	FindOrg(ctx context.Context, id, domain string) (*state.Org, error)
	OrgProducts(ctx context.Context, id string) ([]string, error)
}

// writer is the part of the Aerial API that changes something.
type writer interface {
	RenameAccount(ctx context.Context, name string, maySend func(context.Context) error) (state.Account, error)
	LinkOrg(ctx context.Context, id, domain, cell string, maySend func(context.Context) error) (state.Org, error)
	SetOrgProducts(ctx context.Context, id string, maySend func(context.Context) ([]string, error)) ([]string, error)
	SetOrgStatus(ctx context.Context, id string, status state.Status, maySend func(context.Context) error) (state.Org, error)
	RequestDeletion(ctx context.Context, id string, maySend func(context.Context) error) error
}

// api is what apply works with: it reads with the one token and writes with
// the other.
type api struct {
	reader
	writer
}

// setClients creates the client that reads, and the function that creates the one
// that writes. Both share the service app, connections, retry budget and the limit
// on calls.
func (r *Reconciler) setClients(observer aerial.Observer) error {
	a := &r.cfg.Aerial
	opts := ClientOptions{Transport: r.base, Logger: r.log, Observer: observer}
	app, err := OpenServiceApp(&a.Auth, a.Timeout, opts)
	if err != nil {
		return err
	}
	reading, err := OpenAerial(a, app, opts)
	if err != nil {
		return err
	}
	r.read = reading
	r.writer = func() writer { return reading.As(authorize(a, app, ScopeManage)) }
	r.culprits = newCulprits(r.cfg, app, opts)
	return nil
}
