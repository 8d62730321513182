package diff

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"reconciler/internal/state"
	"reconciler/internal/strictyaml"
)

// Filter selects orgs by their domains, in any case, and by their labels.
type Filter struct {
	// Only, where not empty, are the only orgs that are selected. The account
	// itself is not then.
	Only []string
	// Exclude are orgs that are not selected.
	Exclude []string
	// Labels selects orgs by the labels that they are declared with; in a review, by the
	// head. The account itself is not selected then. See For.
	Labels state.Selector
	// labelled are the domains of the orgs that Labels selects.
	labelled map[string]bool
}

// For returns the filter for the orgs that head declares. Until then, none has any
// labels.
func (f Filter) For(head *state.Desired) Filter {
	if f.Labels.IsZero() {
		return f
	}
	f.labelled = map[string]bool{}
	for i := range head.Orgs {
		if o := &head.Orgs[i]; f.Labels.Has(o.Labels) {
			f.labelled[o.Domain] = true
		}
	}
	return f
}

// All reports whether everything is selected, the account as well.
func (f Filter) All() bool { return !f.declaredOnly() && len(f.Exclude) == 0 }

// declaredOnly reports whether only some of the declared orgs are selected, and not the
// account.
func (f Filter) declaredOnly() bool { return len(f.Only) > 0 || !f.Labels.IsZero() }

// Has reports whether the org with this domain, or any of these, is selected.
func (f Filter) Has(domains ...string) bool {
	in := func(names []string) bool {
		return slices.ContainsFunc(domains, func(domain string) bool {
			return slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, domain) })
		})
	}
	labelled := f.Labels.IsZero() || slices.ContainsFunc(domains, func(domain string) bool { return f.labelled[domain] })
	return labelled && (len(f.Only) == 0 || in(f.Only)) && !in(f.Exclude)
}

var errNoOrgLeft = errors.New("no declared org is left: the filters leave out all of them")

// check rejects a filter with an org that is neither declared in any of the given
// states nor, for Exclude, live, if that is known. A mistyped exclusion would
// let the org be written that it was to protect.
func (f Filter) check(actual *state.Actual, declaring ...*state.Desired) error {
	var declared []string
	for _, d := range declaring {
		for i := range d.Orgs {
			declared = append(declared, d.Orgs[i].Domain)
		}
	}
	const undeclared = "is not declared in the manifests"
	if err := checkDomains("org", f.Only, declared, undeclared); err != nil {
		return err
	}
	if actual == nil {
		return checkDomains("excluded org", f.Exclude, declared, undeclared)
	}
	known := slices.Clone(declared)
	for i := range actual.Orgs {
		known = append(known, actual.Orgs[i].Domain)
	}
	return checkDomains("excluded org", f.Exclude, known, "is neither declared nor managed by the account")
}

func checkDomains(what string, names, known []string, complaint string) error {
	for _, name := range names {
		domain := strings.ToLower(name)
		if domain == "" || !slices.Contains(known, domain) {
			return fmt.Errorf("%s %q %s%s", what, name, complaint, strictyaml.DidYouMean(domain, known))
		}
	}
	return nil
}
