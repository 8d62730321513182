package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// maxAccountName is the longest name of an account, in characters.
const maxAccountName = 255

type accountBody struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

func (s *Simulator) getAccount(*call) *answer {
	return jsonAnswer(http.StatusOK, accountBody{s.seed.Account.ID, s.seed.Account.Name})
}

func (s *Simulator) putAccount(c *call) *answer {
	o := newObject(c.body)
	name, _ := o.text("name", 1, maxAccountName)
	if causes := o.done(); len(causes) > 0 {
		return s.invalid("account", causes...)
	}
	s.seed.Account.Name = name
	return s.getAccount(c)
}

func (s *Simulator) getProducts(*call) *answer {
	return jsonAnswer(http.StatusOK, s.shuffled(s.seed.Products))
}

// shuffled returns products in random order, as Okta guarantees none.
func (s *Simulator) shuffled(products []Product) []Product {
	out := append([]Product{}, products...)
	s.random.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// orgBody is an org as the Aerial API returns it.
type orgBody struct {
	ID          string `json:"id"`
	AccountID   string `json:"accountId"`
	Name        string `json:"name"`
	Cell        string `json:"cell"`
	Region      string `json:"region,omitempty"`
	Domain      string `json:"domain"`
	Status      string `json:"status"`
	AerialOrg   bool   `json:"aerialOrg"`
	CreatedDate string `json:"createdDate"`
	CreatedBy   string `json:"createdBy,omitempty"`

	Links map[string]href `json:"_links"`
}

func (s *Simulator) body(c *call, o *Org) orgBody {
	origin, _, _ := strings.Cut(c.url, "/api/")
	return orgBody{
		ID: o.ID, AccountID: s.seed.Account.ID, Name: o.Name, Cell: o.Cell, Region: o.Region,
		Domain: o.Domain, Status: o.Status, AerialOrg: o.AerialOrg,
		CreatedDate: o.CreatedDate, CreatedBy: o.CreatedBy,
		Links: map[string]href{"self": {origin + "/api/v1/orgs/" + o.ID}},
	}
}

func (s *Simulator) getOrg(c *call, o *Org) *answer { return jsonAnswer(http.StatusOK, s.body(c, o)) }

// linkOrg adds an associated org to the account, which can't be undone.
func (s *Simulator) linkOrg(c *call) *answer {
	in := newObject(c.body)
	id, byID := in.text("orgId", 0, 0)
	domain, byDomain := in.text("domain", 0, 0)
	cell, _ := in.text("cell", 1, 0)
	if byID == byDomain {
		in.complain("orgId: Exactly one of orgId and domain must be given")
	}
	cell = strings.ToLower(cell)
	if cell != "" && !slices.Contains(supportedCells, cell) {
		in.complain("cell: The cell '%s' is not supported", cell)
	}
	if causes := in.done(); len(causes) > 0 {
		return s.invalid("org", causes...)
	}
	o := s.byID[id]
	if byDomain {
		o = s.byDomain[strings.ToLower(domain)]
	}
	switch {
	case o == nil || !s.ready(o):
		return s.notFound(id+domain, "Org")
	case o.Cell != cell:
		return s.invalid("org", fmt.Sprintf("cell: The org is not in the cell '%s'", cell))
	case o.Managed:
		return s.invalid("org", "orgId: The org has already been added to an account")
	case !s.consentOrg(o).Consent:
		return s.forbidden("The org has not granted its consent to the account")
	}
	o.Managed = true
	s.record(c.who, c, "account.org.add", orgEntity(o))
	return jsonAnswer(http.StatusOK, s.body(c, o))
}

func (s *Simulator) putStatus(c *call, o *Org) *answer {
	in := newObject(c.body)
	status, has := in.text("status", 1, 0)
	if has && status != active && status != inactive {
		in.complain("status: The field must be %s or %s", active, inactive)
	}
	if causes := in.done(); len(causes) > 0 {
		return s.invalid("status", causes...)
	}
	if status == inactive && (o.AerialOrg || s.isParent(o)) {
		return s.invalid("status", "status: The Aerial org and parent orgs can't be deactivated")
	}
	s.setStatus(c.who, c, o, status)
	return jsonAnswer(http.StatusOK, s.body(c, o))
}

func (s *Simulator) setStatus(who *caller, c *call, o *Org, status string) {
	if o.Status == status {
		return
	}
	o.Status = status
	s.record(who, c, "account.org.status.update", orgEntity(o))
}

func (s *Simulator) getOrgProducts(_ *call, o *Org) *answer {
	if o.ReadForbidden {
		return s.forbidden()
	}
	return jsonAnswer(http.StatusOK, s.enabled(o))
}

// enabled returns an org's products with their names, in random order.
func (s *Simulator) enabled(o *Org) []Product {
	var products []Product
	for _, p := range s.seed.Products {
		if slices.Contains(o.Products, p.ID) {
			products = append(products, p)
		}
	}
	return s.shuffled(products)
}

// putOrgProducts replaces an org's products: those not named are disabled.
func (s *Simulator) putOrgProducts(c *call, o *Org) *answer {
	if o.ReadForbidden {
		return s.forbidden()
	}
	ids, causes := s.productIDs(c.body)
	if len(causes) > 0 {
		return s.invalid("products", causes...)
	}
	s.setProducts(c.who, c, o, ids)
	return jsonAnswer(http.StatusOK, s.enabled(o))
}

// productIDs reads an array of products: an id each, and a name, which is ignored.
func (s *Simulator) productIDs(body []byte) (ids, causes []string) {
	var items []json.RawMessage
	if json.Unmarshal(body, &items) != nil || items == nil {
		return nil, []string{"the body must be an array of products"}
	}
	for i, item := range items {
		in := newObject(item)
		in.at = fmt.Sprintf("[%d].", i)
		id, has := in.text("id", 1, 0)
		in.text("name", 0, 0)
		switch {
		case has && id != "" && !s.seed.subscribed(id):
			in.complain("%sid: The account does not subscribe to the product '%s'", in.at, id)
		case slices.Contains(ids, id):
			in.complain("%sid: The product '%s' is there twice", in.at, id)
		}
		ids = append(ids, id)
		causes = append(causes, in.done()...)
	}
	return ids, causes
}

func (s *Simulator) setProducts(who *caller, c *call, o *Org, ids []string) {
	ids = slices.Sorted(slices.Values(ids))
	if slices.Equal(o.Products, ids) {
		return
	}
	o.Products = ids
	s.record(who, c, "account.org.product.update", orgEntity(o))
}

// requestDeletion requests the deletion of an inactive org, if the account may.
// The texts of Okta's errors are unconfirmed.
func (s *Simulator) requestDeletion(c *call, o *Org) *answer {
	switch {
	case len(c.body) > 0 && string(c.body) != "{}":
		return s.invalid("deletionRequest", "the body must be empty")
	case !s.seed.Account.DeletionAllowed:
		return s.forbidden("Deletion requests are only available to sandbox and Partner Program accounts")
	case o.Status != inactive:
		return s.invalid("deletionRequest", "status: The org must be "+inactive)
	case o.DeletionRequested:
		return s.invalid("deletionRequest", "The deletion of the org has already been requested")
	}
	o.DeletionRequested = true
	s.record(c.who, c, "account.org.delete.request", orgEntity(o))
	return jsonAnswer(http.StatusOK, struct{}{})
}

var templateGrammar = grammar{attributes: map[string]attribute{"applyStatus": {kind: textual, ops: []string{"eq"}}}}

func (s *Simulator) listTemplates(c *call) *answer {
	match, problem := parseFilter(c.r.URL.Query().Get("filter"), templateGrammar)
	if problem != "" {
		return s.fail(http.StatusBadRequest, codeSearch, "Invalid search criteria.", problem)
	}
	out := []Template{}
	for _, t := range s.seed.Templates {
		if match(func(string) string { return t.ApplyStatus }) {
			out = append(out, t)
		}
	}
	return jsonAnswer(http.StatusOK, out)
}

func (s *Simulator) getTemplate(c *call) *answer {
	i := s.template(c)
	if i < 0 {
		return s.notFound(c.args["template"], "RequestConditionTemplate")
	}
	return jsonAnswer(http.StatusOK, s.seed.Templates[i])
}

func (s *Simulator) deleteTemplate(c *call) *answer {
	i := s.template(c)
	if i < 0 {
		return s.notFound(c.args["template"], "RequestConditionTemplate")
	}
	t := s.seed.Templates[i]
	s.seed.Templates = slices.Delete(s.seed.Templates, i, i+1)
	s.record(c.who, c, "account.aerial_template_condition.delete", entity{ID: t.ID, Type: "RequestConditionTemplate", DisplayName: t.Name})
	return &answer{status: http.StatusNoContent, header: http.Header{}}
}

// template returns the index of the template that the path names, or -1.
func (s *Simulator) template(c *call) int {
	return slices.IndexFunc(s.seed.Templates, func(t Template) bool { return t.ID == c.args["template"] })
}
