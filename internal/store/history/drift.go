package history

import (
	"bytes"
	"cmp"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"reconciler/internal/store/sqlitefile"
	"reconciler/internal/store/transfer"
)

// driftDetail is what of a drift has no column of its own.
type driftDetail struct {
	OrgID       string          `json:"orgID,omitempty"`
	Desired     json.RawMessage `json:"desired,omitempty"`
	Actual      json.RawMessage `json:"actual,omitempty"`
	Destructive bool            `json:"destructive,omitempty"`
	Blocked     string          `json:"blocked,omitempty"`
	Error       string          `json:"error,omitempty"`
	Hint        string          `json:"hint,omitempty"`
	Cause       *Cause          `json:"cause,omitempty"`
	Unknown     string          `json:"unknown,omitempty"`
}

// driftKey identifies what drifts.
type driftKey struct{ org, kind, object, field string }

func (d *Drift) key() driftKey { return driftKey{d.Org, d.Kind, d.Object, d.Field} }

// keepable returns a text of others with U+FFFD in the place of what an entry or a column
// can't hold, so that both have the same: NULs, and bytes that aren't UTF-8.
func keepable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// compareDrift sorts by org and field.
func compareDrift(a, b Drift) int {
	return cmp.Or(cmp.Compare(a.Org, b.Org), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Object, b.Object))
}

// Drift replaces the open drift of what a run compared: compared reports which fields of
// which orgs it could compare, and drift is all that differs of them. It adds an entry
// for what is new, changed and gone, and returns the open drift of everything, sorted by
// org and field. Since, LastSeen, Times, Run, Seq, Cause and Unknown of drift are ignored.
//
// Where the live value is another than before, it is a new drift of which nobody is
// known yet to have caused it. Where only the desired value is another, the entry is
// new, and the rest stays.
func (r *Recorder) Drift(drift []Drift, compared func(*Drift) bool) ([]Drift, error) {
	s := r.store
	now := s.now()
	seen := slices.Clone(drift)
	slices.SortStableFunc(seen, compareDrift)
	r.mu.Lock()
	run := r.run.ID
	r.mu.Unlock()
	for i := range seen {
		d := &seen[i]
		d.Org, d.Kind, d.Object, d.Field = keepable(d.Org), keepable(d.Kind), keepable(d.Object), keepable(d.Field)
		d.Since, d.LastSeen, d.Times, d.Run, d.Seq, d.Cause, d.Unknown = now, now, 1, run, 0, nil, ""
	}
	if s.place == nil {
		return seen, nil
	}
	var open []Drift
	wrote := false
	err := s.write("noting drift", func(tx *sql.Tx) error {
		known := &DriftCache{}
		before, err := driftsWhere(tx, known, "")
		if err != nil {
			return err
		}
		c, err := r.changeDrift(tx, now)
		if err != nil {
			return err
		}
		for i := range before {
			c.before[before[i].key()] = &before[i]
		}
		for i := range seen {
			if err := c.see(seen[i]); err != nil {
				return err
			}
		}
		for i := range before {
			d := &before[i]
			if c.before[d.key()] == nil || !compared(d) {
				continue
			}
			if err := c.end(d); err != nil {
				return err
			}
		}
		if err := c.flush(); err != nil {
			return err
		}
		wrote = c.wrote
		open, err = driftsWhere(tx, known, "")
		return err
	})
	if wrote && err == nil {
		r.hasEntries()
	}
	return open, err
}

// driftChange is what a run changes in the open drift. It is there after flush.
type driftChange struct {
	tx       *sql.Tx
	entries  *adder
	drifts   *driftKeeper
	recorder *Recorder
	now      time.Time
	// before is the open drift that was not seen yet, and ended what is no more.
	before map[driftKey]*Drift
	ended  []driftKey
	wrote  bool
}

func (r *Recorder) changeDrift(tx *sql.Tx, now time.Time) (*driftChange, error) {
	entries, err := newAdder(tx, now)
	return &driftChange{tx: tx, entries: entries, drifts: newDriftKeeper(tx), recorder: r, now: now, before: map[driftKey]*Drift{}}, err
}

// flush writes what was changed.
func (c *driftChange) flush() error {
	if c.wrote {
		if _, err := c.entries.flush(); err != nil {
			return err
		}
	}
	if err := c.drifts.flush(); err != nil {
		return err
	}
	for some := range slices.Chunk(c.ended, rowsAtOnce) {
		var args []any
		for _, k := range some {
			args = append(args, k.org, k.kind, k.object, k.field)
		}
		if _, err := c.tx.Exec(`DELETE FROM drifts WHERE (org, kind, object, field) IN (VALUES `+repeated("(?, ?, ?, ?)", len(some))+`)`, args...); err != nil {
			return err
		}
	}
	return nil
}

// see notes what a run has seen.
func (c *driftChange) see(d Drift) error {
	old := c.before[d.key()]
	delete(c.before, d.key())
	if old != nil && sameJSON(old.Actual, d.Actual) {
		d.Since, d.Run, d.Cause, d.Unknown = old.Since, old.Run, old.Cause, old.Unknown
		d.Times = old.Times + 1
		if sameJSON(old.Desired, d.Desired) {
			d.Seq = old.Seq
			return c.drifts.put(&d)
		}
	}
	seq, err := c.add(TypeDrift, &d)
	if err != nil {
		return err
	}
	d.Seq = seq
	return c.drifts.put(&d)
}

// end notes that a field differs no more.
func (c *driftChange) end(d *Drift) error {
	_, err := c.add(TypeDriftEnded, d)
	c.ended = append(c.ended, d.key())
	return err
}

// add adds an entry about a drift, and returns its seq.
func (c *driftChange) add(t Type, d *Drift) (int64, error) {
	since, last := d.Since, d.LastSeen
	e := Entry{
		Type: t, Action: string(t), Time: c.now, Org: d.Org, OrgID: d.OrgID, Kind: d.Kind, Object: d.Object, Field: d.Field,
		Before: d.Actual, After: d.Desired, Since: &since, LastSeen: &last, Times: d.Times,
		Cause: d.Cause, Unknown: d.Unknown, Error: d.Error,
	}
	if t == TypeDriftEnded {
		e.About = d.Seq
	}
	c.recorder.complete(&e)
	err := c.entries.add(&e)
	c.wrote = true
	return e.Seq, err
}

// sameJSON reports whether two values are the same but for space between.
func sameJSON(a, b json.RawMessage) bool {
	return bytes.Equal(compact(a), compact(b))
}

func compact(v json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if len(v) == 0 || json.Compact(&b, v) != nil {
		return v
	}
	return b.Bytes()
}

// driftKeeper keeps open drift, which is there after flush.
type driftKeeper struct {
	in *transfer.Inserter
	// added are the keys that no flush has followed yet.
	added map[driftKey]bool
}

func newDriftKeeper(tx *sql.Tx) *driftKeeper {
	return &driftKeeper{in: transfer.NewInserter(tx, "drifts", []string{"org", "kind", "object", "field", "seq", "since", "last_seen", "times", "run", "detail"},
		`ON CONFLICT (org, kind, object, field) DO UPDATE SET seq = excluded.seq, since = excluded.since, last_seen = excluded.last_seen,
			times = excluded.times, run = excluded.run, detail = excluded.detail`), added: map[driftKey]bool{}}
}

// put keeps an open drift, in the place of one with the same key.
func (k *driftKeeper) put(d *Drift) error {
	detail, err := json.Marshal(driftDetail{d.OrgID, d.Desired, d.Actual, d.Destructive, d.Blocked, d.Error, d.Hint, d.Cause, d.Unknown})
	if err != nil {
		return fmt.Errorf("the drift of %q of %q can't be kept: %w", d.Field, d.Org, err)
	}
	if k.added[d.key()] { // which one statement can't have twice
		if err := k.flush(); err != nil {
			return err
		}
	}
	k.added[d.key()] = true
	return k.in.Add(d.Org, d.Kind, d.Object, d.Field, d.Seq, sqlitefile.Stamp(d.Since), sqlitefile.Stamp(d.LastSeen), d.Times, d.Run, string(detail))
}

func (k *driftKeeper) flush() error {
	clear(k.added)
	return k.in.Flush()
}

// Drifts returns the open drift, sorted by org and field.
func (s *Store) Drifts() (all []Drift, err error) {
	err = s.read("reading drift", func(tx *sql.Tx) error {
		all, err = drifts(tx)
		return err
	})
	return all, err
}

func drifts(tx *sql.Tx) ([]Drift, error) { return driftsWhere(tx, &DriftCache{}, "") }

// DriftCache is what was read of open drift, so that it isn't decoded anew where it is as
// it was. Its zero value is empty; it is for one goroutine at a time.
type DriftCache struct{ details map[string]*driftDetail }

// DriftsAgain returns what Drifts does, decoded with the cache.
func (s *Store) DriftsAgain(c *DriftCache) (all []Drift, err error) {
	err = s.read("reading drift", func(tx *sql.Tx) error {
		all, err = driftsWhere(tx, c, "")
		return err
	})
	return all, err
}

// driftsWhere returns the open drift that a condition selects, sorted by org and field.
// Afterwards the cache has what was selected.
func driftsWhere(tx *sql.Tx, c *DriftCache, where string, args ...any) ([]Drift, error) {
	rows, err := tx.Query(`SELECT org, kind, object, field, seq, since, last_seen, times, run, detail FROM drifts `+where+
		` ORDER BY org, field, kind, object`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Drift
	details := make(map[string]*driftDetail, len(c.details))
	for rows.Next() {
		var d Drift
		var detail sql.RawBytes
		if err := rows.Scan(&d.Org, &d.Kind, &d.Object, &d.Field, &d.Seq, sqlitefile.Moment(&d.Since), sqlitefile.Moment(&d.LastSeen), &d.Times, &d.Run, &detail); err != nil {
			return nil, fmt.Errorf("%w: an open drift: %w", ErrDamaged, err)
		}
		v := c.details[string(detail)]
		if v == nil {
			v = &driftDetail{}
			if err := unmarshal(detail, v); err != nil {
				return nil, err
			}
		}
		details[string(detail)] = v
		d.OrgID, d.Desired, d.Actual, d.Destructive = v.OrgID, v.Desired, v.Actual, v.Destructive
		d.Blocked, d.Error, d.Hint, d.Cause, d.Unknown = v.Blocked, v.Error, v.Hint, v.Cause, v.Unknown
		all = append(all, d)
	}
	c.details = details
	return all, rows.Err()
}

// Caused sets who caused a drift, or what a change repaired, or why that can't be known,
// and adds an entry of type cause. seq is that of the drift's entry or the change's. A
// drift may have ended since. What is known already adds nothing.
func (s *Store) Caused(seq int64, cause *Cause, unknown string) error {
	return s.write("noting who caused a drift", func(tx *sql.Tx) error {
		about, err := find(tx, seq)
		if err != nil {
			return err
		}
		if about == nil || about.Type != TypeDrift && about.Type != TypeChange {
			return fmt.Errorf("entry %d is neither a drift nor a change that is kept", seq)
		}
		if same(about.Cause, cause) && about.Unknown == unknown {
			return nil
		}
		open, err := driftsWhere(tx, &DriftCache{}, `WHERE seq = ?`, seq)
		if err != nil {
			return err
		}
		put := newDriftKeeper(tx)
		for i := range open {
			open[i].Cause, open[i].Unknown = cause, unknown
			if err := put.put(&open[i]); err != nil {
				return err
			}
		}
		if err := put.flush(); err != nil {
			return err
		}
		_, err = add(tx, s.now(), Entry{
			Type: TypeCause, Action: string(TypeCause), About: seq, Run: about.Run, Org: about.Org, OrgID: about.OrgID,
			Kind: about.Kind, Object: about.Object, Field: about.Field, Cause: cause, Unknown: unknown,
		})
		return err
	})
}

// same reports whether two causes are the same event.
func same(a, b *Cause) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := *a, *b
	x.Time, y.Time = time.Time{}, time.Time{}
	return x == y && a.Time.Equal(b.Time)
}
