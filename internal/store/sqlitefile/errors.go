package sqlitefile

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"reconciler/internal/text"
)

// maxLine is how much of foreign text is in an error.
const maxLine = 500

// Explain returns an error of our own, with a hint, in the place of SQLite's. Other
// errors it returns as they are.
func Explain(err error) error {
	var s *sqlite.Error
	if !errors.As(err, &s) {
		return err
	}
	const ours = "file and folder must belong to the user that the program runs as, on a file system that can be written to"
	switch s.Code() & 0xff { // extended or not
	case sqlite3.SQLITE_FULL:
		return text.WithHint(errors.New("the disk is full"), "make room on the disk")
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		return text.WithHint(errors.New("it can't be written to"), ours)
	case sqlite3.SQLITE_CANTOPEN:
		return text.WithHint(errors.New("it can't be opened"), ours)
	case sqlite3.SQLITE_IOERR:
		return text.WithHint(fmt.Errorf("the disk reports an error (SQLite code %d)", s.Code()), "look at the system's log, and whether the disk is full")
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return text.WithHint(errors.New("another process keeps it busy"), "close what else has the file open, such as sqlite3")
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w: %s", ErrDamaged, text.OneLine(err.Error(), maxLine))
	}
	return errors.New(text.OneLine(err.Error(), maxLine))
}
