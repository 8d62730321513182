package diff

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"reconciler/internal/state"
	"reconciler/internal/strictyaml"
)

// Options is what Compute needs to know beside desired and actual.
type Options struct {
	// Account is the id of the configured Aerial account.
	Account string
	// Revision is the commit that desired was read from, or empty.
	Revision string
	Guards   Guards
	// Only, where not empty, names the domains to look at; all others and the
	// account are left out of the plan.
	Only []string
	// Exclude names domains to leave out.
	Exclude []string
	// DeletionRequested says of which orgs, by id, Okta was asked for the
	// deletion before: no field of an org tells. Nil means of none.
	DeletionRequested func(orgID string) bool
}

// Reasons why a change is blocked.
const (
	blockedReport    = "mode: report"
	blockedProtected = "protected"
	blockedNoCell    = "linking needs a cell: give the org a `cell`"
	blockedNameless  = "the account has an org that Okta lists without a domain, and it may be this one: give the org its `id`"
)

// Compute gives the plan that leads from actual to desired. The error is the
// user's to mend and leaves no plan: manifests for another account, products
// that the account doesn't subscribe to, filters that name no org.
//
// Orgs that don't exist yet are simulated: a new org has no products and is
// ACTIVE once it is linked, so its whole chain of changes is in the plan.
func Compute(desired *state.Desired, actual *state.Actual, opts Options) (*Plan, error) {
	if err := checkAccount(desired, actual, opts); err != nil {
		return nil, err
	}
	orgs, err := selectOrgs(desired, actual, opts)
	if err != nil {
		return nil, err
	}
	if err := checkEntitlement(orgs, desired, actual); err != nil {
		return nil, err
	}

	p := &Plan{
		Version:   PlanVersion,
		Account:   opts.Account,
		Revision:  opts.Revision,
		Changes:   []Change{},
		Unfixable: []Unfixable{},
		Unmanaged: []Unmanaged{},
		Unknown:   []Unknown{},
		Refusals:  []Refusal{},
	}
	if len(opts.Only) == 0 {
		p.Changes = append(p.Changes, renameAccount(desired, actual)...)
	}
	live := newIndex(actual)
	inSync := 0
	for _, org := range orgs {
		d := compareOrg(org, live, opts)
		if d.empty() {
			inSync++
		}
		p.Changes = append(p.Changes, d.changes...)
		p.Unfixable = append(p.Unfixable, d.unfixable...)
		p.Unknown = append(p.Unknown, d.unknown...)
	}
	p.Unmanaged = append(p.Unmanaged, unmanaged(desired, actual, live, opts)...)
	p.Refusals = append(p.Refusals, opts.Guards.refusals(p.Changes, live, len(desired.Orgs))...)
	p.Products = productNames(p.Changes, desired, actual)
	p.Summary = summarize(p, len(desired.Orgs), len(orgs), inSync)
	return p, p.Seal()
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
		return fmt.Errorf("the Aerial API answered for account %q, but the config says %q: correct aerial.accountID",
			actual.Account.ID, opts.Account)
	}
	if id := desired.Account.ID; id != "" && id != opts.Account {
		return &strictyaml.Error{
			Pos: desired.Account.IDPos,
			Msg: fmt.Sprintf("these manifests are for account %q, but the config says %q: correct account.id here or aerial.accountID there", id, opts.Account),
		}
	}
	return nil
}

// selectOrgs gives the declared orgs that the filters leave, sorted by domain.
// A filter that matches nothing is a mistake: a mistyped --exclude would let
// the very org be written that somebody meant to spare.
func selectOrgs(desired *state.Desired, actual *state.Actual, opts Options) ([]state.DesiredOrg, error) {
	var declared, known []string
	for _, o := range desired.Orgs {
		declared = append(declared, o.Domain)
	}
	known = append(known, declared...)
	for _, o := range actual.Orgs {
		known = append(known, o.Domain)
	}
	only, err := domainSet("--org", opts.Only, declared, "is not declared in the manifests")
	if err != nil {
		return nil, err
	}
	exclude, err := domainSet("--exclude", opts.Exclude, known, "is neither declared nor managed by the account")
	if err != nil {
		return nil, err
	}

	var orgs []state.DesiredOrg
	for _, o := range desired.Orgs {
		if (len(only) == 0 || only[o.Domain]) && !exclude[o.Domain] {
			orgs = append(orgs, o)
		}
	}
	if len(orgs) == 0 {
		return nil, fmt.Errorf("no declared org is left to look at: check --org and --exclude")
	}
	slices.SortFunc(orgs, func(a, b state.DesiredOrg) int { return strings.Compare(a.Domain, b.Domain) })
	return orgs, nil
}

func domainSet(flag string, names, known []string, complaint string) (map[string]bool, error) {
	set := map[string]bool{}
	for _, name := range names {
		domain := strings.ToLower(name)
		if domain == "" || !slices.Contains(known, domain) {
			return nil, fmt.Errorf("%s %q: this org %s%s", flag, name, complaint, strictyaml.DidYouMean(domain, known))
		}
		set[domain] = true
	}
	return set, nil
}

// checkEntitlement finds products that are wanted but not bought. Okta would
// refuse each such write; saying so beforehand keeps a run from stopping
// half-way.
func checkEntitlement(orgs []state.DesiredOrg, desired *state.Desired, actual *state.Actual) error {
	subscribed := map[string]bool{}
	for _, p := range actual.Catalog {
		subscribed[p.ID] = true
	}
	type wish struct {
		pos     state.Pos
		product string
	}
	wishes := map[wish][]string{}
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
			w := wish{pos, id}
			wishes[w] = append(wishes[w], o.Domain)
		}
	}
	var errs strictyaml.Errors // sorted by its Err
	for w, domains := range wishes {
		errs.Add(w.pos, "product %s is wanted by %s, but the account does not subscribe to it: buy it, or take it out",
			nameProduct(w.product, desired.Products), enumerate(domains))
	}
	return errs.Err()
}

// nameProduct gives `"sso" (P000052)`, or `"P000052"` for an id without a name.
func nameProduct(id string, names map[string]string) string {
	if alias := aliasOf(id, names); alias != "" {
		return fmt.Sprintf("%q (%s)", alias, id)
	}
	return fmt.Sprintf("%q", id)
}

// aliasOf gives the first name, in alphabetical order, that the manifests give
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

// enumerate gives "a, b and c", or "a, b, … and 290 more" for many.
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

func renameAccount(desired *state.Desired, actual *state.Actual) []Change {
	if desired.Account.Name == "" || desired.Account.Name == actual.Account.Name {
		return nil
	}
	return []Change{{
		Action: RenameAccount,
		Before: Text(actual.Account.Name),
		After:  Text(desired.Account.Name),
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
		if !declared[o.ID] && !slices.ContainsFunc(opts.Exclude, func(d string) bool { return strings.EqualFold(d, o.Domain) }) {
			rest = append(rest, Unmanaged{Org: o.Domain, OrgID: o.ID})
		}
	}
	slices.SortFunc(rest, func(a, b Unmanaged) int {
		return cmp.Or(strings.Compare(a.Org, b.Org), strings.Compare(a.OrgID, b.OrgID))
	})
	return rest
}

// productNames names the products that the changes speak of.
func productNames(changes []Change, desired *state.Desired, actual *state.Actual) map[string]string {
	names := map[string]string{}
	for _, p := range actual.Catalog {
		names[p.ID] = p.Name
	}
	for alias, id := range desired.Products {
		if aliasOf(id, desired.Products) == alias {
			names[id] = alias
		}
	}
	spoken := map[string]string{}
	for _, c := range changes {
		for _, ids := range [][]string{c.Before.List(), c.After.List()} {
			for _, id := range ids {
				if names[id] != "" {
					spoken[id] = names[id]
				}
			}
		}
	}
	return spoken
}
