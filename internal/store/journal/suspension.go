package journal

import (
	"cmp"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"reconciler/internal/freeze"
	"reconciler/internal/text"
)

const (
	idLength = 8
	// While another process creates the journal, Suspend waits for it.
	createTries = 50
	createPause = 100 * time.Millisecond
)

// suspensionRow is a suspension as the file has it.
type suspensionRow struct {
	freeze.Suspension
	orgs, since, until string
}

// parse fills in what isn't text. An error means that the row may suspend more
// than it seems to.
func (r *suspensionRow) parse() error {
	err := errors.Join(json.Unmarshal([]byte(r.orgs), &r.Orgs), moment{&r.Since}.Scan(r.since), moment{&r.Until}.Scan(r.until))
	if len(r.Orgs) == 0 {
		r.Orgs = nil // as it was added
	}
	return errors.Join(err, r.Check())
}

// suspensions returns all of them, in the order in which they were made. The
// error is about the first that can't be understood; the list has it too.
func suspensions(q querier) ([]freeze.Suspension, error) {
	rows, err := rowsOf(q, func(r *suspensionRow) []any {
		return []any{&r.ID, &r.orgs, &r.Reason, &r.Owner, &r.since, &r.until}
	}, `SELECT id, orgs, reason, owner, since, until FROM suspensions ORDER BY since, rowid`)
	bad := unreadable(err)
	if err != nil && bad == nil {
		return nil, err
	}
	err = nil
	all := make([]freeze.Suspension, len(rows))
	for i := range rows {
		r := &rows[i]
		if wrong := r.parse(); wrong != nil {
			r.Reason, r.Owner = clean(r.Reason), clean(r.Owner)
			err = cmp.Or(err, notUnderstood(r.ID, text.Flat(wrong).Error()))
		}
		all[i] = r.Suspension
	}
	for _, row := range bad {
		err = cmp.Or(err, notUnderstood(row.Keys["id"], row.Column+": "+row.Problem))
		all = append(all, freeze.Suspension{ID: row.Keys["id"]})
	}
	return all, err
}

// notUnderstood is the error of a suspension that may suspend more than it seems to.
func notUnderstood(id, why string) error {
	return text.WithHint(fmt.Errorf("the suspension %q can't be understood: %s", id, clean(why)),
		fmt.Sprintf("everything is held until then; to lift it: reconciler resume %s", id))
}

// Suspensions returns the suspensions that were made while the program runs, in
// the order in which they were made; some may have expired. If any can't be read
// or understood, that is an error, and everything must be treated as suspended
// (freeze.Rules.Unreadable). The list then has those that were read.
func (j *Journal) Suspensions() (all []freeze.Suspension, err error) {
	err = j.read("reading suspensions", func(db *sql.DB) (err error) {
		all, err = suspensions(db)
		return err
	})
	return all, err
}

// Suspend adds a suspension and returns it with its ID; Since is now, to the
// second, where it is not set. It rejects one without reason or owner, and one
// that has expired. Suspensions that have expired are dropped. Adding the same
// twice makes two. It needs no lock, and creates the journal where there is none.
func (j *Journal) Suspend(s freeze.Suspension) (freeze.Suspension, error) {
	now := j.now().UTC().Truncate(time.Second)
	if s.Since.IsZero() {
		s.Since = now
	}
	s.Orgs = slices.Clone(s.Orgs)
	slices.Sort(s.Orgs)
	s.Orgs = slices.Compact(s.Orgs)
	s.Since, s.Until = s.Since.UTC(), s.Until.UTC()
	s.ID = strings.ToLower(rand.Text()[:idLength])
	err := s.Check()
	if err == nil && s.Expired(now) {
		err = fmt.Errorf("it would have expired already, at %s", s.Until.Format(time.RFC3339))
	}
	if err != nil {
		return freeze.Suspension{}, fmt.Errorf("can't suspend: %w", err)
	}
	orgs, err := json.Marshal(s.Orgs)
	if err != nil {
		return freeze.Suspension{}, err
	}
	err = j.writeOrCreate("suspending", func(tx *sql.Tx) error {
		if _, err := suspensions(tx); err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM suspensions WHERE until <> '' AND until <= ?`, stamp(now)); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO suspensions (id, orgs, reason, owner, since, until) VALUES (?, ?, ?, ?, ?, ?)`,
			s.ID, string(orgs), s.Reason, s.Owner, stamp(s.Since), stamp(s.Until))
		return err
	})
	if err != nil {
		return freeze.Suspension{}, err
	}
	return s, nil
}

// writeOrCreate is write, and creates the file where there is none. While another
// process does that, it waits.
func (j *Journal) writeOrCreate(doing string, f func(tx *sql.Tx) error) error {
	for try := 0; ; try++ {
		err := j.write(doing, f)
		if !errors.Is(err, errNone) {
			return err
		}
		w, err := j.Lock()
		switch {
		case err == nil:
			err = w.Unlock()
		case errors.As(err, new(*HeldError)) && try < createTries:
			time.Sleep(createPause)
			err = nil
		}
		if err != nil {
			return err
		}
	}
}

// Resume takes back the suspensions that match reports true for, and returns
// them in the order in which they were made. It doesn't ask about those that have
// expired. One that can't be understood can be taken back as well.
func (j *Journal) Resume(match func(freeze.Suspension) bool) (removed []freeze.Suspension, err error) {
	err = j.write("resuming", func(tx *sql.Tx) error {
		all, err := suspensions(tx)
		if all == nil {
			return err
		}
		for _, s := range freeze.Active(all, j.now()) {
			if !match(s) {
				continue
			}
			removed = append(removed, s)
			if _, err := tx.Exec(`DELETE FROM suspensions WHERE id = ?`, s.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, errNone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return removed, nil
}
