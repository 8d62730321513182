package diff

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"reconciler/internal/state"
	"reconciler/internal/strictyaml"
)

// Filter selects orgs by their domains, in any case.
type Filter struct {
	// Only, where not empty, are the only orgs that are selected. The account
	// itself is not then.
	Only []string
	// Exclude are orgs that are not selected.
	Exclude []string
}

// Has reports whether the org with this domain, or any of these, is selected.
func (f Filter) Has(domains ...string) bool {
	in := func(names []string) bool {
		return slices.ContainsFunc(domains, func(domain string) bool {
			return slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, domain) })
		})
	}
	return (len(f.Only) == 0 || in(f.Only)) && !in(f.Exclude)
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
