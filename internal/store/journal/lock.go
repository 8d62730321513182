package journal

import (
	"database/sql"
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
	// At is where the journal is.
	At location.Location
	// Holder is what the other process wrote; its fields are empty when that could not
	// be read.
	Holder Holder
}

// Error names the holder.
func (e *HeldError) Error() string {
	return fmt.Sprintf("the journal in %v is held by %v", e.At, e.Holder)
}

// Hint returns what to do about it.
func (e *HeldError) Hint() string {
	return "two processes must not write at the same time: wait until the other one ends, or stop it (usually it is the daemon)"
}

// LostError means that another process has taken over what this one held, because this
// one had stood still.
type LostError = lease.LostError

// locks are the locks of a location, as this process sees and holds them.
type locks struct {
	at                 location.Location
	leader, turn, next lease.Lock
	sessions           *sessions // of the locks of a database; nil if they are files

	mu sync.Mutex
	// leads is this process's hold of leader, and holds its hold of turn, which it took n
	// times; nil if it has none.
	leads, holds lease.Hold
	n            int
	// idle is set once the connections are to be closed when nothing is held.
	idle bool
	// noLead is why this process doesn't lead, if it has tried to.
	noLead error
}

func newLocks(at location.Location, now func() time.Time) *locks {
	if at.Postgres() != nil {
		db := &sessions{at: at}
		lock := func(name string) lease.Lock { return lease.NewSession(db, name, lease.DefaultTiming(), now) }
		return &locks{at: at, sessions: db, leader: lock("leader"), turn: lock("journal"), next: lock("next")}
	}
	lock := func(name string) lease.Lock { return lease.NewFile(at.Dir(), name, lease.DefaultTiming(), now) }
	return &locks{at: at, leader: lock(leaderFile), turn: lock(lockFile), next: lock(nextFile)}
}

// held returns an error that is a *HeldError if it is one of a lock.
func (l *locks) held(err error) error {
	var held *lease.HeldError
	if errors.As(err, &held) {
		return &HeldError{At: l.at, Holder: held.Holder}
	}
	return err
}

// mayWrite returns why this process may not write now, because it has lost what it
// holds, or doesn't lead although it tried to. It is nil where it holds nothing else.
func (l *locks) mayWrite() error { return l.each(lease.Hold.Check) }

// fence is mayWrite in a transaction of the journal: no other process writes under what
// this one holds before it has ended.
func (l *locks) fence(tx *sql.Tx) error {
	return l.each(func(h lease.Hold) error { return h.Fence(tx) })
}

// each calls check for what this process holds, and returns the first error.
func (l *locks) each(check func(lease.Hold) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.noLead != nil {
		return l.noLead
	}
	for _, h := range []lease.Hold{l.leads, l.holds} {
		if h == nil {
			continue
		}
		if err := check(h); err != nil {
			return err
		}
	}
	return nil
}

// alone returns a *HeldError if the daemon of another process leads.
func (l *locks) alone(command string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leads != nil {
		return nil
	}
	h, err := l.leader.Try(command)
	if err != nil {
		return l.held(err)
	}
	return h.Release()
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

// giveBack undoes one take, and releases the turn with the last one.
func (l *locks) giveBack() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n--; l.n > 0 {
		return nil
	}
	h := l.holds
	l.holds = nil
	return errors.Join(h.Release(), l.disconnect())
}

// close closes the connections to the locks of a database, once none is held.
func (l *locks) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.idle = true
	return l.disconnect()
}

// disconnect closes the connections if close was called and nothing is held. l.mu is
// held.
func (l *locks) disconnect() error {
	if !l.idle || l.sessions == nil || l.leads != nil || l.holds != nil {
		return nil
	}
	return l.sessions.close()
}

// LastHolder returns the process that was the last to lock the journal at a location,
// and false if that isn't known. It may have ended since.
func LastHolder(at location.Location) (Holder, bool) {
	l := newLocks(at, time.Now)
	defer l.close()
	return l.turn.Last()
}
