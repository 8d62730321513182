package daemon

import (
	"encoding/json"
	"regexp"
	"time"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/reconcile"
	"reconciler/internal/state"
	"reconciler/internal/store/history"
)

// Result is how a run ended; see reconcile.Result.
type Result = reconcile.Result

// The results; see reconcile.Result.
const (
	ResultInSync      = reconcile.ResultInSync
	ResultDrift       = reconcile.ResultDrift
	ResultApplied     = reconcile.ResultApplied
	ResultPartial     = reconcile.ResultPartial
	ResultRefused     = reconcile.ResultRefused
	ResultError       = reconcile.ResultError
	ResultInterrupted = reconcile.ResultInterrupted
)

// RunRecord describes a run that has ended. Its JSON form is a public interface
// and holds no secrets.
type RunRecord struct {
	// ID is unique and is on each log line of the run.
	ID       string     `json:"id"`
	Trigger  Trigger    `json:"trigger"`
	Started  time.Time  `json:"started"`
	Finished time.Time  `json:"finished"`
	Seconds  float64    `json:"seconds"`
	Mode     state.Mode `json:"mode"`
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
	// Head is the head of the history after the run; left out where there is none.
	Head string `json:"head,omitempty"`
	// Outcomes are those of the changes; empty in report mode and in
	// Status.RecentRuns. There are at most 1,000, failures before others.
	Outcomes []apply.Outcome `json:"outcomes,omitempty"`

	// unknownConfigurations is that of the plan.
	unknownConfigurations int
	// moved reports whether drift began, changed or ended.
	moved bool
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

// pastRuns returns the newest runs of the history, newest first, without their outcomes,
// as far as they were the daemon's.
func pastRuns(r *reconcile.Reconciler) ([]RunRecord, error) {
	kept, err := r.History().Runs("", recentRuns)
	if err != nil {
		return nil, err
	}
	var runs []RunRecord
	for i := range kept {
		var rec RunRecord
		if json.Unmarshal(kept[i].Record, &rec) == nil && rec.ID != "" {
			rec.Outcomes = nil
			runs = append(runs, rec)
		}
	}
	return runs, nil
}

// begin begins the record of a run in the history. The error is that there is none,
// while changes are to be made: what is not recorded is not done.
func (u *runner) begin(rec *RunRecord) (*reconcile.Record, error) {
	record, err := u.r.Record(history.Run{
		ID: rec.ID, Command: u.command, Trigger: string(rec.Trigger), Mode: string(rec.Mode), By: u.by, Started: rec.Started,
	})
	if err == nil {
		return record, nil
	}
	if u.mode == state.Apply {
		return nil, err
	}
	u.log.Warn("the history does not take this run", errorAttrs(err)...)
	return nil, nil
}

// end ends the record of a run in the history.
func (u *runner) end(record *reconcile.Record, rec *RunRecord) {
	run := history.Run{
		ID: rec.ID, Command: u.command, Trigger: string(rec.Trigger), Mode: string(rec.Mode), By: u.by, Started: rec.Started,
		Finished: rec.Finished, Commit: rec.Commit, Signer: rec.Signer, Digest: rec.Digest, Result: string(rec.Result),
	}
	if rec.Problem != nil {
		run.Error = rec.Problem.Error
	}
	failed, how := u.lastFailed, u.lastHow
	u.lastRun(rec)
	run.Quiet = !rec.moved && rec.Changes.Applied+rec.Changes.Failed+rec.Changes.Skipped == 0 &&
		failed == u.lastFailed && (!failed || how == u.lastHow)
	var err error
	if run.Record, err = json.Marshal(rec); err == nil {
		rec.Head, err = record.End(run)
	}
	if err != nil {
		u.log.Warn("the history did not take the record of the run", errorAttrs(err)...)
	}
}

// lastRun remembers how a run ended, so that the same again is only counted.
func (u *runner) lastRun(rec *RunRecord) {
	u.lastFailed = !rec.Result.Success() || rec.Result == ResultRefused || rec.Result == ResultPartial
	u.lastHow = string(rec.Result)
	if rec.Problem != nil {
		u.lastHow += " " + answerID.ReplaceAllString(rec.Problem.Error, "")
	}
}

// answerID matches what differs each time in an error that is the same.
var answerID = regexp.MustCompile(`\((errorId|request id) [^)]*\)`)

// happened adds what somebody did with the daemon to the history.
func (d *daemon) happened(action, outcome, reason string) {
	_, err := d.runner.r.History().Add(history.Entry{Type: history.TypeOperator, Action: action, By: d.opts.By, Outcome: outcome, Reason: reason})
	if err != nil {
		d.log.Warn("the history does not take what was done", append(errorAttrs(err), "action", action)...)
	}
}
