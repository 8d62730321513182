package objects

import "slices"

// After returns what is live when the differences were written. live is not changed.
// A new object whose status isn't declared has the one that Okta gives it.
func After(live *Live, diffs []Difference) *Live {
	gone, updates := map[Ref]bool{}, make(map[Ref]*Difference, len(diffs))
	for i := range diffs {
		switch d := &diffs[i]; d.Op {
		case Delete:
			gone[d.Ref] = true
		case Update:
			updates[d.Ref] = d
		}
	}
	after := &Live{OrgID: live.OrgID, Engine: live.Engine, Objects: make([]*LiveObject, 0, len(live.Objects))}
	for _, l := range live.Objects {
		if gone[l.Ref] || gone[l.Ref.root()] {
			continue // an object that is made anew comes back below
		}
		if d := updates[l.Ref]; d != nil {
			l = l.updated(d)
		}
		after.Objects = append(after.Objects, l)
	}
	for i := range diffs {
		switch d := &diffs[i]; d.Op {
		case Create:
			after.insert(d.created())
		case Reorder:
			after.reorder(d)
		}
	}
	return after
}

// created returns the new object.
func (d *Difference) created() *LiveObject {
	l := &LiveObject{Ref: d.Ref, ParentID: d.ParentID, System: d.System, Body: map[string]any{}}
	for _, c := range d.Fields {
		l.set(c)
	}
	if d.Ref.Kind.API.Lifecycle {
		setDefault(l.Body, "status", "ACTIVE")
	}
	return l
}

// set sets a field to its new value.
func (l *LiveObject) set(c FieldChange) {
	names := SplitPath(c.Path)
	// Without a function for names, merging can't fail.
	_ = (&overlayer{typ: typeOf(l.Ref, l.Body)}).set(l.Ref.Kind, l.Body, names, c.After)
}

// updated returns the object as a difference makes it.
func (l *LiveObject) updated(d *Difference) *LiveObject {
	changed := *l
	changed.Body = cloneMapping(l.Body)
	for _, c := range d.Fields {
		changed.set(c)
	}
	return &changed
}

// reorder puts the objects of a group into their new order.
func (live *Live) reorder(d *Difference) {
	names, _ := d.Fields[0].After.([]any)
	place := make(map[string]int, len(names))
	for i, name := range names {
		if s, ok := name.(string); ok {
			place[s] = i
		}
	}
	var at []int
	var group []*LiveObject
	for i, l := range live.Objects {
		if l.Ref.group() == d.Ref && !l.System {
			at, group = append(at, i), append(group, l)
		}
	}
	slices.SortStableFunc(group, func(a, b *LiveObject) int { return place[a.Ref.Name] - place[b.Ref.Name] })
	for i, l := range group {
		live.Objects[at[i]] = l
	}
}

// insert puts a new object where it comes: after those of its kind, in a group of ordered
// ones before those that Okta made.
func (live *Live) insert(created *LiveObject) {
	place := 0
	for i, l := range live.Objects {
		if created.Ref.Kind.Ordered && l.System && l.Ref.group() == created.Ref.group() {
			place = i
			break
		}
		if l.Ref.Kind.order <= created.Ref.Kind.order {
			place = i + 1
		}
	}
	live.Objects = slices.Insert(live.Objects, place, created)
}
