package state

import (
	"slices"
	"strings"

	"reconciler/internal/okta/objects"
	"reconciler/internal/strictyaml"
)

// What an entry may have besides the fields of its kind.
const (
	keyAbsent = "absent"
	keySystem = "system"
	keyRules  = "rules"
	keyType   = "type"
)

// A layer is a baseline, or the configuration of one org, as it is written.
type layer []*entry

// entryID is what the entries of an object have in common, in all layers. name is the
// text as it is written, before variables are replaced.
type entryID struct {
	kind      *objects.Kind
	typ, name string
}

// entry is what a layer, or several laid over each other, declare of one object.
type entry struct {
	id entryID
	// pos is where the last of the layers declares the object.
	pos            Pos
	absent, system bool
	// fields is a mapping of the declared fields, with templates.
	fields *strictyaml.Value
	// rules are those of a policy.
	rules layer
	// variable is set if the entry or one of its rules has a template. unsure is set if
	// fields are to be checked once the type is known.
	variable, unsure bool
	// named is set if the key has a template.
	named bool
	// joined is set if the entry is from several layers.
	joined bool
	// places are those of the fields, once they are needed.
	places map[string]Pos
	// built is the object of an entry without variables, once it is known, and last the body
	// of the last org's object of one with variables.
	built *built
	last  map[string]any
}

// layerReader reads the entries of a layer.
type layerReader struct {
	m      *merger
	kinds  map[string]*objects.Kind // that have a list of their own
	set    map[string]*objects.Kind // settings
	childs map[*objects.Kind]*objects.Kind
	order  map[*objects.Kind]int
}

func newLayerReader(m *merger) *layerReader {
	r := &layerReader{m: m, kinds: map[string]*objects.Kind{}, set: map[string]*objects.Kind{}, childs: map[*objects.Kind]*objects.Kind{}, order: map[*objects.Kind]int{}}
	for i, k := range objects.Kinds() {
		r.order[k] = i
		switch {
		case k.Setting:
			r.set[k.Name] = k
		case k.Parent != nil:
			r.childs[k.Parent] = k
		default:
			r.kinds[k.Name] = k
		}
	}
	return r
}

// read returns the entries of a layer. Each mistake is an error.
func (r *layerReader) read(v *strictyaml.Value) layer {
	pairs, ok := v.V.(strictyaml.Map[*strictyaml.Value])
	if !ok {
		r.m.errs.Add(v.Pos, "a configuration must be a mapping of kinds, not %s", v.Describe())
		return nil
	}
	var all layer
	for i := range pairs {
		e := &pairs[i]
		switch k := r.kinds[e.Key]; {
		case e.Key == objects.Settings:
			all = append(all, r.settings(e.V)...)
		case k != nil:
			all = append(all, r.list(e.V, e.Key, k, entryID{kind: k})...)
		default:
			r.unknownKind(e)
		}
	}
	return all
}

func (r *layerReader) unknownKind(e *strictyaml.Entry[*strictyaml.Value]) {
	names := []string{objects.Settings}
	for name := range r.kinds {
		names = append(names, name)
	}
	if r.set[e.Key] != nil {
		r.m.errs.Add(e.Pos, "unknown key %s: it is a setting, write it under %q", quote(e.Key), objects.Settings)
		return
	}
	slices.Sort(names)
	r.m.errs.Add(e.Pos, "%s", unknownKey(e.Key, names))
}

func (r *layerReader) settings(v *strictyaml.Value) layer {
	pairs, ok := v.V.(strictyaml.Map[*strictyaml.Value])
	if !ok {
		r.m.errs.Add(v.Pos, "%q must be a mapping of settings, not %s", objects.Settings, v.Describe())
		return nil
	}
	if len(pairs) == 0 {
		r.nothing(v.Pos, objects.Settings+": {}")
	}
	var all layer
	for i := range pairs {
		e := &pairs[i]
		k := r.set[e.Key]
		if k == nil {
			names := make([]string, 0, len(r.set))
			for name := range r.set {
				names = append(names, name)
			}
			r.m.errs.Add(e.Pos, "%s", unknownKey(e.Key, names))
			continue
		}
		if m, ok := e.V.V.(strictyaml.Map[*strictyaml.Value]); ok && len(m) == 0 {
			r.nothing(e.V.Pos, e.Key+": {}")
			continue
		}
		if x := r.entry(e.V, quote(e.Key), entryID{kind: k, name: k.Name}); x != nil {
			all = append(all, x)
		}
	}
	return all
}

// nothing warns of what looks as if it took something away.
func (r *layerReader) nothing(pos Pos, what string) {
	r.m.warn(pos, "%s manages nothing: what isn't mentioned is left as it is", what)
}

// list reads a list of objects. Its entries have the kind and, of rules, the type of id.
func (r *layerReader) list(v *strictyaml.Value, key string, k *objects.Kind, id entryID) layer {
	items, ok := v.V.([]*strictyaml.Value)
	if !ok {
		r.m.errs.Add(v.Pos, "%q must be a list, not %s", key, v.Describe())
		return nil
	}
	if len(items) == 0 {
		r.m.warn(v.Pos, "%s: [] manages nothing: to delete objects, list each with absent: true", key)
	}
	seen := make(map[entryID]Pos, len(items))
	all := make(layer, 0, len(items))
	for _, item := range items {
		e := r.entry(item, "an item of "+quote(key), id)
		if e == nil {
			continue
		}
		if first, dup := seen[e.id]; dup {
			r.m.errs.Add(e.pos, "%s is declared twice, first at %s", e.id, first)
			continue
		}
		seen[e.id] = e.pos
		all = append(all, e)
	}
	return all
}

// String returns what messages call an object.
func (id entryID) String() string {
	switch {
	case id.kind.Setting:
		return id.kind.Name
	case id.kind.Typed:
		return id.typ + " " + id.kind.Title + " " + quote(id.name)
	default:
		return id.kind.Title + " " + quote(id.name)
	}
}

// holder returns what messages call what has a type: the object, or the policy of a
// rule.
func (id entryID) holder() string {
	if id.kind.Parent != nil {
		return id.kind.Parent.Title
	}
	return id.kind.Title
}

// entry reads one object, or returns nil after an error that leaves it without a key.
func (r *layerReader) entry(v *strictyaml.Value, subject string, id entryID) *entry {
	pairs, ok := v.V.(strictyaml.Map[*strictyaml.Value])
	if !ok {
		r.m.errs.Add(v.Pos, "%s must be a mapping (key: value), not %s", subject, v.Describe())
		return nil
	}
	e := &entry{id: id, pos: v.Pos}
	var rules *strictyaml.Value
	fields := make(strictyaml.Map[*strictyaml.Value], 0, len(pairs))
	child := r.childs[id.kind]
	for _, p := range pairs {
		switch {
		case p.Key == keyAbsent && !id.kind.Setting:
			e.absent = r.flag(p)
		case p.Key == keySystem && hasSystem(id.kind):
			e.system = r.flag(p)
		case p.Key == keyRules && child != nil:
			rules = p.V
		default:
			fields = append(fields, p)
		}
	}
	e.fields = &strictyaml.Value{Pos: v.Pos, V: fields}
	if id.kind.Typed {
		if typ := e.typ(); slices.Contains(id.kind.Types, typ) {
			e.id.typ = typ
		}
	}
	r.check(e)
	if !id.kind.Setting && !r.identify(e) {
		return nil
	}
	if e.absent {
		r.absent(e, rules)
		return e
	}
	if rules != nil {
		e.rules = r.list(rules, keyRules, child, entryID{kind: child, typ: e.id.typ})
		r.m.sort(e.rules)
		for _, rule := range e.rules {
			e.variable, e.unsure = e.variable || rule.variable, e.unsure || rule.unsure
		}
	}
	return e
}

// hasSystem reports whether Okta makes objects of the kind itself.
func hasSystem(k *objects.Kind) bool {
	return !k.Setting && (len(k.BuiltIn) > 0 || objects.Find(k.Fields, keySystem) != nil)
}

// flag reads a key that can only be true.
func (r *layerReader) flag(p strictyaml.Entry[*strictyaml.Value]) bool {
	if p.V.V == true {
		return true
	}
	r.m.errs.Add(p.V.Pos, "%q can only be true, not %s: remove the key", p.Key, p.V.Describe())
	return false
}

// identify finds the key of an object whose fields were checked, and reports whether it
// has one.
func (r *layerReader) identify(e *entry) bool {
	k := e.id.kind
	if k.Typed {
		switch typ := e.fields.Get(keyType); {
		case typ == nil:
			r.m.errs.Add(e.pos, "this %s has no %q", k.Title, keyType)
			return false
		case isTemplate(typ):
			r.m.errs.Add(typ.Pos, "the type of a %s belongs to its key, and can't have variables: it must be %s", k.Title, strictyaml.OneOf(k.Types))
			return false
		}
	}
	v := at(e.fields, k.Key)
	if v == nil {
		r.m.errs.Add(e.pos, "this %s has no %q", k.Title, k.Key)
		return false
	}
	switch name := v.V.(type) {
	case template:
		e.id.name, e.named = string(name), true
	case string:
		if err := checkLine(name, maxKey); err != nil {
			last := k.Key[strings.LastIndexByte(k.Key, '.')+1:]
			r.m.errs.Add(v.Pos, "%s %v", quote(last), err)
			return false
		}
		e.id.name = normalName(k, name)
	default:
		return false // there is an error
	}
	return !k.Typed || e.id.typ != ""
}

// maxKey is the length of the longest name of an object.
const maxKey = 1024

// at returns the value at a path of keys joined by dots, or nil.
func at(v *strictyaml.Value, path string) *strictyaml.Value {
	for key := range strings.SplitSeq(path, ".") {
		if v == nil {
			return nil
		}
		v = v.Get(key)
	}
	return v
}

// normalName returns a name in the form in which objects are compared.
func normalName(k *objects.Kind, name string) string {
	var body any = name
	path := strings.Split(k.Key, ".")
	for _, key := range slices.Backward(path) {
		body = map[string]any{key: body}
	}
	return k.KeyOf(body.(map[string]any))
}

// check checks the fields of an entry.
func (r *layerReader) check(e *entry) {
	typ := e.typ()
	if e.id.kind.Typed {
		typ = e.id.typ
	}
	c := fieldChecker{fail: r.m.errs.Add, warn: r.m.warn, holder: e.id.holder(), typ: typ}
	c.mapping(e.fields, &objects.Field{Type: objects.Mapping, Fields: e.id.kind.Fields}, false)
	e.variable, e.unsure = c.variable, c.skipped
}

// typ returns the type of the object, or of the policy of a rule; empty if it isn't
// known.
func (e *entry) typ() string {
	if e.id.typ != "" || e.id.kind.Parent != nil {
		return e.id.typ
	}
	if v := e.fields.Get(keyType); v != nil {
		if s, ok := v.V.(string); ok && !strings.Contains(s, "${") {
			return s
		}
	}
	return ""
}

// absent checks an entry that declares an object absent.
func (r *layerReader) absent(e *entry, rules *strictyaml.Value) {
	k := e.id.kind
	if k.Fixed {
		r.m.errs.Add(e.pos, "a %s can't be deleted: remove %q", k.Title, keyAbsent)
	}
	if e.system {
		r.m.errs.Add(e.pos, "%s can't be deleted: Okta made it", e.id)
	}
	top, _, _ := strings.Cut(k.Key, ".")
	for _, p := range e.fields.Mapping() {
		if p.Key != top && p.Key != keyType {
			r.m.errs.Add(p.Pos, "%q says nothing beside absent: true: remove one of them", p.Key)
		}
	}
	if inner := e.fields.Get(top); top != k.Key && inner != nil {
		for _, p := range inner.Mapping() {
			if top+"."+p.Key != k.Key {
				r.m.errs.Add(p.Pos, "%q says nothing beside absent: true: remove one of them", p.Key)
			}
		}
	}
	if rules != nil {
		r.m.errs.Add(rules.Pos, "%q says nothing beside absent: true: remove one of them", keyRules)
	}
}
