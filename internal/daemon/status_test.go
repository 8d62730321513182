package daemon

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"reconciler/internal/apply"
	"reconciler/internal/daemon/api"
	"reconciler/internal/diff"
	"reconciler/internal/freeze"
	"reconciler/internal/reconcile"
	"reconciler/internal/state"
)

// noon is when the tests of the tracker take place.
var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// testTracker is a tracker that has seen much: the input of the goldens.
func testTracker() *statusTracker {
	b := newStatusTracker(api.Status{
		Reconciler: "v1.2.3", Account: "0200bs0617vvhv2v675mch1cukp", Mode: state.Apply,
		Schedule: "*/10 * * * *", Source: "https://git.example/okta-orgs.git, branch main", Started: noon.Add(-2 * time.Hour),
	}, every10)
	stale := &api.Stale{
		Problem: reconcile.Problem{
			Error:     "orgs/emea.yaml:3:5: unknown key \"domian\" (and 1 more)",
			Manifests: []string{"orgs/emea.yaml:3:5: unknown key \"domian\"", "orgs/emea.yaml:9:5: unknown product \"ssso\""},
		},
		Refused: true, Commit: "def4567def4567def4567def4567def4567def45", Since: noon.Add(-30 * time.Minute),
	}
	plan := &diff.Plan{
		Digest: "sha256:0123", Products: map[string]string{"P1": "sso"},
		Summary:   diff.Summary{Declared: 4, Orgs: 4, Writable: 3, InSync: 1, Changes: 3, Unmanaged: 1, Unfixable: 1, Unknown: 1, Blocked: 1, Destructive: 1},
		Unmanaged: []diff.Unmanaged{{Org: "acme-other.okta.com", OrgID: "00o9"}},
		Unknown:   []diff.Unknown{{Org: "acme-shop.okta.com", OrgID: "00o3", Error: "403 E0000006 You do not have permission (errorId oae1)"}},
		Refusals:  []diff.Refusal{},
		Changes: []diff.Change{
			{
				Org: "acme-emea.okta.com", OrgID: "00oacme-emea.okta.com", Action: diff.UpdateProducts,
				Before: diff.List([]string{"P1", "P2"}), After: diff.List([]string{"P1"}),
			},
			{
				Org: "acme-labs.okta.com", OrgID: "00oacme-labs.okta.com", Action: diff.SetStatus,
				Before: diff.Text("ACTIVE"), After: diff.Text("INACTIVE"), Destructive: true, Blocked: "protected",
			},
		},
		Unfixable: []diff.Unfixable{{Org: "acme-labs.okta.com", Field: "cell", Desired: "ok1", Actual: "ok2"}},
	}
	result := &apply.Result{Outcomes: []apply.Outcome{
		{Org: "acme-emea.okta.com", OrgID: "00o1", Action: diff.UpdateProducts, Result: apply.Failed, Error: "500 E0000009 <b>", Hint: "try again"},
		{Org: "acme-labs.okta.com", OrgID: "00o2", Action: diff.SetStatus, Result: apply.Blocked},
	}}
	drift := reconcile.DriftOf(plan, result)
	compareRuns(nil, drift, noon.Add(-10*time.Minute))
	first := api.RunRecord{
		ID: "20261121T115000Z-aaaaaa", Trigger: api.TriggerStart, Started: noon.Add(-10 * time.Minute), Finished: noon.Add(-590 * time.Second),
		Seconds: 10, Mode: state.Apply, Result: ResultError, Problem: &reconcile.Problem{Error: "no route to host", Hint: "look at the network"},
	}
	second := api.RunRecord{
		ID: "20261121T120000Z-bbbbbb", Trigger: api.TriggerSchedule, Started: noon, Finished: noon.Add(3 * time.Second), Seconds: 3,
		Mode: state.Apply, Commit: "abc1234abc1234abc1234abc1234abc1234abc12", Signer: "ada@acme.example (ssh SHA256:AbC)", Result: ResultPartial, Stale: stale,
		Digest: plan.Digest, Summary: &plan.Summary, Changes: api.Changes{Failed: 1, Blocked: 1}, Outcomes: result.Outcomes,
	}
	b.begin(api.Running{ID: first.ID, Trigger: first.Trigger, Started: first.Started})
	b.end(first, nil)
	b.begin(api.Running{ID: second.ID, Trigger: second.Trigger, Started: second.Started})
	b.compared(plan, drift, noon.Add(2*time.Second), noon)
	b.end(second, &api.InForce{Commit: second.Commit, Signer: second.Signer, Since: noon.Add(-time.Hour), Stale: stale})
	b.suspended([]freeze.Suspension{
		{Orgs: []string{"*.oktapreview.com", "acme-x.okta.com"}, Reason: "load <test>", Owner: "ada@acme.example"},
		{ID: "k3j2m5x7", Reason: "audit", Owner: "bob", Since: noon.Add(-time.Hour), Until: noon.Add(time.Hour)},
	}, []freeze.Hold{{Orgs: []string{"acme-x.okta.com"}, Reason: "freeze window", Until: noon.Add(2 * time.Hour)}})
	b.planned(noon.Add(10 * time.Minute))
	return b
}

func TestReadiness(t *testing.T) {
	rec := func(r Result, finished time.Time, seconds float64) api.RunRecord {
		rec := api.RunRecord{ID: "r", Result: r, Finished: finished, Seconds: seconds}
		if r == ResultError {
			rec.Problem = &reconcile.Problem{Error: "boom"}
		}
		return rec
	}
	good := rec(ResultDrift, noon.Add(time.Minute), 60) // slots 12:10, 12:20, 12:30
	bad := rec(ResultError, noon.Add(10*time.Minute), 1)
	tests := []struct {
		name string
		next func(time.Time) time.Time
		runs []api.RunRecord
		at   time.Time
		want string // part of the reason; empty when ready
	}{
		{"before the first run's end", every10, nil, noon, "the first run has not ended"},
		{"first run failed", every10, []api.RunRecord{bad}, noon, "no run has succeeded yet; the last ended with error: boom"},
		{"first run was refused by a guard", every10, []api.RunRecord{rec(ResultRefused, noon, 1)}, noon, ""},
		{"first run was stopped", every10, []api.RunRecord{rec(ResultInterrupted, noon, 1)}, noon, "the last ended with interrupted"},
		{"after a success", every10, []api.RunRecord{good}, noon.Add(2 * time.Minute), ""},
		{"failed after a success", every10, []api.RunRecord{good, bad}, noon.Add(11 * time.Minute), ""},
		{"third slot has come", every10, []api.RunRecord{good, bad}, noon.Add(30 * time.Minute), ""},
		{"and a run's time after it", every10, []api.RunRecord{good, bad}, noon.Add(31 * time.Minute), ""},
		{"and more", every10, []api.RunRecord{good, bad}, noon.Add(31*time.Minute + 1), "ended at 2026-11-21T12:01:00Z, and a run at 2026-11-21T12:31:00Z should have succeeded since; the last ended with error: boom"},
		{"success again", every10, []api.RunRecord{good, bad, rec(ResultInSync, noon.Add(time.Hour), 1)}, noon.Add(time.Hour), ""},
		{"the loop stands still", every10, []api.RunRecord{good}, noon.Add(time.Hour), "should have succeeded since"},
		{"schedule of seconds", func(t time.Time) time.Time { return t.Add(time.Second) }, []api.RunRecord{good}, noon.Add(6 * time.Minute), ""},
		{"schedule of seconds, stale", func(t time.Time) time.Time { return t.Add(time.Second) }, []api.RunRecord{good}, noon.Add(8 * time.Minute), "should have succeeded"},
		{"no more slots", never, []api.RunRecord{good}, noon.Add(1000 * time.Hour), ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			b := newStatusTracker(api.Status{}, tc.next)
			for _, r := range tc.runs {
				b.end(r, nil)
			}
			s := b.read(tc.at)
			if s.Ready != (tc.want == "") || !strings.Contains(s.NotReady, tc.want) || s.Ready != (s.NotReady == "") {
				t.Errorf("ready %v, %q; want %q", s.Ready, s.NotReady, tc.want)
			}
			if strings.Contains(s.NotReady, "\n") {
				t.Errorf("more than one line: %q", s.NotReady)
			}
		})
	}
}

// A run that the jitter puts off is not missing.
func TestReadinessWithJitter(t *testing.T) {
	hourly := func(t time.Time) time.Time { return t.Truncate(time.Hour).Add(time.Hour) }
	b := newStatusTracker(api.Status{}, hourly)
	b.jitter = 50 * time.Minute
	b.end(api.RunRecord{ID: "r", Result: ResultInSync, Finished: noon.Add(50 * time.Minute)}, nil) // slots 13:00, 14:00, 15:00
	if s := b.read(noon.Add(3*time.Hour + 50*time.Minute)); !s.Ready {
		t.Errorf("not ready: %s", s.NotReady)
	}
	if s := b.read(noon.Add(3*time.Hour + 50*time.Minute + 1)); s.Ready {
		t.Error("ready, though three runs have had time to succeed")
	}
}

// A standby is ready if the one that leads is, whatever its own clock.
func TestReadinessOfAStandby(t *testing.T) {
	b := newStatusTracker(api.Status{}, every10)
	b.updateOwn(func(s *api.Status) { s.StandingBy = &api.Process{PID: 12, Host: "h", Since: noon} })
	leader := api.Status{LastRun: &api.RunRecord{Result: ResultInSync}, LastSuccess: &api.Success{Finished: noon}}
	const overdue = "a run should have succeeded since"
	for _, why := range []string{"", overdue, ""} {
		leader.NotReady = why
		for _, now := range []time.Time{noon, noon.Add(2 * time.Hour), noon.Add(-2 * time.Hour)} {
			b.mirror(&leader, now)
			if s := b.read(now); s.NotReady != why || s.Ready != (why == "") || b.ready(now) != s.Ready {
				t.Errorf("at %s: ready %v, %q; want %q", now, s.Ready, s.NotReady, why)
			}
			if s := b.read(now.Add(mirrorFor + 1)); s.NotReady != s.Standby() {
				t.Errorf("without news of the one that leads: %q", s.NotReady)
			}
		}
	}
}

func TestTrackerStuck(t *testing.T) {
	b := newStatusTracker(api.Status{}, every10)
	check := func(at time.Time, want string) {
		t.Helper()
		if got := b.stuck(at); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("at %v: %q, want %q", at, got, want)
		}
	}
	check(noon, "")
	b.begin(api.Running{ID: "r1", Started: noon})
	check(noon.Add(longestRun), "")
	check(noon.Add(longestRun+1), "run r1 has been going on since 2026-11-21T12:00:00Z")
	b.end(api.RunRecord{ID: "r1", Result: ResultInSync}, nil)
	b.planned(noon.Add(time.Hour))
	check(noon.Add(time.Hour+latestRun), "")
	check(noon.Add(time.Hour+latestRun+1), "the run of 2026-11-21T13:00:00Z has not begun")
	b.begin(api.Running{ID: "r2", Started: noon.Add(3 * time.Hour)})
	check(noon.Add(3*time.Hour), "")
	b.planned(time.Time{})
	b.end(api.RunRecord{ID: "r2", Result: ResultInSync}, nil)
	check(noon.Add(1000*time.Hour), "")
}

// Each run makes another version of the status. It is news only if it found something else.
func TestTrackerVersions(t *testing.T) {
	tracker := newStatusTracker(api.Status{}, every10)
	n := 0
	run := func(drift []Drift, result reconcile.Result) (shown, news int64) {
		n++
		at := noon.Add(time.Duration(n) * time.Minute)
		before, old := tracker.versions()
		tracker.begin(api.Running{ID: fmt.Sprint(n), Started: at})
		tracker.compared(&diff.Plan{}, drift, at, at)
		tracker.suspended([]freeze.Suspension{}, []freeze.Hold{})
		tracker.alarms([]reconcile.Alarm{})
		tracker.end(api.RunRecord{ID: fmt.Sprint(n), Started: at, Finished: at.Add(time.Duration(n) * time.Second), Seconds: float64(n), Result: result}, nil)
		tracker.planned(at.Add(10 * time.Minute))
		shown, news = tracker.versions()
		return shown - before, news - old
	}
	drift := func() []Drift { return []Drift{{Org: "a.okta.com", Field: "products"}} }
	for _, step := range []struct {
		what   string
		drift  []Drift
		result reconcile.Result
		news   bool
	}{
		{"first", drift(), reconcile.ResultDrift, true},
		{"same", drift(), reconcile.ResultDrift, false},
		{"none", []Drift{}, reconcile.ResultInSync, true},
		{"none again", []Drift{}, reconcile.ResultInSync, false},
		{"failed", []Drift{}, reconcile.ResultError, true},
	} {
		if shown, news := run(step.drift, step.result); shown == 0 || news > 0 != step.news {
			t.Errorf("%s: %d changes, %d of them news", step.what, shown, news)
		}
	}
	_, before := tracker.versions()
	tracker.tokensRefused(errors.New("no such file"))
	if _, news := tracker.versions(); news == before {
		t.Error("refused tokens are no news")
	}
}

func TestTrackerRemembersRecentRuns(t *testing.T) {
	b := newStatusTracker(api.Status{}, every10)
	before := b.read(noon)
	for i := range recentRuns + 5 {
		b.end(api.RunRecord{ID: string(rune('a' + i)), Result: ResultApplied, Outcomes: []apply.Outcome{{Org: "x"}}}, nil)
	}
	s := b.read(noon)
	if len(s.RecentRuns) != recentRuns || s.RecentRuns[0].ID != "y" || s.RecentRuns[recentRuns-1].ID != "f" {
		t.Errorf("%d recent runs: %+v", len(s.RecentRuns), s.RecentRuns)
	}
	if s.RecentRuns[0].Outcomes != nil || s.LastRun.Outcomes == nil {
		t.Error("outcomes belong to the last run and not to the recent ones")
	}
	if len(before.RecentRuns) != 0 || before.LastRun != nil {
		t.Error("a status that was read has changed")
	}
}
