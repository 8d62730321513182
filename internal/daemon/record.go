package daemon

import (
	"encoding/json"
	"time"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/reconcile"
	"reconciler/internal/state"
	"reconciler/internal/store/journal"
)

// Result is how a run ended.
type Result string

const (
	// ResultInSync: desired and actual agree, nothing was written.
	ResultInSync Result = "in-sync"
	// ResultDrift: there are differences, and nothing was written: in report
	// mode, or because all of them are blocked or unfixable.
	ResultDrift Result = "drift"
	// ResultApplied: changes were made and none failed.
	ResultApplied Result = "applied"
	// ResultPartial: some orgs, or their configuration, could not be read or written;
	// others could.
	ResultPartial Result = "partial"
	// ResultRefused: a guard refused to apply the plan; nothing was written.
	ResultRefused Result = "refused"
	// ResultError: there was no plan, or none of the declared orgs could be read.
	// No org was written.
	ResultError Result = "error"
	// ResultInterrupted: the daemon was stopped during the run, or another process has
	// taken over, because this one had stood still.
	ResultInterrupted Result = "interrupted"
)

// results returns all of them, for metrics that exist from the start.
func results() []Result {
	return []Result{ResultInSync, ResultDrift, ResultApplied, ResultPartial, ResultRefused, ResultError, ResultInterrupted}
}

// Success reports whether the run compared the account with a desired state. A
// guard's refusal and some unreadable orgs don't prevent that.
func (r Result) Success() bool {
	switch r {
	case ResultInSync, ResultDrift, ResultApplied, ResultPartial, ResultRefused:
		return true
	}
	return false
}

// RunRecord describes a run that has ended. Its JSON form is a public interface
// and holds no secrets.
type RunRecord struct {
	// ID is unique and is on each log line of the run.
	ID      string  `json:"id"`
	Trigger Trigger `json:"trigger"`
	// RequestedBy is who asked for the run, as they say; left out if nobody did.
	RequestedBy string     `json:"requestedBy,omitempty"`
	Started     time.Time  `json:"started"`
	Finished    time.Time  `json:"finished"`
	Seconds     float64    `json:"seconds"`
	Mode        state.Mode `json:"mode"`
	// Commit is what the desired state was read from, or the commit that was
	// refused when there was no other; empty when neither is known, and for a
	// local folder.
	Commit string `json:"commit"`
	// Signer is who signed it; left out where the config asks for no signature.
	Signer string `json:"signer,omitempty"`
	Result Result `json:"result"`
	// Problem is why the run has no plan or could not apply it, or nil.
	Problem *reconcile.Problem `json:"problem"`
	// Stale is set when the last good desired state stayed in force, because
	// the newest could not be read or was refused.
	Stale *Stale `json:"stale"`
	// Digest and Summary are those of the plan; empty and nil without one.
	Digest  string        `json:"digest"`
	Summary *diff.Summary `json:"summary"`
	// Changes counts the plan's changes by outcome; all 0 in report mode.
	Changes Changes `json:"changes"`
	// Agreeing is how many declared orgs were as declared in the end.
	Agreeing int `json:"agreeing"`
	// Outcomes are those of the changes; empty in report mode and in
	// Status.RecentRuns. There are at most 1,000, failures before others.
	Outcomes []apply.Outcome `json:"outcomes,omitempty"`

	// unknownConfigurations is that of the plan.
	unknownConfigurations int
}

// setPlan sets what the record says of the plan. It keeps nothing else of the plan,
// which is large, in memory.
func (r *RunRecord) setPlan(plan *diff.Plan) {
	summary := plan.Summary
	r.Digest, r.Summary = plan.Digest, &summary
	r.unknownConfigurations = plan.UnknownConfigurations()
}

// Left reports whether the run found differences that it did not repair.
func (r *RunRecord) Left() bool {
	return r.Summary != nil && (r.Summary.Changes > r.Changes.Applied || r.Summary.Unfixable > 0)
}

// Changes counts changes by outcome.
type Changes struct {
	Applied int `json:"applied"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped"`
	Blocked int `json:"blocked"`
}

// Stale is why the newest desired state is not in force.
type Stale struct {
	reconcile.Problem
	// Refused is set if the newest manifests were read, but have mistakes or
	// don't match the account. Otherwise they could not be read.
	Refused bool `json:"refused"`
	// Commit is the one that was refused; empty for a local folder, and when
	// nothing could be read.
	Commit string `json:"commit"`
	// Since is when the desired state in force was last known to be the
	// newest.
	Since time.Time `json:"since"`

	// key is the same in each run; the error's text may contain the time.
	key string
}

// save stores the record of a run in the journal, for later processes. Runs with
// everything in sync are not stored.
func (u *runner) save(rec *RunRecord) error {
	if rec.Result == ResultInSync {
		return nil
	}
	record, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	return u.r.SaveRun(journal.Run{ID: rec.ID, Started: rec.Started, Finished: rec.Finished, Result: string(rec.Result), Record: record})
}

// pastRuns returns the newest records in the journal, newest first, without their
// outcomes, and an error if some or all of them can't be read.
func pastRuns(r *reconcile.Reconciler) ([]RunRecord, error) {
	kept, err := r.Runs(recentRuns) // also an error about some of them
	var runs []RunRecord
	for _, k := range kept {
		var rec RunRecord
		if json.Unmarshal(k.Record, &rec) == nil && rec.ID != "" {
			rec.Outcomes = nil
			runs = append(runs, rec)
		}
	}
	return runs, err
}
