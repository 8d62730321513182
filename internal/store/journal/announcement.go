package journal

import (
	"database/sql"
	"time"
)

// Announcement says that an org is to be deactivated or deleted, and since when
// that is known. The doing itself waits.
type Announcement struct {
	Account, OrgID, Domain string
	// Action is a word of the caller's for what is to be done: each waits by
	// itself.
	Action string
	// Commit is the one that wanted it first; empty for manifests that are not
	// from git.
	Commit string
	// At is when it was wanted first.
	At time.Time
}

// Announcements gives what is announced for an account, sorted by domain, then
// id, then action.
func (v *View) Announcements(account string) ([]Announcement, error) {
	const doing = "reading announced deactivations"
	rows, err := v.db.Query(`SELECT account, org_id, action, domain, revision, announced_at FROM announcements
		WHERE account = ? ORDER BY domain, org_id, action`, account)
	if err != nil {
		return nil, failed(v.file, doing, err)
	}
	defer rows.Close()
	var all []Announcement
	for rows.Next() {
		var a Announcement
		if err := rows.Scan(&a.Account, &a.OrgID, &a.Action, &a.Domain, &a.Commit, moment{&a.At}); err != nil {
			return nil, failed(v.file, doing, err)
		}
		all = append(all, a)
	}
	return all, failed(v.file, doing, rows.Err())
}

// Announce takes down what is to come, all of it or nothing. It may be repeated:
// of what is announced for an org already, the first announcement stands until
// it is withdrawn.
func (j *Journal) Announce(all ...Announcement) error {
	for _, a := range all {
		if a.Account == "" || a.OrgID == "" || a.Action == "" || a.At.IsZero() {
			return misused("announcing the deactivation of %q: account, org id, action and time must be given", a.Domain)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return j.write("announcing deactivations", func(tx *sql.Tx) error {
		for _, a := range all {
			if _, err := tx.Exec(`INSERT INTO announcements (account, org_id, action, domain, revision, announced_at)
				VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (account, org_id, action) DO NOTHING`,
				a.Account, a.OrgID, a.Action, Key{Domain: a.Domain}.normal().Domain, a.Commit, stamp(a.At)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Withdraw forgets announcements, all of them or none: what they are about is no
// longer to be done, or it was. Only account, org id and action of each count.
// Where there is none it does nothing.
func (j *Journal) Withdraw(all ...Announcement) error {
	if len(all) == 0 {
		return nil
	}
	return j.write("withdrawing announced deactivations", func(tx *sql.Tx) error {
		for _, a := range all {
			if _, err := tx.Exec(`DELETE FROM announcements WHERE account = ? AND org_id = ? AND action = ?`, a.Account, a.OrgID, a.Action); err != nil {
				return err
			}
		}
		return nil
	})
}
