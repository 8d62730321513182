package state

import (
	"errors"
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
	// rekeyed is set if a key of a mapping had variables.
	rekeyed bool
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
		return x.mapping(v, old, f)
	}
	return v
}

func (x *expander) mapping(v *strictyaml.Value, old strictyaml.Map[*strictyaml.Value], f *objects.Field) *strictyaml.Value {
	var changed strictyaml.Map[*strictyaml.Value]
	rekeyed := false
	for i := range old {
		e := &old[i]
		field := x.find(f, e)
		key, inner := e.Key, x.value(e.V, field, e.Key, false)
		if field == nil && (f == nil || f.Free) {
			key = x.key(e, f)
		}
		if (inner != e.V || key != e.Key) && changed == nil {
			changed = slices.Clone(old)
		}
		if changed != nil {
			changed[i].Key, changed[i].V = key, inner
		}
		rekeyed = rekeyed || key != e.Key
	}
	if changed == nil {
		return v
	}
	if rekeyed {
		x.rekeyed = true
		x.twice(old, changed)
	}
	return &strictyaml.Value{Pos: v.Pos, V: changed}
}

// key returns a key that no table has with its variables replaced.
func (x *expander) key(e *strictyaml.Entry[*strictyaml.Value], f *objects.Field) string {
	if !strings.Contains(e.Key, "$") {
		return e.Key
	}
	key, err := x.b.vars.expand(template(e.Key))
	switch {
	case err != nil:
		x.fail(e.Pos, err)
		return e.Key
	case checkLine(key, maxKey) != nil:
		x.b.failure(x.entry)(e.Pos, "a key %v", checkLine(key, maxKey))
	case f != nil && objects.Find(f.Fields, key) != nil:
		x.b.failure(x.entry)(e.Pos, "the key %s is %s with its variables replaced: write that without variables", quote(e.Key), quote(key))
	}
	return key
}

// twice adds an error for each key that is in a mapping twice once its variables are
// replaced. written is the mapping before that.
func (x *expander) twice(written, replaced strictyaml.Map[*strictyaml.Value]) {
	seen := make(map[string]int, len(replaced))
	for i, e := range replaced {
		first, dup := seen[e.Key]
		if !dup {
			seen[e.Key] = i
			continue
		}
		at, other := i, first
		if written[i].Key == e.Key { // the one with variables is to be corrected
			at, other = first, i
		}
		x.b.failure(x.entry)(replaced[at].Pos, "the key %s is %s with its variables replaced, which is there already, at %s",
			quote(written[at].Key), quote(e.Key), replaced[other].Pos)
	}
}

// fail adds an error of the variables of a text, unless there is one about their values.
func (x *expander) fail(pos Pos, err error) {
	x.failed = true
	if !errors.Is(err, errBroken) {
		x.b.failure(x.entry)(pos, "%v", err)
	}
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
		x.fail(v.Pos, err)
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

// places returns the places of the fields of the entry, which all orgs share unless keys
// have variables.
func (x *expander) places(fields *strictyaml.Value) map[string]Pos {
	if x.entry.places != nil && !x.rekeyed {
		return x.entry.places
	}
	places := map[string]Pos{}
	addPlaces(places, fields, "")
	if !x.rekeyed {
		x.entry.places = places
	}
	return places
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
