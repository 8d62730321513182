package journal

import (
	"database/sql"
	"errors"
	"time"
)

// Amnesia says that a journal could not be read and that another one began in
// its place. Of an org that this one doesn't know, it can't be said that
// nobody ever asked for it.
type Amnesia struct {
	// Since is when the new journal began.
	Since time.Time
	// SetAside is the file that could not be read. Its log, if there was one,
	// has the same name with -wal.
	SetAside string
}

// insert is for the moment in which a journal begins.
func (a *Amnesia) insert(db *sql.DB) error {
	_, err := db.Exec(`INSERT INTO amnesia (since, set_aside) VALUES (?, ?)`, stamp(a.Since), a.SetAside)
	return err
}

// Amnesia says what the journal has forgotten, until that is acknowledged; nil
// when nothing is. While it is not nil, an org without a Creation must be
// treated as if a call to create it might have been sent.
func (v *View) Amnesia() (*Amnesia, error) {
	var a Amnesia
	err := v.db.QueryRow(`SELECT since, set_aside FROM amnesia WHERE acknowledged_at = '' ORDER BY id DESC LIMIT 1`).
		Scan(moment{&a.Since}, &a.SetAside)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, failed(v.file, "reading what was forgotten", err)
	}
	return &a, nil
}

// AcknowledgeAmnesia takes down that a person, by, has looked after what was
// forgotten. Without amnesia it does nothing.
func (v *View) AcknowledgeAmnesia(by string) error {
	by, err := person(by)
	if err != nil {
		return err
	}
	return v.write("acknowledging what was forgotten", func(tx *sql.Tx) error {
		_, err := tx.Exec(`UPDATE amnesia SET acknowledged_at = ?, acknowledged_by = ? WHERE acknowledged_at = ''`,
			stamp(v.now()), by)
		return err
	})
}

// person wants a name to be given.
func person(by string) (string, error) {
	if by = clean(by); by == "" {
		return "", misused("acknowledging: it must be said by whom")
	}
	return by, nil
}
