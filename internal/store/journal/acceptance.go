package journal

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"reconciler/internal/store/sqlitefile"
)

// Acceptance is the last commit of a source whose signatures were good. Later
// commits are compared with it: whether the branch still contains it, and which
// commits are new.
type Acceptance struct {
	// Source is the caller's key, such as a repository's URL and a branch.
	Source string
	Commit string
	// Signer describes who signed it.
	Signer string
	// Tag is the content of the tag object that was signed, which git may no
	// longer have when it is checked again; nil where the commit was signed.
	Tag []byte
	// At is when the commit was accepted for the first time: the time at which
	// its keys were valid.
	At time.Time
}

// OvertakenError means that another process has accepted a commit meanwhile, so
// that one which was checked before is no longer the newest.
type OvertakenError struct {
	// Commit is the older one, and By the one that is accepted now.
	Commit, By string
}

// Error names both commits.
func (e *OvertakenError) Error() string {
	return fmt.Sprintf("commit %s was checked before another process accepted commit %s", e.Commit, e.By)
}

// Hint returns what to do about it.
func (e *OvertakenError) Hint() string { return "run again: that looks at the newest commit" }

// Accepted returns the last accepted commit of a source; false if there is none.
func (j *Journal) Accepted(source string) (a Acceptance, known bool, err error) {
	err = j.read("reading the accepted commit", func(q sqlitefile.Querier) (err error) {
		a, known, err = accepted(q, source)
		return err
	})
	return a, known, err
}

const acceptedRows = `SELECT source, revision, signer, tag, accepted_at FROM acceptances`

// fields returns where the columns go.
func (a *Acceptance) fields() []any {
	return []any{&a.Source, &a.Commit, &a.Signer, &a.Tag, sqlitefile.Moment(&a.At)}
}

func accepted(q sqlitefile.Querier, source string) (Acceptance, bool, error) {
	a, err := one(q, (*Acceptance).fields, acceptedRows+` WHERE source = ?`, source)
	if a == nil || err != nil {
		return Acceptance{}, false, err
	}
	return *a, true, nil
}

// Rewritten returns the commits of a source, sorted, that were accepted once and
// that an accepted rewrite of its history removed.
func (j *Journal) Rewritten(source string) ([]string, error) {
	return list(j, "reading the rewritten commits", func(commit *string) []any { return []any{commit} },
		`SELECT revision FROM rewritten WHERE source = ? ORDER BY revision`, source)
}

// Accept records that a commit was accepted, in place of the one before it. It
// may be repeated: a commit that is accepted already keeps its time, unless it
// is by another tag.
//
// The commit after is the accepted one against which it was checked, empty if
// there was none. When the journal has a third one by now, the error is an
// *OvertakenError, and nothing was written. With rewrote, the commit doesn't
// build on the one before it, which becomes one of the Rewritten.
func (w *Writer) Accept(a Acceptance, after string, rewrote bool) error {
	if a.Source == "" || a.Commit == "" || a.At.IsZero() {
		return errors.New("accepting a commit: source, commit and time must be given")
	}
	return w.write("accepting a commit", func(tx *sql.Tx) error {
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
				accepted_at = CASE WHEN acceptances.revision = excluded.revision AND acceptances.tag IS NOT DISTINCT FROM excluded.tag
					THEN acceptances.accepted_at ELSE excluded.accepted_at END
			WHERE acceptances.revision <> excluded.revision OR acceptances.signer <> excluded.signer OR acceptances.tag IS DISTINCT FROM excluded.tag`,
			a.Source, a.Commit, clean(a.Signer), a.Tag, sqlitefile.Stamp(a.At))
		return err
	})
}
