package diff

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"reconciler/internal/state"
)

// pair is one org as the two sides of a review declare it. One side is nil for
// an org that the change adds or takes out.
type pair struct {
	base, head *state.DesiredOrg
}

// domain returns the org's domain at head, or at base for an org that only base has.
func (p *pair) domain() string {
	if p.head == nil {
		return p.base.Domain
	}
	return p.head.Domain
}

// domains returns the org's domains on both sides.
func (p *pair) domains() []string {
	var all []string
	for _, o := range []*state.DesiredOrg{p.base, p.head} {
		if o != nil {
			all = append(all, o.Domain)
		}
	}
	return all
}

// filteredPairs returns the orgs of both sides that the filter of opts selects,
// sorted by domain; an error if that is none. actual is nil if it isn't known.
func filteredPairs(base, head *state.Desired, actual *state.Actual, opts Options) ([]pair, error) {
	if err := opts.check(actual, base, head); err != nil {
		return nil, err
	}
	all := slices.DeleteFunc(pairs(base, head), func(p pair) bool { return !opts.Has(p.domains()...) })
	if len(all) == 0 {
		return nil, errNoOrgLeft
	}
	slices.SortFunc(all, func(a, b pair) int { return strings.Compare(a.domain(), b.domain()) })
	return all, nil
}

// pairs returns the orgs of both sides, unsorted. An org is the same on both
// sides by its domain, or by its id if its domain was changed.
func pairs(base, head *state.Desired) []pair {
	stays := map[string]bool{}
	for i := range head.Orgs {
		stays[head.Orgs[i].Domain] = true
	}
	byDomain, renamed := map[string]*state.DesiredOrg{}, map[string]*state.DesiredOrg{}
	for i := range base.Orgs {
		o := &base.Orgs[i]
		byDomain[o.Domain] = o
		if o.ID != "" && !stays[o.Domain] {
			renamed[o.ID] = o
		}
	}
	var all []pair
	for i := range head.Orgs {
		o := &head.Orgs[i]
		before := byDomain[o.Domain]
		if before == nil {
			before = renamed[o.ID]
		}
		if before != nil {
			delete(byDomain, before.Domain)
		}
		all = append(all, pair{before, o})
	}
	for _, o := range byDomain { // what is left is in the base only
		all = append(all, pair{base: o})
	}
	return all
}

// declaration is a key of the manifest with its values at base and head.
type declaration struct {
	field, base, head string
}

func (d declaration) same() bool { return d.base == d.head }

// changed returns the keys whose values differ between base and head, in
// alphabetical order; none for an org that only one side has. names are the
// products' names by id.
func (p *pair) changed(names map[string]string) []declaration {
	b, h := p.base, p.head
	if b == nil || h == nil {
		return nil
	}
	return slices.DeleteFunc([]declaration{
		{"access", b.ClientID, h.ClientID},
		{FieldCell, b.Cell, h.Cell},
		{"create", describeCreate(b.Create), describeCreate(h.Create)},
		{FieldDomain, b.Domain, h.Domain},
		{FieldID, b.ID, h.ID},
		{"labels", listPairs(b.Labels), listPairs(h.Labels)},
		{"mode", string(b.Mode), string(h.Mode)},
		{"owner", b.Owner, h.Owner},
		{"productPolicy", string(b.ProductPolicy), string(h.ProductPolicy)},
		{FieldProducts, listProducts(b.Products, names), listProducts(h.Products, names)},
		{"protected", strconv.FormatBool(b.Protected), strconv.FormatBool(h.Protected)},
		{FieldRequestDeletion, strconv.FormatBool(b.RequestDeletion), strconv.FormatBool(h.RequestDeletion)},
		{FieldStatus, string(b.Status), string(h.Status)},
		{"vars", listPairs(b.Vars), listPairs(h.Vars)},
	}, declaration.same)
}

// touches returns the fields that the change affects: those that are declared
// differently, and those that depend on them. Mode and protection decide whether
// something is written, not the org's desired state.
func (p *pair) touches() map[string]bool {
	fields := map[string]bool{}
	for _, d := range p.changed(nil) {
		switch d.field {
		case "productPolicy":
			fields[FieldProducts] = true
		case "create":
			fields[FieldDeclared] = true
		default:
			fields[d.field] = true
		}
	}
	return fields
}

// dropsProducts reports whether the head stops listing products of the base
// without removing them.
func (p *pair) dropsProducts() bool {
	return p.head.ProductPolicy == state.Additive && len(minus(p.base.Products, p.head.Products)) > 0
}

// describeCreate returns the parameters of an org's creation in one line.
func describeCreate(c *state.Create) string {
	if c == nil {
		return ""
	}
	s := fmt.Sprintf("parent %q, name %q", c.Parent, c.Name)
	if c.Website != "" {
		s += fmt.Sprintf(", website %q", c.Website)
	}
	a := &c.Admin
	return s + fmt.Sprintf(", admin %q, email %q, login %q", a.FirstName+" "+a.LastName, a.Email, a.Login)
}

// listProducts returns products by name and id; "" for nil, which means that they
// are not managed.
func listProducts(ids []string, names map[string]string) string {
	if ids == nil {
		return ""
	}
	if len(ids) == 0 {
		return "none"
	}
	var all []string
	for _, id := range ids {
		if name := names[id]; name != "" {
			id = name + " (" + id + ")"
		}
		all = append(all, id)
	}
	return strings.Join(all, ", ")
}

// listPairs returns names with their values in alphabetical order; "" without any.
func listPairs(values map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		all = append(all, fmt.Sprintf("%s=%q", name, values[name]))
	}
	return strings.Join(all, ", ")
}
