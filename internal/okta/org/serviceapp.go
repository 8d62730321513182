package org

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"reconciler/internal/okta/auth"
	"reconciler/internal/okta/rest"
	"reconciler/internal/text"
)

// AppsOptions say which org it is and how to get in.
type AppsOptions struct {
	// Domain is the org's domain, and URL where its API is. No request goes to
	// another origin.
	Domain string
	URL    *url.URL
	// Token returns an API token of a super admin of the org.
	Token func() (string, error)
	// Key returns the private key of the service app, and KeyID its id; empty means
	// that of the key itself. DPoP makes the app require tokens that are bound to a
	// key.
	Key   func() (auth.Key, error)
	KeyID string
	DPoP  bool
	// Keys are what the config calls what hints tell people to check.
	Keys AppsKeys
	// Transport sends the requests.
	Transport http.RoundTripper
	// Logger gets attempts (debug) and retries (warn); nil discards them.
	Logger *slog.Logger
}

// AppsKeys name the settings in the config.
type AppsKeys struct {
	URL, PrivateKey, KeyID, DPoP string
}

// Apps makes the service app of this program in one org. Its methods that change
// something ask maySend right before each send.
type Apps struct {
	opt AppsOptions
	url *url.URL
	// open makes calls without credentials, signed those with the API token.
	open, signed *rest.Caller
}

// ServiceApp is an app that signs in as itself.
type ServiceApp struct {
	ID, ClientID, Label string
	// Active is whether it may sign in.
	Active bool
	// Ours is whether our key is one of its keys.
	Ours bool
}

// Proof is a read that a service app has to be able to make.
type Proof struct {
	Scope, Path, Query string
}

const (
	appsTimeout  = 30 * time.Second
	appsAttempts = 4
	appsBackoff  = 500 * time.Millisecond
	// appsThrottled is how long one call waits for 429s: some orgs allow ten calls a
	// minute for apps.
	appsThrottled = 5 * time.Minute
	// maxAppsBody is more than 200 apps need.
	maxAppsBody = 16 << 20
	// maxAppsPages ends a list that has no end.
	maxAppsPages = 1000
)

// NewApps returns an Apps. It sends nothing.
func NewApps(opt AppsOptions) (*Apps, error) {
	if opt.URL == nil || opt.Transport == nil || opt.Key == nil {
		return nil, errors.New("the service app of an org needs a URL, a transport and a key")
	}
	base, err := rest.Base(opt.URL, "the org "+opt.Domain)
	if err != nil {
		return nil, err
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	a := &Apps{opt: opt, url: base}
	a.open = rest.New(rest.Options{
		Name: "the org", URLKey: opt.Keys.URL, Hint: a.hint, Transport: opt.Transport, Logger: opt.Logger.With("org", opt.Domain),
	})
	a.signed = a.open.As(func(base http.RoundTripper) http.RoundTripper { return auth.SSWS(base, a.url, opt.Token) })
	return a, nil
}

// hint returns what to do about an answer that is not a success.
func (a *Apps) hint(e *rest.Error) string {
	switch {
	case e.Status == http.StatusUnauthorized && e.Code != "E0000015":
		return "Okta refused the org's API token, which ends with its owner, and after 30 days without use: a super admin of the org creates another one (Security, API, Tokens)"
	case e.Status == http.StatusForbidden, e.Code == "E0000015":
		return "the API token's owner must be a super admin of the org"
	case e.Status == http.StatusNotFound && e.Code == "":
		return "no such API is there: check " + a.opt.Keys.URL
	}
	return e.CommonHint(a.opt.Keys.URL)
}

// read prepares a call that changes nothing.
func (a *Apps) read(endpoint string, u *url.URL) *rest.Call {
	return &rest.Call{Method: http.MethodGet, Endpoint: endpoint, URL: u, Policy: appsPolicy(rest.Always)}
}

// write prepares a call that changes something.
func (a *Apps) write(endpoint string, u *url.URL, repeat rest.Repeat, body any, maySend func(context.Context) error) *rest.Call {
	return &rest.Call{
		Method: http.MethodPost, Endpoint: endpoint, URL: u, Policy: appsPolicy(repeat), ContentType: "application/json",
		MaySend: func(ctx context.Context) ([]byte, error) {
			if err := maySend(ctx); err != nil {
				return nil, err
			}
			return json.Marshal(body)
		},
	}
}

func appsPolicy(repeat rest.Repeat) rest.Policy {
	return rest.Policy{
		Repeat: repeat, Timeout: appsTimeout, Grace: appsTimeout, MaxBody: maxAppsBody,
		Attempts: appsAttempts, Backoff: appsBackoff, Failing: appsAttempts * appsTimeout, Throttled: appsThrottled,
		Passing: passes,
	}
}

// passes reports whether a refusal is none of Okta's API, but of the edge before it,
// which now and then doesn't know a path that there is.
func passes(e *rest.Error) bool { return e.Status == http.StatusNotFound && e.Code == "" }

// into has the answer to a call decoded.
func into[T any](call *rest.Call, v *T) *rest.Call {
	call.Read = func(answer *rest.Answer) (err error) {
		*v, err = rest.Decode[T](answer)
		return err
	}
	return call
}

// OrgID asks the org for its id, without credentials.
func (a *Apps) OrgID(ctx context.Context) (string, error) {
	var org struct {
		ID string `json:"id"`
	}
	err := a.open.Do(ctx, into(a.read("okta-organization", a.url.JoinPath(".well-known", "okta-organization")), &org))
	if err == nil && org.ID == "" {
		err = text.WithHint(errors.New("the answer has no id"), "no Okta org is there: check "+a.opt.Keys.URL)
	}
	if err != nil {
		return "", fmt.Errorf("asking %s which org it is: %w", a.opt.Domain, err)
	}
	return org.ID, nil
}

// wireApp is an app as the API has it, without what may be secret.
type wireApp struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Label       string `json:"label"`
	Status      string `json:"status"`
	Credentials struct {
		OAuthClient struct {
			ClientID string `json:"client_id"`
		} `json:"oauthClient"`
	} `json:"credentials"`
	Settings struct {
		OAuthClient struct {
			Type string `json:"application_type"`
			JWKs struct {
				Keys []json.RawMessage `json:"keys"`
			} `json:"jwks"`
		} `json:"oauthClient"`
	} `json:"settings"`
}

// app returns w, given our key.
func (w *wireApp) app(key auth.Key) ServiceApp {
	app := ServiceApp{
		ID: w.ID, ClientID: cmp.Or(w.Credentials.OAuthClient.ClientID, w.ID), Label: w.Label,
		Active: w.Status != "INACTIVE",
	}
	for _, jwk := range w.Settings.OAuthClient.JWKs.Keys {
		app.Ours = app.Ours || w.Settings.OAuthClient.Type == "service" && key.Matches(jwk)
	}
	return app
}

// App returns the app with this id; nil if there is none.
func (a *Apps) App(ctx context.Context, id string) (*ServiceApp, error) {
	key, err := a.opt.Key()
	if err != nil {
		return nil, err
	}
	var w wireApp
	err = a.signed.Do(ctx, into(a.read("apps/{id}", a.url.JoinPath("api", "v1", "apps", id)), &w))
	var refused *rest.Error
	if errors.As(err, &refused) && refused.Status == http.StatusNotFound && refused.Code == "E0000007" || err == nil && w.Status == "DELETED" {
		return nil, nil
	}
	if err == nil && w.ID != id {
		err = fmt.Errorf("the answer is about the app %q", text.Clean(w.ID))
	}
	if err != nil {
		return nil, fmt.Errorf("reading the service app %s: %w", id, err)
	}
	app := w.app(key)
	return &app, nil
}

// Find returns the apps with this label. It reads the whole list: a search may not know
// an app that was made a moment ago.
func (a *Apps) Find(ctx context.Context, label string) (found []ServiceApp, err error) {
	key, err := a.opt.Key()
	if err != nil {
		return nil, err
	}
	list := a.url.JoinPath("api", "v1", "apps")
	list.RawQuery = "limit=200"
	for range maxAppsPages {
		var page []wireApp
		var next string
		call := a.read("apps", list)
		call.Read = func(answer *rest.Answer) (err error) {
			if next, err = rest.NextLink(answer.Header, nil); err != nil {
				return err
			}
			page, err = rest.Decode[[]wireApp](answer)
			return err
		}
		if err := a.signed.Do(ctx, call); err != nil {
			return nil, fmt.Errorf("listing the org's apps: %w", err)
		}
		for i := range page {
			if page[i].Label == label {
				found = append(found, page[i].app(key))
			}
		}
		if next == "" {
			return found, nil
		}
		if list, err = rest.Follow(a.url, list, next, a.opt.Keys.URL); err != nil {
			return nil, fmt.Errorf("listing the org's apps: %w", err)
		}
	}
	return nil, errors.New("listing the org's apps: the list has no end")
}

// Create makes a service app with our key. It must not be repeated for an app that is
// there or may be there: an *rest.UncertainError leaves that open, with any other
// error there is none.
func (a *Apps) Create(ctx context.Context, label string, maySend func(context.Context) error) (ServiceApp, error) {
	key, jwk, err := a.publicKey()
	if err != nil {
		return ServiceApp{}, err
	}
	type object = map[string]any
	body := object{
		"name": "oidc_client", "label": label, "signOnMode": "OPENID_CONNECT",
		"credentials": object{"oauthClient": object{"token_endpoint_auth_method": "private_key_jwt", "autoKeyRotation": false}},
		"settings": object{"oauthClient": object{
			"application_type": "service", "grant_types": []string{"client_credentials"}, "response_types": []string{"token"},
			"jwks": object{"keys": []json.RawMessage{jwk}}, "dpop_bound_access_tokens": a.opt.DPoP,
		}},
	}
	u := a.url.JoinPath("api", "v1", "apps")
	u.RawQuery = "activate=true"
	var w wireApp
	call := a.write("apps", u, rest.Never, body, maySend)
	call.Read = func(answer *rest.Answer) (err error) {
		if w, err = rest.Decode[wireApp](answer); err == nil && w.ID == "" {
			err = errors.New("it has no id")
		}
		return err
	}
	if err := a.signed.Do(ctx, call); err != nil {
		return ServiceApp{}, fmt.Errorf("making the service app: %w", err)
	}
	return w.app(key), nil
}

// publicKey returns our key, and its public half as Okta takes it.
func (a *Apps) publicKey() (auth.Key, json.RawMessage, error) {
	key, err := a.opt.Key()
	if err != nil {
		return key, nil, err
	}
	id := cmp.Or(a.opt.KeyID, key.ID)
	if id == "" {
		return key, nil, text.WithHint(errors.New("the key has no id"), "set "+a.opt.Keys.KeyID+" to a name for it, which the service apps get with the public key")
	}
	jwk, err := key.PublicJWK(id)
	return key, jwk, err
}

// Scopes returns the scopes that an app was granted.
func (a *Apps) Scopes(ctx context.Context, appID string) ([]string, error) {
	var grants []struct {
		Scope  string `json:"scopeId"`
		Status string `json:"status"`
	}
	err := a.signed.Do(ctx, into(a.read("apps/{id}/grants", a.url.JoinPath("api", "v1", "apps", appID, "grants")), &grants))
	if err != nil {
		return nil, fmt.Errorf("reading the scopes of the service app: %w", err)
	}
	var scopes []string
	for _, g := range grants {
		if g.Status == "" || g.Status == "ACTIVE" {
			scopes = append(scopes, g.Scope)
		}
	}
	return scopes, nil
}

// Grant grants a scope to an app. It may be repeated.
func (a *Apps) Grant(ctx context.Context, appID, scope string, maySend func(context.Context) error) error {
	body := map[string]string{"issuer": "https://" + a.opt.Domain, "scopeId": scope}
	err := a.signed.Do(ctx, a.write("apps/{id}/grants", a.url.JoinPath("api", "v1", "apps", appID, "grants"), rest.AfterLook, body, maySend))
	if err != nil {
		return fmt.Errorf("granting the scope %s: %w", scope, err)
	}
	return nil
}

// Roles returns the administrator roles that a client was assigned.
func (a *Apps) Roles(ctx context.Context, clientID string) ([]string, error) {
	var assigned []struct {
		Type string `json:"type"`
	}
	if err := a.signed.Do(ctx, into(a.read("clients/{id}/roles", a.roles(clientID)), &assigned)); err != nil {
		return nil, fmt.Errorf("reading the roles of the service app: %w", err)
	}
	var roles []string
	for _, r := range assigned {
		roles = append(roles, r.Type)
	}
	return roles, nil
}

// Assign assigns an administrator role to a client. It may be repeated.
func (a *Apps) Assign(ctx context.Context, clientID, role string, maySend func(context.Context) error) error {
	body := map[string]string{"type": role}
	if err := a.signed.Do(ctx, a.write("clients/{id}/roles", a.roles(clientID), rest.AfterLook, body, maySend)); err != nil {
		return fmt.Errorf("assigning the role %s: %w", role, err)
	}
	return nil
}

func (a *Apps) roles(clientID string) *url.URL {
	return a.url.JoinPath("oauth2", "v1", "clients", clientID, "roles")
}

// Prove reads something as the service app, with a token of one scope.
func (a *Apps) Prove(ctx context.Context, clientID string, p Proof) error {
	client, err := auth.New(auth.Options{
		OrgURL: a.url, ClientID: clientID, Key: a.opt.Key, KeyID: a.opt.KeyID, DPoP: a.opt.DPoP,
		Keys: auth.Keys{OrgURL: a.opt.Keys.URL, ClientID: "the client id", KeyID: a.opt.Keys.KeyID, DPoP: a.opt.Keys.DPoP},
		HTTP: a.opt.Transport, Logger: a.opt.Logger,
	})
	if err != nil {
		return err
	}
	u := a.url.JoinPath(p.Path)
	u.RawQuery = p.Query
	caller := a.open.As(func(base http.RoundTripper) http.RoundTripper { return client.Transport(base, a.url, p.Scope) })
	if err := caller.Do(ctx, a.read("proof", u)); err != nil {
		return fmt.Errorf("reading %s as the service app: %w", p.Path, err)
	}
	return nil
}
