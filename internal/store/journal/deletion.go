package journal

import (
	"cmp"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"reconciler/internal/store/sqlitefile"
)

// DeletionState is how far the request to delete an org got.
type DeletionState string

const (
	// Asking: the request was sent, or is about to be; whether Okta got it is not
	// known.
	Asking DeletionState = "asking"
	// Asked: Okta accepted the request. It must not be made again.
	Asked DeletionState = "asked"
	// RefusedDeletion: Okta refused the request; nothing will be deleted.
	RefusedDeletion DeletionState = "refused"
)

// Deletion is a request to Okta to delete an org, which no field of the org
// shows.
type Deletion struct {
	Account, OrgID, Domain string
	State                  DeletionState
	// Changed is when it got its state.
	Changed time.Time
	// LastError is Okta's message, if it refused.
	LastError string
}

// Deletions returns all requests of an account, sorted by domain, then id. Those that
// can't be read are missing from them, and the error is a *RowsError.
func (j *Journal) Deletions(account string) ([]Deletion, error) {
	return list(j, "reading deletions", func(d *Deletion) []any {
		return []any{&d.Account, &d.OrgID, &d.Domain, word[DeletionState]{&d.State, []DeletionState{Asking, Asked, RefusedDeletion}}, sqlitefile.Moment(&d.Changed), &d.LastError}
	}, `SELECT account, org_id, domain, state, changed_at, last_error FROM deletions
		WHERE account = ? ORDER BY domain, org_id`, account)
}

// BeginDeletion records that Okta is about to be asked to delete an org, whatever
// became of an earlier request.
func (w *Writer) BeginDeletion(account, orgID, domain string) error {
	if account == "" || orgID == "" {
		return errors.New("asking for a deletion: account and org id must be given")
	}
	return w.write("asking for a deletion", func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT INTO deletions (account, org_id, domain, state, changed_at, last_error) VALUES (?, ?, ?, ?, ?, '')
			ON CONFLICT (account, org_id) DO UPDATE SET domain = excluded.domain, state = excluded.state,
				changed_at = excluded.changed_at, last_error = excluded.last_error`,
			account, orgID, Key{Domain: domain}.normal().Domain, Asking, sqlitefile.Stamp(w.now()))
		return err
	})
}

// EndDeletion records the answer; an empty refusal means that Okta accepted the
// request. After BeginDeletion only.
func (w *Writer) EndDeletion(account, orgID, refusal string) error {
	state := Asked
	if refusal = clean(refusal); refusal != "" {
		state = RefusedDeletion
	}
	return w.write("noting the answer to a deletion", func(tx *sql.Tx) error {
		done, err := tx.Exec(`UPDATE deletions SET state = ?, changed_at = ?, last_error = ? WHERE account = ? AND org_id = ? AND state = ?`,
			state, sqlitefile.Stamp(w.now()), refusal, account, orgID, Asking)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return cmp.Or(err, fmt.Errorf("deletion of the org %q: nobody is waiting for an answer", orgID))
		}
		return nil
	})
}
