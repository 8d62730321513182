package history

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"reconciler/internal/store/securedir"
	"reconciler/internal/store/sqlitefile"
)

// lockFile is locked while history.db is made or set aside. It is never deleted, and
// not empty once there was a history.
const lockFile = "history.lock"

// folder is the place of a history in a folder.
type folder struct {
	dir   string
	now   func() time.Time
	log   *slog.Logger
	steps []string // of the schema

	mu sync.Mutex
	// db is nil while the file isn't open. info describes it. watch is the connection of
	// version; nil before its first use. opened counts how often the file was opened.
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
}

// String returns the path of the file, in quotes.
func (d *folder) String() string { return strconv.Quote(d.path()) }

// explain returns an error of our own instead of SQLite's.
func (d *folder) explain(err error) error { return sqlitefile.Explain(err) }

// close closes the file, and ends what is known of the process.
func (d *folder) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.disconnect()
	if p := d.process; p != nil {
		d.process = nil
		root, openErr := securedir.Existing(d.dir)
		if openErr != nil {
			return errors.Join(err, p.file.Close()) // the folder is gone
		}
		defer root.Close()
		err = errors.Join(err, p.end(root))
	}
	return err
}

// size returns how many bytes the file takes, and what is beside it.
func (d *folder) size() (int64, error) {
	var size int64
	for _, name := range []string{d.path(), d.path() + "-wal"} {
		info, err := os.Stat(name)
		switch {
		case err == nil:
			size += info.Size()
		case !errors.Is(err, fs.ErrNotExist):
			return 0, err
		}
	}
	return size, nil
}

// snapshot begins a transaction that reads.
func (d *folder) snapshot() (*sql.Tx, error) {
	db, err := d.open()
	if err != nil {
		return nil, err
	}
	return db.BeginTx(context.Background(), &sql.TxOptions{ReadOnly: true})
}

// write begins a transaction that writes.
func (d *folder) write() (*sql.Tx, error) {
	db, err := d.openOrCreate()
	if err != nil {
		return nil, err
	}
	return db.Begin()
}

// version returns what SQLite counts.
func (d *folder) version() (v Version, err error) {
	if _, err := d.open(); err != nil {
		return Version{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.db == nil {
		return Version{}, nil // closed since
	}
	if d.watch == nil {
		// SQLite counts what other connections have committed, so that this one is used
		// for nothing else.
		if d.watch, err = d.db.Conn(context.Background()); err != nil {
			return Version{}, err
		}
	}
	v.opened = d.opened
	err = d.watch.QueryRowContext(context.Background(), "PRAGMA data_version").Scan(&v.committed)
	return v, err
}

// backup writes a copy of the file.
func (d *folder) backup(file string) error {
	db, err := d.open()
	if err != nil {
		return err
	}
	return sqlitefile.Copy(db, file)
}

// check checks the structure of the file.
func (d *folder) check() error {
	db, err := d.open()
	if err != nil {
		return err
	}
	return sqlitefile.QuickCheck(db)
}

// setAside returns the newest file that was set aside, "" if there is none.
func (d *folder) setAside() (string, error) {
	root, err := securedir.Existing(d.dir)
	if err != nil {
		return "", nil // then nothing is
	}
	defer root.Close()
	return file().LastAside(root)
}

func (d *folder) path() string { return filepath.Join(d.dir, dbFile) }

func (d *folder) disconnect() error {
	db, watch := d.db, d.watch
	d.db, d.watch = nil, nil
	if db == nil {
		return nil
	}
	if watch != nil {
		return errors.Join(watch.Close(), db.Close())
	}
	return db.Close()
}

// open returns the database for reading; the error is errNone where there is none.
func (d *folder) open() (*sql.DB, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	root, err := d.root(securedir.Existing)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return d.openIn(root, false)
}

// openOrCreate returns the database for writing, and creates folder and file where they
// are missing. A damaged file is set aside.
func (d *folder) openOrCreate() (*sql.DB, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	make := securedir.Dir
	if d.seenDir {
		make = securedir.Existing
	}
	root, err := d.root(make)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	db, err := d.openIn(root, true)
	if errors.Is(err, errNone) || errors.Is(err, ErrDamaged) {
		return d.begin(root, nil)
	}
	return db, err
}

// replace sets the open file aside, which was found to be damaged, and begins a new one.
func (d *folder) replace(damage error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	root, err := d.root(securedir.Existing)
	if err != nil {
		return err
	}
	defer root.Close()
	_, err = d.begin(root, damage)
	return err
}

// root opens the folder.
func (d *folder) root(open func(string) (*os.Root, error)) (*os.Root, error) {
	root, err := open(d.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && d.seenDir:
		return nil, errors.Join(ErrGone, d.disconnect())
	case errors.Is(err, fs.ErrNotExist):
		return nil, errNone
	case err != nil:
		return nil, fmt.Errorf("state folder: %w", err)
	}
	d.seenDir = true
	return root, nil
}

// openIn opens the file, unless it is open and still the one with its name. With check,
// its structure is checked once.
func (d *folder) openIn(root *os.Root, check bool) (*sql.DB, error) {
	info, err := file().Stat(root)
	if errors.Is(err, fs.ErrNotExist) {
		if err := d.disconnect(); err != nil {
			return nil, err
		}
		if d.seenFile {
			return nil, ErrGone
		}
		return nil, cmp.Or(file().CheckTraces(root), errNone)
	}
	d.seenFile = true
	if err != nil {
		return nil, err
	}
	if d.db != nil && os.SameFile(info, d.info) && (d.checked || !check) && (d.older == "" || d.older == d.written()) {
		return d.db, nil
	}
	if err := d.disconnect(); err != nil {
		return nil, err
	}
	d.older = ""
	// A backup or a copy may have given access to others.
	if info.Mode().Perm() != 0o600 {
		if err := root.Chmod(dbFile, 0o600); err != nil {
			return nil, err
		}
	}
	db, err := d.connect(check)
	if err == nil {
		// A copy that was put here may not be in this mode.
		if _, walErr := db.Exec("PRAGMA journal_mode = WAL"); walErr != nil {
			err = errors.Join(sqlitefile.Explain(walErr), db.Close())
		}
	}
	if err != nil {
		return nil, err
	}
	d.db, d.info, d.checked = db, info, check
	d.opened++
	if check {
		return db, mark(root)
	}
	return db, nil
}

// connect opens the file, and migrates an older schema if it is to be written to. One
// that is only read stays as it is, and a copy is opened.
func (d *folder) connect(write bool) (*sql.DB, error) {
	if write {
		return file().Open(d.dir, d.steps, true, func(from, to int, kept string) {
			d.log.Info("migrating the history's schema", "file", d.path(), "from", from, "to", to, "kept", kept)
		})
	}
	written := d.written()
	db, older, err := file().OpenToRead(d.dir, d.steps, false)
	if older {
		d.older = written
	}
	return db, err
}

// written returns what changes when another process writes to the file.
func (d *folder) written() string {
	seen := ""
	for _, name := range []string{d.path(), d.path() + "-wal"} {
		if info, err := os.Stat(name); err == nil {
			seen += fmt.Sprintln(info.Size(), info.ModTime())
		}
	}
	return seen
}

// begin creates the file, unless another process has done so meanwhile. One that is
// damaged is set aside first: the one that was open, if damage is not nil.
func (d *folder) begin(root *os.Root, damage error) (*sql.DB, error) {
	lock, err := securedir.LockFile(root, lockFile)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	db, why := (*sql.DB)(nil), damage
	if info, err := file().Stat(root); damage == nil || err != nil || !os.SameFile(info, d.info) {
		db, why = d.openIn(root, true)
	} else if err := d.disconnect(); err != nil {
		d.log.Warn("closing the damaged history", "error", err)
	}
	if why == nil || !errors.Is(why, errNone) && !errors.Is(why, ErrDamaged) {
		return db, why
	}
	first, err := d.lost(root, lock, why)
	if err != nil {
		return nil, err
	}
	fill := func(db *sql.DB) error { return d.fill(db, first) }
	if err := file().Create(d.dir, root, d.steps, fill); err != nil {
		return nil, err
	}
	return d.openIn(root, true)
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
func (d *folder) lost(root *os.Root, lock *os.File, why error) (*Entry, error) {
	if errors.Is(why, ErrDamaged) {
		name, err := file().SetAside(root, d.now())
		if err != nil {
			return nil, fmt.Errorf("%w, and it can't be set aside: %w", why, err)
		}
		d.log.Error("the history is damaged and was set aside; a new one begins, and what happened before is only in the old one",
			"file", d.path(), "damage", why.Error(), "setAside", filepath.Join(d.dir, name))
		return &Entry{Type: TypeOperator, Action: ActionDamaged, By: "reconciler",
			Reason: fmt.Sprintf("the history before this one was damaged and set aside as %s", name)}, nil
	}
	info, err := lock.Stat()
	if err != nil || info.Size() == 0 {
		return nil, err
	}
	d.log.Error("the history is missing although there was one; a new one begins", "file", d.path())
	return &Entry{Type: TypeOperator, Action: ActionLost, By: "reconciler",
		Reason: "there was a history before this one, and its file was missing"}, nil
}

// fill writes what a history begins with.
func (d *folder) fill(db *sql.DB, first *Entry) error {
	if _, err := db.Exec("PRAGMA journal_mode = WAL"); err != nil {
		return err
	}
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := initialize(tx, d.now(), first); err != nil {
		return err
	}
	return tx.Commit()
}
