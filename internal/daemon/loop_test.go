package daemon

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"reconciler/internal/daemon/api"

	"github.com/google/go-cmp/cmp"
)

// every10 is the schedule */10 * * * *.
func every10(t time.Time) time.Time { return t.Truncate(10 * time.Minute).Add(10 * time.Minute) }

func never(time.Time) time.Time { return time.Time{} }

// ran is one run of a test: its trigger, and the minutes and seconds of the
// bubble's clock, which starts at midnight.
type ran struct {
	trigger api.Trigger
	at      string
}

// loopTest serves a loop with a fake run func for a time and gives its runs.
// A run takes as long as lasts says of it.
func loopTest(t *testing.T, next func(time.Time) time.Time, serve time.Duration, skew func() time.Duration, lasts func(n int) time.Duration) (runs []ran, planned []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), serve)
		defer cancel()
		going := false
		now := func() time.Time { return time.Now().UTC().Add(skew()) }
		l := &loop{
			now:  now,
			next: next,
			run: func(ctx context.Context, trigger api.Trigger) {
				if going {
					t.Error("two runs at a time")
				}
				going = true
				runs = append(runs, ran{trigger, now().Format(time.TimeOnly)})
				time.Sleep(lasts(len(runs)))
				going = false
			},
			planned: func(slot time.Time) {
				if slot.IsZero() {
					planned = append(planned, "none")
					return
				}
				planned = append(planned, slot.Format(time.TimeOnly))
			},
		}
		l.serve(ctx)
	})
	return runs, planned
}

func noSkew() time.Duration { return 0 }

func TestLoop(t *testing.T) {
	quick := func(int) time.Duration { return 2 * time.Second }
	tests := []struct {
		name  string
		next  func(time.Time) time.Time
		serve time.Duration
		lasts func(n int) time.Duration
		want  []ran
	}{
		{
			name: "at start and then at each slot", next: every10, serve: 25 * time.Minute, lasts: quick,
			want: []ran{{api.TriggerStart, "00:00:00"}, {api.TriggerSchedule, "00:10:00"}, {api.TriggerSchedule, "00:20:00"}},
		},
		{
			name: "however many slots a long run takes, one run makes up for them", next: every10, serve: 45 * time.Minute,
			lasts: func(n int) time.Duration {
				if n == 2 {
					return 25 * time.Minute // misses 00:20 and 00:30
				}
				return time.Second
			},
			want: []ran{
				{api.TriggerStart, "00:00:00"}, {api.TriggerSchedule, "00:10:00"},
				{api.TriggerMissed, "00:35:00"}, {api.TriggerSchedule, "00:40:00"},
			},
		},
		{
			name: "a run that always takes longer than the interval", next: every10, serve: 25 * time.Minute,
			lasts: func(int) time.Duration { return 11 * time.Minute },
			want:  []ran{{api.TriggerStart, "00:00:00"}, {api.TriggerMissed, "00:11:00"}, {api.TriggerMissed, "00:22:00"}},
		},
		{
			name: "a run that ends right at a slot", next: every10, serve: 11 * time.Minute,
			lasts: func(int) time.Duration { return 10 * time.Minute },
			want:  []ran{{api.TriggerStart, "00:00:00"}, {api.TriggerSchedule, "00:10:00"}},
		},
		{
			name: "no slot ever", next: never, serve: 1000 * time.Hour, lasts: quick,
			want: []ran{{api.TriggerStart, "00:00:00"}},
		},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			runs, _ := loopTest(t, tc.next, tc.serve, noSkew, tc.lasts)
			if d := cmp.Diff(tc.want, runs, cmp.AllowUnexported(ran{})); d != "" {
				t.Errorf("runs (-want +got):\n%s", d)
			}
		})
	}
}

// A machine that sleeps stops timers, but not the wall clock: the loop must
// notice within wakeEvery of waking up, and run once.
func TestLoopAfterSleep(t *testing.T) {
	began := time.Time{}
	skew := func() time.Duration {
		if began.IsZero() {
			began = time.Now()
		}
		if time.Since(began) > 3*time.Minute {
			return 5 * time.Hour // sleeps five hours at 00:03
		}
		return 0
	}
	runs, _ := loopTest(t, every10, 12*time.Minute, skew, func(int) time.Duration { return time.Second })
	want := []ran{{api.TriggerStart, "00:00:00"}, {api.TriggerMissed, "05:03:01"}, {api.TriggerSchedule, "05:10:00"}}
	if d := cmp.Diff(want, runs, cmp.AllowUnexported(ran{})); d != "" {
		t.Errorf("runs (-want +got):\n%s", d)
	}
}

// A clock that is set back must not put off the next run by as much.
func TestLoopClockSetBack(t *testing.T) {
	began := time.Time{}
	skew := func() time.Duration {
		if began.IsZero() {
			began = time.Now()
		}
		if time.Since(began) > 5*time.Minute {
			return -30 * time.Minute
		}
		return 0
	}
	runs, planned := loopTest(t, every10, 16*time.Minute, skew, func(int) time.Duration { return time.Second })
	want := []ran{{api.TriggerStart, "00:00:00"}, {api.TriggerSchedule, "23:40:00"}}
	if d := cmp.Diff(want, runs, cmp.AllowUnexported(ran{})); d != "" {
		t.Errorf("runs (-want +got):\n%s", d)
	}
	if want := []string{"00:10:00", "23:40:00", "23:50:00"}; !slices.Equal(planned, want) {
		t.Errorf("planned %q, want %q", planned, want)
	}
}

// A clock that is trimmed by less than clockSetBack must not make a slot come
// twice.
func TestLoopClockTrimmed(t *testing.T) {
	began := time.Time{}
	skew := func() time.Duration {
		if began.IsZero() {
			began = time.Now()
		}
		if time.Since(began) > 10*time.Minute {
			return -5 * time.Second
		}
		return 0
	}
	runs, _ := loopTest(t, every10, 19*time.Minute, skew, func(int) time.Duration { return time.Second })
	want := []ran{{api.TriggerStart, "00:00:00"}, {api.TriggerSchedule, "00:10:00"}}
	if d := cmp.Diff(want, runs, cmp.AllowUnexported(ran{})); d != "" {
		t.Errorf("runs (-want +got):\n%s", d)
	}
}

func TestLoopStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		began := time.Now()
		l := &loop{
			now:     time.Now,
			next:    every10,
			run:     func(context.Context, api.Trigger) {},
			planned: func(time.Time) {},
		}
		go func() { l.serve(ctx); close(done) }()
		time.Sleep(3 * time.Minute)
		cancel()
		<-done
		if took := time.Since(began); took != 3*time.Minute {
			t.Errorf("stopped after %v, not at once", took-3*time.Minute)
		}
	})
}

// A context that has ended before the start starts nothing.
func TestLoopStoppedBefore(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := &loop{now: time.Now, next: every10, run: func(context.Context, api.Trigger) { t.Error("ran") }}
	l.serve(ctx)
}

// However often the loop is woken, one run is enough for all that was asked for
// before it began, and one more for what was asked for while it went on.
func TestLoopWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 21*time.Minute)
		defer cancel()
		wake := make(chan struct{}, 1)
		ring := func() {
			select {
			case wake <- struct{}{}:
			default:
			}
		}
		var runs []ran
		l := &loop{
			now:  func() time.Time { return time.Now().UTC() },
			next: every10,
			wake: wake,
			run: func(_ context.Context, trigger api.Trigger) {
				runs = append(runs, ran{trigger, time.Now().UTC().Format(time.TimeOnly)})
				time.Sleep(20 * time.Second)
			},
			planned: func(time.Time) {},
		}
		go func() {
			time.Sleep(3 * time.Minute)
			for range 100 { // a burst before a run, and going on within it
				ring()
				time.Sleep(100 * time.Millisecond)
			}
		}()
		l.serve(ctx)
		want := []ran{
			{api.TriggerStart, "00:00:00"}, {api.TriggerWebhook, "00:03:00"}, {api.TriggerWebhook, "00:03:20"},
			{api.TriggerSchedule, "00:10:00"}, {api.TriggerSchedule, "00:20:00"},
		}
		if d := cmp.Diff(want, runs, cmp.AllowUnexported(ran{})); d != "" {
			t.Errorf("runs (-want +got):\n%s", d)
		}
	})
}

// What was announced before a run began, whatever it is for, needs no other.
func TestLoopWokenBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Minute)
		defer cancel()
		wake := make(chan struct{}, 1)
		wake <- struct{}{} // while the daemon starts
		var runs []ran
		l := &loop{
			now:  func() time.Time { return time.Now().UTC() },
			next: every10,
			wake: wake,
			run: func(_ context.Context, trigger api.Trigger) {
				runs = append(runs, ran{trigger, time.Now().UTC().Format(time.TimeOnly)})
				if len(runs) == 2 {
					wake <- struct{}{}
					time.Sleep(11 * time.Minute) // past the next slot
				}
			},
			planned: func(time.Time) {},
		}
		l.serve(ctx)
		want := []ran{{api.TriggerStart, "00:00:00"}, {api.TriggerSchedule, "00:10:00"}, {api.TriggerMissed, "00:21:00"}}
		if d := cmp.Diff(want, runs, cmp.AllowUnexported(ran{})); d != "" {
			t.Errorf("runs (-want +got):\n%s", d)
		}
	})
}

// A slot is put off by the jitter, which neither makes it come twice nor counts
// as missed.
func TestLoopJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 35*time.Minute)
		defer cancel()
		jitters := []time.Duration{5 * time.Minute, 0, 2 * time.Minute, 0}
		var runs []ran
		var planned []string
		l := &loop{
			now:  func() time.Time { return time.Now().UTC() },
			next: every10,
			jitter: func() time.Duration {
				j := jitters[0]
				jitters = jitters[1:]
				return j
			},
			run: func(_ context.Context, trigger api.Trigger) {
				runs = append(runs, ran{trigger, time.Now().UTC().Format(time.TimeOnly)})
			},
			planned: func(slot time.Time) { planned = append(planned, slot.Format(time.TimeOnly)) },
		}
		l.serve(ctx)
		want := []ran{
			{api.TriggerStart, "00:00:00"}, {api.TriggerSchedule, "00:15:00"}, {api.TriggerSchedule, "00:20:00"}, {api.TriggerSchedule, "00:32:00"},
		}
		if d := cmp.Diff(want, runs, cmp.AllowUnexported(ran{})); d != "" {
			t.Errorf("runs (-want +got):\n%s", d)
		}
		if want := []string{"00:15:00", "00:20:00", "00:32:00", "00:40:00"}; !slices.Equal(planned, want) {
			t.Errorf("planned %q, want %q", planned, want)
		}
	})
}

// An interval is as long with jitter as without: it is counted from slots, and
// not from when runs were let begin.
func TestLoopJitterOfIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 39*time.Minute)
		defer cancel()
		n := 0
		var runs []ran
		l := &loop{
			now:  func() time.Time { return time.Now().UTC() },
			next: func(t time.Time) time.Time { return t.Add(10 * time.Minute) },
			jitter: func() time.Duration {
				n++
				return time.Duration(n%3) * time.Minute
			},
			run: func(_ context.Context, trigger api.Trigger) {
				runs = append(runs, ran{trigger, time.Now().UTC().Format(time.TimeOnly)})
			},
			planned: func(time.Time) {},
		}
		l.serve(ctx)
		want := []ran{
			{api.TriggerStart, "00:00:00"}, {api.TriggerSchedule, "00:11:00"}, {api.TriggerSchedule, "00:22:00"}, {api.TriggerSchedule, "00:30:00"},
		}
		if d := cmp.Diff(want, runs, cmp.AllowUnexported(ran{})); d != "" {
			t.Errorf("runs (-want +got):\n%s", d)
		}
	})
}
