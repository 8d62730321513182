package state

import (
	"cmp"
	"slices"

	"reconciler/internal/okta/objects"
	"reconciler/internal/strictyaml"
)

// laid are layers laid over each other.
type laid struct {
	entries layer
	// index is where each object is among the entries, once it is needed.
	index map[entryID]int
	// sorted are the entries in the order in which they are declared to others.
	sorted layer
	// folded are the names of the objects by their names in lower case, once they are
	// needed.
	folded map[nameKey]string
	// declared is what all orgs have that have just these layers, if no entry has
	// variables. sound is set if no reference to a name without variables is wrong.
	declared *objects.Declared
	sound    bool
}

// find returns the entry of an object that is declared by this name, or nil.
func (l *laid) find(id entryID) *entry {
	if i, ok := l.index[id]; ok {
		return l.entries[i]
	}
	return nil
}

// overlay lays a layer over others, which stay as they are. The order of what they have
// stays; what is new comes before the next of its layer that they have, or last.
func (m *merger) overlay(base *laid, over layer) *laid {
	m.spend(len(base.entries) + len(over))
	replaced := map[int]*entry{}
	before := map[int]layer{} // by the index in base
	var pending layer
	for _, e := range over {
		i, known := base.index[e.id]
		if !known {
			pending = append(pending, e)
			continue
		}
		replaced[i] = m.join(base.entries[i], e)
		if e.id.kind.Ordered {
			before[i], pending = pending, nil
		}
	}
	all := make(layer, 0, len(base.entries)+len(over))
	for i, e := range base.entries {
		all = append(all, before[i]...)
		all = append(all, cmp.Or(replaced[i], e))
	}
	return &laid{entries: append(all, pending...)}
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
		l := &laid{entries: base.rules}
		l.reindex()
		e.rules = m.overlay(l, over.rules).entries
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
// together, what they share counted once.
const maxDeclaredValues = 10_000_000

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
