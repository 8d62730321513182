package objects

import (
	"cmp"
	"slices"
	"strings"
)

// group returns what the objects of one order have in common.
func (r Ref) group() Ref {
	r.Name = ""
	return r
}

// root returns the ref of the parent; that of the object itself if it has none.
func (r Ref) root() Ref {
	if r.Kind.Parent == nil {
		return r
	}
	return Ref{Kind: r.Kind.Parent, Type: r.Type, Name: r.Parent}
}

// String returns the object as messages name it, such as: network zone "Offices".
func (r Ref) String() string {
	if r.Kind.Setting {
		return r.Kind.Title
	}
	s := r.Kind.Title + ` "` + r.Object() + `"`
	if r.Type != "" {
		s += " (" + r.Type + ")"
	}
	return s
}

// sorted returns the objects in the order in which they are written: by kind; ordered
// ones by type and in their order, each followed by its children; others by name.
func sorted(objects []*Object) []*Object {
	type entry struct {
		o *Object
		// place is that of the object or of its parent; 0 if the name decides.
		place int
	}
	places := map[Ref]int{}
	entries := make([]entry, len(objects))
	for i, o := range objects {
		if o.Ref.Kind.Ordered && o.Ref.Kind.Parent == nil {
			places[o.Ref] = i + 1
		}
	}
	for i, o := range objects {
		root := o.Ref.root()
		if root.Kind.Ordered && places[root] == 0 {
			places[root] = len(objects) + i + 1
		}
		entries[i] = entry{o, places[root]}
	}
	slices.SortStableFunc(entries, func(a, b entry) int {
		x, y := a.o.Ref, b.o.Ref
		byKind := cmp.Or(cmp.Compare(x.root().Kind.order, y.root().Kind.order), strings.Compare(x.Type, y.Type),
			cmp.Compare(a.place, b.place), cmp.Compare(x.Kind.order, y.Kind.order))
		if byKind != 0 || x.Kind.Ordered {
			return byKind
		}
		return strings.Compare(x.Name, y.Name)
	})
	list := make([]*Object, len(entries))
	for i, e := range entries {
		list[i] = e.o
	}
	return list
}

// reorder adds the difference between the order of a group and the declared one.
func (c *comparer) reorder(group Ref) {
	actual := c.order[group]
	if !group.Kind.Ordered || len(actual) < 2 {
		return
	}
	in := make(map[string]bool, len(actual))
	for _, name := range actual {
		in[name] = true
	}
	var first *Object
	var declared []string
	for _, o := range c.objects {
		if o.Ref.group() == group && !o.Absent && !o.System && in[o.Ref.Name] {
			declared = append(declared, o.Ref.Name)
			if first == nil {
				first = o
			}
		}
	}
	wanted := arrange(actual, declared)
	if slices.Equal(actual, wanted) {
		return
	}
	d := Difference{Op: Reorder, Ref: group, Pos: first.Pos, Fields: []FieldChange{{Path: "order", Before: list(actual), After: list(wanted)}}}
	if group.Kind.Parent != nil {
		if p := c.live[first.Ref.root()]; p != nil {
			d.ParentID = p.ID
		}
	}
	c.result.Differences = append(c.result.Differences, d)
}

// arrange returns names with those that are declared in the declared order, in the
// places that they have among the others.
func arrange(names, declared []string) []string {
	isDeclared := make(map[string]bool, len(declared))
	for _, name := range declared {
		isDeclared[name] = true
	}
	arranged := slices.Clone(names)
	next := 0
	for i, name := range arranged {
		if isDeclared[name] && next < len(declared) {
			arranged[i] = declared[next]
			next++
		}
	}
	return arranged
}

func list(names []string) []any {
	l := make([]any, len(names))
	for i, name := range names {
		l[i] = name
	}
	return l
}
