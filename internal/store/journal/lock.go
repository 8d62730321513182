package journal

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"reconciler/internal/store/securedir"
)

// lock is the lock file of a journal. The lock belongs to the open file, so it
// ends with the process, and a file that was left behind is no obstacle. It is
// never deleted: a process could then hold a lock on a file that has lost its
// name, beside one that holds the new file.
type lock struct{ f *os.File }

const lockFile = "journal.lock"

// acquire takes the lock or says who has it. What the lock file tells is for
// people; it locks nothing.
func acquire(dir string, root *os.Root, now time.Time) (*lock, error) {
	path := filepath.Join(dir, lockFile)
	// A folder in which journal.lock is a symbolic link to elsewhere fails here.
	f, err := root.OpenFile(lockFile, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, failed(path, "opening the lock file", err)
	}
	err = securedir.Lock(f)
	if errors.Is(err, securedir.ErrLocked) {
		held := &HeldError{Dir: dir}
		held.Holder, _ = readHolder(f)
		f.Close()
		return nil, held
	}
	if err != nil {
		f.Close()
		return nil, failed(path, "locking", err)
	}
	sign(f, now)
	return &lock{f}, nil
}

// sign tells who holds the lock, as well as it can: on a full disk the lock
// holds all the same, and a journal that can only be read is worth having.
func sign(f *os.File, now time.Time) {
	host, _ := os.Hostname()
	text, err := json.Marshal(Holder{PID: os.Getpid(), Host: host, Started: now.UTC().Truncate(time.Second)})
	if err == nil && f.Truncate(0) == nil {
		_, _ = f.WriteAt(append(text, '\n'), 0)
	}
}

// release gives the lock back.
func (l *lock) release() error { return l.f.Close() }
