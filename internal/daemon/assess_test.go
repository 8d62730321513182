package daemon

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/daemon/api"
	"reconciler/internal/freeze"
	"reconciler/internal/reconcile"
)

// TestAssess: what is worst comes first, and what is old says how old.
func TestAssess(t *testing.T) {
	compared := noon.Add(-3 * time.Hour)
	success := &api.Success{Finished: compared}
	good := &api.RunRecord{Result: ResultInSync, Started: compared.Add(-time.Second), Finished: compared}
	failed := &api.RunRecord{Result: ResultError, Started: noon.Add(-time.Minute), Problem: &reconcile.Problem{Error: "no route to host"}}
	const age = "compared at 2026-11-21T09:00:00Z"
	for _, tt := range []struct {
		name     string
		status   api.Status
		state    api.State
		outdated string
		problems []string
	}{
		{"first", api.Status{NotReady: "the first run has not ended yet"}, api.StateStarting, "", nil},
		{"in sync", api.Status{Ready: true, LastRun: good, LastSuccess: success, Compared: &compared}, "in-sync", "", nil},
		{"runs fail", api.Status{Ready: true, LastRun: failed, LastSuccess: success, Compared: &compared}, "error", age + ": no run since then could",
			[]string{"the last run failed: no route to host", age + ": no run since then could"}},
		{"runs fail for long", api.Status{NotReady: "stale", LastRun: failed, LastSuccess: success, Compared: &compared}, api.StateNotReady, age + ": no run since then could",
			[]string{"not ready: stale", "the last run failed: no route to host", age + ": no run since then could"}},
		{"no runs", api.Status{NotReady: "stale", LastRun: good, LastSuccess: success, Compared: &compared}, api.StateNotReady, age,
			[]string{"not ready: stale", age}},
		{"HEAD is refused", api.Status{
			Ready: true, LastRun: good, LastSuccess: success, Compared: &compared,
			Desired: &api.InForce{Commit: "abc1234abc1234", Stale: &api.Stale{Problem: reconcile.Problem{Error: "not signed"}}},
		}, api.StateStale, age + ", with commit abc1234abc12, which is not the newest",
			[]string{"the desired state in force is not the newest: not signed", age + ", with commit abc1234abc12, which is not the newest"}},
		{"alarm and suspension", api.Status{
			Ready: true, LastRun: good, LastSuccess: success, Compared: &compared,
			Suspensions: []freeze.Suspension{{Owner: "ada", Reason: "audit"}}, Alarms: []reconcile.Alarm{{Org: "a.okta.com", Message: "lost"}},
		}, api.StateAlarm, "", []string{"alarm: a.okta.com: lost", `writes are suspended by "ada" (no end given): audit`}},
		{"drift", api.Status{Ready: true, LastRun: &api.RunRecord{Result: ResultDrift, Started: compared}, Compared: &compared, Drift: []Drift{{}}},
			"drift", "", []string{"1 field of an org differs"}},
		{"more than is listed", api.Status{Ready: true, LastRun: &api.RunRecord{Result: ResultDrift, Started: compared}, Compared: &compared, Drift: []Drift{{}}, Totals: api.Totals{Drift: 4000}},
			"drift", "", []string{"4000 fields of orgs differ"}},
		{"a config is refused", api.Status{Ready: true, LastRun: good, Config: api.ConfigInForce{Refused: &api.ConfigRefused{Problem: reconcile.Problem{Error: "line 3"}}}},
			"in-sync", "", []string{"the config that was read last is refused, and the one before is in force: line 3"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := tt.status
			s.Now = noon
			s.Assess()
			if s.State != tt.state || s.Outdated != tt.outdated {
				t.Errorf("state %q, outdated %q", s.State, s.Outdated)
			}
			var messages []string
			for _, p := range s.Problems {
				messages = append(messages, p.Message)
			}
			if d := cmp.Diff(tt.problems, messages); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestPageIsNotGreen: an old in-sync is not shown as if all were well.
func TestPageIsNotGreen(t *testing.T) {
	b := newStatusTracker(api.Status{Started: noon}, every10)
	compared := noon
	b.update(func(s *api.Status) { s.Compared = &compared })
	b.end(api.RunRecord{Result: ResultInSync, Started: noon, Finished: noon}, nil)
	for later, green := range map[time.Duration]bool{time.Minute: true, 3 * time.Hour: false} {
		page := ask(testHandler(t, b, noon.Add(later)), "GET", "/").Body.String()
		if got := strings.Contains(page, `<section class="headline good"`); got != green || !green && !strings.Contains(page, "compared at 2026-11-21T12:00:00Z") {
			t.Errorf("after %v: green is %v:\n%s", later, got, page)
		}
	}
}
