package journal

import (
	"database/sql"

	"reconciler/internal/freeze"
	"reconciler/internal/store/postgres"
	"reconciler/internal/store/sqlitefile"
	"reconciler/internal/store/transfer"
)

// side returns the tables in a transaction, without the table runs, which nothing reads
// any more.
func (j *Journal) side(tx transfer.Reader) transfer.Side {
	_, inDatabase := j.home.(*tables)
	return transfer.Side{
		Tx: tx, Postgres: inDatabase, Tables: (&postgres.Kind{Steps: postgresSchema()}).Tables(), Rowid: []string{"suspensions"},
	}
}

// Rows calls f with all that is in the journal at one moment, and reports whether there
// is one.
func (j *Journal) Rows(f func(transfer.Side) error) (exists bool, err error) {
	err = j.read("reading all of it", func(q sqlitefile.Querier) error {
		exists = true
		return f(j.side(q))
	})
	return exists, err
}

// Fill calls f, which replaces all that is in the journal, as a whole or not at all. It
// makes a journal where there is none. The caller has what Hold returns.
func (j *Journal) Fill(f func(transfer.Target) error) error {
	return j.fill(func(tx *sql.Tx) error { return f(transfer.To(j.side(tx), tx)) })
}

// FillSuspended is Fill, and at the same moment adds a suspension to what f has filled in.
// It returns the suspension with its ID.
func (j *Journal) FillSuspended(s freeze.Suspension, f func(transfer.Target) error) (freeze.Suspension, error) {
	s, err := complete(s, j.now())
	if err != nil {
		return freeze.Suspension{}, err
	}
	return s, j.fill(func(tx *sql.Tx) error {
		if err := f(transfer.To(j.side(tx), tx)); err != nil {
			return err
		}
		return insertSuspension(tx, &s)
	})
}

func (j *Journal) fill(f func(*sql.Tx) error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	err := j.home.prepare()
	if err == nil {
		err = j.home.create()
	}
	if err == nil {
		err = j.transact(f)
	}
	return j.failed("filling it", err)
}

// IsNew reports whether nothing is in the journal.
func (j *Journal) IsNew() (bool, error) {
	rows := int64(0)
	_, err := j.Rows(func(side transfer.Side) error {
		sums, err := transfer.Sums(side)
		for i := range sums {
			rows += sums[i].Rows
		}
		return err
	})
	return rows == 0, err
}

// Drop removes the tables of a journal in PostgreSQL, with all that is in them. In a folder
// it removes nothing.
func (j *Journal) Drop() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	t, is := j.home.(*tables)
	if !is {
		return nil
	}
	return j.failed("removing it", t.open().Drop())
}

// DropLocks removes the tables of the locks of a journal in PostgreSQL. Nobody may hold
// one or wait for it. In a folder it removes nothing.
func (j *Journal) DropLocks() error {
	if j.sessions == nil {
		return nil
	}
	return j.sessions.drop()
}
