package journal

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"reconciler/internal/store/lease"
	"reconciler/internal/store/location"
	"reconciler/internal/store/securedir"
	"reconciler/internal/store/sqlitefile"
)

// Options are what a journal needs besides its folder. The zero value works.
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

// Journal is the journal in a folder. It opens the file with its first use, and
// keeps it open until Close.
//
// Its own methods work beside a process that holds the lock. They read, and they
// write what people decide, which is acknowledgments and suspensions, and what
// several processes add to at the same time: removals, what Okta has said of orgs
// and fields that were written. All else is written by the [Writer] that Lock
// returns. Where there is no file, reading finds nothing, and creates nothing.
//
// Before each use, the file is compared with the one that was used last. If it
// was replaced, or another process wrote to it, it is opened and checked again.
// If it is gone, all methods fail with ErrGone until it is back: a volume that is
// no longer mounted must not read as a journal that knows nothing.
//
// The methods may be called by several goroutines. None takes a context: they
// are local and take milliseconds, at most five seconds while another process is
// writing, and the signal that ends a run must not interrupt a write.
type Journal struct {
	at    location.Location
	dir   string // empty if it is in no folder
	now   func() time.Time
	log   *slog.Logger
	cmds  Commands
	steps []string // of the schema
	*locks

	mu sync.Mutex
	// writers counts the Writers that are not unlocked yet.
	writers int
	// db is nil while the file isn't open. info describes the file as this
	// Journal last used it.
	db   *sql.DB
	info fs.FileInfo
	// seenDir and seenFile report whether the folder and the file were there once.
	seenDir, seenFile bool
}

// New returns the journal at a location, and opens nothing. The zero location stands for
// a journal that nobody configured: reading finds nothing, and Lock fails.
func New(at location.Location, opts Options) *Journal {
	j := &Journal{at: at, dir: at.Dir(), now: opts.Now, log: opts.Logger, steps: schema(), cmds: opts.Commands}
	j.cmds.Acknowledge = cmp.Or(j.cmds.Acknowledge, "reconciler acknowledge")
	j.cmds.Forget = cmp.Or(j.cmds.Forget, "reconciler acknowledge")
	j.cmds.ListSuspensions = cmp.Or(j.cmds.ListSuspensions, "reconciler suspend")
	if j.now == nil {
		j.now = time.Now
	}
	if j.log == nil {
		j.log = slog.New(slog.DiscardHandler)
	}
	j.locks = newLocks(at, j.now)
	return j
}

// Commands returns the command lines that hints about the journal name.
func (j *Journal) Commands() Commands { return j.cmds }

// Close closes the file. The journal may be used again, which reopens it.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failed("closing", j.disconnect())
}

func (j *Journal) path() string { return filepath.Join(j.dir, dbFile) }

// Check opens the journal, and returns an error if it is damaged or can't be
// read. A journal that doesn't exist yet is fine.
func (j *Journal) Check() error {
	return j.read("opening", func(*sql.DB) error { return nil })
}

// Exists reports whether there is a journal yet.
func (j *Journal) Exists() (exists bool, err error) {
	err = j.read("opening", func(*sql.DB) error {
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
// file where they are missing. It fails with a *HeldError while another process
// holds the lock, and with a *LostError if it has taken it over. During a Turn of this
// process, and while another Writer of this Journal is locked, it is locked as well.
//
// A damaged file is set aside under another name, and logged. The journal that
// replaces it has a Loss and suspends everything.
func (j *Journal) Lock() (_ *Writer, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.ready(); errors.Is(err, ErrGone) {
		return nil, j.failed("opening", err) // or a new one would take its place
	}
	if j.at.Postgres() != nil {
		return nil, errors.New("a journal can't be kept in PostgreSQL")
	}
	root, err := securedir.Dir(j.dir)
	if err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	defer root.Close()
	if err := j.take(j.cmds.This); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = j.giveBack()
		}
	}()
	err = j.readyIn(root)
	if errors.Is(err, errNone) || errors.Is(err, ErrDamaged) {
		err = j.begin(root, err)
	}
	if err != nil {
		return nil, j.failed("opening", err)
	}
	if j.writers == 0 {
		if err := j.transact("closing the attempts of earlier processes", closeAttempts); err != nil {
			return nil, err
		}
	}
	j.writers++
	return &Writer{Journal: j}, nil
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

// Unlock releases the lock. The file stays open until Close. It may be called
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

// Close releases the lock and closes the file.
func (w *Writer) Close() error { return errors.Join(w.Unlock(), w.Journal.Close()) }

// ready opens the file, unless it is open and nobody else changed it. The error
// is errNone where there is none.
func (j *Journal) ready() error {
	if j.at.Postgres() != nil {
		return errors.New("a journal can't be kept in PostgreSQL")
	}
	if j.dir == "" {
		return errNone
	}
	root, err := securedir.Existing(j.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return j.missing(j.seenDir)
	}
	if err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	defer root.Close()
	return j.readyIn(root)
}

// readyIn is ready in the open folder.
func (j *Journal) readyIn(root *os.Root) error {
	j.seenDir = true
	info, err := file().Stat(root)
	if errors.Is(err, fs.ErrNotExist) {
		if err := j.missing(j.seenFile); !errors.Is(err, errNone) {
			return err
		}
		return cmp.Or(file().CheckTraces(root), errNone)
	}
	j.seenFile = true
	if err != nil {
		return err
	}
	if j.db != nil && os.SameFile(info, j.info) && info.Size() == j.info.Size() && info.ModTime().Equal(j.info.ModTime()) {
		return nil
	}
	if err := j.disconnect(); err != nil {
		return err
	}
	// A backup or a copy may have given access to others.
	if info.Mode().Perm() != 0o600 {
		if err := root.Chmod(dbFile, 0o600); err != nil {
			return err
		}
	}
	db, err := j.connect()
	if err != nil {
		return err
	}
	j.db, j.info = db, info
	j.remember()
	return nil
}

// missing returns the error for a folder or file that isn't there.
func (j *Journal) missing(seen bool) error {
	if err := j.disconnect(); err != nil || !seen {
		return errors.Join(err, errNone)
	}
	return ErrGone
}

// remember notes how this Journal leaves the file, so that the next use finds it
// unchanged.
func (j *Journal) remember() {
	if info, err := os.Lstat(j.path()); err == nil && os.SameFile(info, j.info) {
		j.info = info
	}
}

// connect opens the file and checks it, and migrates its schema.
func (j *Journal) connect() (*sql.DB, error) {
	return file().Open(j.dir, j.steps, true, func(from, to int) {
		j.log.Info("migrating the journal's schema", "file", j.path(), "from", from, "to", to)
	})
}

func (j *Journal) disconnect() error {
	db := j.db
	j.db = nil
	if db == nil {
		return nil
	}
	return db.Close()
}

// begin creates the file. Where that is to replace a damaged one, that one is
// set aside first.
func (j *Journal) begin(root *os.Root, why error) error {
	var loss *Loss
	if errors.Is(why, ErrDamaged) {
		name, err := file().SetAside(root, j.now())
		if err != nil {
			return fmt.Errorf("%w, and it can't be set aside: %w", why, err)
		}
		loss = &Loss{Since: j.now(), SetAside: filepath.Join(j.dir, name)}
		j.log.Error("the journal is damaged and was set aside; what it knew of orgs being created is forgotten, and all writes are held",
			"file", j.path(), "damage", why.Error(), "setAside", loss.SetAside)
	}
	fill := func(db *sql.DB) error { return loss.insert(db) }
	if err := file().Create(j.dir, root, j.steps, fill); err != nil {
		return err
	}
	return j.readyIn(root)
}

// read calls f with the open file. Where there is none, it does nothing.
func (j *Journal) read(doing string, f func(db *sql.DB) error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	err := j.ready()
	if errors.Is(err, errNone) {
		return nil
	}
	if err == nil {
		err = f(j.db)
	}
	return j.failed(doing, err)
}

// write calls f in one transaction, which is synced when write returns nil. The
// error is errNone where there is no file.
func (j *Journal) write(doing string, f func(tx *sql.Tx) error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	err := j.ready()
	if errors.Is(err, errNone) {
		return err
	}
	if err != nil {
		return j.failed(doing, err)
	}
	return j.transact(doing, f)
}

// transact is write with a file that is open.
func (j *Journal) transact(doing string, f func(tx *sql.Tx) error) error {
	tx, err := j.db.Begin()
	if err != nil {
		return j.failed(doing, err)
	}
	defer tx.Rollback()
	// In here: who takes over writes to the journal next, and waits for this to end.
	if err := j.mayWrite(); err != nil {
		return j.failed(doing, err)
	}
	if err := f(tx); err != nil {
		return j.failed(doing, err)
	}
	if err := tx.Commit(); err != nil {
		return j.failed(doing, err)
	}
	j.remember()
	return nil
}

// Backup writes a copy of the file, as it is at one moment, to a new file, while others
// use it. Where there is no journal, it writes none.
func (j *Journal) Backup(file string) error {
	return j.read("copying", func(db *sql.DB) error { return sqlitefile.Copy(db, file) })
}

// Hold makes this process the only one that may write at a location, and the one daemon
// of it, and does nothing else. Closing what it returns ends that. The error is a
// *HeldError if another process uses the location.
func Hold(at location.Location) (io.Closer, error) {
	j := New(at, Options{})
	lead, err := j.Lead()
	if err != nil {
		return nil, err
	}
	turn, err := j.Turn(context.Background(), WaitOptions{})
	if err != nil {
		return nil, errors.Join(err, lead.End())
	}
	return &hold{lead, turn}, nil
}

// hold is what Hold holds.
type hold struct {
	lead *Lead
	turn *Turn
}

// Close ends it. It may be called twice.
func (h *hold) Close() error { return errors.Join(h.turn.End(), h.lead.End()) }

// IsLock reports whether a file of the folder with this name is there only to be locked.
func IsLock(name string) bool {
	return slices.Contains([]string{lockFile, nextFile, leaderFile, lease.GuardFile}, name)
}
