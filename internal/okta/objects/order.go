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
	places := map[Ref]int{}
	entries := make([]entry, len(objects))
	for i, o := range objects {
		if o.Ref.Kind.Ordered && o.Ref.Kind.Parent == nil {
			places[o.Ref] = i + 1
		}
	}
	for i, o := range objects {
		root := o.Ref.root()
		entries[i] = entry{o: o, kind: root.Kind.order, child: o.Ref.Kind.order}
		if root.Kind.Ordered {
			if places[root] == 0 {
				places[root] = len(objects) + i + 1
			}
			entries[i].place = places[root]
		}
	}
	if slices.IsSortedFunc(entries, entry.compare) { // as they are but in reviews
		return objects
	}
	slices.SortStableFunc(entries, entry.compare)
	list := make([]*Object, len(entries))
	for i, e := range entries {
		list[i] = e.o
	}
	return list
}

// entry is what is known of an object that is sorted.
type entry struct {
	o *Object
	// kind is the place of the kind among all kinds, of an object that has a parent that
	// of the parent's kind; child is that of the object's own.
	kind, child int
	// place is that of the object or of its parent; 0 if the name decides.
	place int
}

func (e entry) compare(other entry) int {
	x, y := &e.o.Ref, &other.o.Ref
	switch {
	case e.kind != other.kind:
		return cmp.Compare(e.kind, other.kind)
	case x.Type != y.Type:
		return strings.Compare(x.Type, y.Type)
	case e.place != other.place:
		return cmp.Compare(e.place, other.place)
	case e.child != other.child:
		return cmp.Compare(e.child, other.child)
	case x.Kind.Ordered:
		return 0
	}
	return strings.Compare(x.Name, y.Name)
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
		if p := c.liveAt(first.Ref.root()); p != nil {
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
