package journal

import (
	"database/sql"
	"errors"
	"time"
)

// Acceptance is the last commit of a source whose signatures were good. What
// comes after it is judged by it: whether the branch still contains it, and
// which commits are new.
type Acceptance struct {
	// Source is a key of the caller's, such as a repository's URL and a branch.
	Source string
	Commit string
	// Signer is who signed, in the words of who checked it.
	Signer string
	// At is when the commit was accepted for the first time: the time at which
	// its keys were valid.
	At time.Time
}

// Accepted gives the last accepted commit of a source; false when there is none.
func (v *View) Accepted(source string) (Acceptance, bool, error) {
	a := Acceptance{Source: source}
	err := v.db.QueryRow(`SELECT revision, signer, accepted_at FROM acceptances WHERE source = ?`, source).
		Scan(&a.Commit, &a.Signer, moment{&a.At})
	if errors.Is(err, sql.ErrNoRows) {
		return Acceptance{}, false, nil
	}
	if err != nil {
		return Acceptance{}, false, failed(v.file, "reading the accepted commit", err)
	}
	return a, true, nil
}

// Accept takes down that a commit was accepted, in place of the one before it.
// It may be repeated: of a commit that is the accepted one already, the first
// time stands.
func (j *Journal) Accept(a Acceptance) error {
	if a.Source == "" || a.Commit == "" || a.At.IsZero() {
		return misused("accepting a commit: source, commit and time must be given")
	}
	return j.write("accepting a commit", func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT INTO acceptances (source, revision, signer, accepted_at) VALUES (?, ?, ?, ?)
			ON CONFLICT (source) DO UPDATE SET revision = excluded.revision, signer = excluded.signer,
				accepted_at = CASE revision WHEN excluded.revision THEN accepted_at ELSE excluded.accepted_at END
			WHERE revision <> excluded.revision OR signer <> excluded.signer`,
			a.Source, a.Commit, clean(a.Signer), stamp(a.At))
		return err
	})
}
