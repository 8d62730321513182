package daemon

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
)

// Drift is one field of one org (or of the account, whose org is empty) that
// differs from the manifests. Its JSON form is a public interface.
type Drift struct {
	Org string `json:"org"`
	// OrgID is empty while the org is not linked.
	OrgID string `json:"orgID"`
	// Field is one of diff.Field…, or for the configuration of an org an object such as
	// "networkZones/Offices", or a field of it such as "networkZones/Offices: gateways".
	Field string `json:"field"`
	// Kind and Object name the object; empty for the org itself.
	Kind   string `json:"kind,omitempty"`
	Object string `json:"object,omitempty"`
	// Desired and Actual are product ids for products, for fields of objects what
	// diff.ValueOf returns, and one word otherwise.
	Desired diff.Value `json:"desired"`
	Actual  diff.Value `json:"actual"`
	// Destructive reports that repairing it takes something away.
	Destructive bool `json:"destructive"`
	// Blocked is why it will not be repaired; empty if it may be.
	Blocked string `json:"blocked"`
	// Error and Hint are those of the last attempt to repair it.
	Error string `json:"error,omitempty"`
	Hint  string `json:"hint,omitempty"`
	// Since is when a run of this daemon first saw the field differ.
	Since time.Time `json:"since"`
	// Old reports that the org could not be read since, so that this is what was
	// found when it could.
	Old bool `json:"old,omitempty"`
}

// unfixable is why an unfixable difference is blocked.
const unfixable = "no call of the API can change it"

// driftOf returns the differences of a plan that its result, nil if it was not
// applied, did not repair, sorted by org and field. The times are left zero.
func driftOf(plan *diff.Plan, result *apply.Result) []Drift {
	all := []Drift{}
	for i := range plan.Changes {
		c := &plan.Changes[i]
		var o apply.Outcome
		if result != nil {
			o = result.Outcomes[i]
		}
		if o.Result == apply.Applied {
			continue
		}
		if c.Kind != "" {
			all = append(all, driftOfObject(c, o)...)
		} else {
			all = append(all, driftOfChange(c, o))
		}
	}
	slices.SortStableFunc(all, compareDrift)
	changes := all
	for _, u := range plan.Unfixable {
		d := Drift{
			Org:     u.Org,
			Field:   u.Field,
			Kind:    u.Kind,
			Object:  u.Object,
			Desired: diff.Text(u.Desired),
			Actual:  diff.Text(u.Actual),
			Blocked: cmp.Or(u.Reason, unfixable),
		}
		// A blocked change of the field says the same, and with what is live.
		if _, found := slices.BinarySearchFunc(changes, d, compareDrift); !found {
			all = append(all, d)
		}
	}
	slices.SortStableFunc(all, compareDrift)
	return mergeDrift(all)
}

func compareDrift(a, b Drift) int {
	return cmp.Or(strings.Compare(a.Org, b.Org), strings.Compare(a.Field, b.Field))
}

func driftOfChange(c *diff.Change, o apply.Outcome) Drift {
	d := Drift{
		Org:         c.Org,
		Field:       c.Field(),
		OrgID:       cmp.Or(o.OrgID, c.OrgID),
		Desired:     c.After,
		Actual:      c.Before,
		Destructive: c.Destructive,
		Blocked:     c.Blocked,
		Error:       o.Error,
		Hint:        o.Hint,
	}
	switch c.Action {
	case diff.CreateOrg, diff.LinkOrg:
		d.Desired, d.Actual = diff.Text("yes"), diff.Text("no")
	case diff.RequestDeletion:
		d.Desired, d.Actual = diff.Text("requested"), diff.Text("not requested")
	}
	return d
}

// driftOfObject returns the fields of an object that differ, or that there should or
// should not be one.
func driftOfObject(c *diff.Change, o apply.Outcome) []Drift {
	d := driftOfChange(c, o)
	d.Kind, d.Object = c.Kind, c.Object
	exists := map[diff.Action][2]string{diff.CreateObject: {"yes", "no"}, diff.DeleteObject: {"no", "yes"}}
	if e, ok := exists[c.Action]; ok {
		d.Desired, d.Actual = diff.Text(e[0]), diff.Text(e[1])
		return []Drift{d}
	}
	var all []Drift
	for i := range c.Fields {
		f := &c.Fields[i]
		d.Field = c.Field() + ": " + f.Path
		d.Desired, d.Actual = brief(diff.ValueOf(f.After)), brief(diff.ValueOf(f.Before))
		all = append(all, d)
	}
	return all
}

// mergeDrift merges the two changes that a protected org's products may have (an
// addition, then a blocked removal), and those of an object that is made anew, which
// counts as one that isn't there. all is sorted, and the changes of one field are in
// the order of their application.
func mergeDrift(all []Drift) []Drift {
	merged := all[:0]
	for _, d := range all {
		if n := len(merged); n > 0 && compareDrift(merged[n-1], d) == 0 {
			m := &merged[n-1]
			m.Desired = d.Desired
			if d.Kind != "" {
				m.Actual = d.Actual
			}
			m.Destructive = m.Destructive || d.Destructive
			m.Blocked = cmp.Or(m.Blocked, d.Blocked)
			m.Error, m.Hint = cmp.Or(m.Error, d.Error), cmp.Or(m.Hint, d.Hint)
			continue
		}
		merged = append(merged, d)
	}
	return merged
}

// same reports whether two drifts of one field differ in their times only.
func (d *Drift) same(e *Drift) bool {
	return d.Desired.Equal(e.Desired) && d.Actual.Equal(e.Actual) && d.Blocked == e.Blocked && d.Error == e.Error
}

// unread are the orgs that a run could not read, by their domains.
type unread map[string]*diff.Unknown

func unreadOf(plan *diff.Plan) unread {
	all := unread{}
	for i := range plan.Unknown {
		all[plan.Unknown[i].Org] = &plan.Unknown[i]
	}
	return all
}

// has reports whether a field could not be compared.
func (u unread) has(d *Drift) bool {
	o, unknown := u[d.Org]
	return unknown && (o.Part == "" || d.Kind != "")
}

// withOld adds to the drift of a run what was found before and could not be compared
// now: nothing says that it is gone.
func withOld(drift, before []Drift, unknown unread) []Drift {
	all := drift
	for _, old := range before {
		if !unknown.has(&old) {
			continue
		}
		if _, found := slices.BinarySearchFunc(drift, old, compareDrift); !found {
			old.Old = true
			all = append(all, old)
		}
	}
	slices.SortStableFunc(all, compareDrift)
	return all
}

// compareRuns sets Since in the drift of a run: to that of the run before, or to
// now where the field did not differ then. It returns what is new or changed,
// and what is gone. Both lists are sorted.
func compareRuns(before, drift []Drift, now time.Time) (news, gone []Drift) {
	i := 0
	for k := range drift {
		d := &drift[k]
		for i < len(before) && compareDrift(before[i], *d) < 0 {
			gone = append(gone, before[i])
			i++
		}
		if i == len(before) || compareDrift(before[i], *d) > 0 {
			d.Since = now
			news = append(news, *d)
			continue
		}
		d.Since = before[i].Since
		if !d.same(&before[i]) {
			news = append(news, *d)
		}
		i++
	}
	return news, append(gone, before[i:]...)
}

// fleet counts the orgs by their state after a run.
type fleet struct {
	inSync, drifted, unknown, unmanaged int
}

func fleetOf(plan *diff.Plan, drift []Drift) fleet {
	f := fleet{unmanaged: len(plan.Unmanaged)}
	counted := map[string]bool{"": true} // the account is no org
	count := func(n *int, org string) {
		if !counted[org] {
			counted[org] = true
			*n++
		}
	}
	for _, u := range plan.Unknown { // first: an org that is unknown may have drift too
		count(&f.unknown, u.Org)
	}
	for _, d := range drift {
		count(&f.drifted, d.Org)
	}
	f.inSync = plan.Summary.Orgs - f.drifted - f.unknown
	return f
}

// objectCount counts the objects of one kind by their state after a run.
type objectCount struct {
	inSync, drifted, unknown, unmanaged int
}

// objectsOf counts the objects of the orgs' configuration by kind. Those whose changes
// were all applied are in sync.
func objectsOf(plan *diff.Plan, result *apply.Result) map[string]objectCount {
	repaired := repairedObjects(plan, result)
	counts := make(map[string]objectCount, len(plan.Objects))
	for kind, n := range plan.Objects {
		c := objectCount{inSync: n.InSync + repaired[kind], unknown: n.Unknown, unmanaged: n.Unmanaged}
		c.drifted = max(0, n.Declared-c.inSync-c.unknown)
		counts[kind] = c
	}
	return counts
}

// repairedObjects counts by kind the objects that differed and differ no more.
func repairedObjects(plan *diff.Plan, result *apply.Result) map[string]int {
	if result == nil {
		return nil
	}
	type object struct{ org, kind, field string }
	done := map[object]bool{}
	for i := range plan.Changes {
		c := &plan.Changes[i]
		if c.Kind == "" || c.Action == diff.ReorderObjects { // an order is no object
			continue
		}
		o := object{c.Org, c.Kind, c.Field()}
		before, known := done[o]
		done[o] = result.Outcomes[i].Result == apply.Applied && (before || !known)
	}
	counts := map[string]int{}
	for o, yes := range done {
		if yes {
			counts[o.kind]++
		}
	}
	return counts
}
