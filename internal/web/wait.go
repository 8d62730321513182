package web

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"time"
)

// maxWait is the longest wait that a server can request.
const maxWait = 24 * time.Hour

// ServerTime returns the time of the Date header, or else our own. Our clock may
// differ from the server's by more than a wait.
func ServerTime(h http.Header) time.Time {
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		return date
	}
	return time.Now()
}

// RetryAfter returns the wait of the Retry-After header, which is either seconds
// or a date (RFC 9110, section 10.2.3): from 0, also for a missing or invalid
// header, to a day. now is the time of the server's clock; see [ServerTime].
func RetryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if n, err := strconv.ParseInt(v, 10, 64); err == nil {
		return time.Duration(min(max(n, 0), int64(maxWait/time.Second))) * time.Second
	}
	if date, err := http.ParseTime(v); err == nil {
		return min(max(0, date.Sub(now)), maxWait)
	}
	return 0
}

// Reset returns the time until the end of the rate limit's window, which is the
// X-Rate-Limit-Reset header, or GitHub's X-RateLimit-Reset: from 0, also for a
// missing or invalid header, to a day. now is the time of the server's clock; see
// [ServerTime].
func Reset(h http.Header, now time.Time) time.Duration {
	if at, err := strconv.ParseInt(cmp.Or(h.Get("X-Rate-Limit-Reset"), h.Get("X-RateLimit-Reset")), 10, 64); err == nil {
		at = min(at, now.Add(maxWait).Unix()) // a later one may not fit into a Time
		return max(0, time.Unix(at, 0).Sub(now))
	}
	return 0
}

// Sleep waits for d and returns nil, or returns ctx's error as soon as ctx ends.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
