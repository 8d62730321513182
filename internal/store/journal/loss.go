package journal

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"reconciler/internal/store/sqlitefile"
)

// Loss is what a journal doesn't know because it replaced one that could not be
// read.
type Loss struct {
	// Since is when the present journal began.
	Since time.Time
	// SetAside is the file that could not be read.
	SetAside string
}

// lostSuspension is the id of the suspension that a journal with a Loss begins
// with, as nobody knows what was suspended.
const lostSuspension = "journal"

// insert is for the moment in which a journal begins. A nil Loss is none.
func (l *Loss) insert(db *sql.DB) error {
	if l == nil {
		return nil
	}
	if _, err := db.Exec(`INSERT INTO losses (since, set_aside) VALUES (?, ?)`, sqlitefile.Stamp(l.Since), l.SetAside); err != nil {
		return err
	}
	_, err := db.Exec(`INSERT INTO suspensions (id, orgs, reason, owner, since, until) VALUES (?, '[]', ?, 'reconciler', ?, '')`,
		lostSuspension, fmt.Sprintf("the journal was damaged and set aside as %s: what was suspended is not known", filepath.Base(l.SetAside)),
		sqlitefile.Stamp(l.Since))
	return err
}

// Loss returns what was lost, until that is acknowledged; nil if nothing was.
// While it is not nil, an org without a Creation must be treated as if a call to
// create it might have been sent.
func (j *Journal) Loss() (loss *Loss, err error) {
	err = j.read("reading what was lost", func(q sqlitefile.Querier) error {
		loss, err = one(q, func(l *Loss) []any { return []any{new(any), sqlitefile.Moment(&l.Since), &l.SetAside} },
			`SELECT id, since, set_aside FROM losses WHERE acknowledged_at = '' ORDER BY id`)
		return err
	})
	return loss, err
}

// AcknowledgeLoss records that a person, by, has dealt with what was lost, and
// ends the suspension that came with it. Where there is no journal, it creates one.
func (j *Journal) AcknowledgeLoss(by string) error {
	by, err := person(by)
	if err != nil {
		return err
	}
	return j.writeOrCreate("acknowledging what was lost", func(tx *sql.Tx) error {
		if _, err := tx.Exec(`DELETE FROM suspensions WHERE id = ?`, lostSuspension); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE losses SET acknowledged_at = ?, acknowledged_by = ? WHERE acknowledged_at = ''`, sqlitefile.Stamp(j.now()), by)
		return err
	})
}

// person rejects an empty name.
func person(by string) (string, error) {
	if by = clean(by); by == "" {
		return "", errors.New("acknowledging: it must be said by whom")
	}
	return by, nil
}
