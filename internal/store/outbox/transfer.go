package outbox

import "reconciler/internal/store/transfer"

// side returns the tables in a transaction.
func (s *Store) side(tx transfer.Reader) transfer.Side {
	_, inDatabase := s.place.(*database)
	return transfer.Side{Tx: tx, Postgres: inDatabase, Tables: []string{"messages", s.place.kept()}}
}

// Rows calls f with all that is in the outbox at one moment, and reports whether there
// is one.
func (s *Store) Rows(f func(transfer.Side) error) (exists bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	exists, err = transfer.Read(s.place.snapshot, errNone, s.side, f)
	return exists, s.failed("reading all of it", err)
}

// Fill calls f, which replaces all that is in the outbox, as a whole or not at all. It
// makes an outbox where there is none.
func (s *Store) Fill(f func(transfer.Target) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed("filling it", transfer.Write(s.place.write, s.side, f))
}

// IsNew reports whether nothing is in the outbox.
func (s *Store) IsNew() (is bool, err error) {
	is = true
	_, err = s.Rows(func(side transfer.Side) error {
		return side.Tx.QueryRow(`SELECT NOT EXISTS (SELECT 1 FROM messages) AND NOT EXISTS (SELECT 1 FROM ` + s.place.kept() + `)`).Scan(&is)
	})
	return is, err
}

// Drop removes the tables of an outbox in PostgreSQL, with all that is in them. In a folder
// it removes nothing.
func (s *Store) Drop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, is := s.place.(*database)
	if !is {
		return nil
	}
	return s.failed("removing it", d.open().Drop())
}
