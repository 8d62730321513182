package objects

import (
	"fmt"
	"strings"
)

// taken is a value that no two objects of a kind may have. Okta doesn't tell upper from
// lower case in names.
type taken struct {
	kind        *Kind
	path, value string
}

// takenBy calls visit for each value that no other object may have.
func takenBy(k *Kind, body map[string]any, visit func(taken)) {
	for i := 0; k.unique && i < len(k.Fields); i++ {
		if f := &k.Fields[i]; f.Unique {
			if s, ok := body[f.Name].(string); ok {
				visit(taken{k, f.Name, strings.ToLower(s)})
			}
		}
	}
}

// Clash is two declared objects with a value that only one object may have.
type Clash struct {
	First, Second *Object
	Path, Value   string
}

// Clashes returns the clashes of declared objects, in their order.
func Clashes(all []*Object) []Clash {
	var clashes []Clash
	var first map[taken]*Object
	for _, o := range all {
		if o.Absent || !o.Ref.Kind.unique {
			continue
		}
		takenBy(o.Ref.Kind, o.Body, func(t taken) {
			if first == nil {
				first = map[taken]*Object{}
			}
			if other := first[t]; other != nil {
				value, _ := o.Body[t.path].(string)
				clashes = append(clashes, Clash{other, o, t.path, value})
				return
			}
			first[t] = o
		})
	}
	return clashes
}

// free puts each difference that gives an object a value which another one has behind the
// difference that takes it from that one: such a deletion doesn't wait for the others, as
// no other object can name one of this kind. Objects that are to exchange their values are
// Unmet, as none of them can be written first.
func (c *comparer) free(all []Difference) []Difference {
	needs := c.freeing(all)
	if len(needs) == 0 {
		return all
	}
	ordered := make([]Difference, 0, len(all))
	done := make([]bool, len(all))
	var emit func(i int)
	emit = func(i int) {
		if done[i] {
			return
		}
		done[i] = true
		for _, n := range needs[i] {
			emit(n.by)
			all[i].Needs = append(all[i].Needs, all[n.by].Ref)
		}
		ordered = append(ordered, all[i])
	}
	for i := range all {
		if n, circular := exchanges(needs, i); circular {
			all[i].Unmet = fmt.Sprintf("its %s %q is that of the %s, which is to get another one's, and so on in a circle: give one of them a %s of its own first",
				n.path, n.value, all[n.by].Ref, n.path)
		}
	}
	for i := range all {
		emit(i)
	}
	return ordered
}

// need is a value that a difference needs, and the index of the one that takes it from
// another object.
type need struct {
	by          int
	path, value string
}

// freeing returns by the index of a difference what it needs.
func (c *comparer) freeing(all []Difference) map[int][]need {
	var holders map[taken]Ref
	var by map[Ref]int
	needs := map[int][]need{}
	for i := range all {
		d := &all[i]
		if !d.Ref.Kind.unique || d.Ref.Kind.named || d.Op != Create && d.Op != Update {
			continue
		}
		takenBy(d.Ref.Kind, values(d), func(t taken) {
			if holders == nil {
				holders, by = c.holders(), changing(all)
			}
			holder, there := holders[t]
			if n, changes := by[holder]; there && changes && holder != d.Ref && frees(&all[n], t) {
				value, _ := values(d)[t.path].(string)
				needs[i] = append(needs[i], need{n, t.path, value})
			}
		})
	}
	return needs
}

// holders returns the live objects that have values which no others may have.
func (c *comparer) holders() map[taken]Ref {
	holders := map[taken]Ref{}
	for ref, l := range c.live {
		takenBy(ref.Kind, l.Body, func(t taken) {
			if other, twice := holders[t]; !twice || ref.Name < other.Name {
				holders[t] = ref
			}
		})
	}
	return holders
}

// changing returns the indexes of the deletions and updates by their objects.
func changing(all []Difference) map[Ref]int {
	by := make(map[Ref]int, len(all))
	for i := range all {
		if op := all[i].Op; op == Delete || op == Update {
			by[all[i].Ref] = i
		}
	}
	return by
}

// values returns the values that a difference gives its fields, of those with a path of one
// name.
func values(d *Difference) map[string]any {
	body := make(map[string]any, len(d.Fields))
	for _, f := range d.Fields {
		body[f.Path] = f.After
	}
	return body
}

// frees reports whether a difference takes a value from its object.
func frees(d *Difference, t taken) bool {
	if d.Op == Delete {
		return true
	}
	s, changes := values(d)[t.path].(string)
	return changes && strings.ToLower(s) != t.value
}

// exchanges reports whether a difference needs, over others, itself, and returns what it
// needs at first.
func exchanges(needs map[int][]need, start int) (need, bool) {
	seen := map[int]bool{}
	var reaches func(i int) bool
	reaches = func(i int) bool {
		if i == start {
			return true
		}
		if seen[i] {
			return false
		}
		seen[i] = true
		for _, n := range needs[i] {
			if reaches(n.by) {
				return true
			}
		}
		return false
	}
	for _, n := range needs[start] {
		if reaches(n.by) {
			return n, true
		}
	}
	return need{}, false
}
