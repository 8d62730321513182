package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"reconciler/internal/store/lease"
	"reconciler/internal/store/location"
	"reconciler/internal/store/postgres"
	"reconciler/internal/store/sqlitefile"
	"reconciler/internal/text"
)

// tables is the home of a journal in a PostgreSQL database.
type tables struct {
	at   location.Location
	kind *postgres.Kind
	db   *postgres.Database // nil while it isn't open
	// compare is postgres.Ahead, but in tests that set the clock of the database.
	compare func(row func(query string, args ...any) *sql.Row, now func() time.Time) (time.Duration, error)
}

func newTables(at location.Location, log *slog.Logger) *tables {
	return &tables{at: at, compare: postgres.Ahead, kind: &postgres.Kind{
		Store: "journal", Steps: postgresSchema(), Connections: 2,
		Migrating: func(from, to int) { log.Info("migrating the journal's schema", "from", from, "to", to) },
	}}
}

func (t *tables) open() *postgres.Database {
	if t.db == nil {
		t.db = t.kind.Open(t.at.Postgres())
	}
	return t.db
}

func (t *tables) read(f func(q sqlitefile.Querier) error) error {
	tx, err := t.open().Snapshot()
	if err != nil {
		return none(err)
	}
	defer tx.Rollback()
	return f(tx)
}

func (t *tables) begin() (*sql.Tx, error) {
	tx, err := t.open().Begin()
	return tx, none(err)
}

// none returns errNone for the error of a database without the tables.
func none(err error) error {
	if errors.Is(err, postgres.ErrNone) {
		return errNone
	}
	return err
}

func (t *tables) committed() {}

func (t *tables) prepare() error { return nil }

// create makes the tables, but not those that were there and are gone.
func (t *tables) create() error {
	tx, err := t.begin()
	switch {
	case errors.Is(err, errNone):
		return t.open().Create(func(*sql.Tx) error { return nil })
	case err != nil:
		return err
	}
	return tx.Rollback()
}

// older returns false: begin migrates.
func (t *tables) older() bool { return false }

// gone returns nil: create finds out, and the locks are other tables.
func (t *tables) gone() error { return nil }

func (t *tables) close() error {
	db := t.db
	t.db = nil
	if db == nil {
		return nil
	}
	return db.Close()
}

func (t *tables) explain(err error) (hint string, _ error) { return "", postgres.Explain(err) }

func (t *tables) unlike() string { return "NOT SIMILAR TO" }

// ahead compares with the clock of the database.
func (t *tables) ahead(q sqlitefile.Querier, now func() time.Time) (time.Duration, error) {
	return t.compare(q.QueryRow, now)
}

// backup fails: whoever runs the database backs it up.
func (t *tables) backup(string) error {
	return text.WithHint(errors.New("a journal in PostgreSQL is not copied to a file"), "back the database up by its own means, such as pg_dump")
}

// String names the database.
func (t *tables) String() string { return "in " + t.at.String() }

// sessions are the connections of this process to the locks of a database.
type sessions struct {
	at location.Location

	mu sync.Mutex
	db *postgres.Database // nil while it isn't open
	// made reports whether the tables of the locks are there.
	made bool
}

// lockSessions bounds the connections: one for each of the three locks, and one that
// looks at who holds them.
const lockSessions = 4

// Open makes the tables of the locks where they are missing.
func (s *sessions) Open(context.Context) (*sql.DB, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	db := s.open()
	if !s.made {
		if err := db.Create(func(*sql.Tx) error { return nil }); err != nil {
			return nil, s.failed(err)
		}
		s.made = true
	}
	return db.DB(), nil
}

// open returns the tables of the locks, and connects to nothing. s.mu is held.
func (s *sessions) open() *postgres.Database {
	if s.db == nil {
		s.db = (&postgres.Kind{Store: "lease", Steps: lease.Schema(), Connections: lockSessions}).Open(s.at.Postgres())
	}
	return s.db
}

// check returns why the tables of the locks can't be used. It is nil where there are none.
func (s *sessions) check() error {
	s.mu.Lock()
	db := s.open()
	s.mu.Unlock() // others don't wait for the answer
	return s.failed(db.Check())
}

// drop removes the tables of the locks.
func (s *sessions) drop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made = false
	return s.open().Drop()
}

// failed returns an error that names what can't be used, where it doesn't do so itself.
func (s *sessions) failed(err error) error {
	if !errors.Is(err, postgres.ErrNewer) {
		return err
	}
	return text.WithHint(fmt.Errorf("locks in %v: %w", s.at, err), text.Hint(err))
}

// answers reports whether the database does, with the tables of the locks in it.
func (s *sessions) answers(ctx context.Context) bool {
	db, err := s.Open(ctx)
	return err == nil && db.PingContext(ctx) == nil
}

// Explain returns an error of PostgreSQL in plain words.
func (s *sessions) Explain(err error) error { return postgres.Explain(err) }

// close closes the connections.
func (s *sessions) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	db := s.db
	s.db = nil
	if db == nil {
		return nil
	}
	return db.Close()
}
