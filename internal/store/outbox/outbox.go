// Package outbox keeps messages until they are delivered, in a state folder or in
// PostgreSQL. What is in them, and where they go, is for the package that sends them.
//
// In a folder it is a SQLite database, outbox.db. Each change is done as a whole or not at
// all. A message gets its place in the order when it is added. One process at a time
// sends; others may add.
package outbox

import (
	"cmp"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"reconciler/internal/store/location"
	"reconciler/internal/store/securedir"
	"reconciler/internal/store/sqlitefile"
	"reconciler/internal/text"
)

// Message is a message that is not delivered yet.
type Message struct {
	// Seq is its place in the order; Change sets it.
	Seq int64
	// ID is unique.
	ID string
	// Receiver is whom it is for.
	Receiver string
	// Made is when it was made. Ready is when it may be sent; before, further ones may
	// join it, if it is Collected.
	Made, Ready time.Time
	Collected   bool
	Content     []byte
}

// ErrDamaged is the error of an outbox that can't be read as one. In a folder, it is set
// aside when something is added.
var ErrDamaged = sqlitefile.ErrDamaged

// errNone is the error of an outbox that doesn't exist yet.
var errNone = errors.New("there is no outbox")

// schema returns the steps that lead to the schema of this version: once released, a
// step is never changed.
func schema() []string { return []string{schema1} }

const schema1 = `
CREATE TABLE messages (
	seq       INTEGER PRIMARY KEY AUTOINCREMENT,
	id        TEXT NOT NULL UNIQUE,
	receiver  TEXT NOT NULL,
	made_at   TEXT NOT NULL,
	ready_at  TEXT NOT NULL,
	collected INTEGER NOT NULL CHECK (collected IN (0, 1)),
	content   BLOB NOT NULL
) STRICT;

-- What those who add messages keep beside them.
CREATE TABLE kept (
	id      INTEGER PRIMARY KEY CHECK (id = 1),
	content BLOB NOT NULL
) STRICT;
`

// Store is the outbox in a folder or a database. It opens it with its first use, and
// keeps it open until Close. Its methods may be called by several goroutines and
// processes.
type Store struct {
	mu    sync.Mutex
	place place
}

// place is where an outbox is kept.
type place interface {
	// String names it in errors.
	String() string
	// kept is the name of the table for what is kept beside the messages.
	kept() string
	// snapshot begins a transaction that reads. The error is errNone where there is no
	// outbox.
	snapshot() (*sql.Tx, error)
	// write begins a transaction that writes, and makes the outbox where there is none.
	write() (*sql.Tx, error)
	// replace begins a new outbox in the place of one that was found to be damaged, or
	// returns an error where that can't be done.
	replace(damage error) error
	// explain returns an error of our own instead of the database's.
	explain(err error) error
	close() error
}

// Options are what a store needs besides its location. The zero value works.
type Options struct {
	// Now returns the time; time.Now if nil.
	Now func() time.Time
	// Logger logs files that are set aside; nil is silent.
	Logger *slog.Logger
}

// New returns the outbox at a location, and opens nothing.
func New(at location.Location, opts Options) *Store {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if at.Postgres() != nil {
		return &Store{place: newDatabase(at, opts.Logger)}
	}
	return &Store{place: &folder{dir: at.Dir(), log: opts.Logger, now: opts.Now}}
}

// Close closes what is open. The store may be used again, which reopens it.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.place.close()
}

// Load returns the messages whose place in the order is after a Seq, in that order.
func (s *Store) Load(after int64) ([]Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, err := s.load(after)
	if errors.Is(err, errNone) {
		return nil, nil
	}
	return all, s.failed("reading", err)
}

// Check checks the structure of the outbox, if there is one. It changes nothing.
func (s *Store) Check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.load(0)
	if errors.Is(err, errNone) {
		return nil
	}
	return s.failed("checking", err)
}

func (s *Store) load(after int64) ([]Message, error) {
	tx, err := s.place.snapshot()
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	rows, err := tx.Query(`SELECT seq, id, receiver, made_at, ready_at, collected, content FROM messages WHERE seq > ? ORDER BY seq`, after)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Message
	for rows.Next() {
		var m Message
		if err := rows.Scan(&m.Seq, &m.ID, &m.Receiver, sqlitefile.Moment(&m.Made), sqlitefile.Moment(&m.Ready), &m.Collected, &m.Content); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		all = append(all, m)
	}
	return all, rows.Err()
}

// Kept returns what a Change kept last; nil if none did.
func (s *Store) Kept() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tx, err := s.place.snapshot()
	var kept []byte
	if err == nil {
		defer tx.Rollback()
		err = tx.QueryRow(`SELECT content FROM ` + s.place.kept()).Scan(&kept)
	}
	if errors.Is(err, errNone) || errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return kept, s.failed("reading", err)
}

// Change is what happens to an outbox at one moment: as a whole or not at all.
type Change struct {
	// Remove are ids of messages. One that isn't there is no error.
	Remove []string
	// Add are messages to be added. One whose id is there already is no error.
	Add []Message
	// Keep replaces what is kept beside the messages; nil leaves it as it is.
	Keep []byte
}

// IsZero reports whether nothing changes.
func (c *Change) IsZero() bool { return len(c.Remove)+len(c.Add) == 0 && c.Keep == nil }

// Change makes a change, which may be repeated. It makes the outbox where there is none.
// In a folder, a damaged one is set aside.
func (s *Store) Change(c Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.place.explain(s.change(&c))
	if errors.Is(err, ErrDamaged) {
		if err = s.place.replace(err); err == nil {
			err = s.change(&c)
		}
	}
	return s.failed("writing", err)
}

func (s *Store) change(c *Change) error {
	tx, err := s.place.write()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, id := range c.Remove {
		if _, err := tx.Exec(`DELETE FROM messages WHERE id = ?`, id); err != nil {
			return err
		}
	}
	for i := range c.Add {
		m := &c.Add[i]
		_, err := tx.Exec(`INSERT INTO messages (id, receiver, made_at, ready_at, collected, content) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
			m.ID, m.Receiver, sqlitefile.Stamp(m.Made), sqlitefile.Stamp(m.Ready), m.Collected, m.Content)
		if err != nil {
			return err
		}
	}
	if c.Keep != nil {
		if _, err := tx.Exec(`INSERT INTO `+s.place.kept()+` (id, content) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET content = excluded.content`, c.Keep); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// failed returns an error that names the outbox and what was to be done, with a hint.
func (s *Store) failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	err = s.place.explain(err)
	hint := cmp.Or(text.Hint(err), securedir.HintFor(err))
	return text.WithHint(fmt.Errorf("queue of notifications %s: %s: %w", s.place, doing, securedir.Cause(err)), hint)
}
