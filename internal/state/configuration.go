package state

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"reconciler/internal/okta/objects"
	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
)

// baseline is a named configuration.
type baseline struct {
	value *strictyaml.Value
	pos   Pos
	layer layer
}

func (m *merger) baselines(doc *manifest) {
	for i := range doc.Baselines.V {
		e := &doc.Baselines.V[i]
		if err := checkName(e.Key); err != nil {
			m.errs.Add(e.Pos, "the name of a baseline %v", err)
			continue
		}
		first, dup := m.baselineOf[e.Key]
		switch {
		case !dup || first.value == nil:
			b := &baseline{pos: e.Pos}
			if e.V.OK() {
				b.value = &e.V.V.Value
			}
			m.baselineOf[e.Key] = b
		case e.V.OK() && !first.value.Same(&e.V.V.Value):
			m.errs.Add(e.Pos, "baseline %s has another content here than at %s", quote(e.Key), first.pos)
		}
	}
}

// readBaselines reads the layers of all baselines.
func (m *merger) readBaselines() {
	m.layers = newLayerReader(m)
	m.baselineNames = slices.Sorted(maps.Keys(m.baselineOf))
	for _, name := range m.baselineNames {
		b := m.baselineOf[name]
		if b.value == nil {
			continue
		}
		b.layer = m.layers.read(b.value)
		check := builder{m: m}
		for _, e := range b.layer {
			if !e.variable {
				check.build(e)
			}
		}
	}
}

// baselineStack returns the baselines of a list, laid over each other; nil for a list
// without any.
func (m *merger) baselineStack(list baselines) *laid {
	m.repeats("baselines", list)
	var key strings.Builder
	var found []*baseline
	seen := map[*baseline]bool{}
	for _, r := range list {
		name := string(r.V)
		b := m.baselineOf[name]
		if b == nil {
			if !m.incomplete {
				m.errs.Add(r.Pos, "unknown baseline %s%s", quote(name), m.hint(name, m.baselineNames, ": define it under baselines"))
			}
			continue
		}
		if !seen[b] {
			seen[b] = true
			found = append(found, b)
			key.WriteString(name + "\n")
		}
	}
	if len(found) == 0 {
		return nil
	}
	if l := m.stacks[key.String()]; l != nil {
		return l
	}
	l := &laid{}
	for _, b := range found {
		l = m.overlay(l, b.layer)
	}
	l.reindex()
	l.base, l.over = nil, nil
	m.stacks[key.String()] = l
	return l
}

// configure fills in what is declared of an org's own configuration.
func (m *merger) configure(o *manifestOrg, d *DesiredOrg, def *defaults) {
	stack := def.stack
	if o.Baselines.Set {
		stack = m.baselineStack(o.Baselines.V)
	}
	if o.Configuration.OK() {
		if over := m.layers.read(&o.Configuration.V.Value); len(over) > 0 {
			if stack == nil {
				stack = &laid{}
			}
			stack = m.overlay(stack, over)
		}
	}
	if m.spent(d.Pos) || stack == nil {
		return
	}
	if stack.declared == nil || !stack.sound {
		b := builder{m: m, org: d, vars: &variables{domain: d.Domain, labels: d.Labels, vars: d.Vars}}
		d.Config = b.declare(stack)
	} else {
		d.Config = stack.declared
	}
	if len(d.Config.Objects) == 0 || d.Status == Inactive {
		d.Config = nil
	}
}

// finalVars returns the org's variables with the variables in them replaced.
func (m *merger) finalVars(d *DesiredOrg) map[string]string {
	all, copied := d.Vars, false
	scope := variables{domain: d.Domain, labels: d.Labels, inVar: true}
	for name, value := range d.Vars {
		if !strings.Contains(value, "$") {
			continue
		}
		parsed, err := parseText(value)
		if t, ok := parsed.(template); ok && err == nil {
			parsed, err = scope.expand(t)
		}
		if err != nil {
			m.orgError(d, d.Places["vars."+name], "%v", err)
			continue
		}
		if s := parsed.(string); s != value {
			if !copied {
				all, copied = maps.Clone(all), true
				m.spend(len(all))
			}
			all[name] = s
		}
	}
	return all
}

// nameKey is a name of an object of a kind.
type nameKey struct{ kind, name string }

// reference is a name of another object.
type reference struct {
	to  nameKey
	pos Pos
}

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
	x := &built{objects: []*objects.Object{own.object}, refs: own.refs}
	l, names := &laid{entries: e.rules}, map[entryID]*entry{}
	for _, rule := range e.rules {
		r := b.object(rule, objects.Ref{Kind: rule.id.kind, Type: e.id.typ, Parent: own.object.Ref.Name})
		if rule.named {
			l.reindex()
			b.unique(l, rule, r.object, names)
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
		late := fieldChecker{fail: b.failure(e), warn: b.m.warn, holder: e.id.holder(), typ: x.typ, late: true, final: true}
		late.mapping(fields, root, false)
	}
	if e.places == nil {
		e.places = map[string]Pos{}
		addPlaces(e.places, fields, "")
	}
	o := &objects.Object{Absent: e.absent, System: e.system, Pos: e.pos, Places: e.places}
	body, _ := plain(fields).(map[string]any)
	if check := e.id.kind.Oddities.Check; check != nil && !e.absent && !x.failed {
		b.oddities(e, check(body))
	}
	x.references(fields, root)
	o.Body = e.id.kind.Normalize(body, nil)
	o.Ref = ref
	o.Ref.Name = e.id.kind.KeyOf(o.Body)
	if slices.Contains(e.id.kind.BuiltIn, o.Ref.Name) && !e.system {
		b.failure(e)(e.pos, "%s is Okta's own in each org: it needs %s: true, and can't be deleted", e.id, keySystem)
	}
	return one{o, x.refs}
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

// references adds an error for each name of an object that the org declares absent, and
// a warning for each that differs from a declared one in case alone. names are those
// that come of variables.
func (b *builder) references(l *laid, all []*built, names map[entryID]*entry) {
	before := len(b.m.mistakes)
	for i, x := range all {
		if l.sound && !l.entries[i].variable {
			continue
		}
		for _, r := range x.refs {
			b.reference(l, r, names)
		}
	}
	l.sound = len(b.m.mistakes) == before
}

func (b *builder) reference(l *laid, r reference, names map[entryID]*entry) {
	kind := objects.ByName(r.to.kind)
	id := entryID{kind: kind, name: r.to.name}
	if e := l.find(id); e != nil {
		if e.absent {
			b.m.orgError(b.org, r.pos, "%s %s is declared absent at %s: remove one of them", kind.Title, quote(r.to.name), e.pos)
		}
		return
	}
	if _, ok := names[id]; ok || slices.Contains(kind.BuiltIn, r.to.name) {
		return
	}
	if other := l.fold(r.to); other != "" {
		b.m.warn(r.pos, "no %s %s is declared: did you mean %q?", kind.Title, quote(r.to.name), other)
	}
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

// orgError adds an error of the configuration of one org, unless other orgs have the
// same one: then they are counted.
func (m *merger) orgError(d *DesiredOrg, pos Pos, format string, args ...any) {
	key := orgMistake{pos, fmt.Sprintf(format, args...)}
	if m.mistakes[key] == nil {
		m.mistakes[key] = &mistaken{first: d.Domain}
	}
	if at := m.mistakes[key]; at.last != d.Domain {
		at.last = d.Domain
		at.orgs++
	}
}

type (
	// orgMistake is a mistake in the configuration of orgs, and mistaken are these.
	orgMistake struct {
		pos Pos
		msg string
	}
	mistaken struct {
		first, last string
		orgs        int
	}
)

// addMistakes adds the errors of the configurations of orgs.
func (m *merger) addMistakes() {
	known := make(map[orgMistake]bool, len(m.errs))
	for _, e := range m.errs {
		known[orgMistake{e.Pos, e.Msg}] = true
	}
	for mistake, in := range m.mistakes {
		if known[mistake] {
			continue
		}
		where := in.first
		if in.orgs > 1 {
			where += " and " + text.Plural(in.orgs-1, "other org")
		}
		m.errs.Add(mistake.pos, "%s (in %s)", mistake.msg, where)
	}
}
