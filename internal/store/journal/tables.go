package journal

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"sync"

	"reconciler/internal/store/lease"
	"reconciler/internal/store/location"
	"reconciler/internal/store/postgres"
	"reconciler/internal/text"
)

// tablesName is the name of the journal among the stores of a database.
const tablesName = "journal"

// tables is the home of a journal in a PostgreSQL database.
type tables struct {
	at    location.Location
	log   *slog.Logger
	steps []string // of the schema

	// db is nil while it isn't open.
	db *sql.DB
	// seen reports whether the tables were there once.
	seen bool
}

func (t *tables) open() *sql.DB {
	if t.db == nil {
		t.db = postgres.Open(t.at.Postgres(), 2)
	}
	return t.db
}

// ready brings tables of an older schema to the present one.
func (t *tables) ready() (*sql.DB, error) {
	db := t.open()
	version, err := version(db, tablesName)
	switch known := len(t.steps); {
	case err != nil:
		return nil, err
	case version == 0 && t.seen:
		return nil, ErrGone
	case version == 0:
		return nil, errNone
	case version > known:
		return nil, tooNew(version, known)
	case version < known:
		t.log.Info("migrating the journal's schema", "database", t.at.String(), "from", version, "to", known)
		if err := migrate(db, tablesName, t.steps); err != nil {
			return nil, err
		}
	}
	t.seen = true
	return db, nil
}

func (t *tables) prepare() error { return nil }

// older reports nothing: ready has migrated what was.
func (t *tables) older() bool { return false }

// create makes the tables.
func (t *tables) create() (*sql.DB, error) {
	db, err := t.ready()
	if !errors.Is(err, errNone) {
		return db, err
	}
	if err := migrate(t.open(), tablesName, t.steps); err != nil {
		return nil, err
	}
	return t.ready()
}

// begin begins a transaction in which no other one of the journal is under way.
func (t *tables) begin() (*sql.Tx, error) {
	tx, err := t.db.Begin()
	if err != nil {
		return nil, err
	}
	if err := serialize(tx, tablesName); err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	return tx, nil
}

func (t *tables) wrote() {}

// gone asks nothing: a lock isn't made anew in a database whose tables are gone.
func (t *tables) gone() error { return nil }

func (t *tables) close() error {
	db := t.db
	t.db = nil
	if db == nil {
		return nil
	}
	return db.Close()
}

func (t *tables) explain(err error) error { return explain(err) }

func (t *tables) hint(error) string { return "" }

func (t *tables) copyTo(string) error {
	return text.WithHint(errors.New("a database is not copied to a file"), "use pg_dump")
}

func (t *tables) unlike() string { return "NOT SIMILAR TO" }

// String names the database.
func (t *tables) String() string { return t.at.String() }

// sessions is the database in which the locks are.
type sessions struct {
	at location.Location

	mu sync.Mutex
	db *sql.DB
	// made reports whether the table of the locks is there.
	made bool
}

// lockSessions is how many locks a process has at the same time, and one more to look at them.
const lockSessions = 4

// Open returns the connections, once the table of the locks is there.
func (s *sessions) Open(ctx context.Context) (*sql.DB, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		s.db = postgres.Open(s.at.Postgres(), lockSessions)
	}
	if !s.made {
		if err := migrate(s.db, "lease", lease.Schema()); err != nil {
			return nil, s.Explain(err)
		}
		s.made = true
	}
	return s.db, nil
}

// Explain returns an error of PostgreSQL in plain words.
func (s *sessions) Explain(err error) error { return explain(err) }

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

func version(db *sql.DB, store string) (v int, err error) {
	var there bool
	if err := db.QueryRow(`SELECT to_regclass('migrations') IS NOT NULL`).Scan(&there); err != nil || !there {
		return 0, err
	}
	err = db.QueryRow(`SELECT version FROM migrations WHERE store = ?`, store).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return v, err
}

func migrate(db *sql.DB, store string, steps []string) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := serialize(tx, "migrations"); err != nil {
		return err
	}
	if _, err := tx.Exec(`CREATE TABLE IF NOT EXISTS migrations (store TEXT PRIMARY KEY, version INT NOT NULL)`); err != nil {
		return err
	}
	var v int
	if err := tx.QueryRow(`SELECT coalesce(max(version), 0) FROM migrations WHERE store = ?`, store).Scan(&v); err != nil {
		return err
	}
	for ; v < len(steps); v++ {
		if _, err := tx.Exec(steps[v]); err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO migrations VALUES (?, ?) ON CONFLICT (store) DO UPDATE SET version = excluded.version`, store, v+1); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func serialize(tx *sql.Tx, store string) error {
	_, err := tx.Exec(`SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '.' || ?, 0))`, store)
	return err
}

func tooNew(v, known int) error {
	return cmp.Or(errors.New("it has a schema that this version knows no more than"), nil)
}

func explain(err error) error { return err }
