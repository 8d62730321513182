package diff

import (
	"cmp"
	"slices"

	"reconciler/internal/state"
)

// CompareDeclared returns what the change from base to head declares, from the
// manifests alone. It compares head with a fleet that is as base declares it;
// where base doesn't manage a field, a change of it has no Before. An org that
// head adds without a way to create it may be linked already, with unknown
// products and status.
//
// base may be nil or without orgs: there were no manifests then. The account is
// head's if opts has none. Subscriptions are not checked, and no plan of this
// kind is ever applied: see ReadPlan. The error is for the user to fix, and there
// is no plan: manifests for another account, filters that name no org of either
// side.
func CompareDeclared(base, head *state.Desired, opts Options) (*Plan, error) {
	if base == nil {
		base = &state.Desired{}
	}
	opts.Account = cmp.Or(opts.Account, head.Account.ID)
	if err := checkManifestAccount(head, opts.Account); err != nil {
		return nil, err
	}
	opts.Filter = opts.For(head)
	orgs, err := filteredPairs(base, head, nil, opts)
	if err != nil {
		return nil, err
	}
	// The API, which isn't called here, could still identify the Aerial org.
	opts.Guards.UnknownAerial = false

	p := newPlan(opts)
	p.renameAccount(head, Text(base.Account.Name), opts)
	live := newIndex(&state.Actual{})
	var all []*orgDiff
	for i := range orgs {
		if orgs[i].head != nil {
			d := orgs[i].declared(live, opts)
			p.countObjects(d)
			all = append(all, d)
		}
	}
	locked := p.add(all)
	for i := range p.Changes {
		c := &p.Changes[i]
		c.Origin = ThisChange
		for k := range c.Fields {
			c.Fields[k].Origin = ThisChange
		}
	}
	for i := range p.Unfixable {
		p.Unfixable[i].Origin = ThisChange
	}
	toLose := map[string]bool{}
	for _, both := range pairs(base, head) {
		if both.head == nil || both.base == nil {
			continue
		}
		as := newIndex(&state.Actual{Orgs: []state.Org{*asDeclared(both.base, both.head.ID)}})
		if hasToLose(both.head, as, opts) {
			toLose[both.head.Domain] = true
		}
	}
	// An org that is only to be linked may be linked already.
	writable := p.judge(&opts.Guards, live, locked, toLose, CreateOrg)
	p.review(Declared, base, head, orgs, []Settled{}, opts)
	p.Summary = summarize(p, len(head.Orgs), len(orgs), len(orgs)-p.affected())
	p.Summary.Writable = writable
	p.Products = productNames(p, nil, head, base)
	return p, p.Seal()
}

// affected counts the orgs that a declared change affects.
func (p *Plan) affected() int {
	orgs := map[string]bool{}
	for i := range p.Changes {
		orgs[p.Changes[i].Org] = true
	}
	for i := range p.Unfixable {
		orgs[p.Unfixable[i].Org] = true
	}
	for i := range p.Review.Settings {
		orgs[p.Review.Settings[i].Org] = true
	}
	delete(orgs, "") // the account is no org
	return len(orgs)
}

// declared plans the changes from the base's side of an org to the head's.
func (p *pair) declared(live *index, opts Options) *orgDiff {
	d := &orgDiff{org: p.head, gainsOnly: p.head.Protected, objects: unknownObjects(p.head)}
	switch b := p.base; {
	case b != nil:
		d.deletionRequested = func(string) bool { return b.RequestDeletion }
		live := asDeclared(b, p.head.ID)
		d.fields(live)
		p.declareObjects(d, live, &opts.Guards)
	case p.head.RequestDeletion:
		// An org that is declared to be deleted exists already.
		d.fields(&state.Org{ID: p.head.ID})
	case p.head.Create != nil && p.head.ID == "":
		d.missing(live)
		d.configureLater()
	default:
		d.link()
		if p.head.Cell == "" {
			d.blockAll(blockedNoCell) // before fields: a linked org needs no cell for those
		}
		org := &state.Org{ID: p.head.ID}
		d.fields(org)
		p.declareObjects(d, org, &opts.Guards)
	}
	d.block(live, opts)
	return d
}

// asDeclared returns a live org that is exactly as o declares it; what o doesn't
// manage is unknown. Cells and ids are not compared: changing them in the
// manifest writes nothing.
func asDeclared(o *state.DesiredOrg, id string) *state.Org {
	org := &state.Org{ID: cmp.Or(id, o.ID), Domain: o.Domain, Status: o.Status}
	if o.ManagesProducts() {
		org.Products = o.Products
	}
	return org
}

// place is a field of an org, or of the account.
type place struct{ org, field string }

// review adds the review to the plan: its counts, and as settings everything that
// the change declares and that no change, unfixable difference or settled field
// of the plan shows already.
func (p *Plan) review(kind ReviewKind, base, head *state.Desired, orgs []pair, settled []Settled, opts Options) {
	r := &Review{Kind: kind, Base: opts.Base, Head: opts.Revision, BaseNote: opts.BaseNote, Settings: []Setting{}, Settled: settled}
	p.Review = r
	written, shown := map[place]bool{}, map[place]bool{}
	for i := range p.Changes {
		c := &p.Changes[i]
		r.count(c.Origin)
		if c.IsObject() {
			c.show(shown)
			shown[place{c.Org, FieldDeclared}] = true
			continue
		}
		written[place{c.Org, declaredField(c.Action)}] = true
	}
	for at := range written {
		shown[at] = true
		shown[place{at.org, FieldDeclared}] = true // an org with a change is declared
	}
	for _, u := range p.Unfixable {
		shown[place{u.Org, u.Field}] = true
		shown[place{u.Org, FieldDeclared}] = true
		r.count(u.Origin)
	}
	for _, s := range settled {
		shown[place{s.Org, s.Field}] = true
	}
	unread := map[string]bool{}
	for _, u := range p.Unknown { // it isn't known whether anything would be written
		unread[u.Org] = true
		if u.Part != "" {
			shown[place{u.Org, FieldDeclared}] = true
			continue
		}
		for _, field := range []string{FieldProducts, FieldStatus, FieldRequestDeletion, FieldDeclared} {
			shown[place{u.Org, field}] = true
		}
	}

	if !opts.declaredOnly() {
		for _, d := range accountChanges(base, head) {
			if !shown[place{"", d.field}] {
				r.Settings = append(r.Settings, Setting{"", d.field, d.base, d.head})
			}
		}
	}
	names := aliases(head, base)
	for i := range orgs {
		all := orgs[i].settings(names, written, shown)
		if orgs[i].base != nil && orgs[i].head != nil && !unread[orgs[i].domain()] {
			all = append(all, orgs[i].objectSettings(shown)...)
		}
		r.Settings = append(r.Settings, all...)
	}
}

func (r *Review) count(o Origin) {
	switch o {
	case ThisChange:
		r.ThisChange++
	case ExistingDrift:
		r.ExistingDrift++
	case Conflict:
		r.Conflicts++
	}
}

// settings returns what the change declares for the org and nothing else shows.
func (p *pair) settings(names map[string]string, written, shown map[place]bool) []Setting {
	domain := p.domain()
	switch {
	case p.head == nil:
		return []Setting{{domain, FieldDeclared, FieldDeclared, ""}}
	case p.base == nil && shown[place{domain, FieldDeclared}]:
		return nil
	case p.base == nil:
		return []Setting{{domain, FieldDeclared, "", FieldDeclared}}
	}
	var all []Setting
	for _, d := range p.changed(names) {
		at := place{domain, d.field}
		if shown[at] && !(d.field == FieldProducts && written[at] && p.dropsProducts()) {
			continue
		}
		all = append(all, Setting{domain, d.field, d.base, d.head})
	}
	return all
}

// accountChanges returns the keys of the account whose values differ.
func accountChanges(base, head *state.Desired) []declaration {
	return slices.DeleteFunc([]declaration{
		{FieldAccountID, base.Account.ID, head.Account.ID},
		{FieldAccountName, base.Account.Name, head.Account.Name},
	}, declaration.same)
}
