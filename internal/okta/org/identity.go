package org

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"reconciler/internal/okta/objects"
	"reconciler/internal/okta/rest"
	"reconciler/internal/text"
)

// session is an org whose identity was checked, with credentials to read.
type session struct {
	*site
	engine string
	reader *rest.Caller // has the scopes to read what the session is about
}

// start checks the identity of the org, and gets credentials to read kinds. An org with
// another id than that of target is sent nothing else, and its API token is not looked
// for.
func (c *Client) start(ctx context.Context, target objects.Target, kinds []*objects.Kind) (*session, error) {
	s, err := c.site(target)
	if err != nil {
		return nil, err
	}
	s.prepare(ctx, target, kinds)
	engine, err := s.identify(ctx)
	if err != nil {
		return nil, wrap(err, "identifying the org")
	}
	if err := checkEngine(engine, kinds); err != nil {
		return nil, err
	}
	open := &session{site: s, engine: engine, reader: s.caller}
	if len(kinds) == 0 {
		return open, nil
	}
	access, err := s.credentials(ctx, target, scopes(kinds, ".read"))
	if err != nil {
		return nil, err
	}
	open.reader = s.caller.As(access)
	return open, nil
}

// CheckManage returns why no credentials can be had to write kinds, after checking that
// the org has the id of target. They are not used.
func (c *Client) CheckManage(ctx context.Context, target objects.Target, kinds []*objects.Kind) error {
	s, err := c.start(ctx, target, nil)
	if err != nil {
		return err
	}
	_, err = s.credentials(ctx, target, scopes(kinds, ".manage"))
	return err
}

// identify reads the org's id, without credentials, and returns its engine. Another id
// than that of the target is an error.
func (s *site) identify(ctx context.Context) (engine string, err error) {
	p := place{path: "/.well-known/okta-organization"}
	who, _, err := get[struct {
		ID       string `json:"id"`
		Pipeline string `json:"pipeline"`
	}](ctx, s, s.caller, p)
	keys := s.opts.Keys
	var answer *rest.Error
	switch {
	case errors.As(err, &answer) && (answer.Status == http.StatusUnauthorized || answer.Status == http.StatusForbidden):
		return "", text.WithHint(err, "this needs no credentials: check "+keys.URL+", and what stands before the org, such as a proxy")
	case err != nil:
		return "", err
	case who.ID == "":
		return "", text.WithHint(fmt.Errorf("the answer of %q holds no id", s.target.Domain), "check "+keys.URL+", and proxies on the way")
	case who.ID != s.target.OrgID:
		return "", text.WithHint(
			fmt.Errorf("it is the org %q, and %q is %q in Aerial: nothing else was sent to it", text.Clean(who.ID), s.target.Domain, s.target.OrgID),
			"the domain may have been given to another org, or "+keys.URL+" may lead to another one")
	}
	return text.Clean(who.Pipeline), nil
}

// engines are what messages call the engines.
var engines = map[string]string{"idx": "Identity Engine", "v1": "Classic Engine"}

// checkEngine refuses kinds that orgs of the engine don't have.
func checkEngine(engine string, kinds []*objects.Kind) error {
	for _, k := range kinds {
		if k.API.Engine == "" || k.API.Engine == engine {
			continue
		}
		is := engines[engine]
		if is == "" {
			is = fmt.Sprintf("engine %q", engine)
		}
		return text.WithHint(
			fmt.Errorf("%s is declared, which only orgs of the %s have, and this org is of the %s", k.Name, engines[k.API.Engine], is),
			"declare it in a baseline that this org doesn't have")
	}
	return nil
}

// scopes returns the scopes of the kinds, each once.
func scopes(kinds []*objects.Kind, access string) []string {
	var all []string
	for _, k := range kinds {
		all = append(all, k.API.Scope+access)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
