package sqlitefile

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"reconciler/internal/store/securedir"
)

// KeptPrefix returns how the names of copies begin that were made before a migration.
func (k *Kind) KeptPrefix() string { return k.Name + ".schema-" }

// keep puts a copy of the file beside it, before it is migrated from a version, and
// returns its name: what an older version of the program can go back to. The name is
// empty if another process has migrated the file meanwhile.
func (k *Kind) keep(dir string, db *sql.DB, version int) (string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	name, err := freeName(root, fmt.Sprintf("%s%d-%s", k.KeptPrefix(), version, time.Now().UTC().Format("20060102T150405Z")))
	if err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(dir, "migrating-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	file := filepath.Join(work, k.Name)
	if err := Copy(db, file); err != nil {
		return "", fmt.Errorf("copying schema %d before it is migrated: %w", version, Explain(err))
	}
	if copied, err := k.versionOf(file); err != nil || copied != version {
		return "", err
	}
	if err := os.Rename(file, filepath.Join(dir, name)); err != nil {
		return "", err
	}
	return name, securedir.SyncRoot(root)
}

// versionOf returns the version of the schema of a file.
func (k *Kind) versionOf(file string) (int, error) {
	db, err := k.Connect(file)
	if err != nil {
		return 0, err
	}
	version, err := k.version(db)
	return version, errors.Join(err, db.Close())
}

// OpenToRead is Open for reading only. A file of an older schema stays as it is, because
// a process of an older version may be using it: then a migrated copy of the file as it
// is now is returned, and older is true. The copy is removed when it is closed.
func (k *Kind) OpenToRead(dir string, steps []string, check bool) (db *sql.DB, older bool, err error) {
	db, version, err := k.open(dir, steps, check)
	if err != nil || version == len(steps) {
		return db, false, err
	}
	defer db.Close()
	copied, err := k.migratedCopy(db, steps)
	if err != nil {
		return nil, false, fmt.Errorf("reading schema %d, of an older version: %w", version, Explain(err))
	}
	return copied, true, nil
}

// migratedCopy returns a copy of a database with the schema that the steps lead to.
func (k *Kind) migratedCopy(db *sql.DB, steps []string) (*sql.DB, error) {
	dir, err := os.MkdirTemp("", "reconciler-")
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, k.Name)
	if err := Copy(db, file); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	copied, err := k.Connect(file)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := k.Migrate(copied, steps); err != nil {
		return nil, errors.Join(err, copied.Close(), os.RemoveAll(dir))
	}
	temporary := sql.OpenDB(&temporary{copied.Driver(), k.dsn(file), dir})
	k.limit(temporary)
	return temporary, copied.Close()
}

// temporary connects to a database that is removed when it is closed.
type temporary struct {
	driver   driver.Driver
	dsn, dir string
}

// Connect connects to it.
func (t *temporary) Connect(context.Context) (driver.Conn, error) { return t.driver.Open(t.dsn) }

// Driver returns SQLite's.
func (t *temporary) Driver() driver.Driver { return t.driver }

// Close removes it. sql.DB calls it after it has closed the connections.
func (t *temporary) Close() error { return os.RemoveAll(t.dir) }
