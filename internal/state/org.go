package state

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"reconciler/internal/strictyaml"
)

// maxSubdomain is the length of the longest subdomain that the Org Creator API
// accepts.
const maxSubdomain = 57

// defaults are the defaults of one file, with names resolved.
type defaults struct {
	manifestDefaults
	// own and sets are the products of the two lists; products and productPos
	// are those of an org with neither list.
	own        []listed
	sets       [][]listed
	products   []string
	productPos Places
	// labels, vars and stack are those of an org that has none of its own.
	labels, vars map[string]string
	stack        *laid
}

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
			m.errs.Add(d.Pos, "defaults apply to the whole file and are already at %s: merge them", *at)
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
	def.labels = m.named(nil, namedLabels(def.Labels), "labels")
	def.vars = m.named(nil, namedVars(def.Vars), "vars")
	def.stack = m.baselineStack(def.Baselines.V)
	return def
}

// noContradiction rejects `products: []` beside sets.
func (m *merger) noContradiction(p *At[products], s *At[productSets]) {
	if p.OK() && len(p.V) == 0 && len(s.V) > 0 {
		m.errs.Add(p.Pos, "products: [] means none, but productSets lists some: remove one of them")
	}
}

func (m *merger) productsOf(list products) []listed {
	m.repeats("products", list)
	all := make([]listed, 0, len(list))
	for _, r := range list {
		all = m.product(all, r, false)
	}
	return all
}

// union returns the ids of all products, sorted and without repeats, and where
// each is first named. pos is that of the org or the defaults.
func (m *merger) union(pos Pos, own []listed, sets [][]listed) ([]string, Places) {
	lists, n := append([][]listed{own}, sets...), 0
	for _, list := range lists {
		n += len(list)
	}
	if !m.count(pos, n) {
		return []string{}, nil
	}
	places := make([]Place, 0, n)
	for _, list := range slices.Backward(lists) { // the first counts
		for _, p := range slices.Backward(list) {
			places = append(places, Place{p.id, p.pos})
		}
	}
	places = newPlaces(places)
	ids := make([]string, len(places))
	for i := range places {
		ids[i] = places[i].Key
	}
	return m.alike.list(ids), places
}

func (m *merger) org(at *At[manifestOrg], def *defaults) {
	if at.Bad {
		return
	}
	o := &at.V
	d := DesiredOrg{
		Domain:        strings.ToLower(string(o.Domain.V)),
		ID:            string(o.ID.V),
		Cell:          strings.ToLower(string(orDefault(o.Cell, def.Cell))),
		Status:        orDefault(o.Status, def.Status),
		ProductPolicy: cmp.Or(orDefault(o.ProductPolicy, def.ProductPolicy), Exact),
		Mode:          cmp.Or(orDefault(o.Mode, def.Mode), Apply),
		Protected:     orDefault(o.Protected, def.Protected),
		Labels:        m.named(def.labels, namedLabels(o.Labels), "labels"),
		Vars:          m.named(def.vars, namedVars(o.Vars), "vars"),
		Owner:         string(orDefault(o.Owner, def.Owner)),
		ClientID:      string(o.Access.V.ClientID.V),
		Pos:           at.Pos,
		Places:        placesOf(o, def),
	}
	if !o.Domain.Set {
		m.errs.Add(at.Pos, `this org has no "domain"`)
	}
	if o.Domain.OK() {
		m.unique(m.domains, d.Domain, o.Domain.Pos, at.Pos, "org %q is declared twice")
	}
	if o.ID.OK() {
		m.unique(m.ids, d.ID, o.ID.Pos, at.Pos, "two orgs have id %q")
	}
	d.Products, d.ProductPos = m.orgProducts(at, def)
	if o.Create.OK() {
		d.Create = m.create(o, &d, def)
	}
	if d.RequestDeletion = o.RequestDeletion.V; d.RequestDeletion {
		m.deletion(o, &d, def)
	}
	if o.Access.OK() && !o.Access.V.ClientID.Set {
		m.errs.Add(o.Access.Pos, "%q needs %q", "access", "clientID")
	}
	var broken map[string]bool
	d.Vars, broken = m.finalVars(&d)
	m.configure(o, &d, def, broken)
	m.doubts(at, &d)
	m.desired.Orgs = append(m.desired.Orgs, d)
}

// orDefault returns the org's own value if there is one, otherwise the default.
func orDefault[T any](own, def At[T]) T {
	if own.Set {
		return own.V
	}
	return def.V
}

// namedLabels and namedVars return a mapping of labels or variables with plain values.
func namedLabels(m At[Map[At[labelValue]]]) Map[At[string]] { return texts(m) }
func namedVars(m At[Map[At[varValue]]]) Map[At[string]]     { return texts(m) }

func texts[T ~string](m At[Map[At[T]]]) Map[At[string]] {
	all := make(Map[At[string]], len(m.V))
	for i, e := range m.V {
		all[i] = strictyaml.Entry[At[string]]{Key: e.Key, Pos: e.Pos, V: At[string]{V: string(e.V.V), Pos: e.V.Pos, Set: e.V.Set, Bad: e.V.Bad}}
	}
	return all
}

// named returns the labels or variables of an org, laid over those that are the default.
// what is the key.
func (m *merger) named(def map[string]string, own Map[At[string]], what string) map[string]string {
	if len(own) == 0 {
		return def
	}
	if m.spend(len(def) + len(own)); m.values > maxDeclaredValues {
		return def // there is an error for the org
	}
	all := make(map[string]string, len(def)+len(own))
	maps.Copy(all, def)
	for _, e := range own {
		if err := checkNamed(what, e.Key); err != nil {
			m.errs.Add(e.Pos, "%v", err)
			continue
		}
		if e.V.Bad {
			m.broken[variableOf(what, e.Key)] = true
		}
		all[e.Key] = e.V.V
	}
	return m.alike.mapping(all)
}

// variableOf returns the name of the variable that a label or an entry of vars is.
func variableOf(what, name string) string {
	if what == "labels" {
		return "label." + name
	}
	return name
}

// checkNamed returns what is wrong with the name of a label or variable, or nil.
func checkNamed(what, name string) error {
	if what == "labels" {
		if err := checkLabelName(name); err != nil {
			return fmt.Errorf("the name of a label %w", err)
		}
		return nil
	}
	if err := checkVarName(name); err != nil {
		return fmt.Errorf("the name of a variable %w", err)
	}
	if name == "domain" || name == "subdomain" {
		return fmt.Errorf("${%s} is the org's %s: give the variable another name", name, name)
	}
	return nil
}

// placesOf returns the places of what an org or the defaults say, by key.
func placesOf(o *manifestOrg, def *defaults) Places {
	var places []Place
	add := func(key string, pos Pos) { places = append(places, Place{key, pos}) }
	put := func(key string, own, def Pos) {
		if pos := cmp.Or(own, def); pos != (Pos{}) {
			add(key, pos)
		}
	}
	put("id", o.ID.Pos, Pos{})
	put("cell", o.Cell.Pos, def.Cell.Pos)
	put("status", o.Status.Pos, def.Status.Pos)
	put("productPolicy", o.ProductPolicy.Pos, def.ProductPolicy.Pos)
	put("mode", o.Mode.Pos, def.Mode.Pos)
	put("protected", o.Protected.Pos, def.Protected.Pos)
	put("owner", o.Owner.Pos, def.Owner.Pos)
	put("access.clientID", o.Access.V.ClientID.Pos, Pos{})
	put("requestDeletion", o.RequestDeletion.Pos, Pos{})
	for _, all := range []Map[At[labelValue]]{def.Labels.V, o.Labels.V} {
		for _, e := range all {
			add("labels."+e.Key, e.V.Pos)
		}
	}
	for _, all := range []Map[At[varValue]]{def.Vars.V, o.Vars.V} {
		for _, e := range all {
			add("vars."+e.Key, e.V.Pos)
		}
	}
	return newPlaces(places)
}

// unique adds an error if the value is in seen, which is where each was first
// declared, and otherwise adds it there. pos is that of the org.
func (m *merger) unique(seen map[string]Pos, value string, at, pos Pos, twice string) {
	switch first, dup := seen[value]; {
	case !dup:
		seen[value] = at
	case first == at:
		m.errs.Add(pos, twice+": an alias repeats it from %s", value, first)
	default:
		m.errs.Add(at, twice+", first at %s", value, first)
	}
}

// orgProducts returns the org's products, and where each is first named; nil if
// they are not managed.
func (m *merger) orgProducts(at *At[manifestOrg], def *defaults) ([]string, Places) {
	o := &at.V
	if !o.Products.OK() && !o.ProductSets.OK() {
		return def.products, def.productPos
	}
	m.noContradiction(&o.Products, &o.ProductSets)
	own, sets := def.own, def.sets
	if o.Products.OK() {
		own = m.productsOf(o.Products.V)
		if len(o.Products.V) == 0 {
			// None, whatever the defaults are.
			sets = nil
		}
	}
	if o.ProductSets.OK() {
		sets = m.setsOf(o.ProductSets.V)
	}
	return m.union(at.Pos, own, sets)
}

// create returns how to create the org, and checks that all is there.
func (m *merger) create(o *manifestOrg, d *DesiredOrg, def *defaults) *Create {
	c, pos := o.Create.V, o.Create.Pos
	need := func(pos Pos, set bool, key string) {
		if !set {
			m.errs.Add(pos, "%q needs %q", "create", key)
		}
	}
	need(pos, c.Parent.Set, "parent")
	need(pos, c.Name.Set, "name")
	need(pos, c.Admin.Set, "admin")
	if a := &c.Admin; a.OK() {
		need(a.Pos, a.V.FirstName.Set, "admin.firstName")
		need(a.Pos, a.V.LastName.Set, "admin.lastName")
		need(a.Pos, a.V.Email.Set, "admin.email")
		need(a.Pos, a.V.Login.Set, "admin.login")
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
	if o.Domain.OK() && !o.ID.Set {
		m.creations = append(m.creations, creation{
			domain: d.Domain, cell: d.Cell, parent: string(c.Parent.V),
			domainPos: o.Domain.Pos, cellPos: cmp.Or(o.Cell.Pos, def.Cell.Pos, pos),
		})
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
	known := slices.Sorted(maps.Keys(m.opts.Parents))
	switch {
	case m.opts.Parents == nil || slices.Contains(known, name):
	case len(known) == 0:
		m.errs.Add(pos, "unknown parent %s: the config has no parents", quote(name))
	default:
		m.errs.Add(pos, "unknown parent %s%s", quote(name),
			cmp.Or(strictyaml.DidYouMean(name, known), ": the config has "+strictyaml.OneOf(known)))
	}
}

// creation is an org that is to be created, unless it exists.
type creation struct {
	domain, cell, parent string
	domainPos, cellPos   Pos
}

// checkCreations adds an error for each org that its parent would create under
// another domain or, where the manifests say in which cell the parent is, in
// another cell. The creation could not be undone, and the org not be linked.
func (m *merger) checkCreations() {
	cells := map[string]string{}
	for i := range m.desired.Orgs {
		cells[m.desired.Orgs[i].Domain] = m.desired.Orgs[i].Cell
	}
	for _, c := range m.creations {
		parent := m.opts.Parents[c.parent]
		if err := CheckChild(c.domain, parent); err != nil {
			m.errs.Add(c.domainPos, "%v", err)
		}
		if err := CheckCell(c.domain, c.cell, parent, cells[parent]); err != nil {
			m.errs.Add(c.cellPos, "%v", err)
		}
	}
}

// doubts warns of what may be declared and is hardly meant.
func (m *merger) doubts(at *At[manifestOrg], d *DesiredOrg) {
	o := &at.V
	warn := m.warn
	if d.Status == Inactive && o.Configuration.OK() {
		warn(o.Configuration.Pos, "%s is INACTIVE: its configuration is neither read nor changed", d.Domain)
	}
	if sub, base, _ := strings.Cut(d.Domain, "."); strings.HasSuffix(sub, "-admin") && slices.Contains(bases, base) {
		warn(o.Domain.Pos, "%s is the address of an Admin Console: the org's domain is %s.%s", d.Domain, strings.TrimSuffix(sub, "-admin"), base)
	}
	if d.ProductPolicy == Ignore && (o.Products.OK() || o.ProductSets.OK()) {
		warn(cmp.Or(o.ProductPolicy.Pos, at.Pos), "productPolicy: ignore: the products that %s lists are not looked at", d.Domain)
	}
	if d.Protected && d.Status == Inactive {
		warn(cmp.Or(o.Status.Pos, o.Protected.Pos, at.Pos), "%s is protected, and so is never set to INACTIVE", d.Domain)
	}
}

func (m *merger) deletion(o *manifestOrg, d *DesiredOrg, def *defaults) {
	badStatus := o.Status.Bad || !o.Status.Set && def.Status.Bad
	if d.Status != Inactive && !badStatus {
		m.errs.Add(o.RequestDeletion.Pos, "requestDeletion needs status: INACTIVE: Okta doesn't delete active orgs")
	}
	if o.Create.Set {
		m.errs.Add(o.RequestDeletion.Pos, "requestDeletion and create exclude each other: once deleted, the org would be created again")
	}
}
