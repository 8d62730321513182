package state

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"reconciler/internal/strictyaml"
)

// Marshal returns a desired state as one manifest, written out in full for each
// org: without sets, defaults or YAML aliases, and with products by name where
// they have one. Orgs and products are sorted: the same state returns the same
// bytes. Loading them returns the same state except for positions.
func Marshal(d *Desired) []byte {
	w := &writer{names: ProductNames(d.Products)}
	w.key(0, "version", "1")
	if d.Account.ID != "" || d.Account.Name != "" {
		w.key(0, "account", "")
		w.text(1, "id", d.Account.ID)
		w.text(1, "name", d.Account.Name)
	}
	if len(d.Products) > 0 {
		w.key(0, "products", "")
		for _, name := range slices.Sorted(maps.Keys(d.Products)) {
			value := strictyaml.Scalar(d.Products[name])
			if limit, ok := d.Limits[d.Products[name]]; ok && limit.Name == name {
				value = fmt.Sprintf("{id: %s, limit: %d}", value, limit.Max)
			}
			w.key(1, strictyaml.Scalar(name), value)
		}
	}
	orgs := slices.Clone(d.Orgs)
	slices.SortFunc(orgs, func(a, b DesiredOrg) int { return strings.Compare(a.Domain, b.Domain) })
	w.key(0, "orgs", "")
	for i := range orgs {
		w.org(&orgs[i])
	}
	return w.Bytes()
}

// writer writes YAML, two spaces a level.
type writer struct {
	bytes.Buffer
	// names maps product ids to names.
	names map[string]string
}

// key writes a key and its value; without one, a mapping or a list follows.
func (w *writer) key(level int, key, value string) {
	if value != "" {
		value = " " + value
	}
	fmt.Fprintf(w, "%*s%s:%s\n", 2*level, "", key, value)
}

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
		w.key(2, "create", "")
		w.text(3, "parent", c.Parent)
		w.text(3, "name", c.Name)
		w.text(3, "website", c.Website)
		w.key(3, "admin", "")
		w.text(4, "firstName", c.Admin.FirstName)
		w.text(4, "lastName", c.Admin.LastName)
		w.text(4, "email", c.Admin.Email)
		w.text(4, "login", c.Admin.Login)
	}
	if o.RequestDeletion {
		w.key(2, "requestDeletion", "true")
	}
	w.text(2, "owner", o.Owner)
	e := &explanation{}
	e.texts("labels", o.Labels, nil)
	e.texts("vars", o.Vars, nil)
	if o.Config != nil {
		e.add(0, "configuration:", Pos{})
		e.configuration(1, o.Config)
	}
	for _, l := range e.lines {
		fmt.Fprintf(w, "    %s\n", l.text)
	}
	if o.ClientID != "" {
		w.key(2, "access", "{clientID: "+strictyaml.Scalar(o.ClientID)+"}")
	}
}

func (w *writer) products(ids []string) []string {
	all := make([]string, len(ids))
	for i, id := range ids {
		all[i] = strictyaml.Scalar(cmp.Or(w.names[id], id))
	}
	slices.Sort(all)
	return all
}
