package journal

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"reconciler/internal/store/lease"
	"reconciler/internal/store/location"
)

const (
	// lockFile is locked by the process whose turn it is to write.
	lockFile = "journal.lock"
	// nextFile is locked by the process whose turn is next.
	nextFile = "next.lock"
	// leaderFile is locked by the daemon that leads.
	leaderFile = "leader.lock"
)

// Holder is the process that holds the lock of a journal.
type Holder = lease.Holder

// HeldError means that another process holds the lock of the journal.
type HeldError struct {
	Dir string
	// Holder is what the other process wrote into the lock file; its fields
	// are empty when that could not be read.
	Holder Holder
}

// Error names the holder.
func (e *HeldError) Error() string {
	return fmt.Sprintf("the journal in %q is held by %v", e.Dir, e.Holder)
}

// Hint returns what to do about it.
func (e *HeldError) Hint() string {
	return "two processes must not write at the same time: wait until the other one ends, or stop it (usually it is the daemon)"
}

// LostError means that another process has taken over what this one held, because this
// one had stood still.
type LostError = lease.LostError

// locks are the locks of the folder, as this process sees and holds them.
type locks struct {
	dir                string
	leader, turn, next *lease.Lock

	mu sync.Mutex
	// leads is what this process holds of leader, and holds of turn, n times; nil if it
	// doesn't.
	leads, holds *lease.Hold
	n            int
	// noLead is why this process doesn't lead, if it has tried to.
	noLead error
}

func newLocks(at location.Location, now func() time.Time) *locks {
	lock := func(name string) *lease.Lock { return lease.New(at, name, lease.DefaultTiming(), now) }
	return &locks{dir: at.Dir(), leader: lock(leaderFile), turn: lock(lockFile), next: lock(nextFile)}
}

// held returns an error that is a *HeldError if it is one of a lock.
func (l *locks) held(err error) error {
	var held *lease.HeldError
	if errors.As(err, &held) {
		return &HeldError{Dir: l.dir, Holder: held.Holder}
	}
	return err
}

// mayWrite returns why this process may not write now, because it has lost what it
// holds, or doesn't lead although it tried to. It is nil where it holds nothing else.
func (l *locks) mayWrite() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.noLead != nil {
		return l.noLead
	}
	for _, h := range []*lease.Hold{l.leads, l.holds} {
		if h == nil {
			continue
		}
		if err := h.Check(); err != nil {
			return err
		}
	}
	return nil
}

// take takes the turn once more, if this process has it, or tries to.
func (l *locks) take(command string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.holds == nil {
		h, err := l.turn.Try(command)
		if err != nil {
			return l.held(err)
		}
		l.holds = h
	} else if err := l.holds.Check(); err != nil {
		return err
	}
	l.n++
	return nil
}

// giveBack takes one take back.
func (l *locks) giveBack() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n--; l.n > 0 {
		return nil
	}
	h := l.holds
	l.holds = nil
	return h.Release()
}

// LastHolder returns the process that was the last to lock the journal at a location,
// and false if that isn't known. It may have ended since.
func LastHolder(at location.Location) (Holder, bool) { return newLocks(at, time.Now).turn.Last() }
