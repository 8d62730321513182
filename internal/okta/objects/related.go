package objects

import (
	"fmt"
	"slices"
	"strings"
)

// Related returns the path of the list of the objects that must have this status before
// an object of the kind gets it; empty where objects of the kind don't depend on each
// other.
func (k *Kind) Related(to any) string {
	if k.API.Requires == "" {
		return ""
	}
	if f := Find(k.Fields, "status"); f.Actions[0].Value == to {
		return k.API.Requires
	}
	return k.API.RequiredBy
}

// Switches returns the status that the difference gives an object which depends on
// others of its kind; nil if it doesn't.
func (d *Difference) Switches() any {
	if d.Ref.Kind.API.Requires == "" || d.Op != Update {
		return nil
	}
	for _, f := range d.Fields {
		if f.Path == "status" {
			return f.After
		}
	}
	return nil
}

// Relate looks at what objects that depend on each other need, as live has it: it puts
// the differences into an order in which they can be written, and sets Needs and Unmet.
// declared returns the status that is declared for an object; nil if none is.
func Relate(all []Difference, live *Live, declared func(Ref) any) []Difference {
	if len(live.Needs) == 0 {
		return all
	}
	r := &relations{needs: live.Needs, declared: declared, planned: map[string]*Difference{}}
	for i := range all {
		if d := &all[i]; d.Switches() != nil {
			r.planned[d.ID] = d
		}
	}
	for i := range all {
		if d := &all[i]; d.Switches() != nil {
			r.relate(d)
		}
	}
	return r.order(all)
}

// relations are what objects of one org need of each other.
type relations struct {
	needs    map[string][]*LiveObject
	declared func(Ref) any
	planned  map[string]*Difference // those that switch an object, by its id
}

// relate sets Needs and Unmet of a difference.
func (r *relations) relate(d *Difference) {
	to := d.Switches()
	for _, o := range r.needs[d.ID] {
		if other := r.planned[o.ID]; other != nil && other != d && other.Switches() == to {
			d.Needs = append(d.Needs, other.Ref)
		}
	}
	var undeclared, otherwise []string
	seen := map[string]bool{d.ID: true}
	var visit func(id string)
	visit = func(id string) {
		for _, o := range r.needs[id] {
			if seen[o.ID] {
				continue
			}
			seen[o.ID] = true
			switch declared := r.declared(o.Ref); {
			case declared != nil && declared != to:
				otherwise = append(otherwise, fmt.Sprintf("%q, which is declared %v", o.Ref.Name, declared))
			case o.Body["status"] != to:
				if declared == nil {
					undeclared = append(undeclared, fmt.Sprintf("%q", o.Ref.Name))
				}
				visit(o.ID)
			}
		}
	}
	visit(d.ID)
	d.Unmet = unmet(d.Ref.Kind, to, undeclared, otherwise)
}

// unmet returns why an object can't get the status, or "".
func unmet(k *Kind, to any, undeclared, otherwise []string) string {
	says := "it needs "
	if k.Related(to) == k.API.RequiredBy {
		says = "it is needed by "
	}
	var reasons []string
	if len(otherwise) > 0 {
		slices.Sort(otherwise)
		reasons = append(reasons, says+strings.Join(otherwise, ", "))
	}
	if len(undeclared) > 0 {
		slices.Sort(undeclared)
		reasons = append(reasons, fmt.Sprintf("%s%s, which must be %v first: declare that as well (nothing is switched that isn't declared)", says, strings.Join(undeclared, ", "), to))
	}
	return strings.Join(reasons, "; ")
}

// order returns the differences with each after those that it needs, and otherwise as
// they were.
func (r *relations) order(all []Difference) []Difference {
	index := make(map[string]int, len(r.planned))
	for i := range all {
		if r.planned[all[i].ID] == &all[i] {
			index[all[i].ID] = i
		}
	}
	ordered := make([]Difference, 0, len(all))
	done := make([]bool, len(all))
	var emit func(i int)
	emit = func(i int) {
		if done[i] {
			return
		}
		done[i] = true // also keeps from going in circles
		if to := all[i].Switches(); to != nil {
			for _, o := range r.needs[all[i].ID] {
				if k, ok := index[o.ID]; ok && all[k].Switches() == to {
					emit(k)
				}
			}
		}
		ordered = append(ordered, all[i])
	}
	for i := range all {
		emit(i)
	}
	return ordered
}
