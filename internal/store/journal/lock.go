package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"reconciler/internal/store/securedir"
	"reconciler/internal/text"
)

// lockFile is locked by the Writer. The lock belongs to the open file, so it ends
// with the process, and a file that was left behind locks nothing. The file is
// never deleted: a process could then hold a lock on a file that has lost its
// name, beside one that holds the new file.
const lockFile = "journal.lock"

// Holder is the process that holds the lock of a journal.
type Holder struct {
	PID     int       `json:"pid"`
	Host    string    `json:"host"`
	Started time.Time `json:"started"`
}

// HeldError means that another process holds the lock of the journal.
type HeldError struct {
	Dir string
	// Holder is what the other process wrote into the lock file; its fields
	// are empty when that could not be read.
	Holder Holder
}

// Error names the holder.
func (e *HeldError) Error() string {
	if e.Holder.PID == 0 {
		return fmt.Sprintf("the journal in %q is held by another process", e.Dir)
	}
	return fmt.Sprintf("the journal in %q is held by process %d on %q since %s",
		e.Dir, e.Holder.PID, e.Holder.Host, e.Holder.Started.UTC().Format(time.RFC3339))
}

// Hint returns what to do about it.
func (e *HeldError) Hint() string {
	return "two processes must not create orgs at the same time: wait until the other one ends, or stop it (usually it is the daemon)"
}

// acquire locks the lock file, or returns a *HeldError. What the file holds is
// for people; it locks nothing.
func acquire(dir string, root *os.Root, now time.Time) (*os.File, error) {
	// A folder in which journal.lock is a symbolic link to elsewhere fails here.
	f, err := root.OpenFile(lockFile, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, lockError(dir, "opening the lock file", err)
	}
	err = securedir.Lock(f)
	if errors.Is(err, securedir.ErrLocked) {
		held := &HeldError{Dir: dir}
		held.Holder, _ = readHolder(f)
		err = held
	} else if err != nil {
		err = lockError(dir, "locking", err)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	sign(f, now)
	return f, nil
}

func lockError(dir, doing string, err error) error {
	return text.WithHint(fmt.Errorf("journal %q: %s: %w", filepath.Join(dir, lockFile), doing, securedir.Cause(err)), securedir.HintFor(err))
}

// sign writes into the lock file who holds the lock. Errors don't count: on a
// full disk the lock holds all the same, and the journal can still be read.
func sign(f *os.File, now time.Time) {
	host, _ := os.Hostname()
	data, err := json.Marshal(Holder{PID: os.Getpid(), Host: host, Started: now.UTC().Truncate(time.Second)})
	if err == nil && f.Truncate(0) == nil {
		_, _ = f.WriteAt(append(data, '\n'), 0)
	}
}

// LastHolder returns the process that was the last to lock the journal in dir,
// and false if that isn't known. It may have ended since. LastHolder doesn't try
// the lock: that would take it for a moment, in which a daemon that starts would
// find it held.
func LastHolder(dir string) (Holder, bool) {
	root, err := securedir.Existing(dir)
	if err != nil {
		return Holder{}, false
	}
	defer root.Close()
	f, err := root.Open(lockFile)
	if err != nil {
		return Holder{}, false
	}
	defer f.Close()
	return readHolder(f)
}

// readHolder reads what sign wrote.
func readHolder(f io.Reader) (Holder, bool) {
	data, err := io.ReadAll(io.LimitReader(f, 4096))
	var h Holder
	if err != nil || json.Unmarshal(data, &h) != nil || h.PID == 0 {
		return Holder{}, false
	}
	h.Host = clean(h.Host)
	return h, true
}
