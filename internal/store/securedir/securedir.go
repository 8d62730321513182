package securedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"reconciler/internal/text"
)

var errUnnamed = errors.New("no folder is named")

// Dir opens the folder at path. A missing folder is created, and its parents
// with it, for this user alone (0700, whatever the umask), and synced.
//
// It rejects a path whose last element is a symbolic link, a folder of another
// user (but for root), and one that group or others may write to. Where the
// system has no such owners and modes, only the first is rejected. What the
// returned root opens is in the very folder that was checked, whatever becomes
// of the path. Errors are one line, with a hint (text.Hint) where there is
// something to do.
func Dir(path string) (*os.Root, error) {
	if path == "" {
		return nil, errUnnamed
	}
	// A trailing slash would make Lstat follow a link.
	path = filepath.Clean(path)
	if err := makeAll(path); err != nil {
		return nil, systemError("creating the folder", path, err)
	}
	return open(path)
}

// Existing is Dir without creating anything: for a missing folder, the error is
// fs.ErrNotExist.
func Existing(path string) (*os.Root, error) {
	if path == "" {
		return nil, errUnnamed
	}
	return open(filepath.Clean(path))
}

func open(path string) (*os.Root, error) {
	named, err := os.Lstat(path)
	if err != nil {
		return nil, systemError("opening the folder", path, err)
	}
	if named.Mode()&fs.ModeSymlink != 0 {
		return nil, text.WithHint(fmt.Errorf("%q is a symbolic link", path), "name the folder that it points to")
	}
	if !named.IsDir() {
		return nil, fmt.Errorf("%q is not a folder", path)
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

// makeAll is os.MkdirAll without a umask, and synced.
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
		return nil // another process created it at the same time; it is checked next
	}
	if err != nil {
		return err
	}
	if err := os.Chmod(path, 0o700); err != nil {
		return err
	}
	return syncDir(parent)
}

// syncDir syncs the folder at path; see SyncRoot.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(syncHandle(d), d.Close())
}

// SyncRoot makes what was created, renamed or removed in the folder survive a
// loss of power.
func SyncRoot(root *os.Root) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(syncHandle(d), d.Close())
}

// ErrLocked is the error of Lock while another process holds the lock.
var ErrLocked = errors.New("another process holds the lock")

const (
	lockTries = 200
	lockPause = 100 * time.Millisecond
)

// LockFile opens a file, which it creates where it is missing, and waits until this
// process has its [Lock], for at most 20 seconds.
func LockFile(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for try := 0; ; try++ {
		err := Lock(f)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, ErrLocked) || try >= lockTries {
			f.Close()
			return nil, err
		}
		time.Sleep(lockPause)
	}
}

// systemError describes what the system refused.
func systemError(doing, path string, err error) error {
	cause := Cause(err)
	var p *fs.PathError
	if errors.As(err, &p) && p.Path != path && p.Path != "" && p.Path != "." {
		cause = fmt.Errorf("%s: %w", p.Path, cause)
	}
	return text.WithHint(fmt.Errorf("%s %q: %w", doing, path, cause), HintFor(err))
}

// Cause returns what is behind an error of package os, without the operation
// and the path, for messages that name them already. It returns any other error
// as it is.
func Cause(err error) error {
	switch e := err.(type) {
	case *fs.PathError:
		return e.Err
	case *os.LinkError:
		return e.Err
	}
	return err
}
