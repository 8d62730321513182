package journal

import (
	"cmp"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"reconciler/internal/store/sqlitefile"
)

// keepRemovals bounds how many removals are kept. They are dropped by their number
// and not by their age: a clock that is wrong for a moment must not drop any.
const keepRemovals = 10_000

// Removal is a write that took something from an org: a product, its status or the
// org itself; or may have, because its outcome is not known.
type Removal struct {
	Account, OrgID, Domain string
	// At is when it was about to be sent; zero if the row can't be read.
	At time.Time
}

// LimitError means that a removal would be one too many.
type LimitError struct {
	// Lost is how many orgs lost something since the beginning of the time that is
	// limited, and Max how many may.
	Lost, Max int
}

// Error names both numbers.
func (e *LimitError) Error() string {
	return fmt.Sprintf("%d orgs have lost something by now, and only %d may", e.Lost, e.Max)
}

// Removals returns the newest removal of each org of an account since a time,
// oldest first. Later ones than now count as well, and so do those whose time can't
// be read: a clock that goes back must not make any of them forgotten.
func (j *Journal) Removals(account string, since time.Time) (all []Removal, err error) {
	err = j.read("reading what was removed", func(q sqlitefile.Querier) (err error) {
		all, err = removals(q, account, since)
		return err
	})
	return all, err
}

// check rejects an empty time, which would count forever.
func (r *Removal) check() (column, problem string) {
	if r.At.IsZero() {
		return "sent_at", "it is empty"
	}
	return "", ""
}

const removalRows = `SELECT id, account, org_id, domain, sent_at FROM removals WHERE account = ?`

// fields returns where the columns go.
func (r *Removal) fields() []any {
	return []any{new(any), &r.Account, &r.OrgID, &r.Domain, sqlitefile.Moment(&r.At)}
}

// removals is Removals. A row that can't be read counts as one whose time is not
// known.
func removals(q sqlitefile.Querier, account string, since time.Time) ([]Removal, error) {
	rows, err := rowsOf(q, (*Removal).fields, removalRows, account)
	bad := unreadable(err)
	if err != nil && bad == nil {
		return nil, err
	}
	for _, row := range bad {
		rows = append(rows, Removal{Account: account, OrgID: cmp.Or(row.Keys["org_id"], row.Keys["id"]), Domain: row.Keys["domain"]})
	}
	newest := map[string]Removal{}
	for _, r := range rows {
		if !r.At.IsZero() && !r.At.After(since) {
			continue
		}
		if last, ok := newest[r.OrgID]; !ok || !last.At.IsZero() && (r.At.IsZero() || r.At.After(last.At)) {
			newest[r.OrgID] = r
		}
	}
	var all []Removal
	for _, r := range newest {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b Removal) int {
		return cmp.Or(a.At.Compare(b.At), strings.Compare(a.OrgID, b.OrgID))
	})
	return all, nil
}

// BeginRemoval records that something is about to be taken from an org, and returns
// what TakeBack needs to know. If more than max orgs would then have lost something
// since a time, the error is a *LimitError, and nothing was recorded: of several
// processes that take from orgs at the same time, no two can pass the limit
// together. It needs no lock, and creates the journal where there is none.
func (j *Journal) BeginRemoval(r Removal, since time.Time, max int) (id int64, err error) {
	if r.Account == "" || r.OrgID == "" || r.At.IsZero() {
		return 0, errors.New("noting what is removed: account, org id and time must be given")
	}
	err = j.writeOrCreate("noting what is removed", func(tx *sql.Tx) error {
		lost, err := removals(tx, r.Account, since)
		if err != nil {
			return err
		}
		n := len(lost)
		if !slices.ContainsFunc(lost, func(l Removal) bool { return l.OrgID == r.OrgID }) {
			n++
		}
		if n > max {
			return &LimitError{Lost: len(lost), Max: max}
		}
		err = tx.QueryRow(`INSERT INTO removals (account, org_id, domain, sent_at) VALUES (?, ?, ?, ?) RETURNING id`,
			r.Account, r.OrgID, Key{Domain: r.Domain}.normal().Domain, sqlitefile.Stamp(r.At)).Scan(&id)
		if err != nil {
			return err
		}
		_, err = tx.Exec(`DELETE FROM removals WHERE id <= ?`, id-keepRemovals)
		return err
	})
	return id, err
}

// TakeBack deletes a removal that is known not to have happened: Okta refused the
// write, or it was not sent.
func (j *Journal) TakeBack(id int64) error {
	return j.write("taking back what was not removed", func(tx *sql.Tx) error {
		_, err := tx.Exec(`DELETE FROM removals WHERE id = ?`, id)
		return err
	})
}
