package objects

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"reconciler/internal/strictyaml"
)

// AmbiguousError reports that declared and live objects can't be matched: two live
// ones have one key, Okta made an object that the declaration doesn't call a system
// object, or a name leads to none. Nothing of the org is written then.
type AmbiguousError struct {
	// Object is the declared object, and Reason one line about it.
	Object *Object
	Reason string
}

// Error returns the reason.
func (e *AmbiguousError) Error() string { return e.Reason }

// Compare returns what is different between declared and live. The error is an
// *AmbiguousError.
func Compare(d *Declared, live *Live) (*Comparison, error) {
	c := newComparer(d, live)
	for i, o := range c.objects {
		if err := c.unambiguous(o, c.matched[i]); err != nil {
			return nil, err
		}
	}
	c.run()
	c.result.Differences = Relate(c.result.Differences, live, c.status)
	for i, l := range live.Objects {
		if !c.places[i].declared {
			c.count(l.Ref, Count{Unmanaged: 1})
			c.undeclared(l.Ref)
		}
	}
	c.cutUndeclared()
	return c.compared(), nil
}

func (c *comparer) undeclared(ref Ref) {
	if c.result.Undeclared == nil {
		c.result.Undeclared = map[string][]Ref{}
	}
	kind := ref.PlanKind()
	c.result.Undeclared[kind] = append(c.result.Undeclared[kind], ref)
}

// cutUndeclared leaves MaxUnmanaged of each kind, which are the same whatever order Okta
// lists them in.
func (c *comparer) cutUndeclared() {
	for kind, refs := range c.result.Undeclared {
		slices.SortFunc(refs, func(a, b Ref) int {
			return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.Object(), b.Object()))
		})
		if refs = slices.Compact(refs); len(refs) > MaxUnmanaged {
			refs = slices.Clone(refs[:MaxUnmanaged])
		}
		c.result.Undeclared[kind] = refs
	}
}

// CompareDeclared returns the differences that lead from one declaration to another,
// without anything live: an object that only head declares is created, one that head
// declares absent is deleted, and one that only base declares is left alone.
func CompareDeclared(base, head *Declared) *Comparison {
	live, gone := &Live{}, map[Ref]bool{}
	for _, o := range sorted(base.Objects) {
		if o.Absent {
			gone[o.Ref] = true
			continue
		}
		live.Objects = append(live.Objects, &LiveObject{Ref: o.Ref, System: o.System, Body: o.Body})
	}
	c := newComparer(head, live)
	c.offline, c.gone = true, gone
	c.run()
	return c.compared()
}

// status returns the status that is declared for an object; nil if none is.
func (c *comparer) status(ref Ref) any {
	if o := c.declared[ref]; o != nil && !o.Absent {
		return o.Body["status"]
	}
	return nil
}

// place is what an org has under one ref.
type place struct {
	*LiveObject      // the last, if there are several
	double, declared bool
}

// comparer compares one declaration with one org. What has to do with refs is looked up
// once, as that takes as long as comparing an object.
type comparer struct {
	objects  []*Object
	declared map[Ref]*Object
	live     map[Ref]*place
	// matched are the places of the declared objects, nil where the org has none, and
	// places those of the live ones.
	matched, places []*place
	engine          string
	// order are the names of the live and new objects of each group of ordered ones,
	// without those that Okta made.
	order map[Ref][]string
	// offline is set if live is only another declaration, and gone what that declares
	// absent.
	offline bool
	gone    map[Ref]bool
	// deletions come last.
	deletions []Difference
	result    Comparison
	counts    map[string]*Count // result.Kinds
	lastKind  *Kind             // what lastCount counts
	lastCount *Count
	walk      walk // used again for each object
}

func newComparer(d *Declared, live *Live) *comparer {
	c := &comparer{
		objects:  sorted(d.Objects),
		declared: make(map[Ref]*Object, len(d.Objects)),
		live:     make(map[Ref]*place, len(live.Objects)),
		matched:  make([]*place, len(d.Objects)),
		places:   make([]*place, len(live.Objects)),
		engine:   live.Engine,
		order:    map[Ref][]string{},
		counts:   map[string]*Count{},
	}
	places := make([]place, len(live.Objects))
	for i, l := range live.Objects {
		p := c.live[l.Ref]
		if p == nil {
			p = &places[i]
			c.live[l.Ref] = p
		} else {
			p.double = true
		}
		p.LiveObject, c.places[i] = l, p
		if l.Ref.Kind.Ordered && !l.System {
			g := l.Ref.group()
			c.order[g] = append(c.order[g], l.Ref.Name)
		}
	}
	for i, o := range c.objects {
		c.declared[o.Ref] = o
		if p := c.live[o.Ref]; p != nil {
			c.matched[i], p.declared = p, true
		}
	}
	return c
}

// liveAt returns the live object with this ref, or nil.
func (c *comparer) liveAt(ref Ref) *LiveObject { return c.live[ref].object() }

// object returns the object of a place, or nil.
func (p *place) object() *LiveObject {
	if p == nil {
		return nil
	}
	return p.LiveObject
}

// compared returns what came of it, apart from the live objects: a plan keeps it.
func (c *comparer) compared() *Comparison {
	result := c.result
	result.Kinds = make(map[string]Count, len(c.counts))
	for kind, n := range c.counts {
		result.Kinds[kind] = *n
		result.Count = result.Count.plus(*n)
	}
	return &result
}

// unambiguous returns an error if o, or a name in it, can mean several objects or none.
// p is its place in the org.
func (c *comparer) unambiguous(o *Object, p *place) error {
	if p != nil && p.double {
		return &AmbiguousError{o, fmt.Sprintf("there are two with this name in the org: %s", o.Ref)}
	}
	if l := p.object(); l != nil && l.System != o.System && !o.Ref.Kind.Setting && !o.Ref.Kind.Fixed {
		if l.System {
			return &AmbiguousError{o, fmt.Sprintf("Okta made the %s, but it is declared without system: true", o.Ref)}
		}
		return &AmbiguousError{o, fmt.Sprintf("the %s is declared with system: true, but Okta didn't make it", o.Ref)}
	}
	if o.Absent || !o.Ref.Kind.names {
		return nil
	}
	var reasons []string
	eachReference(o.Ref.Kind.Fields, o.Ref.Kind.index, typeOf(o.Ref, o.Body), o.Body, func(kind, name string) {
		if why := c.leadsNowhere(Ref{Kind: ByName(kind), Name: name}); name != "" && why != "" {
			reasons = append(reasons, why)
		}
	})
	if len(reasons) > 0 {
		return &AmbiguousError{o, fmt.Sprintf("the %s names %s", o.Ref, slices.Min(reasons))}
	}
	return nil
}

// leadsNowhere returns why a name leads to no object; empty if it leads to one.
func (c *comparer) leadsNowhere(ref Ref) string {
	o, l := c.declared[ref], c.live[ref]
	switch {
	case l != nil && l.double:
		return fmt.Sprintf("the %s, of which the org has two", ref)
	case o != nil && o.Absent:
		return fmt.Sprintf("the %s, which is declared absent", ref)
	case l == nil && o == nil:
		return fmt.Sprintf("the %s, which is neither in the org nor declared", ref)
	case l == nil && c.cannotCreate(o) != "":
		return fmt.Sprintf("the %s, which isn't in the org and can't be created", ref)
	}
	return ""
}

// run compares all declared objects, each group of ordered ones followed by its order.
func (c *comparer) run() {
	for i, o := range c.objects {
		c.object(o, c.matched[i].object())
		var next Ref
		if i+1 < len(c.objects) {
			next = c.objects[i+1].Ref
		}
		if o.Ref.Kind.Parent != nil && (next.Kind != o.Ref.Kind || next.group() != o.Ref.group()) {
			c.reorder(o.Ref.group())
		}
		if next.Kind == nil || next.root().group() != o.Ref.root().group() {
			c.reorder(o.Ref.root().group())
		}
	}
	slices.Reverse(c.deletions)
	c.result.Differences = c.free(append(c.result.Differences, c.deletions...))
}

// object compares one declared object with the live one, or nil.
func (c *comparer) object(o *Object, live *LiveObject) {
	before := len(c.result.Differences) + len(c.deletions) + len(c.result.Unfixable)
	c.compare(o, live)
	n := Count{Declared: 1}
	if len(c.result.Differences)+len(c.deletions)+len(c.result.Unfixable) == before {
		n.InSync = 1
	}
	c.count(o.Ref, n)
}

// count adds to the counts of all objects and of those of the kind.
func (c *comparer) count(ref Ref, n Count) {
	if ref.Kind != c.lastKind {
		kind := ref.PlanKind()
		if c.counts[kind] == nil {
			c.counts[kind] = &Count{}
		}
		c.lastKind, c.lastCount = ref.Kind, c.counts[kind]
	}
	*c.lastCount = c.lastCount.plus(n)
}

func (n Count) plus(m Count) Count {
	return Count{n.Declared + m.Declared, n.InSync + m.InSync, n.Unmanaged + m.Unmanaged}
}

func (c *comparer) compare(o *Object, live *LiveObject) {
	if o.Ref.Kind.Parent != nil && c.declared[o.Ref.root()] != nil && c.declared[o.Ref.root()].Absent {
		return // it goes with its parent
	}
	if e := o.Ref.Kind.API.Engine; e != "" && c.engine != "" && e != c.engine {
		c.unfixable(o, "", nil, nil, "the org has an engine that doesn't know it")
		return
	}
	switch {
	case o.Absent:
		c.absent(o, live)
	case live == nil:
		c.create(o)
	case live.dead():
		c.replace(o, live)
	default:
		c.update(o, live)
	}
}

// dead reports whether an object can only be deleted.
func (l *LiveObject) dead() bool {
	return l.Ref.Kind.API.Dead != "" && l.Body["status"] == l.Ref.Kind.API.Dead
}

// replace adds the deletion of an object that can only be deleted, and its creation.
func (c *comparer) replace(o *Object, live *LiveObject) {
	if live.Kept {
		c.unfixable(o, "status", o.Body["status"], live.Body["status"], "it must be made anew, and would lose what can't be declared, such as excluded users")
		return
	}
	if c.create(o) {
		last := len(c.result.Differences) - 1
		c.result.Differences = slices.Insert(c.result.Differences, last, live.deletion(o))
	}
}

func (l *LiveObject) deletion(o *Object) Difference {
	return Difference{Op: Delete, Ref: o.Ref, ID: l.ID, ParentID: l.ParentID, System: l.System, Pos: o.Pos}
}

func (c *comparer) absent(o *Object, live *LiveObject) {
	switch {
	case c.offline && live == nil && !c.gone[o.Ref]:
		c.deletions = append(c.deletions, Difference{Op: Delete, Ref: o.Ref, System: o.System, Pos: o.Pos})
	case live == nil:
	case o.Ref.Kind.Setting || o.Ref.Kind.Fixed:
		c.unfixable(o, "", "absent", nil, "such an object can't be deleted")
	case live.System || o.System:
		c.unfixable(o, "", "absent", nil, "Okta made it, and doesn't let it be deleted")
	default:
		c.deletions = append(c.deletions, live.deletion(o))
	}
}

// create adds the creation of an object, and reports whether it can be created.
func (c *comparer) create(o *Object) bool {
	if c.offline && (o.System || o.Ref.Kind.Setting || o.Ref.Kind.Fixed) {
		c.update(o, &LiveObject{Ref: o.Ref, System: o.System, Body: o.identity()})
		return false
	}
	if why := c.cannotCreate(o); why != "" {
		c.unfixable(o, "", nil, nil, why)
		return false
	}
	d := Difference{Op: Create, Ref: o.Ref, Pos: o.Pos, Fields: created(o)}
	if p := c.liveAt(o.Ref.root()); p != nil && o.Ref.Kind.Parent != nil {
		d.ParentID = p.ID
	}
	c.result.Differences = append(c.result.Differences, d)
	if o.Ref.Kind.Ordered && c.live[o.Ref] == nil {
		g := o.Ref.group()
		c.order[g] = append(c.order[g], o.Ref.Name)
	}
	return true
}

// identity returns what makes the object the one that it is: its key, and what can't be
// changed.
func (o *Object) identity() map[string]any {
	k := o.Ref.Kind
	body := map[string]any{}
	if !k.Setting {
		body[k.keyPath[0]] = o.Body[k.keyPath[0]]
	}
	for i := range k.Fields {
		if f := &k.Fields[i]; f.Immutable && o.Body[f.Name] != nil {
			body[f.Name] = o.Body[f.Name]
		}
	}
	return body
}

// created returns the fields of a new object.
func created(o *Object) []FieldChange {
	w := &walk{typ: typeOf(o.Ref, o.Body)}
	w.flatten(o.Ref.Kind.index, o.Body)
	if o.Ref.Kind.API.BornInactive && o.Body["status"] == nil {
		w.changes = append(w.changes, FieldChange{Path: "status", After: "ACTIVE"})
	}
	sortChanges(w.changes)
	return w.changes
}

// cannotCreate returns why an object can't be created; empty if it can.
func (c *comparer) cannotCreate(o *Object) string {
	k := o.Ref.Kind
	switch {
	case o.System:
		return "Okta makes it, and hasn't made it in this org"
	case k.Setting:
		return "the org doesn't have this setting"
	case k.Fixed:
		return fmt.Sprintf("this %s isn't offered in this org", k.Title)
	case c.offline:
		return ""
	}
	if k.Parent != nil {
		root := o.Ref.root()
		parent := c.declared[root]
		if c.live[root] == nil && (parent == nil || c.cannotCreate(parent) != "") {
			return fmt.Sprintf("its %s isn't in the org, and can't be created", k.Parent.Title)
		}
	}
	if path, why := lackingEngine(k.index, typeOf(o.Ref, o.Body), c.engine, o.Body, nil); why != "" {
		return fmt.Sprintf("%s with %s: %s", c.uncreatable(o), path, why)
	}
	if lacks := o.Lacks(); lacks != "" {
		return fmt.Sprintf("%s without %s", c.uncreatable(o), lacks)
	}
	return ""
}

// Lacks returns the fields without which the object can't be created, separated by commas;
// empty if it has them all.
func (o *Object) Lacks() string {
	k := o.Ref.Kind
	if names := missing(k.Fields, typeOf(o.Ref, o.Body), o.Body, ""); len(names) > 0 {
		return strings.Join(names, ", ")
	}
	if k.Oddities.Lacks != nil {
		return k.Oddities.Lacks(o.Body)
	}
	return ""
}

// Doubt returns what is hardly meant of a declared object, if Okta takes it; empty if there
// is nothing. created is set if the object is created, and so has nothing but this.
func (o *Object) Doubt(created bool) string {
	if doubt := o.Ref.Kind.Oddities.Doubt; doubt != nil && !o.Absent && !o.System {
		return doubt(o.Body, created)
	}
	return ""
}

// uncreatable begins the reason for which an object can't be created.
func (c *comparer) uncreatable(o *Object) string {
	if live := c.liveAt(o.Ref); live != nil {
		return fmt.Sprintf("it is %v in the org, must be made anew, and can't be created", live.Body["status"])
	}
	return "it isn't in the org, and can't be created"
}

// missing returns the paths of the required fields that body doesn't have.
func missing(fields []Field, typ string, body map[string]any, prefix string) []string {
	var names []string
	for i := range fields {
		f := &fields[i]
		if !f.fits(typ) || typ == "" && len(f.Types) > 0 {
			continue
		}
		v := body[f.Name]
		if f.Required && f.isEmpty(v) {
			names = append(names, prefix+f.Name)
		}
		if m, ok := v.(map[string]any); ok && f.Type == Mapping {
			names = append(names, missing(f.Fields, typ, m, prefix+f.Name+".")...)
		}
	}
	return names
}

// update adds the fields in which an object differs. If one of them can't be changed,
// the object isn't.
func (c *comparer) update(o *Object, live *LiveObject) {
	w := &c.walk
	*w = walk{typ: typeOf(o.Ref, live.Body), system: live.System, offline: c.offline, engine: c.engine, path: w.path[:0]}
	w.mapping(o.Ref.Kind.index, o.Body, live.Body)
	if len(w.fixed) > 0 {
		slices.SortFunc(w.fixed, func(a, b Unfixable) int { return strings.Compare(a.Path, b.Path) })
		for _, u := range w.fixed {
			c.unfixable(o, u.Path, u.Declared, u.Live, u.Reason)
		}
		return
	}
	if len(w.changes) == 0 {
		return
	}
	sortChanges(w.changes)
	c.result.Differences = append(c.result.Differences, Difference{
		Op: Update, Ref: o.Ref, ID: live.ID, ParentID: live.ParentID, System: live.System, Fields: w.changes, Pos: o.Pos,
	})
}

func (c *comparer) unfixable(o *Object, path string, declared, live any, reason string) {
	c.result.Unfixable = append(c.result.Unfixable, Unfixable{
		Ref: o.Ref, Path: path, Declared: declared, Live: live, Reason: reason, Pos: o.placeOf(path),
	})
}

// placeOf returns where the field at a path is declared; of a field that has no place of
// its own, where the object is.
func (o *Object) placeOf(path string) strictyaml.Pos {
	if pos, ok := o.Places[path]; ok {
		return pos
	}
	return o.Pos
}

func sortChanges(changes []FieldChange) {
	slices.SortFunc(changes, func(a, b FieldChange) int { return strings.Compare(a.Path, b.Path) })
}

// walk goes through the declared fields of one object.
type walk struct {
	typ     string
	system  bool
	offline bool // what live doesn't have isn't known
	engine  string
	path    []string
	changes []FieldChange
	fixed   []Unfixable
}

// divides reports whether the fields of a mapping change on their own.
func (f *Field) divides() bool { return f != nil && f.Type == Mapping && !f.Whole }

// mapping adds the fields of declared that live has otherwise.
func (w *walk) mapping(index map[string]*Field, declared, live map[string]any) {
	for name, d := range declared {
		f, l := pick(index, w.typ, name, d), live[name]
		w.path = append(w.path, name)
		if why := f.lacksEngine(w.engine); why != "" && !f.covers(w.typ, d, l) {
			w.fixed = append(w.fixed, Unfixable{Path: joinPath(w.path), Declared: d, Live: f.project(w.typ, d, l), Reason: why})
		} else if m, ok := d.(map[string]any); ok && f.divides() && !f.SystemFixed && len(m) > 0 {
			below, _ := l.(map[string]any)
			w.mapping(f.index, m, below)
		} else if !f.covers(w.typ, d, l) {
			w.differs(f, d, l)
		}
		w.path = w.path[:len(w.path)-1]
	}
}

func (w *walk) differs(f *Field, declared, live any) {
	path := joinPath(w.path)
	known := !w.offline || live != nil
	switch {
	case f == nil:
	case f.several(w.typ, live) || f.several(w.typ, declared):
		w.fixed = append(w.fixed, Unfixable{Path: path, Declared: declared, Live: live, Reason: fmt.Sprintf("it has several of one %s, which can't be told apart", strings.Join(f.By, " and "))})
		return
	case f.Immutable && known:
		w.fixed = append(w.fixed, Unfixable{Path: path, Declared: declared, Live: live, Reason: "it can only be set when the object is created"})
		return
	case f.SystemFixed && w.system && known:
		live = f.project(w.typ, declared, live)
		w.fixed = append(w.fixed, Unfixable{Path: path, Declared: declared, Live: live, Reason: "it can't be changed on an object that Okta made"})
		return
	case f.SystemFixed:
		if m, ok := declared.(map[string]any); ok && len(m) > 0 {
			below, _ := live.(map[string]any)
			w.mapping(f.index, m, below)
			return
		}
	}
	w.changes = append(w.changes, FieldChange{Path: path, Before: f.project(w.typ, declared, live), After: declared})
}

// flatten adds all fields of a new object.
func (w *walk) flatten(index map[string]*Field, body map[string]any) {
	for name, v := range body {
		if v == nil {
			continue
		}
		w.path = append(w.path, name)
		f := pick(index, w.typ, name, v)
		if m, ok := v.(map[string]any); ok && f.divides() && len(m) > 0 {
			w.flatten(f.index, m)
		} else {
			w.changes = append(w.changes, FieldChange{Path: joinPath(w.path), After: v})
		}
		w.path = w.path[:len(w.path)-1]
	}
}
