package lease

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"reconciler/internal/store/securedir"
	"reconciler/internal/text"
)

// content is what a lock file holds.
type content struct {
	Holder
	// Beat is the number that grows, of fixed width, so that the file is never
	// truncated while others read it. A holder of an earlier version of the program
	// writes none, and never counts as frozen.
	Beat string `json:"beat"`
}

// GuardFile is the name of the file that is locked while the holder of one of a folder's
// locks changes.
const GuardFile = "guard.lock"

// FileLock is a lock file, as one process sees it.
type FileLock struct {
	dir, name string
	timing    Timing
	now       func() time.Time

	mu sync.Mutex
	// seen is the file of another holder as it was at last, and still is for how long
	// it has been seen unchanged.
	seen struct {
		info  fs.FileInfo
		data  []byte
		at    time.Time
		still time.Duration
	}
}

// NewFile returns the lock file with a name in the folder dir, and opens nothing. now
// returns the time that others are told.
func NewFile(dir, name string, timing Timing, now func() time.Time) *FileLock {
	return &FileLock{dir: dir, name: name, timing: timing, now: now}
}

// Poll returns how often a process that waits is to call Try.
func (l *FileLock) Poll() time.Duration { return l.timing.Poll }

// Try takes the lock for this process, and creates the folder where it is missing. The
// error is a *HeldError while another process holds it. A holder that earlier calls have
// seen stand still is replaced. command says what the lock is held for.
func (l *FileLock) Try(command string) (Hold, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	root, err := securedir.Dir(l.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	guard, err := l.guard(root)
	if err != nil {
		return nil, err
	}
	defer guard.Close()
	f, err := open(root, l.name, 0)
	if err != nil {
		return nil, l.failed("opening the lock file", err)
	}
	err = securedir.Lock(f)
	switch {
	case errors.Is(err, securedir.ErrLocked):
		holder, frozen := l.look(f)
		f.Close()
		if !frozen {
			return nil, &HeldError{holder}
		}
		if f, err = l.replace(root); err != nil {
			return nil, l.failed("taking over", err)
		}
	case err != nil:
		f.Close()
		return nil, l.failed("locking", err)
	}
	l.seen.info = nil
	return l.hold(f, command)
}

// Observe looks at who holds the lock, so that a holder that stands still counts as
// frozen once Try is called. It takes nothing.
func (l *FileLock) Observe() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.existing(); f != nil {
		defer f.Close()
		l.look(f)
	}
}

// Last returns the process that was the last to take the lock, and false if that isn't
// known. It may have ended since. Last doesn't try the lock: that would take it for a
// moment, in which another process would find it held.
func (l *FileLock) Last() (Holder, bool) {
	f := l.existing()
	if f == nil {
		return Holder{}, false
	}
	defer f.Close()
	_, c := read(f)
	return c.Holder, c.PID != 0
}

// existing opens the file for reading; nil if there is none.
func (l *FileLock) existing() *os.File {
	root, err := securedir.Existing(l.dir)
	if err != nil {
		return nil
	}
	defer root.Close()
	f, err := root.Open(l.name)
	if err != nil {
		return nil
	}
	return f
}

func (l *FileLock) path() string { return filepath.Join(l.dir, l.name) }

func (l *FileLock) failed(doing string, err error) error {
	return text.WithHint(fmt.Errorf("%q: %s: %w", l.path(), doing, securedir.Cause(err)), securedir.HintFor(err))
}

const (
	// guardTries is how many times the guard is tried, and guardPause how long to wait
	// between two tries.
	guardTries = 200
	guardPause = 5 * time.Millisecond
)

// guard locks the guard of the folder.
func (l *FileLock) guard(root *os.Root) (*os.File, error) {
	f, err := open(root, GuardFile, 0)
	if err != nil {
		return nil, text.WithHint(fmt.Errorf("%q: opening the lock file: %w", filepath.Join(l.dir, GuardFile), securedir.Cause(err)), securedir.HintFor(err))
	}
	for try := 1; ; try++ {
		err = securedir.Lock(f)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, securedir.ErrLocked) {
			f.Close()
			return nil, l.failed("locking", err)
		}
		if try == guardTries {
			f.Close()
			return nil, &HeldError{}
		}
		time.Sleep(guardPause)
	}
}

// look notes what a file that another process has locked looks like now, and reports
// whether it has been seen unchanged for long enough. l.mu is held.
func (l *FileLock) look(f *os.File) (holder Holder, frozen bool) {
	data, c := read(f)
	info, err := f.Stat()
	if err != nil {
		return c.Holder, false
	}
	now, s := time.Now(), &l.seen
	if s.info != nil && os.SameFile(s.info, info) && bytes.Equal(s.data, data) {
		s.still += min(now.Sub(s.at), 2*l.timing.Poll)
	} else {
		s.still = 0
	}
	s.info, s.data, s.at = info, data, now
	return c.Holder, c.Beat != "" && s.still >= l.timing.Stale
}

// replace puts a new file in the place of the one that a frozen process has locked, and
// returns it locked. The guard is held.
func (l *FileLock) replace(root *os.Root) (*os.File, error) {
	name := l.name + ".new"
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := open(root, name, os.O_EXCL)
	if err != nil {
		return nil, err
	}
	if err := securedir.Lock(f); err != nil {
		f.Close()
		return nil, err
	}
	if err := root.Rename(name, l.name); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// open opens a file for this user alone, whatever the umask, and makes it where it is
// missing. A name that is a symbolic link to elsewhere fails.
func open(root *os.Root, name string, flags int) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE|flags, 0o600)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err == nil && info.Mode().Perm() != 0o600 {
		_ = f.Chmod(0o600) // a process that can't open it later reports that
	}
	return f, nil
}

// read returns what a lock file holds.
func read(f *os.File) ([]byte, content) {
	var c content
	data, err := io.ReadAll(io.NewSectionReader(f, 0, 4096))
	if err != nil || json.Unmarshal(data, &c) != nil || c.PID == 0 {
		return data, content{}
	}
	c.Host, c.Command = text.OneLine(c.Host, 200), text.OneLine(c.Command, 200)
	return data, c
}
