package org

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"reconciler/internal/text"
	"reconciler/internal/web"
)

const (
	// minute is how long a window of Okta's limits is, until an answer says when it
	// ends.
	minute = time.Minute
	// longest is how long a window lasts at most, whatever an answer says: a mistake must
	// not stop a process that runs for months.
	longest = maxThrottled
	// spread is what calls that wait for the same moment are spread over.
	spread = time.Second
	// sameWindow is how far apart two answers of one window may put its end: they
	// count in seconds.
	sameWindow = 2 * time.Second
)

// limits are the rate limits of one org, as its answers tell them, and what we have
// used of them.
type limits struct {
	share int // percent

	mu      sync.Mutex
	buckets map[string]*window
}

// window is one bucket in the present window.
type window struct {
	limit   int // 0: not known
	ours    int // calls in this window
	ends    time.Time
	guessed bool // ends is only ours to believe
	used    bool // there is nothing left, whoever has used it
}

func newLimits(share int) *limits { return &limits{share: share, buckets: map[string]*window{}} }

// bucket returns what Okta counts a call under, given its template: the first part of
// the path, and single objects apart from lists. What lies below an object counts as
// the list does.
func bucket(endpoint string) string {
	const api = "/api/v1/"
	before, path, ok := strings.Cut(endpoint, api)
	if !ok {
		return endpoint
	}
	parts := strings.Split(path, "/")
	name := before + api + parts[0]
	if len(parts) == 2 && strings.HasPrefix(parts[1], "{") {
		name += "/{id}"
	}
	return name
}

// reserve counts a call that is about to be sent, and before that waits until there is
// room for it.
func (l *limits) reserve(ctx context.Context, bucket, shareKey string) error {
	for waited := time.Duration(0); ; {
		wait, limit := l.take(bucket, time.Now())
		if wait == 0 {
			return ctx.Err()
		}
		wait += rand.N(spread)
		if waited += wait; waited > maxThrottled {
			return text.WithHint(
				fmt.Errorf("the org's rate limit of %d calls for %s leaves no room", limit, bucket),
				fmt.Sprintf("whatever calls the org shares its limits, and we use %d percent of them: change %s, or run when the others don't", l.share, shareKey))
		}
		if err := web.Sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// take counts a call if there is room for it; else it returns how long the window
// still lasts.
func (l *limits) take(bucket string, now time.Time) (wait time.Duration, limit int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.buckets[bucket]
	if w == nil {
		w = &window{}
		l.buckets[bucket] = w
	}
	if !now.Before(w.ends) {
		w.ours, w.used, w.ends, w.guessed = 0, false, now.Add(minute), true
	}
	if w.limit > 0 && (w.used || w.ours >= max(1, w.limit*l.share/100)) {
		return w.ends.Sub(now), w.limit
	}
	w.ours++
	return 0, w.limit
}

// learn takes from the headers of an answer what they say of the bucket's window.
// Answers may come in another order than they were made in.
func (l *limits) learn(bucket string, h http.Header) {
	limit, err := strconv.Atoi(h.Get("X-Rate-Limit-Limit"))
	if err != nil || limit <= 0 { // 0: the limit of concurrent calls
		return
	}
	left, err := strconv.Atoi(h.Get("X-Rate-Limit-Remaining"))
	now := time.Now()
	ends := now.Add(min(web.Reset(h, web.ServerTime(h)), longest))
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.buckets[bucket]
	if w == nil {
		return // no call of ours
	}
	w.limit = limit
	switch {
	case !ends.After(now): // it doesn't say, or the window is over
		return
	case w.guessed:
	case ends.After(w.ends.Add(sameWindow)):
		w.ours, w.used = 1, false
	case ends.Before(w.ends.Add(-sameWindow)):
		return // of an earlier window
	}
	w.ends, w.guessed = ends, false
	w.used = w.used || err == nil && left <= 0
}

// bucketKey is the key of a call's bucket in the context of its requests.
type bucketKey struct{}

// learning is the way to the org: it learns the org's limits from what comes back.
type learning struct{ *site }

func (l learning) RoundTrip(req *http.Request) (*http.Response, error) {
	silence, listening := req.Context().Value(silenceKey{}).(*silence)
	if listening {
		silence.sent()
	}
	resp, err := l.wire.RoundTrip(req)
	if listening {
		silence.heard(req.Context(), err)
	}
	if err == nil {
		if name, ok := req.Context().Value(bucketKey{}).(string); ok {
			l.limits.learn(name, resp.Header)
		}
	}
	return resp, err
}
