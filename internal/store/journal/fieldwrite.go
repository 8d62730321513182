package journal

import (
	"database/sql"
	"errors"
	"time"

	"reconciler/internal/store/sqlitefile"
)

// FieldWrite is a field of an object of an org that was written, and may be set back by
// others.
type FieldWrite struct {
	Account, OrgID, Domain string
	// Kind and Object name the object as plans do, and Field is the path in it.
	Kind, Object, Field string
	// Value is what was written, as JSON.
	Value string
	// Times counts the writes of this value, each of which was undone before the next,
	// and Last is when the last was made.
	Times int
	Last  time.Time
}

func (w *FieldWrite) fields() []any {
	return []any{&w.Account, &w.OrgID, &w.Domain, &w.Kind, &w.Object, &w.Field, &w.Value, &w.Times, sqlitefile.Moment(&w.Last)}
}

// check rejects what no write leaves.
func (w *FieldWrite) check() (column, problem string) {
	switch {
	case w.Times < 1:
		return "times", "it is less than 1"
	case w.Last.IsZero():
		return "written_at", "it is empty"
	}
	return "", ""
}

const fieldWriteRows = `SELECT account, org_id, domain, kind, object, field, value, times, written_at FROM field_writes`

// FieldWrites returns what was written to the orgs of an account, sorted by domain, then
// object. Those that can't be read are missing, and the error is a *RowsError.
func (j *Journal) FieldWrites(account string) ([]FieldWrite, error) {
	return list(j, "reading what was written to orgs", (*FieldWrite).fields,
		fieldWriteRows+` WHERE account = ? ORDER BY domain, org_id, kind, object, field`, account)
}

// AddFieldWrite records that a field was written at Last. It is counted with the writes
// of the same value, if the last of them is not older than since; other values, and
// what is older, are forgotten. Times of w doesn't count. It needs no lock, and creates
// the journal where there is none.
func (j *Journal) AddFieldWrite(w FieldWrite, since time.Time) error {
	if w.Account == "" || w.OrgID == "" || w.Kind == "" || w.Object == "" || w.Field == "" || w.Last.IsZero() {
		return errors.New("noting what is written to an org: account, org id, object, field and time must be given")
	}
	return j.writeOrCreate("noting what is written to an org", func(tx *sql.Tx) error {
		if _, err := tx.Exec(`DELETE FROM field_writes WHERE account = ? AND written_at < ?`, w.Account, sqlitefile.Stamp(since)); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO field_writes (account, org_id, domain, kind, object, field, value, times, written_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?)
			ON CONFLICT (account, org_id, kind, object, field) DO UPDATE SET
				times = CASE WHEN field_writes.value = excluded.value AND field_writes.times > 0 THEN field_writes.times + 1 ELSE 1 END,
				domain = excluded.domain, value = excluded.value, written_at = excluded.written_at`,
			w.Account, w.OrgID, Key{Domain: w.Domain}.normal().Domain, w.Kind, w.Object, w.Field, w.Value, sqlitefile.Stamp(w.Last))
		return err
	})
}
