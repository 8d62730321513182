package diff

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"reconciler/internal/state"
	"reconciler/internal/strictyaml"
)

// Options is what Compute and the reviews need to know beside the states.
type Options struct {
	// Account is the id of the configured Aerial account.
	Account string
	// Revision is the commit that desired (in a review: the head) was read
	// from, or empty.
	Revision string
	// Base is, in a review, the commit that the base was read from, or empty.
	Base string
	// BaseNote is why Base is not the requested commit, or empty.
	BaseNote string
	// Signer is who signed Revision, or empty.
	Signer string
	Guards Guards
	// Filter selects what the plan is about.
	Filter
	// Parents are the domains of the configured parents by their names; "" for one
	// whose domain is not known.
	Parents map[string]string
	// Created returns the id of the org that was created for a domain, as the
	// journal has it, or "". Nil means that nothing is known.
	Created func(domain string) string
	// NoDeletions is why no deletion can be requested at all, in one line, or "".
	NoDeletions string
	// Notes are taken into the plan, beside those of Compute.
	Notes []Note
	// DeletionRequested reports whether the deletion of an org was requested
	// before; no field of an org shows it. Nil means never.
	DeletionRequested func(orgID string) bool
	// Held returns why nothing may be written to an org now, such as a freeze
	// window and when it ends, in one line; "" if writes are allowed. The domain
	// "" is the account itself. Nil means that nothing is ever held.
	Held func(domain string) string
	// Stale, where not empty, is why desired is not the newest that was declared:
	// then nothing destructive and nothing irreversible is done.
	Stale string
	// Configuration returns what came of reading the configuration of a declared org,
	// or nil if it was not read. Nil means that no configuration is looked at. For
	// Revalidate it returns that of RecheckConfiguration.
	Configuration func(domain string) *Configuration
	// CoolingOff returns, in the same way, why an org may not be deactivated or
	// deleted yet by c, which it must not alter. Nil means that no deactivation
	// ever waits. Like Held, it must return the same for the same argument.
	CoolingOff func(c *Change) string
	// Contested returns, in the same way, why a change of an object that a parent org
	// may set is not made: it was made before, and undone each time. Nil means that
	// none ever was.
	Contested func(c *Change) string
}

// reason returns what Held, CoolingOff or Contested returns, and "" where it is nil.
func reason[T any](why func(T) string, of T) string {
	if why == nil {
		return ""
	}
	return why(of)
}

// Compute returns the plan that leads from actual to desired. The error is for
// the user to fix, and there is no plan: manifests for another account, orgs that
// can't be created as they are declared, an empty catalogue, filters that name no
// org. A product that the account doesn't subscribe to concerns the orgs that want
// it: nothing of them is changed.
//
// Orgs that don't exist yet are simulated: a new org has no products and is
// ACTIVE once it is linked, so its whole chain of changes is in the plan.
func Compute(desired *state.Desired, actual *state.Actual, opts Options) (*Plan, error) {
	p, _, err := compute(&state.Desired{}, desired, actual, opts)
	if err != nil {
		return nil, err
	}
	p.Products = productNames(p, actual.Catalog, desired)
	return p, p.Seal()
}

// newPlan returns a plan without content.
func newPlan(opts Options) *Plan {
	return &Plan{
		Version:   PlanVersion,
		Account:   opts.Account,
		Revision:  opts.Revision,
		Signer:    opts.Signer,
		Changes:   []Change{},
		Unfixable: []Unfixable{},
		Unmanaged: []Unmanaged{},
		Unknown:   []Unknown{},
		Refusals:  []Refusal{},
	}
}

// compute returns the plan that leads from actual to head, without product names
// and digest, and the orgs of base and head that the filters leave.
func compute(base, head *state.Desired, actual *state.Actual, opts Options) (*Plan, []pair, error) {
	if err := checkAccount(head, actual, opts); err != nil {
		return nil, nil, err
	}
	opts.Filter = opts.For(head)
	orgs, err := filteredPairs(base, head, actual, opts)
	if err != nil {
		return nil, nil, err
	}
	live := newIndex(actual, head)
	if len(actual.Catalog) == 0 {
		if err := checkEntitlement(orgs, nil, live); err != nil {
			return nil, nil, err
		}
	}
	if err := checkCreations(orgs, live, opts); err != nil {
		return nil, nil, err
	}
	p := newPlan(opts)
	p.renameAccount(head, Text(actual.Account.Name), opts)
	compared, inSync := 0, 0
	var all []*orgDiff // without those of which the plan says nothing
	for i := range orgs {
		if orgs[i].head == nil {
			continue
		}
		d := compareOrg(*orgs[i].head, live, opts)
		compared++
		if d.empty() {
			inSync++
		}
		p.countObjects(d)
		if !d.empty() || len(d.notes) > 0 {
			all = append(all, d)
		}
	}
	locked := p.add(all)
	p.Unmanaged = append(p.Unmanaged, unmanaged(head, actual, live, opts)...)
	toLose := map[string]bool{}
	for i := range head.Orgs { // those that the filters leave out are part of the fleet as well
		if o := &head.Orgs[i]; hasToLose(o, live, opts) {
			toLose[o.Domain] = true
		}
	}
	writable := p.judge(&opts.Guards, live, locked, toLose, CreateOrg, LinkOrg)
	for _, n := range opts.Notes {
		if opts.Has(n.Org) {
			p.Notes = append(p.Notes, n)
		}
	}
	for _, past := range head.PastLimits() {
		p.Notes = append(p.Notes, Note{Message: past.String()})
	}
	slices.SortStableFunc(p.Notes, func(a, b Note) int { return strings.Compare(a.Org, b.Org) })
	p.Summary = summarize(p, len(head.Orgs), compared, inSync)
	p.Summary.Writable = writable
	return p, orgs, nil
}

// add adds the differences of orgs to the plan, and returns which of these must not be
// written because they lock people out.
func (p *Plan) add(all []*orgDiff) (locked []orgLockout) {
	changes := 0
	for _, d := range all {
		changes += len(d.changes)
	}
	p.Changes = slices.Grow(p.Changes, changes) // there may be hundreds of thousands
	for _, d := range all {
		p.Changes = append(p.Changes, d.changes...)
		why := d.locked()
		d.changes = nil // the plan has them
		p.Unfixable = append(p.Unfixable, d.unfixable...)
		p.Unknown = append(p.Unknown, d.unknown...)
		p.Notes = append(p.Notes, d.notes...)
		if len(why) > 0 {
			locked = append(locked, orgLockout{d.org.Domain, why})
		}
	}
	return locked
}

// countObjects counts the objects of an org, if it declares some.
func (p *Plan) countObjects(d *orgDiff) {
	for kind, n := range d.objects {
		if p.Objects == nil {
			p.Objects = map[string]ObjectSummary{}
		}
		p.Objects[kind] = p.Objects[kind].plus(n)
	}
}

// sumObjects returns the sum of what countObjects has counted; nil if that is nothing.
func (p *Plan) sumObjects() *ObjectSummary {
	if p.Objects == nil {
		return nil
	}
	sum := &ObjectSummary{}
	for _, n := range p.Objects {
		*sum = sum.plus(n)
	}
	return sum
}

func summarize(p *Plan, declared, orgs, inSync int) Summary {
	s := Summary{
		Declared:  declared,
		Orgs:      orgs,
		InSync:    inSync,
		Changes:   len(p.Changes),
		Unmanaged: len(p.Unmanaged),
		Unfixable: len(p.Unfixable),
		Unknown:   len(p.Unknown),
		Objects:   p.sumObjects(),
	}
	for _, c := range p.Changes {
		if c.Blocked != "" {
			s.Blocked++
		}
		if c.Destructive {
			s.Destructive++
		}
	}
	return s
}

// checkAccount returns an error if the manifests, the live state and the config
// are not of the same account: every org would look unlinked.
func checkAccount(desired *state.Desired, actual *state.Actual, opts Options) error {
	if actual.Account.ID != opts.Account {
		return fmt.Errorf("the Aerial API answered for account %q, but the config says %q: correct the account ID in the config",
			actual.Account.ID, opts.Account)
	}
	return checkManifestAccount(desired, opts.Account)
}

// checkManifestAccount returns an error if the manifests are for another account.
func checkManifestAccount(desired *state.Desired, account string) error {
	if id := desired.Account.ID; id != "" && id != account {
		return &strictyaml.Error{
			Pos: desired.Account.IDPos,
			Msg: fmt.Sprintf("these manifests are for account %q, but the config says %q: correct account.id here, or the account ID there", id, account),
		}
	}
	return nil
}

// checkEntitlement returns an error for each product that the account doesn't
// subscribe to and that orgs want, but for those in known.
func checkEntitlement(orgs []pair, known map[string]bool, live *index) error {
	type missing struct {
		pos     state.Pos
		product string
	}
	missed := map[missing][]string{}
	for i := range orgs {
		o := orgs[i].head
		if o == nil {
			continue
		}
		for _, id := range live.notSubscribed(o) {
			if !known[id] {
				w := missing{productPos(o, id), id}
				missed[w] = append(missed[w], o.Domain)
			}
		}
	}
	var errs strictyaml.Errors // sorted by its Err
	for w, domains := range missed {
		errs.Add(w.pos, "product %s is wanted by %s, but the account does not subscribe to it: buy it, or take it out",
			nameProduct(w.product, live.names), enumerate(domains))
	}
	return errs.Err()
}

// productPos returns where an org's product is named.
func productPos(o *state.DesiredOrg, id string) state.Pos {
	if pos, ok := o.ProductPos.Find(id); ok {
		return pos
	}
	return o.Pos
}

// checkCreations returns an error for each org that would be created and could not
// be linked then, because its parent makes orgs elsewhere: the creation can't be
// undone.
func checkCreations(orgs []pair, live *index, opts Options) error {
	var errs strictyaml.Errors
	for i := range orgs {
		o := orgs[i].head
		if o == nil || o.Create == nil || o.ID != "" || len(live.find(o, opts)) > 0 {
			continue
		}
		parent := opts.Parents[o.Create.Parent]
		if err := state.CheckChild(o.Domain, parent); err != nil {
			errs.Add(o.Pos, "%v", err)
		}
		for _, p := range live.byDomain[parent] {
			if err := state.CheckCell(o.Domain, o.Cell, parent, p.Cell); err != nil {
				errs.Add(o.Pos, "%v", err)
			}
		}
	}
	return errs.Err()
}

// nameProduct returns `"sso" (P000052)`, or `"P000052"` for an id without a name.
func nameProduct(id string, names map[string]string) string {
	if name := names[id]; name != "" {
		return fmt.Sprintf("%q (%s)", name, id)
	}
	return fmt.Sprintf("%q", id)
}

// maxNames is how many names a message lists; it counts the rest.
const maxNames = 10

// enumerate returns "a, b and c", or "a, b, … and 290 more" for many.
func enumerate(names []string) string {
	switch n := len(names); {
	case n == 1:
		return names[0]
	case n <= maxNames:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	default:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNames], ", "), n-maxNames)
	}
}

// renameAccount plans the account's name; before is the zero Value if it is unknown.
func (p *Plan) renameAccount(desired *state.Desired, before Value, opts Options) {
	name := desired.Account.Name
	if !opts.declaredOnly() && name != "" && name != before.Text() {
		p.Changes = append(p.Changes, Change{Action: RenameAccount, Before: before, After: Text(name), Blocked: reason(opts.Held, "")})
	}
}

func unmanaged(desired *state.Desired, actual *state.Actual, live *index, opts Options) []Unmanaged {
	if opts.declaredOnly() {
		return nil
	}
	declared := map[string]bool{}
	for i := range desired.Orgs {
		for _, org := range live.find(&desired.Orgs[i], opts) {
			declared[org.ID] = true
		}
	}
	var rest []Unmanaged
	for _, o := range actual.Orgs {
		if !declared[o.ID] && opts.Has(o.Domain) {
			rest = append(rest, Unmanaged{Org: o.Domain, OrgID: o.ID})
		}
	}
	slices.SortFunc(rest, func(a, b Unmanaged) int {
		return cmp.Or(strings.Compare(a.Org, b.Org), strings.Compare(a.OrgID, b.OrgID))
	})
	return rest
}

// productNames returns the names of the products in the plan: those of the first
// manifests that name them, else of the catalog.
func productNames(p *Plan, catalog []state.Product, manifests ...*state.Desired) map[string]string {
	names := aliases(manifests...)
	for _, p := range catalog {
		if names[p.ID] == "" {
			names[p.ID] = p.Name
		}
	}
	used := map[string]string{}
	use := func(values ...Value) {
		for _, v := range values {
			for _, id := range v.List() {
				if names[id] != "" {
					used[id] = names[id]
				}
			}
		}
	}
	for i := range p.Changes {
		c := &p.Changes[i]
		use(c.Before, c.After, c.Base)
	}
	if p.Review != nil {
		for _, s := range p.Review.Settled {
			use(s.Base, s.Head)
		}
	}
	return used
}

// aliases returns the names of products by their ids: of several, the first in
// alphabetical order of the first manifests that have one.
func aliases(manifests ...*state.Desired) map[string]string {
	names := map[string]string{}
	for _, d := range manifests {
		own := map[string]string{}
		for alias, id := range d.Products {
			if best, ok := own[id]; !ok || alias < best {
				own[id] = alias
			}
		}
		for id, alias := range own {
			if _, ok := names[id]; !ok {
				names[id] = alias
			}
		}
	}
	return names
}
