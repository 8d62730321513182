package page

import (
	"net/http"
	"time"

	"reconciler/internal/reconcile"
	"reconciler/internal/store/history"
)

// drifts is the page of all drift.
type drifts struct {
	*list
	Fields []fieldDrift
	AsOf   *time.Time
}

func (p *Pages) drift(w http.ResponseWriter, r *http.Request) {
	l, page := readList(p, w, r, "drift", p.opts.Source.Drift)
	if l == nil {
		return
	}
	d := &drifts{list: l}
	s := p.opts.Source.Status()
	if page != nil {
		d.AsOf = page.AsOf
		for i := range page.Items {
			d.Fields = append(d.Fields, itemOf(&s, &page.Items[i], page.ProductNames))
		}
	}
	p.showWith(w, r, l.code(), "drift.html", &view{Title: "Drift", Section: sectionDrift, Data: d}, &s)
}

// productList is the page of all products.
type productList struct {
	*list
	Items []reconcile.ProductItem
}

func (p *Pages) productList(w http.ResponseWriter, r *http.Request) {
	l, page := readList(p, w, r, "products", p.opts.Source.Products)
	if l == nil {
		return
	}
	d := &productList{list: l}
	if page != nil {
		d.Items = page.Items
	}
	p.show(w, r, l.code(), "products.html", &view{Title: "Products", Section: sectionProducts, Data: d})
}

// runList is the page of all runs.
type runList struct {
	*list
	Items []reconcile.RunItem
	Quiet *history.Quiet
}

func (p *Pages) runs(w http.ResponseWriter, r *http.Request) {
	l, page := readList(p, w, r, "runs", p.opts.Source.Runs)
	if l == nil {
		return
	}
	d := &runList{list: l}
	if page != nil {
		d.Items, d.Quiet = page.Items, page.Quiet
	}
	p.show(w, r, l.code(), "runs.html", &view{Title: "Runs", Section: sectionRuns, Data: d})
}
