package lease

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"reconciler/internal/store/securedir"
)

// fileHold is a lock file that this process has locked.
type fileHold struct {
	lock *FileLock
	lost chan struct{} // closed when err is set

	mu   sync.Mutex
	file *os.File
	info fs.FileInfo
	is   content
	beat int
	// at is when the file was written last.
	at    time.Time
	timer *time.Timer
	ended bool
	err   error // why it is lost
}

// hold begins to hold a locked file. The guard is held.
func (l *FileLock) hold(f *os.File, command string) (Hold, error) {
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, l.failed("reading", err)
	}
	host, _ := os.Hostname()
	h := &fileHold{lock: l, lost: make(chan struct{}), file: f, info: info, at: time.Now()}
	h.is.Holder = Holder{PID: os.Getpid(), Host: host, Started: l.now().UTC().Truncate(time.Second), Command: command}
	h.mu.Lock()
	defer h.mu.Unlock()
	// On a full disk the lock is held all the same, and what it protects can be read.
	if f.Truncate(0) == nil {
		_ = h.write()
	}
	h.timer = time.AfterFunc(l.timing.Beat, h.tick)
	return h, nil
}

// write writes the next number. h.mu is held.
func (h *fileHold) write() error {
	h.beat++
	h.is.Beat = fmt.Sprintf("%012d", h.beat)
	data, err := json.Marshal(h.is)
	if err != nil {
		return err
	}
	if _, err := h.file.WriteAt(append(data, '\n'), 0); err != nil {
		return err
	}
	h.at = time.Now()
	return nil
}

// tick shows that this process goes on.
func (h *fileHold) tick() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended || h.err != nil {
		return
	}
	if h.check() == nil && time.Since(h.at) >= h.lock.timing.Beat/2 {
		_ = h.write() // one that fails is noticed by check
	}
	if h.err == nil {
		h.timer.Reset(h.lock.timing.Beat)
	}
}

// Lost returns the channel of h.
func (h *fileHold) Lost() <-chan struct{} { return h.lost }

// Check compares the file that is locked with the one that has the name.
func (h *fileHold) Check() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return errReleased
	}
	return h.check()
}

// check is Check for a hold that wasn't released. h.mu is held.
//
// Who has written lately can't be taken for frozen. Who hasn't may be replaced at any
// moment, and writes under the guard first: then either the number has grown before
// others look, or the file has lost its name.
func (h *fileHold) check() error {
	if h.err != nil {
		return h.err
	}
	if time.Since(h.at) < 2*h.lock.timing.Beat {
		return h.named()
	}
	root, err := securedir.Existing(h.lock.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return h.lose()
	}
	if err != nil {
		return err
	}
	defer root.Close()
	guard, err := h.lock.guard(root)
	if err != nil {
		return err
	}
	defer guard.Close()
	if err := h.named(); err != nil {
		return err
	}
	if err := h.write(); err != nil {
		return h.lock.failed("writing", err)
	}
	return nil
}

// named checks that the file that is locked has the name. h.mu is held.
func (h *fileHold) named() error {
	info, err := os.Lstat(h.lock.path())
	switch {
	case err == nil && os.SameFile(info, h.info):
		return nil
	case err == nil, errors.Is(err, fs.ErrNotExist):
		return h.lose()
	}
	return h.lock.failed("reading", err)
}

// lose notes that the lock is lost. h.mu is held.
func (h *fileHold) lose() error {
	by, _ := h.lock.Last()
	h.err = &LostError{By: by, why: "this one had stood still", how: "the file of it is gone or was replaced"}
	close(h.lost)
	return h.err
}

// Fence is Check: a process that takes over has to write to the files of the folder next,
// and waits for the transaction to end.
func (h *fileHold) Fence(*sql.Tx) error { return h.Check() }

// Release closes the file.
func (h *fileHold) Release() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return nil
	}
	h.ended = true
	h.timer.Stop()
	return h.file.Close()
}
