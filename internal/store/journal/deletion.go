package journal

import (
	"database/sql"
	"time"
)

// DeletionState is how far the request to delete an org got.
type DeletionState string

const (
	// Asking: the request was sent, or is just about to be; whether Okta got
	// it is not known.
	Asking DeletionState = "asking"
	// Asked: Okta took the request. It must not be made again.
	Asked DeletionState = "asked"
	// RefusedDeletion: Okta refused; nothing will be deleted.
	RefusedDeletion DeletionState = "refused"
)

// Deletion is a request to Okta to delete an org, which no field of the org
// tells of.
type Deletion struct {
	Account, OrgID, Domain string
	State                  DeletionState
	// Changed is when it got into its state.
	Changed time.Time
	// LastError holds Okta's words, if it refused.
	LastError string
}

// Deletions gives all requests of an account, sorted by domain, then id.
func (v *View) Deletions(account string) ([]Deletion, error) {
	const doing = "reading deletions"
	rows, err := v.db.Query(`SELECT account, org_id, domain, state, changed_at, last_error FROM deletions
		WHERE account = ? ORDER BY domain, org_id`, account)
	if err != nil {
		return nil, failed(v.file, doing, err)
	}
	defer rows.Close()
	var all []Deletion
	for rows.Next() {
		var d Deletion
		if err := rows.Scan(&d.Account, &d.OrgID, &d.Domain, &d.State, moment{&d.Changed}, &d.LastError); err != nil {
			return nil, failed(v.file, doing, err)
		}
		all = append(all, d)
	}
	return all, failed(v.file, doing, rows.Err())
}

// BeginDeletion takes down that Okta is about to be asked to delete an org. It
// may be called again after a refusal, and while the outcome is not known;
// once Okta took the request it is an error.
func (j *Journal) BeginDeletion(account, orgID, domain string) error {
	if account == "" || orgID == "" {
		return misused("asking for a deletion: account and org id must be given")
	}
	return j.write("asking for a deletion", func(tx *sql.Tx) error {
		done, err := tx.Exec(`INSERT INTO deletions (account, org_id, domain, state, changed_at, last_error)
			VALUES (?, ?, ?, ?, ?, '')
			ON CONFLICT (account, org_id) DO UPDATE
			SET domain = excluded.domain, state = excluded.state, changed_at = excluded.changed_at, last_error = ''
			WHERE state <> ?`, account, orgID, Key{Domain: domain}.normal().Domain, Asking, stamp(j.now()), Asked)
		return wantRow(done, err, misused("deletion of %q (%s): Okta was asked already", domain, orgID))
	})
}

// EndDeletion takes down the answer; an empty refusal means that Okta took the
// request. After BeginDeletion only.
func (j *Journal) EndDeletion(account, orgID, refusal string) error {
	state := Asked
	if refusal = clean(refusal); refusal != "" {
		state = RefusedDeletion
	}
	return j.write("noting the answer to a deletion", func(tx *sql.Tx) error {
		done, err := tx.Exec(`UPDATE deletions SET state = ?, changed_at = ?, last_error = ? WHERE account = ? AND org_id = ? AND state = ?`,
			state, stamp(j.now()), refusal, account, orgID, Asking)
		return wantRow(done, err, misused("deletion of the org %q: nobody is waiting for an answer", orgID))
	})
}

// ForgetDeletion is for an org that is in use again, or no longer declared as
// one to be deleted: its deletion may be asked for another time. Of an org
// whose deletion was never asked for it does nothing.
func (j *Journal) ForgetDeletion(account, orgID string) error {
	return j.write("forgetting a deletion", func(tx *sql.Tx) error {
		_, err := tx.Exec(`DELETE FROM deletions WHERE account = ? AND org_id = ?`, account, orgID)
		return err
	})
}

// wantRow gives otherwise when a statement found no row to write.
func wantRow(done sql.Result, err, otherwise error) error {
	if err != nil {
		return err
	}
	n, err := done.RowsAffected()
	if err == nil && n == 0 {
		return otherwise
	}
	return err
}
