package importer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"reconciler/internal/okta/objects"
)

// worth is how many orgs there are for each object that a new baseline has to save: it
// costs the reader a name.
const worth = 10

// variant is an object as several orgs have it: of one key, with the same values of all
// fields that can't be changed.
type variant struct {
	ref    objects.Ref
	system bool
	// takers are the members that have it, by their index; left are those that no
	// baseline declares it for yet.
	takers bits
	left   bits
	// entries are those of the takers.
	entries map[int]*entry
}

// baseline is a new baseline.
type baseline struct {
	name    string
	takers  bits
	objects []*shared
}

// shared is an object of a new baseline.
type shared struct {
	*variant
	leaves leaves
	notes  []string
}

// share finds new baselines: as long as there is one that is worth it, the one that
// saves most objects. A baseline has only objects that all its takers have.
func (c *configuration) share(taken map[string]bool) []*baseline {
	if len(c.members) < 2 {
		return nil
	}
	// What one org alone has is in no baseline.
	variants := slices.DeleteFunc(c.variants(), func(v *variant) bool { return v.takers.count() < 2 })
	covered := map[*entry]bool{}
	var all []*baseline
	for {
		takers, chosen := c.best(variants, covered)
		if len(chosen) == 0 {
			return all
		}
		b := &baseline{name: nextName(taken), takers: takers}
		for _, v := range chosen {
			b.objects = append(b.objects, v.share(takers))
			for _, i := range takers.indexes() {
				covered[v.entries[i]] = true
			}
			v.left = v.left.minus(takers)
		}
		taken[b.name] = true
		all = append(all, b)
		for _, i := range takers.indexes() {
			m := c.members[i]
			m.baselines = append(m.baselines, b.name)
			for _, s := range b.objects {
				m.shared[s.ref] = s
			}
		}
	}
}

// nextName returns a name for a baseline that none has yet.
func nextName(taken map[string]bool) string {
	name := "common"
	for i := 2; taken[name]; i++ {
		name = fmt.Sprintf("common-%d", i)
	}
	return name
}

// variants returns the objects that no baseline of the manifests declares, in the order
// of kinds, and of the first org that has each of them.
func (c *configuration) variants() []*variant {
	byKey := map[string]*variant{}
	var all []*variant
	for i, m := range c.members {
		inBase := m.inBase()
		for _, e := range m.entries {
			key := variantKey(e)
			if inBase[e.ref] {
				continue
			}
			v := byKey[key]
			if v == nil {
				v = &variant{ref: e.ref, system: e.system, takers: newBits(len(c.members)), entries: map[int]*entry{}}
				byKey[key] = v
				all = append(all, v)
			}
			v.takers.add(i)
			v.entries[i] = e
			e.variant = v
		}
	}
	order := map[*objects.Kind]int{}
	for i, k := range objects.Kinds() {
		order[k] = i
	}
	slices.SortStableFunc(all, func(a, b *variant) int { return cmp.Compare(order[a.ref.Kind], order[b.ref.Kind]) })
	for _, v := range all {
		v.left = slices.Clone(v.takers)
	}
	return all
}

// variantKey returns what is the same for entries of one variant.
func variantKey(e *entry) string {
	parts := []string{e.ref.Kind.Name, e.ref.Type, e.ref.Parent, e.ref.Name, fmt.Sprint(e.system)}
	for i := range e.ref.Kind.Fields {
		if f := &e.ref.Kind.Fields[i]; f.Immutable {
			parts = append(parts, valueKey(e.leaves[path(f.Name)]))
		}
	}
	return strings.Join(parts, "\x01")
}

// best returns the takers and objects of the baseline that saves most, or none if none
// is worth it.
func (c *configuration) best(variants []*variant, covered map[*entry]bool) (bits, []*variant) {
	var takers bits
	var chosen []*variant
	most := len(c.members)/worth - 1
	places := make([]map[objects.Ref]int, len(c.members))
	for i, m := range c.members {
		places[i] = m.lastPlaces(covered)
	}
	seen := map[string]bool{}
	for _, seed := range variants {
		if key := seed.left.key(); seed.left.count() < 2 || seen[key] {
			continue
		} else {
			seen[key] = true
		}
		t := grow(seed, variants)
		objs := within(t, variants, covered, places)
		if saves := (t.count() - 1) * len(objs); saves > most {
			takers, chosen, most = t, objs, saves
		}
	}
	return takers, chosen
}

// grow returns the takers of a baseline with the seed in it: fewer than those of the
// seed where further objects make up for it.
func grow(seed *variant, variants []*variant) bits {
	t := slices.Clone(seed.left)
	others := slices.Clone(variants)
	overlap := make(map[*variant]int, len(others))
	for _, v := range others {
		overlap[v] = v.left.and(t).count()
	}
	slices.SortStableFunc(others, func(a, b *variant) int { return cmp.Compare(overlap[b], overlap[a]) })
	n := 0
	for _, v := range others {
		fewer := v.left.and(t)
		if k := fewer.count(); k >= 2 && (k-1)*(n+1) >= (t.count()-1)*n {
			t = fewer
			n++
		}
	}
	return t
}

// within returns the objects that all takers have and no baseline declares for one of
// them. Of those that have an order, only as many as all takers have in the same one,
// behind what earlier baselines declare: what a baseline adds comes last.
func within(takers bits, variants []*variant, covered map[*entry]bool, places []map[objects.Ref]int) []*variant {
	all := slices.DeleteFunc(slices.Clone(variants), func(v *variant) bool {
		// A setting of which nothing is the same is each org's own.
		return !takers.within(v.left) || v.ref.Kind.Setting && len(v.share(takers).leaves) == 0
	})
	members := takers.indexes()
	slices.SortStableFunc(all, func(a, b *variant) int {
		return cmp.Compare(a.entries[members[0]].place, b.entries[members[0]].place)
	})
	in := map[*variant]bool{}
	before := map[objects.Ref]*variant{} // the last one chosen, by what has an order
	fits := func(v *variant) bool {
		for _, i := range members {
			e := v.entries[i]
			if p := e.policy; p != nil && p.variant != nil && !in[p.variant] && !covered[p] {
				return false
			}
			if !e.ordered() {
				continue
			}
			last, some := places[i][siblings(e.ref)]
			if b := before[siblings(e.ref)]; b != nil {
				last, some = max(last, b.entries[i].place), true
			}
			if some && last > e.place {
				return false
			}
		}
		return true
	}
	return slices.DeleteFunc(all, func(v *variant) bool {
		if !fits(v) {
			return true
		}
		in[v] = true
		if v.ref.Kind.Ordered && !v.system {
			before[siblings(v.ref)] = v
		}
		return false
	})
}

// lastPlaces returns where the last of the objects stands that baselines declare, by
// what has an order.
func (m *member) lastPlaces(covered map[*entry]bool) map[objects.Ref]int {
	last := map[objects.Ref]int{}
	inBase := m.inBase()
	for _, e := range m.entries {
		if e.ordered() && (inBase[e.ref] || covered[e]) {
			last[siblings(e.ref)] = e.place
		}
	}
	return last
}

// inBase returns what the baselines of the manifests declare.
func (m *member) inBase() map[objects.Ref]bool {
	all := map[objects.Ref]bool{}
	for _, b := range m.base {
		all[b.Ref] = !b.Absent
	}
	return all
}

// share returns the object as the baseline has it: with the values that at least two
// thirds of the takers have. The others can only lay another value over it, so a value
// that some don't have at all must be one that can be null.
func (v *variant) share(takers bits) *shared {
	s := &shared{variant: v, leaves: leaves{}}
	n := takers.count()
	type value struct {
		v     any
		count int
	}
	votes := map[path]map[string]*value{}
	notes := map[string]int{}
	for _, i := range takers.indexes() {
		e := v.entries[i]
		for p, x := range e.leaves {
			if votes[p] == nil {
				votes[p] = map[string]*value{}
			}
			key := valueKey(x)
			if votes[p][key] == nil {
				votes[p][key] = &value{v: x}
			}
			votes[p][key].count++
		}
		for _, note := range e.notes {
			notes[note]++
		}
	}
	paths := slices.Sorted(maps.Keys(votes))
	for i, p := range paths {
		have := 0
		var most *value
		for _, x := range votes[p] {
			have += x.count
			if most == nil || x.count > most.count {
				most = x
			}
		}
		// An empty mapping of some is one with values of others.
		mixed := i+1 < len(paths) && strings.HasPrefix(string(paths[i+1]), string(p)+pathSep)
		if most.count*3 >= n*2 && !mixed && (have == n || v.clearable(takers, p)) {
			s.leaves[p] = most.v
		}
	}
	for _, note := range slices.Sorted(maps.Keys(notes)) {
		if notes[note] == n {
			s.notes = append(s.notes, note)
		}
	}
	return s
}

// clearable reports whether the takers that don't have a value can lay null over it.
func (v *variant) clearable(takers bits, p path) bool {
	for _, i := range takers.indexes() {
		e := v.entries[i]
		if _, has := e.leaves[p]; has {
			continue
		}
		if _, ok := e.clear(p); !ok {
			return false
		}
	}
	return true
}

// clear returns the path that has to be null so that the entry has nothing at p; false
// if none can be.
func (e *entry) clear(p path) (path, bool) {
	keys := p.keys()
	for n := 1; n <= len(keys); n++ {
		q := path(strings.Join(keys[:n], pathSep))
		f := fieldAt(e.ref, e.typ(), q)
		if f == nil {
			return "", false
		}
		if f.Nullable && !f.Required && !e.has(q) {
			return q, true
		}
	}
	return "", false
}

// has reports whether the entry has a value at a path or below it, declared or not.
func (e *entry) has(p path) bool {
	for q := range e.leaves {
		if q.within(p) {
			return true
		}
	}
	return slices.ContainsFunc(e.unsaid, func(q path) bool { return q.within(p) || p.within(q) })
}

// within reports whether p is q, or below it.
func (p path) within(q path) bool { return p == q || strings.HasPrefix(string(p), string(q)+pathSep) }

// typ returns the type that decides which fields the object has.
func (e *entry) typ() string {
	if e.ref.Type != "" {
		return e.ref.Type
	}
	typ, _ := e.leaves["type"].(string)
	return typ
}

// fieldAt returns the field at a path, or nil if the table has none.
func fieldAt(ref objects.Ref, typ string, p path) *objects.Field {
	fields := ref.Kind.Fields
	var f *objects.Field
	for _, key := range p.keys() {
		if f = objects.FindFor(fields, typ, key); f == nil {
			return nil
		}
		fields = f.Fields
	}
	return f
}
