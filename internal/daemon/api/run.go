package api

import (
	"encoding/json"
	"time"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/reconcile"
	"reconciler/internal/state"
	"reconciler/internal/store/history"
)

// Trigger is why a run took place.
type Trigger string

const (
	// TriggerStart is the run that the daemon begins with.
	TriggerStart Trigger = "start"
	// TriggerSchedule is a run at its slot.
	TriggerSchedule Trigger = "schedule"
	// TriggerMissed is a run for one or more slots that passed during an earlier
	// run or while the machine slept.
	TriggerMissed Trigger = "missed"
	// TriggerWebhook is a run after a push to the git server.
	TriggerWebhook Trigger = "webhook"
	// TriggerReload is a run after the config was read again and put in force.
	TriggerReload Trigger = "reload"
	// TriggerRequest is a run that somebody asked for.
	TriggerRequest Trigger = "request"
	// TriggerTakeover is the first run of a daemon that has stood by.
	TriggerTakeover Trigger = "takeover"
	// TriggerOnce is the only run of a process.
	TriggerOnce Trigger = "once"
)

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
	Signer string           `json:"signer,omitempty"`
	Result reconcile.Result `json:"result"`
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

	// UnknownConfigurations is that of the plan.
	UnknownConfigurations int `json:"-"`
	// Moved reports whether drift began, changed or ended.
	Moved bool `json:"-"`
}

// SetPlan sets what the record says of the plan. It keeps nothing else of the plan,
// which is large, in memory.
func (r *RunRecord) SetPlan(plan *diff.Plan) {
	summary := plan.Summary
	r.Digest, r.Summary = plan.Digest, &summary
	r.UnknownConfigurations = plan.UnknownConfigurations()
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

	// Key is the same in each run; the error's text may contain the time.
	Key string `json:"-"`
}

// RunState is where a run is.
type RunState string

// The states of a run. One whose record is there has ended.
const (
	RunQueued  RunState = "queued"
	RunRunning RunState = "running"
	RunEnded   RunState = "ended"
)

// RunInfo is the response of GET /api/v1/runs/{id}: the record of the run, once it has
// ended.
type RunInfo struct {
	ID    string   `json:"id"`
	State RunState `json:"state"`
	// Command is the command that ran, and By who ran it; left out for a run that the
	// history doesn't have, or not yet.
	Command string `json:"command,omitempty"`
	By      string `json:"by,omitempty"`
	// CommitLink is the web address of the commit; left out if it has none.
	CommitLink string `json:"commitLink,omitempty"`
	*RunRecord
	// Plan is the plan as it was compared, with the first changes of it, and PlanOmitted
	// how many more it had; null without a plan, and if the run is none of the last 20 of
	// this daemon.
	Plan        *diff.Plan `json:"plan"`
	PlanOmitted int        `json:"planOmitted"`
	// Log are the lines that the run has logged, from level info on, and LogOmitted how
	// many there were in the middle that are not kept; null if the run is none of the last
	// 20 of this daemon.
	Log        []LogLine `json:"log"`
	LogOmitted int       `json:"logOmitted"`
	// Entries are the changes that the run attempted, newest first, as the history has
	// them, at most 1,000; null if the history doesn't have the run.
	Entries []history.Entry `json:"entries"`
}

// LogLine is a line of a run's log.
type LogLine struct {
	Time    time.Time `json:"time"`
	Level   string    `json:"level"`
	Message string    `json:"message"`
	// Attributes are values by their keys, without those that all lines of a run have.
	Attributes map[string]string `json:"attributes"`
}

// RunRequest is the body of POST /api/v1/runs, which may be empty.
type RunRequest struct {
	// By is who asks, where nobody signs in. Nobody checks it.
	By string `json:"by,omitempty"`
	// Reason is why; it may be empty.
	Reason string `json:"reason,omitempty"`
}

// RunAccepted is the response of POST /api/v1/runs.
type RunAccepted struct {
	// ID is that of the run that was asked for.
	ID string `json:"id"`
}

// Add adds what the history has of a run; it may have nothing.
func (i *RunInfo) Add(run *history.Run) {
	if run == nil {
		return
	}
	i.Command, i.By = run.Command, run.By
	switch {
	case i.State == RunQueued || i.State == RunRunning || i.RunRecord != nil && len(i.Outcomes) > 0:
		return
	case run.Result == "":
		i.State = RunRunning // of another process
		return
	}
	rec := RunRecord{
		ID: run.ID, Trigger: Trigger(run.Trigger), Started: run.Started, Finished: run.Finished, Mode: state.Mode(run.Mode),
		Commit: run.Commit, Signer: run.Signer, Digest: run.Digest, Result: reconcile.Result(run.Result),
	}
	if !run.Finished.IsZero() {
		rec.Seconds = max(0, run.Finished.Sub(run.Started).Seconds())
	}
	if run.Error != "" {
		rec.Problem = &reconcile.Problem{Error: run.Error}
	}
	if len(run.Record) > 0 {
		// Of a daemon it is the whole record, of other commands a part of it.
		_ = json.Unmarshal(run.Record, &rec) // what can't be read is left out
	}
	i.State, i.RunRecord = RunEnded, &rec
}

// Ended returns how the run ended in words: "error: why", or the result alone.
func (r *RunRecord) Ended() string {
	if r.Problem == nil {
		return string(r.Result)
	}
	return string(r.Result) + ": " + r.Problem.Error
}
