package daemon

import (
	"encoding/json"
	"regexp"

	"reconciler/internal/daemon/api"
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

// pastRuns returns the newest runs of the history, newest first, without their outcomes,
// as far as they were the daemon's.
func pastRuns(r *reconcile.Reconciler) ([]api.RunRecord, error) {
	kept, err := r.History().Runs("", recentRuns)
	if err != nil {
		return nil, err
	}
	var runs []api.RunRecord
	for i := range kept {
		var rec api.RunRecord
		if json.Unmarshal(kept[i].Record, &rec) == nil && rec.ID != "" {
			rec.Outcomes = nil
			runs = append(runs, rec)
		}
	}
	return runs, nil
}

// begin begins the record of a run in the history. The error is that there is none,
// while changes are to be made: what is not recorded is not done.
func (u *runner) begin(rec *api.RunRecord) (*reconcile.Record, error) {
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
func (u *runner) end(record *reconcile.Record, rec *api.RunRecord) {
	run := history.Run{
		ID: rec.ID, Command: u.command, Trigger: string(rec.Trigger), Mode: string(rec.Mode), By: u.by, Started: rec.Started,
		Finished: rec.Finished, Commit: rec.Commit, Signer: rec.Signer, Digest: rec.Digest, Result: string(rec.Result),
	}
	if rec.Problem != nil {
		run.Error = rec.Problem.Error
	}
	failed, how := u.lastFailed, u.lastHow
	u.lastRun(rec)
	run.Quiet = !rec.Moved && rec.Changes.Applied+rec.Changes.Failed+rec.Changes.Skipped == 0 &&
		failed == u.lastFailed && (!failed || how == u.lastHow)
	u.telling.quiet = run.Quiet
	var err error
	if run.Record, err = json.Marshal(rec); err == nil {
		rec.Head, err = record.End(run)
	}
	if err != nil {
		u.log.Warn("the history did not take the record of the run", errorAttrs(err)...)
	}
	if size, err := u.r.History().Size(); err == nil {
		u.metrics.historyBytes.Set(float64(size))
	}
}

// lastRun remembers how a run ended, so that the same again is only counted.
func (u *runner) lastRun(rec *api.RunRecord) {
	u.lastFailed = !rec.Result.Success() || rec.Result == ResultRefused || rec.Result == ResultPartial
	u.lastHow = string(rec.Result)
	if rec.Problem != nil {
		u.lastHow += " " + answerID.ReplaceAllString(rec.Problem.Error, "")
	}
}

// answerID matches what differs each time in an error that is the same.
var answerID = regexp.MustCompile(`\((errorId|request id) [^)]*\)`)

// happened adds what somebody did with the daemon to the history, for which nobody waits
// who stops the daemon in an outage of the database.
func (d *daemon) happened(action, outcome, reason string) {
	if d.replica != nil && d.replica.outage.goesOn() {
		d.log.Debug("the history does not take what was done, as the database can't be used", "action", action)
		return
	}
	_, err := d.runner.r.History().Add(history.Entry{Type: history.TypeOperator, Action: action, By: d.opts.By, Outcome: outcome, Reason: reason})
	if err != nil {
		d.log.Warn("the history does not take what was done", append(errorAttrs(err), "action", action)...)
	}
}
