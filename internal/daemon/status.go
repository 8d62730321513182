package daemon

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"reconciler/internal/reconcile"

	"reconciler/internal/diff"
	"reconciler/internal/freeze"
	"reconciler/internal/state"
)

// StatusVersion is the version of the status' JSON form. A new field doesn't
// raise it.
const StatusVersion = 1

// recentRuns is how many runs the status remembers.
const recentRuns = 20

// Status is what GET /api/v1/status answers: what the daemon is, what it did
// last, and what differs. It holds no secrets. Lists are never null; times are
// UTC.
type Status struct {
	// Version is that of this form: StatusVersion.
	Version int `json:"version"`
	// Reconciler is the version of the program.
	Reconciler string     `json:"reconciler"`
	Account    string     `json:"account"`
	Mode       state.Mode `json:"mode"`
	// Schedule is as in the config.
	Schedule string `json:"schedule"`
	// Source names where the manifests come from, without credentials.
	Source string `json:"source"`
	// Now is when the status was read.
	Now     time.Time `json:"now"`
	Started time.Time `json:"started"`
	// Ready and NotReady are the answer of /readyz; NotReady is why not.
	Ready    bool   `json:"ready"`
	NotReady string `json:"notReady,omitempty"`
	// Running is the run that goes on at the moment, or null.
	Running *Running `json:"running"`
	// NextRun is null while a run goes on.
	NextRun *time.Time `json:"nextRun"`
	// LastRun is null before the first run has ended.
	LastRun *RunRecord `json:"lastRun"`
	// LastSuccess is null before the first successful run; see Result.Success.
	LastSuccess *Success `json:"lastSuccess"`
	// Desired is the desired state in force; null while there is none.
	Desired *InForce `json:"desired"`
	// Compared is when the account was last compared with the desired state:
	// all below is as of then. Null before the first time.
	Compared *time.Time `json:"compared"`
	// Summary is that of the plan of that run, before anything was applied.
	Summary *diff.Summary `json:"summary"`
	// Drift is what still differed after that run, sorted by org and field.
	Drift     []Drift          `json:"drift"`
	Unknown   []diff.Unknown   `json:"unknown"`
	Unmanaged []diff.Unmanaged `json:"unmanaged"`
	// Refusals are what the guards say to applying the plan.
	Refusals []diff.Refusal `json:"refusals"`
	// Alarms stand until somebody acknowledges them: tokens of new orgs that
	// were lost, and a journal that was.
	Alarms []reconcile.Alarm `json:"alarms"`
	// Suspensions are those that hold writes, as of the last run. One by
	// "reconciler" stands for suspensions that can't be read.
	Suspensions []freeze.Suspension `json:"suspensions"`
	// Products names the products that Drift speaks of, by id.
	Products map[string]string `json:"products"`
	// RecentRuns are the last 20 runs of this daemon, and before its start those
	// that the journal kept, newest first, without their outcomes.
	RecentRuns []RunRecord `json:"recentRuns"`
}

// Running is a run that goes on.
type Running struct {
	ID      string    `json:"id"`
	Trigger Trigger   `json:"trigger"`
	Started time.Time `json:"started"`
}

// Success is the last run that did its job.
type Success struct {
	ID       string    `json:"id"`
	Finished time.Time `json:"finished"`
	// Seconds is how long it took.
	Seconds float64 `json:"seconds"`
}

// InForce is the desired state that runs compare with.
type InForce struct {
	// Commit is what it was read from; empty for a local folder.
	Commit string `json:"commit"`
	// Signer is who signed it; left out where the config asks for no signature.
	Signer string `json:"signer,omitempty"`
	// Since is when it came into force.
	Since time.Time `json:"since"`
	// Stale says why it isn't the newest; null when it is.
	Stale *Stale `json:"stale"`
}

// board keeps the status up to date. Its lists are replaced, never changed, so
// that what was read from it stays as it is.
type board struct {
	next func(time.Time) time.Time
	// jitter is by how much a slot may be put off.
	jitter time.Duration

	mu       sync.Mutex
	status   Status
	stopping bool
}

func newBoard(status Status, next func(time.Time) time.Time) *board {
	status.Version = StatusVersion
	status.Drift = []Drift{}
	status.Unknown = []diff.Unknown{}
	status.Unmanaged = []diff.Unmanaged{}
	status.Refusals = []diff.Refusal{}
	status.Alarms = []reconcile.Alarm{}
	status.Suspensions = []freeze.Suspension{}
	status.Products = map[string]string{}
	status.RecentRuns = []RunRecord{}
	return &board{next: next, status: status}
}

// begin notes that a run goes on.
func (b *board) begin(r Running) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.Running = &r
	b.status.NextRun = nil
}

// end notes how a run ended.
func (b *board) end(rec RunRecord, inForce *InForce) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := &b.status
	s.Running = nil
	s.LastRun = &rec
	s.Desired = inForce
	if rec.Result.Success() {
		s.LastSuccess = &Success{ID: rec.ID, Finished: rec.Finished, Seconds: rec.Seconds}
	}
	brief := rec
	brief.Outcomes = nil
	s.RecentRuns = slices.Insert(slices.Clone(s.RecentRuns), 0, brief)
	s.RecentRuns = s.RecentRuns[:min(len(s.RecentRuns), recentRuns)]
}

// remember takes the runs of earlier processes into the recent ones.
func (b *board) remember(past []RunRecord) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.RecentRuns = append(b.status.RecentRuns, past...)
}

// alarms notes what was lost and not acknowledged.
func (b *board) alarms(all []reconcile.Alarm) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.Alarms = append([]reconcile.Alarm{}, all...)
}

// suspended notes what holds writes; active is never nil.
func (b *board) suspended(active []freeze.Suspension) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.Suspensions = active
}

// compared notes what a run found and what of it is left.
func (b *board) compared(plan *diff.Plan, drift []Drift, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := &b.status
	s.Compared = &at
	s.Summary = &plan.Summary
	s.Drift, s.Unknown, s.Unmanaged, s.Refusals = drift, plan.Unknown, plan.Unmanaged, plan.Refusals
	s.Products = plan.Products
	if s.Products == nil {
		s.Products = map[string]string{}
	}
}

// planned notes the next slot; zero when there is none.
func (b *board) planned(slot time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.NextRun = nil
	if !slot.IsZero() {
		slot = slot.UTC()
		b.status.NextRun = &slot
	}
}

// stop notes that the daemon ends.
func (b *board) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopping = true
}

// read returns the status as of now.
func (b *board) read(now time.Time) Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.status
	s.Now = now.UTC()
	s.NotReady = b.notReady(now)
	s.Ready = s.NotReady == ""
	return s
}

const (
	// patience is the number of slots that may pass without a success before
	// the last one counts as stale.
	patience = 3
	// leastPatience is what a schedule of seconds is given at least.
	leastPatience = 5 * time.Minute
)

// notReady returns why the daemon is not ready; empty when it is. b.mu is held.
func (b *board) notReady(now time.Time) string {
	s := &b.status
	if b.stopping {
		return "the daemon is being stopped"
	}
	if s.LastSuccess == nil {
		if s.LastRun == nil {
			return "the first run has not ended yet"
		}
		return fmt.Sprintf("no run has succeeded yet; the last ended with %s", outcomeText(s.LastRun))
	}
	at := s.LastSuccess.Finished
	limit := at
	for range patience {
		slot := b.next(limit)
		if slot.IsZero() {
			return ""
		}
		limit = slot
	}
	if least := at.Add(leastPatience); limit.Before(least) {
		limit = least
	}
	// The next success comes at the end of its run, not at its slot, and the run
	// may be put off.
	limit = limit.Add(b.jitter + time.Duration(s.LastSuccess.Seconds*float64(time.Second)))
	if !now.After(limit) {
		return ""
	}
	why := fmt.Sprintf("the last successful run ended at %s, and a run at %s should have succeeded since",
		at.UTC().Format(time.RFC3339), limit.UTC().Format(time.RFC3339))
	if s.LastRun != nil && !s.LastRun.Result.Success() {
		why += "; the last ended with " + outcomeText(s.LastRun)
	}
	return why
}

// outcomeText returns "error: why", or the result alone.
func outcomeText(rec *RunRecord) string {
	if rec.Problem == nil {
		return string(rec.Result)
	}
	return string(rec.Result) + ": " + rec.Problem.Error
}

const (
	// longestRun is how long a run may take before the daemon counts as stuck.
	// All that a run does has a time limit, and the largest account is
	// compared within minutes.
	longestRun = time.Hour
	// latestRun is how late the loop may be with a run; it looks at the clock
	// every wakeEvery.
	latestRun = 5 * time.Minute
)

// stuck returns why the loop seems to have stopped turning; empty when it turns.
func (b *board) stuck(now time.Time) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := &b.status
	switch {
	case s.Running != nil && now.Sub(s.Running.Started) > longestRun:
		return fmt.Sprintf("run %s has been going on since %s", s.Running.ID, s.Running.Started.UTC().Format(time.RFC3339))
	case s.NextRun != nil && now.Sub(*s.NextRun) > latestRun:
		return fmt.Sprintf("the run of %s has not begun", s.NextRun.Format(time.RFC3339))
	}
	return ""
}
