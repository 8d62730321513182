package importer

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Finding the sets with the shortest text is hard, so the search is greedy: choose
// the default that saves most, or none; add the set that saves most, as long as
// there is one; drop those that are no longer worth their definition. All such
// choices are written, and the shortest text is used.

const (
	// maxSets limits the product sets to a number that a reader can remember.
	maxSets = 12
	// maxCandidates limits the sets that are considered, and maxPairs the
	// combinations of which any two are intersected.
	maxCandidates = 400
	maxPairs      = 60
	// maxMembers limits the products of a set; the loader accepts more.
	maxMembers = 500
	// nameGuess is the assumed length of a set's name.
	nameGuess = 12
)

// Bytes of the lines of an org, without names.
const (
	listLine   = len("    products: []\n")
	setsLine   = len("    productSets: []\n")
	ignoreLine = len("    productPolicy: ignore\n")
	// setLine is the definition of a set, refLine a line that names one set.
	setLine = len("  : []\n") + nameGuess
	refLine = setsLine + nameGuess
)

// choice is the sets and defaults of a plan.
type choice struct {
	sets []candidate
	// defaults is the index of each group's default set, or -1; lists is the
	// default list of products of each group, or nil.
	defaults []int
	lists    []bits
}

// mostUsed returns the index of the set that is the default of most orgs, or -1.
func (c *choice) mostUsed(s *survey) int {
	orgs := make([]int, len(c.sets))
	best := -1
	for g, set := range c.defaults {
		if set >= 0 {
			orgs[set] += len(s.groups[g].orgs)
		}
	}
	for set, n := range orgs {
		if n > 0 && (best < 0 || n > orgs[best]) {
			best = set
		}
	}
	return best
}

// combination is a set of products that orgs of one group have.
type combination struct {
	products bits
	orgs     int
	group    int
	width    int // of the products' names
	plain    int // bytes of the line that lists all of them
}

// candidate is a set of products that may be worth a name.
type candidate struct {
	products bits
	width    int
	orgs     int // that have all of them
	exact    int // that have these and no others
}

// factoring looks for what orgs have in common.
type factoring struct {
	s            *survey
	combinations []combination
	// managed is how many orgs of each group have products to declare; ignoring
	// is how many have none, and must undo a default that has some.
	managed, ignoring []int
	candidates        []candidate
}

func newFactoring(s *survey) *factoring {
	f := &factoring{s: s, managed: make([]int, len(s.groups)), ignoring: make([]int, len(s.groups))}
	for g := range s.groups {
		f.count(g)
	}
	f.findCandidates()
	return f
}

func (f *factoring) count(g int) {
	at := map[string]int{}
	first := len(f.combinations)
	for _, o := range f.s.groups[g].orgs {
		if o.products == nil {
			f.ignoring[g]++
			continue
		}
		f.managed[g]++
		key := o.products.key()
		i, ok := at[key]
		if !ok {
			i = len(f.combinations)
			at[key] = i
			width := f.s.width(o.products)
			f.combinations = append(f.combinations, combination{products: o.products, group: g, width: width, plain: listBytes(width)})
		}
		f.combinations[i].orgs++
	}
	// The result must not depend on the order of orgs.
	slices.SortFunc(f.combinations[first:], func(a, b combination) int { return strings.Compare(a.products.key(), b.products.key()) })
}

// listBytes returns the length of a line that lists products of this width.
func listBytes(width int) int { return listLine + max(0, width-2) }

// findCandidates finds the best candidates among the combinations, what the
// frequent ones have in common, and the most frequent products.
func (f *factoring) findCandidates() {
	found := map[string]bits{}
	add := func(b bits) {
		if n := b.count(); n > 0 && n <= maxMembers {
			found[b.key()] = b
		}
	}
	for i := range f.combinations {
		add(f.combinations[i].products)
	}
	frequent := slices.SortedStableFunc(slices.Values(f.combinations), func(a, b combination) int { return cmp.Compare(b.orgs, a.orgs) })
	frequent = frequent[:min(len(frequent), maxPairs)]
	for i := range frequent {
		for j := range i {
			add(frequent[i].products.and(frequent[j].products))
		}
	}
	for _, b := range f.mostFrequent() {
		add(b)
	}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		c := candidate{products: found[key], width: f.s.width(found[key])}
		for i := range f.combinations {
			k := &f.combinations[i]
			if !c.products.within(k.products) {
				continue
			}
			c.orgs += k.orgs
			if c.width == k.width {
				c.exact += k.orgs
			}
		}
		f.candidates = append(f.candidates, c)
	}
	slices.SortStableFunc(f.candidates, func(a, b candidate) int { return cmp.Compare(b.orgs*b.width, a.orgs*a.width) })
	f.candidates = f.candidates[:min(len(f.candidates), maxCandidates)]
}

// mostFrequent returns the product that most orgs have, the two that most have,
// and so on.
func (f *factoring) mostFrequent() []bits {
	count := make([]int, len(f.s.products))
	for i := range f.combinations {
		for _, product := range f.combinations[i].products.indexes() {
			count[product] += f.combinations[i].orgs
		}
	}
	order := make([]int, len(count))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(count[j], count[i]) })
	var all []bits
	sum := newBits(len(f.s.products))
	for _, product := range order[:min(len(order), maxPairs)] {
		sum = slices.Clone(sum)
		sum.add(product)
		all = append(all, sum)
	}
	return all
}

// none returns a choice without sets and defaults.
func (f *factoring) none() choice {
	return choice{defaults: slices.Repeat([]int{-1}, len(f.s.groups)), lists: make([]bits, len(f.s.groups))}
}

// lists returns a choice without sets; the default of each group is the list of
// products that most of its orgs have, if that saves something. An empty list is
// never a default: it would disable all products of an org that is added.
func (f *factoring) lists() choice {
	c := f.none()
	for _, k := range f.combinations {
		saved := k.orgs*k.plain - k.plain - f.ignoring[k.group]*ignoreLine
		if saved > 0 && k.width > 0 && 2*k.orgs > f.managed[k.group] {
			c.lists[k.group] = k.products
		}
	}
	return c
}

// baseline returns the choice of the one set that saves most as a default, or of
// none.
func (f *factoring) baseline() choice {
	chosen := f.none()
	best := f.total(&chosen)
	for i := range f.candidates {
		trial := f.none()
		trial.sets = []candidate{f.candidates[i]}
		total := f.chooseDefaults(&trial)
		if total < best && slices.ContainsFunc(trial.defaults, func(set int) bool { return set >= 0 }) {
			best, chosen = total, trial
		}
	}
	return chosen
}

// addSets adds sets to a choice as long as each is worth a name: two orgs at
// least must have exactly these products, and the orgs must get shorter by a
// fiftieth. Otherwise meaningless sets would be added to save a few bytes.
func (f *factoring) addSets(c choice) choice {
	cost, total := make([]int, len(f.combinations)), 0
	for i := range cost {
		cost[i] = f.cost(&f.combinations[i], &c)
		total += f.combinations[i].orgs * cost[i]
	}
	for len(c.sets) < maxSets {
		best, most := -1, total/50
		for i := range f.candidates {
			set := &f.candidates[i]
			if set.exact < 2 {
				continue
			}
			if saved := f.savings(set, cost) - f.definition(set, c.sets); saved > most {
				best, most = i, saved
			}
		}
		if best < 0 {
			break
		}
		c.sets = append(slices.Clip(c.sets), f.candidates[best])
		for i := range cost {
			cost[i] = min(cost[i], f.cost(&f.combinations[i], &c))
		}
	}
	f.chooseDefaults(&c)
	f.prune(&c)
	return c
}

// savings returns how many bytes the orgs that can name the set k save; cost is
// the present cost of each combination.
func (f *factoring) savings(k *candidate, cost []int) int {
	saved := 0
	for i := range f.combinations {
		if c := &f.combinations[i]; cost[i] > refLine && k.products.within(c.products) {
			saved += c.orgs * max(0, cost[i]-k.cost(c))
		}
	}
	return saved
}

// chooseDefaults sets the default of each group to the set that saves most, and
// returns the total. At least half of a group's orgs must have a default, however
// much another would save, because it applies to every org that is added.
func (f *factoring) chooseDefaults(c *choice) int {
	best := make([]int, len(c.defaults))
	chosen := slices.Repeat([]int{-1}, len(c.defaults))
	for d := -1; d < len(c.sets); d++ {
		c.defaults = slices.Repeat([]int{d}, len(c.defaults))
		for g, n := range f.groupTotals(c) {
			if d < 0 || n < best[g] && f.isCommon(&c.sets[d], g) {
				best[g], chosen[g] = n, d
			}
		}
	}
	c.defaults = chosen
	return f.total(c)
}

// isCommon reports whether at least half of a group's orgs, and more than one,
// have all of the set.
func (f *factoring) isCommon(set *candidate, g int) bool {
	orgs := 0
	for i := range f.combinations {
		if k := &f.combinations[i]; k.group == g && set.products.within(k.products) {
			orgs += k.orgs
		}
	}
	return orgs >= 2 && 2*orgs >= f.managed[g]
}

// prune drops sets that are not worth their definition.
func (f *factoring) prune(c *choice) {
	total := f.total(c)
	for i := len(c.sets) - 1; i >= 0; i-- {
		trial := *c
		trial.sets = slices.Delete(slices.Clone(c.sets), i, i+1)
		if without := f.chooseDefaults(&trial); without <= total {
			*c, total = trial, without
		}
	}
}

// total returns about how many bytes a choice takes.
func (f *factoring) total(c *choice) int {
	n := 0
	for _, group := range f.groupTotals(c) {
		n += group
	}
	for i := range c.sets {
		n += f.definition(&c.sets[i], c.sets[:i])
	}
	return n
}

// groupTotals returns about how many bytes the orgs and defaults of each group
// take.
func (f *factoring) groupTotals(c *choice) []int {
	totals := make([]int, len(c.defaults))
	for g, set := range c.defaults {
		if set >= 0 {
			totals[g] = refLine - 2 + f.ignoring[g]*ignoreLine
		}
	}
	for i := range f.combinations {
		k := &f.combinations[i]
		totals[k.group] += k.orgs * f.cost(k, c)
	}
	return totals
}

// cost returns how many bytes the products of an org take.
func (f *factoring) cost(k *combination, c *choice) int {
	best := k.plain
	if d := c.defaults[k.group]; d >= 0 {
		switch set := &c.sets[d]; {
		case set.products.equal(k.products):
			return 0
		case set.products.within(k.products):
			best = listBytes(k.width - set.width)
		case k.width > 0:
			best += setsLine
		}
	}
	for i := range c.sets {
		if set := &c.sets[i]; set.products.within(k.products) {
			best = min(best, set.cost(k))
		}
	}
	return best
}

// cost returns how many bytes it takes to name the set, which is within k, and
// the rest of k.
func (c *candidate) cost(k *combination) int {
	if k.width == c.width {
		return refLine
	}
	return refLine + listBytes(k.width-c.width)
}

// definition returns how many bytes the definition of a set beside others takes.
func (f *factoring) definition(set *candidate, others []candidate) int {
	least := set.width
	for i := range others {
		if inner := &others[i]; inner.products.within(set.products) {
			least = min(least, nameGuess+2+set.width-inner.width)
		}
	}
	return setLine + least
}
