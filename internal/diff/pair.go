package diff

import (
	"fmt"
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

// domain is what the review calls the org.
func (p *pair) domain() string {
	if p.head == nil {
		return p.base.Domain
	}
	return p.head.Domain
}

// domains are all that the org is called.
func (p *pair) domains() []string {
	var all []string
	for _, o := range []*state.DesiredOrg{p.base, p.head} {
		if o != nil {
			all = append(all, o.Domain)
		}
	}
	return all
}

// pairs returns the orgs of both sides that the filter leaves, sorted by domain.
// An org is the same on both sides by its domain, or by its id if its domain
// was changed.
func pairs(base, head *state.Desired, keep Filter) []pair {
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
	all = slices.DeleteFunc(all, func(p pair) bool { return !keep.Has(p.domains()...) })
	slices.SortFunc(all, func(a, b pair) int { return strings.Compare(a.domain(), b.domain()) })
	return all
}

// declaration is a key that the two sides of a pair say differently.
type declaration struct {
	field, base, head string
}

// changed returns what both sides say, and say differently, in alphabetical
// order of the keys. names are those of the products, by id.
func (p *pair) changed(names map[string]string) []declaration {
	b, h := p.base, p.head
	if b == nil || h == nil {
		return nil
	}
	all := []declaration{
		{FieldCell, b.Cell, h.Cell},
		{"create", describeCreate(b.Create), describeCreate(h.Create)},
		{FieldDomain, b.Domain, h.Domain},
		{FieldID, b.ID, h.ID},
		{"mode", string(b.Mode), string(h.Mode)},
		{"productPolicy", string(b.ProductPolicy), string(h.ProductPolicy)},
		{FieldProducts, wordsFor(b.Products, names), wordsFor(h.Products, names)},
		{"protected", strconv.FormatBool(b.Protected), strconv.FormatBool(h.Protected)},
		{FieldRequestDeletion, strconv.FormatBool(b.RequestDeletion), strconv.FormatBool(h.RequestDeletion)},
		{FieldStatus, string(b.Status), string(h.Status)},
	}
	return slices.DeleteFunc(all, func(d declaration) bool { return d.base == d.head })
}

// touches returns the fields that the change bears on: what is declared
// otherwise, and what that decides. Mode and protection decide whether
// something is written, and not what the org is to be like.
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

// dropsProducts reports whether products that the base asks for are no longer asked for,
// and yet not taken away.
func (p *pair) dropsProducts() bool {
	return p.head.ProductPolicy == state.Additive && len(minus(p.base.Products, p.head.Products)) > 0
}

// describeCreate returns how an org is created in one line.
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

// wordsFor lists products by name and id. Nil, which says that they are not
// managed, returns the empty string.
func wordsFor(ids []string, names map[string]string) string {
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
