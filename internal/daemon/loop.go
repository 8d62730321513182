package daemon

import (
	"context"
	"time"
)

// Trigger returns why a run took place.
type Trigger string

const (
	// TriggerStart is the run that the daemon begins with.
	TriggerStart Trigger = "start"
	// TriggerSchedule is a run at its slot.
	TriggerSchedule Trigger = "schedule"
	// TriggerMissed is a run that makes up for one slot or more that passed
	// while an earlier run took long or the machine slept.
	TriggerMissed Trigger = "missed"
	// TriggerWebhook is a run that a push to the git server asked for.
	TriggerWebhook Trigger = "webhook"
	// TriggerOnce is the only run of a process that does no other.
	TriggerOnce Trigger = "once"
)

const (
	// wakeEvery bounds how long the loop sleeps without looking at the clock.
	// A timer stands still while the machine sleeps, and knows nothing of a
	// clock that is set.
	wakeEvery = 30 * time.Second
	// missedAfter is how late a run may begin before its slot counts as missed.
	missedAfter = time.Minute
	// clockSetBack is by how much the clock must go back for the next slot to
	// be looked up again. Less than that is the clock being trimmed, and would
	// only make a slot come twice.
	clockSetBack = 10 * time.Second
)

// loop runs at once, then on schedule and whenever it is woken, one run at a
// time.
type loop struct {
	// now is the wall clock.
	now func() time.Time
	// next returns the first slot after a time; zero when there is none.
	next func(time.Time) time.Time
	// jitter says by how much to put off a slot, so that the daemons of many
	// accounts don't all ask at once; nil puts off none.
	jitter func() time.Duration
	// late is by how much the slot was put off that is waited for.
	late time.Duration
	// wake asks for a run at once. It holds one request: all that come while a
	// run goes on become the one run after it. Nil asks for none.
	wake <-chan struct{}
	// run does one run; it returns soon after its context ends.
	run func(context.Context, Trigger)
	// planned is called with the slot that the loop waits for; zero when
	// there is none.
	planned func(time.Time)
}

// serve returns when ctx ends and the run that was going on has ended.
func (l *loop) serve(ctx context.Context) {
	trigger := TriggerStart
	for ctx.Err() == nil {
		select {
		case <-l.wake: // what was announced until now, this run looks at
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
// the run took long: then however many slots there were become one run. It gives
// what the next run is for, and false when ctx ended.
func (l *loop) wait(ctx context.Context, began time.Time, trigger Trigger) (Trigger, bool) {
	after := began
	if trigger == TriggerSchedule {
		// Counted from the slot that the run was for, not from when jitter let
		// it begin, or intervals would grow by the jitter.
		after = began.Add(-l.late)
	}
	due := l.slot(after)
	l.planned(due)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for last := began; ; {
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
			trigger := TriggerSchedule
			if now.Sub(due) >= missedAfter {
				trigger = TriggerMissed
			}
			return trigger, ctx.Err() == nil
		}
		timer.Reset(pause)
		select {
		case <-ctx.Done():
			return "", false
		case <-l.wake:
			return TriggerWebhook, ctx.Err() == nil
		case <-timer.C:
		}
	}
}

// slot returns the first slot after t, put off by the jitter; zero when there is
// none.
func (l *loop) slot(t time.Time) time.Time {
	due := l.next(t)
	l.late = 0
	if l.jitter != nil && !due.IsZero() {
		l.late = l.jitter()
	}
	return due.Add(l.late)
}

// wall is the wall clock without its monotonic reading, which stands still
// while the machine sleeps and would win every comparison.
func (l *loop) wall() time.Time { return l.now().Round(0) }
