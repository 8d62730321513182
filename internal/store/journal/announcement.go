package journal

import (
	"database/sql"
	"fmt"
	"time"

	"reconciler/internal/store/sqlitefile"
)

// Announcement records that an org is to be deactivated or deleted, and since
// when. The change itself waits.
type Announcement struct {
	Account, OrgID, Domain string
	// Action is the caller's word for the change. Each action waits by itself.
	Action string
	// Commit is the first one that declared it; empty for manifests that are not
	// from git.
	Commit string
	// Declared is the caller's word for all that was declared for the org then.
	Declared string
	// At is when it was declared first.
	At time.Time
}

// check rejects a time in the distant past, with which no wait would be left.
func (a *Announcement) check() (column, problem string) {
	if a.At.Year() < 2000 {
		return "announced_at", fmt.Sprintf("%s is before there was this program", a.At.Format(time.DateOnly))
	}
	return "", ""
}

// Announcements returns the announcements of an account, sorted by domain, then
// id, then action. Those that can't be read are missing from them, and the error is
// a *RowsError.
func (j *Journal) Announcements(account string) ([]Announcement, error) {
	return list(j, "reading announced deactivations", func(a *Announcement) []any {
		return []any{&a.Account, &a.OrgID, &a.Action, &a.Domain, &a.Commit, &a.Declared, sqlitefile.Moment(&a.At)}
	}, `SELECT account, org_id, action, domain, revision, declared, announced_at FROM announcements
		WHERE account = ? ORDER BY domain, org_id, action`, account)
}

// Announce records announcements, all of them or none. It may be repeated: an
// action that is announced for an org already keeps its announcement until that
// is withdrawn.
func (w *Writer) Announce(all ...Announcement) error {
	for _, a := range all {
		if a.Account == "" || a.OrgID == "" || a.Action == "" || a.At.IsZero() {
			return fmt.Errorf("announcing the deactivation of %q: account, org id, action and time must be given", a.Domain)
		}
	}
	return w.write("announcing deactivations", func(tx *sql.Tx) error {
		for _, a := range all {
			if _, err := tx.Exec(`INSERT INTO announcements (account, org_id, action, domain, revision, declared, announced_at)
				VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (account, org_id, action) DO NOTHING`,
				a.Account, a.OrgID, a.Action, Key{Domain: a.Domain}.normal().Domain, a.Commit, a.Declared, sqlitefile.Stamp(a.At)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Withdraw deletes announcements, all of them or none: the change is no longer
// declared, or was made. Only account, org id and action of each count. Where
// there is none it does nothing.
func (w *Writer) Withdraw(all ...Announcement) error {
	return w.write("withdrawing announced deactivations", func(tx *sql.Tx) error {
		for _, a := range all {
			if _, err := tx.Exec(`DELETE FROM announcements WHERE account = ? AND org_id = ? AND action = ?`, a.Account, a.OrgID, a.Action); err != nil {
				return err
			}
		}
		return nil
	})
}
