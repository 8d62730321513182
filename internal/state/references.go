package state

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"reconciler/internal/okta/objects"
)

// nameKey is a name of an object of a kind.
type nameKey struct{ kind, name string }

// reference is a name of another object.
type reference struct {
	to  nameKey
	pos Pos
}

// references adds an error for each name of an object that the org declares absent, and
// a warning for each that differs from a declared one in case alone. names are those
// that come of variables.
func (b *builder) references(l *laid, all []*built, names map[entryID]*entry) {
	sound := true
	for i, x := range all {
		if l.sound && !l.entries[i].variable {
			continue
		}
		for _, r := range x.refs {
			sound = b.reference(l, r, names) && sound
		}
	}
	l.sound = sound
}

// reference checks one name, and reports whether there is no error.
func (b *builder) reference(l *laid, r reference, names map[entryID]*entry) bool {
	kind := objects.ByName(r.to.kind)
	id := entryID{kind: kind, name: r.to.name}
	switch e := cmp.Or(l.find(id), names[id]); {
	case e != nil && e.absent:
		b.m.orgError(b.org, r.pos, "%s %s is declared absent at %s: remove one of them", kind.Title, quote(r.to.name), e.pos)
		return false
	case e != nil || slices.Contains(kind.BuiltIn, r.to.name):
		return true
	}
	if other := l.fold(r.to); other != "" {
		b.m.warn(r.pos, "no %s %s is declared: did you mean %q?", kind.Title, quote(r.to.name), other)
	}
	return true
}

// fold returns the name of an object that differs in case alone, or "".
func (l *laid) fold(k nameKey) string {
	if l.folded == nil {
		l.folded = map[nameKey]string{}
		entries := slices.Values(l.entries)
		if l.base != nil {
			entries = maps.Values(l.over)
		}
		for e := range entries {
			l.folded[nameKey{e.id.kind.Name, strings.ToLower(e.id.name)}] = e.id.name
		}
		for _, kind := range objects.Kinds() {
			for _, name := range kind.BuiltIn {
				l.folded[nameKey{kind.Name, strings.ToLower(name)}] = name
			}
		}
	}
	name := l.folded[nameKey{k.kind, strings.ToLower(k.name)}]
	if name == "" && l.base != nil {
		name = l.base.fold(k)
	}
	if e := l.find(entryID{kind: objects.ByName(k.kind), name: name}); e != nil && e.absent {
		return ""
	}
	return name
}
