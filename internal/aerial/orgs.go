package aerial

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"reconciler/internal/state"
)

const (
	// pageLimit is the most orgs that Okta puts on one page.
	pageLimit = "100"
	// maxPages ends a list that has no end: 100,000 orgs.
	maxPages = 1000
	// maxBarren is how many pages in a row may bring no org that is new before
	// the list counts as one that goes in circles.
	maxBarren = 3
)

// Orgs lists the managed orgs, without their products, and hands over each page
// as it arrives, before the next is asked for. An error of the function ends
// the list and is given back as it is.
//
// Orgs that are linked or unlinked while the list is read may shift the pages.
// An org that is listed twice is handed over once; only when it has changed in
// between it comes again, and the later one counts.
func (c *Client) Orgs(ctx context.Context, page func([]state.Org) error) error {
	err := c.eachPage(ctx, page)
	var stop *callerError
	if errors.As(err, &stop) {
		return stop.error
	}
	if err != nil {
		return fmt.Errorf("listing the orgs: %w", err)
	}
	return nil
}

// callerError is an error of the function that pages are handed to.
type callerError struct{ error }

// list is a list of orgs while it is read.
type list struct {
	client  *Client
	visited map[string]bool    // URLs
	orgs    map[string]wireOrg // by id
	barren  int                // pages in a row without a new org
}

func (c *Client) eachPage(ctx context.Context, page func([]state.Org) error) error {
	l := &list{client: c, visited: map[string]bool{}, orgs: map[string]wireOrg{}}
	u := c.path("orgs")
	u.RawQuery = "limit=" + pageLimit
	for n := 1; u != nil; n++ {
		if n > maxPages {
			return fmt.Errorf("there is no end to it: gave up after %d pages", maxPages)
		}
		l.visited[u.String()] = true
		wire, header, err := fetch[[]wireOrg](ctx, c, get(u, "orgs", maxList))
		if err != nil {
			return fmt.Errorf("page %d: %w", n, err)
		}
		orgs, err := l.take(wire)
		if err != nil {
			return fmt.Errorf("page %d: %w", n, err)
		}
		target, err := nextLink(header)
		if err == nil && target != "" {
			u, err = l.next(u, target)
		} else {
			u = nil
		}
		if err != nil {
			return fmt.Errorf("page %d: %w", n, err)
		}
		if err := page(orgs); err != nil {
			return &callerError{err}
		}
	}
	return nil
}

// take gives what is new of a page.
func (l *list) take(page []wireOrg) ([]state.Org, error) {
	if page == nil {
		return nil, errNull
	}
	before := len(l.orgs)
	var orgs []state.Org
	for i, o := range page {
		if o.ID == "" {
			if o.Domain != "" {
				return nil, fmt.Errorf("the org %q has no id", clean(o.Domain))
			}
			return nil, fmt.Errorf("org %d has neither id nor domain", i+1)
		}
		if known, ok := l.orgs[o.ID]; ok && known == o {
			continue
		}
		l.orgs[o.ID] = o
		orgs = append(orgs, o.state())
	}
	l.barren++
	if len(l.orgs) > before {
		l.barren = 0
	}
	return orgs, nil
}

// next gives the URL of the page after the one at u, unless that would go
// astray.
func (l *list) next(u *url.URL, target string) (*url.URL, error) {
	u, err := l.client.follow(u, target)
	switch {
	case err != nil:
		return nil, err
	case l.visited[u.String()]:
		return nil, errors.New("the pages go in circles: the next one was read before")
	case l.barren >= maxBarren:
		return nil, fmt.Errorf("the pages go in circles: %d in a row brought no org that is new", l.barren)
	}
	return u, nil
}

// FindOrg looks among the managed orgs for the one with this id or, where id
// is empty, this domain; nil when there is none. It goes through the list,
// because that alone says for sure that an org is not managed: asked for a
// single org, Okta may refuse to say.
func (c *Client) FindOrg(ctx context.Context, id, domain string) (*state.Org, error) {
	if id == "" && domain == "" {
		return nil, errors.New("looking for an org: neither id nor domain given")
	}
	var found *state.Org
	errFound := errors.New("found")
	err := c.Orgs(ctx, func(page []state.Org) error {
		for _, o := range page {
			if id != "" && o.ID == id || id == "" && strings.EqualFold(o.Domain, domain) {
				found = &o
				return errFound
			}
		}
		return nil
	})
	if err != nil && found == nil {
		return nil, err
	}
	return found, nil
}
