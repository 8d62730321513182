package aerial

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"reconciler/internal/okta/rest"
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
	AccountID string `json:"accountId"`
	Domain    string `json:"domain"`
	Cell      string `json:"cell"`
	Name      string `json:"name"`
	Region    string `json:"region"`
	Status    string `json:"status"`
	AerialOrg bool   `json:"aerialOrg"`
}

// state returns the org in our terms. Requests of Okta's guides write cells in
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

// Account reads the account. An answer about another account than the
// configured one is an error.
func (c *Client) Account(ctx context.Context) (_ state.Account, err error) {
	defer wrap(&err, "reading the account")
	a, _, err := fetch(ctx, c, c.get(c.path("accounts"), "accounts", maxBody), c.checkAccount)
	return state.Account(a), err
}

// RenameAccount sets the account's name, its only field that can be changed,
// and returns what Okta answers. It may be repeated. maySend is as in Client.
func (c *Client) RenameAccount(ctx context.Context, name string, maySend func(context.Context) error) (_ state.Account, err error) {
	defer wrap(&err, "renaming the account to %q", name)
	body := struct {
		Name string `json:"name"`
	}{name}
	a, _, err := fetch(ctx, c, c.replace(c.path("accounts"), "accounts", fixed(maySend, body)), c.checkAccount)
	return state.Account(a), err
}

func (c *Client) checkAccount(a wireAccount) error {
	if a.ID == c.account {
		return nil
	}
	return text.WithHint(
		fmt.Errorf("the answer is about the account %q, but %q is configured", text.Clean(a.ID), c.account),
		"check "+c.keys.AccountID)
}

// Products reads the catalogue: the products that the account subscribes to,
// by id. An empty catalogue is an error.
func (c *Client) Products(ctx context.Context) (_ []state.Product, err error) {
	defer wrap(&err, "reading the account's products")
	list, err := c.listProducts(ctx, c.get(c.path("products"), "products", maxList))
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, text.WithHint(
			errors.New("the answer is an empty list, but an account subscribes to some"),
			"run again; if it stays like this, check "+c.keys.AccountID+" and the service app's admin role")
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
func (c *Client) listProducts(ctx context.Context, call *rest.Call) ([]wireProduct, error) {
	var list []wireProduct
	err := eachPage(ctx, c, call, func(page []wireProduct) (bool, error) {
		list = append(list, page...)
		return len(page) > 0, checkProducts(page)
	})
	return list, err
}

// checkProducts refuses null and products without an id.
func checkProducts(list []wireProduct) error {
	if list == nil {
		return errNull
	}
	for i, p := range list {
		if p.ID == "" {
			return fmt.Errorf("product %d of the answer has no id", i+1)
		}
	}
	return nil
}

// Org reads one managed org, without its products.
func (c *Client) Org(ctx context.Context, id string) (_ state.Org, err error) {
	defer wrap(&err, "reading the org %q", id)
	if err := checkID("org", id); err != nil {
		return state.Org{}, err
	}
	o, _, err := fetch(ctx, c, c.get(c.path("orgs", id), "orgs/{id}", maxBody), c.isOrg(id))
	return o.state(), err
}

// isOrg returns a check that refuses an answer about another org than the one
// asked for.
func (c *Client) isOrg(id string) func(wireOrg) error {
	return func(o wireOrg) error {
		switch {
		case o.ID == "":
			return errors.New("the org of the answer has no id")
		case o.ID != id:
			return fmt.Errorf("the answer is about the org %q", text.Clean(o.ID))
		}
		return c.checkOwner(o)
	}
}

// checkOwner refuses an org of another account.
func (c *Client) checkOwner(o wireOrg) error {
	if o.AccountID == "" || o.AccountID == c.account {
		return nil
	}
	return text.WithHint(
		fmt.Errorf("the org %q is of the account %q, but %q is configured", text.Clean(cmp.Or(o.Domain, o.ID)), text.Clean(o.AccountID), c.account),
		"check "+c.keys.AccountID+", and proxies that rewrite answers")
}

// OrgProducts reads the ids of the org's enabled products, sorted and without
// repeats; never nil without an error.
func (c *Client) OrgProducts(ctx context.Context, id string) (_ []string, err error) {
	defer wrap(&err, "reading the products of the org %q", id)
	return c.orgProducts(ctx, id)
}

const orgProducts = "orgs/{id}/products"

func (c *Client) orgProducts(ctx context.Context, id string) ([]string, error) {
	if err := checkID("org", id); err != nil {
		return nil, err
	}
	list, err := c.listProducts(ctx, c.get(c.path("orgs", id, "products"), orgProducts, maxBody))
	if err != nil {
		return nil, err
	}
	return productIDs(list), nil
}

// productIDs returns the ids, sorted and without repeats; never nil.
func productIDs(list []wireProduct) []string {
	ids := make([]string, len(list))
	for i, p := range list {
		ids[i] = p.ID
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// SetOrgProducts makes the ids that maySend returns the org's products: every
// other product is disabled. It returns what Okta answers, sorted. Empty disables
// all; nil is refused, because it means "not managed" everywhere else. It may be
// repeated. maySend is as in Client.
func (c *Client) SetOrgProducts(ctx context.Context, id string, maySend func(context.Context) ([]string, error)) (_ []string, err error) {
	defer wrap(&err, "setting the products of the org %q", id)
	if err := checkID("org", id); err != nil {
		return nil, err
	}
	body := func(ctx context.Context) ([]byte, error) {
		ids, err := maySend(ctx)
		if err != nil {
			return nil, err
		}
		return encodeProducts(ids)
	}
	list, _, err := fetch(ctx, c, c.replace(c.path("orgs", id, "products"), orgProducts, body), checkProducts)
	if err != nil {
		return nil, err
	}
	return productIDs(list), nil
}

// encodeProducts returns the body that makes ids an org's products.
func encodeProducts(ids []string) ([]byte, error) {
	if ids == nil {
		return nil, errors.New("nil is not an empty list of products")
	}
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	body := make([]wireProduct, len(ids))
	for i, p := range ids {
		if p == "" {
			return nil, errors.New("a product has no id")
		}
		body[i].ID = p
	}
	return json.Marshal(body)
}

// SetOrgStatus activates or deactivates the org and returns what Okta answers.
// Nobody can sign in to an inactive org. It may be repeated. maySend is as in
// Client.
func (c *Client) SetOrgStatus(ctx context.Context, id string, status state.Status, maySend func(context.Context) error) (_ state.Org, err error) {
	defer wrap(&err, "setting the status of the org %q to %q", id, status)
	if err := checkID("org", id); err != nil {
		return state.Org{}, err
	}
	body := struct {
		Status state.Status `json:"status"`
	}{status}
	o, _, err := fetch(ctx, c, c.replace(c.path("orgs", id, "status"), "orgs/{id}/status", fixed(maySend, body)), c.isOrg(id))
	return o.state(), err
}

// LinkOrg adds an org to the account, by its id where there is one, else by
// its domain, and returns what Okta answers: its id is the one for all other
// calls. Adding can't be undone, and is never repeated when its outcome is
// unknown; that is a *rest.UncertainError, and FindOrg finds out. maySend is as in
// Client.
func (c *Client) LinkOrg(ctx context.Context, id, domain, cell string, maySend func(context.Context) error) (_ state.Org, err error) {
	defer wrap(&err, "linking the org %q", cmp.Or(domain, id))
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
	call := c.once(c.path("orgs"), "orgs", fixed(maySend, body))
	call.ContentType = "application/json"
	o, _, err := fetch(ctx, c, call, func(o wireOrg) error {
		if domain != "" && o.Domain != "" && !strings.EqualFold(o.Domain, domain) {
			return fmt.Errorf("the answer is about the org %q", text.Clean(o.Domain))
		}
		return c.isOrg(cmp.Or(id, o.ID))(o)
	})
	return o.state(), err
}

// RequestDeletion asks Okta to delete the org, which must be INACTIVE; only
// sandbox and Partner Program accounts may. It is never repeated when its
// outcome is unknown. maySend is as in Client.
func (c *Client) RequestDeletion(ctx context.Context, id string, maySend func(context.Context) error) (err error) {
	defer wrap(&err, "requesting the deletion of the org %q", id)
	if err := checkID("org", id); err != nil {
		return err
	}
	// The body of a success is an empty object, and not read.
	return markRequested(c.caller.Do(ctx, c.once(c.path("orgs", id, "deletionRequest"), "orgs/{id}/deletionRequest", fixed(maySend, nil))))
}
