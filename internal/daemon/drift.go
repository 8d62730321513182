package daemon

import (
	"slices"
	"time"

	"reconciler/internal/apply"
	"reconciler/internal/daemon/api"
	"reconciler/internal/diff"
	"reconciler/internal/reconcile"
)

// Drift is one field that differs; see reconcile.Drift.
type Drift = reconcile.Drift

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
		if _, found := slices.BinarySearchFunc(drift, old, reconcile.CompareDrift); !found {
			old.Old = true
			all = append(all, old)
		}
	}
	slices.SortStableFunc(all, reconcile.CompareDrift)
	return all
}

// compareRuns sets Since in the drift of a run: to that of the run before, or to
// now where the field did not differ then. It returns what is new or changed,
// and what is gone. Both lists are sorted.
func compareRuns(before, drift []Drift, now time.Time) (news, gone []Drift) {
	i := 0
	for k := range drift {
		d := &drift[k]
		for i < len(before) && reconcile.CompareDrift(before[i], *d) < 0 {
			gone = append(gone, before[i])
			i++
		}
		if i == len(before) || reconcile.CompareDrift(before[i], *d) > 0 {
			d.Since = now
			news = append(news, *d)
			continue
		}
		d.Since = before[i].Since
		if !d.Same(&before[i]) {
			news = append(news, *d)
		}
		i++
	}
	return news, append(gone, before[i:]...)
}

// fleetOf counts the orgs by their state after a run.
func fleetOf(plan *diff.Plan, drift []Drift) api.Fleet {
	f := api.Fleet{Unmanaged: len(plan.Unmanaged)}
	counted := map[string]bool{"": true} // the account is no org
	count := func(n *int, org string) {
		if !counted[org] {
			counted[org] = true
			*n++
		}
	}
	for _, u := range plan.Unknown { // first: an org that is unknown may have drift too
		count(&f.Unknown, u.Org)
	}
	for _, d := range drift {
		count(&f.Drifted, d.Org)
	}
	f.InSync = plan.Summary.Orgs - f.Drifted - f.Unknown
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
