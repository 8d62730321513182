package journal

import (
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

const (
	dbFile = "journal.db"
	// rollbackFile is what SQLite writes beside the database while a transaction
	// is under way. A killed process leaves it behind, and the next one undoes
	// the transaction.
	rollbackFile = dbFile + "-journal"
	// newFile is where a database is made before it gets its name, so that
	// journal.db is never half made.
	newFile = dbFile + ".new"
	// asidePrefix begins the names of files that were set aside.
	asidePrefix = dbFile + ".corrupt-"
)

// connect opens a database, and fails no earlier than with the first query.
//
// It uses SQLite's rollback journal, and not a write-ahead log: there is one file,
// and what a log or its index holds can't get lost or mixed up when the file is
// replaced while a process has it open. A commit returns when file and folder are
// synced. Readers and writers wait for each other, which takes milliseconds.
func connect(path string) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	query := url.Values{
		"mode":       {"rw"},
		"_pragma":    {"busy_timeout(5000)", "foreign_keys(1)", "trusted_schema(0)", "synchronous(EXTRA)"},
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
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, err
	}
	// More connections would only wait for each other.
	db.SetMaxOpenConns(1)
	return db, nil
}

// inspect checks the whole database, without changing it, and returns the version
// of its schema. It rejects a sound database of another program.
func inspect(db *sql.DB) (version int, err error) {
	if err := quickCheck(db); err != nil {
		return 0, err
	}
	var tables int
	if err := db.QueryRow("SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return 0, err
	}
	app, err := pragma(db, "application_id")
	if err != nil {
		return 0, err
	}
	version, err = pragma(db, "user_version")
	switch {
	case err != nil:
		return 0, err
	case tables == 0:
		// It gets its name when its tables are there.
		return 0, fmt.Errorf("%w: it is empty", ErrDamaged)
	case app != applicationID || version < 1:
		return 0, text.WithHint(errors.New("it is a database of some other program"), "name another folder for the state in the config")
	}
	return version, nil
}

// maxVerdicts bounds how many problems SQLite looks for.
const maxVerdicts = 10_000

// aboutValue matches what SQLite says of a value that its table doesn't allow. The
// file is sound then; whoever reads the row reports it.
var aboutValue = regexp.MustCompile(`^((NULL|NUMERIC|TEXT|non-\w+) value in \w+\.\w+|CHECK constraint failed in \w+)$`)

// quickCheck checks the structure of a database.
func quickCheck(db *sql.DB) error {
	verdicts, err := rowsOf(db, func(s *string) []any { return []any{s} }, fmt.Sprintf("PRAGMA quick_check(%d)", maxVerdicts))
	if err != nil {
		return err
	}
	for _, verdict := range verdicts {
		if verdict != "ok" && !aboutValue.MatchString(verdict) {
			return fmt.Errorf("%w: %s", ErrDamaged, clean(verdict))
		}
	}
	return nil
}

// tooNew rejects what a newer version made.
func tooNew(version, known int) error {
	return text.WithHint(
		fmt.Errorf("it has schema %d, and this version of the program knows no more than %d", version, known),
		"a newer version has used this folder: run that one, or one newer still")
}

// checkFile rejects a journal.db that is no file of ours, such as a symbolic
// link. Where there is none, the error is fs.ErrNotExist.
func checkFile(root *os.Root) (fs.FileInfo, error) {
	info, err := root.Lstat(dbFile)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no regular file")
	}
	return info, err
}

// checkTraces looks for what is left of a journal.db that is not there. The error
// is errNone if nothing is.
func checkTraces(root *os.Root) error {
	info, err := root.Lstat(rollbackFile)
	if err == nil && info.Size() > 0 {
		return fmt.Errorf("%w: it is gone, but its rollback journal is there", ErrDamaged)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	name, err := lastAside(root)
	switch {
	case err != nil:
		return err
	case name != "":
		return fmt.Errorf("%w: it was set aside as %s, and no other has begun", ErrDamaged, name)
	}
	return errNone
}

// create makes journal.db, as a whole or not at all. A loss is part of it from
// its first moment.
func create(dir string, root *os.Root, steps []string, loss *Loss) error {
	for _, name := range []string{newFile + "-journal", newFile} {
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	// SQLite would make a file that everybody may read, and gives the file beside
	// it the mode of this one.
	f, err := root.OpenFile(newFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(0o600), f.Close()); err != nil {
		return err
	}
	db, err := connect(filepath.Join(dir, newFile))
	if err != nil {
		return err
	}
	err = migrate(db, steps)
	if err == nil && loss != nil {
		err = loss.insert(db)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if err := root.Rename(newFile, dbFile); err != nil {
		return err
	}
	return securedir.SyncRoot(root)
}

// setAside renames journal.db, and the rollback journal with it, and returns the
// new name of journal.db. Nothing is deleted or overwritten. Where there is
// nothing left to rename, it returns the name of what was set aside last.
func setAside(root *os.Root, now time.Time) (name string, err error) {
	name, err = freeName(root, asidePrefix+now.UTC().Format("20060102T150405Z"))
	if err != nil {
		return "", err
	}
	renamed := false
	// The rollback journal first: one that is left behind would be applied to the
	// new database. The names fit together, so that SQLite finds it again.
	for _, suffix := range []string{"-journal", ""} {
		err := root.Rename(dbFile+suffix, name+suffix)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		renamed = renamed || err == nil
	}
	if !renamed {
		return lastAside(root)
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

// lastAside returns the newest file that was set aside, or "".
func lastAside(root *os.Root) (string, error) {
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
		if strings.HasPrefix(name, asidePrefix) {
			last = max(last, strings.TrimSuffix(name, "-journal"))
		}
	}
	return last, nil
}
