package signin

import (
	"maps"
	"net/netip"
	"sync"
	"time"
)

const (
	// maxFailures is how many failed attempts from one address are logged, and told why
	// they failed, in failureWindow. What is valid is let in all the same: many people
	// may come from the address of one proxy.
	maxFailures   = 20
	failureWindow = time.Minute
	// maxAddresses limits the memory. Past it, all others count as one.
	maxAddresses = 10_000
)

// failures counts failed attempts to sign in, by address; of IPv6 by network, as one
// machine has as many addresses there as it likes.
type failures struct {
	mu    sync.Mutex
	since time.Time
	count map[string]int
}

// add counts a failed attempt, and returns how many there were in this window.
func (f *failures) add(remote string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); f.count == nil || now.Sub(f.since) > failureWindow || now.Before(f.since) {
		f.since, f.count = now, map[string]int{}
	}
	key := network(remote)
	if _, known := f.count[key]; !known && len(f.count) >= maxAddresses {
		key = ""
	}
	f.count[key]++
	return f.count[key]
}

// network returns what a remote address counts as.
func network(remote string) string {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote
	}
	addr := at.Addr().Unmap()
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(addr, bits).Masked().String()
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
		maps.DeleteFunc(v.ids, func(_ string, end time.Time) bool { return !time.Now().Before(end) })
	}
	for old := range v.ids { // any: most are of whoever ended so many
		if len(v.ids) < maxRevoked {
			break
		}
		delete(v.ids, old)
	}
	v.ids[id] = until
}

func (v *revoked) has(id string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, is := v.ids[id]
	return is
}
