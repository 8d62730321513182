package aerial

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"reconciler/internal/web"
)

// How often and how patiently calls are repeated.
const (
	// maxAttempts is how often a call is sent before a failure that may pass
	// (5xx, a cut connection, a timeout, an unreadable body) is given out. The
	// waits between are random, up to 0.5, 1, 2, 4 and 8 s. Where attempts end
	// by timeout, maxFailing ends the call sooner.
	maxAttempts = 6
	maxFailing  = 2 * time.Minute
	backoffBase = 500 * time.Millisecond

	// budgetSize bounds the retries of all calls together: each takes one from
	// the budget, each success gives one back, and so does each second. Single
	// failures never feel it; an API that is down, and against which every
	// call of a thousand would be tried six times, empties it soon.
	budgetSize = 60

	// maxWait caps what a Retry-After or X-Rate-Limit-Reset can ask for at a
	// time; Okta's windows are a minute.
	maxWait = 90 * time.Second
	// slotBase and slotCap bound the waits for a slot of the account: at
	// first 0.1 to 0.2 s, in the end 1 to 2 s.
	slotBase = 200 * time.Millisecond
	slotCap  = 2 * time.Second
	// maxThrottled is how long one call waits on 429s altogether. They don't
	// count as attempts: the API is well, and says when to come back.
	maxThrottled = 5 * time.Minute

	// askAfter is how old the look at an org may be on which a write that is
	// sent again rests. A write replaces what is there: waits of minutes leave
	// others the time to change it, and they would have changed it in vain.
	askAfter = 2 * time.Second
)

// verdict says what may be done about a failed attempt.
type verdict uint8

const (
	// final: trying again is of no use, or not safe.
	final verdict = iota
	// passing: it may go better the next time.
	passing
	// limited: a rate limit was met; Okta looked at nothing.
	limited
	// busy: all slots of the account are taken; Okta looked at nothing.
	busy
)

// failure is how an attempt went wrong.
type failure struct {
	err     error
	verdict verdict
	// took is how long the attempt took.
	took time.Duration
	// wait is what the server asked for, or 0.
	wait time.Duration
	// uncertain says that a write may have taken effect.
	uncertain bool
}

// pacer says for one call whether and when it is tried again.
type pacer struct {
	failures  int
	limits    int
	busies    int
	failing   time.Duration // in failed attempts, and waiting after them
	throttled time.Duration // waiting after 429s
}

// next gives the wait before the next attempt, or says why there is none.
func (p *pacer) next(f *failure, b *budget) (time.Duration, error) {
	switch f.verdict {
	case passing:
		wait := min(f.wait, maxWait) + upTo(backoffBase<<p.failures)
		p.failures++
		p.failing += f.took + wait
		if p.failures == maxAttempts || p.failing >= maxFailing && p.failures > 1 {
			return 0, fmt.Errorf("%w (tried %d times)", f.err, p.failures)
		}
		if !b.take(time.Now()) {
			return 0, fmt.Errorf("%w (not tried again: too many calls have failed lately)", f.err)
		}
		return wait, nil
	case limited:
		p.limits++
		wait := min(f.wait, maxWait)
		if wait <= 0 {
			wait = min(time.Second<<min(p.limits-1, 10), maxWait/3)
		}
		// Those who wait for the same moment are spread over a second.
		return p.throttle(f, wait+upTo(time.Second))
	case busy:
		p.busies++
		wait := min(slotBase<<min(p.busies-1, 10), slotCap)
		return p.throttle(f, max(wait/2+upTo(wait/2), min(f.wait, slotCap)))
	default:
		return 0, f.err
	}
}

func (p *pacer) throttle(f *failure, wait time.Duration) (time.Duration, error) {
	p.throttled += wait
	if p.throttled > maxThrottled {
		return 0, fmt.Errorf("%w (gave up after %v)", f.err, maxThrottled)
	}
	return wait, nil
}

// upTo gives a random duration of at least 0 and less than d.
func upTo(d time.Duration) time.Duration { return rand.N(d) }

// budget is a token bucket of retries. The zero budget is full.
type budget struct {
	mu    sync.Mutex
	spent float64
	at    time.Time // when spent was last right
}

// take asks for one retry.
func (b *budget) take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spent > 0 {
		b.spent = max(0, b.spent-now.Sub(b.at).Seconds())
	}
	b.at = now
	if b.spent > budgetSize-1 {
		return false
	}
	b.spent++
	return true
}

// success gives one retry back.
func (b *budget) success() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spent = max(0, b.spent-1)
}

// throttled reads from a 429 which limit was met and how long to wait; 0 when
// it doesn't say.
//
// When it is the limit of concurrent calls, Limit and Remaining are both 0 and
// the reset is only an estimate, so it is not looked at: a slot is free as soon
// as any call ends (https://developer.okta.com/docs/reference/rl-best-practices/).
func throttled(h http.Header, now time.Time) (verdict, time.Duration) {
	wait := web.RetryAfter(h, now)
	if h.Get("X-Rate-Limit-Limit") == "0" && h.Get("X-Rate-Limit-Remaining") == "0" {
		return busy, wait
	}
	return limited, max(wait, web.Reset(h, now))
}

// stopped is the error of a call whose context has ended. The last failure is
// told too, but only ctx's error is wrapped: the call was not refused by it.
func stopped(ctxErr error, last *failure) error {
	if last == nil {
		return ctxErr
	}
	return fmt.Errorf("%w while waiting to try again after: %v", ctxErr, last.err)
}

// isStop says whether err comes from a context that has ended.
func isStop(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
