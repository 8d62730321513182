package daemon

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"reconciler/internal/apply"
	"reconciler/internal/daemon/api"
	"reconciler/internal/diff"
	"reconciler/internal/okta/rest"
)

var _ rest.Observer = (*callMetrics)(nil)

func TestMetricsLint(t *testing.T) {
	m := newMetrics("v1")
	m.aerial.Started("GET", "orgs")
	m.aerial.Finished("GET", "orgs", 200, time.Second)
	m.orgAPI.Finished("GET", "/api/v1/zones", 200, time.Second)
	m.aerial.Limited("GET", "orgs", 100, 50)
	m.orgAPI.Limited("GET", "/api/v1/zones", 100, 50)
	m.compared([]Drift{{Org: "a.okta.com", Field: "status", Since: time.Now()}}, api.Fleet{Drifted: 1}, map[string]objectCount{"groups": {}})
	m.run(&api.RunRecord{}, false)
	setTime(m.started, time.Now())
	setTime(m.nextRun, time.Now())
	m.accounts.WithLabelValues("account").Set(1)
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// What is known beforehand exists from the start, under the names that
// dashboards hold on to.
func TestMetricsFromTheStart(t *testing.T) {
	want := `
# HELP reconciler_api_in_flight Calls of the Aerial API in progress.
# TYPE reconciler_api_in_flight gauge
reconciler_api_in_flight 0
# HELP reconciler_build_info Always 1; the version is a label.
# TYPE reconciler_build_info gauge
reconciler_build_info{version="v1"} 1
# HELP reconciler_desired_stale 1 while the desired state in force is not the newest, because git can't be read or the newest commit is refused.
# TYPE reconciler_desired_stale gauge
reconciler_desired_stale 0
# HELP reconciler_last_success_timestamp_seconds When the last run ended that compared the account with the desired state; 0 before the first.
# TYPE reconciler_last_success_timestamp_seconds gauge
reconciler_last_success_timestamp_seconds 0
# HELP reconciler_orgs Orgs by state at the end of the last comparison; unmanaged ones are not declared.
# TYPE reconciler_orgs gauge
reconciler_orgs{state="drifted"} 0
reconciler_orgs{state="in_sync"} 0
reconciler_orgs{state="unknown"} 0
reconciler_orgs{state="unmanaged"} 0
# HELP reconciler_runs_total Runs by result.
# TYPE reconciler_runs_total counter
reconciler_runs_total{result="applied"} 0
reconciler_runs_total{result="drift"} 0
reconciler_runs_total{result="error"} 0
reconciler_runs_total{result="in-sync"} 0
reconciler_runs_total{result="interrupted"} 0
reconciler_runs_total{result="partial"} 0
reconciler_runs_total{result="refused"} 0
`
	m := newMetrics("v1")
	if err := testutil.GatherAndCompare(m.registry, strings.NewReader(want),
		"reconciler_api_in_flight", "reconciler_build_info", "reconciler_desired_stale",
		"reconciler_last_success_timestamp_seconds", "reconciler_orgs", "reconciler_runs_total",
		"reconciler_drift", "reconciler_api_requests_total"); err != nil {
		t.Error(err)
	}
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := map[string]int{}
	for _, f := range families {
		series[f.GetName()] = len(f.GetMetric())
	}
	if got := series["reconciler_changes_total"]; got != 10*4 {
		t.Errorf("reconciler_changes_total has %d series, want one for each action and result", got)
	}
	for _, name := range []string{"reconciler_run_duration_seconds", "go_goroutines", "process_start_time_seconds"} {
		if series[name] != 1 {
			t.Errorf("%s has %d series, want 1", name, series[name])
		}
	}
}

func TestMetricsOfRuns(t *testing.T) {
	m := newMetrics("v1")
	at := time.UnixMilli(1_700_000_000_500)
	m.run(&api.RunRecord{Result: ResultDrift, Finished: at, Seconds: 2}, true)
	if got := testutil.ToFloat64(m.lastSuccess); got != 1_700_000_000.5 {
		t.Errorf("last success %v", got)
	}
	if got := testutil.ToFloat64(m.stale); got != 1 {
		t.Errorf("stale %v, want 1", got)
	}
	m.run(&api.RunRecord{Result: ResultError, Finished: at.Add(time.Hour), Seconds: 3}, false)
	if got := testutil.ToFloat64(m.lastSuccess); got != 1_700_000_000.5 {
		t.Errorf("a failed run moved the last success to %v", got)
	}
	if got := testutil.ToFloat64(m.stale); got != 0 {
		t.Errorf("stale %v, want 0", got)
	}
	for result, want := range map[Result]float64{ResultDrift: 1, ResultError: 1, ResultApplied: 0} {
		if got := testutil.ToFloat64(m.runs.WithLabelValues(string(result))); got != want {
			t.Errorf("runs_total{result=%q} = %v, want %v", result, got, want)
		}
	}
	m.change(apply.Outcome{Action: diff.SetStatus, Result: apply.Failed})
	if got := testutil.ToFloat64(m.changes.WithLabelValues("set-status", "failed")); got != 1 {
		t.Errorf("changes_total = %v, want 1", got)
	}
}

func TestMetricsOfDrift(t *testing.T) {
	m := newMetrics("v1")
	a, b := Drift{Org: "a.okta.com", Field: "status"}, Drift{Field: "account.name"}
	show := func(gone, drift []Drift, want ...string) {
		t.Helper()
		m.compared(drift, api.Fleet{}, nil)
		text := "# HELP reconciler_drift 1 for each field of each org that is not as declared, of the first 200; gone once it is. The account itself has an empty org; all objects of one kind are one field.\n" +
			"# TYPE reconciler_drift gauge\n" + strings.Join(want, "")
		if len(want) == 0 {
			text = ""
		}
		if err := testutil.GatherAndCompare(m.registry, strings.NewReader(text), "reconciler_drift"); err != nil {
			t.Error(err)
		}
	}
	one, two := "reconciler_drift{field=\"account.name\",org=\"\"} 1\n", "reconciler_drift{field=\"status\",org=\"a.okta.com\"} 1\n"
	show(nil, []Drift{b, a}, one, two)
	show([]Drift{b}, []Drift{a}, two)
	show(nil, []Drift{a}, two)
	show([]Drift{a}, nil)
}

// The age of drift is that of the oldest, by org and altogether.
func TestMetricsOfDriftAge(t *testing.T) {
	m := newMetrics("v1")
	at := time.Unix(1_700_000_000, 0)
	m.compared([]Drift{
		{Org: "a.okta.com", Field: "products", Since: at.Add(time.Hour), Blocked: "suspended"},
		{Org: "a.okta.com", Field: "status", Since: at},
		{Org: "b.okta.com", Field: "status", Since: at.Add(2 * time.Hour)},
	}, api.Fleet{}, nil)
	want := `
# HELP reconciler_drift_blocked_fields Fields of orgs that are not as declared and are not repaired yet, because of a window, a suspension, or something else that blocks the change.
# TYPE reconciler_drift_blocked_fields gauge
reconciler_drift_blocked_fields 1
# HELP reconciler_drift_oldest_timestamp_seconds Since when there is drift: when that was first seen which has lasted longest; missing while nothing drifts.
# TYPE reconciler_drift_oldest_timestamp_seconds gauge
reconciler_drift_oldest_timestamp_seconds 1.7e+09
# HELP reconciler_drift_since_timestamp_seconds Since when an org is not as declared, for the orgs that reconciler_drift names.
# TYPE reconciler_drift_since_timestamp_seconds gauge
reconciler_drift_since_timestamp_seconds{org="a.okta.com"} 1.7e+09
reconciler_drift_since_timestamp_seconds{org="b.okta.com"} 1.7000072e+09
`
	names := []string{"reconciler_drift_blocked_fields", "reconciler_drift_oldest_timestamp_seconds", "reconciler_drift_since_timestamp_seconds"}
	if err := testutil.GatherAndCompare(m.registry, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	m.compared(nil, api.Fleet{}, nil)
	if n, err := testutil.GatherAndCount(m.registry, names[1:]...); n != 0 || err != nil {
		t.Errorf("%d series, %v", n, err)
	}
}

// A guard that refuses one plan after the other is counted once, and shows for as long.
func TestMetricsOfGuards(t *testing.T) {
	m := newMetrics("v1")
	orgs, lockout := diff.Refusal{Guard: diff.GuardOrgs}, diff.Refusal{Guard: diff.GuardLockout}
	for _, tt := range []struct {
		refusals               []diff.Refusal
		total, refusing, other float64
	}{
		{nil, 0, 0, 0},
		{[]diff.Refusal{orgs, lockout, lockout}, 1, 1, 2},
		{[]diff.Refusal{orgs}, 1, 1, 0},
		{nil, 1, 0, 0},
		{[]diff.Refusal{orgs}, 2, 1, 0},
	} {
		m.refused(tt.refusals)
		total, refusing, other := testutil.ToFloat64(m.refusals.WithLabelValues(diff.GuardOrgs)), testutil.ToFloat64(m.refusing.WithLabelValues(diff.GuardOrgs)),
			testutil.ToFloat64(m.refusing.WithLabelValues(diff.GuardLockout))
		if total != tt.total || refusing != tt.refusing || other != tt.other {
			t.Errorf("%v: %v, %v, %v", tt.refusals, total, refusing, other)
		}
	}
}

// What is left of rate limits is the least that a run saw, and gone with the run after.
func TestMetricsOfLimits(t *testing.T) {
	m := newMetrics("v1").orgAPI
	m.Limited("GET", "/api/v1/zones", 100, 80)
	m.Limited("POST", "/api/v1/zones", 100, 20)
	m.Limited("GET", "/api/v1/groups", 500, 600)
	if n := testutil.CollectAndCount(m.left); n != 0 {
		t.Errorf("%d series during the run", n)
	}
	m.ran()
	if zones, groups := testutil.ToFloat64(m.left.WithLabelValues("/api/v1/zones")), testutil.ToFloat64(m.left.WithLabelValues("/api/v1/groups")); zones != .2 || groups != 1 {
		t.Errorf("%v, %v", zones, groups)
	}
	m.Limited("GET", "/api/v1/zones", 100, 90)
	m.ran()
	if zones := testutil.ToFloat64(m.left.WithLabelValues("/api/v1/zones")); zones != .9 || testutil.CollectAndCount(m.left) != 1 {
		t.Errorf("%v, %d series", zones, testutil.CollectAndCount(m.left))
	}
}

// What the daemon is about to do, and what it did.
func TestMetricsOfTheDaemon(t *testing.T) {
	w := newWorld(t, worldOptions{extra: "state: {dir: " + filepath.Join(t.TempDir(), "state") + "}\n"})
	w.expectMetrics(map[string]string{"reconciler_ready": "0", "reconciler_next_run_timestamp_seconds": "", "reconciler_last_run_timestamp_seconds": "0",
		`reconciler_account_info{account="` + w.cfg.Aerial.AccountID + `"}`: "1", "reconciler_api_in_flight_limit": "10"})
	rec, _ := w.run()
	w.planned(time.Unix(1_900_000_000, 0))
	w.expectMetrics(map[string]string{"reconciler_ready": "1", "reconciler_next_run_timestamp_seconds": "1.9e+09", "reconciler_orgs_declared": "3",
		"reconciler_run_started_timestamp_seconds": "", "reconciler_last_run_duration_seconds": strconv.FormatFloat(rec.Seconds, 'g', -1, 64)})
	if size, _ := w.metric("reconciler_history_bytes"); size == "" || size == "0" {
		t.Errorf("a history of %q bytes", size)
	}
	w.standingBy(&api.Process{})
	w.expectMetrics(map[string]string{"reconciler_ready": "0", "reconciler_next_run_timestamp_seconds": ""})
}

// What the orgs' responses say of their rate limits is shown.
func TestMetricsOfOrgLimits(t *testing.T) {
	w := newConfiguredWorld(t, "0s", worldOptions{})
	w.run()
	left, _ := w.metric(`reconciler_org_api_rate_limit_remaining_ratio{endpoint="/api/v1/zones"}`)
	if share, err := strconv.ParseFloat(left, 64); err != nil || share <= 0 || share >= 1 {
		t.Errorf("%q is left", left)
	}
}

func TestMetricsOfCalls(t *testing.T) {
	m := newMetrics("v1")
	m.aerial.Started("GET", "orgs/{id}/products")
	m.aerial.Started("PUT", "orgs/{id}/status")
	if got := testutil.ToFloat64(m.aerial.inFlight); got != 2 {
		t.Errorf("in flight %v, want 2", got)
	}
	m.aerial.Finished("GET", "orgs/{id}/products", 429, 20*time.Millisecond)
	m.aerial.Finished("PUT", "orgs/{id}/status", 0, 3*time.Second)
	if got := testutil.ToFloat64(m.aerial.inFlight); got != 0 {
		t.Errorf("in flight %v, want 0", got)
	}
	for _, labels := range [][]string{{"GET", "orgs/{id}/products", "429"}, {"PUT", "orgs/{id}/status", "none"}} {
		if got := testutil.ToFloat64(m.aerial.requests.WithLabelValues(labels...)); got != 1 {
			t.Errorf("requests_total%v = %v, want 1", labels, got)
		}
	}
	body := ask(m.handler(), "GET", "/metrics").Body.String()
	if !slices.Contains(strings.Split(body, "\n"), `reconciler_api_request_duration_seconds_count{endpoint="orgs/{id}/products",method="GET"} 1`) {
		t.Error("no duration of the call")
	}
}
