package lease

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"reconciler/internal/store/securedir"
)

// Hold is a lock that this process has taken.
type Hold struct {
	lock *Lock
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
func (l *Lock) hold(f *os.File, command string) (*Hold, error) {
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, l.failed("reading", err)
	}
	host, _ := os.Hostname()
	h := &Hold{lock: l, lost: make(chan struct{}), file: f, info: info, at: time.Now()}
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
func (h *Hold) write() error {
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
func (h *Hold) tick() {
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

// Lost returns a channel that is closed once the lock is known to be lost.
func (h *Hold) Lost() <-chan struct{} { return h.lost }

// Check returns nil if this process still holds the lock. A *LostError is final; other
// errors mean that it can't be known now. After Release, it returns an error.
func (h *Hold) Check() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return errReleased
	}
	return h.check()
}

var errReleased = errors.New("the lock was released")

// check is Check for a hold that wasn't released. h.mu is held.
//
// Who has written lately can't be taken for frozen. Who hasn't may be replaced at any
// moment, and writes under the guard first: then either the number has grown before
// others look, or the file has lost its name.
func (h *Hold) check() error {
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
func (h *Hold) named() error {
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
func (h *Hold) lose() error {
	by, _ := h.lock.Last()
	h.err = &LostError{by}
	close(h.lost)
	return h.err
}

// Release releases the lock. It may be called twice.
func (h *Hold) Release() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return nil
	}
	h.ended = true
	h.timer.Stop()
	return h.file.Close()
}
