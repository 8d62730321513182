package state

import (
	"slices"
	"strings"

	"reconciler/internal/okta/objects"
	"reconciler/internal/strictyaml"
)

// expander makes the fields of one entry final, for one org.
type expander struct {
	b     *builder
	entry *entry
	// typ is the type of the object, as far as it is known.
	typ  string
	refs []reference
	// failed is set after an error about a variable: what follows from it isn't worth a
	// message.
	failed bool
}

// findType finds the type of an object if it is written with variables.
func (x *expander) findType() {
	if v := x.entry.fields.Get(keyType); v != nil && isTemplate(v) {
		s, err := x.b.vars.expand(v.V.(template))
		f := objects.Find(x.entry.id.kind.Fields, keyType)
		if err == nil && f != nil && slices.Contains(f.Enum, s) {
			x.typ = s
		}
	}
}

// value returns a value with its variables replaced: itself, if there are none. f is
// nil for a value of which nothing is known; key is that of the value or, if item is
// set, of its list.
func (x *expander) value(v *strictyaml.Value, f *objects.Field, key string, item bool) *strictyaml.Value {
	x.b.m.spend(1)
	switch old := v.V.(type) {
	case template:
		return x.template(v, old, f, key, item)
	case []*strictyaml.Value:
		return x.list(v, old, f, key)
	case strictyaml.Map[*strictyaml.Value]:
		var changed strictyaml.Map[*strictyaml.Value]
		for i := range old {
			e := &old[i]
			inner := x.value(e.V, x.find(f, e), e.Key, false)
			if inner != e.V && changed == nil {
				changed = slices.Clone(old)
			}
			if changed != nil {
				changed[i].V = inner
			}
		}
		if changed != nil {
			return &strictyaml.Value{Pos: v.Pos, V: changed}
		}
	}
	return v
}

func (x *expander) list(v *strictyaml.Value, old []*strictyaml.Value, f *objects.Field, key string) *strictyaml.Value {
	var elem *objects.Field
	if f != nil {
		elem = f.Elem
	}
	var changed []*strictyaml.Value
	for i, e := range old {
		inner := x.value(e, elem, key, true)
		if inner != e && changed == nil {
			changed = slices.Clone(old)
		}
		if changed != nil {
			changed[i] = inner
		}
	}
	if changed == nil {
		return v
	}
	if f != nil && f.Set {
		x.checker().repeats(changed, quote(key))
	}
	return &strictyaml.Value{Pos: v.Pos, V: changed}
}

func (x *expander) checker() *fieldChecker {
	return &fieldChecker{fail: x.b.failure(x.entry), warn: x.b.m.warn, holder: x.entry.id.holder(), typ: x.typ, final: true}
}

// find returns the field of a key of a mapping, or nil.
func (x *expander) find(f *objects.Field, e *strictyaml.Entry[*strictyaml.Value]) *objects.Field {
	if f == nil {
		return nil
	}
	c := x.checker()
	var found *objects.Field
	for i := range f.Fields {
		field := &f.Fields[i]
		if field.Name != e.Key || !c.fits(field) {
			continue
		}
		if found == nil || !shaped(e.V, found.Type) {
			found = field
		}
	}
	return found
}

// template returns the value of a text with variables, of the type of its field.
func (x *expander) template(v *strictyaml.Value, t template, f *objects.Field, key string, item bool) *strictyaml.Value {
	if x.b.m.values > maxDeclaredValues {
		x.failed = true // there is an error for the org
		return v
	}
	s, err := x.b.vars.expand(t)
	if err != nil {
		x.failed = true
		x.b.failure(x.entry)(v.Pos, "%v", err)
		return v
	}
	x.b.m.spend(len(s) / textCost)
	out := &strictyaml.Value{Pos: v.Pos, V: s}
	if f == nil || f.Type == objects.Anything {
		return out
	}
	switch f.Type {
	case objects.Integer, objects.Number:
		if _, ok := strictyaml.Number(s).Float(); ok {
			out.V = strictyaml.Number(s)
		}
	case objects.Boolean:
		if s == "true" || s == "false" {
			out.V = s == "true"
		}
	}
	subject := quote(key)
	if item {
		subject = "an item of " + subject
	}
	if x.isKey(v) {
		if err := checkLine(s, maxKey); err != nil {
			x.b.failure(x.entry)(v.Pos, "%s %v", subject, err)
			return out
		}
	}
	x.checker().scalar(out, f, subject)
	return out
}

// isKey reports whether v is the key of the object.
func (x *expander) isKey(v *strictyaml.Value) bool {
	k := x.entry.id.kind
	return !k.Setting && at(x.entry.fields, k.Key) == v
}

// addPlaces adds the places of the values of a mapping, by path. A list has one place.
func addPlaces(to map[string]Pos, v *strictyaml.Value, path string) {
	for _, e := range v.Mapping() {
		inner := strings.TrimPrefix(path+"."+e.Key, ".")
		to[inner] = e.V.Pos
		addPlaces(to, e.V, inner)
	}
}

// references collects the names of other objects.
func (x *expander) references(v *strictyaml.Value, f *objects.Field) {
	if f == nil {
		return
	}
	switch old := v.V.(type) {
	case string:
		if f.Refers != "" && !slices.Contains(f.Words, old) {
			x.refs = append(x.refs, reference{nameKey{f.Refers, old}, v.Pos})
		}
	case []*strictyaml.Value:
		elem := f.Elem
		for _, item := range old {
			x.references(item, elem)
		}
	case strictyaml.Map[*strictyaml.Value]:
		for i := range old {
			x.references(old[i].V, x.find(f, &old[i]))
		}
	}
}
