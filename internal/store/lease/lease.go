package lease

import (
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Lock is a lock, as one process sees it. Its methods may be called by several
// goroutines.
type Lock interface {
	// Poll returns how often a process that waits is to call Try.
	Poll() time.Duration
	// Try takes the lock for this process. The error is a *HeldError while another
	// process holds it. A holder that stands still is replaced. command says what the
	// lock is held for.
	Try(command string) (Hold, error)
	// Observe looks at who holds the lock, where that is needed so that a holder that
	// stands still counts as frozen once Try is called. It takes nothing.
	Observe()
	// Last returns the process that was the last to take the lock, and false if that
	// isn't known. It may have ended since.
	Last() (Holder, bool)
}

// Hold is a lock that this process has taken.
type Hold interface {
	// Lost returns a channel that is closed once the lock is known to be lost.
	Lost() <-chan struct{}
	// Check returns nil if this process still holds the lock. A *LostError is final;
	// other errors mean that it is not known now. After Release, it returns an error.
	Check() error
	// Fence is Check in a transaction of what the lock protects: once it has returned
	// nil, nobody else writes under the lock before the transaction has ended.
	Fence(tx *sql.Tx) error
	// Release releases the lock. It may be called twice.
	Release() error
}

var errReleased = errors.New("the lock was released")

// Timing is how often a holder shows that it goes on, and when it counts as frozen.
type Timing struct {
	// Beat is how often a holder shows that it goes on, and Stale for how long it has to
	// have shown nothing until the lock may be taken over. Stale is several beats.
	Beat, Stale time.Duration
	// Poll is how often a process that waits is to call Try. A longer pause between two
	// calls counts as at most two polls: the caller itself was frozen then.
	Poll time.Duration
}

// DefaultTiming returns the timing of all processes of one state. A frozen holder is
// replaced within Stale and two polls.
func DefaultTiming() Timing {
	return Timing{Beat: 2 * time.Second, Stale: 10 * time.Second, Poll: time.Second}
}

// Holder is a process that holds a lock.
type Holder struct {
	PID  int    `json:"pid"`
	Host string `json:"host"`
	// Started is when it took the lock.
	Started time.Time `json:"started"`
	// Command is what it does; empty if that isn't known.
	Command string `json:"command,omitempty"`
}

// String names the process and says since when it holds the lock.
func (h Holder) String() string {
	if h.PID == 0 {
		return "another process"
	}
	what := ""
	if h.Command != "" {
		what = fmt.Sprintf(" (%s)", h.Command)
	}
	return fmt.Sprintf("process %d%s on %q since %s", h.PID, what, h.Host, h.Started.UTC().Format(time.RFC3339))
}

// HeldError means that another process holds a lock.
type HeldError struct {
	// Holder is what the other process wrote about itself; its fields are empty when
	// that could not be read.
	Holder Holder
}

// Error names the holder.
func (e *HeldError) Error() string { return "the lock is held by " + e.Holder.String() }

// LostError means that this process no longer holds a lock that it has taken.
type LostError struct {
	// By is who has taken it over; its fields are empty when that isn't known.
	By Holder
	// why says why another process could take it over, and how says how it was lost if
	// none has.
	why, how string
}

// Error names who took over.
func (e *LostError) Error() string {
	if e.By.PID == 0 {
		return "this process has lost its lock: " + e.how
	}
	return fmt.Sprintf("process %d on %q took over at %s, because %s", e.By.PID, e.By.Host, e.By.Started.UTC().Format(time.RFC3339), e.why)
}

// Hint returns what to do about it.
func (e *LostError) Hint() string {
	return "nothing more was written: look at what is there now, and run it again if need be"
}
