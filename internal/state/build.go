package state

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"reconciler/internal/okta/objects"
	"reconciler/internal/strictyaml"
)

// built is the object of an entry, and those of its rules.
type built struct {
	objects []*objects.Object
	refs    []reference
}

// builder makes objects of entries, for one org.
type builder struct {
	m    *merger
	org  *DesiredOrg
	vars *variables
	// varies is set if an object has variables.
	varies bool
}

// declare returns the objects of layers.
func (b *builder) declare(l *laid) *objects.Declared {
	all := make([]*built, len(l.entries))
	names := map[entryID]*entry{} // those that come of variables
	n := 0
	for i, e := range l.entries {
		all[i] = b.build(e)
		n += len(all[i].objects)
		if e.named {
			b.unique(l, e, all[i].objects[0], names)
		}
	}
	b.references(l, all, names)
	if len(names) > 0 {
		b.sort(all)
	}
	d := &objects.Declared{Objects: make([]*objects.Object, 0, n)}
	for _, x := range all {
		d.Objects = append(d.Objects, x.objects...)
	}
	if !b.varies {
		l.declared = d
	}
	return d
}

// sort sorts objects again, by the names that come of variables.
func (b *builder) sort(all []*built) {
	id := func(x *built) entryID { return idOf(x.objects[0].Ref) }
	byOrder := func(x, y *built) int { return b.m.compare(id(x), id(y), x.objects[0].System, y.objects[0].System) }
	if !slices.IsSortedFunc(all, byOrder) {
		slices.SortStableFunc(all, byOrder)
	}
}

func idOf(r objects.Ref) entryID { return entryID{kind: r.Kind, typ: r.Type, name: r.Name} }

// unique adds an error if an object whose name comes of variables is declared by another
// entry too.
func (b *builder) unique(l *laid, e *entry, o *objects.Object, names map[entryID]*entry) {
	id := idOf(o.Ref)
	if other := cmp.Or(names[id], l.find(id)); other != nil && other != e {
		b.m.orgError(b.org, other.pos, "%s is declared at %s as %s: write its name the same way", id, e.pos, quote(e.id.name))
	}
	names[id] = e
}

// build returns the objects of an entry: itself, and the rules of a policy.
func (b *builder) build(e *entry) *built {
	if e.variable {
		b.varies = true
		b.m.spend(objectCost)
	} else if e.built != nil {
		return e.built
	}
	own := b.object(e, objects.Ref{Kind: e.id.kind, Type: e.id.typ})
	b.unmarked(e, own.object)
	x := &built{objects: []*objects.Object{own.object}, refs: own.refs}
	l, names := &laid{entries: e.rules}, map[entryID]*entry{}
	for _, rule := range e.rules {
		r := b.object(rule, objects.Ref{Kind: rule.id.kind, Type: e.id.typ, Parent: own.object.Ref.Name})
		if rule.named {
			l.reindex()
			b.unique(l, rule, r.object, names)
		}
		if e.system {
			b.unmarked(rule, r.object)
		}
		x.objects = append(x.objects, r.object)
		x.refs = append(x.refs, r.refs...)
	}
	if !e.variable {
		e.built = x
	}
	return x
}

// one is an object and what it refers to.
type one struct {
	object *objects.Object
	refs   []reference
}

// object returns the object of one entry. ref lacks its name.
func (b *builder) object(e *entry, ref objects.Ref) one {
	x := expander{b: b, entry: e, typ: e.typ()}
	fields := e.fields
	root := &objects.Field{Type: objects.Mapping, Fields: e.id.kind.Fields}
	if e.variable {
		x.findType()
		fields = x.value(fields, root, "", false)
	}
	if e.unsure && !x.failed {
		b.m.checkLate(e, fields, x.typ, b.failure(e))
	}
	o := &objects.Object{Absent: e.absent, System: e.system, Variable: e.named, Pos: e.pos, Places: x.places(fields)}
	body, _ := plain(fields).(map[string]any)
	if check := e.id.kind.Oddities.Check; check != nil && !e.absent && !x.failed {
		b.oddities(e, check(cmp.Or(ref.Type, x.typ), body))
	}
	x.references(fields, root)
	o.Body = e.id.kind.Normalize(body, nil)
	if e.variable {
		e.shareBody(o.Body)
	}
	o.Ref = ref
	o.Ref.Name = e.id.kind.KeyOf(o.Body)
	if !x.failed {
		b.own(e, fields, o)
	}
	return one{o, x.refs}
}

// own checks what is declared of an object that Okta made.
func (b *builder) own(e *entry, fields *strictyaml.Value, o *objects.Object) {
	k := e.id.kind
	if !e.system {
		if slices.Contains(k.BuiltIn, o.Ref.Name) {
			b.failure(e)(e.pos, "%s is Okta's own in each org: it needs %s: true, and can't be deleted", e.id, keySystem)
		}
		return
	}
	for i := range k.Fields {
		f := &k.Fields[i]
		v := fields.Get(f.Name)
		if f.SystemValue == nil || v == nil || o.Body[f.Name] == f.SystemValue {
			continue
		}
		if s, ok := v.V.(string); ok && slices.Contains(f.Enum, s) { // else there is an error
			b.failure(e)(v.Pos, "%q of %s must be %q: Okta made it, and doesn't let that be changed", f.Name, e.id, f.SystemValue)
		}
	}
}

// unmarked warns of an object that has the name of one which Okta makes, and isn't declared
// as such.
func (b *builder) unmarked(e *entry, o *objects.Object) {
	if !e.system && slices.Contains(e.id.kind.Own, o.Ref.Name) {
		b.m.warn(e.pos, "%s is one that Okta makes: it needs %s: true where that is so", e.id, keySystem)
	}
}

// checkLate checks the fields of an entry that depend on the type, which is empty if no
// layer says it.
func (m *merger) checkLate(e *entry, fields *strictyaml.Value, typ string, fail func(pos Pos, format string, args ...any)) {
	c := fieldChecker{fail: fail, warn: m.warn, holder: e.id.holder(), typ: typ, late: true, final: true}
	c.mapping(fields, &objects.Field{Type: objects.Mapping, Fields: e.id.kind.Fields}, false)
}

// failure returns a function that adds an error of an entry: one of this org, if it
// comes of variables or of several layers.
func (b *builder) failure(e *entry) func(pos Pos, format string, args ...any) {
	if !e.variable && !e.joined {
		return b.m.errs.Add
	}
	return func(pos Pos, format string, args ...any) { b.m.orgError(b.org, pos, format, args...) }
}

// oddities adds an error for each of the messages, which are by path.
func (b *builder) oddities(e *entry, wrong map[string]string) {
	for _, path := range slices.Sorted(maps.Keys(wrong)) {
		key := path[strings.LastIndexByte(path, '.')+1:]
		b.failure(e)(placeOf(e.fields, path), "%q %s", key, wrong[path])
	}
}

// placeOf returns the place of what is at a path of keys and indices: its own, or that
// of the value that it is in.
func placeOf(v *strictyaml.Value, path string) Pos {
	pos := v.Pos
	for key := range strings.SplitSeq(path, ".") {
		var inner *strictyaml.Value
		if items, ok := v.V.([]*strictyaml.Value); ok {
			if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(items) {
				inner = items[i]
			}
		} else {
			inner = v.Get(key)
		}
		if inner == nil {
			break
		}
		v, pos = inner, inner.Pos
	}
	return pos
}

// plain returns a value as encoding/json has it.
func plain(v *strictyaml.Value) any {
	switch x := v.V.(type) {
	case strictyaml.Number:
		f, _ := x.Float()
		return f
	case []*strictyaml.Value:
		all := make([]any, len(x))
		for i, item := range x {
			all[i] = plain(item)
		}
		return all
	case strictyaml.Map[*strictyaml.Value]:
		all := make(map[string]any, len(x))
		for _, e := range x {
			all[e.Key] = plain(e.V)
		}
		return all
	case template:
		return string(x) // there was an error
	default:
		return x
	}
}
