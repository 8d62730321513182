package journal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"reconciler/internal/store/lease"
	"reconciler/internal/text"
)

// Turn is the time in which this process may write, and no other. While it lasts, Lock
// returns at once.
type Turn struct {
	journal *Journal
	lost    <-chan struct{}
	end     sync.Once
}

// WaitOptions is how to wait for a turn.
type WaitOptions struct {
	// Limit is for how long; 0 doesn't wait. Without limit is Forever.
	Limit time.Duration
	// Waiting, where not nil, is called when the wait begins, and when another process
	// is waited for.
	Waiting func(Holder)
}

// turnEvery is how often a process that waits tries to get the turn.
const turnEvery = 250 * time.Millisecond

// Forever is a limit that is never reached.
const Forever = time.Duration(1<<63 - 1)

// Turn waits for this process' turn to write. Those who wait get it one after the
// other, and no process gets a second one while others wait. A process that stands
// still loses its turn. The error is a *HeldError, or wraps one, if the limit was
// reached. Without a location, it is everybody's turn always.
func (j *Journal) Turn(ctx context.Context, opts WaitOptions) (*Turn, error) {
	if j.at.IsZero() {
		return &Turn{}, nil
	}
	if err := j.gone(); err != nil {
		return nil, err
	}
	w := waiter{locks: j.locks, opts: opts, began: time.Now()}
	var next lease.Hold
	err := w.poll(ctx, func() (err error) {
		j.turn.Observe() // so that the wait for who stands still has begun
		next, err = j.next.Try(j.cmds.This)
		return j.held(err)
	})
	if err != nil {
		return nil, err
	}
	defer next.Release()
	if err := w.poll(ctx, func() error { return j.take(j.cmds.This) }); err != nil {
		return nil, err
	}
	j.locks.mu.Lock()
	defer j.locks.mu.Unlock()
	return &Turn{journal: j, lost: j.holds.Lost()}, nil
}

// gone returns ErrGone if the journal was there and isn't any more.
func (j *Journal) gone() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failed("opening", j.home.gone())
}

// While returns a context that ends with ctx, and when the turn is lost.
func (t *Turn) While(ctx context.Context) (context.Context, context.CancelFunc) {
	return while(ctx, t.lost)
}

// while returns a context that ends with ctx, and once lost is closed.
func while(ctx context.Context, lost <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if lost != nil {
		go func() {
			select {
			case <-lost:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	return ctx, cancel
}

// End ends the turn. It may be called twice.
func (t *Turn) End() (err error) {
	t.end.Do(func() {
		if t.journal != nil {
			err = t.journal.giveBack()
		}
	})
	return err
}

// waiter waits for locks, one after the other, within one limit.
type waiter struct {
	*locks
	opts  WaitOptions
	began time.Time
	last  Holder
	told  bool
}

// poll calls try until its error is no *HeldError.
func (w *waiter) poll(ctx context.Context, try func() error) error {
	for {
		err := try()
		var held *HeldError
		if !errors.As(err, &held) {
			return err
		}
		waited := time.Since(w.began)
		left := w.opts.Limit - waited
		if w.opts.Limit <= 0 {
			return err
		}
		if left <= 0 {
			return text.WithHint(fmt.Errorf("after %v of waiting: %w", w.opts.Limit, err), held.Hint())
		}
		if w.opts.Waiting != nil && (!w.told || held.Holder != w.last) {
			w.opts.Waiting(held.Holder)
		}
		w.told, w.last = true, held.Holder
		timer := time.NewTimer(min(turnEvery, left))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// Lead is the right of this process to be the one daemon of its state.
type Lead struct {
	journal *Journal
	lost    <-chan struct{}
	end     sync.Once
}

// Lead makes this process the one daemon of the location, until End. The error is a
// *HeldError while another one is. Who waits calls Lead every LeadEvery, so that it is
// seen when the other one stands still. While a call has failed, whatever the reason, and
// no later one has not, this process may not write. Without a location, each daemon leads.
func (j *Journal) Lead() (*Lead, error) {
	if j.at.IsZero() {
		return &Lead{}, nil
	}
	if err := j.gone(); err != nil {
		return nil, err
	}
	// What the other one holds as well is taken over as soon as the lead is.
	j.turn.Observe()
	j.next.Observe()
	h, err := j.leader.Try(j.cmds.This)
	j.locks.mu.Lock()
	defer j.locks.mu.Unlock()
	if err != nil {
		err = j.held(err)
		if !errors.Is(err, errors.ErrUnsupported) { // where no file can be locked, nothing is
			j.noLead = err
		}
		return nil, err
	}
	j.leads, j.noLead = h, nil
	return &Lead{journal: j, lost: h.Lost()}, nil
}

// LeadAgain reports whether Lead, which has failed for another reason than that another
// process leads, may succeed now: the database answers. Of a folder it isn't known, and
// LeadAgain returns false.
func (j *Journal) LeadAgain(ctx context.Context) bool {
	return j.sessions != nil && j.sessions.answers(ctx)
}

// LeadEvery returns how often Lead is to be called by who waits.
func (j *Journal) LeadEvery() time.Duration { return j.leader.Poll() }

// While returns a context that ends with ctx, and when the lead is lost.
func (l *Lead) While(ctx context.Context) (context.Context, context.CancelFunc) {
	return while(ctx, l.lost)
}

// IsLost reports whether the lead is known to be lost.
func (l *Lead) IsLost() bool {
	select {
	case <-l.lost:
		return true
	default:
		return false
	}
}

// End lets another process lead. It may be called twice.
func (l *Lead) End() (err error) {
	l.end.Do(func() {
		if l.journal == nil {
			return
		}
		l.journal.locks.mu.Lock()
		defer l.journal.locks.mu.Unlock()
		h := l.journal.leads
		l.journal.leads = nil
		err = errors.Join(h.Release(), l.journal.disconnect())
	})
	return err
}

// MayWrite returns why this process may not write any more, here or to Okta, because
// another one has taken its turn or its lead over, or because it could not get the lead
// that it asked for. It is asked right before each send. It is nil where the process has
// asked for neither.
func (j *Journal) MayWrite() error {
	if j.at.IsZero() {
		return nil
	}
	return j.locks.mayWrite()
}
