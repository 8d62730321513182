package aerial

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"reconciler/internal/state"
	"reconciler/internal/text"
)

// pageLimit is the most orgs that Okta puts on one page.
const pageLimit = "100"

// Orgs lists the managed orgs, without their products, and calls page with each
// page as it arrives, before the next is requested. An error of page ends the
// list and is returned as it is.
//
// Orgs that are linked or unlinked while the list is read may shift the pages.
// An org that is listed twice is passed on once; only when it has changed in
// between it comes again, and the later one counts.
func (c *Client) Orgs(ctx context.Context, page func([]state.Org) error) error {
	u := c.path("orgs")
	u.RawQuery = "limit=" + pageLimit
	listed := map[string]wireOrg{} // by id
	var stop error
	err := eachPage(ctx, c, c.get(u, "orgs", maxList), func(wire []wireOrg) (bool, error) {
		before := len(listed)
		orgs, err := takeOrgs(listed, wire)
		if err != nil {
			return false, err
		}
		stop = page(orgs)
		return len(listed) > before, stop
	})
	switch {
	case stop != nil:
		return stop
	case err != nil:
		return fmt.Errorf("listing the orgs: %w", err)
	}
	return nil
}

// takeOrgs returns what is new of a page, or changed, and adds it to what is
// listed.
func takeOrgs(listed map[string]wireOrg, page []wireOrg) ([]state.Org, error) {
	var orgs []state.Org
	for i, o := range page {
		if o.ID == "" {
			if o.Domain != "" {
				return nil, fmt.Errorf("the org %q has no id", text.Clean(o.Domain))
			}
			return nil, fmt.Errorf("org %d has neither id nor domain", i+1)
		}
		if known, ok := listed[o.ID]; ok && known == o {
			continue
		}
		listed[o.ID] = o
		orgs = append(orgs, o.state())
	}
	return orgs, nil
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
