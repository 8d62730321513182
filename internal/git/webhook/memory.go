package webhook

import (
	"crypto/sha256"
	"sync"
	"time"
)

const (
	// remember is for how long a request that was accepted starts nothing when
	// it comes again: as long as a signed time is good for. It is no longer than
	// that because what came of it isn't known here. Whoever has it delivered
	// again because git could not be read then wants it to be looked at now.
	// maxSeen bounds how many there are.
	remember = tolerance
	maxSeen  = 4096

	// quietFor is how long a reason that was logged isn't logged again, and
	// maxReasons how many of them there may be: a failing Secret may say
	// something else each time.
	quietFor   = time.Minute
	maxReasons = 64
)

type identity = [sha256.Size]byte

// memory is what was accepted lately.
type memory struct {
	mu    sync.Mutex
	until map[identity]time.Time
	order []identity // the oldest first
}

// add gives false for what is remembered, and else remembers it until the time
// given. Of requests that come at the same time, one is the first.
func (m *memory) add(id identity, now, until time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.order) > 0 && now.After(m.until[m.order[0]]) {
		m.forgetOldest()
	}
	// Only what is new may take a place: repeats must not push anything out.
	if last, seen := m.until[id]; seen {
		if !now.After(last) {
			return false
		}
		m.until[id] = until // one before it lasts longer, so it has kept its place
		return true
	}
	if len(m.order) == maxSeen {
		m.forgetOldest()
	}
	m.until[id] = until
	m.order = append(m.order, id)
	return true
}

func (m *memory) forgetOldest() {
	delete(m.until, m.order[0])
	m.order = m.order[1:]
}

// quiet keeps a flood of requests from filling the log.
type quiet struct {
	mu   sync.Mutex
	last map[string]time.Time // by reason
	left map[string]int       // how often a reason was not logged since
}

// ask says whether to log the reason now, and how often it was not logged since
// the last time.
func (q *quiet) ask(reason string, now time.Time) (left int, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	last, known := q.last[reason]
	if d := now.Sub(last); known && d < quietFor && d > -quietFor {
		q.left[reason]++
		return 0, false
	}
	if !known && len(q.last) == maxReasons {
		clear(q.last)
		clear(q.left)
	}
	left = q.left[reason]
	q.last[reason] = now
	delete(q.left, reason)
	return left, true
}
