package journal

import (
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"reconciler/internal/freeze"
	"reconciler/internal/store/postgres"
	"reconciler/internal/store/sqlitefile"
	"reconciler/internal/text"
)

const (
	idLength = 8
	// While another process creates the journal, Suspend waits for it.
	createTries = 50
	createPause = 100 * time.Millisecond
	// keepExpired is for how long a suspension stays that has expired: by another clock,
	// such as this one before it was set, it may be in force.
	keepExpired = 7 * 24 * time.Hour
)

// suspensionRow is a suspension as the file has it.
type suspensionRow struct {
	freeze.Suspension
	orgs, since, until string
}

// parse fills in what isn't text. An error means that the row may suspend more
// than it seems to.
func (r *suspensionRow) parse() error {
	err := errors.Join(json.Unmarshal([]byte(r.orgs), &r.Orgs), sqlitefile.Moment(&r.Since).Scan(r.since), sqlitefile.Moment(&r.Until).Scan(r.until))
	if len(r.Orgs) == 0 {
		r.Orgs = nil // as it was added
	}
	return errors.Join(err, r.Check())
}

// SuspensionsError are the suspensions that can't be read or understood. Each of them
// may suspend more than it seems to.
type SuspensionsError struct {
	// Rows are what can be read of them. They don't expire.
	Rows     []freeze.Suspension
	problems []string
}

func (e *SuspensionsError) add(s freeze.Suspension, problem string) {
	s.Reason, s.Owner, s.Until = clean(s.Reason), clean(s.Owner), time.Time{}
	e.Rows = append(e.Rows, s)
	e.problems = append(e.problems, fmt.Sprintf("the suspension %q can't be understood: %s", s.ID, clean(problem)))
}

// maxProblems is how many suspensions the text of a SuspensionsError explains.
const maxProblems = 10

// Error returns what is wrong with each of them.
func (e *SuspensionsError) Error() string {
	told := strings.Join(e.problems[:min(len(e.problems), maxProblems)], "; ")
	if more := len(e.problems) - maxProblems; more > 0 {
		told += fmt.Sprintf(" (and %d more)", more)
	}
	return told
}

// Hint returns what to do about it.
func (e *SuspensionsError) Hint() string {
	var ids []string
	for i := range e.Rows {
		ids = append(ids, clean(e.Rows[i].ID))
	}
	those := "it"
	if len(ids) > 1 {
		those = "them"
	}
	return fmt.Sprintf("everything is held until then; to lift %s: reconciler resume %s", those, strings.Join(ids, " "))
}

// suspensions returns those that can be understood, in the order in which they were
// made. If there are others, the error is a *SuspensionsError.
func suspensions(q sqlitefile.Querier) ([]freeze.Suspension, error) {
	rows, err := rowsOf(q, func(r *suspensionRow) []any {
		return []any{&r.ID, &r.orgs, &r.Reason, &r.Owner, &r.since, &r.until}
	}, `SELECT id, orgs, reason, owner, since, until FROM suspensions ORDER BY since, rowid`)
	unread := unreadable(err)
	if err != nil && unread == nil {
		return nil, err
	}
	var bad SuspensionsError
	var all []freeze.Suspension
	for i := range rows {
		if wrong := rows[i].parse(); wrong != nil {
			bad.add(rows[i].Suspension, text.Flat(wrong).Error())
		} else {
			all = append(all, rows[i].Suspension)
		}
	}
	for _, row := range unread {
		bad.add(freeze.Suspension{ID: row.Keys["id"]}, row.Column+": "+row.Problem)
	}
	if len(bad.Rows) > 0 {
		return all, &bad
	}
	return all, nil
}

// suspensions returns those that can be understood, as the function of the same name
// does, with ends by the clock of this machine: in a database they are by the clock of
// that, so that a suspension ends for all replicas at the same time.
func (j *Journal) suspensions(q sqlitefile.Querier) ([]freeze.Suspension, error) {
	all, err := suspensions(q)
	if !slices.ContainsFunc(all, ends) {
		return all, err
	}
	ahead, unknown := j.home.ahead(q, j.now)
	if unknown != nil {
		return nil, unknown
	}
	if ahead.Abs() <= postgres.MaxSkew {
		return all, err
	}
	// To the minute, so that it is the same each time; and rather too late than too early.
	shift := ahead.Truncate(time.Minute) + time.Minute
	for i := range all {
		if ends(all[i]) {
			all[i].Until = all[i].Until.Add(shift)
		}
	}
	return all, err
}

// ends reports whether a suspension expires.
func ends(s freeze.Suspension) bool { return !s.Until.IsZero() }

// Suspensions returns the suspensions that were made while the program runs, in
// the order in which they were made; some may have expired. In a database they expire by
// its clock: to a machine whose own differs by more than a minute, Until is another time,
// at which that clock will be. If any can't be read
// or understood, that is an error, and everything must be treated as suspended
// (freeze.Rules.Unreadable). If the others can, it is a *SuspensionsError, and they
// are returned.
func (j *Journal) Suspensions() (all []freeze.Suspension, err error) {
	err = j.read("reading suspensions", func(q sqlitefile.Querier) (err error) {
		all, err = j.suspensions(q)
		return err
	})
	return all, err
}

// Suspend adds a suspension and returns it with its ID; Since is now, to the
// second, where it is not set. It rejects one without reason or owner, one that has
// expired, and one with an end if this machine's clock and the database's differ by more
// than a minute: it would end for others at another time than is meant. Suspensions that
// expired a week ago are dropped. Adding the same twice makes two. It needs no lock, and
// creates the journal where there is none.
func (j *Journal) Suspend(s freeze.Suspension) (freeze.Suspension, error) {
	now := j.now()
	s, err := complete(s, now)
	if err != nil {
		return freeze.Suspension{}, err
	}
	err = j.writeOrCreate("suspending", func(tx *sql.Tx) error {
		if _, err := suspensions(tx); err != nil {
			return err
		}
		ahead, err := j.home.ahead(tx, j.now)
		if err != nil {
			return err
		}
		if ends(s) && ahead.Abs() > postgres.MaxSkew {
			return text.WithHint(fmt.Errorf("%s, by which suspensions end", postgres.Skew(ahead)), "set this machine's clock (NTP), or suspend without an end")
		}
		if _, err := tx.Exec(`DELETE FROM suspensions WHERE until <> '' AND until <= ?`, sqlitefile.Stamp(now.Add(-ahead-keepExpired))); err != nil {
			return err
		}
		return insertSuspension(tx, &s)
	})
	if err != nil {
		return freeze.Suspension{}, err
	}
	return s, nil
}

// complete returns a suspension as it is kept, with a new ID.
func complete(s freeze.Suspension, now time.Time) (freeze.Suspension, error) {
	now = now.UTC().Truncate(time.Second)
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
	return s, nil
}

func insertSuspension(tx *sql.Tx, s *freeze.Suspension) error {
	orgs, err := json.Marshal(s.Orgs)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO suspensions (id, orgs, reason, owner, since, until) VALUES (?, ?, ?, ?, ?, ?)`,
		s.ID, string(orgs), s.Reason, s.Owner, sqlitefile.Stamp(s.Since), sqlitefile.Stamp(s.Until))
	return err
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
// them in the order in which they were made, those that can't be understood last. It
// doesn't ask about those that have expired.
func (j *Journal) Resume(match func(freeze.Suspension) bool) (removed []freeze.Suspension, err error) {
	err = j.write("resuming", func(tx *sql.Tx) error {
		all, err := j.suspensions(tx)
		var bad *SuspensionsError
		if errors.As(err, &bad) {
			all = append(all, bad.Rows...)
		} else if err != nil {
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
