package diff

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"reconciler/internal/okta/objects"
	"reconciler/internal/state"
)

// declareObjects plans what the change from the base's side of an org to the head's
// declares of its configuration, and judges it by the declared objects alone.
func (p *pair) declareObjects(d *orgDiff, org *state.Org, guards *Guards) {
	before, after := declaredBy(p.base), declaredBy(p.head)
	if len(after.Objects) == 0 || d.dormant(org) {
		return
	}
	if before == after {
		d.objects = countKinds(after, ObjectSummary{Declared: 1, InSync: 1})
		return
	}
	c := &Configuration{Head: objects.CompareDeclared(before, after)}
	if slices.ContainsFunc(c.Head.Differences, mayLockOut) {
		was, is := newSituation(asLive(before)), newSituation(asLive(after))
		was.partial, is.partial = true, true
		c.Risks = risks(was, is, c.Head.Differences)
		d.lockouts = is.added(was, guards.OwnAddresses)
		d.lockoutsKept = d.lockouts
	}
	d.writeObjects(d.org.ID, c.Head, c.Risks)
}

// asLive returns live objects that are exactly as they are declared.
func asLive(d *objects.Declared) *objects.Live {
	live := &objects.Live{}
	for _, o := range d.Objects {
		if !o.Absent {
			live.Objects = append(live.Objects, &objects.LiveObject{Ref: o.Ref, System: o.System, Body: o.Body})
		}
	}
	return live
}

// baseline is how the base of a review compares with the live objects of one org.
type baseline struct {
	diffs     map[objectOp]*objects.Difference
	unfixable map[string]*objects.Unfixable // by field
}

func newBaseline(base *objects.Comparison) *baseline {
	b := &baseline{diffs: map[objectOp]*objects.Difference{}, unfixable: map[string]*objects.Unfixable{}}
	if base == nil {
		return b
	}
	for i := range base.Differences {
		b.diffs[opOf(&base.Differences[i])] = &base.Differences[i]
	}
	for i := range base.Unfixable {
		u := &base.Unfixable[i]
		b.unfixable[fieldOfObject(u.Ref, u.Path)] = u
	}
	return b
}

// of returns what the base wants of the object that d changes, or nil.
func (b *baseline) of(d *objects.Difference) *objects.Difference {
	if same := b.diffs[opOf(d)]; same != nil || d.Op == objects.Reorder {
		return same
	}
	for _, op := range []objects.Op{objects.Create, objects.Update, objects.Delete} {
		if other := b.diffs[objectOp{op, d.Ref}]; other != nil {
			return other
		}
	}
	return nil
}

// attribute sets the origins of a change and of its fields. A field is existing drift
// if the base wants the same value there, and in conflict if it wants another one.
func (b *baseline) attribute(c *Change) {
	c.Origin = ThisChange
	d, ok := c.Difference()
	if !ok {
		return
	}
	base := b.of(&d)
	if base == nil {
		for i := range c.Fields {
			c.Fields[i].Origin = ThisChange
		}
		return
	}
	switch {
	case d.Op == objects.Delete && base.Op == objects.Delete:
		c.Origin = ExistingDrift
	case d.Op == objects.Delete || base.Op == objects.Delete:
		c.Origin = Conflict
	}
	for i := range c.Fields {
		f := &c.Fields[i]
		f.Origin = ThisChange
		if base.Op == objects.Delete {
			f.Origin = Conflict
		} else if was := fieldAt(base.Fields, f.Path); was != nil {
			f.Origin = Conflict
			if reflect.DeepEqual(was.After, f.After) {
				f.Origin = ExistingDrift
			}
		}
	}
	if len(c.Fields) > 0 {
		c.Origin = strongest(c.Fields)
	}
}

// strongest returns the origin of a change with these fields.
func strongest(fields []Field) Origin {
	for _, o := range []Origin{Conflict, ThisChange} {
		if slices.ContainsFunc(fields, func(f Field) bool { return f.Origin == o }) {
			return o
		}
	}
	return ExistingDrift
}

func fieldAt(fields []objects.FieldChange, path string) *objects.FieldChange {
	i, ok := slices.BinarySearchFunc(fields, path, func(f objects.FieldChange, p string) int { return strings.Compare(f.Path, p) })
	if !ok {
		return nil
	}
	return &fields[i]
}

// originOf returns the origin of an unfixable difference of an object.
func (b *baseline) originOf(u *Unfixable) Origin {
	switch was := b.unfixable[u.Field]; {
	case was == nil:
		return ThisChange
	default:
		if declared, _ := sidesOf(was); declared == u.Desired {
			return ExistingDrift
		}
		return Conflict
	}
}

// settledObjects returns the fields of objects that the change and live both altered
// to the same value.
func (p *pair) settledObjects(base *objects.Comparison) []Settled {
	if base == nil || len(base.Differences) == 0 {
		return nil
	}
	was := newBaseline(base)
	var all []Settled
	there := objects.CompareDeclared(declaredBy(p.base), declaredBy(p.head))
	for i := range there.Differences {
		d := &there.Differences[i]
		drift := was.diffs[opOf(d)]
		if d.Op != objects.Update || drift == nil {
			continue
		}
		for _, f := range d.Fields {
			if live := fieldAt(drift.Fields, f.Path); live != nil && reflect.DeepEqual(live.Before, f.After) {
				all = append(all, Settled{p.head.Domain, fieldOfObject(d.Ref, f.Path), Text(jsonText(live.After)), Text(jsonText(f.After))})
			}
		}
	}
	slices.SortFunc(all, func(a, b Settled) int { return strings.Compare(a.Field, b.Field) })
	return all
}

// objectSettings returns what the change declares of the org's configuration and
// nothing else shows, sorted by field.
func (p *pair) objectSettings(shown map[place]bool) []Setting {
	before, after := declaredBy(p.base), declaredBy(p.head)
	if len(before.Objects)+len(after.Objects) == 0 || before == after {
		return nil
	}
	domain := p.domain()
	all := map[string]Setting{}
	set := func(field, base, head string) {
		if !shown[place{domain, field}] {
			all[field] = Setting{domain, field, base, head}
		}
	}
	there := objects.CompareDeclared(before, after)
	for i := range there.Differences {
		d := &there.Differences[i]
		switch field := fieldOfRef(d.Ref); d.Op {
		case objects.Create:
			set(field, "", FieldDeclared)
		case objects.Delete:
			set(field, "", absent)
		default:
			for _, f := range d.Fields {
				set(fieldOfObject(d.Ref, f.Path), textOf(f.Before), textOf(f.After))
			}
		}
	}
	// What only the base declares is what leads back to it.
	back := objects.CompareDeclared(after, before)
	for i := range back.Differences {
		d := &back.Differences[i]
		switch d.Op {
		case objects.Create:
			set(fieldOfRef(d.Ref), FieldDeclared, "")
		case objects.Update:
			for _, f := range d.Fields {
				if f.Before == nil {
					set(fieldOfObject(d.Ref, f.Path), textOf(f.After), "")
				}
			}
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b Setting) int { return strings.Compare(a.Field, b.Field) })
}

// textOf returns a declared value for a setting; "" if there is none.
func textOf(v any) string {
	if v == nil {
		return ""
	}
	return jsonText(v)
}

// show marks what a change of an object shows.
func (c *Change) show(shown map[place]bool) {
	shown[place{c.Org, c.Field()}] = true
	for _, f := range c.Fields {
		shown[place{c.Org, c.Field() + ": " + f.Path}] = true
	}
}
