package state

import (
	"slices"
	"strings"

	"reconciler/internal/strictyaml"
)

// maxSubdomain is the longest subdomain of an org that the Org Creator API makes.
const maxSubdomain = 57

// defaults are the defaults of one file, with names filled in.
type defaults struct {
	manifestDefaults
	// own and sets are what the lists give, and products and productPos what an
	// org has that says nothing of its own.
	own        []given
	sets       [][]given
	products   []string
	productPos map[string]Pos
}

// orgs declares the orgs of a file, with the defaults that the file holds.
func (m *merger) orgs(f *file) {
	def := m.defaults(f)
	for _, doc := range f.docs {
		for i := range doc.V.Orgs.V {
			m.org(&doc.V.Orgs.V[i], def)
		}
	}
}

// defaults returns the defaults of all documents of a file; only one may have them.
func (m *merger) defaults(f *file) *defaults {
	def := &defaults{}
	var at *Pos
	for _, doc := range f.docs {
		d := &doc.V.Defaults
		if !d.OK() {
			continue
		}
		if at != nil {
			m.errs.Add(d.Pos, "defaults hold for the whole file and already stand at %s: merge them", *at)
			continue
		}
		at = &d.Pos
		def.manifestDefaults = d.V
	}
	m.noContradiction(&def.Products, &def.ProductSets)
	def.own = m.productsOf(def.Products.V)
	def.sets = m.setsOf(def.ProductSets.V)
	if def.Products.OK() || def.ProductSets.OK() {
		def.products, def.productPos = m.union(*at, def.own, def.sets)
	}
	return def
}

// noContradiction refuses `products: []` beside sets that give some.
func (m *merger) noContradiction(p *At[products], s *At[productSets]) {
	if p.OK() && len(p.V) == 0 && len(s.V) > 0 {
		m.errs.Add(p.Pos, "products: [] means none, but productSets gives some: remove one of them")
	}
}

// productsOf looks up a list of products.
func (m *merger) productsOf(list products) []given {
	m.repeats("products", list)
	all := make([]given, 0, len(list))
	for _, r := range list {
		all = m.product(all, r, false)
	}
	return all
}

// union returns the ids of all products, sorted and without repeats, and where
// each is named first. pos is who gets them.
func (m *merger) union(pos Pos, own []given, sets [][]given) ([]string, map[string]Pos) {
	most := len(own)
	for _, s := range sets {
		most += len(s)
	}
	if !m.give(pos, most) {
		return []string{}, nil
	}
	ids, places := make([]string, 0, most), make(map[string]Pos, most)
	add := func(all []given) {
		for _, g := range all {
			if _, dup := places[g.id]; !dup {
				places[g.id] = g.pos
				ids = append(ids, g.id)
			}
		}
	}
	add(own)
	for _, s := range sets {
		add(s)
	}
	slices.Sort(ids)
	return slices.Clip(ids), places
}

func (m *merger) org(at *At[manifestOrg], def *defaults) {
	if at.Bad {
		return
	}
	o := &at.V
	d := DesiredOrg{
		Domain:        strings.ToLower(string(o.Domain.V)),
		ID:            string(o.ID.V),
		Cell:          strings.ToLower(string(over(o.Cell, def.Cell))),
		Status:        over(o.Status, def.Status),
		ProductPolicy: over(o.ProductPolicy, def.ProductPolicy),
		Mode:          over(o.Mode, def.Mode),
		Protected:     over(o.Protected, def.Protected),
		Pos:           at.Pos,
	}
	if d.ProductPolicy == "" {
		d.ProductPolicy = Exact
	}
	if d.Mode == "" {
		d.Mode = Apply
	}
	m.unique(o, at.Pos)
	d.Products, d.ProductPos = m.orgProducts(at, def)
	if o.Create.OK() {
		d.Create = m.create(o, &d, def)
	}
	if d.RequestDeletion = o.RequestDeletion.V; d.RequestDeletion {
		m.deletion(o, &d, def)
	}
	m.desired.Orgs = append(m.desired.Orgs, d)
}

// over returns the org's own value where there is one, else the default.
func over[T any](own, def At[T]) T {
	if own.Set {
		return own.V
	}
	return def.V
}

// unique sees to it that the org has a domain, and that neither it nor the id
// is that of another org.
func (m *merger) unique(o *manifestOrg, pos Pos) {
	if !o.Domain.Set {
		m.errs.Add(pos, `this org has no "domain"`)
	}
	if o.Domain.OK() {
		name := strings.ToLower(string(o.Domain.V))
		switch first, dup := m.domains[name]; {
		case !dup:
			m.domains[name] = o.Domain.Pos
		case first == o.Domain.Pos:
			m.errs.Add(pos, "org %q is declared twice: an alias repeats its domain from %s", name, first)
		default:
			m.errs.Add(o.Domain.Pos, "org %q is declared twice, first at %s", name, first)
		}
	}
	if o.ID.OK() {
		id := string(o.ID.V)
		switch first, dup := m.ids[id]; {
		case !dup:
			m.ids[id] = o.ID.Pos
		case first == o.ID.Pos:
			m.errs.Add(pos, "id %q is given to two orgs: an alias repeats it from %s", id, first)
		default:
			m.errs.Add(o.ID.Pos, "id %q is given to two orgs, first at %s", id, first)
		}
	}
}

// orgProducts returns what the org is to have: nil when nobody says anything.
func (m *merger) orgProducts(at *At[manifestOrg], def *defaults) ([]string, map[string]Pos) {
	o := &at.V
	if !o.Products.OK() && !o.ProductSets.OK() {
		return def.products, def.productPos
	}
	m.noContradiction(&o.Products, &o.ProductSets)
	own, sets := def.own, def.sets
	if o.Products.OK() {
		own = m.productsOf(o.Products.V)
		if len(o.Products.V) == 0 {
			// None means none, whatever the defaults give.
			sets = nil
		}
	}
	if o.ProductSets.OK() {
		sets = m.setsOf(o.ProductSets.V)
	}
	return m.union(at.Pos, own, sets)
}

// create checks what creating the org needs.
func (m *merger) create(o *manifestOrg, d *DesiredOrg, def *defaults) *Create {
	c, pos := o.Create.V, o.Create.Pos
	missing := func(pos Pos, set bool, key string) {
		if !set {
			m.errs.Add(pos, "%q needs %q", "create", key)
		}
	}
	missing(pos, c.Parent.Set, "parent")
	missing(pos, c.Name.Set, "name")
	missing(pos, c.Admin.Set, "admin")
	if a := &c.Admin; a.OK() {
		missing(a.Pos, a.V.FirstName.Set, "admin.firstName")
		missing(a.Pos, a.V.LastName.Set, "admin.lastName")
		missing(a.Pos, a.V.Email.Set, "admin.email")
		missing(a.Pos, a.V.Login.Set, "admin.login")
	}
	if !o.Cell.Set && !def.Cell.Set {
		m.errs.Add(pos, `creating an org needs its "cell"`)
	}
	if sub, _, _ := strings.Cut(d.Domain, "."); len(sub) > maxSubdomain {
		m.errs.Add(o.Domain.Pos, "the subdomain of an org that is to be created has at most %d characters, not %d", maxSubdomain, len(sub))
	}
	if c.Parent.OK() {
		m.parent(string(c.Parent.V), c.Parent.Pos)
	}
	return &Create{
		Parent:  string(c.Parent.V),
		Name:    string(c.Name.V),
		Website: string(c.Website.V),
		Admin: Admin{
			FirstName: string(c.Admin.V.FirstName.V),
			LastName:  string(c.Admin.V.LastName.V),
			Email:     string(c.Admin.V.Email.V),
			Login:     string(c.Admin.V.Login.V),
		},
	}
}

// parent checks that a parent is configured, as far as that is known.
func (m *merger) parent(name string, pos Pos) {
	known := m.opts.Parents
	switch {
	case known == nil || slices.Contains(known, name):
	case len(known) == 0:
		m.errs.Add(pos, "unknown parent %s: the config has no parents", quote(name))
	default:
		hint := strictyaml.DidYouMean(name, known)
		if hint == "" {
			hint = ": the config has " + strictyaml.OneOf(known)
		}
		m.errs.Add(pos, "unknown parent %s%s", quote(name), hint)
	}
}

// deletion checks what asking for deletion needs.
func (m *merger) deletion(o *manifestOrg, d *DesiredOrg, def *defaults) {
	status := o.Status
	if !status.Set {
		status = def.Status
	}
	if d.Status != Inactive && !status.Bad {
		m.errs.Add(o.RequestDeletion.Pos, "requestDeletion needs status: INACTIVE: Okta deletes no active org")
	}
	if o.Create.Set {
		m.errs.Add(o.RequestDeletion.Pos, "requestDeletion and create exclude each other: once deleted, the org would be created anew")
	}
}
