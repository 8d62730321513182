package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"reconciler/internal/reconcile"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/state"
	"reconciler/internal/store/journal"
	"reconciler/internal/text"
)

// runner does one run after the other and remembers what the next one needs.
type runner struct {
	r *reconcile.Reconciler
	// desired reads the newest desired state: r.Desired, but in tests.
	desired        func(context.Context) (*reconcile.Desired, error)
	mode           state.Mode
	log            *slog.Logger
	tag            *runHandler // puts the run on each line of log
	metrics        *metrics
	board          *board
	commitReporter *commitReporter
	now            func() time.Time

	// good is the last desired state that was read and could be compared with
	// the account; nil before the first.
	good *reconcile.Desired
	// inForce is what the status shows of it; nil while good is.
	inForce *InForce
	// seen is the newest commit when the last run read git; empty when it could
	// not, and for a local folder.
	seen string
	// fresh is when good was last known to be the newest.
	fresh time.Time
	// unfit is the last desired state that was read and turned out not to go
	// with the account, and verdict why; nil when there is none.
	unfit   *reconcile.Desired
	verdict *Stale
	logged  logged
}

// logged is what was logged last, so that the same isn't logged after each run.
type logged struct {
	drift    []Drift
	unknown  []string
	refusals []diff.Refusal
	warnings []string // of the manifests
	mistakes []string // in the manifests
	stale    string
	alarms   string
	// unverified is the commit, and why, that was counted last.
	unverified string
	lost       string // why the last verified commit could not be read again
	holds      string
}

// once does one run from beginning to end and reports it. A push that was
// announced and left git as the last run found it asks git, and Okta nothing. It
// neither fails nor panics.
func (u *runner) once(ctx context.Context, trigger Trigger) {
	if trigger == TriggerWebhook && !u.moved(ctx) {
		u.log.Info("a push was announced, and git is as it was: nothing to do", "commit", u.seen)
		return
	}
	u.do(ctx, trigger)
}

// moved reports whether git has something else than when the last run read it; it
// is true when that can't be known. A panic is left to the run, which reports it.
func (u *runner) moved(ctx context.Context) (moved bool) {
	defer func() {
		if recover() != nil {
			moved = true
		}
	}()
	d, err := u.desired(ctx)
	return u.seen == "" || commitOf(d, err) != u.seen
}

// commitOf returns the commit that a desired state was read from, or the one that
// was refused; empty when git could not be read.
func commitOf(d *reconcile.Desired, err error) string {
	var refused *reconcile.RefusedError
	switch {
	case errors.As(err, &refused):
		return refused.Commit
	case err != nil:
		return ""
	}
	return d.Commit
}

// do does one run and returns its record.
func (u *runner) do(ctx context.Context, trigger Trigger) *RunRecord {
	started := u.now().UTC()
	rec := RunRecord{ID: newRunID(started), Trigger: trigger, Started: started, Mode: u.mode}
	u.tag.begin(rec.ID, "")
	defer u.tag.end()
	u.board.begin(Running{ID: rec.ID, Trigger: trigger, Started: started})
	u.log.Info("run started", "trigger", string(trigger), "mode", string(u.mode))

	u.pass(ctx, &rec)

	rec.Finished = u.now().UTC()
	rec.Seconds = max(0, rec.Finished.Sub(started).Seconds())
	u.metrics.run(&rec, u.inForce != nil && u.inForce.Stale != nil)
	u.board.end(rec, u.inForce)
	u.reportAlarms()
	u.reportHolds()
	u.summarize(&rec)
	if err := u.save(&rec); err != nil {
		u.log.Warn("the journal did not take the record of the run", "error", text.JoinLines(err.Error()), "hint", text.Hint(err))
	}
	u.report(ctx, &rec)
	return &rec
}

// report reports on the commit how the run ended. A panic is a bug, but must not
// end the watch.
func (u *runner) report(ctx context.Context, rec *RunRecord) {
	defer func() {
		if v := recover(); v != nil {
			u.log.Error("reporting the commit's status panicked: this is a bug, please report it", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	u.commitReporter.report(ctx, rec)
}

// pass does the work of a run. A panic is a bug, but must not end the watch.
func (u *runner) pass(ctx context.Context, rec *RunRecord) {
	defer func() {
		if v := recover(); v != nil {
			u.log.Error("the run panicked: this is a bug, please report it", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			rec.Result = ResultError
			rec.Problem = &reconcile.Problem{Error: "the run panicked", Hint: "this is a bug: please report it with the stack that the log shows"}
		}
	}()
	plan, err := u.plan(ctx, rec)
	if err != nil {
		if ctx.Err() != nil {
			rec.Result = ResultInterrupted
			return
		}
		rec.Result, rec.Problem = ResultError, reconcile.ProblemOf(err)
		u.logMistakes(rec.Problem.Manifests)
		return
	}
	rec.Digest, rec.Summary = plan.Digest, &plan.Summary
	switch err := u.r.Note(plan, reconcile.Filter{}); {
	case errors.As(err, new(*journal.OvertakenError)):
		rec.Result, rec.Problem = ResultError, reconcile.ProblemOf(err)
		return
	case err != nil:
		u.log.Warn("the journal could not record what this run means for the next", "error", text.JoinLines(err.Error()), "hint", text.Hint(err))
	}

	var result *apply.Result
	if u.mode == state.Apply {
		result, err = u.r.Apply(ctx, plan, u.changed)
	}
	counts := result.Counts()
	rec.Changes = Changes{counts.Applied, counts.Failed, counts.Skipped, counts.Blocked}
	if result != nil {
		rec.Outcomes = result.Outcomes
	}
	u.reportDrift(plan, driftOf(plan, result))
	rec.Result = resultOf(plan, result, err)
	switch {
	case errors.Is(err, apply.ErrRefused):
		rec.Problem = refusedProblem(plan.Refusals)
	case err == nil && rec.Result == ResultError:
		rec.Problem = blindProblem(plan.Unknown)
	default:
		rec.Problem = reconcile.ProblemOf(err)
	}
}

// plan returns the plan of a run. When the newest desired state can't be had, or
// can't be compared with the account, it is that of the last good one.
func (u *runner) plan(ctx context.Context, rec *RunRecord) (*diff.Plan, error) {
	var newest *reconcile.Desired
	var stale error
	plan, desired, err := u.r.PlanFor(ctx, func(ctx context.Context) (*reconcile.Desired, error) {
		d, err := u.desired(ctx)
		newest, u.seen = d, commitOf(d, err)
		u.countUnverified(err)
		if err != nil && ctx.Err() == nil {
			if good := u.fallback(ctx, err); good != nil {
				d, stale, err = good, err, nil
			}
		}
		if err == nil {
			u.mark(rec, d)
		}
		return d, err
	})
	var refused *reconcile.RefusedError
	if errors.As(err, &refused) && newest != nil {
		// It was read, but doesn't go with the account. The good one may need
		// other orgs to be read, so the account is observed once more.
		if good := u.fallback(ctx, err); good != nil && !newest.Same(good) {
			stale = err
			u.mark(rec, good)
			plan, desired, err = u.r.PlanFor(ctx, func(context.Context) (*reconcile.Desired, error) { return good, nil })
		}
	}
	switch {
	case stale != nil:
		u.keep(rec, u.staleness(stale))
		if newest != nil {
			u.unfit, u.verdict = newest, rec.Stale
		}
	case err == nil:
		u.adopt(desired)
	case newest != nil && u.good != nil:
		u.recall(rec, newest)
	case refused != nil:
		u.mark(rec, &reconcile.Desired{Commit: refused.Commit})
	}
	return plan, err
}

// fallback returns the good desired state to go on with when the newest can't be
// had, or can't be used, because of err; nil when there is none. No other way
// leads to a plan of it: it lets go of one whose signer's key was taken away, and
// brings back the one that was accepted last, by an earlier process when the
// newest commit is not verified, or by another one meanwhile.
func (u *runner) fallback(ctx context.Context, err error) *reconcile.Desired {
	another := errors.As(err, new(*reconcile.UnverifiedError))
	if u.good != nil {
		another = u.r.Overtaken(u.good)
		if !another {
			gone := u.r.Revoked(u.good, u.inForce.Since)
			if gone == nil {
				return u.good
			}
			u.logDropped(gone)
		}
		u.good, u.inForce, u.unfit, u.verdict = nil, nil, nil, nil
	}
	if !another {
		return nil
	}
	d, since, err := u.r.LastVerified(ctx)
	u.logLost(err)
	if d == nil {
		return nil
	}
	u.good, u.fresh = d, since
	u.inForce = inForceSince(d, since)
	return d
}

// keep leaves the good desired state in force although it is not the newest.
func (u *runner) keep(rec *RunRecord, stale *Stale) {
	rec.Stale = stale
	u.setStale(stale)
	u.logStale(stale)
}

// setStale says of what is in force why it is not the newest, nil for nothing
// known, in a copy: the board may show the one before.
func (u *runner) setStale(stale *Stale) {
	now := *u.inForce
	now.Stale = stale
	u.inForce = &now
}

// recall reports what is known of the newest desired state, which was read but
// not compared with the account, because the account could not be read: it is
// the good one, or it was found unfit before, or nothing speaks against it yet.
// What was known of another one, or of git, no longer applies.
func (u *runner) recall(rec *RunRecord, newest *reconcile.Desired) {
	switch {
	case newest.Same(u.good):
		u.adopt(newest)
	case u.unfit != nil && newest.Same(u.unfit):
		u.mark(rec, u.good)
		u.keep(rec, u.verdict)
	default:
		u.setStale(nil)
	}
}

// mark notes which commit a run is about.
func (u *runner) mark(rec *RunRecord, d *reconcile.Desired) {
	rec.Commit, rec.Signer = d.Commit, d.Signer
	u.tag.begin(rec.ID, d.Commit)
}

// adopt takes the newest desired state as the good one; it may be that already.
func (u *runner) adopt(d *reconcile.Desired) {
	now := u.now().UTC()
	since := now
	if u.good != nil && d.Same(u.good) {
		since = u.inForce.Since
	}
	u.good, u.fresh = d, now
	u.unfit, u.verdict = nil, nil
	u.inForce = inForceSince(d, since)
	u.logFresh(d)
}

// inForceSince is what the status shows of the newest desired state.
func inForceSince(d *reconcile.Desired, since time.Time) *InForce {
	return &InForce{Commit: d.Commit, Signer: d.Signer, Since: since}
}

// staleness returns why the newest desired state is not in force.
func (u *runner) staleness(err error) *Stale {
	s := &Stale{Problem: *reconcile.ProblemOf(err), Since: u.fresh}
	s.key = s.Error
	var refused *reconcile.RefusedError
	if errors.As(err, &refused) {
		s.Refused, s.Commit = true, refused.Commit
	}
	var no *reconcile.UnverifiedError
	if errors.As(err, &no) {
		s.Error, s.key = no.Why(), no.Reason
	}
	return s
}

// resultOf returns how a run with a plan ended. err is what kept the plan from
// being carried out.
func resultOf(plan *diff.Plan, result *apply.Result, err error) Result {
	counts := result.Counts()
	unfinished := counts.Failed+counts.Skipped > 0
	switch {
	case errors.Is(err, apply.ErrRefused):
		return ResultRefused
	case err != nil:
		return ResultError
	case unfinished && result.Interrupted:
		return ResultInterrupted
	case blind(plan):
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

// blind reports whether not one of the declared orgs could be read. One that can't
// is a matter between it and Okta; all of them are a watch that sees nothing.
func blind(plan *diff.Plan) bool {
	return plan.Summary.Unknown > 0 && plan.Summary.Unknown == plan.Summary.Orgs
}

func blindProblem(unknown []diff.Unknown) *reconcile.Problem {
	return &reconcile.Problem{
		Error: text.JoinLines(fmt.Sprintf("none of the declared orgs (%d) could be read; the first is %s: %s", len(unknown), unknown[0].Org, unknown[0].Error)),
		Hint:  "the account and its list of orgs could be read, but the products of no org: see what the service app may do in Okta",
	}
}

func refusedProblem(refusals []diff.Refusal) *reconcile.Problem {
	p := &reconcile.Problem{Error: "refused by the guard " + refusals[0].Guard + ": " + refusals[0].Message}
	if n := len(refusals); n > 1 {
		p.Error += fmt.Sprintf(" (and %d more)", n-1)
	}
	return p
}
