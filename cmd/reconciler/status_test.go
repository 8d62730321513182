package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/daemon"
	"reconciler/internal/daemon/api"
	"reconciler/internal/diff"
	"reconciler/internal/freeze"
	"reconciler/internal/reconcile"
	"reconciler/internal/state"
	"reconciler/internal/store/history"
)

func TestWriteStatus(t *testing.T) {
	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	next, read := noon.Add(5*time.Minute), noon.Add(-40*time.Minute)
	s := &api.Status{
		Account: "0200", Mode: state.Apply, Schedule: "*/10 * * * *", Source: "https://git.example/orgs.git, branch main",
		Now: noon, Ready: true, NextRun: &next,
		LastRun: &api.RunRecord{Result: daemon.ResultDrift, Finished: noon.Add(-5 * time.Minute), Seconds: 2},
		Desired: &api.InForce{
			Commit: strings.Repeat("ab", 20), Signer: "ada@acme.example (ssh SHA256:AbC)", Since: noon.Add(-25 * time.Hour),
			Stale: &api.Stale{
				Problem: reconcile.Problem{Error: "it is not signed", Hint: "sign it"}, Refused: true, Commit: strings.Repeat("cd", 20),
			},
		},
		Summary: &diff.Summary{Orgs: 3, Objects: &diff.ObjectSummary{Declared: 24, InSync: 20, Unmanaged: 7, Unknown: 3}}, Outdated: "compared at 2026-11-21T09:00:00Z",
		ConfigurationRead: &read,
		Unknown: []diff.Unknown{
			{Org: "acme-emea.okta.com", Error: "reading groups: 403", Part: "configuration"},
			{Org: "acme-labs.okta.com", Error: "404"},
		},
		Notes: []diff.Note{{Org: "acme-new.okta.com", Message: "put its id into the manifest"}},
		Drift: []daemon.Drift{
			{Field: "account.name", Since: noon.Add(-time.Hour)},
			{Org: "acme-emea.okta.com", Field: "groups/A\u202eB", Since: noon.Add(-time.Hour), Old: true},
			{Org: "acme-labs.okta.com", Field: "status", Since: noon.Add(-10 * time.Minute), Blocked: "protected", Cause: &history.Cause{Actor: "eve@acme.example", Address: "192.0.2.7", Time: noon.Add(-time.Hour), Provisional: true}},
		},
		Suspensions: []freeze.Suspension{
			{Owner: "ada", Reason: "audit"},
			{ID: "k3j2m5x7", Owner: "bob", Reason: "load test", Orgs: []string{"*.oktapreview.com", "acme-x*"}, Until: noon.Add(time.Hour)},
		},
		Alarms:   []reconcile.Alarm{{Org: "acme-new.okta.com", Message: "its token is lost", Hint: "make another"}},
		Refusals: []diff.Refusal{{Guard: "maxDestructiveOrgs", Message: "too many"}},
	}
	since := noon.Add(-time.Hour)
	s.Receivers = []api.Receiver{{Name: "slack (notify[0])", Problem: "HTTP 500", Since: &since}, {Name: "teams"}}
	s.Assess()
	s.Outdated = "compared at 2026-11-21T09:00:00Z"
	const want = `state      alarm: acme-new.okta.com: its token is lost
ALARM      acme-new.okta.com: its token is lost (make another)
desired    commit abababababab, in force for 25h0m
           signed by ada@acme.example (ssh SHA256:AbC)
           not the newest: commit cdcdcdcdcdcd is refused: it is not signed
           hint: sign it
refused    maxDestructiveOrgs: too many
unknown    acme-emea.okta.com: only its configuration can't be read: reading groups: 403
unknown    acme-labs.okta.com: 404
orgs       3 declared, 0 unmanaged
objects    24 declared, 7 unmanaged, 3 unknown, read up to 40m0s ago
drift      3 (compared at 2026-11-21T09:00:00Z)
           Aerial account account.name for 1h0m
           acme-emea.okta.com groups/A\u202eB for 1h0m, and the org can't be read since
           acme-labs.okta.com status for 10m0s, blocked: protected, by eve@acme.example from 192.0.2.7 at 2026-11-21T11:00:00Z, so far
suspended  all orgs and the account, by "ada" (no end given): audit
suspended  *.oktapreview.com, acme-x*, by "bob" until 2026-11-21T13:00:00Z: load test
receiver   notifications to slack (notify[0]) are not delivered since 2026-11-21T11:00:00Z: HTTP 500
account    0200
mode       apply, on schedule "*/10 * * * *", from https://git.example/orgs.git, branch main
ready      yes
last run   drift, 5m0s ago, took 2s
next run   2026-11-21T12:05:00Z, in 5m0s
note       acme-new.okta.com: put its id into the manifest
`
	var got strings.Builder
	if err := writeStatus(&got, s); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// The clock of the daemon that leads may be ahead of that of the one that is asked, or behind.
func TestWriteStatusOfAnotherClock(t *testing.T) {
	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	status := func(ahead time.Duration) string {
		next := noon.Add(ahead + 5*time.Minute)
		s := &api.Status{
			Now: noon, NextRun: &next, Summary: &diff.Summary{Orgs: 1}, Desired: &api.InForce{Since: noon.Add(ahead)},
			LastRun: &api.RunRecord{Result: daemon.ResultDrift, Finished: noon.Add(ahead), Seconds: 2},
			Drift:   []daemon.Drift{{Org: "acme.okta.com", Field: "status", Since: noon.Add(ahead)}},
		}
		var b strings.Builder
		if err := writeStatus(&b, s); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for ahead, want := range map[time.Duration][]string{
		2 * time.Hour: {
			"last run  drift, in 2h0m, took 2s\n", "next run  2026-11-21T14:05:00Z, in 2h5m\n", "in force for 0s\n", "status for 0s\n",
		},
		-2 * time.Hour: {
			"last run  drift, 2h0m ago, took 2s\n", "next run  2026-11-21T10:05:00Z, 1h55m ago\n", "in force for 2h0m\n", "status for 2h0m\n",
		},
	} {
		for _, line := range want {
			if got := status(ahead); !strings.Contains(got, line) {
				t.Errorf("%v ahead: no %q in\n%s", ahead, line, got)
			}
		}
	}
}

// TestStatusWithoutConfig: nothing but an address is needed, which has a default.
func TestStatusWithoutConfig(t *testing.T) {
	t.Chdir(t.TempDir())
	var out, errs strings.Builder
	code := run(t.Context(), []string{"status"}, stdio{strings.NewReader(""), &out, &errs}, nil)
	if strings.Contains(errs.String(), "config file") || code == exitError && !strings.Contains(errs.String(), ":8080") {
		t.Errorf("exit code %d:\n%s%s", code, out.String(), errs.String())
	}
}
