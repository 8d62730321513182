package rest

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"reconciler/internal/web"
)

// Repeat is what sending a call twice means, and so whether the call may be
// sent again when its outcome is not known.
type Repeat uint8

const (
	// Never is for a write that can't be done twice, nor be undone. It is sent
	// again only after a 429.
	Never Repeat = iota
	// AfterLook is for a write that replaces what is there. It may be sent
	// again, but what it replaces may have been changed meanwhile: see
	// Call.MaySend.
	AfterLook
	// Always is for a call that changes nothing.
	Always
)

// Policy is how a kind of call is made.
type Policy struct {
	// Repeat reports whether the call may be repeated.
	Repeat Repeat
	// Timeout bounds getting credentials, and then each send, from after
	// Call.MaySend to the end of the answer's body. A call without MaySend gets
	// it once for both.
	Timeout time.Duration
	// Grace is how long a write that was sent is still waited for when the
	// context ends: it may take effect in any case, and its outcome has to be
	// known. A read ends at once.
	Grace time.Duration
	// MaxBody is how many bytes of an answer are read.
	MaxBody int64
	// Attempts is how often the call is sent before a failure that may pass
	// (5xx, a cut connection, a timeout, an unreadable body) is returned.
	// Backoff bounds the wait before the second attempt, and doubles with each
	// one; the waits are random, from half of that bound to all of it.
	Attempts int
	Backoff  time.Duration
	// Failing bounds the time spent on failed attempts and the waits after them.
	Failing time.Duration
	// Passing, where it isn't nil, reports whether a refusal did nothing and passes
	// by itself, as that of an object that is locked. The call is sent again after
	// it, whatever Repeat is, as often as after other failures that may pass.
	Passing func(*Error) bool
	// Throttled is how long the call waits on 429s altogether. These don't count
	// as attempts: the API works, and says when to come back. 0 means that a 429
	// is a failure like any other that may pass.
	Throttled time.Duration
}

func (p *Policy) writes() bool { return p.Repeat != Always }

const (
	// maxAsked is the longest wait that a server can ask for; Okta's windows are
	// a minute. A call that would have to wait longer ends. Calls that wait for
	// the same moment are spread over a second.
	maxAsked = 90 * time.Second
	spread   = time.Second
	// minBusy and maxBusy bound the waits for one of the account's slots: at
	// first half of minBusy to all of it, in the end half of maxBusy to all of
	// it.
	minBusy = 200 * time.Millisecond
	maxBusy = 2 * time.Second
	// budgetSize bounds the retries of all calls of a Caller together: each
	// takes one from the budget, each success returns one, and so does each
	// second. Single failures never feel it; when the API is down, and each of a
	// thousand calls would be tried six times, it is soon empty.
	budgetSize = 60
)

// verdict is what may be done about a failed attempt.
type verdict uint8

const (
	// permanent: trying again is of no use, or not safe.
	permanent verdict = iota
	// transient: the next attempt may succeed.
	transient
	// passing: the same, and Okta did nothing.
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
	// uncertain says that a write may have taken effect.
	uncertain bool
	// took is how long the attempt took, and asked for how long the server asks
	// to wait, or 0.
	took, asked time.Duration
}

// pacer decides for one call whether and when it is tried again.
type pacer struct {
	failures, limits, busies int
	failing, throttled       time.Duration
}

// next returns the wait before the next attempt, or the error that ends the call.
func (p *pacer) next(f *failure, policy *Policy, b *budget) (wait time.Duration, err error) {
	asked := f.asked
	switch {
	case f.verdict == permanent, f.verdict == transient && policy.Repeat == Never:
		return 0, f.err
	case asked > maxAsked && f.verdict != busy:
		return 0, notBefore(f.err, asked)
	case f.verdict == transient, f.verdict == passing, policy.Throttled == 0:
		return p.again(f, max(asked, halfTo(policy.Backoff<<p.failures)), policy, b)
	case f.verdict == limited:
		if asked == 0 {
			asked = min(time.Second<<min(p.limits, 10), maxAsked/3)
		}
		p.limits++
		wait = asked + rand.N(spread)
	case f.verdict == busy:
		wait = max(halfTo(min(minBusy<<min(p.busies, 10), maxBusy)), min(asked, maxBusy))
		p.busies++
	}
	if p.throttled += wait; p.throttled > policy.Throttled {
		return 0, fmt.Errorf("%w (gave up after %v)", f.err, policy.Throttled)
	}
	return wait, nil
}

// again counts an attempt that failed, and returns the wait before the next, or
// the error that ends the call.
func (p *pacer) again(f *failure, wait time.Duration, policy *Policy, b *budget) (time.Duration, error) {
	p.failures++
	p.failing += f.took + wait
	switch {
	case p.failing >= policy.Failing && p.failing-wait < policy.Failing && f.asked == wait:
		return 0, notBefore(f.err, wait)
	case p.failures == 1 && p.failing >= policy.Failing:
		return 0, f.err
	case p.failures == policy.Attempts || p.failing >= policy.Failing:
		return 0, fmt.Errorf("%w (tried %d times)", f.err, p.failures)
	case !b.take(time.Now()):
		return 0, fmt.Errorf("%w (not tried again: too many calls have failed lately)", f.err)
	}
	return wait, nil
}

// notBefore returns the error of a call that ends because the server asks for a
// longer wait than the call has time for.
func notBefore(err error, asked time.Duration) error {
	const day = 24 * time.Hour
	if asked >= day {
		return fmt.Errorf("%w (not to be sent again for at least a day)", err)
	}
	now := time.Now().UTC()
	at := now.Add(asked + time.Second - 1).Truncate(time.Second) // rounded up
	format := "15:04:05 UTC"
	if at.YearDay() != now.YearDay() {
		format = "2006-01-02 15:04:05 UTC"
	}
	return fmt.Errorf("%w (not to be sent again until %s)", err, at.Format(format))
}

// halfTo returns a random duration from half of d to d.
func halfTo(d time.Duration) time.Duration { return d - rand.N(d/2+1) }

// budget is a token bucket of retries. The zero budget is full.
type budget struct {
	mu    sync.Mutex
	spent float64
	at    time.Time // when spent was last right
}

// take takes one retry, and reports whether there was one.
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

// success returns one retry.
func (b *budget) success() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spent = max(0, b.spent-1)
}

// judge reads from an answer that is not a success what may be done about it,
// and how long the server asks to wait; 0 when it doesn't say.
func judge(status int, h http.Header) (verdict, time.Duration) {
	now := web.ServerTime(h)
	asked := web.RetryAfter(h, now)
	switch {
	case status == http.StatusTooManyRequests:
		// When the limit of concurrent calls was met, Limit and Remaining are
		// both 0 and the reset is only an estimate, so it is not looked at: a
		// slot is free as soon as any call ends
		// (https://developer.okta.com/docs/reference/rl-best-practices/).
		if h.Get("X-Rate-Limit-Limit") == "0" && h.Get("X-Rate-Limit-Remaining") == "0" {
			return busy, asked
		}
		return limited, max(asked, web.Reset(h, now))
	case status >= 500 && status <= 599 && status != http.StatusNotImplemented:
		return transient, asked
	}
	return permanent, 0
}

// maxClosed is how long a call is not made at most because the API asked for it: an
// answer by mistake must not stop a process that runs for months.
const maxClosed = time.Hour

// closed remembers the kinds of calls that the API asked not to be sent again for
// longer than a call can wait, so that the runs that follow keep to it as well. The
// zero value remembers none.
type closed struct {
	mu    sync.Mutex
	until map[string]reopening
}

// reopening is when a call may be sent again, and the error of one that is not.
type reopening struct {
	at  time.Time
	err error
}

func (c *closed) set(call *Call, asked time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.until == nil {
		c.until = map[string]reopening{}
	}
	c.until[call.Method+" "+call.Endpoint] = reopening{time.Now().Add(min(asked, maxClosed)), err}
}

// check returns why the call is not sent now, or nil.
func (c *closed) check(call *Call) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.until[call.Method+" "+call.Endpoint]
	if !ok || !time.Now().Before(r.at) {
		return nil
	}
	return &UnsentError{r.err}
}
