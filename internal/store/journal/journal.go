package journal

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"reconciler/internal/store/lease"
	"reconciler/internal/store/location"
	"reconciler/internal/store/sqlitefile"
	"reconciler/internal/text"
)

// Options are what a journal needs besides its location. The zero value works.
type Options struct {
	// Now returns the time; time.Now if nil.
	Now func() time.Time
	// Logger logs files that are set aside and schema migrations; nil is silent.
	Logger *slog.Logger
	// Commands are the command lines that hints name.
	Commands Commands
}

// Commands are the command lines with which people decide about a journal. Only
// the program's commands know their flags, so hints get them from there. Without
// them, hints name the commands without flags.
type Commands struct {
	// Acknowledge acknowledges the loss of the journal.
	Acknowledge string
	// Forget, followed by a domain, makes the journal forget the creation of an
	// org.
	Forget string
	// ListSuspensions lists what is suspended.
	ListSuspensions string
	// This is the command that this process is, for those who wait for it.
	This string
}

// Journal is the journal at a location: a folder or a PostgreSQL database. It opens it
// with its first use, and keeps it open until Close.
//
// Its own methods work beside a process that holds the lock. They read, and they
// write what people decide, which is acknowledgments and suspensions, and what
// several processes add to at the same time: removals, what Okta has said of orgs
// and fields that were written. All else is written by the [Writer] that Lock
// returns. Where there is no journal, reading finds nothing, and creates nothing.
//
// In a folder, the file is compared before each use with the one that was used last.
// If it was replaced, or another process wrote to it, it is opened and checked again.
// If it is gone, all methods fail with ErrGone until it is back: a volume that is
// no longer mounted must not read as a journal that knows nothing.
//
// The methods may be called by several goroutines. None takes a context: they
// are local and take milliseconds, at most five seconds while another process is
// writing, and the signal that ends a run must not interrupt a write.
type Journal struct {
	now  func() time.Time
	log  *slog.Logger
	cmds Commands
	*locks

	mu   sync.Mutex
	home home
	// writers counts the Writers that are not unlocked yet.
	writers int
}

// home is where a journal is: a file in a folder, or tables of a PostgreSQL database.
type home interface {
	// read calls f with what is there at one moment. The error is errNone where there is
	// no journal yet.
	read(f func(q sqlitefile.Querier) error) error
	// begin begins a transaction that writes, as the only one. The error is errNone where
	// there is no journal yet, and errOlder where create has to migrate it first.
	begin() (*sql.Tx, error)
	// committed notes that a transaction was committed.
	committed()
	// prepare makes what has to be there before the journal can be locked, and fails
	// where it can't be.
	prepare() error
	// create makes the journal where there is none, or where it is damaged, and
	// migrates one of an older schema. This process has the turn.
	create() error
	// older reports whether what is open has an older schema, and create migrates it.
	older() bool
	// gone returns ErrGone if the journal was there and isn't any more: it is not to be
	// made anew. It doesn't open the journal, which a process that stands still may keep
	// busy.
	gone() error
	// close closes what is open. It is opened again when it is needed.
	close() error
	// explain returns an error of the database in plain words, and what to do about it,
	// if that is known and isn't in the error.
	explain(err error) (hint string, _ error)
	// unlike returns the operator that compares a text with a pattern, such as
	// stampPattern, and is true where they differ.
	unlike() string
	// ahead returns by how much this machine's clock, which now reads, is ahead of the one
	// by which suspensions end for all who use the journal.
	ahead(q sqlitefile.Querier, now func() time.Time) (time.Duration, error)
	// backup writes a copy of the journal, as it is at one moment, to a new file.
	backup(file string) error
	// String names it for people.
	String() string
}

// New returns the journal at a location, and opens nothing. The zero location stands for
// a journal that nobody configured: reading finds nothing, and Lock fails.
func New(at location.Location, opts Options) *Journal {
	j := &Journal{now: opts.Now, log: opts.Logger, cmds: opts.Commands}
	j.cmds.Acknowledge = cmp.Or(j.cmds.Acknowledge, "reconciler acknowledge")
	j.cmds.Forget = cmp.Or(j.cmds.Forget, "reconciler acknowledge")
	j.cmds.ListSuspensions = cmp.Or(j.cmds.ListSuspensions, "reconciler suspend")
	if j.now == nil {
		j.now = time.Now
	}
	if j.log == nil {
		j.log = slog.New(slog.DiscardHandler)
	}
	if at.Postgres() != nil {
		j.home = newTables(at, j.log)
	} else {
		j.home = &folder{dir: at.Dir(), now: j.now, log: j.log, steps: schema()}
	}
	j.locks = newLocks(at, j.now)
	return j
}

// Commands returns the command lines that hints about the journal name.
func (j *Journal) Commands() Commands { return j.cmds }

// Close closes what is open. The journal may be used again, which reopens it.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failed("closing", errors.Join(j.home.close(), j.locks.close()))
}

// Check opens the journal, and returns an error if it or its locks are damaged or can't be
// used. A journal that doesn't exist yet is fine.
func (j *Journal) Check() error {
	err := j.read("opening", func(sqlitefile.Querier) error { return nil })
	if err == nil && j.sessions != nil {
		err = j.sessions.check()
	}
	return err
}

// Exists reports whether there is a journal yet.
func (j *Journal) Exists() (exists bool, err error) {
	err = j.read("opening", func(sqlitefile.Querier) error {
		exists = true
		return nil
	})
	return exists, err
}

// Writer is a journal that is locked for this process. It must not be used after
// Unlock.
type Writer struct {
	*Journal
	unlock sync.Once
}

// Lock locks the journal for this process until Unlock, and creates folder and
// file, or tables, where they are missing. It fails with a *HeldError while another process
// holds the lock, and with a *LostError if it has taken it over. During a Turn of this
// process, and while another Writer of this Journal is locked, it is locked as well.
//
// A damaged file is set aside under another name, and logged. The journal that
// replaces it has a Loss and suspends everything.
func (j *Journal) Lock() (_ *Writer, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.home.read(func(sqlitefile.Querier) error { return nil }); errors.Is(err, ErrGone) {
		return nil, j.failed("opening", err) // or a new one would take its place
	}
	if err := j.home.prepare(); err != nil {
		return nil, err
	}
	if err := j.take(j.cmds.This); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = j.giveBack()
		}
	}()
	if err := j.make(); err != nil {
		return nil, j.failed("opening", err)
	}
	if j.writers == 0 {
		if err := j.transact(closeAttempts); err != nil {
			return nil, j.failed("closing the attempts of earlier processes", err)
		}
	}
	j.writers++
	return &Writer{Journal: j}, nil
}

// make makes the journal, or migrates it, while this process has the turn.
func (j *Journal) make() error {
	if j.home.older() {
		if err := j.alone(j.cmds.This); err != nil {
			return older(err)
		}
	}
	return j.home.create()
}

// migrate migrates the journal for a write outside of a turn.
func (j *Journal) migrate() (err error) {
	if err := j.take(j.cmds.This); err != nil {
		return older(err)
	}
	defer func() { err = errors.Join(err, j.giveBack()) }()
	return j.make()
}

// older returns the error of a journal that can't be migrated because another process
// uses it.
func older(err error) error {
	if !errors.As(err, new(*HeldError)) {
		return err
	}
	return text.WithHint(fmt.Errorf("its schema is that of an older version, and is not migrated while another process uses it: %w", err),
		"stop the other process first, which may be of that version, or use the version that it is of")
}

// closeAttempts closes what an earlier process left open: whoever holds the lock
// is the only one who could still get an answer.
func closeAttempts(tx *sql.Tx) error {
	if _, err := tx.Exec(`UPDATE creations SET last_error = 'the process ended before the answer came'
		WHERE step = 'sent' AND id IN (SELECT creation FROM attempts WHERE outcome = '')`); err != nil {
		return err
	}
	_, err := tx.Exec(`UPDATE attempts SET outcome = 'unanswered' WHERE outcome = ''`)
	return err
}

// Unlock releases the lock. The journal stays open until Close. It may be called
// twice.
func (w *Writer) Unlock() (err error) {
	w.unlock.Do(func() {
		w.mu.Lock()
		w.writers--
		w.mu.Unlock()
		err = w.giveBack()
	})
	return err
}

// Close releases the lock and closes the journal.
func (w *Writer) Close() error { return errors.Join(w.Unlock(), w.Journal.Close()) }

// read calls f with the journal. Where there is none, it does nothing.
func (j *Journal) read(doing string, f func(q sqlitefile.Querier) error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	err := j.home.read(f)
	if errors.Is(err, errNone) {
		return nil
	}
	return j.failed(doing, err)
}

// write calls f in one transaction, which is synced when write returns nil. The
// error is errNone where there is no journal.
func (j *Journal) write(doing string, f func(tx *sql.Tx) error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	err := j.transact(f)
	if errors.Is(err, errOlder) {
		if err = j.migrate(); err == nil {
			err = j.transact(f)
		}
	}
	return j.failed(doing, err)
}

// transact is write with j.mu held.
func (j *Journal) transact(f func(tx *sql.Tx) error) error {
	tx, err := j.home.begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	// In here: who takes over writes to the journal next, and waits for this to end.
	if err := j.fence(tx); err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	j.home.committed()
	return nil
}

// Backup writes a copy of the file, as it is at one moment, to a new file, while others
// use it. Where there is no journal, it writes none. A journal in a database can't be
// copied to a file.
func (j *Journal) Backup(file string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.home.backup(file); !errors.Is(err, errNone) {
		return j.failed("copying", err)
	}
	return nil
}

// Hold makes this process the only one that may write at the location, and the one daemon
// of it, and does nothing else. What is written meanwhile is written by j: any other
// Journal counts as one of another process. Closing what Hold returns ends that, and
// closes j. The error is a *HeldError if another process uses the location.
func (j *Journal) Hold() (io.Closer, error) {
	lead, err := j.Lead()
	if err != nil {
		return nil, errors.Join(err, j.Close())
	}
	turn, err := j.Turn(context.Background(), WaitOptions{})
	if err != nil {
		return nil, errors.Join(err, lead.End(), j.Close())
	}
	return &hold{j, lead, turn}, nil
}

// hold is what Hold holds.
type hold struct {
	journal *Journal
	lead    *Lead
	turn    *Turn
}

// Close ends it. It may be called twice.
func (h *hold) Close() error { return errors.Join(h.turn.End(), h.lead.End(), h.journal.Close()) }

// IsLock reports whether a file of the folder with this name is there only to be locked.
func IsLock(name string) bool {
	return slices.Contains([]string{lockFile, nextFile, leaderFile, lease.GuardFile}, name)
}
