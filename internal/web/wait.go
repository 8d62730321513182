package web

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"time"
)

// maxAsked caps what a server can ask for: no wait that is meant is longer.
const maxAsked = 24 * time.Hour

// ServerTime is the time at which the server answered, by its own clock where
// it tells. Ours may be off by more than any wait.
func ServerTime(h http.Header) time.Time {
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		return date
	}
	return time.Now()
}

// RetryAfter reads the Retry-After header, which is either seconds or a date
// (RFC 9110, section 10.2.3); 0 when there is none, or none that makes sense,
// and never more than a day. now is by the server's clock.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if n, err := strconv.ParseInt(v, 10, 64); err == nil {
		return time.Duration(min(max(n, 0), int64(maxAsked/time.Second))) * time.Second
	}
	if date, err := http.ParseTime(v); err == nil {
		return min(max(0, date.Sub(now)), maxAsked)
	}
	return 0
}

// Reset reads how far ahead the X-Rate-Limit-Reset header, or GitHub's
// X-RateLimit-Reset, puts the end of a rate limit's window; 0 when it is not
// there, or is past, and never more than a day. now is by the server's clock.
func Reset(h http.Header, now time.Time) time.Duration {
	if at, err := strconv.ParseInt(cmp.Or(h.Get("X-Rate-Limit-Reset"), h.Get("X-RateLimit-Reset")), 10, 64); err == nil {
		at = min(at, now.Add(maxAsked).Unix()) // what is further off may not fit a Time
		return max(0, time.Unix(at, 0).Sub(now))
	}
	return 0
}

// Sleep waits, unless ctx ends first; then it gives ctx's error.
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
