package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"reconciler/internal/store/securedir"
	"reconciler/internal/store/sqlitefile"
)

const (
	// dbFile is the name of the file, and lockFile of the one that is locked while it is
	// made.
	dbFile   = "outbox.db"
	lockFile = "outbox.lock"
	// applicationID marks our databases; in ASCII it is "RcOb".
	applicationID = 0x52634f62
)

// file describes outbox.db. It is used as journal.db is.
func file() *sqlitefile.Kind {
	return &sqlitefile.Kind{
		Name: dbFile, ApplicationID: applicationID, Beside: []string{"-journal"},
		Pragmas: []string{"busy_timeout(5000)", "synchronous(EXTRA)"}, Connections: 1,
	}
}

// folder is the place of an outbox in a folder.
type folder struct {
	dir string
	log *slog.Logger
	now func() time.Time

	db   *sql.DB     // nil while the file isn't open
	info fs.FileInfo // of the open file
}

// String returns the path of the file, in quotes.
func (f *folder) String() string { return strconv.Quote(f.path()) }

func (f *folder) path() string { return filepath.Join(f.dir, dbFile) }

func (f *folder) kept() string { return "kept" }

// explain returns an error of our own instead of SQLite's.
func (f *folder) explain(err error) error { return sqlitefile.Explain(err) }

// snapshot begins a transaction that reads.
func (f *folder) snapshot() (*sql.Tx, error) {
	db, err := f.open(securedir.Existing)
	if err != nil {
		return nil, err
	}
	return db.BeginTx(context.Background(), &sql.TxOptions{ReadOnly: true})
}

// write begins a transaction that writes.
func (f *folder) write() (*sql.Tx, error) {
	db, err := f.open(securedir.Dir)
	if errors.Is(err, errNone) {
		db, err = f.create(nil)
	}
	if err != nil {
		return nil, err
	}
	return db.Begin()
}

// replace sets a damaged file aside, and makes a new one.
func (f *folder) replace(damage error) error {
	_, err := f.create(damage)
	return err
}

// close closes the file.
func (f *folder) close() error { return f.disconnect() }

func (f *folder) disconnect() error {
	db := f.db
	f.db = nil
	if db == nil {
		return nil
	}
	return db.Close()
}

// open returns the database; dir opens its folder. The error is errNone where there
// is no file.
func (f *folder) open(dir func(string) (*os.Root, error)) (*sql.DB, error) {
	root, err := dir(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(errNone, f.disconnect())
	}
	if err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	defer root.Close()
	info, err := file().Stat(root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := f.disconnect(); err != nil {
			return nil, err
		}
		return nil, errNone
	case err != nil:
		return nil, err
	case f.db != nil && os.SameFile(info, f.info):
		return f.db, nil
	}
	if err := f.disconnect(); err != nil {
		return nil, err
	}
	if info.Mode().Perm() != 0o600 { // as after a copy
		if err := root.Chmod(dbFile, 0o600); err != nil {
			return nil, err
		}
	}
	db, err := file().Open(f.dir, schema(), true, func(from, to int, kept string) {
		f.log.Info("migrating the schema of the queue of notifications", "file", f.path(), "from", from, "to", to, "kept", kept)
	})
	if err != nil {
		return nil, err
	}
	f.db, f.info = db, info
	return db, nil
}

// create makes the file, unless another process has done so meanwhile. What is there and
// damaged is set aside first.
func (f *folder) create(damage error) (*sql.DB, error) {
	root, err := securedir.Dir(f.dir)
	if err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	defer root.Close()
	lock, err := securedir.LockFile(root, lockFile)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	db, err := f.open(securedir.Existing)
	switch {
	case err == nil && damage == nil:
		return db, nil
	case err == nil: // a query found the damage
		if err := f.disconnect(); err != nil {
			f.log.Warn("closing the damaged outbox", "error", err)
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
		name, err := file().SetAside(root, f.now())
		if err != nil {
			return nil, fmt.Errorf("%w, and it can't be set aside: %w", damage, err)
		}
		f.log.Error("the queue of notifications is damaged and was set aside; a new one begins, and what was not delivered yet is only in the old one",
			"file", f.path(), "damage", damage.Error(), "setAside", filepath.Join(f.dir, name))
	}
	if err := file().Create(f.dir, root, schema(), func(*sql.DB) error { return nil }); err != nil {
		return nil, err
	}
	return f.open(securedir.Existing)
}
