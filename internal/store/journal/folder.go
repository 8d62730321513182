package journal

import (
	"cmp"
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

// folder is the home of a journal in a file.
type folder struct {
	dir   string
	now   func() time.Time
	log   *slog.Logger
	steps []string // of the schema

	// db is nil while the file isn't open. info describes the file as this process last
	// used it.
	db   *sql.DB
	info fs.FileInfo
	// isOlder reports whether the file has an older schema, and db is a migrated copy.
	isOlder bool
	// seenDir and seenFile report whether the folder and the file were there once.
	seenDir, seenFile bool
}

// ready opens the file, unless it is open and nobody else has changed it. The error is
// errNone where there is none.
func (f *folder) ready() error {
	if f.dir == "" {
		return errNone
	}
	root, err := securedir.Existing(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return f.missing(f.seenDir)
	}
	if err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	defer root.Close()
	return f.readyIn(root, false)
}

// read opens the file.
func (f *folder) read(read func(q sqlitefile.Querier) error) error {
	if err := f.ready(); err != nil {
		return err
	}
	return read(f.db)
}

// begin opens the file.
func (f *folder) begin() (*sql.Tx, error) {
	if err := f.ready(); err != nil {
		return nil, err
	}
	if f.isOlder {
		return nil, errOlder
	}
	return f.db.Begin()
}

// prepare makes the folder.
func (f *folder) prepare() error {
	root, err := securedir.Dir(f.dir)
	if err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	return root.Close()
}

// create sets a damaged file aside.
func (f *folder) create() error {
	root, err := securedir.Dir(f.dir)
	if err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	defer root.Close()
	err = f.readyIn(root, true)
	if errors.Is(err, errNone) || errors.Is(err, ErrDamaged) {
		err = f.replace(root, err)
	}
	return err
}

// readyIn is ready in the folder that root is. With migrate, it migrates a file of an
// older schema.
func (f *folder) readyIn(root *os.Root, migrate bool) error {
	f.seenDir = true
	info, err := file().Stat(root)
	if errors.Is(err, fs.ErrNotExist) {
		if err := f.missing(f.seenFile); !errors.Is(err, errNone) {
			return err
		}
		return cmp.Or(file().CheckTraces(root), errNone)
	}
	f.seenFile = true
	if err != nil {
		return err
	}
	if f.db != nil && !(f.isOlder && migrate) && os.SameFile(info, f.info) && info.Size() == f.info.Size() && info.ModTime().Equal(f.info.ModTime()) {
		return nil
	}
	if err := f.close(); err != nil {
		return err
	}
	// A backup or a copy may have given access to others.
	if info.Mode().Perm() != 0o600 {
		if err := root.Chmod(dbFile, 0o600); err != nil {
			return err
		}
	}
	db, older, err := f.connect(migrate)
	if err != nil {
		return err
	}
	f.db, f.info, f.isOlder = db, info, older
	f.committed()
	return nil
}

// missing returns the error for a folder or file that isn't there.
func (f *folder) missing(seen bool) error {
	if err := f.close(); err != nil || !seen {
		return errors.Join(err, errNone)
	}
	return ErrGone
}

// committed notes how this process leaves the file, so that the next use finds it unchanged.
func (f *folder) committed() {
	if info, err := os.Lstat(f.path()); err == nil && os.SameFile(info, f.info) {
		f.info = info
	}
}

// connect opens the file and checks it. It reports whether the file has an older schema,
// and what was opened is a copy.
func (f *folder) connect(migrate bool) (db *sql.DB, older bool, err error) {
	if !migrate {
		return file().OpenToRead(f.dir, f.steps, true)
	}
	db, err = file().Open(f.dir, f.steps, true, func(from, to int, kept string) {
		f.log.Info("migrating the journal's schema", "file", f.path(), "from", from, "to", to, "kept", kept)
	})
	return db, false, err
}

func (f *folder) older() bool { return f.db != nil && f.isOlder }

func (f *folder) close() error {
	db := f.db
	f.db = nil
	if db == nil {
		return nil
	}
	return db.Close()
}

// replace creates the file. Where that is to replace a damaged one, that one is
// set aside first.
func (f *folder) replace(root *os.Root, why error) error {
	var loss *Loss
	if errors.Is(why, ErrDamaged) {
		name, err := file().SetAside(root, f.now())
		if err != nil {
			return fmt.Errorf("%w, and it can't be set aside: %w", why, err)
		}
		loss = &Loss{Since: f.now(), SetAside: filepath.Join(f.dir, name)}
		f.log.Error("the journal is damaged and was set aside; what it knew of orgs being created is forgotten, and all writes are held",
			"file", f.path(), "damage", why.Error(), "setAside", loss.SetAside)
	}
	fill := func(db *sql.DB) error { return loss.insert(db) }
	if err := file().Create(f.dir, root, f.steps, fill); err != nil {
		return err
	}
	return f.readyIn(root, true)
}

func (f *folder) gone() error {
	missing := func(path string) bool {
		_, err := os.Lstat(path)
		return errors.Is(err, fs.ErrNotExist)
	}
	if f.seenDir && missing(f.dir) || f.seenFile && missing(f.path()) {
		return ErrGone
	}
	return nil
}

// explain closes a damaged file, so that the next use checks it again.
func (f *folder) explain(err error) (hint string, _ error) {
	err = sqlitefile.Explain(err)
	if errors.Is(err, ErrDamaged) {
		_ = f.close()
	}
	return securedir.HintFor(err), securedir.Cause(err)
}

func (f *folder) backup(file string) error {
	if err := f.ready(); err != nil {
		return err
	}
	return sqlitefile.Copy(f.db, file)
}

func (f *folder) path() string { return filepath.Join(f.dir, dbFile) }

func (f *folder) unlike() string { return "NOT GLOB" }

// ahead returns 0: all who use a folder have the same clock.
func (f *folder) ahead(sqlitefile.Querier, func() time.Time) (time.Duration, error) { return 0, nil }

// String returns the quoted name of the file.
func (f *folder) String() string { return strconv.Quote(f.path()) }
