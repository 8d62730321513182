package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"reconciler/internal/apply"
	"reconciler/internal/daemon/api"
	"reconciler/internal/diff"
	"reconciler/internal/reconcile"
	"reconciler/internal/report"
	"reconciler/internal/text"
)

// nonEmpty returns keys and values as attributes of a log line, without those
// whose value is empty.
func nonEmpty(pairs ...string) []any {
	var attrs []any
	for pair := range slices.Chunk(pairs, 2) {
		if pair[1] != "" {
			attrs = append(attrs, pair[0], pair[1])
		}
	}
	return attrs
}

// errorAttrs returns an error and its hint as attributes of a log line. Of many
// mistakes it has the first, and the number of the others.
func errorAttrs(err error) []any {
	p := reconcile.ProblemOf(err)
	return nonEmpty("error", p.Error, "hint", p.Hint)
}

// logged is what was logged last, so that a run logs only what has changed.
type logged struct {
	drift   []Drift
	unknown unread
	last    map[string]string // by subject
}

// changed reports whether what is to be logged about a subject has changed, and
// remembers it; "" means that there is nothing to log.
func (l *logged) changed(subject, now string) bool {
	if l.last == nil {
		l.last = map[string]string{}
	}
	before := l.last[subject]
	l.last[subject] = now
	return now != before
}

// reportDrift reports the differences that a run found and did not repair, in
// status, metrics and log. configured is when what the plan knows of the orgs'
// configuration was read. It returns whether drift began, changed or ended.
func (u *runner) reportDrift(plan *diff.Plan, result *apply.Result, configured time.Time, record *reconcile.Record) (moved bool) {
	now := u.now().UTC()
	drift := reconcile.DriftOf(plan, result)
	counts := fleetOf(plan, drift)
	unknown := unreadOf(plan)
	drift = withOld(drift, u.logged.drift, unknown)
	news, gone := compareRuns(u.logged.drift, drift, now)
	moved = len(news)+len(gone) > 0
	u.keepDrift(record, result, drift)
	u.logged.drift = drift
	u.tracker.compared(plan, drift, now, configured)
	u.metrics.compared(drift, counts, objectsOf(plan, result))
	u.metrics.refused(plan.Refusals)

	if u.single {
		news = slices.Clone(drift)
	}
	u.logUnknown(plan.Unknown)
	u.logged.unknown = unknown

	// A failed change was logged when it failed.
	news = slices.DeleteFunc(news, func(d Drift) bool { return d.Error != "" })
	few(len(news), func(i int) { u.log.Warn("drift", driftAttrs(&news[i])...) },
		func(left int) { u.log.Warn("more drift", "more", left) })
	few(len(gone), func(i int) { u.log.Info("drift is gone", "org", gone[i].Org, "field", gone[i].Field) },
		func(left int) { u.log.Info("more drift is gone", "more", left) })
	if u.logged.changed("notes", noteLines(plan.Notes)) {
		few(len(plan.Notes), func(i int) { u.log.Warn("note", "org", plan.Notes[i].Org, "note", plan.Notes[i].Message) },
			func(left int) { u.log.Warn("more notes", "more", left) })
	}
	if u.logged.changed("refusals", fmt.Sprint(plan.Refusals)) {
		few(len(plan.Refusals), func(i int) {
			u.log.Warn("a guard refuses the plan", "guard", plan.Refusals[i].Guard, "message", plan.Refusals[i].Message)
		}, func(left int) { u.log.Warn("guards refuse the plan for more reasons", "more", left) })
	}
	return moved
}

// keepDrift records what a run found, and sets who caused the drift as far as the history
// knows it.
func (u *runner) keepDrift(record *reconcile.Record, result *apply.Result, drift []Drift) {
	open, err := record.Compared(result)
	if err != nil {
		u.log.Warn("the history does not take what this run found", errorAttrs(err)...)
	}
	reconcile.SetCauses(drift, open)
}

// logUnknown logs the orgs that can't be read now, and could before, or could not for
// another reason.
func (u *runner) logUnknown(all []diff.Unknown) {
	all = slices.DeleteFunc(slices.Clone(all), func(o diff.Unknown) bool {
		before, known := u.logged.unknown[o.Org]
		return known && before.Part == o.Part && before.Error == o.Error
	})
	few(len(all), func(i int) {
		o := &all[i]
		msg := "org can't be read, and is left alone"
		if o.Part == diff.PartConfiguration {
			msg = "the org's configuration can't be read, and is left alone"
		}
		u.log.Warn(msg, append([]any{"org", o.Org, "orgID", o.OrgID}, nonEmpty("error", o.Reason(), "hint", o.Hint)...)...)
	}, func(left int) { u.log.Warn("more orgs can't be read, and are left alone", "more", left) })
}

// noteLines returns the notes as one text; "" for none.
func noteLines(notes []diff.Note) string {
	var lines []string
	for _, n := range notes {
		lines = append(lines, n.Org+" "+n.Message)
	}
	return strings.Join(lines, "\n")
}

// driftAttrs returns a drift as attributes of a log line.
func driftAttrs(d *Drift) []any {
	return append([]any{"org", d.Org, "field", d.Field, "repair", report.Phrase(d.Field, d.Lines(nil))},
		nonEmpty("blocked", d.Blocked)...)
}

// changed reports the outcome of a change as soon as it is known.
func (u *runner) changed(c diff.Change, o apply.Outcome) {
	u.metrics.change(o)
	attrs := []any{"org", c.Org, "orgID", o.OrgID, "action", string(c.Action)}
	if c.Kind != "" {
		attrs = append(attrs, nonEmpty("field", c.Field(), "paths", pathsOf(&c))...)
	} else {
		attrs = append(attrs, "before", report.Value(c.Before, nil), "after", report.Value(c.After, nil))
	}
	attrs = append(attrs, nonEmpty("error", o.Error, "hint", o.Hint)...)
	switch o.Result {
	case apply.Applied:
		u.log.Info("change applied", attrs...)
	case apply.Failed:
		u.log.Error("change failed", attrs...)
	case apply.Skipped: // of which there can be thousands, for one reason
		if u.skipped++; u.skipped <= logLines {
			u.log.Warn("change skipped", attrs...)
		}
	default: // blocked: logged as drift, once
		u.log.Debug("change blocked", append(attrs, "blocked", c.Blocked)...)
	}
}

// pathsOf returns the fields of an object that a change writes, without their values.
func pathsOf(c *diff.Change) string {
	var paths []string
	for i := range c.Fields[:min(len(c.Fields), maxWords)] {
		paths = append(paths, c.Fields[i].Path)
	}
	return strings.Join(paths, ", ")
}

// logStale logs that the newest desired state is not in force, or that the
// reason for it has changed.
func (u *runner) logStale(s *api.Stale) {
	if !u.logged.changed("stale", s.Commit+" "+s.Key) {
		return
	}
	msg := "the newest manifests can't be read; the last good desired state stays in force"
	if s.Refused {
		msg = "the newest manifests are refused; the last good desired state stays in force"
	}
	u.log.Error(msg, nonEmpty("error", s.Error, "refused", s.Commit, "hint", s.Hint)...)
	u.logMistakes(s.Manifests)
}

// logDropped logs that the last good desired state is no longer in force either.
func (u *runner) logDropped(err error) {
	u.logged.changed("stale", reconcile.ProblemOf(err).Error)
	u.log.Error("the last good desired state is not verified any more, so none is in force", errorAttrs(err)...)
}

// logLost logs that the last verified commit could not be read again; err is nil
// when it could.
func (u *runner) logLost(err error) {
	now := ""
	if err != nil {
		now = reconcile.ProblemOf(err).Error
	}
	if u.logged.changed("lost", now) && err != nil {
		u.log.Warn("the last verified commit can't be read again", errorAttrs(err)...)
	}
}

// logNewest logs that the newest desired state is in force again, after it was
// not, and its warnings.
func (u *runner) logNewest(d *reconcile.Desired) {
	if u.logged.changed("stale", "") {
		u.log.Info("the newest desired state is in force again")
	}
	u.logged.changed("mistakes", "")
	if u.logged.changed("warnings", strings.Join(d.Warnings, "\n")) {
		few(len(d.Warnings), func(i int) { u.log.Warn("manifests", "warning", d.Warnings[i]) },
			func(left int) { u.log.Warn("manifests have more warnings", "more", left) })
	}
}

// logMistakes logs all mistakes in the manifests. A single one is in the error
// already.
func (u *runner) logMistakes(mistakes []string) {
	if len(mistakes) < 2 || !u.logged.changed("mistakes", strings.Join(mistakes, "\n")) {
		return
	}
	few(len(mistakes), func(i int) { u.log.Error("manifests", "error", mistakes[i]) },
		func(int) {
			u.log.Error("manifests have more mistakes", "hint", "reconciler validate prints all of them")
		})
}

// summarize logs the result of a run. What is found out and sent after it may be logged
// later.
func (u *runner) summarize(rec *api.RunRecord) {
	level := slog.LevelInfo
	attrs := []any{"result", string(rec.Result), "trigger", string(rec.Trigger), "seconds", rec.Seconds}
	if s := rec.Summary; s != nil {
		attrs = append(attrs, "orgs", s.Orgs, "inSync", s.InSync, "changes", s.Changes, "unfixable", s.Unfixable,
			"unknown", s.Unknown, "unmanaged", s.Unmanaged)
	}
	if c := rec.Changes; c != (api.Changes{}) {
		attrs = append(attrs, "applied", c.Applied, "failed", c.Failed, "skipped", c.Skipped, "blocked", c.Blocked)
	}
	if rec.Stale != nil {
		level = slog.LevelWarn
		attrs = append(attrs, nonEmpty("stale", rec.Stale.Error, "refused", rec.Stale.Commit)...)
	}
	switch rec.Result {
	case ResultPartial, ResultRefused:
		level = slog.LevelWarn
	case ResultError:
		level = slog.LevelError
	}
	if p := rec.Problem; p != nil {
		attrs = append(attrs, nonEmpty("error", p.Error, "hint", p.Hint)...)
	}
	attrs = append(attrs, nonEmpty("head", rec.Head)...)
	u.log.Log(context.Background(), level, runFinished, attrs...)
}

// reportAlarms reports the alarms that nobody has acknowledged.
func (u *runner) reportAlarms() {
	alarms, err := u.r.Alarms()
	if err != nil {
		alarms = []reconcile.Alarm{{Message: text.JoinLines(err.Error()), Hint: text.Hint(err)}}
	}
	u.tracker.alarms(alarms)
	u.metrics.alarms.Set(float64(len(alarms)))
	if u.logged.changed("alarms", fmt.Sprint(alarms)) {
		few(len(alarms), func(i int) {
			a := &alarms[i]
			u.log.Error("alarm", "org", a.Org, "alarm", a.Message, "hint", a.Hint)
		}, func(left int) { u.log.Error("more alarms", "more", left) })
	}
}

// countUnverified counts a commit that failed verification, once.
func (u *runner) countUnverified(err error) {
	var failed *reconcile.UnverifiedError
	switch {
	case err == nil:
		u.telling.unverified = &unverified{}
		u.logged.changed("unverified", "")
	case errors.As(err, &failed):
		u.telling.unverified = &unverified{failed.Commit, failed.Reason, failed.Why()}
		if u.logged.changed("unverified", failed.Commit+" "+failed.Reason) {
			u.metrics.unverified.WithLabelValues(failed.Reason).Inc()
		}
	}
}

// reportSuspensions reports the suspensions in effect.
func (u *runner) reportSuspensions() {
	active, err := u.r.Suspensions()
	u.tracker.suspended(active, u.r.HeldByWindows())
	u.metrics.suspensions.Set(float64(len(active)))
	now := ""
	if len(active) > 0 {
		now = fmt.Sprint(active)
	}
	if !u.logged.changed("suspensions", now) {
		return
	}
	if err != nil {
		u.log.Error("it is not known what is suspended, so nothing is written", errorAttrs(err)...)
	}
	if len(active) == 0 {
		u.log.Info("writes are no longer suspended")
	}
	few(len(active), func(i int) {
		s := &active[i]
		orgs := cmp.Or(strings.Join(s.Orgs, ","), "all")
		u.log.Warn("writes are suspended", "id", s.ID, "orgs", orgs, "suspension", s.String())
	}, func(left int) { u.log.Warn("more suspensions", "more", left) })
}

// attribute finds out who caused drift, after a run, and shows it.
func (u *runner) attribute(ctx context.Context) {
	found, err := u.r.Attribute(ctx, u.r.History())
	if err != nil && ctx.Err() == nil {
		u.log.Warn("who caused drift could not be found out; the next run tries again", errorAttrs(err)...)
	}
	u.metrics.attributed(found)
	if found == (reconcile.Attribution{}) {
		return
	}
	open, err := u.r.History().Drifts()
	if err != nil {
		u.log.Warn("the history can't say who caused drift", errorAttrs(err)...)
		return
	}
	drift := slices.Clone(u.logged.drift)
	reconcile.SetCauses(drift, open)
	u.logged.drift = drift
	u.tracker.update(func(s *api.Status) { s.Drift = first(drift) })
}
