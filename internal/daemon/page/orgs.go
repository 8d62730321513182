package page

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"reconciler/internal/reconcile"
)

// orgs is the page of all orgs.
type orgs struct {
	*list
	Items    []reconcile.OrgItem
	States   []reconcile.SyncState
	Products []reconcile.ProductItem
	names    map[string]string
}

func (p *Pages) orgs(w http.ResponseWriter, r *http.Request) {
	l, page := readList(p, w, r, "orgs", p.opts.Source.Orgs)
	if l == nil {
		return
	}
	o := &orgs{list: l, States: reconcile.SyncStates(), Products: p.products()}
	if page != nil {
		o.Items, o.names = page.Items, page.ProductNames
	}
	p.show(w, r, l.code(), "orgs.html", &view{Title: "Orgs", Section: sectionOrgs, Data: o})
}

// maxChoices is how many products a filter offers.
const maxChoices = 200

// products returns the products that filters offer; fewer if they can't be read, which
// another page says.
func (p *Pages) products() []reconcile.ProductItem {
	page, err := p.opts.Source.Products(&reconcile.InventoryQuery{Limit: maxChoices})
	if err != nil {
		return nil
	}
	return page.Items
}

// orgsCSV sends all orgs that the parameters select.
func (p *Pages) orgsCSV(w http.ResponseWriter, r *http.Request) {
	l, page := readList(p, w, r, "orgs", func(q *reconcile.InventoryQuery) (*reconcile.Page[reconcile.OrgItem], error) {
		q.Limit = 0
		return p.opts.Source.Orgs(q)
	})
	switch {
	case l == nil:
	case l.Err != "":
		p.Error(w, r, http.StatusBadRequest, l.Err, l.Hint)
	default:
		h := w.Header()
		h.Set("Content-Type", "text/csv; charset=utf-8")
		h.Set("Content-Disposition", `attachment; filename="orgs.csv"`)
		_ = reconcile.WriteOrgsCSV(w, page.Items) // the browser is gone
	}
}

// ProductsOf returns the products of an org in words: those that are live.
func (o *orgs) ProductsOf(org reconcile.OrgItem) string {
	if org.Products == nil {
		if org.Status == "" {
			return ""
		}
		return "not read"
	}
	names := make([]string, len(org.Products))
	for i, id := range org.Products {
		names[i] = cmp.Or(o.names[id], id)
	}
	slices.Sort(names)
	return brief(strings.Join(names, ", "))
}

// Label returns the link to the orgs with a label.
func (o *orgs) Label(name, value string) string { return o.with("label", name+"="+value) }
