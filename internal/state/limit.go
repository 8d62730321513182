package state

import (
	"fmt"
	"maps"
	"slices"

	"reconciler/internal/text"
)

// productDetail reads what is declared of a product besides its name.
func (m *merger) productDetail(name string, p *At[product]) {
	if p.Bad || !p.Set {
		return
	}
	if !p.V.ID.Set {
		m.errs.Add(p.Pos, "product %s has no %q", quote(name), "id")
	}
	limit := &p.V.Limit
	switch {
	case !limit.OK():
		return
	case limit.V < 1:
		m.errs.Add(limit.Pos, "%q must be at least 1, not %d: leave it out if there is none", "limit", limit.V)
		return
	case !p.V.ID.OK():
		return
	}
	id := string(p.V.ID.V)
	first, dup := m.desired.Limits[id]
	switch {
	case dup && first.Max != limit.V:
		m.errs.Add(limit.Pos, "the limit of product %s is %d here and %d at %s", id, limit.V, first.Max, first.Pos)
	case !dup || name < first.Name: // whatever the order of files
		if m.desired.Limits == nil {
			m.desired.Limits = map[string]Limit{}
		}
		m.desired.Limits[id] = Limit{Name: name, Max: limit.V, Pos: limit.Pos}
	}
}

// checkLimits warns of products that more orgs are declared to have than their limits
// allow.
func (m *merger) checkLimits() {
	for _, p := range m.desired.PastLimits() {
		m.warn(p.Limit.Pos, "%s", p)
	}
}

// PastLimit is a product that more orgs are declared to have than its limit allows.
type PastLimit struct {
	ID    string
	Limit Limit
	// Orgs is how many they are, and Inactive how many more are declared INACTIVE.
	// These don't count: Okta doesn't bill them.
	Orgs, Inactive int
}

// String says so in one line, without the place.
func (p PastLimit) String() string {
	inactive := ""
	if p.Inactive > 0 {
		inactive = fmt.Sprintf(", not counting %d declared %s", p.Inactive, Inactive)
	}
	return fmt.Sprintf("product %s (%s) is declared for %s%s: its limit is %d", quote(p.Limit.Name), p.ID, text.Plural(p.Orgs, "org"), inactive, p.Limit.Max)
}

// PastLimits returns the products that more orgs are declared to have than their limits
// allow, sorted by id.
func (d *Desired) PastLimits() []PastLimit {
	if len(d.Limits) == 0 {
		return nil
	}
	orgs, inactive := d.Wanted()
	var all []PastLimit
	for _, id := range slices.Sorted(maps.Keys(d.Limits)) {
		if limit := d.Limits[id]; orgs[id] > limit.Max {
			all = append(all, PastLimit{id, limit, orgs[id], inactive[id]})
		}
	}
	return all
}

// Wanted returns how many orgs are declared to have each product, by its id: those that
// are not declared INACTIVE, and those that are.
func (d *Desired) Wanted() (active, inactive map[string]int) {
	active, inactive = map[string]int{}, map[string]int{}
	for i := range d.Orgs {
		o := &d.Orgs[i]
		if !o.ManagesProducts() {
			continue
		}
		count := active
		if o.Status == Inactive {
			count = inactive
		}
		for _, id := range o.Products {
			count[id]++
		}
	}
	return active, inactive
}
