package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"reconciler/internal/reconcile"
	"reconciler/internal/report"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/text"
)

// reportDrift shows the differences between desired and actual that a run found and
// did not repair, on board, metrics and log. The log only gets what has changed
// since the last run.
func (u *runner) reportDrift(plan *diff.Plan, drift []Drift) {
	now := u.now().UTC()
	news, gone := compareRuns(u.logged.drift, drift, now)
	u.logged.drift = drift
	u.board.compared(plan, drift, now)
	u.metrics.compared(gone, drift, fleetOf(plan, drift))

	var unknown []string
	for _, o := range plan.Unknown {
		unknown = append(unknown, o.Org)
		if !slices.Contains(u.logged.unknown, o.Org) {
			u.log.Warn("org can't be read, and is left alone", "org", o.Org, "orgID", o.OrgID, "error", o.Error)
		}
	}
	u.logged.unknown = unknown

	for i := range news {
		if d := &news[i]; d.Error == "" { // a failed attempt was logged when it failed
			u.log.Warn("drift", d.attrs()...)
		}
	}
	for i := range gone {
		if d := &gone[i]; !slices.Contains(unknown, d.Org) { // nobody knows whether it is gone
			u.log.Info("drift is gone", "org", d.Org, "field", d.Field)
		}
	}
	if !slices.Equal(plan.Refusals, u.logged.refusals) {
		u.logged.refusals = plan.Refusals
		for _, r := range plan.Refusals {
			u.log.Warn("a guard refuses the plan", "guard", r.Guard, "message", r.Message)
		}
	}
}

// attrs are the drift as attributes of a log line.
func (d *Drift) attrs() []any {
	attrs := []any{"org", d.Org, "field", d.Field, "desired", report.Value(d.Desired, nil), "actual", report.Value(d.Actual, nil)}
	if d.Blocked != "" {
		attrs = append(attrs, "blocked", d.Blocked)
	}
	return attrs
}

// changed reports the outcome of a change. Apply calls it as soon as the outcome
// is known.
func (u *runner) changed(c diff.Change, o apply.Outcome) {
	u.metrics.change(o)
	attrs := []any{
		"org", c.Org, "orgID", o.OrgID, "action", string(c.Action),
		"before", report.Value(c.Before, nil), "after", report.Value(c.After, nil),
	}
	if o.Error != "" {
		attrs = append(attrs, "error", o.Error)
	}
	if o.Hint != "" {
		attrs = append(attrs, "hint", o.Hint)
	}
	switch o.Result {
	case apply.Applied:
		u.log.Info("change applied", attrs...)
	case apply.Failed:
		u.log.Error("change failed", attrs...)
	case apply.Skipped:
		u.log.Warn("change skipped", attrs...)
	default: // blocked: logged as drift, once
		u.log.Debug("change blocked", append(attrs, "blocked", c.Blocked)...)
	}
}

// logStale logs that the desired state in force is not the newest any more,
// or that the reason has changed.
func (u *runner) logStale(s *Stale) {
	now := s.Commit + " " + s.key
	if now == u.logged.stale {
		return
	}
	u.logged.stale = now
	msg := "the newest manifests can't be read; the last good desired state stays in force"
	if s.Refused {
		msg = "the newest manifests are refused; the last good desired state stays in force"
	}
	attrs := []any{"error", s.Error}
	if s.Commit != "" {
		attrs = append(attrs, "refused", s.Commit)
	}
	if s.Hint != "" {
		attrs = append(attrs, "hint", s.Hint)
	}
	u.log.Error(msg, attrs...)
	u.logMistakes(s.Manifests)
}

// logDropped logs that the good desired state is no longer in force either.
func (u *runner) logDropped(err error) {
	u.logged.stale = err.Error()
	u.log.Error("the last good desired state is not verified any more, so none is in force", "error", text.JoinLines(err.Error()), "hint", text.Hint(err))
}

// logLost logs that the last verified commit could not be read again, when
// that is new; err is nil when it could.
func (u *runner) logLost(err error) {
	if err == nil {
		u.logged.lost = ""
		return
	}
	if why := text.JoinLines(err.Error()); why != u.logged.lost {
		u.logged.lost = why
		u.log.Warn("the last verified commit can't be read again", "error", why, "hint", text.Hint(err))
	}
}

// logFresh logs that the newest desired state is in force again, after it
// was not, and logs the warnings about it.
func (u *runner) logFresh(d *reconcile.Desired) {
	if u.logged.stale != "" {
		u.log.Info("the newest desired state is in force again")
	}
	u.logged.stale, u.logged.mistakes = "", nil
	if slices.Equal(d.Warnings, u.logged.warnings) {
		return
	}
	u.logged.warnings = d.Warnings
	for _, w := range d.Warnings {
		u.log.Warn("manifests", "warning", w)
	}
}

// logMistakes lists all mistakes in the manifests, once. A single one is in
// the error already.
func (u *runner) logMistakes(mistakes []string) {
	if len(mistakes) < 2 || slices.Equal(mistakes, u.logged.mistakes) {
		return
	}
	u.logged.mistakes = mistakes
	for _, m := range mistakes {
		u.log.Error("manifests", "error", m)
	}
}

// summarize writes the one line that each run ends with.
func (u *runner) summarize(rec *RunRecord) {
	level := slog.LevelInfo
	attrs := []any{"result", string(rec.Result), "trigger", string(rec.Trigger), "seconds", rec.Seconds}
	if s := rec.Summary; s != nil {
		attrs = append(attrs, "orgs", s.Orgs, "inSync", s.InSync, "changes", s.Changes, "unfixable", s.Unfixable,
			"unknown", s.Unknown, "unmanaged", s.Unmanaged)
	}
	if c := rec.Changes; c != (Changes{}) {
		attrs = append(attrs, "applied", c.Applied, "failed", c.Failed, "skipped", c.Skipped, "blocked", c.Blocked)
	}
	if rec.Stale != nil {
		level = slog.LevelWarn
		attrs = append(attrs, "stale", rec.Stale.Error)
		if rec.Stale.Commit != "" {
			attrs = append(attrs, "refused", rec.Stale.Commit)
		}
	}
	switch rec.Result {
	case ResultPartial, ResultRefused:
		level = slog.LevelWarn
	case ResultError:
		level = slog.LevelError
	}
	if p := rec.Problem; p != nil {
		attrs = append(attrs, "error", p.Error)
		if p.Hint != "" {
			attrs = append(attrs, "hint", p.Hint)
		}
	}
	u.log.Log(context.Background(), level, "run finished", attrs...)
}

// reportAlarms reports what was lost and nobody has acknowledged: on the log each
// time that it changes, in status and metrics for as long as it lasts.
func (u *runner) reportAlarms() {
	alarms, err := u.r.Alarms()
	if err != nil {
		alarms = []reconcile.Alarm{{Message: text.JoinLines(err.Error()), Hint: text.Hint(err)}}
	}
	u.board.alarms(alarms)
	u.metrics.alarms.Set(float64(len(alarms)))
	if now := fmt.Sprint(alarms); now != u.logged.alarms {
		u.logged.alarms = now
		for _, a := range alarms {
			u.log.Error("alarm", "org", a.Org, "alarm", a.Message, "hint", a.Hint)
		}
	}
}

// countUnverified counts a commit that is refused, once.
func (u *runner) countUnverified(err error) {
	var no *reconcile.UnverifiedError
	if !errors.As(err, &no) {
		if err == nil {
			u.logged.unverified = ""
		}
		return
	}
	if now := no.Commit + " " + no.Reason; now != u.logged.unverified {
		u.logged.unverified = now
		u.metrics.unverified.WithLabelValues(no.Reason).Inc()
	}
}

// reportHolds reports which suspensions hold writes: on the log when that changes,
// in status and metrics for as long as they last.
func (u *runner) reportHolds() {
	active, err := u.r.Suspensions()
	u.board.suspended(active)
	u.metrics.suspensions.Set(float64(len(active)))
	now := ""
	if len(active) > 0 {
		now = fmt.Sprint(active)
	}
	if now == u.logged.holds {
		return
	}
	u.logged.holds = now
	if err != nil {
		u.log.Error("it is not known what is suspended, so nothing is written", "error", text.JoinLines(err.Error()), "hint", text.Hint(err))
	}
	if len(active) == 0 {
		u.log.Info("writes are no longer suspended")
	}
	for i := range active {
		s := &active[i]
		orgs := "all"
		if len(s.Orgs) > 0 {
			orgs = strings.Join(s.Orgs, ",")
		}
		u.log.Warn("writes are suspended", "id", s.ID, "orgs", orgs, "suspension", s.String())
	}
}
