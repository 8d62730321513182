package state

import (
	"cmp"
	"slices"

	"reconciler/internal/okta/objects"
	"reconciler/internal/strictyaml"
)

// laid are layers laid over each other.
type laid struct {
	// entries are sorted, see merger.compare.
	entries layer
	// index is where each object is among the entries, once it is needed. Without it,
	// the objects are those of over, or else of base.
	index map[entryID]int
	base  *laid
	over  map[entryID]*entry
	// folded are the names of the objects (of over, if there is a base) by their names
	// in lower case, once they are needed.
	folded map[nameKey]string
	// declared is what all orgs have that have just these layers, if no entry has
	// variables. sound is set if no reference to a name without variables is wrong.
	declared *objects.Declared
	sound    bool
}

// find returns the entry of an object that is declared by this name, or nil.
func (l *laid) find(id entryID) *entry {
	if l.index != nil {
		if i, ok := l.index[id]; ok {
			return l.entries[i]
		}
		return nil
	}
	if e := l.over[id]; e != nil || l.base == nil {
		return e
	}
	return l.base.find(id)
}

// reindex fills in the index, if it isn't there.
func (l *laid) reindex() {
	if l.index != nil {
		return
	}
	l.index = make(map[entryID]int, len(l.entries))
	for i, e := range l.entries {
		l.index[e.id] = i
	}
}

// partition returns the entries that is selects, and the others.
func partition(all layer, is func(*entry) bool) (selected, others layer) {
	for _, e := range all {
		if is(e) {
			selected = append(selected, e)
		} else {
			others = append(others, e)
		}
	}
	return selected, others
}

// overlay lays a layer over others, which stay as they are. The order of what they have
// stays. What is new comes before the next of its list that they have, or last; in any
// case it comes before Okta's own.
func (m *merger) overlay(base *laid, over layer) *laid {
	if m.spend(len(base.entries) + len(over)); m.values > maxDeclaredValues {
		return base // there is an error for the org
	}
	base.reindex()
	l := &laid{base: base, over: make(map[entryID]*entry, len(over))}
	replaced := map[int]*entry{}
	before := map[int]layer{} // by the index in base
	var pending layer
	for _, e := range over {
		i, known := base.index[e.id]
		if !known {
			pending = append(pending, e)
			l.over[e.id] = e
			continue
		}
		replaced[i] = m.join(base.entries[i], e)
		l.over[e.id] = replaced[i]
		if e.id.kind.Ordered && !replaced[i].system {
			// Policies of another type have an order of their own.
			before[i], pending = partition(pending, func(p *entry) bool { return p.id.kind == e.id.kind && p.id.typ == e.id.typ })
		}
	}
	l.entries = make(layer, 0, len(base.entries)+len(over))
	for i, e := range base.entries {
		l.entries = append(l.entries, before[i]...)
		l.entries = append(l.entries, cmp.Or(replaced[i], e))
	}
	l.entries = append(l.entries, pending...)
	m.sort(l.entries)
	return l
}

// sort sorts the entries of layers.
func (m *merger) sort(all layer) {
	byOrder := func(x, y *entry) int { return m.compare(x.id, y.id, x.system, y.system) }
	if !slices.IsSortedFunc(all, byOrder) {
		slices.SortStableFunc(all, byOrder)
	}
}

// compare returns the order of two objects: by kind and type, then those of an ordered
// kind as they are declared, with Okta's own last, and the others by name.
func (m *merger) compare(x, y entryID, systemX, systemY bool) int {
	if x.kind != y.kind {
		return cmp.Compare(m.layers.order[x.kind], m.layers.order[y.kind])
	}
	if x.typ != y.typ {
		return cmp.Compare(slices.Index(x.kind.Types, x.typ), slices.Index(y.kind.Types, y.typ))
	}
	switch {
	case !x.kind.Ordered:
		return cmp.Compare(x.name, y.name)
	case systemX == systemY:
		return 0
	case systemX:
		return 1
	default:
		return -1
	}
}

// join returns an entry with another one laid over it.
func (m *merger) join(base, over *entry) *entry {
	if base.absent || over.absent {
		return over
	}
	e := &entry{
		id: over.id, named: over.named, pos: over.pos, joined: true, system: base.system || over.system,
		fields:   m.joinValues(base.fields, over.fields),
		variable: base.variable || over.variable,
		unsure:   base.unsure || over.unsure || base.typ() != over.typ() && over.typ() != "",
	}
	switch {
	case len(over.rules) == 0:
		e.rules = base.rules
	case len(base.rules) == 0:
		e.rules = over.rules
	default:
		e.rules = m.overlay(&laid{entries: base.rules}, over.rules).entries
		for _, rule := range e.rules {
			e.unsure = e.unsure || rule.unsure
		}
	}
	return e
}

// joinValues lays mappings over each other key by key; anything else is replaced.
func (m *merger) joinValues(base, over *strictyaml.Value) *strictyaml.Value {
	below, ok1 := base.V.(strictyaml.Map[*strictyaml.Value])
	above, ok2 := over.V.(strictyaml.Map[*strictyaml.Value])
	if !ok1 || !ok2 {
		return over
	}
	m.spend(len(below) + len(above))
	place := make(map[string]int, len(below))
	all := slices.Grow(slices.Clone(below), len(above))
	for i, e := range below {
		place[e.Key] = i
	}
	for _, e := range above {
		if i, ok := place[e.Key]; ok {
			e.V = m.joinValues(below[i].V, e.V)
			all[i] = e
		} else {
			all = append(all, e)
		}
	}
	return &strictyaml.Value{Pos: over.Pos, V: all}
}

// maxDeclaredValues is how many values the configurations of all orgs may have
// together, what they share counted once. Tests lower it.
var maxDeclaredValues = 10_000_000

// objectCost is what an object with variables counts, besides its values. A text with
// variables counts as one more value for each textCost characters.
const (
	objectCost = 10
	textCost   = 100
)

// spend counts values of configurations.
func (m *merger) spend(n int) { m.values += n }

// spent reports whether there are more values than are allowed; the first time it is an
// error at pos.
func (m *merger) spent(pos Pos) bool {
	if m.values <= maxDeclaredValues {
		return false
	}
	if !m.overspent {
		m.overspent = true
		m.errs.Add(pos, "up to this org, the configurations of the orgs add up to more than %d values: share more of them in baselines", maxDeclaredValues)
	}
	return true
}
