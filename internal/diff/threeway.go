package diff

import (
	"slices"

	"reconciler/internal/state"
)

// CompareThreeWay returns the plan that leads from actual to head, and the origin
// of each difference: whether the change from base to head causes it. It is the
// plan of Compute(head, actual, opts) with a Review, and may be applied like that.
//
// A field is in conflict when the change declares something else for it and
// live differs from the base already; it is existing drift when live differs
// and the change doesn't touch it. Every other difference is this change's.
//
// base may be nil or without orgs. actual needs to hold what Compute(head)
// needs of it; for orgs whose products were not read, no drift of products is
// known. The filters may name orgs that only the base declares. The error is for
// the user to fix, and there is no plan. A product to which the account doesn't
// subscribe is an error if it is only the change that wants it.
func CompareThreeWay(base, head *state.Desired, actual *state.Actual, opts Options) (*Plan, error) {
	if base == nil {
		base = &state.Desired{}
	}
	p, orgs, err := compute(base, head, actual, opts)
	if err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for i := range base.Orgs {
		if o := &base.Orgs[i]; o.ManagesProducts() {
			for _, id := range o.Products {
				wanted[id] = true
			}
		}
	}
	if err := checkEntitlement(orgs, wanted, newIndex(actual, head)); err != nil {
		return nil, err
	}
	settled := p.attribute(base, head, orgs, actual, opts)
	p.review(ThreeWay, base, head, orgs, settled, opts)
	p.Products = productNames(p, actual.Catalog, head, base)
	return p, p.Seal()
}

// side is how the base relates to head and live, for one org or the account.
type side struct {
	base *state.DesiredOrg // nil for the account, and for an org that the change adds
	// touched are the fields that the change affects, and drifted those in which
	// live differs from the base.
	touched, drifted map[string]bool
	// config is the same of the org's configuration, where that is known.
	config *baseline
}

func (s *side) origin(field string) Origin {
	switch {
	case !s.drifted[field]:
		return ThisChange
	case s.touched[field]:
		return Conflict
	default:
		return ExistingDrift
	}
}

// declares returns what the base declares for a field that a change writes.
func (s *side) declares(field string) Value {
	b := s.base
	switch {
	case b == nil:
	case field == FieldDeclared:
		return Text("linked")
	case field == FieldProducts && b.ManagesProducts():
		return List(b.Products)
	case field == FieldStatus:
		return textOrNothing(string(b.Status))
	case field == FieldRequestDeletion && b.RequestDeletion:
		return Text("requested")
	}
	return Value{}
}

// attribute sets the origin of each difference, and returns the fields that
// change and live both altered to the same value.
func (p *Plan) attribute(base, head *state.Desired, orgs []pair, actual *state.Actual, opts Options) []Settled {
	live := newIndex(actual)
	settled := []Settled{}
	if !opts.declaredOnly() {
		settled = appendSettled(settled, "", FieldAccountName, base.Account.Name, head.Account.Name, actual.Account.Name)
	}
	sides := map[string]*side{"": accountSide(base, head, actual)}
	for i := range orgs {
		o := &orgs[i]
		if o.head == nil {
			continue
		}
		sides[o.domain()] = &side{base: o.base, touched: o.touches(), drifted: o.drift(live, opts)}
		settled = append(settled, o.settled(live)...)
		if c := opts.configurationOf(o.head); c != nil {
			sides[o.domain()].config = newBaseline(c.Base)
			settled = append(settled, o.settledObjects(c.Base)...)
		}
	}
	for i := range p.Changes {
		c := &p.Changes[i]
		if c.IsObject() {
			sides[c.Org].config.attribute(c)
			continue
		}
		field := declaredField(c.Action)
		c.Origin = sides[c.Org].origin(field)
		c.Base = sides[c.Org].declares(field)
		if c.Action == RenameAccount {
			c.Base = textOrNothing(base.Account.Name)
		}
	}
	for i := range p.Unfixable {
		u := &p.Unfixable[i]
		if u.ofObject() {
			u.Origin = sides[u.Org].config.originOf(u)
			continue
		}
		u.Origin = sides[u.Org].origin(u.Field)
	}
	return settled
}

func accountSide(base, head *state.Desired, actual *state.Actual) *side {
	name := base.Account.Name
	return &side{
		touched: map[string]bool{FieldAccountName: name != head.Account.Name},
		drifted: map[string]bool{FieldAccountName: name != "" && name != actual.Account.Name},
	}
}

// drift returns the fields in which live is known to differ from the base.
func (p *pair) drift(live *index, opts Options) map[string]bool {
	if p.base == nil {
		return nil
	}
	org := *p.base
	if found := live.candidates(&org); len(found) > 0 {
		if o := found[0]; o.Unknown != "" || o.Products == nil {
			org.Products = nil
		}
		if found[0].Status == "" {
			org.Status = ""
		}
	}
	d := compareOrg(org, live, Options{DeletionRequested: opts.DeletionRequested, Created: opts.Created})
	fields := map[string]bool{}
	for i := range d.changes {
		fields[declaredField(d.changes[i].Action)] = true
	}
	for i := range d.unfixable {
		fields[d.unfixable[i].Field] = true
	}
	return fields
}

// settled returns the fields, in alphabetical order, that the change and live
// both altered to the same value.
func (p *pair) settled(live *index) []Settled {
	b, h := p.base, p.head
	if b == nil {
		return nil
	}
	found := live.candidates(h)
	if len(found) == 0 || (&orgDiff{org: h}).mismatched(found) {
		return nil
	}
	o := found[0]
	all := appendSettled(nil, h.Domain, FieldCell, b.Cell, h.Cell, o.Cell)
	all = appendSettled(all, h.Domain, FieldDomain, b.Domain, h.Domain, o.Domain)
	all = appendSettled(all, h.Domain, FieldID, b.ID, h.ID, o.ID)
	if p.touches()[FieldProducts] && o.Unknown == "" && o.Products != nil &&
		b.ManagesProducts() && h.ManagesProducts() && !fits(b, o.Products) && fits(h, o.Products) {
		all = append(all, Settled{h.Domain, FieldProducts, List(b.Products), List(o.Products)})
	}
	return appendSettled(all, h.Domain, FieldStatus, string(b.Status), string(h.Status), string(o.Status))
}

// appendSettled adds a field of one word, if it is settled. A field that a side
// doesn't declare is not.
func appendSettled(all []Settled, org, field, base, head, live string) []Settled {
	if base == "" || head == "" || base == head || head != live {
		return all
	}
	return append(all, Settled{org, field, Text(base), Text(head)})
}

// fits reports whether an org with these products is as declared.
func fits(o *state.DesiredOrg, products []string) bool {
	return slices.Equal(products, o.Products) ||
		o.ProductPolicy == state.Additive && len(minus(o.Products, products)) == 0
}
