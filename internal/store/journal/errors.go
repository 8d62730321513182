package journal

import (
	"errors"
	"fmt"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"reconciler/internal/store/securedir"
	"reconciler/internal/text"
)

// Error is a failure of the journal itself: one line that says what was to be
// done, with which file, and what went wrong, and apart from it, as the Hint,
// what to do.
type Error struct {
	msg  string
	hint string
	err  error
	// damaged says that the file is no database, or a broken one.
	damaged bool
}

// ErrDamaged is what an Error is (errors.Is) when journal.db can't be read
// because it is no database, or a broken one. Open sets such a file aside.
var ErrDamaged = errors.New("the journal is damaged")

// Is says whether target is ErrDamaged and e about a damaged file.
func (e *Error) Is(target error) bool { return target == ErrDamaged && e.damaged }

// Error gives the line without the hint.
func (e *Error) Error() string { return e.msg }

// Hint says what to do about it; empty when there is nothing useful to say.
func (e *Error) Hint() string { return e.hint }

// Unwrap gives what is behind it: an error of the system or of SQLite.
func (e *Error) Unwrap() error { return e.err }

// HeldError says that another process holds the journal.
type HeldError struct {
	Dir string
	// Holder is what the other process wrote into the lock file; its fields
	// are empty when that could not be read.
	Holder Holder
}

// Holder is the process that holds a journal.
type Holder struct {
	PID     int       `json:"pid"`
	Host    string    `json:"host"`
	Started time.Time `json:"started"`
}

// Error names the holder.
func (e *HeldError) Error() string {
	if e.Holder.PID == 0 {
		return fmt.Sprintf("the journal in %q is held by another process", e.Dir)
	}
	return fmt.Sprintf("the journal in %q is held by process %d on %q since %s",
		e.Dir, e.Holder.PID, e.Holder.Host, e.Holder.Started.UTC().Format(time.RFC3339))
}

// Hint says how to get it.
func (e *HeldError) Hint() string {
	return "two processes must not create orgs at the same time: wait until the other one ends, or stop it (usually it is the daemon)"
}

// StepError says that a creation can't go from the step at which it is to the
// one that was asked for. Nothing was written.
type StepError struct {
	Key Key
	// Step is where the creation is; empty when there is none.
	Step Step
	// Problem says what can't be done, and why.
	Problem string
}

// Error names org, step and problem.
func (e *StepError) Error() string {
	if e.Step == "" {
		return fmt.Sprintf("creation of %q: %s: the journal knows of no such creation", e.Key.Domain, e.Problem)
	}
	return fmt.Sprintf("creation of %q is at step %q: %s", e.Key.Domain, e.Step, e.Problem)
}

// misuse is a call that makes no sense at this time. Nothing was written.
type misuse string

func (m misuse) Error() string { return string(m) }

func misused(format string, args ...any) error { return misuse(fmt.Sprintf(format, args...)) }

// failed makes an Error of what happened to the file while doing something.
// Errors of our own pass through.
func failed(file, doing string, err error) error {
	var ours interface{ Hint() string }
	var step *StepError
	var use misuse
	if err == nil || errors.As(err, &ours) || errors.As(err, &step) || errors.As(err, &use) {
		return err
	}
	e := &Error{err: err, hint: securedir.HintFor(err), damaged: damaged(err)}
	reason := securedir.Reason(err)
	var s *sqlite.Error
	if errors.As(err, &s) {
		if words, hint := explain(s.Code()); words != "" {
			reason, e.hint = words, hint
		}
	}
	e.msg = fmt.Sprintf("journal %q: %s: %s", file, doing, clean(reason))
	return e
}

// explain puts SQLite's result codes, extended or not, into words.
func explain(code int) (words, hint string) {
	switch code & 0xff {
	case sqlite3.SQLITE_FULL:
		return "the disk is full", "make room on the disk"
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		return "it can't be written to", "file and folder must belong to the user that the program runs as, on a file system that can be written to"
	case sqlite3.SQLITE_CANTOPEN:
		return "it can't be opened", "file and folder must belong to the user that the program runs as, on a file system that can be written to"
	case sqlite3.SQLITE_IOERR:
		return fmt.Sprintf("the disk reports an error (SQLite code %d)", code), "look at the system's log, and whether the disk is full"
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return "another process keeps it busy", "close what else has the file open, such as sqlite3"
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return "the file is damaged", "the next start of apply or run sets it aside and says what to do"
	}
	return "", ""
}

// damaged says whether SQLite found the file itself to be no database, or a
// broken one.
func damaged(err error) bool {
	var s *sqlite.Error
	if !errors.As(err, &s) {
		return false
	}
	code := s.Code() & 0xff
	return code == sqlite3.SQLITE_CORRUPT || code == sqlite3.SQLITE_NOTADB
}

// clean makes foreign words fit for one line of a journal or an error: printable,
// and cut where it gets long.
func clean(s string) string { return text.OneLine(s, 500) }
