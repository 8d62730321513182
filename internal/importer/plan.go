package importer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"reconciler/internal/state"
)

// plan says what the manifests say once instead of at each org.
type plan struct {
	// sets are sorted by name.
	sets []set
	// defaults are those of each group of the survey.
	defaults []defaults
}

// set is a product set.
type set struct {
	name     string
	products bits
	// inner is the place of the set that this one contains; -1 without one.
	inner int
}

// defaults are those of a file. What is empty is not said.
type defaults struct {
	cell, status string
	// set is the place of the product set that is the default; -1 without one.
	// list is a default list of products, which excludes sets in the same file.
	set  int
	list bits
}

func (d *defaults) giveProducts() bool { return d.set >= 0 || d.list != nil }

func (d *defaults) empty() bool { return d.cell == "" && d.status == "" && !d.giveProducts() }

// plans returns the plans that are worth trying, the simplest first.
func plans(s *survey) []*plan {
	f := newFactoring(s)
	baseline := f.baseline()
	var all []*plan
	for _, c := range []choice{f.nothing(), f.lists(), baseline, f.more(baseline), f.more(f.nothing())} {
		p := &plan{defaults: make([]defaults, len(s.groups))}
		for i := range s.groups {
			orgs := s.groups[i].orgs
			p.defaults[i] = defaults{
				cell: common(orgs, func(o *org) string { return o.cell }),
				set:  -1,
				list: c.lists[i],
			}
			// Whoever adds an org to a file must not deactivate it by saying
			// nothing, unless that is what the file is for.
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

// common returns the value that most orgs have, if saying it once is shorter: it
// is when two have it. There is no default when an org has no value, for
// nothing could take the default back there.
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

// maxSetName bounds names that are made of the names of members.
const maxSetName = 40

// name turns chosen sets into named ones. A name tells what is in the set as
// long as that is short; the default of the most orgs is the baseline.
func (p *plan) name(s *survey, c choice) {
	taken := map[string]bool{}
	for _, product := range s.products {
		taken[product.name] = true
	}
	order := make([]int, len(c.sets)) // small ones first: they may be inside of others
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		a, b := c.sets[i].products, c.sets[j].products
		return cmp.Or(cmp.Compare(a.count(), b.count()), strings.Compare(a.key(), b.key()))
	})
	baseline := c.foremost(s)
	sets := make([]set, len(c.sets))
	for i := range sets {
		sets[i] = set{products: c.sets[i].products, inner: -1}
	}
	if baseline >= 0 {
		sets[baseline].name = free("baseline", taken)
	}
	bundles := 0
	for _, i := range order {
		inner := innermost(s, sets, i)
		sets[i].inner = inner
		if sets[i].name != "" {
			continue
		}
		name := strings.Join(members(s, sets, i), "-")
		if sets[i].products.count() == 1 {
			name += "-only"
		}
		if len(name) > maxSetName || strings.HasPrefix(name, "bundle-") || taken[name] || !usable(name) {
			bundles++
			name = fmt.Sprintf("bundle-%d", bundles)
		}
		sets[i].name = free(name, taken)
	}
	p.arrange(sets, c.defaults)
}

// innermost returns the set that saves most when it is named inside of the set i;
// -1 when the text would get longer. Sets that can be inside have their names.
func innermost(s *survey, sets []set, i int) int {
	best, most := -1, 0
	for j := range sets {
		inner := &sets[j]
		if j == i || inner.name == "" || !inner.products.within(sets[i].products) || inner.products.count() == sets[i].products.count() {
			continue
		}
		if saved := s.width(inner.products) - (len(inner.name) + 2); saved > most || saved == 0 && best < 0 {
			best, most = j, saved
		}
	}
	return best
}

// members returns what stands in the list of the set i.
func members(s *survey, sets []set, i int) []string {
	own, inner := sets[i].products, sets[i].inner
	if inner < 0 {
		return s.names(own)
	}
	return append([]string{sets[inner].name}, s.names(own.minus(sets[inner].products))...)
}

// arrange sorts the sets by name and puts the groups' defaults in place.
func (p *plan) arrange(sets []set, defaults []int) {
	order := make([]int, len(sets))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return strings.Compare(sets[i].name, sets[j].name) })
	place := make([]int, len(sets))
	for to, from := range order {
		place[from] = to
		p.sets = append(p.sets, sets[from])
	}
	for i := range p.sets {
		if p.sets[i].inner >= 0 {
			p.sets[i].inner = place[p.sets[i].inner]
		}
	}
	for g, set := range defaults {
		if set >= 0 {
			p.defaults[g].set = place[set]
		}
	}
}

// names returns the names of products, sorted.
func (s *survey) names(products bits) []string {
	var all []string
	for _, i := range products.places() {
		all = append(all, s.products[i].name)
	}
	return all
}

// width is how many bytes the names of products take in a list, each with a
// comma and a space behind it.
func (s *survey) width(products bits) int {
	n := 0
	for _, i := range products.places() {
		n += len(s.products[i].name) + 2
	}
	return n
}
