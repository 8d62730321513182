package webhook

import (
	"sync"
	"time"
)

const (
	// quietFor is how long a reason that was logged isn't logged again.
	quietFor = time.Minute
	// maxReasons limits how many reasons are stored: a failing Secret may return
	// another error each time.
	maxReasons = 64
)

// quiet keeps a flood of requests from filling the log.
type quiet struct {
	mu   sync.Mutex
	last map[string]time.Time // by reason
	left map[string]int       // how often a reason was not logged since
}

// allow reports whether to log the reason now, and returns how often it was not
// logged since the last time.
func (q *quiet) allow(reason string, now time.Time) (left int, ok bool) {
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
