package daemon

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"reconciler/internal/daemon/api"
	"reconciler/internal/diff"
	"reconciler/internal/freeze"
	"reconciler/internal/reconcile"
)

// recentRuns is how many runs the status remembers.
const recentRuns = 20

// statusTracker keeps the status up to date. Its lists are replaced, never
// changed, so that a status that was read stays as it is.
type statusTracker struct {
	next func(time.Time) time.Time
	// jitter is the longest delay of a slot.
	jitter time.Duration
	// receivers returns those of notifications; nil for none.
	receivers func() []api.Receiver
	// replica returns why this replica isn't ready; nil without a database.
	replica func(now time.Time, standsBy bool) string

	mu sync.Mutex
	// shown counts the changes of the status, and news those that make more of it differ
	// than one run does from another that finds the same.
	shown, news int64
	status      api.Status
	stopping    bool
	// changed counts the changes of what other replicas are told. mirrored is when the
	// status of the daemon that leads was true that is shown instead; zero if none is.
	changed  uint64
	mirrored time.Time
	// tokens is why the tokens file can't be used any more, or nil.
	tokens *api.ConfigRefused
}

func newStatusTracker(status api.Status, next func(time.Time) time.Time) *statusTracker {
	status.Version = api.StatusVersion
	status.Drift = []Drift{}
	status.Unknown = []diff.Unknown{}
	status.Unmanaged = []diff.Unmanaged{}
	status.Refusals = []diff.Refusal{}
	status.Notes = []diff.Note{}
	status.Alarms = []reconcile.Alarm{}
	status.Suspensions = []freeze.Suspension{}
	status.Windows = []freeze.Hold{}
	status.Products = map[string]string{}
	status.RecentRuns = []api.RunRecord{}
	return &statusTracker{next: next, status: status}
}

// update changes the status.
func (t *statusTracker) update(change func(s *api.Status)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.changed++
	t.change(change)
}

// updateOwn changes what each replica knows by itself.
func (t *statusTracker) updateOwn(change func(s *api.Status)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.change(change)
}

// change changes the status. t.mu is held.
func (t *statusTracker) change(change func(s *api.Status)) {
	before, tokens := t.status, t.tokens
	change(&t.status)
	t.shown++
	if t.tokens != tokens || !reflect.DeepEqual(lasting(before), lasting(t.status)) {
		t.news++
	}
}

// lasting returns a status without what differs from one run to another that finds the same.
func lasting(s api.Status) api.Status {
	s.Running, s.NextRun, s.LastSuccess, s.Compared, s.ConfigurationRead, s.RecentRuns = nil, nil, nil, nil, nil, nil
	if s.LastRun != nil {
		last := *s.LastRun
		last.ID, last.Started, last.Finished, last.Seconds = "", time.Time{}, time.Time{}, 0
		s.LastRun = &last
	}
	return s
}

// versions returns a number that changes with each change of the status, and one that stays
// the same over runs that find the same. The passing of time changes neither.
func (t *statusTracker) versions() (shown, news int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.shown, t.news
}

// changes counts the changes of what other replicas are told.
func (t *statusTracker) changes() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changed
}

// mirror shows the leader's status, which was true at a time, while this daemon stands by.
// If leader is nil, the status that is shown already is still true.
func (t *statusTracker) mirror(leader *api.Status, at time.Time) {
	t.updateOwn(func(s *api.Status) {
		if s.StandingBy == nil {
			return
		}
		t.mirrored = at
		if leader == nil {
			return
		}
		own := *s
		*s = *leader
		s.Version, s.Reconciler, s.Account, s.Started, s.Clock, s.Config = own.Version, own.Reconciler, own.Account, own.Started, own.Clock, own.Config
		s.Mode, s.Schedule, s.Source, s.StandingBy = own.Mode, own.Schedule, own.Source, own.StandingBy
		s.Suspensions, s.Windows, s.Alarms, s.Totals.Alarms = own.Suspensions, own.Windows, own.Alarms, own.Totals.Alarms
	})
}

func (t *statusTracker) begin(r api.Running) {
	t.update(func(s *api.Status) { s.Running, s.NextRun = &r, nil })
}

func (t *statusTracker) end(rec api.RunRecord, inForce *api.InForce) {
	t.update(func(s *api.Status) {
		s.Running, s.LastRun, s.Desired = nil, &rec, inForce
		s.Head = cmp.Or(rec.Head, s.Head)
		if rec.Result.Success() {
			s.LastSuccess = &api.Success{ID: rec.ID, Finished: rec.Finished, Seconds: rec.Seconds}
		}
		brief := rec
		brief.Outcomes = nil
		s.RecentRuns = slices.Insert(slices.Clone(s.RecentRuns), 0, brief)
		s.RecentRuns = s.RecentRuns[:min(len(s.RecentRuns), recentRuns)]
	})
}

// suspended sets the suspensions in effect and what windows hold; both are never nil.
func (t *statusTracker) suspended(active []freeze.Suspension, windows []freeze.Hold) {
	t.updateOwn(func(s *api.Status) { s.Suspensions, s.Windows = active, windows })
}

// alarms sets the alarms that nobody has acknowledged.
func (t *statusTracker) alarms(all []reconcile.Alarm) {
	t.updateOwn(func(s *api.Status) { s.Alarms, s.Totals.Alarms = first(all), len(all) })
}

// tokensRefused sets why the tokens file can't be used any more; nil if it can.
func (t *statusTracker) tokensRefused(err error) {
	t.update(func(*api.Status) {
		t.tokens = nil
		if err != nil {
			t.tokens = &api.ConfigRefused{At: time.Now().UTC(), Problem: configProblem(err)}
		}
	})
}

// compared sets what a run found and did not repair. configured is when what it knows of
// the orgs' configuration was read.
func (t *statusTracker) compared(plan *diff.Plan, drift []Drift, at, configured time.Time) {
	summary := plan.Summary // a pointer into the plan would keep all of it in memory
	fleet := fleetOf(plan, drift)
	t.update(func(s *api.Status) {
		s.Compared, s.Summary, s.Fleet, s.ConfigurationRead = &at, &summary, &fleet, nil
		if plan.Summary.Objects != nil && s.Running != nil && configured.Before(s.Running.Started) {
			configured = configured.UTC()
			s.ConfigurationRead = &configured
		}
		s.Totals = api.Totals{
			Drift: len(drift), Unknown: len(plan.Unknown), Unmanaged: len(plan.Unmanaged),
			UnknownConfigurations: plan.UnknownConfigurations(),
			Refusals:              len(plan.Refusals), Notes: len(plan.Notes), Alarms: s.Totals.Alarms,
		}
		s.Drift, s.Unknown, s.Unmanaged = first(drift), first(plan.Unknown), first(plan.Unmanaged)
		s.Refusals, s.Notes = first(plan.Refusals), first(plan.Notes)
		s.Products = plan.Products
		if s.Products == nil {
			s.Products = map[string]string{}
		}
	})
}

// planned sets the next slot; zero when there is none.
func (t *statusTracker) planned(slot time.Time) {
	t.update(func(s *api.Status) {
		s.NextRun = nil
		if !slot.IsZero() {
			slot = slot.UTC()
			s.NextRun = &slot
		}
	})
}

// refuses returns why no run can be asked for: another daemon leads, or this one is
// being stopped.
func (t *statusTracker) refuses() (leader *api.Process, stopping bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status.StandingBy, t.stopping
}

// run returns the record of a run that has ended; nil if it isn't known.
func (t *statusTracker) run(id string) *api.RunRecord {
	t.mu.Lock()
	defer t.mu.Unlock()
	if last := t.status.LastRun; last != nil && last.ID == id {
		return last
	}
	for i := range t.status.RecentRuns {
		if rec := &t.status.RecentRuns[i]; rec.ID == id {
			return rec
		}
	}
	return nil
}

// isRunning reports whether a run is going on.
func (t *statusTracker) isRunning(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status.Running != nil && t.status.Running.ID == id
}

func (t *statusTracker) stop() { t.update(func(*api.Status) { t.stopping = true }) }

// read returns the status as of now.
func (t *statusTracker) read(now time.Time) api.Status {
	s := t.asOf(now)
	if s.StandingBy == nil || s.Receivers == nil {
		s.Receivers = []api.Receiver{}
		if t.receivers != nil {
			s.Receivers = t.receivers()
		}
	}
	s.Assess() // without holding up a run
	return s
}

// asOf returns the status without what is made of it.
func (t *statusTracker) asOf(now time.Time) api.Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.status
	s.Now = now.UTC()
	if s.Config.Refused == nil {
		s.Config.Refused = t.tokens
	}
	s.NotReady = t.notReady(now)
	s.Ready = s.NotReady == ""
	return s
}

// ready reports whether the daemon is ready.
func (t *statusTracker) ready(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.notReady(now) == ""
}

const (
	// patience is the number of slots that may pass without a success before
	// the last one counts as stale.
	patience = 3
	// leastPatience is the lower bound, for a schedule of seconds.
	leastPatience = 5 * time.Minute
)

// notReady returns why the daemon is not ready; empty when it is. t.mu is held.
func (t *statusTracker) notReady(now time.Time) string {
	s := &t.status
	if t.stopping {
		return "the daemon is being stopped"
	}
	if t.replica != nil {
		if why := t.replica(now, s.StandingBy != nil); why != "" {
			return why
		}
	}
	if s.StandingBy == nil {
		return t.overdue(now)
	}
	if now.Sub(t.mirrored) > mirrorFor {
		return s.Standby()
	}
	return s.NotReady // as the one that leads knows it, by its own clock
}

// unsuccessful returns why what runs have found is not ready to be shown; empty if it is. It
// is about this daemon's own runs.
func (t *statusTracker) unsuccessful(now time.Time) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.overdue(now)
}

// overdue is unsuccessful with t.mu held.
func (t *statusTracker) overdue(now time.Time) string {
	s := &t.status
	switch {
	case s.LastSuccess == nil && s.LastRun == nil:
		return "the first run has not ended yet"
	case s.LastSuccess == nil:
		return fmt.Sprintf("no run has succeeded yet; the last ended with %s", s.LastRun.Ended())
	}
	limit := t.successDue(s.LastSuccess)
	if limit.IsZero() || !now.After(limit) {
		return ""
	}
	why := fmt.Sprintf("the last successful run ended at %s, and a run at %s should have succeeded since",
		s.LastSuccess.Finished.UTC().Format(time.RFC3339), limit.UTC().Format(time.RFC3339))
	if s.LastRun != nil && !s.LastRun.Result.Success() {
		why += "; the last ended with " + s.LastRun.Ended()
	}
	return why
}

// successDue returns until when the next run must succeed; zero when the schedule
// has no further slots.
func (t *statusTracker) successDue(last *api.Success) time.Time {
	limit := last.Finished
	for range patience {
		if limit = t.next(limit); limit.IsZero() {
			return limit
		}
	}
	if least := last.Finished.Add(leastPatience); limit.Before(least) {
		limit = least
	}
	// A success comes at the end of its run, which jitter may delay.
	return limit.Add(t.jitter + time.Duration(last.Seconds*float64(time.Second)))
}

const (
	// longestRun is how long a run may take before the daemon counts as stuck.
	// Everything in a run has a timeout, and comparing the largest account
	// takes minutes.
	longestRun = time.Hour
	// latestRun is how late the loop may start a run; it checks the clock every
	// wakeEvery.
	latestRun = 5 * time.Minute
)

// stuck returns why the loop seems to be stuck; empty when it is not.
func (t *statusTracker) stuck(now time.Time) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.status
	switch {
	case s.StandingBy != nil: // all that is said of runs is about another daemon
		return ""
	case s.Running != nil && now.Sub(s.Running.Started) > longestRun:
		return fmt.Sprintf("run %s has been going on since %s", s.Running.ID, s.Running.Started.UTC().Format(time.RFC3339))
	case s.WaitingFor != nil:
		return ""
	case s.NextRun != nil && now.Sub(*s.NextRun) > latestRun:
		return fmt.Sprintf("the run of %s has not begun", s.NextRun.Format(time.RFC3339))
	}
	return ""
}
