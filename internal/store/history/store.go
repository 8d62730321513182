package history

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"reconciler/internal/store/location"
	"reconciler/internal/store/securedir"
	"reconciler/internal/store/sqlitefile"
	"reconciler/internal/text"
)

var (
	// ErrDamaged is the error of a history that can't be read as one. In a folder, the
	// next run sets it aside.
	ErrDamaged = sqlitefile.ErrDamaged
	// ErrGone is the error of a history that was there before and is not there any
	// more.
	ErrGone = errors.New("the file is gone")

	// errNone is the error of a history that doesn't exist yet.
	errNone = errors.New("there is no history")
)

// Store is the history at a location: a folder or a PostgreSQL database. It opens it with
// its first use, and keeps it open until Close. With the zero location it keeps nothing,
// finds nothing, and never fails. Its methods may be called by several goroutines and
// processes.
type Store struct {
	place     place
	now       func() time.Time
	log       *slog.Logger
	retention time.Duration

	queue queue
}

// place is where a history is kept.
type place interface {
	// String names it in errors.
	String() string
	// snapshot begins a transaction that reads what is there at one moment. The error is
	// errNone where there is no history.
	snapshot() (*sql.Tx, error)
	// write begins a transaction that writes, the only one at a time, and makes the
	// history where there is none.
	write() (*sql.Tx, error)
	// replace begins a new history in the place of one that was found to be damaged, or
	// returns an error where that can't be done.
	replace(damage error) error
	// version, size and check do what the methods of Store do; the first two return
	// errNone where there is no history.
	version() (Version, error)
	size() (int64, error)
	check() error
	// backup writes a copy to a new file.
	backup(file string) error
	// setAside returns the newest file that was set aside, "" if there is none.
	setAside() (string, error)
	// enter makes this process known as one that has runs, and returns its name.
	enter() (process string, err error)
	// gone reports whether a process with a name has ended, within a transaction.
	gone(tx *sql.Tx, process string) bool
	// explain returns an error of our own instead of the database's.
	explain(err error) error
	close() error
}

// New returns the history at a location, and opens nothing.
func New(at location.Location, opts Options) *Store {
	s := &Store{now: opts.Now, log: opts.Logger, retention: opts.Retention}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	switch {
	case at.Postgres() != nil:
		s.place = newDatabase(at, s.now, s.log)
	case !at.IsZero():
		s.place = &folder{dir: at.Dir(), now: s.now, log: s.log, steps: schema()}
	}
	return s
}

// Close closes what is open. The store may be used again, which reopens it. Runs that
// have not finished are interrupted.
func (s *Store) Close() error {
	if s.place == nil {
		return nil
	}
	return s.failed("closing", s.place.close())
}

// Size returns how many bytes the history takes on disk; 0 if there is none.
func (s *Store) Size() (int64, error) {
	if s.place == nil {
		return 0, nil
	}
	size, err := s.place.size()
	if errors.Is(err, errNone) {
		return 0, nil
	}
	return size, s.failed("measuring", err)
}

// failed returns an error that names the history and what was to be done, with a hint.
func (s *Store) failed(doing string, err error) error {
	if err == nil || errors.Is(err, errNone) {
		return err
	}
	err = s.place.explain(err)
	hint := cmp.Or(text.Hint(err), securedir.HintFor(err))
	_, inFolder := s.place.(*folder)
	switch {
	case errors.Is(err, ErrDamaged) && inFolder:
		hint = "the next apply or run sets it aside and begins a new one; nothing is held: see docs/recovery.md"
	case errors.Is(err, ErrDamaged):
		hint = "some other program has altered it: put it back from a backup of the database; nothing else is held"
	case errors.Is(err, ErrGone):
		hint = "is the volume mounted? Put the file back; if it is lost, a program that starts anew begins a new one"
	}
	return text.WithHint(fmt.Errorf("history %s: %s: %w", s.place, doing, securedir.Cause(err)), hint)
}

// read calls f with what is in the history at one moment. Where there is none, it does
// nothing.
func (s *Store) read(doing string, f func(tx *sql.Tx) error) error {
	if s.place == nil {
		return nil
	}
	tx, err := s.place.snapshot()
	if errors.Is(err, errNone) {
		return nil
	}
	if err == nil {
		defer tx.Rollback()
		err = f(tx)
	}
	return s.failed(doing, err)
}

// initialize writes what a history begins with: the entry first, if it isn't nil.
func initialize(tx *sql.Tx, now time.Time, first *Entry) error {
	none := genesis()
	if _, err := tx.Exec(`INSERT INTO chain (id, seq, hash) VALUES (1, 0, ?)`, none[:]); err != nil {
		return err
	}
	if first == nil {
		return nil
	}
	_, err := add(tx, now, *first)
	return err
}

// unmarshal reads JSON that this package has written.
func unmarshal(data []byte, v any) error {
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}
