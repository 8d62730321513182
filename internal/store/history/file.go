package history

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
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

var (
	// ErrDamaged is the error of a history.db that is no database, or a broken one.
	// The next run sets it aside.
	ErrDamaged = sqlitefile.ErrDamaged
	// ErrGone is the error of a history that was there before and is not there any
	// more.
	ErrGone = errors.New("the file is gone")

	// errNone is the error of a history that doesn't exist yet.
	errNone = errors.New("there is no history")
)

// lockFile is locked while history.db is made or set aside. It is never deleted, and
// not empty once there was a history.
const lockFile = "history.lock"

// Store is the history in a folder. It opens the file with its first use, and keeps it
// open until Close. With an empty folder it keeps nothing, finds nothing, and fails at
// nothing. Its methods may be called by several goroutines and processes.
type Store struct {
	at        location.Location
	dir       string // empty if it is in no folder
	now       func() time.Time
	log       *slog.Logger
	retention time.Duration
	steps     []string // of the schema

	mu sync.Mutex
	// db is nil while the file isn't open. info describes it. watch is the connection of
	// Version; nil before its first use. opened counts how often the file was opened.
	db     *sql.DB
	info   fs.FileInfo
	watch  *sql.Conn
	opened int64
	// checked reports whether the structure of the open file was checked. seenDir and
	// seenFile report whether folder and file were there once.
	checked, seenDir, seenFile bool
	// older is what written returned of a file of an older schema before a copy of it was
	// opened, which db is then; else empty.
	older   string
	process *process

	queue queue
}

// New returns the history at a location, and opens nothing.
func New(at location.Location, opts Options) *Store {
	s := &Store{at: at, dir: at.Dir(), now: opts.Now, log: opts.Logger, retention: opts.Retention, steps: schema()}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// Close closes the file. The store may be used again, which reopens it. Runs that have
// not finished are interrupted.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.disconnect()
	if p := s.process; p != nil {
		s.process = nil
		root, openErr := securedir.Existing(s.dir)
		if openErr != nil {
			return s.failed("closing", errors.Join(err, p.file.Close())) // the folder is gone
		}
		defer root.Close()
		err = errors.Join(err, p.end(root))
	}
	return s.failed("closing", err)
}

// Size returns how many bytes the history takes on disk; 0 if there is none.
func (s *Store) Size() (int64, error) {
	if s.dir == "" {
		return 0, nil
	}
	var size int64
	for _, name := range []string{s.path(), s.path() + "-wal"} {
		info, err := os.Stat(name)
		switch {
		case err == nil:
			size += info.Size()
		case !errors.Is(err, fs.ErrNotExist):
			return 0, s.failed("measuring", err)
		}
	}
	return size, nil
}

func (s *Store) path() string { return filepath.Join(s.dir, dbFile) }

func (s *Store) disconnect() error {
	db, watch := s.db, s.watch
	s.db, s.watch = nil, nil
	if db == nil {
		return nil
	}
	if watch != nil {
		return errors.Join(watch.Close(), db.Close())
	}
	return db.Close()
}

// open returns the database for reading; the error is errNone where there is none.
func (s *Store) open() (*sql.DB, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	root, err := s.root(securedir.Existing)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return s.openIn(root, false)
}

// openOrCreate returns the database for writing, and creates folder and file where they
// are missing. A damaged file is set aside.
func (s *Store) openOrCreate() (*sql.DB, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	make := securedir.Dir
	if s.seenDir {
		make = securedir.Existing
	}
	root, err := s.root(make)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	db, err := s.openIn(root, true)
	if errors.Is(err, errNone) || errors.Is(err, ErrDamaged) {
		return s.begin(root, nil)
	}
	return db, err
}

// replace sets the open file aside, which was found to be damaged, and begins a new one.
func (s *Store) replace(damage error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	root, err := s.root(securedir.Existing)
	if err != nil {
		return err
	}
	defer root.Close()
	_, err = s.begin(root, damage)
	return err
}

// root opens the folder.
func (s *Store) root(open func(string) (*os.Root, error)) (*os.Root, error) {
	if s.dir == "" {
		return nil, errNone
	}
	root, err := open(s.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && s.seenDir:
		return nil, errors.Join(ErrGone, s.disconnect())
	case errors.Is(err, fs.ErrNotExist):
		return nil, errNone
	case err != nil:
		return nil, fmt.Errorf("state folder: %w", err)
	}
	s.seenDir = true
	return root, nil
}

// openIn opens the file, unless it is open and still the one with its name. With check,
// its structure is checked once.
func (s *Store) openIn(root *os.Root, check bool) (*sql.DB, error) {
	info, err := file().Stat(root)
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.disconnect(); err != nil {
			return nil, err
		}
		if s.seenFile {
			return nil, ErrGone
		}
		return nil, cmp.Or(file().CheckTraces(root), errNone)
	}
	s.seenFile = true
	if err != nil {
		return nil, err
	}
	if s.db != nil && os.SameFile(info, s.info) && (s.checked || !check) && (s.older == "" || s.older == s.written()) {
		return s.db, nil
	}
	if err := s.disconnect(); err != nil {
		return nil, err
	}
	s.older = ""
	// A backup or a copy may have given access to others.
	if info.Mode().Perm() != 0o600 {
		if err := root.Chmod(dbFile, 0o600); err != nil {
			return nil, err
		}
	}
	db, err := s.connect(check)
	if err == nil {
		// A copy that was put here may not be in this mode.
		if _, walErr := db.Exec("PRAGMA journal_mode = WAL"); walErr != nil {
			err = errors.Join(sqlitefile.Explain(walErr), db.Close())
		}
	}
	if err != nil {
		return nil, err
	}
	s.db, s.info, s.checked = db, info, check
	s.opened++
	if check {
		return db, mark(root)
	}
	return db, nil
}

// connect opens the file, and migrates an older schema if it is to be written to. One
// that is only read stays as it is, and a copy is opened.
func (s *Store) connect(write bool) (*sql.DB, error) {
	if write {
		return file().Open(s.dir, s.steps, true, func(from, to int, kept string) {
			s.log.Info("migrating the history's schema", "file", s.path(), "from", from, "to", to, "kept", kept)
		})
	}
	written := s.written()
	db, older, err := file().OpenToRead(s.dir, s.steps, false)
	if older {
		s.older = written
	}
	return db, err
}

// written returns what changes when another process writes to the file.
func (s *Store) written() string {
	seen := ""
	for _, name := range []string{s.path(), s.path() + "-wal"} {
		if info, err := os.Stat(name); err == nil {
			seen += fmt.Sprintln(info.Size(), info.ModTime())
		}
	}
	return seen
}

// begin creates the file, unless another process has done so meanwhile. One that is
// damaged is set aside first: the one that was open, if damage is not nil.
func (s *Store) begin(root *os.Root, damage error) (*sql.DB, error) {
	lock, err := securedir.LockFile(root, lockFile)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	db, why := (*sql.DB)(nil), damage
	if info, err := file().Stat(root); damage == nil || err != nil || !os.SameFile(info, s.info) {
		db, why = s.openIn(root, true)
	} else if err := s.disconnect(); err != nil {
		s.log.Warn("closing the damaged history", "error", err)
	}
	if why == nil || !errors.Is(why, errNone) && !errors.Is(why, ErrDamaged) {
		return db, why
	}
	first, err := s.lost(root, lock, why)
	if err != nil {
		return nil, err
	}
	fill := func(db *sql.DB) error { return s.fill(db, first) }
	if err := file().Create(s.dir, root, s.steps, fill); err != nil {
		return nil, err
	}
	return s.openIn(root, true)
}

// mark notes in the lock file that there is a history, for the case that its file is
// missing one day.
func mark(root *os.Root) error {
	f, err := root.OpenFile(lockFile, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString("there is a history\n")
	return errors.Join(err, f.Close())
}

// lost sets a damaged file aside, and returns what the history that replaces it begins
// with; nil if this is the first.
func (s *Store) lost(root *os.Root, lock *os.File, why error) (*Entry, error) {
	if errors.Is(why, ErrDamaged) {
		name, err := file().SetAside(root, s.now())
		if err != nil {
			return nil, fmt.Errorf("%w, and it can't be set aside: %w", why, err)
		}
		s.log.Error("the history is damaged and was set aside; a new one begins, and what happened before is only in the old one",
			"file", s.path(), "damage", why.Error(), "setAside", filepath.Join(s.dir, name))
		return &Entry{Type: TypeOperator, Action: ActionDamaged, By: "reconciler",
			Reason: fmt.Sprintf("the history before this one was damaged and set aside as %s", name)}, nil
	}
	info, err := lock.Stat()
	if err != nil || info.Size() == 0 {
		return nil, err
	}
	s.log.Error("the history is missing although there was one; a new one begins", "file", s.path())
	return &Entry{Type: TypeOperator, Action: ActionLost, By: "reconciler",
		Reason: "there was a history before this one, and its file was missing"}, nil
}

// fill writes what a history begins with.
func (s *Store) fill(db *sql.DB, first *Entry) error {
	if _, err := db.Exec("PRAGMA journal_mode = WAL"); err != nil {
		return err
	}
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	none := genesis()
	if _, err := tx.Exec(`INSERT INTO chain (id, seq, hash) VALUES (1, 0, ?)`, none[:]); err != nil {
		return err
	}
	if first != nil {
		if _, err := add(tx, s.now(), *first); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// failed returns an error that names the history and what was to be done, with a hint.
func (s *Store) failed(doing string, err error) error {
	if err == nil || errors.Is(err, errNone) {
		return err
	}
	err = sqlitefile.Explain(err)
	hint := cmp.Or(text.Hint(err), securedir.HintFor(err))
	switch {
	case errors.Is(err, ErrDamaged):
		hint = "the next apply or run sets it aside and begins a new one; nothing is held: see docs/recovery.md"
	case errors.Is(err, ErrGone):
		hint = "is the volume mounted? Put the file back; if it is lost, a program that starts anew begins a new one"
	}
	return text.WithHint(fmt.Errorf("history %q: %s: %w", s.path(), doing, securedir.Cause(err)), hint)
}

// read calls f with what is in the file at one moment. Where there is none, it does
// nothing.
func (s *Store) read(doing string, f func(tx *sql.Tx) error) error {
	db, err := s.open()
	if errors.Is(err, errNone) {
		return nil
	}
	if err == nil {
		err = snapshot(db, f)
	}
	return s.failed(doing, err)
}

func snapshot(db *sql.DB, f func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(context.Background(), &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	return f(tx)
}

// unmarshal reads JSON that this package has written.
func unmarshal(data []byte, v any) error {
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}
