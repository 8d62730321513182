package daemon

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"reconciler/internal/apply"
	"reconciler/internal/daemon/api"
	"reconciler/internal/diff"
	"reconciler/internal/okta/objects"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/reconcile"
)

// A cause that concerns thousands of orgs makes counts and the first few lines.
func TestThousandsDrift(t *testing.T) {
	if testing.Short() {
		t.Skip("5,000 orgs")
	}
	const orgs = 5000
	bubble(t, func(t *testing.T) {
		seed := testSeed()
		var all strings.Builder
		all.WriteString("version: 1\norgs:\n")
		for i := range orgs {
			domain := fmt.Sprintf("many-%04d.okta.com", i)
			seed.Orgs = append(seed.Orgs, simulator.Org{
				ID: fmt.Sprintf("00m%017d", i), Domain: domain, Name: domain, Cell: "ok1", Status: "ACTIVE", Managed: true, Consent: true,
			})
			fmt.Fprintf(&all, "- {domain: %s, cell: ok1, status: INACTIVE}\n", domain)
		}
		w := newWorld(t, worldOptions{seed: seed})
		w.commit(all.String())
		w.log.reset()
		s := w.expect(ResultDrift)
		if s.Totals.Drift != orgs || len(s.Drift) != maxListed || s.Summary.Changes != orgs {
			t.Errorf("totals %+v, %d listed", s.Totals, len(s.Drift))
		}
		if n := strings.Count(w.log.String(), "\n") - strings.Count(w.log.String(), `"DEBUG"`); n > 20 {
			t.Errorf("%d lines of log:\n%s", n, w.log)
		}
		if more := w.log.lines(t, "more drift"); len(more) != 1 || fmt.Sprint(more[0]["more"]) != fmt.Sprint(orgs-logLines) {
			t.Errorf("%v", more)
		}
		page := ask(w.handler, "GET", "/").Body.String()
		if n := strings.Count(page, `data-label="Org"><a href="/orgs/many-`); n > 100 || !strings.Contains(page, "All 5,000 differences") || !strings.Contains(page, "<b>5,000</b>") {
			t.Errorf("the page has %d rows:\n%s", n, page)
		}
		metrics := ask(w.handler, "GET", "/metrics").Body.String()
		if n := strings.Count(metrics, "\nreconciler_drift{"); n != maxSeries {
			t.Errorf("%d series", n)
		}
		if n := strings.Count(metrics, "\nreconciler_drift_since_timestamp_seconds{"); n != maxSeries {
			t.Errorf("%d series of orgs", n)
		}
		w.expectMetrics(map[string]string{"reconciler_drift_series_dropped": fmt.Sprint(orgs - maxSeries), "reconciler_drift_fields": fmt.Sprint(orgs), `reconciler_orgs{state="drifted"}`: fmt.Sprint(orgs)})

		w.commit(strings.ReplaceAll(all.String(), "INACTIVE", "ACTIVE"))
		w.log.reset()
		w.expect(ResultInSync)
		if n := strings.Count(w.log.String(), "\n") - strings.Count(w.log.String(), `"DEBUG"`); n > 20 {
			t.Errorf("%d lines of log about what is gone", n)
		}
		w.expectMetrics(map[string]string{
			"reconciler_drift_series_dropped": "0", "reconciler_drift_oldest_timestamp_seconds": "", `reconciler_drift_since_timestamp_seconds{org="many-0000.okta.com"}`: "",
			"reconciler_drift_fields": "0", `reconciler_drift{field="status",org="many-0000.okta.com"}`: ""})
	})
}

// Thousands of objects with hundreds of addresses don't make a status that nobody can
// load, nor a series for each.
func TestThousandsOfObjectsDrift(t *testing.T) {
	if testing.Short() {
		t.Skip("5,000 objects")
	}
	const orgs, each = 50, 100
	var addresses []any
	for i := range 400 {
		addresses = append(addresses, fmt.Sprintf("192.0.%d.%d", i/256, i%256))
	}
	after := fmt.Sprint(addresses)
	plan := &diff.Plan{
		Summary: diff.Summary{Orgs: orgs, Changes: orgs * each, Objects: &diff.ObjectSummary{Declared: 2 * orgs * each}},
		Objects: map[string]diff.ObjectSummary{"networkZones": {Declared: 2 * orgs * each}},
	}
	for i := range orgs * each {
		domain, name := fmt.Sprintf("org-%02d.okta.com", i/each), fmt.Sprintf("Zone %03d", i%each)
		plan.Changes = append(plan.Changes, diff.Change{
			Org: domain, Action: diff.UpdateObject, Kind: "networkZones", Object: name,
			Fields: []diff.Field{{FieldChange: objects.FieldChange{Path: "gateways", Before: addresses, After: after}}},
		})
		plan.Unfixable = append(plan.Unfixable, diff.Unfixable{
			Org: domain, Field: "networkZones/Fixed " + name + ": type", Kind: "networkZones", Object: "Fixed " + name,
		})
	}
	log := &logBuffer{}
	u := &runner{log: log.logger(), metrics: newMetrics("v1"), tracker: newStatusTracker(api.Status{}, every10), now: time.Now}
	u.reportDrift(plan, nil, time.Now(), nil)

	s := u.tracker.read(time.Now())
	text, err := json.Marshal(s)
	if err != nil || len(text) > 3<<20 || s.Totals.Drift != 2*orgs*each || len(s.Drift) != maxListed {
		t.Errorf("%d bytes, totals %+v, %d listed, %v", len(text), s.Totals, len(s.Drift), err)
	}
	if n := strings.Count(log.String(), "\n"); n != logLines+1 || len(log.String()) > 100_000 {
		t.Errorf("%d lines, %d bytes of log", n, len(log.String()))
	}
	if n := testutil.CollectAndCount(u.metrics.drift.drift); n != orgs {
		t.Errorf("%d series, want one for each org and kind", n)
	}
	if n := testutil.ToFloat64(u.metrics.objects.WithLabelValues("networkZones", "drifted")); n != 2*orgs*each {
		t.Errorf("%v objects drifted", n)
	}
}

// What a run of a large account leaves in memory doesn't grow with each run.
func TestMemoryDoesNotGrowWithRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("it is about memory, and takes long for a single goroutine")
	}
	const orgs = 20_000
	next := func(t time.Time) time.Time { return t.Add(time.Hour) }
	u := &runner{
		log: slog.New(slog.DiscardHandler), metrics: newMetrics("v1"), tracker: newStatusTracker(api.Status{}, next), now: time.Now,
	}
	run := func(n int) {
		plan := &diff.Plan{Summary: diff.Summary{Orgs: orgs, Changes: orgs}}
		result := &apply.Result{}
		for i := range orgs {
			org := fmt.Sprintf("org-%06d.okta.com", i+n*100) // others drift than before
			plan.Changes = append(plan.Changes, diff.Change{Org: org, Action: diff.SetStatus})
			plan.Unmanaged = append(plan.Unmanaged, diff.Unmanaged{Org: "u" + org})
			plan.Unknown = append(plan.Unknown, diff.Unknown{Org: "n" + org, Error: "403"})
			result.Outcomes = append(result.Outcomes, apply.Outcome{Org: org, Action: diff.SetStatus, Result: apply.Failed, Error: "500"})
		}
		rec := api.RunRecord{ID: fmt.Sprint(n), Result: ResultPartial, Outcomes: firstOutcomes(result.Outcomes)}
		rec.SetPlan(plan)
		u.reportDrift(plan, result, time.Now(), nil)
		u.metrics.run(&rec, false)
		u.tracker.end(rec, nil)
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for n := range 3 {
		run(n)
	}
	before := heap()
	for n := range 6 {
		run(3 + n)
	}
	if after := heap(); after > before+before/10 || after > 100<<20 {
		t.Errorf("%d MB after 3 runs, %d MB after 9", before>>20, after>>20)
	}
	if got := len(u.tracker.read(time.Now()).LastRun.Outcomes); got != maxListed {
		t.Errorf("%d outcomes", got)
	}
}

// Of many outcomes, the failures are kept.
func TestFirstOutcomes(t *testing.T) {
	all := make([]apply.Outcome, 3*maxListed)
	all[len(all)-1] = apply.Outcome{Org: "last", Result: apply.Failed}
	if got := firstOutcomes(all); len(got) != maxListed || got[0].Org != "last" {
		t.Errorf("%d outcomes, the first %+v", len(got), got[0])
	}
}

// Thousands of mistakes, warnings and alarms are counted, too.
func TestFewLines(t *testing.T) {
	log := &logBuffer{}
	u := &runner{log: log.logger(), metrics: newMetrics("v1"), now: time.Now}
	many := make([]string, 4000)
	for i := range many {
		many[i] = fmt.Sprint("line ", i)
	}
	u.logNewest(&reconcile.Desired{Warnings: many})
	u.logMistakes(many)
	if n := strings.Count(log.String(), "\n"); n != 2*(logLines+1) {
		t.Errorf("%d lines", n)
	}
}
