package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/freeze"
	"reconciler/internal/okta/aerial"
	"reconciler/internal/okta/auth"
	"reconciler/internal/okta/objects"
	"reconciler/internal/okta/org"
	"reconciler/internal/okta/rest"
	"reconciler/internal/onboard"
	"reconciler/internal/state"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/tokens"
	"reconciler/internal/text"
	"reconciler/internal/web"
)

// appSettles is for how long an app that was made may be missing in an org's list of
// apps.
const appSettles = 10 * time.Second

// ErrNoToken is the error if there is no token of an org that could be read.
var ErrNoToken = errors.New("there is no token of the org")

// HeldError is why nothing may be written to an org now.
type HeldError struct{ Reason string }

// Error returns the reason.
func (e *HeldError) Error() string { return "writes to the org are held: " + e.Reason }

// Access is the way into orgs: a service app in each, or the token that an org's
// creation left. Its methods may be called concurrently.
type Access struct {
	cfg     *config.Config
	journal *journal.Journal
	// sink opens the place where tokens are kept, once; nil if there is none.
	sink   func() (tokens.Sink, error)
	log    *slog.Logger
	held   func(domain string) string
	client *org.Client
	// inactive are the objects that changes by client leave INACTIVE.
	inactive *inactive
	keys     keyReader
}

// AccessOptions are what an Access needs beside the config.
type AccessOptions struct {
	// Environ, in the form of os.Environ, is the environment of a command that keeps
	// tokens.
	Environ []string
	// Transport sends all requests; nil is a transport of its own.
	Transport http.RoundTripper
	// Logger logs each step, calls and retries; nil is silent.
	Logger *slog.Logger
	// Observer observes the calls; nil is allowed.
	Observer rest.Observer

	// after, where not nil, is the Access that this one takes the place of.
	after *Access
}

// OpenAccess returns the way into the orgs of a config, as the journal has it. It opens
// no connection and no secret.
func OpenAccess(cfg *config.Config, j *journal.Journal, opts AccessOptions) (*Access, error) {
	a := &Access{cfg: cfg, journal: j, log: opts.Logger}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	a.held = (&holder{rules: func() *freeze.Rules { return Holds(cfg, j) }, mayWrite: j.MayWrite}).why
	a.sink = sync.OnceValues(func() (tokens.Sink, error) { return OpenTokenSink(cfg, opts.Environ) })
	base := opts.Transport
	if base == nil {
		base = aerial.BaseTransport(cfg.Orgs.CallsPerOrg)
	}
	a.inactive = &inactive{account: cfg.Aerial.AccountID, log: a.log}
	if cfg.State.IsSet() {
		a.inactive.journal = j
	}
	if opts.after != nil {
		a.inactive = opts.after.inactive
	}
	var err error
	a.client, err = org.New(org.Options{
		URL: cfg.Orgs.URL, Keys: cfg.Orgs.Keys(), Transport: base, CallsPerOrg: cfg.Orgs.CallsPerOrg, Share: cfg.Orgs.Share,
		Credentials: func(t objects.Target) (org.Credentials, error) { return a.Credentials(t.Domain, t.OrgID, t.ClientID) },
		Steps:       a.inactive, Logger: a.log, Observer: opts.Observer,
	})
	return a, err
}

// Credentials returns what an org lets us in with: the service app with this client
// id, which the manifest has; without one the app that was made by the journal; or else
// the token that the org's creation left. The error says what is missing.
func (a *Access) Credentials(domain, orgID, clientID string) (org.Credentials, error) {
	if clientID == "" {
		rec, err := a.journal.Access(a.cfg.Aerial.AccountID, orgID)
		if err != nil && !unknowable(err) {
			return org.Credentials{}, err
		}
		if rec != nil && !rec.Open() {
			clientID = rec.ClientID
		}
	}
	if clientID != "" {
		return a.app(domain, clientID)
	}
	token, err := a.token(domain, orgID)
	if errors.Is(err, ErrNoToken) {
		err = text.WithHint(errors.New("no service app of the org is known, and no token of it is stored"),
			"declare access.clientID for it, or let reconciler access "+domain+" make one from a token of the org")
	}
	if err != nil {
		return org.Credentials{}, err
	}
	return org.Credentials{Token: token}, nil
}

// app returns the credentials of a service app.
func (a *Access) app(domain, clientID string) (org.Credentials, error) {
	c := &a.cfg.Orgs.Auth
	key := c.PrivateKey(domain)
	if !key.IsSet() {
		return org.Credentials{}, text.WithHint(errors.New("the config has no key for service apps in orgs"), "set "+config.KeyOrgsPrivateKey)
	}
	return org.Credentials{
		ClientID: clientID, KeyID: c.KeyID, DPoP: c.DPoP,
		Key: func(ctx context.Context) (auth.Key, error) { return a.keys.read(ctx, key) },
	}, nil
}

// token returns what reads the token of an org. The error may be ErrNoToken.
func (a *Access) token(domain, orgID string) (func() (string, error), error) {
	sink, err := a.sink()
	if err != nil {
		return nil, err
	}
	reader, ok := sink.(tokens.Reader)
	if !ok {
		return nil, ErrNoToken
	}
	all, err := sink.Find(domain)
	if err != nil {
		return nil, err
	}
	// The newest; one of another org that had the domain doesn't count.
	all = slices.DeleteFunc(all, func(s tokens.Stored) bool { return s.OrgID != "" && s.OrgID != orgID })
	if len(all) == 0 {
		return nil, ErrNoToken
	}
	newest := slices.MaxFunc(all, func(x, y tokens.Stored) int { return x.At.Compare(y.At) })
	if _, err := reader.Read(newest); err != nil {
		return nil, err
	}
	return func() (string, error) { return reader.Read(newest) }, nil
}

// AccessRequest is a service app that is to be made.
type AccessRequest struct {
	// Domain is the org's, in lower case.
	Domain string
	// OrgID is the org's id; empty if it is to be looked up.
	OrgID string
	// Declared is the org as it is declared; nil if it isn't. The app gets the scopes
	// of what is declared; of all kinds of objects if nothing is.
	Declared *state.DesiredOrg
	Role     string
	// Token reads the API token of a super admin; nil means the one that is stored.
	Token func() (string, error)
}

// Obtain makes the service app of this program in an org, or continues an earlier
// attempt, and returns its client id. The error may be a *HeldError, or wrap
// ErrNoToken.
func (a *Access) Obtain(ctx context.Context, w *journal.Writer, req AccessRequest) (clientID string, err error) {
	x := &onboard.Access{
		Account: a.cfg.Aerial.AccountID, Domain: req.Domain, OrgID: req.OrgID, Role: req.Role,
		Journal: w, Logger: a.log, Settle: appSettles,
		MaySend: func() error {
			if reason := a.held(req.Domain); reason != "" {
				return &HeldError{reason}
			}
			return nil
		},
	}
	if web.IsLoopback(a.cfg.Orgs.URLOf(req.Domain).Hostname()) {
		x.Settle = 0
	}
	if x.OrgID == "" {
		if x.OrgID, err = a.orgID(req.Domain, req.Declared); err != nil {
			return "", err
		}
	}
	x.Scopes, x.Proof = scopesOf(req.Declared)
	with, err := a.app(req.Domain, "")
	if err != nil {
		return "", err
	}
	if with.Token = req.Token; with.Token == nil {
		if with.Token, err = a.token(req.Domain, x.OrgID); err != nil {
			return "", err
		}
	}
	apps, err := a.client.Apps(objects.Target{Domain: req.Domain, OrgID: x.OrgID}, with)
	if err != nil {
		return "", err
	}
	x.API = apps
	if err := x.MaySend(); err != nil {
		return "", err // before anything is asked
	}
	return x.Obtain(ctx)
}

// orgID returns the id of the org with this domain: as it is declared, as the journal
// or the Aerial API has said, or as the name of its token's file says.
func (a *Access) orgID(domain string, declared *state.DesiredOrg) (string, error) {
	if declared != nil && declared.ID != "" {
		return declared.ID, nil
	}
	account := a.cfg.Aerial.AccountID
	created, err := a.journal.Creation(journal.Key{Account: account, Domain: domain})
	if err != nil {
		return "", err
	}
	if created != nil && created.OrgID != "" {
		return created.OrgID, nil
	}
	ids := map[string]bool{}
	known, err := a.journal.Orgs(account)
	if err != nil && !unreadable(err) {
		return "", err
	}
	for _, o := range known {
		if o.Domain == domain {
			ids[o.ID] = true
		}
	}
	sink, err := a.sink()
	if err != nil {
		return "", err
	}
	if sink != nil && len(ids) == 0 {
		stored, err := sink.Find(domain)
		if err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return "", err
		}
		for _, s := range stored {
			if s.OrgID != "" {
				ids[s.OrgID] = true
			}
		}
	}
	switch len(ids) {
	case 1:
		for id := range ids {
			return id, nil
		}
	case 0:
		return "", text.WithHint(fmt.Errorf("the id of the org %q is not known, so it can't be told whether it is the right one", domain),
			"declare the org with its id; after a run against the account it is known as well")
	}
	return "", text.WithHint(fmt.Errorf("%d orgs have had the domain %q, and it can't be told which one is meant", len(ids), domain),
		"declare the org with its id")
}

// scopesOf returns the scopes that a service app needs for what is declared for an org:
// to read each kind that is declared or named, and to manage each kind that is declared.
// proof is one of those kinds. If nothing is declared, it is all kinds.
func scopesOf(o *state.DesiredOrg) (scopes []string, proof *objects.Kind) {
	reads := objects.Reads{Kinds: objects.Kinds()}
	manage := objects.Kinds()
	if o != nil && o.Config != nil && len(o.Config.Objects) > 0 {
		reads, manage = objects.ReadsOf(o.Config.Objects), nil
		for _, x := range o.Config.Objects {
			manage = append(manage, x.Ref.Kind)
		}
	}
	for _, k := range reads.Kinds {
		scopes = append(scopes, k.API.Scope+".read")
		if k.Parent == nil && (proof == nil || proof.API.Engine != "" && k.API.Engine == "") {
			proof = k // best one that all orgs have
		}
	}
	for _, k := range manage {
		scopes = append(scopes, k.API.Scope+".manage")
	}
	slices.Sort(scopes)
	return slices.Compact(scopes), proof
}
