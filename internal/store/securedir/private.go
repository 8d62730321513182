package securedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Error says why a folder can't be used: one line, and apart from it, as the
// Hint, what to do.
type Error struct {
	msg  string
	hint string
	err  error // nil when the system had nothing against it
}

// Error gives the line without the hint.
func (e *Error) Error() string { return e.msg }

// Hint says what to do about it; empty when there is nothing useful to say.
func (e *Error) Hint() string { return e.hint }

// Unwrap gives the system's error, if there is one.
func (e *Error) Unwrap() error { return e.err }

// Dir opens the folder at path. If it is missing, it is made, and its parents
// with it, for this user alone (0700, whatever the umask), and lasts through a
// loss of power from then on.
//
// It refuses a path whose last element is a symbolic link, a folder of another
// user (but for root), and one that group or others may write to. Where the
// system has no such owners and modes, only the first is refused. What the
// returned root opens is in the very folder that was checked, whatever becomes
// of the path. All errors are of type *Error.
func Dir(path string) (*os.Root, error) {
	if path == "" {
		return nil, &Error{msg: "no folder is named"}
	}
	// A trailing slash would make Lstat follow a link.
	path = filepath.Clean(path)
	if err := makeAll(path); err != nil {
		return nil, systemError("making the folder", path, err)
	}
	return open(path)
}

// Existing is Dir without making anything: a missing folder is an error that
// is fs.ErrNotExist.
func Existing(path string) (*os.Root, error) {
	if path == "" {
		return nil, &Error{msg: "no folder is named"}
	}
	return open(filepath.Clean(path))
}

func open(path string) (*os.Root, error) {
	named, err := os.Lstat(path)
	if err != nil {
		return nil, systemError("opening the folder", path, err)
	}
	if named.Mode()&fs.ModeSymlink != 0 {
		return nil, &Error{
			msg:  fmt.Sprintf("%q is a symbolic link", path),
			hint: "name the folder that it points to",
		}
	}
	if !named.IsDir() {
		return nil, &Error{msg: fmt.Sprintf("%q is not a folder", path)}
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, systemError("opening the folder", path, err)
	}
	opened, err := root.Stat(".")
	if err == nil && !os.SameFile(named, opened) {
		err = errors.New("it was replaced meanwhile")
	}
	if err != nil {
		root.Close()
		return nil, systemError("opening the folder", path, err)
	}
	if err := checkAccess(path, opened); err != nil {
		root.Close()
		return nil, err
	}
	return root, nil
}

// makeAll is os.MkdirAll without a umask, and lasting.
func makeAll(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(path)
	if err := makeAll(parent); err != nil {
		return err
	}
	err := os.Mkdir(path, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil // somebody else made it at the same time; it is checked next
	}
	if err != nil {
		return err
	}
	if err := os.Chmod(path, 0o700); err != nil {
		return err
	}
	return SyncDir(parent)
}

// SyncDir makes what was created, renamed or removed in the folder last
// through a loss of power.
func SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return syncHandle(d)
}

// SyncRoot is SyncDir for a folder that is open.
func SyncRoot(root *os.Root) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	return syncHandle(d)
}

// ErrLocked is what Lock says when somebody else holds the lock.
var ErrLocked = errors.New("another process holds the lock")

// systemError tells what the system refused, and what usually is behind it.
func systemError(doing, path string, err error) *Error {
	e := &Error{err: err}
	reason := Reason(err)
	var p *fs.PathError
	if errors.As(err, &p) && p.Path != path && p.Path != "" && p.Path != "." {
		reason = fmt.Sprintf("%s: %s", p.Path, reason)
	}
	e.msg = fmt.Sprintf("%s %q: %s", doing, path, reason)
	e.hint = HintFor(err)
	return e
}

// Reason gives an error of package os without the path, for messages that have
// named it. An error with words around it keeps them all.
func Reason(err error) string {
	switch e := err.(type) {
	case *fs.PathError:
		return e.Err.Error()
	case *os.LinkError:
		return e.Err.Error()
	}
	return err.Error()
}
