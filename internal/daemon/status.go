package daemon

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"reconciler/internal/diff"
	"reconciler/internal/freeze"
	"reconciler/internal/reconcile"
	"reconciler/internal/state"
)

// StatusVersion is the version of the status' JSON form. A new field doesn't
// increase it.
const StatusVersion = 1

// recentRuns is how many runs the status remembers.
const recentRuns = 20

// Status is the response of GET /api/v1/status: what the daemon is, what it did
// last, and what differs. It holds no secrets. Lists are never null; times are
// UTC.
type Status struct {
	// Version is StatusVersion.
	Version int `json:"version"`
	// State is the worst that is to be said, in one word: one of State….
	State State `json:"state"`
	// Problems are the reasons for State, the worst first.
	Problems []Trouble `json:"problems"`
	// Outdated is how old the comparison is, and why there is no newer one, or that
	// it was not with the newest manifests; empty if the last run compared the
	// account with the newest. It is about Summary, Drift and all that follows.
	Outdated string `json:"outdated,omitempty"`
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
	// Config is the config in force, and why a newer one is not.
	Config ConfigInForce `json:"config"`
	// Ready and NotReady are the result of /readyz and its reason.
	Ready    bool   `json:"ready"`
	NotReady string `json:"notReady,omitempty"`
	// Head is the head of the history: the hash of its newest entry, as of the last run;
	// empty where there is no history.
	Head string `json:"head"`
	// StandingBy is the daemon that leads while this one stands by; null if this one
	// leads.
	StandingBy *Process `json:"standingBy"`
	// WaitingFor is the process that the next run waits for, because that one writes;
	// null if it waits for none.
	WaitingFor *Process `json:"waitingFor"`
	// Running is the current run, or null.
	Running *Running `json:"running"`
	// NextRun is null during a run.
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
	// ConfigurationRead is when the configuration of orgs was read that this
	// comparison is about, of several times the first, if an earlier run did so; null
	// if that run read all of it.
	ConfigurationRead *time.Time `json:"configurationRead"`
	// Summary is that of the plan of that run, before anything was applied.
	Summary *diff.Summary `json:"summary"`
	// Totals counts the lists that follow, which have at most 1,000 items each.
	Totals Totals `json:"totals"`
	// Drift is what still differed after that run, sorted by org and field.
	Drift     []Drift          `json:"drift"`
	Unknown   []diff.Unknown   `json:"unknown"`
	Unmanaged []diff.Unmanaged `json:"unmanaged"`
	Refusals  []diff.Refusal   `json:"refusals"`
	// Notes ask for something about orgs, and hold nothing up.
	Notes []diff.Note `json:"notes"`
	// Alarms are lost tokens of new orgs and a lost journal, until somebody
	// acknowledges them.
	Alarms []reconcile.Alarm `json:"alarms"`
	// Suspensions are those in effect, as of the last run. One by "reconciler"
	// stands for suspensions that can't be read.
	Suspensions []freeze.Suspension `json:"suspensions"`
	// Products maps the ids of the products in Drift to their names.
	Products map[string]string `json:"products"`
	// RecentRuns are the last 20 runs of this daemon, and before its start those
	// that the journal kept, newest first, without their outcomes.
	RecentRuns []RunRecord `json:"recentRuns"`
}

// Totals are the lengths of lists before they were cut.
type Totals struct {
	Drift   int `json:"drift"`
	Unknown int `json:"unknown"`
	// UnknownConfigurations are those of Unknown of which only the configuration could
	// not be read.
	UnknownConfigurations int `json:"unknownConfigurations"`
	Unmanaged             int `json:"unmanaged"`
	Refusals              int `json:"refusals"`
	Notes                 int `json:"notes"`
	Alarms                int `json:"alarms"`
}

// ConfigInForce describes the config that the daemon runs with.
type ConfigInForce struct {
	// File is empty if everything came from the environment.
	File string `json:"file"`
	// Since is when it was read.
	Since time.Time `json:"since"`
	// Refused is why the one that was read last is not in force; null if it is.
	Refused *ConfigRefused `json:"refused"`
}

// ConfigRefused is a config that was read again and is not used.
type ConfigRefused struct {
	reconcile.Problem
	At time.Time `json:"at"`
}

// Running is a run in progress.
type Running struct {
	ID      string    `json:"id"`
	Trigger Trigger   `json:"trigger"`
	Started time.Time `json:"started"`
}

// Success is a successful run.
type Success struct {
	ID       string    `json:"id"`
	Finished time.Time `json:"finished"`
	Seconds  float64   `json:"seconds"`
}

// InForce is the desired state that runs compare with.
type InForce struct {
	// Commit is what it was read from; empty for a local folder.
	Commit string `json:"commit"`
	// Signer is who signed it; left out where the config asks for no signature.
	Signer string `json:"signer,omitempty"`
	// Since is when it came into force.
	Since time.Time `json:"since"`
	// Stale is why it isn't the newest; null when it is.
	Stale *Stale `json:"stale"`
}

// statusTracker keeps the status up to date. Its lists are replaced, never
// changed, so that a status that was read stays as it is.
type statusTracker struct {
	next func(time.Time) time.Time
	// jitter is the longest delay of a slot.
	jitter time.Duration

	mu       sync.Mutex
	status   Status
	stopping bool
}

func newStatusTracker(status Status, next func(time.Time) time.Time) *statusTracker {
	status.Version = StatusVersion
	status.Drift = []Drift{}
	status.Unknown = []diff.Unknown{}
	status.Unmanaged = []diff.Unmanaged{}
	status.Refusals = []diff.Refusal{}
	status.Notes = []diff.Note{}
	status.Alarms = []reconcile.Alarm{}
	status.Suspensions = []freeze.Suspension{}
	status.Products = map[string]string{}
	status.RecentRuns = []RunRecord{}
	return &statusTracker{next: next, status: status}
}

// update changes the status.
func (t *statusTracker) update(change func(s *Status)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(&t.status)
}

func (t *statusTracker) begin(r Running) {
	t.update(func(s *Status) { s.Running, s.NextRun = &r, nil })
}

func (t *statusTracker) end(rec RunRecord, inForce *InForce) {
	t.update(func(s *Status) {
		s.Running, s.LastRun, s.Desired = nil, &rec, inForce
		s.Head = cmp.Or(rec.Head, s.Head)
		if rec.Result.Success() {
			s.LastSuccess = &Success{ID: rec.ID, Finished: rec.Finished, Seconds: rec.Seconds}
		}
		brief := rec
		brief.Outcomes = nil
		s.RecentRuns = slices.Insert(slices.Clone(s.RecentRuns), 0, brief)
		s.RecentRuns = s.RecentRuns[:min(len(s.RecentRuns), recentRuns)]
	})
}

// suspended sets the suspensions in effect; active is never nil.
func (t *statusTracker) suspended(active []freeze.Suspension) {
	t.update(func(s *Status) { s.Suspensions = active })
}

// compared sets what a run found and did not repair. configured is when what it knows of
// the orgs' configuration was read.
func (t *statusTracker) compared(plan *diff.Plan, drift []Drift, at, configured time.Time) {
	summary := plan.Summary // a pointer into the plan would keep all of it in memory
	t.update(func(s *Status) {
		s.Compared, s.Summary, s.ConfigurationRead = &at, &summary, nil
		if plan.Summary.Objects != nil && s.Running != nil && configured.Before(s.Running.Started) {
			configured = configured.UTC()
			s.ConfigurationRead = &configured
		}
		s.Totals = Totals{
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
	t.update(func(s *Status) {
		s.NextRun = nil
		if !slot.IsZero() {
			slot = slot.UTC()
			s.NextRun = &slot
		}
	})
}

// refuses returns why no run can be asked for: another daemon leads, or this one is
// being stopped.
func (t *statusTracker) refuses() (leader *Process, stopping bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status.StandingBy, t.stopping
}

// run returns the record of a run that has ended; nil if it isn't known.
func (t *statusTracker) run(id string) *RunRecord {
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

func (t *statusTracker) stop() { t.update(func(*Status) { t.stopping = true }) }

// read returns the status as of now.
func (t *statusTracker) read(now time.Time) Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.status
	s.Now = now.UTC()
	s.NotReady = t.notReady(now)
	s.Ready = s.NotReady == ""
	s.assess()
	return s
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
	switch {
	case t.stopping:
		return "the daemon is being stopped"
	case s.StandingBy != nil:
		return fmt.Sprintf("standing by: the daemon that leads is %v", s.StandingBy)
	case s.LastSuccess == nil && s.LastRun == nil:
		return "the first run has not ended yet"
	case s.LastSuccess == nil:
		return fmt.Sprintf("no run has succeeded yet; the last ended with %s", outcomeText(s.LastRun))
	}
	limit := t.successDue(s.LastSuccess)
	if limit.IsZero() || !now.After(limit) {
		return ""
	}
	why := fmt.Sprintf("the last successful run ended at %s, and a run at %s should have succeeded since",
		s.LastSuccess.Finished.UTC().Format(time.RFC3339), limit.UTC().Format(time.RFC3339))
	if s.LastRun != nil && !s.LastRun.Result.Success() {
		why += "; the last ended with " + outcomeText(s.LastRun)
	}
	return why
}

// successDue returns until when the next run must succeed; zero when the schedule
// has no further slots.
func (t *statusTracker) successDue(last *Success) time.Time {
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

// outcomeText returns "error: why", or the result alone.
func outcomeText(rec *RunRecord) string {
	if rec.Problem == nil {
		return string(rec.Result)
	}
	return string(rec.Result) + ": " + rec.Problem.Error
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
	case s.Running != nil && now.Sub(s.Running.Started) > longestRun:
		return fmt.Sprintf("run %s has been going on since %s", s.Running.ID, s.Running.Started.UTC().Format(time.RFC3339))
	case s.WaitingFor != nil:
		return ""
	case s.NextRun != nil && now.Sub(*s.NextRun) > latestRun:
		return fmt.Sprintf("the run of %s has not begun", s.NextRun.Format(time.RFC3339))
	}
	return ""
}
