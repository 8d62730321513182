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
	for _, r := range list {
		name := string(r.V)
		b := m.baselineOf[name]
		if b == nil {
			if !m.incomplete {
				m.errs.Add(r.Pos, "unknown baseline %s%s", quote(name), m.hint(name, m.baselineNames, ": define it under baselines"))
			}
			continue
		}
		found = append(found, b)
		key.WriteString(name + "\n")
	}
	if len(found) == 0 {
		return nil
	}
	if l := m.stacks[key.String()]; l != nil {
		return l
	}
	l := &laid{}
	for _, b := range found {
		l.reindex()
		l = m.overlay(l, b.layer)
	}
	l.reindex()
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
	if stack == nil || m.spent(d.Pos) {
		return
	}
	c := stack.declared
	if c == nil {
		b := builder{m: m, org: d, vars: &variables{domain: d.Domain, labels: d.Labels, vars: d.Vars}}
		c = b.declare(stack.entries)
		if !b.varies {
			stack.declared = c
		}
	}
	m.references(d, c)
	if len(c.Objects) > 0 && d.Status != Inactive {
		d.Config = &c.Declared
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

// declared is the configuration of one org, or of several.
type declared struct {
	objects.Declared
	// absent are the objects that are declared absent, and named those that aren't.
	absent, named map[nameKey]Pos
	refs          []reference
	// checked is set after a check that found nothing.
	checked bool
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

// declare returns the objects of entries.
func (b *builder) declare(entries layer) *declared {
	d := &declared{absent: map[nameKey]Pos{}, named: map[nameKey]Pos{}}
	all := make([]*built, 0, len(entries))
	seen := make(map[objects.Ref]Pos, len(entries))
	for _, e := range entries {
		x := b.build(e)
		for _, o := range x.objects {
			if first, dup := seen[o.Ref]; dup {
				b.m.orgError(b.org, o.Pos, "%s is declared at %s as well, in other words: write its name the same way", refText(o.Ref), first)
			}
			seen[o.Ref] = o.Pos
			if o.Absent {
				d.absent[nameKey{o.Ref.Kind.Name, o.Ref.Name}] = o.Pos
			} else {
				d.named[nameKey{o.Ref.Kind.Name, o.Ref.Name}] = o.Pos
			}
		}
		all = append(all, x)
		d.refs = append(d.refs, x.refs...)
	}
	slices.SortStableFunc(all, func(x, y *built) int { return b.m.compareObjects(x.objects[0], y.objects[0]) })
	for _, x := range all {
		d.Objects = append(d.Objects, x.objects...)
	}
	return d
}

// refText returns what messages call an object.
func refText(r objects.Ref) string {
	return cmp.Or(strings.TrimSpace(r.Type+" "+r.Kind.Title), r.Kind.Name) + " " + quote(r.Object())
}

// compareObjects returns the order of two objects: by kind and type, then those of an
// ordered kind as they are declared, with Okta's own last, and the others by name.
func (m *merger) compareObjects(x, y *objects.Object) int {
	if c := cmp.Compare(m.layers.order[x.Ref.Kind], m.layers.order[y.Ref.Kind]); c != 0 {
		return c
	}
	if c := cmp.Compare(slices.Index(x.Ref.Kind.Types, x.Ref.Type), slices.Index(y.Ref.Kind.Types, y.Ref.Type)); c != 0 {
		return c
	}
	if !x.Ref.Kind.Ordered {
		return cmp.Compare(x.Ref.Name, y.Ref.Name)
	}
	switch {
	case x.System == y.System:
		return 0
	case x.System:
		return 1
	default:
		return -1
	}
}

// build returns the objects of an entry: itself, and the rules of a policy.
func (b *builder) build(e *entry) *built {
	if e.variable {
		b.varies = true
	} else if e.built != nil {
		return e.built
	}
	own := b.object(e, objects.Ref{Kind: e.id.kind, Type: e.id.typ})
	x := &built{objects: []*objects.Object{own.object}, refs: own.refs}
	var rules []*objects.Object
	for _, rule := range e.rules {
		r := b.object(rule, objects.Ref{Kind: rule.id.kind, Type: e.id.typ, Parent: own.object.Ref.Name})
		rules = append(rules, r.object)
		x.refs = append(x.refs, r.refs...)
	}
	slices.SortStableFunc(rules, b.m.compareObjects)
	x.objects = append(x.objects, rules...)
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
		fields = x.value(fields, root, "")
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
	o.Ref.Name = e.id.name
	if !e.id.kind.Setting {
		o.Ref.Name = nameOf(e.id.kind, o.Body, e.id.name)
	}
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
// a warning for each that differs from a declared one in case alone.
func (m *merger) references(d *DesiredOrg, c *declared) {
	if c.checked {
		return
	}
	before := len(m.mistakes)
	var folded map[nameKey]string
	for _, r := range c.refs {
		if pos, gone := c.absent[r.to]; gone {
			m.orgError(d, r.pos, "%s %s is declared absent at %s: remove one of them", title(r.to.kind), quote(r.to.name), pos)
			continue
		}
		if _, ok := c.named[r.to]; ok {
			continue
		}
		if k := objects.ByName(r.to.kind); k != nil && slices.Contains(k.BuiltIn, r.to.name) {
			continue
		}
		if folded == nil {
			folded = make(map[nameKey]string, len(c.named))
			for k := range c.named {
				folded[nameKey{k.kind, strings.ToLower(k.name)}] = k.name
			}
			for _, k := range objects.Kinds() {
				for _, name := range k.BuiltIn {
					folded[nameKey{k.Name, strings.ToLower(name)}] = name
				}
			}
			m.spend(len(c.named))
		}
		if other, ok := folded[nameKey{r.to.kind, strings.ToLower(r.to.name)}]; ok {
			m.warn(r.pos, "no %s %s is declared: did you mean %q?", title(r.to.kind), quote(r.to.name), other)
		}
	}
	c.checked = len(m.mistakes) == before
}

// title returns what messages call an object of a kind.
func title(kind string) string {
	if k := objects.ByName(kind); k != nil {
		return k.Title
	}
	return kind
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
