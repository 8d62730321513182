package org

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"reconciler/internal/okta/auth"
	"reconciler/internal/okta/objects"
	"reconciler/internal/okta/rest"
	"reconciler/internal/text"
)

// Apps makes the service app of this program in one org, signed in by an API token of
// one of its super admins. Its methods that change something ask maySend right before
// each send.
type Apps struct {
	*site
	with   Credentials
	signed *rest.Caller // has the API token
}

// ServiceApp is an app that signs in as itself.
type ServiceApp struct {
	ID, ClientID, Label string
	// Active is set if it may sign in.
	Active bool
	// Ours is set if our key is one of its keys.
	Ours bool
}

// Apps returns an Apps for the org that target means. with.Token is what it signs in
// with, and with.Key, KeyID and DPoP are those of the app that it makes. It sends
// nothing.
func (c *Client) Apps(target objects.Target, with Credentials) (*Apps, error) {
	s, err := c.site(target)
	if err != nil {
		return nil, err
	}
	signed := s.caller.As(func(base http.RoundTripper) http.RoundTripper { return auth.SSWS(base, s.home, with.token) })
	return &Apps{site: s, with: with, signed: signed}, nil
}

// Identify asks the org who it is, without credentials. One that isn't the org that is
// meant is an error.
func (a *Apps) Identify(ctx context.Context) error {
	if _, err := a.identify(ctx); err != nil {
		return wrap(err, "identifying the org")
	}
	return nil
}

// askAs makes a call with the API token.
func (a *Apps) askAs(ctx context.Context, call *rest.Call) error {
	err := a.do(ctx, a.signed, nil, call)
	var e *rest.Error
	switch {
	case !errors.As(err, &e):
	case e.Status == http.StatusUnauthorized && e.Code != codeNoFeature:
		return text.WithHint(err, "the org refused its API token, which ends with its owner, and after 30 days without use: a super admin of the org makes another one (Security, API, Tokens)")
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden:
		return text.WithHint(err, "the owner of the org's API token must be a super admin of the org")
	}
	return err
}

// post makes a call that changes something.
func (a *Apps) post(ctx context.Context, p place, repeat rest.Repeat, body any, read func(*rest.Answer) error, maySend func(context.Context) error) error {
	call := a.call(http.MethodPost, p, repeat)
	call.ContentType, call.Read = "application/json", read
	call.MaySend = func(ctx context.Context) ([]byte, error) {
		if err := maySend(ctx); err != nil {
			return nil, err
		}
		return json.Marshal(body)
	}
	return a.askAs(ctx, call)
}

// getAs reads JSON with the API token.
func getAs[T any](ctx context.Context, a *Apps, p place) (v T, err error) {
	call := a.call(http.MethodGet, p, rest.Always)
	call.Read = func(answer *rest.Answer) (err error) {
		v, err = rest.Decode[T](answer)
		return err
	}
	err = a.askAs(ctx, call)
	return v, err
}

const (
	appsPath  = "/api/v1/apps"
	grantPath = appsPath + "/{id}/grants"
	rolesPath = "/oauth2/v1/clients/{id}/roles"
)

// wireApp is an app as the API has it, without what may be secret.
type wireApp struct {
	ID          string `json:"id"`
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
	key, err := a.with.Key(ctx)
	if err != nil {
		return nil, err
	}
	w, err := getAs[wireApp](ctx, a, place{path: appsPath + "/{id}", id: id})
	switch {
	case gone(err) || err == nil && w.Status == "DELETED":
		return nil, nil
	case err == nil && w.ID != id:
		err = fmt.Errorf("the answer is about the app %q", text.Clean(w.ID))
	}
	if err != nil {
		return nil, wrap(err, "reading the service app %s", id)
	}
	app := w.app(key)
	return &app, nil
}

// Find returns the apps with this label. It reads the whole list: a search may not know
// an app that was made a moment ago.
func (a *Apps) Find(ctx context.Context, label string) (found []ServiceApp, err error) {
	key, err := a.with.Key(ctx)
	if err != nil {
		return nil, err
	}
	p := place{path: appsPath, query: "limit=200"}
	visited := map[string]bool{}
	for at := p.url(a.home); len(visited) < maxPages; {
		visited[at.String()] = true
		page, next, err := a.appsAt(ctx, p, at)
		if err == nil && next != nil && visited[next.String()] {
			err = errors.New("the pages go in circles: the next one was read before")
		}
		if err != nil {
			return nil, wrap(err, "listing the org's apps")
		}
		for i := range page {
			if page[i].Label == label {
				found = append(found, page[i].app(key))
			}
		}
		if next == nil {
			return found, nil
		}
		at = next
	}
	return nil, errors.New("listing the org's apps: there is no end to it")
}

// appsAt reads one page of apps, and finds the next; nil when it is the last.
func (a *Apps) appsAt(ctx context.Context, p place, at *url.URL) (page []wireApp, next *url.URL, err error) {
	target := ""
	call := a.call(http.MethodGet, p, rest.Always)
	call.URL = at
	call.Read = func(answer *rest.Answer) (err error) {
		if target, err = rest.NextLink(answer.Header, nil); err == nil {
			page, err = rest.Decode[[]wireApp](answer)
		}
		return err
	}
	err = a.askAs(ctx, call)
	switch {
	case err == nil && page == nil:
		err = errors.New("the answer is null instead of a list")
	case err == nil && target != "":
		next, err = rest.Follow(a.home, at, target, a.opts.Keys.URL)
	}
	return page, next, err
}

// Create makes a service app with our key. It must not be repeated for an app that is
// there or may be there: an *rest.UncertainError leaves that open, with any other
// error there is none.
func (a *Apps) Create(ctx context.Context, label string, maySend func(context.Context) error) (ServiceApp, error) {
	key, jwk, err := a.publicKey(ctx)
	if err != nil {
		return ServiceApp{}, err
	}
	type object = map[string]any
	body := object{
		"name": "oidc_client", "label": label, "signOnMode": "OPENID_CONNECT",
		"credentials": object{"oauthClient": object{"token_endpoint_auth_method": "private_key_jwt", "autoKeyRotation": false}},
		"settings": object{"oauthClient": object{
			"application_type": "service", "grant_types": []string{"client_credentials"}, "response_types": []string{"token"},
			"jwks": object{"keys": []json.RawMessage{jwk}}, "dpop_bound_access_tokens": a.with.DPoP,
		}},
	}
	var w wireApp
	err = a.post(ctx, place{path: appsPath, query: "activate=true"}, rest.Never, body, func(answer *rest.Answer) (err error) {
		if w, err = rest.Decode[wireApp](answer); err == nil && w.ID == "" {
			err = errors.New("it has no id")
		}
		return err
	}, maySend)
	if err != nil {
		return ServiceApp{}, wrap(err, "making the service app")
	}
	return w.app(key), nil
}

// publicKey returns our key, and its public half as Okta takes it.
func (a *Apps) publicKey(ctx context.Context) (auth.Key, json.RawMessage, error) {
	key, err := a.with.Key(ctx)
	if err != nil {
		return key, nil, err
	}
	id := cmp.Or(a.with.KeyID, key.ID)
	if id == "" {
		return key, nil, text.WithHint(errors.New("the private key has no id"),
			"set "+a.opts.Keys.KeyID+" to a name for it: the service apps get it with the public key")
	}
	jwk, err := key.PublicJWK(id)
	return key, jwk, err
}

// Scopes returns the scopes that an app was granted.
func (a *Apps) Scopes(ctx context.Context, appID string) ([]string, error) {
	grants, err := getAs[[]struct {
		Scope  string `json:"scopeId"`
		Status string `json:"status"`
	}](ctx, a, place{path: grantPath, id: appID})
	if err != nil {
		return nil, wrap(err, "reading the scopes of the service app")
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
	body := map[string]string{"issuer": "https://" + a.target.Domain, "scopeId": scope}
	if err := a.post(ctx, place{path: grantPath, id: appID}, rest.AfterLook, body, nil, maySend); err != nil {
		return wrap(err, "granting the scope %s", scope)
	}
	return nil
}

// Roles returns the administrator roles that a client was assigned.
func (a *Apps) Roles(ctx context.Context, clientID string) ([]string, error) {
	assigned, err := getAs[[]struct {
		Type string `json:"type"`
	}](ctx, a, place{path: rolesPath, id: clientID})
	if err != nil {
		return nil, wrap(err, "reading the roles of the service app")
	}
	var roles []string
	for _, r := range assigned {
		roles = append(roles, r.Type)
	}
	return roles, nil
}

// Assign assigns an administrator role to a client. It may be repeated.
func (a *Apps) Assign(ctx context.Context, clientID, role string, maySend func(context.Context) error) error {
	if err := a.post(ctx, place{path: rolesPath, id: clientID}, rest.AfterLook, map[string]string{"type": role}, nil, maySend); err != nil {
		return wrap(err, "assigning the role %s", role)
	}
	return nil
}

// Prove reads the objects of a kind as the service app, with a token of the one scope
// that this needs.
func (a *Apps) Prove(ctx context.Context, clientID string, k *objects.Kind) error {
	with := a.with
	with.ClientID = clientID
	client, err := a.app(with)
	if err != nil {
		return err
	}
	typ := ""
	if k.Typed {
		typ = k.Types[0]
	}
	p, err := (&reading{kind: k, typ: typ}).place()
	if err != nil {
		return err
	}
	caller := a.caller.As(func(base http.RoundTripper) http.RoundTripper {
		return client.Transport(base, a.home, k.API.Scope+".read")
	})
	if err := a.do(ctx, caller, k, a.call(http.MethodGet, p, rest.Always)); err != nil {
		return wrap(err, "reading %s as the service app", k.Name)
	}
	return nil
}
