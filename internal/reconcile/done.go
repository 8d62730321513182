package reconcile

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/state"
	"reconciler/internal/store/history"
)

// Made is a change that was applied.
type Made struct {
	history.Entry
	// Fields are what it changed, as drift names it: from Actual to Desired.
	Fields []Drift
	// Repaired reports that it undid what somebody else had done: the same was declared
	// before the run.
	Repaired bool
}

// madeBatch is how many changes are read at a time.
const madeBatch = 500

// MadeSince returns the changes that were applied after an entry of the history, newest
// first, whichever process applied them, and the newest change of the history. For seq 0
// it returns those of a run alone. Without a state folder it returns those of the last
// comparison, and 0. It is to be called after the end of the run.
func (r *Reconciler) MadeSince(seq int64, run string) (all []Made, newest int64, err error) {
	if !r.cfg.State.IsSet() {
		r.memory.mu.Lock()
		defer r.memory.mu.Unlock()
		return slices.Clone(r.memory.made), 0, nil
	}
	repairs := repairs{ledger: r.history, now: time.Now(), states: map[stateKey]json.RawMessage{}}
	q := history.Query{Types: []history.Type{history.TypeChange}, Limit: madeBatch}
	if seq == 0 {
		q.Run = run
	}
	for first := true; ; {
		entries, err := r.history.Entries(q)
		if err != nil {
			return nil, 0, err
		}
		for i := range entries {
			e := &entries[i]
			if e.Seq == 0 { // it goes on
				continue
			}
			if first {
				first, newest = false, e.Seq
				if newest < seq {
					seq = 0 // the history is another one
				}
			}
			if e.Seq <= seq {
				return all, newest, nil
			}
			made, err := madeBy(e, repairs.has)
			if err != nil {
				return nil, 0, err
			}
			if made != nil {
				all = append(all, *made)
			}
		}
		if len(entries) < madeBatch || entries[len(entries)-1].Seq == 0 {
			return all, newest, nil
		}
		q.Before = entries[len(entries)-1].Seq
	}
}

// madeBy returns the change of an entry; nil if it was not applied.
func madeBy(e *history.Entry, repaired func(*history.Entry) (bool, error)) (*Made, error) {
	if e.Outcome != string(apply.Applied) {
		return nil, nil
	}
	c := diff.Change{
		Org: e.Org, OrgID: e.OrgID, Action: diff.Action(e.Action), Kind: e.Kind, Object: e.Object, Type: e.ObjectType, Parent: e.Parent,
	}
	err := errors.Join(unmarshalSet(e.Before, &c.Before), unmarshalSet(e.After, &c.After), unmarshalSet(e.Fields, &c.Fields))
	if err != nil {
		return nil, err
	}
	m := &Made{Entry: *e}
	if c.Kind != "" {
		m.Fields = driftOfObject(&c, apply.Outcome{})
	} else {
		m.Fields = []Drift{driftOfChange(&c, apply.Outcome{})}
	}
	m.Repaired, err = repaired(e)
	return m, err
}

func unmarshalSet(data json.RawMessage, v any) error {
	if len(data) == 0 {
		return nil
	}
	return json.Unmarshal(data, v)
}

// madeBy returns the changes of a plan that were applied. m has what was declared before,
// and now what is declared. m.mu is held.
func (m *memory) madeBy(plan *diff.Plan, result *apply.Result, now []history.OrgState) ([]Made, error) {
	declared := map[string]string{}
	for i := range now {
		declared[now[i].Org] = string(now[i].Declared)
	}
	var all []Made
	for i := range plan.Changes {
		if !applied(result, i) {
			continue
		}
		e, err := entryOf(&plan.Changes[i])
		if err != nil {
			return nil, err
		}
		e.Time, e.OrgID, e.Outcome = time.Now().UTC(), result.Outcomes[i].OrgID, string(apply.Applied)
		made, err := madeBy(&e, func(e *history.Entry) (bool, error) {
			before, known := m.states[e.Org]
			return known && repairable(e) && len(before.Declared) > 0 && string(before.Declared) == declared[e.Org], nil
		})
		if err != nil {
			return nil, err
		}
		all = append(all, *made)
	}
	return all, nil
}

// ProductLimit is the limit that the manifests give a product.
type ProductLimit struct {
	ID, Name string
	Max      int
	// Declared is how many orgs that are not INACTIVE are declared to have it, and Live how
	// many have it, as the account was read.
	Declared, Live int
	// Unread is how many orgs that may have it could not be read.
	Unread int
}

// Past reports whether more orgs have the product, or are declared to, than its limit allows.
func (l *ProductLimit) Past() bool { return max(l.Declared, l.Live) > l.Max }

// MayBePast reports whether it would be past its limit if the orgs that could not be read
// had the product.
func (l *ProductLimit) MayBePast() bool { return max(l.Declared, l.Live+l.Unread) > l.Max }

// ProductLimits returns the limits of the last plan, sorted by product; nil for a saved
// plan.
func (r *Reconciler) ProductLimits() []ProductLimit {
	if r.desired == nil || r.live == nil || len(r.desired.Limits) == 0 {
		return nil
	}
	active, _ := r.desired.Wanted()
	live, unread := map[string]int{}, 0
	for i := range r.live.Orgs {
		o := &r.live.Orgs[i]
		if o.Status == state.Inactive {
			continue
		}
		if o.Unknown != "" {
			unread++
		}
		for _, id := range o.Products {
			live[id]++
		}
	}
	var all []ProductLimit
	for _, id := range slices.Sorted(maps.Keys(r.desired.Limits)) {
		l := r.desired.Limits[id]
		all = append(all, ProductLimit{ID: id, Name: l.Name, Max: l.Max, Declared: active[id], Live: live[id], Unread: unread})
	}
	return all
}
