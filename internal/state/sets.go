package state

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"reconciler/internal/strictyaml"
)

// Limits that no real account comes near. They keep sets of sets from expanding
// a small file to more than memory can hold.
const (
	// maxInSet is how many products a set may contain.
	maxInSet = 1000
	// maxListed is how many products all sets and orgs may have together.
	maxListed = 2_000_000
	// maxCompared is how many names are compared with wrong ones for hints.
	// Beyond it, messages have none.
	maxCompared = 1_000_000
	// maxCycle is how many sets of a cycle a message names.
	maxCycle = 10
)

// set is a product set.
type set struct {
	name    string
	members members
	// bad means that the members could not be read.
	bad bool
	pos Pos
	// resolved are the products of the set, without repeats, in the order in
	// which they are named.
	resolved []listed
	state    setState
	// depth is how many sets lead to this one while it is being resolved.
	depth int
}

type setState uint8

const (
	unresolved setState = iota
	resolving
	resolved
)

// listed is a product and where it is named.
type listed struct {
	id  string
	pos Pos
}

func (m *merger) productSets(doc *manifest) {
	for _, e := range doc.ProductSets.V {
		if err := checkName(e.Key); err != nil {
			m.errs.Add(e.Pos, "the name of a product set %v", err)
			continue
		}
		if isProductID(strings.ToUpper(e.Key)) {
			m.errs.Add(e.Pos, "product set name %s looks like a product id: choose another name", quote(e.Key))
		}
		first, dup := m.sets[e.Key]
		switch {
		case !dup || first.bad:
			m.sets[e.Key] = &set{name: e.Key, members: e.V.V, bad: e.V.Bad, pos: e.Pos}
		case e.V.OK() && !sameNames(first.members, e.V.V):
			m.errs.Add(e.Pos, "product set %s has other members here than at %s", quote(e.Key), first.pos)
		}
	}
}

// sameNames reports whether a and b have the same members in any order.
func sameNames(a, b members) bool { return slices.Equal(sortedNames(a), sortedNames(b)) }

func sortedNames(all members) []ref {
	names := make([]ref, len(all))
	for i, r := range all {
		names[i] = r.V
	}
	slices.Sort(names)
	return names
}

func (m *merger) resolveSets() {
	m.aliasNames = slices.Sorted(maps.Keys(m.aliases))
	m.setNames = slices.Sorted(maps.Keys(m.sets))
	m.memberNames = slices.Concat(m.aliasNames, m.setNames)
	for _, name := range m.setNames {
		s := m.sets[name]
		if a, clash := m.aliases[name]; clash {
			m.errs.Add(s.pos, "%s is a product set here and a product at %s: rename one", quote(name), a.pos)
		}
		m.repeats("productSets."+name, s.members)
	}
	for _, name := range m.setNames {
		if s := m.sets[name]; s.state == unresolved {
			m.resolve(s, nil)
		}
	}
}

// resolve fills in the products of s. path are the sets that lead to s.
func (m *merger) resolve(s *set, path []*set) {
	s.state, s.depth = resolving, len(path)
	defer func() { s.state = resolved }()
	path = append(path, s)
	seen := map[string]bool{}
	for _, r := range s.members {
		all := m.member(r, path)
		if !m.count(r.Pos, len(all)) {
			return
		}
		for _, p := range all {
			if !seen[p.id] {
				seen[p.id] = true
				s.resolved = append(s.resolved, p)
			}
		}
		if len(s.resolved) > maxInSet {
			m.errs.Add(s.pos, "product set %s has more than %d products", quote(s.name), maxInSet)
			s.resolved = nil
			return
		}
	}
}

// member returns the products of one member of the last set of path.
func (m *merger) member(r At[ref], path []*set) []listed {
	name := string(r.V)
	inner, ok := m.sets[name]
	if !ok {
		return m.product(nil, r, true)
	}
	switch inner.state {
	case unresolved:
		m.resolve(inner, path)
	case resolving:
		m.errs.Add(r.Pos, "product sets contain each other: %s", cycle(path[inner.depth:]))
		return nil
	}
	return inner.resolved
}

// cycle returns the names of the sets of path and that of its first one again.
func cycle(path []*set) string {
	var names []string
	for _, s := range path[:min(len(path), maxCycle)] {
		names = append(names, s.name)
	}
	if len(path) > maxCycle {
		names = append(names, "…")
	}
	return strings.Join(append(names, path[0].name), " → ")
}

// count counts n products of the set or org at pos, and reports whether they are
// within maxListed. Only the first time that they aren't is an error.
func (m *merger) count(pos Pos, n int) bool {
	before := m.listed
	m.listed += n
	if before <= maxListed && m.listed > maxListed {
		m.errs.Add(pos, "the product lists of all sets and orgs add up to more than %d: make them smaller", maxListed)
	}
	return m.listed <= maxListed
}

// product appends the product that r names to all. orSet means that r may name a
// set as well.
func (m *merger) product(all []listed, r At[ref], orSet bool) []listed {
	name := string(r.V)
	if a, ok := m.aliases[name]; ok {
		if a.id == "" {
			return all // an error already, where it is defined
		}
		return append(all, listed{a.id, r.Pos})
	}
	if isProductID(name) {
		return append(all, listed{name, r.Pos})
	}
	if !m.incomplete {
		m.unknownProduct(r, orSet)
	}
	return all
}

func (m *merger) unknownProduct(r At[ref], orSet bool) {
	name := string(r.V)
	upper := strings.ToUpper(name)
	switch _, isSet := m.sets[name]; {
	case isSet:
		m.errs.Add(r.Pos, "unknown product %s: it is a product set, name it under productSets", quote(name))
	case isProductID(upper):
		m.errs.Add(r.Pos, "unknown product %s: did you mean %q?", quote(name), upper)
	case orSet:
		m.errs.Add(r.Pos, "unknown product or product set %s%s", quote(name),
			m.hint(name, m.memberNames, ": define it under products or productSets"))
	default:
		m.errs.Add(r.Pos, "unknown product %s%s", quote(name), m.hint(name, m.aliasNames, ": define it under products, or write its id"))
	}
}

func (m *merger) setsOf(list productSets) [][]listed {
	m.repeats("productSets", list)
	all := make([][]listed, 0, len(list))
	for _, r := range list {
		name := string(r.V)
		s, ok := m.sets[name]
		_, isProduct := m.aliases[name]
		switch {
		case ok:
			all = append(all, s.resolved)
		case m.incomplete:
		case isProduct || isProductID(name):
			m.errs.Add(r.Pos, "unknown product set %s: it is a product, name it under products", quote(name))
		default:
			m.errs.Add(r.Pos, "unknown product set %s%s", quote(name), m.hint(name, m.setNames, ": define it under productSets"))
		}
	}
	return all
}

// hint returns which of names is meant by an unknown one, or the fallback.
func (m *merger) hint(name string, names []string, fallback string) string {
	if m.compared += len(names); m.compared > maxCompared {
		return fallback
	}
	return cmp.Or(strictyaml.DidYouMean(name, names), fallback)
}

// repeats adds an error for each name that is in a list twice.
func (m *merger) repeats(key string, list []At[ref]) {
	seen := make(map[ref]Pos, len(list))
	for _, r := range list {
		if first, dup := seen[r.V]; dup {
			m.errs.Add(r.Pos, "%s is in %q twice, first at %s", quote(string(r.V)), key, first)
		} else {
			seen[r.V] = r.Pos
		}
	}
}
