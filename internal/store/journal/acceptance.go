package journal

import (
	"database/sql"
	"errors"
	"fmt"
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
	// Tag is the content of the tag object that was signed, which may be gone
	// when it has to be checked again; nil where it was the commit.
	Tag []byte
	// At is when the commit was accepted for the first time: the time at which
	// its keys were valid.
	At time.Time
}

// OvertakenError says that another process has accepted a commit meanwhile, so
// that one which was checked before is no longer the newest.
type OvertakenError struct {
	// Commit is the older one, and By the one that is accepted now.
	Commit, By string
}

// Error names both.
func (e *OvertakenError) Error() string {
	return fmt.Sprintf("commit %s was checked before another process accepted commit %s", e.Commit, e.By)
}

// Hint says what to do about it.
func (e *OvertakenError) Hint() string { return "run again: that looks at the newest commit" }

// Accepted gives the last accepted commit of a source; false when there is none.
func (v *View) Accepted(source string) (Acceptance, bool, error) {
	a, known, err := accepted(v.db, source)
	return a, known, failed(v.file, "reading the accepted commit", err)
}

// accepted reads it through a database or a transaction.
func accepted(db interface {
	QueryRow(query string, args ...any) *sql.Row
}, source string) (Acceptance, bool, error) {
	a := Acceptance{Source: source}
	err := db.QueryRow(`SELECT revision, signer, tag, accepted_at FROM acceptances WHERE source = ?`, source).
		Scan(&a.Commit, &a.Signer, &a.Tag, moment{&a.At})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Acceptance{}, false, nil
	case err != nil:
		return Acceptance{}, false, err
	}
	return a, true, nil
}

// Rewritten gives the commits of a source that were accepted once and that a
// rewrite, which was accepted, took out of it. They are sorted.
func (v *View) Rewritten(source string) ([]string, error) {
	const doing = "reading the rewritten commits"
	rows, err := v.db.Query(`SELECT revision FROM rewritten WHERE source = ? ORDER BY revision`, source)
	if err != nil {
		return nil, failed(v.file, doing, err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var commit string
		if err := rows.Scan(&commit); err != nil {
			return nil, failed(v.file, doing, err)
		}
		all = append(all, commit)
	}
	return all, failed(v.file, doing, rows.Err())
}

// Accept takes down that a commit was accepted, in place of the one before it.
// It may be repeated: of a commit that is the accepted one already, the first
// time stands, unless it is by another tag.
//
// The commit after is the accepted one against which it was checked, empty when
// there was none. When the journal has a third one by now, the error is an
// *OvertakenError, and nothing was written. With rewrote, the commit doesn't
// build on the one before it, which from then on is one of the Rewritten.
func (j *Journal) Accept(a Acceptance, after string, rewrote bool) error {
	if a.Source == "" || a.Commit == "" || a.At.IsZero() {
		return misused("accepting a commit: source, commit and time must be given")
	}
	return j.write("accepting a commit", func(tx *sql.Tx) error {
		last, known, err := accepted(tx, a.Source)
		if err != nil {
			return err
		}
		if known && last.Commit != after && last.Commit != a.Commit {
			return &OvertakenError{Commit: a.Commit, By: last.Commit}
		}
		if rewrote && known && last.Commit != a.Commit {
			if _, err := tx.Exec(`INSERT INTO rewritten (source, revision) VALUES (?, ?) ON CONFLICT DO NOTHING`, a.Source, last.Commit); err != nil {
				return err
			}
		}
		_, err = tx.Exec(`INSERT INTO acceptances (source, revision, signer, tag, accepted_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (source) DO UPDATE SET revision = excluded.revision, signer = excluded.signer, tag = excluded.tag,
				accepted_at = CASE WHEN revision = excluded.revision AND tag IS excluded.tag THEN accepted_at ELSE excluded.accepted_at END
			WHERE revision <> excluded.revision OR signer <> excluded.signer OR tag IS NOT excluded.tag`,
			a.Source, a.Commit, clean(a.Signer), a.Tag, stamp(a.At))
		return err
	})
}
