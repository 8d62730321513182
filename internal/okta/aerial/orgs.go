package aerial

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"reconciler/internal/okta/rest"
	"reconciler/internal/state"
	"reconciler/internal/text"
)

const (
	// pageLimit is the most orgs that Okta puts on one page, and defaultPage how
	// many it puts there when it isn't told.
	pageLimit   = 100
	defaultPage = 25
)

// Orgs lists the managed orgs, without their products, and calls page with each
// page as it arrives, before the next is requested. An error of page ends the
// list and is returned as it is.
//
// A list that is not whole is an error. Okta doesn't say how many orgs there are,
// so that a lost link to the next page can't be told from the end of the list.
// But the Aerial org always is on it; and where the last page may not have been
// the last, the list is read again with pages of another size, and must be the
// same.
//
// Orgs that are linked while the list is read may shift the pages. An org that
// is listed twice is passed on once; only when it has changed in between it comes
// again, and the later one counts.
func (c *Client) Orgs(ctx context.Context, page func([]state.Org) error) (err error) {
	first := newListing(c, pageLimit)
	stopped, err := first.read(ctx, page)
	if stopped {
		return err
	}
	defer wrap(&err, "listing the orgs")
	if err != nil {
		return err
	}
	if !first.hasAerialOrg() {
		return text.WithHint(
			fmt.Errorf("the list is not whole: the Aerial org is always on it, and is not among the %s that came", text.Plural(len(first.orgs), "org")),
			"run again; if it stays like this, check "+c.keys.OrgURL+", that the service app's admin role covers all orgs, and proxies that rewrite answers")
	}
	if !first.doubtful() {
		return nil
	}
	second := newListing(c, first.otherLimit())
	if _, err := second.read(ctx, nil); err != nil {
		return err
	}
	if !second.confirms(first) {
		return text.WithHint(
			fmt.Errorf("the list is not whole: it ended like one that lost its next page, after %s, and read again it had %d",
				text.Plural(len(first.orgs), "org"), len(second.orgs)),
			"run again; if it stays like this, check proxies that remove Link headers from answers")
	}
	return nil
}

// listing is one reading of the list of orgs.
type listing struct {
	client *Client
	limit  int
	orgs   map[string]wireOrg // by id
	// pages counts the pages, first and last are the numbers of entries of two
	// of them, and barren is set if one brought nothing new.
	pages, first, last int
	barren             bool
}

func newListing(c *Client, limit int) *listing {
	return &listing{client: c, limit: limit, orgs: map[string]wireOrg{}}
}

// read reads the list to its end. stopped reports that the error is that of page,
// which may be nil.
func (l *listing) read(ctx context.Context, page func([]state.Org) error) (stopped bool, err error) {
	u := l.client.path("orgs")
	u.RawQuery = "limit=" + strconv.Itoa(l.limit)
	err = eachPage(ctx, l.client, l.client.get(u, "orgs", maxList), func(wire []wireOrg) (bool, error) {
		before := len(l.orgs)
		fresh, err := l.take(wire)
		if err != nil {
			return false, err
		}
		grown := len(l.orgs) > before
		l.count(len(wire), grown)
		if page != nil {
			err = page(fresh)
			stopped = err != nil
		}
		return grown, err
	})
	return stopped, err
}

func (l *listing) count(entries int, grown bool) {
	if l.pages++; l.pages == 1 {
		l.first = entries
	}
	l.last = entries
	l.barren = l.barren || !grown
}

// take returns what is new of a page, or changed, and adds it to what is listed.
func (l *listing) take(page []wireOrg) ([]state.Org, error) {
	var fresh []state.Org
	onPage := map[string]wireOrg{}
	for i, o := range page {
		if o.ID == "" {
			if o.Domain != "" {
				return nil, fmt.Errorf("the org %q has no id", text.Clean(o.Domain))
			}
			return nil, fmt.Errorf("org %d has neither id nor domain", i+1)
		}
		if err := l.client.checkOwner(o); err != nil {
			return nil, err
		}
		known, listed := l.orgs[o.ID]
		if twin, twice := onPage[o.ID]; twice && twin != o || listed && !strings.EqualFold(known.Domain, o.Domain) {
			return nil, fmt.Errorf("two orgs have the id %q: %q and %q", text.Clean(o.ID), text.Clean(known.Domain), text.Clean(o.Domain))
		}
		onPage[o.ID] = o
		if listed && known == o {
			continue
		}
		l.orgs[o.ID] = o
		fresh = append(fresh, o.state())
	}
	return fresh, nil
}

// doubtful reports whether the list may go on after its last page, or have lost
// one: because the last page is as full as a page that has a next one, or because
// one brought nothing new.
func (l *listing) doubtful() bool {
	full := l.last >= l.limit || l.last == defaultPage || l.pages > 1 && l.last >= l.first
	return full || l.barren
}

// hasAerialOrg reports whether the Aerial org is listed. An answer may lack the
// field that marks it.
func (l *listing) hasAerialOrg() bool {
	for _, o := range l.orgs {
		if o.AerialOrg || o.Domain != "" && strings.EqualFold(o.Domain, l.client.aerialDomain) {
			return true
		}
	}
	return false
}

// confirms reports whether the list has the same orgs as in a doubtful reading
// before, and didn't end at the same place for the same reason.
func (l *listing) confirms(before *listing) bool {
	same := maps.EqualFunc(l.orgs, before.orgs, func(wireOrg, wireOrg) bool { return true })
	return same && (!l.doubtful() || !l.barren && l.first != before.first)
}

// otherLimit returns a size of pages for reading the list again: smaller than the
// pages that came, and one that doesn't let the last page be full, if there is any.
func (l *listing) otherLimit() int {
	n, size := len(l.orgs), min(l.limit, l.first)
	for limit := size - 1; limit > 1; limit-- {
		if last := n % limit; last != 0 && last != defaultPage {
			return limit
		}
	}
	if size > 1 {
		return size - 1
	}
	return l.limit - 1
}

// FindOrg looks among the managed orgs for the one with this id or, where id
// is empty, this domain; nil when there is none. It goes through the list,
// because that alone says for sure that an org is not managed: asked for a
// single org, Okta may refuse to say. A domain that isn't listed is searched for
// as well: a list can lose a page unnoticed, and an org that is not found is
// linked, which can't be undone.
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
	switch {
	case found != nil:
		return found, nil
	case err != nil || id != "":
		return nil, err
	}
	return c.searchOrg(ctx, domain)
}

// searchOrg returns the managed org that Okta finds by a filter for this domain, or
// nil. An API that has no such filter finds nothing.
func (c *Client) searchOrg(ctx context.Context, domain string) (found *state.Org, err error) {
	defer wrap(&err, "searching for the org %q", domain)
	subdomain, _, _ := strings.Cut(domain, ".")
	u := c.path("orgs")
	u.RawQuery = url.Values{"filter": {fmt.Sprintf("subdomain eq %q", subdomain)}, "limit": {strconv.Itoa(pageLimit)}}.Encode()
	l := newListing(c, pageLimit)
	err = eachPage(ctx, c, c.get(u, "orgs", maxList), func(page []wireOrg) (bool, error) {
		before := len(l.orgs)
		fresh, err := l.take(page)
		for _, o := range fresh {
			if strings.EqualFold(o.Domain, domain) {
				found = &o
			}
		}
		return len(l.orgs) > before, err
	})
	var refused *rest.Error
	if errors.As(err, &refused) && refused.Status == http.StatusBadRequest {
		return nil, nil
	}
	return found, err
}
