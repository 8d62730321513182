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
	// BaseNote says why Base is not the one that was asked for, or is empty.
	BaseNote string
	// Signer is who signed Revision, or empty.
	Signer string
	Guards Guards
	// Filter selects what the plan is about.
	Filter
	// DeletionRequested says of which orgs, by id, Okta was asked for the
	// deletion before: no field of an org tells. Nil means of none.
	DeletionRequested func(orgID string) bool
	// Held says why nothing may be written to an org now, such as a freeze
	// window and the time when it ends, in one line; "" that it may. The domain
	// "" stands for the account itself. Nil means that nothing is ever held.
	Held func(domain string) string
	// CoolingOff says, in the same way, why an org may not be deactivated or
	// deleted yet, of which c is the change. It must not alter c. Nil means that
	// no deactivation ever waits. Like Held, it must give the same answer to the
	// same question each time.
	CoolingOff func(c *Change) string
}

// held is Held, and says that nothing is where that is nil.
func (o *Options) held(domain string) string {
	if o.Held == nil {
		return ""
	}
	return o.Held(domain)
}

// coolingOff is CoolingOff, and says that nothing is where that is nil.
func (o *Options) coolingOff(c *Change) string {
	if o.CoolingOff == nil {
		return ""
	}
	return o.CoolingOff(c)
}

// Reasons why a change is blocked.
const (
	blockedReport    = "mode: report"
	blockedProtected = "protected"
	blockedNoCell    = "linking needs a cell: give the org a `cell`"
	blockedNameless  = "the account has an org that Okta lists without a domain, and it may be this one: give the org its `id`"
	blockedAerial    = roleAerial + " is never deactivated"
	blockedParent    = roleParent + " is never deactivated"
)

// Compute returns the plan that leads from actual to desired. The error is the
// user's to mend and leaves no plan: manifests for another account, products
// that the account doesn't subscribe to, filters that name no org.
//
// Orgs that don't exist yet are simulated: a new org has no products and is
// ACTIVE once it is linked, so its whole chain of changes is in the plan.
func Compute(desired *state.Desired, actual *state.Actual, opts Options) (*Plan, error) {
	if err := checkAccount(desired, actual, opts); err != nil {
		return nil, err
	}
	if err := opts.check(actual, desired); err != nil {
		return nil, err
	}
	orgs := opts.orgs(desired)
	if len(orgs) == 0 {
		return nil, errNoOrgLeft
	}
	if err := checkEntitlement(orgs, desired, actual); err != nil {
		return nil, err
	}
	p := compute(desired, orgs, actual, opts)
	p.Products = productNames(p, actual.Catalog, desired)
	return p, p.Seal()
}

// newPlan returns a plan that says nothing yet.
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

// compute returns the plan for those of the declared orgs that are to be looked
// at. It has no product names and no digest yet.
func compute(desired *state.Desired, orgs []state.DesiredOrg, actual *state.Actual, opts Options) *Plan {
	p := newPlan(opts)
	if len(opts.Only) == 0 {
		p.Changes = append(p.Changes, renameAccount(desired, Text(actual.Account.Name), opts)...)
	}
	live := newIndex(actual)
	inSync := 0
	for _, org := range orgs {
		d := compareOrg(org, live, opts)
		if d.empty() {
			inSync++
		}
		p.add(d)
	}
	p.Unmanaged = append(p.Unmanaged, unmanaged(desired, actual, live, opts)...)
	p.Refusals = append(p.Refusals, opts.Guards.refusals(p.Changes, live, len(desired.Orgs))...)
	p.Summary = summarize(p, len(desired.Orgs), len(orgs), inSync)
	return p
}

func (p *Plan) add(d *orgDiff) {
	p.Changes = append(p.Changes, d.changes...)
	p.Unfixable = append(p.Unfixable, d.unfixable...)
	p.Unknown = append(p.Unknown, d.unknown...)
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

// checkAccount refuses to compare the manifests of one account with the live
// state of another: every org would look unlinked.
func checkAccount(desired *state.Desired, actual *state.Actual, opts Options) error {
	if actual.Account.ID != opts.Account {
		return fmt.Errorf("the Aerial API answered for account %q, but the config says %q: correct the account ID in the config",
			actual.Account.ID, opts.Account)
	}
	return checkManifestAccount(desired, opts.Account)
}

// checkManifestAccount refuses manifests that are for another account.
func checkManifestAccount(desired *state.Desired, account string) error {
	if id := desired.Account.ID; id != "" && id != account {
		return &strictyaml.Error{
			Pos: desired.Account.IDPos,
			Msg: fmt.Sprintf("these manifests are for account %q, but the config says %q: correct account.id here, or the account ID there", id, account),
		}
	}
	return nil
}

// checkEntitlement finds products that are wanted but not bought. Okta would
// refuse each such write; saying so beforehand keeps a run from stopping
// half-way.
func checkEntitlement(orgs []state.DesiredOrg, desired *state.Desired, actual *state.Actual) error {
	subscribed := map[string]bool{}
	for _, p := range actual.Catalog {
		subscribed[p.ID] = true
	}
	type missing struct {
		pos     state.Pos
		product string
	}
	missed := map[missing][]string{}
	for _, o := range orgs {
		if !o.ManagesProducts() {
			continue
		}
		for _, id := range o.Products {
			if subscribed[id] {
				continue
			}
			pos, ok := o.ProductPos[id]
			if !ok {
				pos = o.Pos
			}
			w := missing{pos, id}
			missed[w] = append(missed[w], o.Domain)
		}
	}
	var errs strictyaml.Errors // sorted by its Err
	for w, domains := range missed {
		errs.Add(w.pos, "product %s is wanted by %s, but the account does not subscribe to it: buy it, or take it out",
			nameProduct(w.product, desired.Products), enumerate(domains))
	}
	return errs.Err()
}

// nameProduct returns `"sso" (P000052)`, or `"P000052"` for an id without a name.
func nameProduct(id string, names map[string]string) string {
	if alias := aliasOf(id, names); alias != "" {
		return fmt.Sprintf("%q (%s)", alias, id)
	}
	return fmt.Sprintf("%q", id)
}

// aliasOf returns the first name, in alphabetical order, that the manifests give
// to a product.
func aliasOf(id string, names map[string]string) string {
	best := ""
	for alias, target := range names {
		if target == id && (best == "" || alias < best) {
			best = alias
		}
	}
	return best
}

// shown is how many names a message lists before it only counts the rest.
const shown = 10

// enumerate returns "a, b and c", or "a, b, … and 290 more" for many.
func enumerate(names []string) string {
	switch n := len(names); {
	case n == 1:
		return names[0]
	case n <= shown:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	default:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), n-shown)
	}
}

// renameAccount plans the account's name; before is nothing where nobody knows it.
func renameAccount(desired *state.Desired, before Value, opts Options) []Change {
	if desired.Account.Name == "" || desired.Account.Name == before.Text() {
		return nil
	}
	return []Change{{
		Action:  RenameAccount,
		Before:  before,
		After:   Text(desired.Account.Name),
		Blocked: opts.held(""),
	}}
}

func unmanaged(desired *state.Desired, actual *state.Actual, live *index, opts Options) []Unmanaged {
	if len(opts.Only) > 0 {
		return nil
	}
	declared := map[string]bool{}
	for i := range desired.Orgs {
		for _, org := range live.candidates(&desired.Orgs[i]) {
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

// productNames names the products that the plan speaks of: by the catalog, and
// rather by the first of the manifests that names them.
func productNames(p *Plan, catalog []state.Product, manifests ...*state.Desired) map[string]string {
	names := aliases(manifests...)
	for _, p := range catalog {
		if names[p.ID] == "" {
			names[p.ID] = p.Name
		}
	}
	spoken := map[string]string{}
	speak := func(values ...Value) {
		for _, v := range values {
			for _, id := range v.List() {
				if names[id] != "" {
					spoken[id] = names[id]
				}
			}
		}
	}
	for i := range p.Changes {
		c := &p.Changes[i]
		speak(c.Before, c.After, c.Base)
	}
	if p.Review != nil {
		for _, s := range p.Review.Settled {
			speak(s.Base, s.Head)
		}
	}
	return spoken
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
