package daemon

import (
	"cmp"
	"context"
	"time"

	"reconciler/internal/daemon/api"
)

const (
	// wakeEvery limits how long the loop sleeps without checking the clock. A
	// timer stops while the machine sleeps, and doesn't notice a clock that is
	// set.
	wakeEvery = 30 * time.Second
	// missedAfter is how late a run may begin before its slot counts as missed.
	missedAfter = time.Minute
	// clockSetBack is by how much the clock must go back for the next slot to
	// be computed again. Smaller adjustments would only repeat a slot.
	clockSetBack = 10 * time.Second
)

// loop runs at once, then on schedule and whenever it is woken, one run at a
// time.
type loop struct {
	// now is the wall clock.
	now func() time.Time
	// next returns the first slot after a time; zero when there is none.
	next func(time.Time) time.Time
	// jitter returns the delay of a slot, so that the daemons of many accounts
	// don't all call Okta at once; nil means no delay.
	jitter func() time.Duration
	// late is the delay of the slot that the loop waits for.
	late time.Duration
	// wake requests a run at once. It holds one request: all that come during a
	// run become one run after it. It may be nil.
	wake <-chan struct{}
	// asked requests a run at once, as wake does, that somebody waits for. It may be nil.
	asked <-chan struct{}
	// first is the trigger of the run that serve begins with.
	first api.Trigger
	// reload requests that the config is read again, which reloaded does. That
	// reports whether it changed anything: then a run follows at once. reload may
	// be nil.
	reload   <-chan struct{}
	reloaded func() bool
	// run does one run; it returns soon after its context ends.
	run func(context.Context, api.Trigger)
	// look, where not nil, is called every wakeEvery while the loop waits.
	look func()
	// planned is called with the next slot; zero when there is none.
	planned func(time.Time)
}

// serve returns when ctx and the current run have ended.
func (l *loop) serve(ctx context.Context) {
	trigger := cmp.Or(l.first, api.TriggerStart)
	for ctx.Err() == nil {
		select {
		case <-l.wake: // this run reads what was pushed until now
		default:
		}
		began := l.wall()
		l.run(ctx, trigger)
		var ok bool
		if trigger, ok = l.wait(ctx, began, trigger); !ok {
			return
		}
	}
}

// wait waits for the first slot after a run began, which has passed already if
// the run took long: then all missed slots become one run. It returns the trigger
// of the next run, and false when ctx ended.
func (l *loop) wait(ctx context.Context, began time.Time, trigger api.Trigger) (api.Trigger, bool) {
	after := began
	if trigger == api.TriggerSchedule {
		// Counted from the slot that the run was for, not from when jitter let
		// it begin, or intervals would grow by the jitter.
		after = began.Add(-l.late)
	}
	due := l.slot(after)
	l.planned(due)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for last := began; ; {
		select {
		case <-l.reload: // before a slot that has come meanwhile
			if l.reloaded() {
				return api.TriggerReload, ctx.Err() == nil
			}
		default:
		}
		now := l.wall()
		if last.Sub(now) >= clockSetBack {
			// The slot would be hours further away than the schedule means.
			due = l.slot(now)
			l.planned(due)
		}
		last = now
		pause := wakeEvery
		if !due.IsZero() {
			pause = min(pause, due.Sub(now))
		}
		if pause <= 0 {
			trigger := api.TriggerSchedule
			if now.Sub(due) >= missedAfter {
				trigger = api.TriggerMissed
			}
			return trigger, ctx.Err() == nil
		}
		timer.Reset(pause)
		select {
		case <-ctx.Done():
			return "", false
		case <-l.wake:
			return api.TriggerWebhook, ctx.Err() == nil
		case <-l.asked:
			return api.TriggerRequest, ctx.Err() == nil
		case <-l.reload:
			if l.reloaded() {
				return api.TriggerReload, ctx.Err() == nil
			}
		case <-timer.C:
			if l.look != nil {
				l.look()
			}
		}
	}
}

// slot returns the first slot after t, delayed by the jitter; zero when there is
// none.
func (l *loop) slot(t time.Time) time.Time {
	due := l.next(t)
	l.late = 0
	if l.jitter != nil && !due.IsZero() {
		l.late = l.jitter()
	}
	return due.Add(l.late)
}

// wall returns the wall clock without its monotonic reading, which stops while
// the machine sleeps and takes precedence in comparisons.
func (l *loop) wall() time.Time { return l.now().Round(0) }
