package history

import (
	"reconciler/internal/store/postgres"
	"reconciler/internal/store/transfer"
)

// side returns the tables in a transaction.
func (s *Store) side(tx transfer.Reader) transfer.Side {
	_, inDatabase := s.place.(*database)
	return transfer.Side{Tx: tx, Postgres: inDatabase, Tables: (&postgres.Kind{Steps: schema()}).Tables()}
}

// Rows calls f with all that is in the history at one moment, and reports whether there
// is one.
func (s *Store) Rows(f func(transfer.Side) error) (exists bool, err error) {
	exists, err = transfer.Read(s.place.snapshot, errNone, s.side, f)
	return exists, s.failed("reading all of it", err)
}

// Fill calls f, which replaces all that is in the history, as a whole or not at all. It
// makes a history where there is none. Only f knows of what was there.
func (s *Store) Fill(f func(transfer.Target) error) error {
	return s.failed("filling it", transfer.Write(s.place.write, s.side, f))
}

// IsNew reports whether nothing was ever added to the history.
func (s *Store) IsNew() (is bool, err error) {
	is = true
	_, err = s.Rows(func(side transfer.Side) error {
		return side.Tx.QueryRow(`SELECT NOT EXISTS (SELECT 1 FROM chain WHERE seq > 0) AND NOT EXISTS (SELECT 1 FROM running)`).Scan(&is)
	})
	return is, err
}

// Drop removes the tables of a history in PostgreSQL, with all that is in them. In a
// folder it removes nothing.
func (s *Store) Drop() error {
	d, is := s.place.(*database)
	if !is {
		return nil
	}
	return s.failed("removing it", d.open().Drop())
}
