package state

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"reconciler/internal/strictyaml"
)

// Marshal writes a desired state as one manifest: everything spelt out for each
// org, without sets, defaults or aliases of YAML, products by their names where
// they have one, sorted. Loading it gives the same desired state but for the
// places; the same state gives the same bytes.
func Marshal(d *Desired) []byte {
	w := &writer{names: productNames(d.Products)}
	w.key(0, "version", "1")
	if d.Account.ID != "" || d.Account.Name != "" {
		w.open(0, "account")
		w.text(1, "id", d.Account.ID)
		w.text(1, "name", d.Account.Name)
	}
	if len(d.Products) > 0 {
		w.open(0, "products")
		for _, name := range slices.Sorted(maps.Keys(d.Products)) {
			w.key(1, strictyaml.Scalar(name), strictyaml.Scalar(d.Products[name]))
		}
	}
	orgs := slices.Clone(d.Orgs)
	slices.SortFunc(orgs, func(a, b DesiredOrg) int { return strings.Compare(a.Domain, b.Domain) })
	w.open(0, "orgs")
	for i := range orgs {
		w.org(&orgs[i])
	}
	return w.Bytes()
}

// productNames gives for each product id the name that stands first in the
// alphabet.
func productNames(products map[string]string) map[string]string {
	names := make(map[string]string, len(products))
	for _, name := range slices.Sorted(maps.Keys(products)) {
		if id := products[name]; names[id] == "" {
			names[id] = name
		}
	}
	return names
}

// writer writes YAML, two spaces a level.
type writer struct {
	bytes.Buffer
	// names maps product ids to names.
	names map[string]string
}

func (w *writer) key(level int, key, value string) {
	fmt.Fprintf(w, "%*s%s: %s\n", 2*level, "", key, value)
}

// open begins a mapping or a list below key.
func (w *writer) open(level int, key string) {
	fmt.Fprintf(w, "%*s%s:\n", 2*level, "", key)
}

// text writes a string unless it is empty, which stands for "not mentioned".
func (w *writer) text(level int, key, value string) {
	if value != "" {
		w.key(level, key, strictyaml.Scalar(value))
	}
}

func (w *writer) org(o *DesiredOrg) {
	fmt.Fprintf(w, "  - domain: %s\n", strictyaml.Scalar(o.Domain))
	w.text(2, "id", o.ID)
	w.text(2, "cell", o.Cell)
	w.text(2, "status", string(o.Status))
	if o.Products != nil {
		w.key(2, "products", "["+strings.Join(w.products(o.Products), ", ")+"]")
	}
	if o.ProductPolicy != Exact {
		w.text(2, "productPolicy", string(o.ProductPolicy))
	}
	if o.Mode != Apply {
		w.text(2, "mode", string(o.Mode))
	}
	if o.Protected {
		w.key(2, "protected", "true")
	}
	if c := o.Create; c != nil {
		w.open(2, "create")
		w.text(3, "parent", c.Parent)
		w.text(3, "name", c.Name)
		w.text(3, "website", c.Website)
		w.open(3, "admin")
		w.text(4, "firstName", c.Admin.FirstName)
		w.text(4, "lastName", c.Admin.LastName)
		w.text(4, "email", c.Admin.Email)
		w.text(4, "login", c.Admin.Login)
	}
	if o.RequestDeletion {
		w.key(2, "requestDeletion", "true")
	}
}

// products gives the products as they are to be written, sorted.
func (w *writer) products(ids []string) []string {
	all := make([]string, len(ids))
	for i, id := range ids {
		name := w.names[id]
		if name == "" {
			name = id
		}
		all[i] = strictyaml.Scalar(name)
	}
	slices.Sort(all)
	return all
}
