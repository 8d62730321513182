package journal

import (
	"database/sql"
	"errors"
	"time"

	"reconciler/internal/store/sqlitefile"
)

// Inactive is an object in an org that a change made INACTIVE, or is about to, and that
// is to be ACTIVE again afterwards. Nothing in Okta tells it from one that somebody
// deactivated.
type Inactive struct {
	Account, OrgID string
	// Kind and ID are the caller's words for the object.
	Kind, ID string
	// Since is when the change began.
	Since time.Time
}

// check rejects an empty time, which no change has.
func (i *Inactive) check() (column, problem string) {
	if i.Since.IsZero() {
		return "since", "it is empty"
	}
	return "", ""
}

const inactiveRows = `SELECT account, org_id, kind, id, since FROM inactive`

func (i *Inactive) fields() []any {
	return []any{&i.Account, &i.OrgID, &i.Kind, &i.ID, sqlitefile.Moment(&i.Since)}
}

// Inactive returns the objects of the orgs of an account that changes left INACTIVE, or
// that changes of another process hold so now, sorted by org id, kind and id. Those that
// can't be read are missing, and the error is a *RowsError.
func (j *Journal) Inactive(account string) ([]Inactive, error) {
	return list(j, "reading what changes left inactive", (*Inactive).fields, inactiveRows+` WHERE account = ? ORDER BY org_id, kind, id`, account)
}

// BeginInactive records that a change is about to make an object INACTIVE. It may be
// repeated. It needs no lock, and creates the journal where there is none.
func (j *Journal) BeginInactive(i Inactive) error {
	if i.Account == "" || i.OrgID == "" || i.Kind == "" || i.ID == "" || i.Since.IsZero() {
		return errors.New("noting what a change makes inactive: account, org id, kind, id and time must be given")
	}
	return j.writeOrCreate("noting what a change makes inactive", func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT INTO inactive (account, org_id, kind, id, since) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (account, org_id, kind, id) DO UPDATE SET since = excluded.since`,
			i.Account, i.OrgID, i.Kind, i.ID, sqlitefile.Stamp(i.Since))
		return err
	})
}

// EndInactive records that nothing is left to be done for an object: it is ACTIVE, or
// gone. With a time, one that a change has begun with after it stays.
func (j *Journal) EndInactive(i Inactive) error {
	return j.write("noting that an object is active again", func(tx *sql.Tx) error {
		_, err := tx.Exec(`DELETE FROM inactive WHERE account = ? AND org_id = ? AND kind = ? AND id = ? AND ('' = ? OR since <= ?)`,
			i.Account, i.OrgID, i.Kind, i.ID, sqlitefile.Stamp(i.Since), sqlitefile.Stamp(i.Since))
		return err
	})
}
