package signin

import (
	"net"
	"sync"
	"time"
)

const (
	// maxFailures is how many failed attempts one address has in failureWindow before the
	// next ones are refused unheard.
	maxFailures   = 20
	failureWindow = time.Minute
	// maxAddresses limits the memory. Past it, all others count as one.
	maxAddresses = 10_000
)

// failures counts failed attempts to sign in, by address.
type failures struct {
	mu    sync.Mutex
	since time.Time
	count map[string]int
}

// add counts a failed attempt, and returns how many there were in this window.
func (f *failures) add(remote string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := f.key(remote)
	f.count[key]++
	return f.count[key]
}

// tooMany reports whether an address had so many that further ones are refused.
func (f *failures) tooMany(remote string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count[f.key(remote)] >= maxFailures
}

// key returns what a remote address counts as, and begins a new window when it is time.
// f.mu is held.
func (f *failures) key(remote string) string {
	if now := time.Now(); f.count == nil || now.Sub(f.since) > failureWindow || now.Before(f.since) {
		f.since, f.count = now, map[string]int{}
	}
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	if _, known := f.count[host]; !known && len(f.count) >= maxAddresses {
		return ""
	}
	return host
}

// revoked are the sessions that were ended before they expire.
type revoked struct {
	mu  sync.Mutex
	ids map[string]time.Time // until when each would hold
}

const maxRevoked = 100_000

func (v *revoked) add(id string, until time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ids == nil {
		v.ids = map[string]time.Time{}
	}
	if len(v.ids) >= maxRevoked {
		for old, end := range v.ids {
			if !time.Now().Before(end) {
				delete(v.ids, old)
			}
		}
	}
	if len(v.ids) < maxRevoked {
		v.ids[id] = until
	}
}

func (v *revoked) has(id string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, is := v.ids[id]
	return is
}
