package importer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"reconciler/internal/state"
)

// plan is what the manifests declare once instead of for each org.
type plan struct {
	sets []*set // sorted by name
	// defaults are those of each group of the survey.
	defaults []defaults
}

// set is a product set.
type set struct {
	name     string
	products bits
	inner    *set // the set that this one contains, or nil
}

// defaults are those of a file. Empty fields have no default.
type defaults struct {
	cell, status string
	// set is the default product set, or nil. list is a default list of
	// products, which excludes sets in the same file.
	set  *set
	list bits
}

func (d *defaults) haveProducts() bool { return d.set != nil || d.list != nil }

func (d *defaults) empty() bool { return d.cell == "" && d.status == "" && !d.haveProducts() }

// plans returns the plans that are worth trying, the simplest first.
func plans(s *survey) []*plan {
	f := newFactoring(s)
	baseline := f.baseline()
	var all []*plan
	for _, c := range []choice{f.none(), f.lists(), baseline, f.addSets(baseline), f.addSets(f.none())} {
		p := &plan{defaults: make([]defaults, len(s.groups))}
		for i := range s.groups {
			orgs := s.groups[i].orgs
			p.defaults[i] = defaults{cell: common(orgs, func(o *org) string { return o.cell }), list: c.lists[i]}
			// An org that is added to a file without a status must not be
			// deactivated, unless the file is for inactive orgs.
			status := common(orgs, func(o *org) string { return o.status })
			if status == string(state.Active) || s.opts.Split == ByStatus {
				p.defaults[i].status = status
			}
		}
		p.name(s, c)
		all = append(all, p)
	}
	return all
}

// common returns the value that most orgs have, if at least two have it. There is
// no default if any org has no value, because an org can't undo a default.
func common(orgs []*org, value func(*org) string) string {
	count := map[string]int{}
	for _, o := range orgs {
		count[value(o)]++
	}
	if count[""] > 0 {
		return ""
	}
	best := ""
	for _, v := range slices.Sorted(maps.Keys(count)) {
		if count[v] >= 2 && count[v] > count[best] {
			best = v
		}
	}
	return best
}

// maxSetName is the length of the longest name that consists of the names of a
// set's members.
const maxSetName = 40

// name names the chosen sets: by their members if that is short; the default of
// most orgs is the baseline.
func (p *plan) name(s *survey, c choice) {
	taken := map[string]bool{}
	for _, product := range s.products {
		taken[product.name] = true
	}
	sets := make([]*set, len(c.sets))
	for i := range sets {
		sets[i] = &set{products: c.sets[i].products}
	}
	if i := c.mostUsed(s); i >= 0 {
		sets[i].name = free("baseline", taken)
	}
	bySize := slices.SortedFunc(slices.Values(sets), func(a, b *set) int { // small ones may be inside of others
		return cmp.Or(cmp.Compare(a.products.count(), b.products.count()), strings.Compare(a.products.key(), b.products.key()))
	})
	bundles := 0
	for _, set := range bySize {
		set.inner = innermost(s, sets, set)
		if set.name != "" {
			continue
		}
		name := strings.Join(set.members(s), "-")
		if set.products.count() == 1 {
			name += "-only"
		}
		if len(name) > maxSetName || strings.HasPrefix(name, "bundle-") || taken[name] || !usable(name) {
			bundles++
			name = fmt.Sprintf("bundle-%d", bundles)
		}
		set.name = free(name, taken)
	}
	p.sets = slices.SortedFunc(slices.Values(sets), func(a, b *set) int { return strings.Compare(a.name, b.name) })
	for g, i := range c.defaults {
		if i >= 0 {
			p.defaults[g].set = sets[i]
		}
	}
}

// innermost returns the set with a name that saves most when outer contains it;
// nil if the text would get longer.
func innermost(s *survey, sets []*set, outer *set) *set {
	var best *set
	most := 0
	for _, inner := range sets {
		if inner == outer || inner.name == "" || !inner.products.within(outer.products) || inner.products.count() == outer.products.count() {
			continue
		}
		if saved := s.width(inner.products) - (len(inner.name) + 2); saved > most || saved == 0 && best == nil {
			best, most = inner, saved
		}
	}
	return best
}

func (c *set) members(s *survey) []string {
	if c.inner == nil {
		return s.names(c.products)
	}
	return append([]string{c.inner.name}, s.names(c.products.minus(c.inner.products))...)
}

func (s *survey) names(products bits) []string {
	var all []string
	for _, i := range products.indexes() {
		all = append(all, s.products[i].name)
	}
	return all
}

// width returns the bytes of the names of products in a list, each with a comma
// and a space after it.
func (s *survey) width(products bits) int {
	n := 0
	for _, i := range products.indexes() {
		n += len(s.products[i].name) + 2
	}
	return n
}
