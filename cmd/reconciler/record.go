package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"reconciler/internal/apply"
	"reconciler/internal/daemon/api"
	"reconciler/internal/diff"
	"reconciler/internal/reconcile"
	"reconciler/internal/store/history"
	"reconciler/internal/text"
)

// recordedRun is a run of apply in the history.
type recordedRun struct {
	*reconcile.Record
	p    *planner
	plan *diff.Plan
	run  history.Run
}

// begin begins the record of applying a plan.
func (p *planner) begin(plan *diff.Plan) (*recordedRun, error) {
	run := history.Run{
		ID: p.app.runID, Command: "apply", Mode: "apply", By: p.app.invoker(), Started: time.Now().UTC(),
		Commit: plan.Revision, Signer: plan.Signer, Digest: plan.Digest,
	}
	record, err := p.Record(run)
	if err != nil {
		return nil, err
	}
	record.Planned(plan)
	return &recordedRun{record, p, plan, run}, nil
}

// end ends the record, given the result of applying the plan and why it could not be
// applied, and returns the head of the history. What can't be recorded any more is said:
// what was written stays written.
func (r *recordedRun) end(result *apply.Result, applied error) (head string) {
	var problems []error
	if applied == nil {
		_, err := r.Compared(result)
		problems = append(problems, err)
	} else {
		r.run.Error = text.JoinLines(applied.Error())
	}
	ended := reconcile.ResultOf(r.plan, result, applied)
	counts := result.Counts()
	r.run.Finished, r.run.Result = time.Now().UTC(), string(ended)
	r.run.Quiet = ended == reconcile.ResultInSync && len(r.plan.Changes) == 0
	var err error
	r.run.Record, err = json.Marshal(map[string]any{
		"summary": r.plan.Summary, "changes": api.Changes(counts), "agreeing": result.Agreeing(r.plan),
	})
	if err == nil {
		head, err = r.End(r.run)
	}
	if err = errors.Join(append(problems, err)...); err != nil {
		r.p.app.warn("the history did not take all of this run: " + text.JoinLines(err.Error()))
	}
	return head
}

// recordRefused records a run whose plan a guard refuses.
func (p *planner) recordRefused(plan *diff.Plan) error {
	run, err := p.begin(plan)
	if err != nil {
		return fmt.Errorf("the history does not take this run: %w", err)
	}
	run.end(nil, apply.ErrRefused)
	return nil
}
