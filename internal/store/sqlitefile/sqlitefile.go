// Package sqlitefile has what the databases of a state folder have in common: how
// they are connected to, checked, made as a whole or not at all, migrated, set aside
// when they are damaged, and how SQLite's errors are worded. What is in them is for
// the packages that own them.
package sqlitefile

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	// The driver registers itself as "sqlite".
	_ "modernc.org/sqlite"

	"reconciler/internal/store/securedir"
	"reconciler/internal/text"
)

var (
	// ErrDamaged is the error of a file that is no database, or a broken one.
	ErrDamaged = errors.New("the file is damaged")
	// ErrNewer is the error of a file whose schema is that of a newer version of the
	// program.
	ErrNewer = errors.New("this version of the program knows no more than")
)

// Kind describes a database: its file, and how it is used.
type Kind struct {
	// Name is the file's name in its folder.
	Name string
	// ApplicationID marks the file, as SQLite's PRAGMA application_id wants it.
	ApplicationID int
	// Beside are the suffixes of files that SQLite keeps beside it: "-journal", or
	// "-wal" and "-shm".
	Beside []string
	// Pragmas are set in each connection.
	Pragmas []string
	// Connections is how many connections a process has at most.
	Connections int
}

// NewName returns the name under which the file is made, before it gets its own.
func (k *Kind) NewName() string { return k.Name + ".new" }

// AsidePrefix returns how the names of files that were set aside begin.
func (k *Kind) AsidePrefix() string { return k.Name + ".corrupt-" }

// Querier is a database or a transaction.
type Querier interface {
	Query(query string, args ...any) (*sql.Rows, error)
	QueryRow(query string, args ...any) *sql.Row
}

// Connect opens a database, and fails no earlier than with the first query.
func (k *Kind) Connect(path string) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", k.dsn(abs))
	if err != nil {
		return nil, err
	}
	k.limit(db)
	return db, nil
}

// limit bounds the connections to a database.
func (k *Kind) limit(db *sql.DB) {
	db.SetMaxOpenConns(k.Connections)
	db.SetMaxIdleConns(k.Connections)
}

// dsn returns the name under which the driver knows a file, whose path is absolute.
func (k *Kind) dsn(abs string) string {
	query := url.Values{
		"mode":       {"rw"},
		"_pragma":    append([]string{"foreign_keys(1)", "trusted_schema(0)"}, k.Pragmas...),
		"_txlock":    {"immediate"},
		"_dqs":       {"0"},
		"_defensive": {"1"},
		"_error_rc":  {"1"},
	}
	name := filepath.ToSlash(abs)
	if !strings.HasPrefix(name, "/") {
		name = "/" + name // a drive letter
	}
	dsn := url.URL{Scheme: "file", Path: name, RawQuery: query.Encode()}
	return dsn.String()
}

// Open connects to the file in dir, rejects what is no database of this kind or has a
// newer schema than the steps lead to, and migrates an older one, after it has put a copy
// of it beside it. With check, it also checks the structure of the whole file. It calls
// migrating before it migrates, with the name of the copy.
func (k *Kind) Open(dir string, steps []string, check bool, migrating func(from, to int, kept string)) (*sql.DB, error) {
	db, version, err := k.open(dir, steps, check)
	if err != nil {
		return nil, err
	}
	if version < len(steps) {
		kept, err := k.keep(dir, db, version)
		if err == nil {
			migrating(version, len(steps), kept)
			err = k.Migrate(db, steps)
		}
		if err != nil {
			return nil, errors.Join(Explain(err), db.Close())
		}
	}
	return db, nil
}

// open connects to the file and returns the version of its schema, which is not newer
// than the steps lead to.
func (k *Kind) open(dir string, steps []string, check bool) (*sql.DB, int, error) {
	db, err := k.Connect(filepath.Join(dir, k.Name))
	if err != nil {
		return nil, 0, err
	}
	if check {
		err = QuickCheck(db)
	}
	version := 0
	if err == nil {
		version, err = k.version(db)
	}
	if err == nil && version > len(steps) {
		err = tooNew(version, len(steps))
	}
	if err != nil {
		return nil, 0, errors.Join(Explain(err), db.Close())
	}
	return db, version, nil
}

// version returns the version of the schema. It rejects a sound database of another
// program.
func (k *Kind) version(db *sql.DB) (int, error) {
	var tables int
	if err := db.QueryRow("SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return 0, err
	}
	app, err := Pragma(db, "application_id")
	if err != nil {
		return 0, err
	}
	version, err := Pragma(db, "user_version")
	switch {
	case err != nil:
		return 0, err
	case tables == 0:
		// It gets its name when its tables are there.
		return 0, fmt.Errorf("%w: it is empty", ErrDamaged)
	case app != k.ApplicationID || version < 1:
		return 0, text.WithHint(errors.New("it is a database of some other program"), "name another folder for the state in the config")
	}
	return version, nil
}

// tooNew rejects what a newer version made.
func tooNew(version, known int) error {
	return text.WithHint(
		fmt.Errorf("it has schema %d, and %w %d", version, ErrNewer, known),
		"a newer version has used this folder: run that one, or one newer still; docs/recovery.md says how to go back")
}

// maxVerdicts bounds how many problems SQLite looks for.
const maxVerdicts = 10_000

// aboutValue matches what SQLite says of a value that its table doesn't allow. The
// file is sound then; whoever reads the row reports it.
var aboutValue = regexp.MustCompile(`^((NULL|NUMERIC|TEXT|non-\w+) value in \w+\.\w+|CHECK constraint failed in \w+)$`)

// QuickCheck checks the structure of a database.
func QuickCheck(db *sql.DB) error {
	rows, err := db.Query(fmt.Sprintf("PRAGMA quick_check(%d)", maxVerdicts))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var verdict string
		if err := rows.Scan(&verdict); err != nil {
			return err
		}
		if verdict != "ok" && !aboutValue.MatchString(verdict) {
			return fmt.Errorf("%w: %s", ErrDamaged, text.OneLine(verdict, maxLine))
		}
	}
	return rows.Err()
}

// Migrate brings a database to the schema that the steps lead to: step n leads from
// schema n to n+1. Each step is done as a whole or not at all, and several processes
// may do so at the same time.
func (k *Kind) Migrate(db *sql.DB, steps []string) error {
	for done := false; !done; {
		var err error
		if done, err = k.migrateStep(db, steps); err != nil {
			return err
		}
	}
	return nil
}

// migrateStep does the next step, and reports whether there was none left.
func (k *Kind) migrateStep(db *sql.DB, steps []string) (done bool, err error) {
	tx, err := db.Begin()
	if err != nil {
		return false, err
	}
	defer tx.Rollback()
	version, err := Pragma(tx, "user_version")
	if err != nil || version >= len(steps) {
		return true, err
	}
	// A PRAGMA takes no parameters.
	marks := fmt.Sprintf("\n; PRAGMA user_version = %d; PRAGMA application_id = %d", version+1, k.ApplicationID)
	if _, err := tx.Exec(steps[version] + marks); err != nil {
		return false, fmt.Errorf("migrating schema %d to %d: %w", version, version+1, err)
	}
	return false, tx.Commit()
}

// Pragma reads a number.
func Pragma(q Querier, name string) (int, error) {
	var n int
	err := q.QueryRow("PRAGMA " + name).Scan(&n)
	return n, err
}

// Stat describes the file, and rejects one that is no file of ours, such as a symbolic
// link. Where there is none, the error is fs.ErrNotExist.
func (k *Kind) Stat(root *os.Root) (fs.FileInfo, error) {
	info, err := root.Lstat(k.Name)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no regular file")
	}
	return info, err
}

// CheckTraces looks for what is left of a file that is not there, and returns
// ErrDamaged if something is.
func (k *Kind) CheckTraces(root *os.Root) error {
	// What SQLite keeps beside a file, but for an index, holds what isn't in it yet.
	info, err := root.Lstat(k.Name + k.Beside[0])
	if err == nil && info.Size() > 0 {
		what := "rollback journal"
		if k.Beside[0] != "-journal" {
			what = "write-ahead log"
		}
		return fmt.Errorf("%w: it is gone, but its %s is there", ErrDamaged, what)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	name, err := k.LastAside(root)
	switch {
	case err != nil:
		return err
	case name != "":
		return fmt.Errorf("%w: it was set aside as %s, and no other has begun", ErrDamaged, name)
	}
	return nil
}

// Create makes the file, as a whole or not at all. What fill writes is part of it from
// its first moment.
func (k *Kind) Create(dir string, root *os.Root, steps []string, fill func(db *sql.DB) error) error {
	name := k.NewName()
	for _, old := range []string{name + "-journal", name + "-wal", name + "-shm", name} {
		if err := root.Remove(old); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := NewFile(root, name); err != nil {
		return err
	}
	db, err := k.Connect(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	err = k.Migrate(db, steps)
	if err == nil {
		err = fill(db)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if err := root.Rename(name, k.Name); err != nil {
		return err
	}
	return securedir.SyncRoot(root)
}

// NewFile makes an empty file for this user alone: SQLite would make one that
// everybody may read, and gives the files beside it the mode of this one.
func NewFile(root *os.Root, name string) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(0o600), f.Close())
}

// Copy writes the database, as it is at one moment, to a new file, while others use
// it.
func Copy(db *sql.DB, file string) error {
	root, err := os.OpenRoot(filepath.Dir(file))
	if err != nil {
		return err
	}
	defer root.Close()
	if err := NewFile(root, filepath.Base(file)); err != nil {
		return err
	}
	if _, err := db.ExecContext(context.Background(), "VACUUM INTO ?", file); err != nil {
		return errors.Join(err, root.Remove(filepath.Base(file)))
	}
	f, err := root.OpenFile(filepath.Base(file), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// SetAside renames the file, and what is beside it, and returns its new name. Nothing
// is deleted or overwritten. Where there is nothing left to rename, it returns the name
// of what was set aside last.
func (k *Kind) SetAside(root *os.Root, now time.Time) (name string, err error) {
	name, err = freeName(root, k.AsidePrefix()+now.UTC().Format("20060102T150405Z"))
	if err != nil {
		return "", err
	}
	renamed := false
	// What is beside it first: one that is left behind would be applied to the new
	// database. The names fit together, so that SQLite finds it again.
	for _, suffix := range append(append([]string{}, k.Beside...), "") {
		err := root.Rename(k.Name+suffix, name+suffix)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		renamed = renamed || err == nil
	}
	if !renamed {
		return k.LastAside(root)
	}
	return name, securedir.SyncRoot(root)
}

// freeName returns a name that no file has, with a number if need be.
func freeName(root *os.Root, base string) (string, error) {
	name := base
	for n := 2; ; n++ {
		_, err := root.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return name, nil
		}
		if err != nil {
			return "", err
		}
		name = fmt.Sprintf("%s-%d", base, n)
	}
}

// LastAside returns the newest file that was set aside, or "".
func (k *Kind) LastAside(root *os.Root) (string, error) {
	d, err := root.Open(".")
	if err != nil {
		return "", err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return "", err
	}
	last := ""
	for _, name := range names {
		if strings.HasPrefix(name, k.AsidePrefix()) {
			for _, suffix := range k.Beside {
				name = strings.TrimSuffix(name, suffix)
			}
			last = max(last, name)
		}
	}
	return last, nil
}
