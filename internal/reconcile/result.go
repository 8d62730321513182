package reconcile

import (
	"errors"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
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
	// ResultInterrupted: the command was stopped during the run, or another process has
	// taken over, because this one had stood still.
	ResultInterrupted Result = "interrupted"
)

// Results returns all of them, for metrics that exist from the start.
func Results() []Result {
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

// ResultOf returns how a run with a plan ended. err is why the plan could not be
// applied.
func ResultOf(plan *diff.Plan, result *apply.Result, err error) Result {
	counts := result.Counts()
	unfinished := counts.Failed+counts.Skipped+len(plan.Impossible()) > 0
	switch {
	case errors.Is(err, apply.ErrRefused):
		return ResultRefused
	case err != nil:
		return ResultError
	case counts.Failed+counts.Skipped > 0 && result.Interrupted:
		return ResultInterrupted
	case plan.NothingRead():
		return ResultError
	case unfinished || len(plan.Unknown) > 0:
		return ResultPartial
	case counts.Applied > 0:
		return ResultApplied
	case plan.Differs():
		return ResultDrift
	default:
		return ResultInSync
	}
}
