package aerial

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"reconciler/internal/state"
	"reconciler/internal/text"
)

// The answers as they come. Fields that are not listed are not read; fields
// that are missing stay empty.

type wireAccount struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type wireProduct struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

type wireOrg struct {
	ID        string `json:"id"`
	Domain    string `json:"domain"`
	Cell      string `json:"cell"`
	Name      string `json:"name"`
	Region    string `json:"region"`
	Status    string `json:"status"`
	AerialOrg bool   `json:"aerialOrg"`
}

// state gives the org in our words. Requests of Okta's guides write cells in
// upper case and its answers in lower case, so that case means nothing.
func (o wireOrg) state() state.Org {
	return state.Org{
		ID:        o.ID,
		Domain:    strings.ToLower(o.Domain),
		Cell:      strings.ToLower(o.Cell),
		Name:      o.Name,
		Region:    o.Region,
		Status:    state.Status(o.Status),
		AerialOrg: o.AerialOrg,
	}
}

// Account reads the account. An answer that speaks of another account than the
// configured one is an error.
func (c *Client) Account(ctx context.Context) (state.Account, error) {
	a, _, err := fetch[wireAccount](ctx, c, get(c.path("accounts"), "accounts", maxBody))
	if err == nil {
		err = c.checkAccount(a)
	}
	if err != nil {
		return state.Account{}, fmt.Errorf("reading the account: %w", err)
	}
	return state.Account(a), nil
}

// RenameAccount sets the account's name, its only field that can be changed,
// and gives what Okta answers. It may be repeated.
//
// A write that fails may be sent again up to some minutes later, over whatever
// others have changed meanwhile. So again (nil allowed) is asked before, if
// more than two seconds have passed since the call began or again was last
// asked: it looks whether the write is still right, with calls of its own if
// need be. Its error ends the call and is in the chain of what is given back,
// which is an *UncertainError too if an earlier attempt may have taken effect.
func (c *Client) RenameAccount(ctx context.Context, name string, again func(context.Context) error) (state.Account, error) {
	body := struct {
		Name string `json:"name"`
	}{name}
	a, _, err := fetch[wireAccount](ctx, c, put(c.path("accounts"), "accounts", body, again))
	if err == nil {
		err = outcome(c.checkAccount(a), true)
	}
	if err != nil {
		return state.Account{}, fmt.Errorf("renaming the account to %q: %w", name, err)
	}
	return state.Account(a), nil
}

func (c *Client) checkAccount(a wireAccount) error {
	if a.ID == c.account {
		return nil
	}
	return text.WithHint(
		fmt.Errorf("the answer is about the account %q, but %q is configured", text.Clean(a.ID), c.account),
		"check aerial.accountID")
}

// Products reads the catalogue: the products that the account subscribes to,
// by id.
func (c *Client) Products(ctx context.Context) ([]state.Product, error) {
	list, err := c.listProducts(ctx, get(c.path("products"), "products", maxList))
	if err != nil {
		return nil, fmt.Errorf("reading the account's products: %w", err)
	}
	products := make([]state.Product, len(list))
	for i, p := range list {
		products[i] = state.Product(p)
	}
	slices.SortFunc(products, func(a, b state.Product) int {
		return cmp.Or(strings.Compare(a.ID, b.ID), strings.Compare(a.Name, b.Name))
	})
	return slices.CompactFunc(products, func(a, b state.Product) bool { return a.ID == b.ID }), nil
}

// listProducts reads a list of products. Okta doesn't page these lists today;
// should it begin to, half a list must not pass for all of it.
func (c *Client) listProducts(ctx context.Context, call *call) ([]wireProduct, error) {
	var list []wireProduct
	err := eachPage(ctx, c, call, func(page []wireProduct) (bool, error) {
		list = append(list, page...)
		return len(page) > 0, checkProducts(page)
	})
	return list, err
}

// checkProducts refuses products without an id.
func checkProducts(list []wireProduct) error {
	for i, p := range list {
		if p.ID == "" {
			return fmt.Errorf("product %d of the answer has no id", i+1)
		}
	}
	return nil
}

// Org reads one managed org, without its products.
func (c *Client) Org(ctx context.Context, id string) (state.Org, error) {
	org, err := c.org(ctx, id)
	if err != nil {
		return state.Org{}, fmt.Errorf("reading the org %q: %w", id, err)
	}
	return org, nil
}

func (c *Client) org(ctx context.Context, id string) (state.Org, error) {
	if err := checkID("org", id); err != nil {
		return state.Org{}, err
	}
	o, _, err := fetch[wireOrg](ctx, c, get(c.path("orgs", id), "orgs/{id}", maxBody))
	if err == nil {
		err = checkOrg(o, id)
	}
	return o.state(), err
}

// checkOrg refuses an answer that is about another org than the one asked for.
func checkOrg(o wireOrg, id string) error {
	switch {
	case o.ID == "":
		return errors.New("the org of the answer has no id")
	case o.ID != id:
		return fmt.Errorf("the answer is about the org %q", text.Clean(o.ID))
	default:
		return nil
	}
}

// OrgProducts reads the ids of the org's enabled products, sorted and without
// repeats; never nil without an error.
func (c *Client) OrgProducts(ctx context.Context, id string) ([]string, error) {
	ids, err := c.orgProducts(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("reading the products of the org %q: %w", id, err)
	}
	return ids, nil
}

const orgProducts = "orgs/{id}/products"

func (c *Client) orgProducts(ctx context.Context, id string) ([]string, error) {
	if err := checkID("org", id); err != nil {
		return nil, err
	}
	list, err := c.listProducts(ctx, get(c.path("orgs", id, "products"), orgProducts, maxBody))
	if err != nil {
		return nil, err
	}
	return productIDs(list), nil
}

// productIDs gives the ids, sorted and without repeats; never nil.
func productIDs(list []wireProduct) []string {
	ids := make([]string, len(list))
	for i, p := range list {
		ids[i] = p.ID
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// SetOrgProducts makes ids the org's products: every other product is
// disabled. It gives what Okta answers, sorted. Empty disables all; nil is
// refused, because it means "not managed" everywhere else. It may be repeated;
// again is as in RenameAccount.
func (c *Client) SetOrgProducts(ctx context.Context, id string, ids []string, again func(context.Context) error) ([]string, error) {
	answer, err := c.setOrgProducts(ctx, id, ids, again)
	if err != nil {
		return nil, fmt.Errorf("setting the products of the org %q: %w", id, err)
	}
	return answer, nil
}

func (c *Client) setOrgProducts(ctx context.Context, id string, ids []string, again func(context.Context) error) ([]string, error) {
	if err := checkID("org", id); err != nil {
		return nil, err
	}
	if ids == nil {
		return nil, errors.New("nil is not an empty list of products")
	}
	ids = slices.Clone(ids)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	body := make([]wireProduct, len(ids))
	for i, p := range ids {
		if p == "" {
			return nil, errors.New("a product has no id")
		}
		body[i].ID = p
	}
	list, _, err := fetch[[]wireProduct](ctx, c, put(c.path("orgs", id, "products"), orgProducts, body, again))
	if err != nil {
		return nil, err
	}
	err = checkProducts(list)
	if list == nil {
		err = errNull
	}
	if err != nil {
		return nil, outcome(err, true)
	}
	return productIDs(list), nil
}

// SetOrgStatus activates or deactivates the org and gives what Okta answers.
// Nobody can sign in to an inactive org. It may be repeated; again is as in
// RenameAccount.
func (c *Client) SetOrgStatus(ctx context.Context, id string, status state.Status, again func(context.Context) error) (state.Org, error) {
	org, err := c.setOrgStatus(ctx, id, status, again)
	if err != nil {
		return state.Org{}, fmt.Errorf("setting the status of the org %q to %q: %w", id, status, err)
	}
	return org, nil
}

func (c *Client) setOrgStatus(ctx context.Context, id string, status state.Status, again func(context.Context) error) (state.Org, error) {
	if err := checkID("org", id); err != nil {
		return state.Org{}, err
	}
	body := struct {
		Status state.Status `json:"status"`
	}{status}
	o, _, err := fetch[wireOrg](ctx, c, put(c.path("orgs", id, "status"), "orgs/{id}/status", body, again))
	if err == nil {
		err = outcome(checkOrg(o, id), true)
	}
	return o.state(), err
}

// LinkOrg adds an org to the account, by its id where there is one, else by
// its domain, and gives what Okta answers: its id is the one for all other
// calls. Adding can't be undone, and is never repeated when its outcome is
// unknown; that is an *UncertainError, upon which FindOrg tells.
func (c *Client) LinkOrg(ctx context.Context, id, domain, cell string) (state.Org, error) {
	org, err := c.linkOrg(ctx, id, domain, cell)
	if err != nil {
		return state.Org{}, fmt.Errorf("linking the org %q: %w", cmp.Or(domain, id), err)
	}
	return org, nil
}

func (c *Client) linkOrg(ctx context.Context, id, domain, cell string) (state.Org, error) {
	body := struct {
		OrgID  string `json:"orgId,omitempty"`
		Domain string `json:"domain,omitempty"`
		Cell   string `json:"cell"`
	}{OrgID: id, Cell: cell}
	switch {
	case cell == "":
		return state.Org{}, errors.New("its cell must be given")
	case id == "" && domain == "":
		return state.Org{}, errors.New("its id or its domain must be given")
	case id == "":
		body.Domain = domain
	}
	o, _, err := fetch[wireOrg](ctx, c, post(c.path("orgs"), "orgs", body))
	if err == nil {
		err = outcome(checkLinked(o, id, domain), true)
	}
	return o.state(), err
}

func checkLinked(o wireOrg, id, domain string) error {
	if id == "" {
		id = o.ID // any will do
	}
	if err := checkOrg(o, id); err != nil {
		return err
	}
	if domain != "" && o.Domain != "" && !strings.EqualFold(o.Domain, domain) {
		return fmt.Errorf("the answer is about the org %q", text.Clean(o.Domain))
	}
	return nil
}

const deletionRequest = "orgs/{id}/deletionRequest"

// RequestDeletion asks Okta to delete the org, which must be INACTIVE; only
// sandbox and Partner Program accounts may. It is never repeated when its
// outcome is unknown.
func (c *Client) RequestDeletion(ctx context.Context, id string) error {
	err := checkID("org", id)
	if err == nil {
		// The body of a success is an empty object: its status says it all.
		_, err = c.do(ctx, post(c.path("orgs", id, "deletionRequest"), deletionRequest, nil), nil)
	}
	if err != nil {
		return fmt.Errorf("requesting the deletion of the org %q: %w", id, err)
	}
	return nil
}
