// Package outbox keeps messages in a state folder until they are delivered. What is in
// them, and where they go, is for the package that sends them.
//
// It is a SQLite database, outbox.db, of which each change is done as a whole or not at
// all. A message gets its place in the order when it is added. One process at a time
// sends; others may add.
package outbox

import (
	"cmp"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
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

const (
	// dbFile is the name of the file, and lockFile of the one that is locked while it is
	// made.
	dbFile   = "outbox.db"
	lockFile = "outbox.lock"
	// applicationID marks our databases; in ASCII it is "RcOb".
	applicationID = 0x52634f62
)

// ErrDamaged is the error of an outbox.db that is no database, or a broken one. It is set
// aside when something is added.
var ErrDamaged = sqlitefile.ErrDamaged

// errNone is the error of an outbox that doesn't exist yet.
var errNone = errors.New("there is no outbox")

// file describes outbox.db. It is used as journal.db is.
func file() *sqlitefile.Kind {
	return &sqlitefile.Kind{
		Name: dbFile, ApplicationID: applicationID, Beside: []string{"-journal"},
		Pragmas: []string{"busy_timeout(5000)", "synchronous(EXTRA)"}, Connections: 1,
	}
}

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

// Store is the outbox in a folder. It opens the file with its first use, and keeps it
// open until Close. Its methods may be called by several goroutines and processes.
type Store struct {
	at  location.Location
	dir string // empty if it is in no folder
	log *slog.Logger
	now func() time.Time

	mu   sync.Mutex
	db   *sql.DB     // nil while the file isn't open
	info fs.FileInfo // of the open file
}

// Options are what a store needs besides its folder. The zero value works.
type Options struct {
	// Now returns the time; time.Now if nil.
	Now func() time.Time
	// Logger logs files that are set aside; nil is silent.
	Logger *slog.Logger
}

// New returns the outbox at a location, and opens nothing.
func New(at location.Location, opts Options) *Store {
	s := &Store{at: at, dir: at.Dir(), log: opts.Logger, now: opts.Now}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	return s
}

// Close closes the file. The store may be used again, which reopens it.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.disconnect()
}

func (s *Store) disconnect() error {
	db := s.db
	s.db = nil
	if db == nil {
		return nil
	}
	return db.Close()
}

func (s *Store) path() string { return filepath.Join(s.dir, dbFile) }

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

// Check checks the structure of the file, if there is one. It changes nothing.
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
	db, err := s.open(securedir.Existing)
	if err != nil {
		return nil, err
	}
	rows, err := db.Query(`SELECT seq, id, receiver, made_at, ready_at, collected, content FROM messages WHERE seq > ? ORDER BY seq`, after)
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
	db, err := s.open(securedir.Existing)
	var kept []byte
	if err == nil {
		err = db.QueryRow(`SELECT content FROM kept`).Scan(&kept)
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

// Change makes a change, which may be repeated. It creates folder and file where they
// are missing, and sets a damaged file aside.
func (s *Store) Change(c Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.change(&c)
	if errors.Is(err, ErrDamaged) {
		if _, err = s.create(err); err == nil {
			err = s.change(&c)
		}
	}
	return s.failed("writing", err)
}

func (s *Store) change(c *Change) error {
	db, err := s.open(securedir.Dir)
	if errors.Is(err, errNone) {
		db, err = s.create(nil)
	}
	if err != nil {
		return err
	}
	tx, err := db.Begin()
	if err != nil {
		return sqlitefile.Explain(err)
	}
	defer tx.Rollback()
	for _, id := range c.Remove {
		if _, err := tx.Exec(`DELETE FROM messages WHERE id = ?`, id); err != nil {
			return sqlitefile.Explain(err)
		}
	}
	for i := range c.Add {
		m := &c.Add[i]
		_, err := tx.Exec(`INSERT INTO messages (id, receiver, made_at, ready_at, collected, content) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
			m.ID, m.Receiver, sqlitefile.Stamp(m.Made), sqlitefile.Stamp(m.Ready), m.Collected, m.Content)
		if err != nil {
			return sqlitefile.Explain(err)
		}
	}
	if c.Keep != nil {
		if _, err := tx.Exec(`INSERT INTO kept (id, content) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET content = excluded.content`, c.Keep); err != nil {
			return sqlitefile.Explain(err)
		}
	}
	return sqlitefile.Explain(tx.Commit())
}

// open returns the database; folder opens its folder. The error is errNone where there
// is no file.
func (s *Store) open(folder func(string) (*os.Root, error)) (*sql.DB, error) {
	root, err := folder(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(errNone, s.disconnect())
	}
	if err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	defer root.Close()
	info, err := file().Stat(root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := s.disconnect(); err != nil {
			return nil, err
		}
		return nil, errNone
	case err != nil:
		return nil, err
	case s.db != nil && os.SameFile(info, s.info):
		return s.db, nil
	}
	if err := s.disconnect(); err != nil {
		return nil, err
	}
	if info.Mode().Perm() != 0o600 { // as after a copy
		if err := root.Chmod(dbFile, 0o600); err != nil {
			return nil, err
		}
	}
	db, err := file().Open(s.dir, schema(), true, func(from, to int, kept string) {
		s.log.Info("migrating the schema of the queue of notifications", "file", s.path(), "from", from, "to", to, "kept", kept)
	})
	if err != nil {
		return nil, err
	}
	s.db, s.info = db, info
	return db, nil
}

// create makes the file, unless another process has done so meanwhile. What is there and
// damaged is set aside first.
func (s *Store) create(damage error) (*sql.DB, error) {
	root, err := securedir.Dir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	defer root.Close()
	lock, err := securedir.LockFile(root, lockFile)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	db, err := s.open(securedir.Existing)
	switch {
	case err == nil && damage == nil:
		return db, nil
	case err == nil: // a query found the damage
		if err := s.disconnect(); err != nil {
			s.log.Warn("closing the damaged outbox", "error", err)
		}
	case errors.Is(err, ErrDamaged):
		damage = err
	case !errors.Is(err, errNone):
		return nil, err
	}
	if damage == nil {
		damage = file().CheckTraces(root)
	}
	if errors.Is(damage, ErrDamaged) {
		name, err := file().SetAside(root, s.now())
		if err != nil {
			return nil, fmt.Errorf("%w, and it can't be set aside: %w", damage, err)
		}
		s.log.Error("the queue of notifications is damaged and was set aside; a new one begins, and what was not delivered yet is only in the old one",
			"file", s.path(), "damage", damage.Error(), "setAside", filepath.Join(s.dir, name))
	}
	if err := file().Create(s.dir, root, schema(), func(*sql.DB) error { return nil }); err != nil {
		return nil, err
	}
	return s.open(securedir.Existing)
}

// failed returns an error that names the outbox and what was to be done, with a hint.
func (s *Store) failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	err = sqlitefile.Explain(err)
	hint := cmp.Or(text.Hint(err), securedir.HintFor(err))
	return text.WithHint(fmt.Errorf("queue of notifications %q: %s: %w", s.path(), doing, securedir.Cause(err)), hint)
}
