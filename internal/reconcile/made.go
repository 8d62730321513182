package reconcile

import (
	"encoding/json"
	"sync"
	"time"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/store/history"
	"reconciler/internal/text"
)

// made returns a function that returns the changes that runs made within
// guards.revertWithin, the newest first; nil if none of them may be taken back. What the
// history can't say counts as not made.
func (r *Reconciler) made() func() []diff.Made {
	within := r.cfg.Guards.RevertWithin
	if within == 0 || !r.cfg.State.IsSet() {
		return nil
	}
	return sync.OnceValue(func() []diff.Made {
		entries, err := r.history.Entries(history.Query{Types: []history.Type{history.TypeChange}, Since: time.Now().Add(-within)})
		if err != nil {
			r.log.Warn("the history can't say what may be taken back, so the guards count all of it", "error", err, "hint", text.Hint(err))
			return nil
		}
		var all []diff.Made
		for i := range entries {
			e := &entries[i]
			if e.Outcome != string(apply.Applied) && e.Outcome != history.OutcomeUnknown {
				continue
			}
			if c, err := changeOf(e); err == nil {
				all = append(all, diff.Made{Run: e.Run, Change: c})
			}
		}
		return all
	})
}

// changeOf returns the change that an entry is about, as far as the history has it.
func changeOf(e *history.Entry) (diff.Change, error) {
	c := diff.Change{
		Org: e.Org, OrgID: e.OrgID, Action: diff.Action(e.Action), Kind: e.Kind, Object: e.Object, Type: e.ObjectType, Parent: e.Parent,
	}
	for _, part := range []struct {
		raw json.RawMessage
		to  any
	}{{e.Before, &c.Before}, {e.After, &c.After}, {e.Fields, &c.Fields}} {
		if len(part.raw) == 0 {
			continue
		}
		if err := json.Unmarshal(part.raw, part.to); err != nil {
			return c, err
		}
	}
	return c, nil
}
