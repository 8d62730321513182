package reconcile

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"reconciler/internal/apply"
	"reconciler/internal/config"
	"reconciler/internal/diff"
	"reconciler/internal/okta/objects"
	"reconciler/internal/store/journal"
	"reconciler/internal/text"
)

// A field that was written contestedWrites times within contestedFor and is otherwise
// again is left alone, until contestedFor after the last write.
const (
	contestedWrites = 2
	contestedFor    = 7 * day
)

// contested knows what was written to objects that a parent org may set back: by the
// journal, or without one in this process.
type contested struct {
	journal *journal.Journal // nil if there is none
	account string

	mu   sync.Mutex
	made map[contestedField]journal.FieldWrite // where there is no journal
}

// contestedField is a field of an object of an org.
type contestedField struct{ orgID, kind, object, field string }

func fieldOf(w *journal.FieldWrite) contestedField {
	return contestedField{w.OrgID, w.Kind, w.Object, w.Field}
}

// objectOf returns what the journal calls an object.
func objectOf(typ, object string) string {
	if typ == "" {
		return object
	}
	return typ + "/" + object
}

func newContested(j *journal.Journal, cfg *config.Config) *contested {
	c := &contested{account: cfg.Aerial.AccountID, made: map[contestedField]journal.FieldWrite{}}
	if cfg.State.IsSet() {
		c.journal = j
	}
	return c
}

// why returns a function for diff.Options.Contested, with what is known now.
func (c *contested) why() (func(*diff.Change) string, error) {
	all, err := c.writes()
	if err != nil && !unreadable(err) && !unknowable(err) {
		return nil, err
	}
	now := time.Now()
	known := map[contestedField]journal.FieldWrite{}
	for _, w := range all {
		// Of a clock that was set back for long, no write counts.
		if w.Times >= contestedWrites && now.Sub(w.Last).Abs() < contestedFor {
			known[fieldOf(&w)] = w
		}
	}
	return func(change *diff.Change) string {
		for _, f := range change.Fields {
			w, ok := known[contestedField{change.OrgID, change.Kind, objectOf(change.Type, change.Object), f.Path}]
			if ok && w.Value == valueOf(f.After) {
				return fmt.Sprintf("%s was set to %s %d times and set back each time, perhaps by a push from the parent org: declare what the parent has, or change it there; it is not tried again before %s",
					f.Path, w.Value, w.Times, w.Last.Add(contestedFor).UTC().Format(time.RFC3339))
			}
		}
		return ""
	}, nil
}

func (c *contested) writes() ([]journal.FieldWrite, error) {
	if c.journal != nil {
		return c.journal.FieldWrites(c.account)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Values(c.made)), nil
}

// add records a write.
func (c *contested) add(w journal.FieldWrite) error {
	since := w.Last.Add(-contestedFor)
	if c.journal != nil {
		return c.journal.AddFieldWrite(w, since)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.made, func(_ contestedField, old journal.FieldWrite) bool { return old.Last.Before(since) })
	w.Times = 1
	if last, ok := c.made[fieldOf(&w)]; ok && last.Value == w.Value {
		w.Times += last.Times
	}
	c.made[fieldOf(&w)] = w
	return nil
}

// valueOf returns a value as the journal has it.
func valueOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// recorder is an Editor that records what it wrote to objects that a parent org may set
// back.
type recorder struct {
	apply.Editor
	contested *contested
	target    objects.Target
	log       *slog.Logger
}

// Write implements apply.Editor.
func (r *recorder) Write(ctx context.Context, d *objects.Difference, maySend func(context.Context) error) (note string, err error) {
	note, err = r.Editor.Write(ctx, d, maySend)
	if err != nil || !d.Ref.Kind.Pushed {
		return note, err
	}
	for _, f := range d.Fields {
		w := journal.FieldWrite{
			Account: r.contested.account, OrgID: r.target.OrgID, Domain: r.target.Domain,
			Kind: d.Ref.PlanKind(), Object: objectOf(d.Ref.Type, d.Ref.Object()), Field: f.Path, Value: valueOf(f.After), Last: time.Now(),
		}
		if err := r.contested.add(w); err != nil {
			r.log.Warn("the journal doesn't know of a write; should it be undone, it is made once more than it would be otherwise",
				"org", w.Domain, "kind", w.Kind, "object", w.Object, "error", err, "hint", text.Hint(err))
		}
	}
	return note, nil
}
