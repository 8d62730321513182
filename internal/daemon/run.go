package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"reconciler/internal/apply"
	"reconciler/internal/daemon/api"
	"reconciler/internal/diff"
	"reconciler/internal/reconcile"
	"reconciler/internal/state"
	"reconciler/internal/store/journal"
	"reconciler/internal/text"
	"reconciler/internal/web"
	"reconciler/internal/web/trace"
)

// runner does one run after the other and keeps the state between them.
type runner struct {
	r *reconcile.Reconciler
	// desired reads the newest desired state: r.Desired, except in tests.
	desired        func(context.Context) (*reconcile.Desired, error)
	mode           state.Mode
	log            *slog.Logger
	tag            *runHandler // of log
	metrics        *metrics
	tracker        *statusTracker
	commitReporter *commitReporter
	now            func() time.Time
	requests       *requests
	kept           *keptRuns
	// updated is called when the history has what a run did, and returns when the pages do.
	updated func()

	// lastGood is the last desired state that could be read and compared with the
	// account; nil before the first. The status shows it as inForce, nil likewise.
	lastGood *reconcile.Desired
	inForce  *api.InForce
	// newestAt is when lastGood was last known to be the newest.
	newestAt time.Time
	// lastCommit is the newest commit when the last run read git; empty when it
	// could not, and for a local folder.
	lastCommit string
	// rejected is the last desired state that was read and did not match the
	// account, and rejection the reason; nil when there is none.
	rejected  *reconcile.Desired
	rejection *api.Stale
	logged    logged
	skipped   int // changes, in this run
	// by is who runs the daemon, and command what they run, for the history. lastFailed and lastHow are how the
	// last run ended.
	by, command string
	// account is the id of the Aerial account, for traces.
	account string
	// single is set for a single run, which logs all drift: nothing else shows it.
	single     bool
	lastFailed bool
	lastHow    string
	telling    telling
}

// once does one run and reports it. After a push that left git as the last run
// found it, it calls git only. It neither fails nor panics.
func (u *runner) once(ctx context.Context, trigger api.Trigger) {
	if trigger == api.TriggerWebhook && !u.requests.pending() && !u.moved(ctx) {
		u.log.Info("a push was announced, and git is as it was: nothing to do", "commit", u.lastCommit)
		return
	}
	u.do(ctx, trigger)
}

// moved reports whether git has changed since the last run read it, or may have.
// After a panic it returns true, so that the run reports it.
func (u *runner) moved(ctx context.Context) (moved bool) {
	defer func() { moved = recover() != nil || moved }()
	d, err := u.desired(ctx)
	return u.lastCommit == "" || commitOf(d, err) != u.lastCommit
}

// commitOf returns the commit that was read or refused; empty when git could not
// be read.
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
func (u *runner) do(ctx context.Context, trigger api.Trigger) *api.RunRecord {
	started := u.now().UTC()
	rec := api.RunRecord{ID: web.NewRunID(started), Trigger: trigger, Started: started, Mode: u.mode}
	if asked := u.requests.take(); asked != nil {
		rec.ID, rec.RequestedBy = asked.id, asked.by
	}
	u.kept.begin(rec.ID)
	ctx, span := trace.Root(web.WithRun(ctx, rec.ID), "run")
	defer func() { endSpan(span, &rec, u.account) }()
	u.tag.begin(rec.ID, span.ID())
	defer u.tag.end()
	setTime(u.metrics.started, started)
	u.tracker.begin(api.Running{ID: rec.ID, Trigger: trigger, Started: started})
	u.log.Info("run started", "trigger", string(trigger), "mode", string(u.mode))

	u.telling.begin()
	record, err := u.begin(&rec)
	if err != nil {
		rec.Result, rec.Problem = ResultError, reconcile.ProblemOf(fmt.Errorf("nothing is read or written, because the run could not be recorded: %w", err))
	} else {
		u.pass(ctx, &rec, record)
	}

	rec.Finished = u.now().UTC()
	rec.Seconds = max(0, rec.Finished.Sub(started).Seconds())
	u.end(record, &rec)
	u.metrics.run(&rec, u.inForce != nil && u.inForce.Stale != nil)
	u.updated() // before others learn that the run has ended
	defer u.updated()
	u.tracker.end(rec, u.inForce)
	u.reportAlarms()
	u.reportSuspensions()
	u.summarize(&rec)
	if !u.replaced() { // otherwise another process reports
		u.report(ctx, &rec)
		u.attribute(ctx)
		u.tell(&rec)
	}
	if err := u.kept.share(rec.ID); err != nil {
		u.log.Warn("other replicas don't show plan and log of this run", errorAttrs(err)...)
	}
	return &rec
}

// endSpan ends the span of a run.
func endSpan(span trace.Span, rec *api.RunRecord, account string) {
	span.Set("reconciler.account", account)
	span.Set("reconciler.run.id", rec.ID)
	span.Set("reconciler.run.trigger", string(rec.Trigger))
	span.Set("reconciler.run.mode", string(rec.Mode))
	span.Set("reconciler.run.result", string(rec.Result))
	span.Set("vcs.ref.head.revision", rec.Commit)
	if rec.Problem != nil {
		span.Fail(rec.Problem.Error)
	}
	span.End(nil)
}

// replaced reports whether another process has taken over.
func (u *runner) replaced() bool {
	err := u.r.MayWrite()
	return errors.As(err, new(*journal.LostError)) || errors.As(err, new(*journal.HeldError))
}

// forget forgets what was read and found, as another daemon may know better since.
func (u *runner) forget() {
	u.lastGood, u.inForce, u.rejected, u.rejection, u.lastCommit = nil, nil, nil, nil, ""
}

// report sets the commit's status. A panic is a bug, but must not end the daemon.
func (u *runner) report(ctx context.Context, rec *api.RunRecord) {
	defer func() {
		if v := recover(); v != nil {
			u.log.Error("reporting the commit's status panicked: this is a bug, please report it", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	u.commitReporter.report(ctx, rec)
}

// pass does the work of a run. A panic is a bug, but must not end the daemon.
func (u *runner) pass(ctx context.Context, rec *api.RunRecord, record *reconcile.Record) {
	defer func() {
		if v := recover(); v != nil {
			u.log.Error("the run panicked: this is a bug, please report it", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			rec.Result = ResultError
			rec.Problem = &reconcile.Problem{Error: "the run panicked", Hint: "this is a bug: please report it with the stack that the log shows"}
		}
	}()
	plan, desired, err := u.plan(ctx, rec)
	if err != nil {
		if ctx.Err() != nil {
			rec.Result = ResultInterrupted
			return
		}
		rec.Result, rec.Problem = ResultError, reconcile.ProblemOf(err)
		u.logMistakes(rec.Problem.Manifests)
		return
	}
	rec.SetPlan(plan)
	if err := u.kept.planned(rec.ID, plan); err != nil {
		u.log.Warn("the page does not show the plan of this run", errorAttrs(err)...)
	}
	record.Planned(plan)
	switch err := u.r.Note(plan, desired, reconcile.Filter{}); {
	case errors.As(err, new(*journal.OvertakenError)):
		rec.Result, rec.Problem = ResultError, reconcile.ProblemOf(err)
		return
	case err != nil:
		u.log.Warn("the journal could not record what this run means for the next", errorAttrs(err)...)
	}

	var result *apply.Result
	if u.mode == state.Apply {
		u.skipped = 0
		result, err = u.r.Apply(ctx, plan, u.changed)
		if left := u.skipped - logLines; left > 0 {
			u.log.Warn("more changes skipped", "more", left)
		}
	}
	rec.Changes, rec.Agreeing = api.Changes(result.Counts()), result.Agreeing(plan)
	if result != nil {
		rec.Outcomes = firstOutcomes(result.Outcomes)
	}
	rec.Moved = u.reportDrift(plan, result, u.r.ConfigurationRead(), record)
	if err := u.r.Remember(plan, result, u.logged.drift); err != nil {
		u.log.Warn("the API does not show what this run found", errorAttrs(err)...)
	}
	u.telling.found = &compared{refusals: plan.Refusals, names: plan.Products}
	rec.Result = reconcile.ResultOf(plan, result, err)
	switch {
	case errors.Is(err, apply.ErrRefused):
		rec.Problem = refusedProblem(plan.Refusals)
	case err == nil && rec.Result == ResultError:
		rec.Problem = allUnknownProblem(plan.Unknown)
	default:
		rec.Problem = reconcile.ProblemOf(err)
	}
}

// plan returns the plan of a run, and the desired state that it is for. When the
// newest desired state can't be read, or doesn't match the account, it is that of
// the last good one, and nothing destructive is done.
func (u *runner) plan(ctx context.Context, rec *api.RunRecord) (*diff.Plan, *reconcile.Desired, error) {
	var newest *reconcile.Desired
	var stale error
	plan, desired, err := u.r.PlanFor(ctx, func(ctx context.Context) (*reconcile.Desired, error) {
		d, err := u.desired(ctx)
		newest, u.lastCommit = d, commitOf(d, err)
		u.countUnverified(err)
		if err != nil && ctx.Err() == nil {
			if good := u.fallback(ctx, err); good != nil {
				d, stale, err = outdated(good, err), err, nil
			}
		}
		if err == nil {
			u.setCommit(rec, d)
		}
		return d, err
	})
	var refused *reconcile.RefusedError
	if errors.As(err, &refused) && newest != nil {
		// It was read, but doesn't match the account. The last good one may need
		// other orgs to be read, so the account is read again.
		if good := u.fallback(ctx, err); good != nil && !newest.Same(good) {
			stale = err
			u.setCommit(rec, good)
			plan, desired, err = u.r.PlanFor(ctx, func(context.Context) (*reconcile.Desired, error) { return outdated(good, stale), nil })
		}
	}
	switch {
	case stale != nil:
		u.reportStale(rec, u.staleness(stale))
		if newest != nil {
			u.rejected, u.rejection = newest, rec.Stale
		}
	case err == nil:
		u.setLastGood(desired)
	case newest != nil && u.lastGood != nil:
		u.updateUncompared(rec, newest)
	case refused != nil:
		u.setCommit(rec, &reconcile.Desired{Commit: refused.Commit})
	}
	return plan, desired, err
}

// outdated returns a desired state that stays in force while the newest can't be
// used because of err. What was declared last may have been to take a deactivation
// back, so nothing destructive is done meanwhile.
func outdated(d *reconcile.Desired, err error) *reconcile.Desired {
	old := *d
	old.Stale = "the newest manifests can't be read, and nothing is taken away by older ones"
	if errors.As(err, new(*reconcile.RefusedError)) {
		old.Stale = "the newest manifests are refused, and nothing is taken away by older ones"
	}
	return &old
}

// fallback returns the desired state to use when the newest can't be read or used
// because of err; nil when there is none. It drops the last good one if its
// signer's key was revoked. If the newest commit is not verified, or another
// process has accepted a later one, it returns the last verified one.
func (u *runner) fallback(ctx context.Context, err error) *reconcile.Desired {
	another := errors.As(err, new(*reconcile.UnverifiedError))
	if u.lastGood != nil {
		another = u.r.Overtaken(u.lastGood)
		if !another {
			revoked := u.r.Revoked(u.lastGood, u.inForce.Since)
			if revoked == nil {
				return u.lastGood
			}
			u.logDropped(revoked)
		}
		u.lastGood, u.inForce, u.rejected, u.rejection = nil, nil, nil, nil
	}
	if !another {
		return nil
	}
	d, since, err := u.r.LastVerified(ctx)
	u.logLost(err)
	if d == nil {
		return nil
	}
	u.lastGood, u.newestAt = d, since
	u.inForce = inForceSince(d, since)
	return d
}

// reportStale reports that the last good desired state, in force, is not the newest.
func (u *runner) reportStale(rec *api.RunRecord, stale *api.Stale) {
	rec.Stale = stale
	u.setStale(stale)
	u.logStale(stale)
}

// setStale replaces inForce by a copy with another Stale: the status shows the one
// before until the run ends.
func (u *runner) setStale(stale *api.Stale) {
	now := *u.inForce
	now.Stale = stale
	u.inForce = &now
}

// updateUncompared updates the state for a newest desired state that was read but
// not compared, because the account could not be read: it is the last good one,
// or was rejected before, or nothing is known against it.
func (u *runner) updateUncompared(rec *api.RunRecord, newest *reconcile.Desired) {
	switch {
	case newest.Same(u.lastGood):
		u.setLastGood(newest)
	case u.rejected != nil && newest.Same(u.rejected):
		u.setCommit(rec, u.lastGood)
		u.reportStale(rec, u.rejection)
	default:
		u.setStale(nil)
	}
}

// setCommit sets the commit of a run.
func (u *runner) setCommit(rec *api.RunRecord, d *reconcile.Desired) {
	rec.Commit, rec.Signer = d.Commit, d.Signer
	u.tag.commit(d.Commit)
}

// setLastGood makes the newest desired state the last good one, which it may be
// already.
func (u *runner) setLastGood(d *reconcile.Desired) {
	now := u.now().UTC()
	since := now
	if u.lastGood != nil && d.Same(u.lastGood) {
		since = u.inForce.Since
	}
	u.lastGood, u.newestAt = d, now
	u.rejected, u.rejection = nil, nil
	u.inForce = inForceSince(d, since)
	u.logNewest(d)
}

func inForceSince(d *reconcile.Desired, since time.Time) *api.InForce {
	return &api.InForce{Commit: d.Commit, Signer: d.Signer, Since: since}
}

// staleness returns why the newest desired state is not in force.
func (u *runner) staleness(err error) *api.Stale {
	s := &api.Stale{Problem: *reconcile.ProblemOf(err), Since: u.newestAt}
	s.Key = s.Error
	var refused *reconcile.RefusedError
	if errors.As(err, &refused) {
		s.Refused, s.Commit = true, refused.Commit
	}
	var unverified *reconcile.UnverifiedError
	if errors.As(err, &unverified) {
		s.Error, s.Key = unverified.Why(), unverified.Reason
	}
	return s
}

func allUnknownProblem(unknown []diff.Unknown) *reconcile.Problem {
	return &reconcile.Problem{
		Error: text.JoinLines(fmt.Sprintf("none of the declared orgs (%d) could be read; the first is %s: %s", len(unknown), unknown[0].Org, unknown[0].Reason())),
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
