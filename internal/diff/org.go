package diff

import (
	"fmt"
	"slices"
	"strings"

	"reconciler/internal/okta/objects"
	"reconciler/internal/state"
)

// index finds live orgs.
type index struct {
	byID map[string]*state.Org
	// byDomain has more than one org under a domain that Okta lists twice, as
	// it may for an org whose namesake was deleted.
	byDomain map[string][]*state.Org
	// nameless is set if some org came without a domain: then no declared org
	// is certain to be missing.
	nameless bool
	// aerial is set if the API marks some org as the Aerial org.
	aerial bool
	// subscribed are the ids of the account's products, enabled those that some
	// org has.
	subscribed, enabled map[string]bool
	// names are the manifests' names of products by id.
	names map[string]string
}

// newIndex returns the index of the actual state. manifests name its products.
func newIndex(actual *state.Actual, manifests ...*state.Desired) *index {
	x := &index{
		byID: map[string]*state.Org{}, byDomain: map[string][]*state.Org{},
		subscribed: map[string]bool{}, enabled: map[string]bool{}, names: aliases(manifests...),
	}
	for _, p := range actual.Catalog {
		x.subscribed[p.ID] = true
	}
	for i := range actual.Orgs {
		org := &actual.Orgs[i]
		x.byID[org.ID] = org
		x.aerial = x.aerial || org.AerialOrg
		for _, id := range org.Products {
			x.enabled[id] = true
		}
		if org.Domain == "" {
			x.nameless = true
			continue
		}
		x.byDomain[org.Domain] = append(x.byDomain[org.Domain], org)
	}
	for _, orgs := range x.byDomain {
		slices.SortFunc(orgs, func(a, b *state.Org) int { return strings.Compare(a.ID, b.ID) })
	}
	return x
}

// candidates returns the live orgs that match a declared one: the one with its
// id, then those with its domain. The first is the best match.
func (x *index) candidates(org *state.DesiredOrg) []*state.Org {
	var found []*state.Org
	if o := x.byID[org.ID]; org.ID != "" && o != nil {
		found = append(found, o)
	}
	for _, o := range x.byDomain[org.Domain] {
		if !slices.Contains(found, o) {
			found = append(found, o)
		}
	}
	return found
}

// find returns the candidates for a declared org or, where there is none, the one
// that was created for it and has another domain since.
func (x *index) find(org *state.DesiredOrg, opts Options) []*state.Org {
	found := x.candidates(org)
	if len(found) == 0 && org.ID == "" {
		if o := x.byID[reason(opts.Created, org.Domain)]; o != nil {
			return []*state.Org{o}
		}
	}
	return found
}

// notSubscribed returns the products that a declared org wants and that the
// account doesn't subscribe to.
func (x *index) notSubscribed(org *state.DesiredOrg) []string {
	if !org.ManagesProducts() {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(org.Products), func(id string) bool { return x.subscribed[id] })
}

// orgDiff holds the differences between one declared org and the live one.
type orgDiff struct {
	org *state.DesiredOrg
	// deletionRequested is that of Options.
	deletionRequested func(orgID string) bool
	// gainsOnly is set if what the org would lose is blocked. Then gain and loss
	// of products are two changes, so that the one is made without the other.
	gainsOnly bool
	changes   []Change
	unfixable []Unfixable
	unknown   []Unknown
	notes     []Note
	// objects counts those of the org's configuration by kind; lockouts and
	// lockoutsKept are those of Configuration.
	objects                map[string]ObjectSummary
	lockouts, lockoutsKept []string
	// needs are the objects that must be written before others, by the others' fields.
	needs map[string][]objects.Ref
}

func (d *orgDiff) empty() bool {
	return len(d.changes) == 0 && len(d.unfixable) == 0 && len(d.unknown) == 0
}

func compareOrg(desired state.DesiredOrg, live *index, opts Options) *orgDiff {
	d := &orgDiff{org: &desired, deletionRequested: opts.DeletionRequested, gainsOnly: desired.Protected || opts.Stale != ""}
	if opts.Configuration != nil {
		d.objects = unknownObjects(&desired)
	}
	switch found := live.find(&desired, opts); {
	case len(found) == 0:
		d.missing(live)
		d.configureLater()
		d.noteCell(live, opts)
	case !d.mismatched(found):
		d.compare(found[0], opts)
		for i := range d.unknown {
			u := &d.unknown[i]
			u.MayLose = u.Part == "" && d.mayLose(found[0], live, opts) || u.Part != "" && d.mayLoseObjects(opts)
		}
		d.askForID(found[0])
	}
	d.entitle(live)
	d.block(live, opts)
	return d
}

// mismatched reports whether the manifest's id and domain don't match one and the
// same live org. Then nothing is written: it may not be the intended org.
func (d *orgDiff) mismatched(found []*state.Org) bool {
	org := found[0]
	switch {
	case d.org.ID == "" && len(found) > 1:
		var ids []string
		for _, o := range found {
			ids = append(ids, o.ID)
		}
		d.cannotFix("id", "", enumerate(ids))
		return true
	case d.org.ID != "" && org.ID != d.org.ID:
		d.cannotFix("id", d.org.ID, org.ID)
		return true
	case org.Domain != "" && org.Domain != d.org.Domain:
		d.cannotFix("domain", d.org.Domain, org.Domain)
		why := fmt.Sprintf("renamed: change the domain in the manifest (%s)", d.org.Pos)
		if d.org.ID == "" {
			why += fmt.Sprintf(", and add `id: %s`", org.ID)
		}
		d.unfixable[len(d.unfixable)-1].Reason = why
		return true
	}
	return false
}

// mayLose reports whether the org, which could not be read, might lose something
// now if it could be.
func (d *orgDiff) mayLose(org *state.Org, live *index, opts Options) bool {
	if d.org.Mode == state.Report || d.gainsOnly || reason(opts.Held, d.org.Domain) != "" {
		return false
	}
	if d.org.ManagesProducts() && d.org.ProductPolicy == state.Exact {
		known := org.Unknown == "" && org.Products != nil
		if !known || len(minus(org.Products, d.org.Products)) > 0 {
			return true
		}
	}
	would := &orgDiff{org: d.org, deletionRequested: d.deletionRequested}
	if d.org.Status == state.Inactive && org.Status != state.Inactive {
		would.status(org.ID, org.Status)
	}
	would.deletion(org)
	would.block(live, opts)
	return slices.ContainsFunc(would.changes, func(c Change) bool { return c.Blocked == "" })
}

func (d *orgDiff) cannotFix(field, desired, actual string) {
	d.unfixable = append(d.unfixable, Unfixable{Org: d.org.Domain, Field: field, Desired: desired, Actual: actual})
}

// entitle blocks all changes of an org that wants products to which the account
// doesn't subscribe: Okta would refuse them half-way.
func (d *orgDiff) entitle(live *index) {
	missing := live.notSubscribed(d.org)
	if len(missing) == 0 {
		d.keepUnsubscribed(live)
		return
	}
	no := "no longer subscribes"
	if slices.ContainsFunc(missing, func(id string) bool { return !live.enabled[id] }) {
		no = "does not subscribe"
	}
	why := fmt.Sprintf("%s: the account %s to %s: buy what is missing, take it out of the manifest, or correct its id (%s)",
		blockedUnentitled, no, enumerate(named(missing, live.names)), productPos(d.org, missing[0]))
	d.cannotFix(FieldProducts, strings.Join(missing, ", "), "not subscribed")
	d.blockAll(why)
	if d.org.Mode == state.Report {
		why = blockedReport + "; " + why // which nobody wants to be done
	}
	d.unfixable[len(d.unfixable)-1].Reason = why
}

// keepUnsubscribed blocks changes that would write a product again which the org
// keeps and the account no longer subscribes to: Okta refuses the whole list.
func (d *orgDiff) keepUnsubscribed(live *index) {
	for i := range d.changes {
		c := &d.changes[i]
		if c.Action != UpdateProducts {
			continue
		}
		kept := slices.DeleteFunc(slices.Clone(c.After.List()), func(id string) bool { return live.subscribed[id] })
		if len(kept) > 0 {
			c.Blocked = fmt.Sprintf("%s: the org keeps %s, to which the account no longer subscribes: buy it, or declare the org without it and exact",
				blockedUnentitled, enumerate(named(kept, live.names)))
		}
	}
}

func named(ids []string, names map[string]string) []string {
	all := make([]string, len(ids))
	for i, id := range ids {
		all[i] = nameProduct(id, names)
	}
	return all
}

// askForID asks for the id of an org that the manifest would create: it is what
// the org is still known by after a rename.
func (d *orgDiff) askForID(org *state.Org) {
	if d.org.Create != nil && d.org.ID == "" {
		d.notes = append(d.notes, Note{Org: d.org.Domain, Message: fmt.Sprintf(
			"it exists: put `id: %s` into its manifest (%s), so that it isn't created again if it is renamed", org.ID, d.org.Pos)})
	}
}

// noteCell notes that it can't be checked whether an org will be created in the
// declared cell, which is that of its parent: a parent need not be in the account.
func (d *orgDiff) noteCell(live *index, opts Options) {
	if d.org.Create == nil || d.org.ID != "" || d.org.RequestDeletion {
		return
	}
	if parent, ok := opts.Parents[d.org.Create.Parent]; ok && len(live.byDomain[parent]) == 0 {
		d.notes = append(d.notes, Note{Org: d.org.Domain, Message: fmt.Sprintf(
			"check by hand that `cell: %s` is right (%s): a new org gets the cell of its parent, and the account's list of orgs doesn't show the parent %q",
			d.org.Cell, d.org.Pos, d.org.Create.Parent)})
	}
}

func (d *orgDiff) cannotKnow(org *state.Org, why string) {
	d.unknown = append(d.unknown, Unknown{Org: d.org.Domain, OrgID: org.ID, Error: why, ErrorID: org.ErrorID, Hint: org.Hint})
}

// missing plans an org that isn't linked: it is created if the manifest says
// how, linked, and gets its products and its status.
func (d *orgDiff) missing(live *index) {
	if d.org.RequestDeletion {
		return // it is gone, as declared
	}
	d.link()
	// Before linking the org's products can't be read, and a new org has none.
	// Apply reads them after linking and never removes a product that this plan
	// couldn't include.
	d.products(&state.Org{ID: d.org.ID, Products: []string{}})
	if d.org.Status == state.Inactive {
		d.status(d.org.ID, state.Active)
	}
	if d.org.Cell == "" {
		d.blockAll(blockedNoCell)
	}
	if live.nameless && d.org.ID == "" {
		d.blockAll(blockedNameless)
	}
}

// link plans that an org is linked, after it was created if the manifest says
// how. An org with an id has been created.
func (d *orgDiff) link() {
	if d.org.Create != nil && d.org.ID == "" {
		d.add(Change{Action: CreateOrg, Irreversible: true, Cell: d.org.Cell, Create: d.org.Create})
	}
	d.add(Change{Action: LinkOrg, OrgID: d.org.ID, Irreversible: true, Cell: d.org.Cell})
}

// compare plans a linked org.
func (d *orgDiff) compare(org *state.Org, opts Options) {
	switch {
	case d.org.ManagesProducts() && org.Unknown != "":
		d.cannotKnow(org, org.Unknown)
		return
	case d.org.ManagesProducts() && org.Products == nil:
		d.cannotKnow(org, "the org's products were not read")
		return
	case d.org.Status != "" && org.Status == "":
		d.cannotKnow(org, "Okta's answer does not include the org's status")
		return
	}
	if d.org.Cell != "" && org.Cell != "" && d.org.Cell != org.Cell {
		d.cannotFix("cell", d.org.Cell, org.Cell)
	}
	if d.org.Status != "" && org.Status != state.Active && org.Status != state.Inactive {
		// The API may not be able to change a status that it can't set: such an
		// org is in some process of Okta's.
		d.cannotFix("status", string(d.org.Status), string(org.Status))
		return
	}
	d.fields(org)
	d.configure(org, opts)
}

// fields plans what can be written to a linked org. Nil products and an empty
// status mean that these are not known: their changes have no Before.
func (d *orgDiff) fields(org *state.Org) {
	d.products(org)
	if d.org.Status != "" && d.org.Status != org.Status {
		d.status(org.ID, org.Status)
	}
	d.deletion(org)
}

func (d *orgDiff) deletion(org *state.Org) {
	if d.org.RequestDeletion && !d.deletionPending(org) {
		d.add(Change{Action: RequestDeletion, OrgID: org.ID, Destructive: true, Irreversible: true})
	}
}

// deletionPending reports whether the org's deletion was requested and not
// withdrawn; an org that is active again had its request withdrawn.
func (d *orgDiff) deletionPending(org *state.Org) bool {
	return d.deletionRequested != nil && d.deletionRequested(org.ID) && org.Status == state.Inactive
}

func (d *orgDiff) add(c Change) {
	c.Org = d.org.Domain
	d.changes = append(d.changes, c)
}

func (d *orgDiff) status(id string, before state.Status) {
	d.add(Change{
		Action:      SetStatus,
		OrgID:       id,
		Before:      Text(string(before)),
		After:       Text(string(d.org.Status)),
		Destructive: d.org.Status == state.Inactive,
	})
}

// products plans the org's product set. An org that must not lose products, such as
// a protected one, still gets missing ones: the addition and the (blocked) removal
// become two changes.
func (d *orgDiff) products(org *state.Org) {
	if !d.org.ManagesProducts() {
		return
	}
	enable := minus(d.org.Products, org.Products)
	disable := []string{}
	if d.org.ProductPolicy == state.Exact {
		disable = minus(org.Products, d.org.Products)
	}
	if d.gainsOnly && len(enable) > 0 && len(disable) > 0 {
		grown := union(org.Products, enable)
		d.updateProducts(org.ID, org.Products, grown, enable, []string{})
		d.updateProducts(org.ID, grown, minus(grown, disable), []string{}, disable)
		return
	}
	// While the products are not known, an exact list always is a change.
	unseen := org.Products == nil && d.org.ProductPolicy == state.Exact
	if len(enable)+len(disable) > 0 || unseen {
		d.updateProducts(org.ID, org.Products, minus(union(org.Products, enable), disable), enable, disable)
	}
}

func (d *orgDiff) updateProducts(id string, before, after, enable, disable []string) {
	c := Change{
		Action:      UpdateProducts,
		OrgID:       id,
		After:       List(after),
		Enable:      enable,
		Disable:     disable,
		Additive:    d.org.ProductPolicy == state.Additive,
		Destructive: len(disable) > 0,
	}
	if before != nil {
		c.Before = List(before)
	}
	d.add(c)
}

// minus and union take sorted lists without duplicates and return such a list,
// never nil.
func minus(a, b []string) []string {
	rest := []string{}
	for _, s := range a {
		if _, found := slices.BinarySearch(b, s); !found {
			rest = append(rest, s)
		}
	}
	return rest
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
