package journal

import (
	"database/sql"
	"errors"
	"fmt"
	"time"
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

// Deletions returns all requests of an account, sorted by domain, then id.
func (j *Journal) Deletions(account string) ([]Deletion, error) {
	return list(j, "reading deletions", func(d *Deletion) []any {
		return []any{&d.Account, &d.OrgID, &d.Domain, &d.State, moment{&d.Changed}, &d.LastError}
	}, `SELECT account, org_id, domain, state, changed_at, last_error FROM deletions
		WHERE account = ? ORDER BY domain, org_id`, account)
}

// BeginDeletion records that Okta is about to be asked to delete an org. It may
// be called again after a refusal, and while the outcome is not known; once Okta
// has accepted the request it is an error.
func (w *Writer) BeginDeletion(account, orgID, domain string) error {
	if account == "" || orgID == "" {
		return errors.New("asking for a deletion: account and org id must be given")
	}
	return w.write("asking for a deletion", func(tx *sql.Tx) error {
		done, err := tx.Exec(`INSERT INTO deletions (account, org_id, domain, state, changed_at, last_error)
			VALUES (?, ?, ?, ?, ?, '')
			ON CONFLICT (account, org_id) DO UPDATE
			SET domain = excluded.domain, state = excluded.state, changed_at = excluded.changed_at, last_error = ''
			WHERE state <> ?`, account, orgID, Key{Domain: domain}.normal().Domain, Asking, stamp(w.now()), Asked)
		return wantRow(done, err, fmt.Errorf("deletion of %q (%s): Okta was asked already", domain, orgID))
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
			state, stamp(w.now()), refusal, account, orgID, Asking)
		return wantRow(done, err, fmt.Errorf("deletion of the org %q: nobody is waiting for an answer", orgID))
	})
}

// ForgetDeletion is for an org that is in use again, or no longer declared as
// one to be deleted: its deletion may be requested another time. It does nothing
// for an org whose deletion was never requested.
func (w *Writer) ForgetDeletion(account, orgID string) error {
	return w.write("forgetting a deletion", func(tx *sql.Tx) error {
		_, err := tx.Exec(`DELETE FROM deletions WHERE account = ? AND org_id = ?`, account, orgID)
		return err
	})
}

// wantRow returns none if a statement found no row to write.
func wantRow(done sql.Result, err, none error) error {
	if err != nil {
		return err
	}
	n, err := done.RowsAffected()
	if err == nil && n == 0 {
		return none
	}
	return err
}
