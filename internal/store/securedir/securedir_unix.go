//go:build unix

package securedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"reconciler/internal/text"
)

// checkAccess rejects a folder in which another user could replace our files.
func checkAccess(path string, info fs.FileInfo) error {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		if owner, we := int(st.Uid), os.Geteuid(); owner != we && owner != 0 {
			return text.WithHint(
				fmt.Errorf("folder %q belongs to user %d, and this program runs as user %d", path, owner, we),
				"run the program as the folder's owner, or give the folder to the user that it runs as (chown)")
		}
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return text.WithHint(
			fmt.Errorf("folder %q may be written to by others (mode %04o)", path, mode),
			fmt.Sprintf("run: chmod go-w %q; or name a folder inside it that doesn't exist yet, which is then created"+
				" (a Kubernetes volume with fsGroup needs fsGroupChangePolicy: OnRootMismatch as well)", path))
	}
	return nil
}

// HintFor returns what to do when the system refuses a write, or "".
func HintFor(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "make room on the disk"
	case errors.Is(err, syscall.EROFS):
		return "the file system is mounted read-only: name a folder on one that can be written to"
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("user %d, as which this program runs, must be the owner of the folder", os.Geteuid())
	}
	return ""
}

func syncHandle(d *os.File) error { return d.Sync() }

// Lock locks f for this open file alone, or returns ErrLocked at once. The lock
// ends when f is closed, and with the process.
func Lock(f *os.File) error { return lock(f, syscall.LOCK_EX) }

// LockShared locks f against Lock, and for others that share it, or returns ErrLocked
// at once.
func LockShared(f *os.File) error { return lock(f, syscall.LOCK_SH) }

func lock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return ErrLocked
		default:
			return err
		}
	}
}
