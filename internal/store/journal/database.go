package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	// The driver registers itself as "sqlite".
	_ "modernc.org/sqlite"

	"reconciler/internal/store/securedir"
)

const (
	dbFile = "journal.db"
	// newFile is where a database is made before it gets its name, so that
	// journal.db is never half made.
	newFile = dbFile + ".new"
	// asidePrefix begins the names of files that were set aside.
	asidePrefix = dbFile + ".corrupt-"
)

// sideFiles gives the endings of what SQLite puts beside a database: its log,
// the log's index, and what it needs to take a change of mode back.
func sideFiles() []string { return []string{"-wal", "-shm", "-journal"} }

// connect opens a database for SQLite, which looks at the file no earlier than
// at the first query. The mode is SQLite's: ro, rw or memory.
func connect(path, mode string, pragmas ...string) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	query := url.Values{
		"mode":       {mode},
		"_pragma":    append([]string{"busy_timeout(5000)", "foreign_keys(1)", "trusted_schema(0)"}, pragmas...),
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

// connectDurable opens the journal for writing. A commit returns when log and
// folder are synced, and copies the log into journal.db right away: writes are
// rare, and then a backup of the one file, or a log that got lost, misses
// nothing.
func connectDurable(path string) (*sql.DB, error) {
	return connect(path, "rw", "journal_mode(WAL)", "synchronous(FULL)", "wal_autocheckpoint(1)")
}

// serialize gives the whole content of a database, its log included, as a file.
func serialize(db *sql.DB) (data []byte, err error) {
	err = raw(db, func(c any) error {
		data, err = c.(interface{ Serialize() ([]byte, error) }).Serialize()
		return err
	})
	const writeVersion, readVersion = 18, 19
	if err == nil && len(data) > readVersion {
		// In memory there is no log: https://sqlite.org/c3ref/deserialize.html
		data[writeVersion], data[readVersion] = 1, 1
	}
	return data, err
}

// deserialize puts such a content in the place of what a database has.
func deserialize(db *sql.DB, data []byte) error {
	return raw(db, func(c any) error { return c.(interface{ Deserialize([]byte) error }).Deserialize(data) })
}

// raw does f with the driver's own connection, of which there is only one.
func raw(db *sql.DB, f func(c any) error) error {
	conn, err := db.Conn(context.Background())
	if err != nil {
		return err
	}
	return errors.Join(conn.Raw(f), conn.Close())
}

// condition is what a look at a journal.db shows.
type condition struct {
	// missing says that there is none, and no trace of one.
	missing bool
	version int
	// broken says what is wrong with the file; empty when it can be worked
	// with.
	broken string
}

// diagnose looks at journal.db, and at what stands beside it if it is gone.
func diagnose(path string, root *os.Root) (condition, error) {
	info, err := checkFile(root)
	if errors.Is(err, fs.ErrNotExist) {
		wal, err := root.Lstat(dbFile + "-wal")
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return condition{missing: true}, nil
		case err == nil && wal.Size() > 0:
			return condition{broken: "it is gone, but its log is there"}, nil
		}
		return condition{missing: true}, err
	}
	if err != nil {
		return condition{}, err
	}
	// A backup or a copy may have given access to others.
	if info.Mode().Perm() != 0o600 {
		if err := root.Chmod(dbFile, 0o600); err != nil {
			return condition{}, err
		}
	}
	return inspect(path)
}

// inspect looks at a database without changing it. An error says that it could
// not be looked at, or that it is a sound database of something else.
func inspect(path string) (condition, error) {
	db, err := connect(path, "ro")
	if err != nil {
		return condition{}, err
	}
	c, err := inspectDB(db)
	if closeErr := db.Close(); err == nil {
		err = closeErr
	}
	if damaged(err) {
		return condition{broken: clean(err.Error())}, nil
	}
	return c, err
}

func inspectDB(db *sql.DB) (condition, error) {
	var verdict string
	if err := db.QueryRow("PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return condition{}, err
	}
	if verdict != "ok" {
		return condition{broken: clean(verdict)}, nil
	}
	var tables int
	if err := db.QueryRow("SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return condition{}, err
	}
	app, err := pragma(db, "application_id")
	if err != nil {
		return condition{}, err
	}
	version, err := pragma(db, "user_version")
	switch {
	case err != nil:
		return condition{}, err
	case tables == 0:
		// It gets its name when its tables are there.
		return condition{broken: "it is empty"}, nil
	case app != applicationID || version < 1:
		return condition{}, &Error{
			msg:  fmt.Sprintf("%q is a database of some other program", dbFile),
			hint: "name another folder as state.dir",
		}
	}
	return condition{version: version}, nil
}

// tooNew refuses to work with what a newer version made.
func tooNew(path string, version, known int) error {
	return &Error{
		msg:  fmt.Sprintf("journal %q: it has schema %d, and this version of the program knows no more than %d", path, version, known),
		hint: "a newer version has used this folder: run that one, or one newer still",
	}
}

// checkFile refuses a journal.db that is no file of ours, such as a symbolic
// link. Without one it gives fs.ErrNotExist.
func checkFile(root *os.Root) (fs.FileInfo, error) {
	info, err := root.Lstat(dbFile)
	if err == nil && !info.Mode().IsRegular() {
		err = &Error{msg: fmt.Sprintf("%q is no regular file", filepath.Join(root.Name(), dbFile))}
	}
	return info, err
}

// create makes journal.db, whole or not at all. What was forgotten, if
// anything, is part of it from its first moment.
func create(dir string, root *os.Root, steps []string, forgot *Amnesia) error {
	for _, suffix := range append(sideFiles(), "") {
		if err := root.Remove(newFile + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	// SQLite would make a file that everybody may read, and gives the files
	// beside it the mode of this one.
	f, err := root.OpenFile(newFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = f.Chmod(0o600)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if err := fill(filepath.Join(dir, newFile), steps, forgot); err != nil {
		return err
	}
	if err := root.Rename(newFile, dbFile); err != nil {
		return err
	}
	return securedir.SyncRoot(root)
}

func fill(path string, steps []string, forgot *Amnesia) (err error) {
	db, err := connect(path, "rw", "synchronous(FULL)")
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := db.Close(); err == nil {
			err = closeErr
		}
	}()
	if err := migrate(db, steps); err != nil {
		return err
	}
	if forgot != nil {
		if err := forgot.insert(db); err != nil {
			return err
		}
	}
	// The last thing, so that there is no log that the new name would not fit.
	_, err = db.Exec("PRAGMA journal_mode = WAL")
	return err
}

// setAside gives journal.db and what stands beside it a name that tells that
// it is broken. Nothing is deleted, and nothing that is there is overwritten.
// The name is that of journal.db; what stood beside it has the same endings as
// before.
func setAside(root *os.Root, now time.Time) (name string, err error) {
	stamp := asidePrefix + now.UTC().Format("20060102T150405Z")
	name = stamp
	for n := 2; ; n++ {
		if _, err := root.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return "", err
		}
		name = fmt.Sprintf("%s-%d", stamp, n)
	}
	// The log first: a log that is left behind would be taken for that of the
	// new database. The names fit together, so that SQLite finds it again.
	for _, suffix := range append(sideFiles(), "") {
		err := root.Rename(dbFile+suffix, name+suffix)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return name, securedir.SyncRoot(root)
}

// lastAside gives the newest file that was set aside, or "".
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
		if !strings.HasPrefix(name, asidePrefix) {
			continue
		}
		for _, suffix := range sideFiles() {
			name = strings.TrimSuffix(name, suffix)
		}
		last = max(last, name)
	}
	return last, nil
}
