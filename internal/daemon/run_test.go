package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"reconciler/internal/daemon/api"
	"reconciler/internal/diff"
	"reconciler/internal/reconcile"
	"reconciler/internal/state"
)

// bubble runs a test under a fake clock, so that backoff and waits take no
// time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func TestRunInSync(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{mode: "apply"})
		s := w.expect(ResultInSync)
		expectLines(t, "drift", driftLines(s))
		expectLines(t, "writes", w.writes())
		if !s.Ready || s.LastSuccess == nil || s.Desired == nil || s.Desired.Stale != nil || s.Desired.Commit != s.LastRun.Commit {
			t.Errorf("status %+v", s)
		}
		if len(s.Unmanaged) != 2 {
			t.Errorf("unmanaged: %v", s.Unmanaged)
		}
		w.expectMetrics(map[string]string{
			`reconciler_runs_total{result="in-sync"}`:                                              "1",
			`reconciler_orgs{state="in_sync"}`:                                                     "3",
			`reconciler_orgs{state="drifted"}`:                                                     "0",
			`reconciler_orgs{state="unmanaged"}`:                                                   "2",
			`reconciler_api_in_flight`:                                                             "0",
			`reconciler_run_duration_seconds_count`:                                                "1",
			`reconciler_drift{field="products",org=""}`:                                            "",
			`reconciler_api_requests_total{code="200",endpoint="orgs/{id}/products",method="GET"}`: "3",
			`reconciler_api_requests_total{code="200",endpoint="token",method="POST"}`:             "1",
		})
	})
}

// Nothing is read that isn't needed: token, account, catalogue, the list, and
// the products of declared orgs that manage products.
func TestRunReadsNoMoreThanItMust(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		w.commit(`version: 1
orgs:
  - {domain: acme-emea.okta.com, cell: ok1, products: [P000052, P000131]}
  - {domain: acme-labs.okta.com, cell: ok1, status: ACTIVE}
  - {domain: acme-shop.okta.com, cell: ok1, products: [P000052], productPolicy: ignore}
`)
		w.expect(ResultInSync)
		var calls []string
		for _, r := range w.sim.Requests() {
			calls = append(calls, r.Method+" "+r.Path[strings.LastIndex(r.Path, "/")+1:])
		}
		slices.Sort(calls)
		expectLines(t, "calls", calls, "GET accounts", "GET orgs", "GET products", "GET products", "POST token")
	})
}

func TestRunReportsDrift(t *testing.T) {
	bubble(t, func(t *testing.T) {
		// A client that can only read is all that report mode needs.
		w := newWorld(t, worldOptions{scopes: []string{"okta.accounts.read"}})
		w.expect(ResultInSync)
		w.tamper(emea, sso)
		if err := w.sim.SetOrgStatus(labs, "INACTIVE", "mallory@acme.example"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		seen := time.Now()
		s := w.expect(ResultDrift)
		lines := []string{emea + " products: P000052 -> P000052, P000131", labs + " status: INACTIVE -> ACTIVE"}
		expectLines(t, "drift", driftLines(s), lines...)
		expectLines(t, "writes", w.writes())
		w.expectMetrics(map[string]string{
			`reconciler_drift{field="products",org="` + emea + `"}`: "1",
			`reconciler_drift{field="status",org="` + labs + `"}`:   "1",
			`reconciler_orgs{state="drifted"}`:                      "2",
			`reconciler_runs_total{result="drift"}`:                 "1",
		})

		// The same drift keeps its date and is logged once, but for the summary.
		time.Sleep(10 * time.Minute)
		s = w.expect(ResultDrift)
		expectLines(t, "drift", driftLines(s), lines...)
		for _, d := range s.Drift {
			if !d.Since.Equal(seen) {
				t.Errorf("%s %s since %v, want %v", d.Org, d.Field, d.Since, seen)
			}
		}
		if n := len(w.log.lines(t, "drift")); n != 2 {
			t.Errorf("%d lines about drift, want 2:\n%s", n, w.log)
		}
		if n := len(w.log.lines(t, "run finished")); n != 3 {
			t.Errorf("%d summaries, want 3", n)
		}

		w.tamper(emea, sso, mfa)
		s = w.expect(ResultDrift)
		expectLines(t, "drift", driftLines(s), lines[1])
		w.expectMetrics(map[string]string{`reconciler_drift{field="products",org="` + emea + `"}`: ""})
		gone := w.log.lines(t, "drift is gone")
		if len(gone) != 1 || gone[0]["org"] != emea || gone[0]["field"] != "products" {
			t.Errorf("drift that is gone: %v", gone)
		}
	})
}

func TestRunRepairs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{mode: "apply"})
		w.expect(ResultInSync)
		w.tamper(emea, sso)
		w.tamper(labs, sso, lcm)
		s := w.expect(ResultApplied)
		expectLines(t, "drift that is left", driftLines(s))
		expectLines(t, emea, w.products(emea), sso, mfa)
		expectLines(t, labs, w.products(labs), sso)
		if c := s.LastRun.Changes; c != (api.Changes{Applied: 2}) || len(s.LastRun.Outcomes) != 2 {
			t.Errorf("record %+v", s.LastRun)
		}
		if n := len(w.log.lines(t, "change applied")); n != 2 {
			t.Errorf("%d lines about changes, want 2", n)
		}
		w.expectMetrics(map[string]string{
			`reconciler_changes_total{action="update-products",result="applied"}`: "2",
			`reconciler_orgs{state="in_sync"}`:                                    "3",
		})
		w.expect(ResultInSync)
	})
}

// Whatever becomes of git, the last good desired state stays in force: drift is
// found and repaired, and everything says which desired state that was.
func TestRunBadCommit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{mode: "apply"})
		good := w.expect(ResultInSync).Desired.Commit
		bad := w.commit(manifest(t, "products: [sso, mfa]", "prodcts: [sso, nonesuch]") + "nonsense: 1\n")
		w.tamper(emea, sso)
		time.Sleep(10 * time.Minute)

		s := w.expect(ResultApplied)
		expectLines(t, emea, w.products(emea), sso, mfa)
		stale := s.LastRun.Stale
		if stale == nil || s.Desired.Stale == nil || s.Desired.Commit != good || s.LastRun.Commit != good {
			t.Fatalf("status: desired %+v, last run %+v", s.Desired, s.LastRun)
		}
		if !stale.Refused || stale.Commit != bad || !strings.HasPrefix(stale.Error, "orgs/orgs.yaml:4:") || len(stale.Manifests) < 2 ||
			!stale.Since.Equal(time.Now().Add(-10*time.Minute)) {
			t.Errorf("stale %+v", stale)
		}
		w.expectMetrics(map[string]string{"reconciler_desired_stale": "1"})
		w.expect(ResultInSync)
		said := w.log.lines(t, "the newest manifests are refused; the last good desired state stays in force")
		if len(said) != 1 || said[0]["refused"] != bad || said[0]["commit"] != good || said[0]["level"] != "ERROR" {
			t.Errorf("said %v", said)
		}
		if n := len(w.log.lines(t, "manifests")); n != len(stale.Manifests) {
			t.Errorf("%d lines about mistakes, want each of %q once", n, stale.Manifests)
		}

		fixed := w.commit(inSync)
		s = w.expect(ResultInSync)
		if s.Desired.Stale != nil || s.Desired.Commit != fixed || s.LastRun.Stale != nil {
			t.Errorf("still stale: %+v", s.Desired)
		}
		w.expectMetrics(map[string]string{"reconciler_desired_stale": "0"})
		if n := len(w.log.lines(t, "the newest desired state is in force again")); n != 1 {
			t.Errorf("said %d times that it is in force again", n)
		}
	})
}

func TestRunBadFirstCommit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{mode: "apply"})
		bad := w.commit("version: 1\norgs: []\nnonsense: 1\nprodcts: {}\n")
		s := w.expect(ResultError)
		if said := w.log.lines(t, "run finished"); s.LastRun.Commit != bad || said[0]["commit"] != bad {
			t.Errorf("the refused commit is not told: %+v, %v", s.LastRun, said)
		}
		p := s.LastRun.Problem
		if p == nil || !strings.HasPrefix(p.Error, "orgs/orgs.yaml:") || s.Ready || s.Desired != nil || s.LastRun.Stale != nil {
			t.Errorf("problem %+v, status %+v", p, s)
		}
		w.expect(ResultError)
		if n := len(w.log.lines(t, "manifests")); n != len(p.Manifests) || n < 2 {
			t.Errorf("%d lines about mistakes, want each of %q once", n, p.Manifests)
		}
		w.commit(inSync)
		if s := w.expect(ResultInSync); !s.Ready {
			t.Errorf("not ready: %s", s.NotReady)
		}
	})
}

// A product to which the account doesn't subscribe concerns the orgs that want it:
// the others are repaired.
func TestRunUnsubscribedProduct(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{mode: "apply"})
		good := w.expect(ResultInSync).Desired.Commit
		bad := w.commit(manifest(t, "[sso, mfa]", "[sso, mfa, itp]"))
		w.tamper(labs, sso, lcm)
		s := w.expect(ResultPartial)
		expectLines(t, labs, w.products(labs), sso)
		expectLines(t, emea, w.products(emea), sso, mfa)
		if s.Desired.Stale != nil || s.LastRun.Commit != bad || s.LastRun.Commit == good || s.LastRun.Changes.Applied != 1 {
			t.Errorf("desired %+v, run %+v", s.Desired, s.LastRun)
		}
		if d := s.Drift; len(d) != 1 || d[0].Org != emea || !strings.Contains(d[0].Blocked, `does not subscribe to "itp" (P001113)`) || d[0].Desired.List() == nil {
			t.Errorf("drift %+v", d)
		}
	})
}

// When even the last good desired state doesn't go with the account any more,
// there is nothing left to compare with.
func TestRunGoodCommitGoesBad(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		w.expect(ResultInSync)
		w.cfg.Aerial.AccountID = "another" // as if it had been answered for
		s := w.expect(ResultError)
		if !strings.Contains(s.LastRun.Problem.Error, `the config says "another"`) {
			t.Errorf("problem %+v", s.LastRun.Problem)
		}
		if n := len(w.sim.Requests()); n != 2*(3+3)+1 {
			t.Errorf("%d calls: the same desired state was compared twice", n)
		}
	})
}

func TestRunGitGone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{mode: "apply"})
		good := w.expect(ResultInSync).Desired.Commit
		if err := os.Rename(w.repo.Dir(), w.repo.Dir()+".away"); err != nil {
			t.Fatal(err)
		}
		w.tamper(emea, mfa)
		s := w.expect(ResultApplied)
		expectLines(t, emea, w.products(emea), sso, mfa)
		if st := s.Desired.Stale; st == nil || st.Refused || st.Commit != "" || st.Hint == "" && st.Error == "" || s.LastRun.Commit != good {
			t.Errorf("stale %+v", st)
		}
		if n := len(w.log.lines(t, "the newest manifests can't be read; the last good desired state stays in force")); n != 1 {
			t.Errorf("said %d times that git is gone:\n%s", n, w.log)
		}
		if !strings.Contains(ask(w.handler, "GET", "/").Body.String(), "The newest manifests can't be read") {
			t.Error("the page doesn't say that git is gone")
		}
		if err := os.Rename(w.repo.Dir()+".away", w.repo.Dir()); err != nil {
			t.Fatal(err)
		}
		if s := w.expect(ResultInSync); s.Desired.Stale != nil {
			t.Errorf("still stale: %+v", s.Desired.Stale)
		}
	})
}

// A local folder has no commits; mistakes in it are refused all the same.
func TestRunLocalFolder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		file := w.repo.Dir() + "/orgs/orgs.yaml"
		local, err := reconcile.New(w.cfg, reconcile.Options{Manifests: file, Transport: w.base})
		if err != nil {
			t.Fatal(err)
		}
		w.runner.desired = local.Desired
		since := *w.expect(ResultInSync).Compared
		time.Sleep(time.Minute)
		if s := w.expect(ResultInSync); !s.Desired.Since.Equal(since) {
			t.Errorf("in force since %v, want %v: nothing has changed", s.Desired.Since, since)
		}
		if err := os.WriteFile(file, []byte("version: 1\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		s := w.expect(ResultInSync)
		if st := s.Desired.Stale; st == nil || !st.Refused || st.Commit != "" {
			t.Errorf("stale %+v", st)
		}
		if !strings.Contains(ask(w.handler, "GET", "/").Body.String(), "The newest manifests are refused") {
			t.Error("the page doesn't say that the manifests are refused")
		}
	})
}

func TestRunAPIFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{mode: "apply"})
		w.tamper(shop, sso, lcm)
		w.fault("* /api/v1/** status=500")
		s := w.expect(ResultError)
		p := s.LastRun.Problem
		if p == nil || !strings.Contains(p.Error, "500") || p.Hint == "" || s.Ready || s.Compared != nil {
			t.Errorf("problem %+v", p)
		}
		expectLines(t, "writes", w.writes())
		w.expectMetrics(map[string]string{`reconciler_runs_total{result="error"}`: "1"})

		w.sim.ClearFaults()
		w.expect(ResultApplied)
		expectLines(t, shop, w.products(shop), sso)

		// Drift that was known stays on show while the API is down.
		w.runner.mode = state.Report
		w.tamper(shop, sso, lcm)
		known := w.expect(ResultDrift)
		w.fault("* /api/v1/** status=503")
		s = w.expect(ResultError)
		if len(s.Drift) != 1 || !s.Compared.Equal(*known.Compared) || !s.Ready {
			t.Errorf("drift %v as of %v, ready %v", s.Drift, s.Compared, s.Ready)
		}
		w.expectMetrics(map[string]string{`reconciler_drift{field="products",org="` + shop + `"}`: "1"})
		time.Sleep(time.Hour)
		if got := ask(w.handler, "GET", "/readyz"); got.Code != 503 || !strings.Contains(got.Body.String(), "error") {
			t.Errorf("/readyz: %d %s", got.Code, got.Body)
		}
	})
}

// git and the API failing together: the one is told as stale, the other as the
// problem.
func TestRunEverythingFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		w.expect(ResultInSync)
		w.commit("version: 2\n")
		w.fault("* /api/v1/** status=500")
		s := w.expect(ResultError)
		if s.LastRun.Stale == nil || s.LastRun.Problem == nil || !strings.Contains(s.LastRun.Problem.Error, "500") {
			t.Errorf("record %+v", s.LastRun)
		}
		// Nothing speaks against the next commit, though nobody knows yet whether
		// it goes with the account.
		w.commit(inSync)
		w.expectFresh(ResultError)
		w.sim.ClearFaults()
		w.expect(ResultInSync)
		w.expectMetrics(map[string]string{"reconciler_desired_stale": "0"})
	})
}

// expectFresh does one run after which nothing may call the desired state stale.
func (w *world) expectFresh(want Result) api.Status {
	w.t.Helper()
	s := w.expect(want)
	if s.Desired.Stale != nil || s.LastRun.Stale != nil {
		w.t.Errorf("stale: desired %+v, run %+v", s.Desired.Stale, s.LastRun.Stale)
	}
	w.expectMetrics(map[string]string{"reconciler_desired_stale": "0"})
	return s
}

// expectStale does one run that must give the reason everywhere.
func (w *world) expectStale(want Result, reason string) api.Status {
	w.t.Helper()
	s := w.expect(want)
	if d, r := s.Desired.Stale, s.LastRun.Stale; d == nil || r == nil || !strings.Contains(d.Error, reason) || d.Error != r.Error {
		w.t.Errorf("desired %+v, run %+v, want the reason %q in both", d, r, reason)
	}
	w.expectMetrics(map[string]string{"reconciler_desired_stale": "1"})
	return s
}

// git that can be read again is no longer a reason, even if the API fails then.
func TestRunStaleEndsWithoutComparison(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		good := w.expectFresh(ResultInSync)
		fetch := w.runner.desired
		broken := func(context.Context) (*reconcile.Desired, error) { return nil, errors.New("git is away") }

		w.runner.desired = broken
		w.expectStale(ResultInSync, "git is away")
		w.runner.desired = fetch
		w.fault("* /api/v1/** status=403")
		s := w.expectFresh(ResultError)
		if s.Desired.Commit != good.Desired.Commit || !s.Desired.Since.Equal(good.Desired.Since) {
			t.Errorf("in force %+v, want %+v", s.Desired, good.Desired)
		}
		if n := len(w.log.lines(t, "the newest desired state is in force again")); n != 1 {
			t.Errorf("said %d times that the newest is in force again", n)
		}

		// What is found wrong later dates from when git was last read.
		time.Sleep(time.Hour)
		read := time.Now()
		w.expectFresh(ResultError)
		time.Sleep(time.Hour)
		w.runner.desired = broken
		if s := w.expectStale(ResultError, "git is away"); !s.Desired.Stale.Since.Equal(read) {
			t.Errorf("stale since %v, want %v", s.Desired.Stale.Since, read)
		}

		// A new commit: not in force, and nothing known against it.
		w.runner.desired = fetch
		w.commit(inSync + "# more\n")
		if s := w.expectFresh(ResultError); s.Desired.Commit != good.Desired.Commit {
			t.Errorf("in force %+v", s.Desired)
		}
	})
}

// A commit that doesn't go with the account stays refused while nobody can
// look at the account again, whatever else was said meanwhile.
func TestRunVerdictStandsWithoutComparison(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		good := w.expectFresh(ResultInSync).Desired.Commit
		bad := w.commit(manifest(t, "version: 1", otherAccount))
		w.expectStale(ResultInSync, "0200other")
		fetch := w.runner.desired
		w.runner.desired = func(context.Context) (*reconcile.Desired, error) { return nil, errors.New("git is away") }
		w.expectStale(ResultInSync, "git is away")
		w.runner.desired = fetch
		w.fault("* /api/v1/** status=403")
		s := w.expectStale(ResultError, "0200other")
		if st := s.LastRun.Stale; !st.Refused || st.Commit != bad || s.LastRun.Commit != good {
			t.Errorf("run %+v, stale %+v", s.LastRun, st)
		}
		w.sim.ClearFaults()
		w.expectStale(ResultInSync, "0200other")
		w.commit(inSync)
		w.expectFresh(ResultInSync)
	})
}

// A watch that sees not one org does not do its job, whatever the API answers
// otherwise.
func TestRunAllOrgsForbidden(t *testing.T) {
	for _, mode := range []string{"report", "apply"} {
		t.Run(mode, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, worldOptions{mode: mode})
				forbid := func(forbidden bool, orgs ...string) {
					for _, org := range orgs {
						if err := w.sim.SetReadForbidden(org, forbidden); err != nil {
							t.Fatal(err)
						}
					}
				}
				forbid(true, emea, labs, shop)
				s := w.expect(ResultError)
				p := s.LastRun.Problem
				if s.Ready || s.LastSuccess != nil || p == nil || !strings.Contains(p.Error, "(3)") || !strings.Contains(p.Error, emea) ||
					!strings.Contains(p.Error, "403") || p.Hint == "" {
					t.Errorf("ready %v, problem %+v", s.Ready, p)
				}
				if len(s.Unknown) != 3 {
					t.Errorf("unknown %v", s.Unknown)
				}
				w.expectMetrics(map[string]string{
					`reconciler_orgs{state="unknown"}`:          "3",
					"reconciler_last_success_timestamp_seconds": "0",
				})

				// All but one are no reason to call the daemon dead.
				forbid(false, labs)
				if s := w.expect(ResultPartial); !s.Ready || s.LastRun.Problem != nil {
					t.Errorf("ready %v (%s), problem %+v", s.Ready, s.NotReady, s.LastRun.Problem)
				}
				success, _ := w.metric("reconciler_last_success_timestamp_seconds")

				forbid(true, labs)
				time.Sleep(time.Hour)
				if s := w.expect(ResultError); s.Ready || !strings.Contains(s.NotReady, "none of the declared orgs") {
					t.Errorf("ready %v (%s)", s.Ready, s.NotReady)
				}
				w.expectMetrics(map[string]string{"reconciler_last_success_timestamp_seconds": success})
				expectLines(t, "writes", w.writes())
			})
		})
	}
}

func TestRunForbiddenOrg(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{mode: "apply"})
		w.tamper(emea, sso)
		w.tamper(labs, sso, lcm)
		if err := w.sim.SetReadForbidden(labs, true); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			s := w.expect(ResultPartial)
			if len(s.Unknown) != 1 || s.Unknown[0].Org != labs || !strings.Contains(s.Unknown[0].Error, "403") || !s.Ready {
				t.Errorf("unknown %+v, ready %v", s.Unknown, s.Ready)
			}
			expectLines(t, emea, w.products(emea), sso, mfa)
			expectLines(t, labs, w.products(labs), sso, lcm)
		}
		w.expectMetrics(map[string]string{
			`reconciler_orgs{state="unknown"}`: "1",
			`reconciler_orgs{state="in_sync"}`: "2",
		})
		if n := len(w.log.lines(t, "org can't be read, and is left alone")); n != 1 {
			t.Errorf("told %d times that an org can't be read, want once", n)
		}
		if err := w.sim.SetReadForbidden(labs, false); err != nil {
			t.Fatal(err)
		}
		w.expect(ResultApplied)
		expectLines(t, labs, w.products(labs), sso)
	})
}

// Drift of an org that can't be read any more is neither there nor gone.
func TestRunDriftOfUnknownOrg(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		w.tamper(labs, sso, lcm)
		w.expect(ResultDrift)
		if err := w.sim.SetReadForbidden(labs, true); err != nil {
			t.Fatal(err)
		}
		w.expect(ResultPartial)
		if gone := w.log.lines(t, "drift is gone"); len(gone) > 0 {
			t.Errorf("said to be gone: %v", gone)
		}
	})
}

func TestRunGuardRefuses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{mode: "apply", extra: "guards: {maxDestructiveOrgs: 1}\n"})
		w.commit(strings.ReplaceAll(inSync, "products: [sso]", "products: []"))
		for range 2 {
			s := w.expect(ResultRefused)
			if len(s.Refusals) != 2 || s.LastRun.Problem == nil || !strings.Contains(s.LastRun.Problem.Error, "maxDestructiveOrgs") || !s.Ready {
				t.Errorf("refusals %+v, problem %+v, ready %v", s.Refusals, s.LastRun.Problem, s.Ready)
			}
			expectLines(t, "drift", driftLines(s), labs+" products: P000052 -> none", shop+" products: P000052 -> none")
		}
		expectLines(t, "writes", w.writes())
		if n := len(w.log.lines(t, "a guard refuses the plan")); n != 2 {
			t.Errorf("%d lines about refusals, want each of 2 once", n)
		}
		w.expectMetrics(map[string]string{`reconciler_runs_total{result="refused"}`: "2"})
	})
}

// Guards know the parents by the config, and the Aerial org by the API as well.
func TestRunNeverDeactivatesParentOrAerialOrg(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{mode: "apply"})
		w.commit(inSync + fmt.Sprintf("  - {domain: %s, status: INACTIVE}\n  - {domain: %s, status: INACTIVE}\n", parentOrg, aerialOrg))
		s := w.expect(ResultRefused)
		var guards []string
		for _, r := range s.Refusals {
			guards = append(guards, r.Guard)
		}
		expectLines(t, "guards", guards, diff.GuardAerial, diff.GuardParent)
		expectLines(t, "writes", w.writes())
	})
}

// Under a custom domain a parent looks like no org of the account. Unless the
// config returns which it is, it could be any of them.
func TestRunParentWithCustomDomain(t *testing.T) {
	const custom = "url: https://login.acme.example"
	tests := []struct {
		name, parent, org string
		result            Result
	}{
		{"the parent itself", custom + ", domain: ACME.okta.com", parentOrg, ResultRefused},
		{"another org", custom + ", domain: acme.okta.com", labs, ResultApplied},
		{"the parent itself but unknown", custom, parentOrg, ResultRefused},
		{"another org with an unknown parent", custom, labs, ResultRefused},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, worldOptions{mode: "apply", parent: tc.parent})
				w.commit(fmt.Sprintf("version: 1\norgs:\n  - {domain: %s, status: INACTIVE}\n", tc.org))
				s := w.expect(tc.result)
				if tc.result != ResultRefused {
					return
				}
				if len(s.Refusals) != 1 || s.Refusals[0].Guard != diff.GuardParent {
					t.Errorf("refusals %+v", s.Refusals)
				}
				expectLines(t, "writes", w.writes())
			})
		})
	}
}

// A parent that was renamed before this program ever saw it is known by the id that
// it tells. It is asked only where a plan deactivates an org and the config's domain
// leads to no org.
func TestRunParentRenamedBeforeTheFirstRun(t *testing.T) {
	const renamed = "acme-group.okta.com"
	for _, tc := range []struct {
		name, org, fault string
		renamed          bool
		result           Result
		asked            int
	}{
		{"the parent itself", renamed, "", true, ResultRefused, 1},
		{"another org", labs, "", true, ResultApplied, 1},
		{"another org while the parent is silent", labs, "status=404", true, ResultApplied, 1},
		{"not renamed", labs, "", false, ResultApplied, 0},
		{"nothing deactivated", "", "", true, ResultInSync, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				seed := testSeed()
				if tc.renamed {
					seed.Orgs[1].Domain = renamed
				}
				w := newWorld(t, worldOptions{mode: "apply", seed: seed, extra: "state: {dir: " + filepath.Join(t.TempDir(), "state") + "}\n"})
				if tc.fault != "" {
					w.fault("GET /.well-known/okta-organization " + tc.fault)
				}
				status := "INACTIVE"
				if tc.org == "" {
					tc.org, status = labs, "ACTIVE"
				}
				w.commit(fmt.Sprintf("version: 1\norgs:\n  - {domain: %s, status: %s}\n", tc.org, status))
				s := w.expect(tc.result)
				asked := 0
				for _, r := range w.sim.Requests() {
					if r.Path == "/.well-known/okta-organization" {
						asked++
					}
				}
				if asked != tc.asked {
					t.Errorf("asked %d times, want %d", asked, tc.asked)
				}
				if n := len(w.log.lines(t, "it is not known which org a parent is; if it was renamed, it isn't recognized")); (n == 1) != (tc.fault != "") {
					t.Errorf("%d warnings", n)
				}
				if tc.result != ResultRefused {
					return
				}
				if len(s.Refusals) != 1 || s.Refusals[0].Guard != diff.GuardParent || !strings.Contains(s.Refusals[0].Message, renamed+" is a parent org") {
					t.Errorf("refusals %+v", s.Refusals)
				}
				expectLines(t, "writes", w.writes())
			})
		})
	}
}

// Nothing but deactivation and deletion rests on knowing the parents.
func TestRunUnknownParentDoesNotStopTheRest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{mode: "apply", parent: "url: https://login.acme.example"})
		w.tamper(labs, sso, lcm)
		w.expect(ResultApplied)
		expectLines(t, labs, w.products(labs), sso)
	})
}

// In report mode a guard's word is shown; there is nothing to refuse.
func TestRunReportShowsRefusals(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{extra: "guards: {maxDestructiveOrgs: 0}\n"})
		w.tamper(shop, sso, lcm)
		if s := w.expect(ResultDrift); len(s.Refusals) != 1 || s.LastRun.Problem != nil {
			t.Errorf("refusals %+v, problem %+v", s.Refusals, s.LastRun.Problem)
		}
	})
}

// What will not be mended is drift, however often the daemon applies.
func TestRunBlockedAndUnfixable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{mode: "apply"})
		w.commit(`version: 1
orgs:
  - {domain: acme-emea.okta.com, cell: ok1, products: [P000052], protected: true}
  - {domain: acme-labs.okta.com, cell: ok2}
  - {domain: acme-shop.okta.com, cell: ok1, products: [], mode: report}
`)
		for range 2 {
			s := w.expect(ResultDrift)
			expectLines(t, "drift", driftLines(s),
				emea+" products: P000052, P000131 -> P000052", labs+" cell: ok1 -> ok2", shop+" products: P000052 -> none")
			if s.LastRun.Changes != (api.Changes{Blocked: 2}) {
				t.Errorf("changes %+v", s.LastRun.Changes)
			}
		}
		expectLines(t, "writes", w.writes())
		if n := len(w.log.lines(t, "drift")); n != 3 {
			t.Errorf("%d lines about drift, want each of 3 once", n)
		}
	})
}

// A client that may read but not write: every change fails with Okta's words.
func TestRunMayNotWrite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{mode: "apply", scopes: []string{"okta.accounts.read"}})
		w.tamper(emea, sso)
		s := w.expect(ResultPartial)
		if len(s.Drift) != 1 || s.Drift[0].Error == "" || s.Drift[0].Hint == "" {
			t.Errorf("drift %+v", s.Drift)
		}
		if failed := w.log.lines(t, "change failed"); len(failed) != 1 || failed[0]["level"] != "ERROR" {
			t.Errorf("failed: %v", failed)
		}
		if n := len(w.log.lines(t, "drift")); n != 0 {
			t.Errorf("a failed change was told twice")
		}
	})
}

// A panic ends a run, not the watch.
func TestRunPanics(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{mode: "apply"})
		fetch := w.runner.desired
		w.runner.desired = func(context.Context) (*reconcile.Desired, error) { panic("fetch") }
		check := func(where string) {
			t.Helper()
			s := w.expect(ResultError)
			if s.LastRun.Problem.Error != "the run panicked" || s.Running != nil {
				t.Errorf("%s: %+v", where, s.LastRun)
			}
			lines := w.log.lines(t, "the run panicked: this is a bug, please report it")
			if len(lines) != 1 || !strings.Contains(lines[0]["panic"].(string), where) || !strings.Contains(lines[0]["panic"].(string)+lines[0]["stack"].(string), "_test.go") {
				t.Errorf("%s: logged %v", where, lines)
			}
			w.log.reset()
		}
		check("fetch")
		w.runner.desired = fetch
		w.expect(ResultInSync)
	})
}

// A panic while one org is changed is that org's failure.
func TestRunPanicsInOneOrg(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{mode: "apply"})
		w.tamper(emea, sso)
		w.tamper(labs, sso, lcm)
		org, ok := w.sim.Org(emea)
		if !ok {
			t.Fatal("no such org")
		}
		w.base = panickingOn{w.base, "/orgs/" + org.ID}
		w.restart()
		s := w.expect(ResultPartial)
		if len(s.Drift) != 1 || s.Drift[0].Org != emea || !strings.Contains(s.Drift[0].Error, "panicked") {
			t.Errorf("drift %+v", s.Drift)
		}
		expectLines(t, labs, w.products(labs), sso)
		if !strings.Contains(w.log.String(), "panickingOn") {
			t.Error("the log has no stack")
		}
	})
}

// panickingOn panics when it is to send a request whose path ends so.
type panickingOn struct {
	http.RoundTripper
	path string
}

func (p panickingOn) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.HasSuffix(req.URL.Path, p.path) {
		panic("org")
	}
	return p.RoundTripper.RoundTrip(req)
}

// A run that is stopped before it has a plan is no failure to wake anybody for.
func TestRunStoppedWhileReading(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{mode: "apply"})
		w.fault("GET /api/v1/orgs delay=20s")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		rec, s := w.runCtx(ctx)
		if rec.Result != ResultInterrupted || rec.Problem != nil || s.LastSuccess != nil {
			t.Errorf("record %+v", rec)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("took %v to stop", took)
		}
	})
}

// Being stopped outranks whatever else is wrong at that moment.
func TestRunStoppedWithBadCommit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		w.expect(ResultInSync)
		w.commit("version: 1\n")
		ctx, cancel := context.WithCancel(t.Context())
		fetch := w.runner.desired
		w.runner.desired = func(context.Context) (*reconcile.Desired, error) {
			cancel()
			return fetch(t.Context())
		}
		if rec, s := w.runCtx(ctx); rec.Result != ResultInterrupted || s.Desired.Stale != nil {
			t.Errorf("record %+v, desired %+v", rec, s.Desired)
		}
	})
}

// Each line that anybody logs during a run has its id, and the commit once it
// is known; lines between runs have neither.
func TestRunLogTags(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{mode: "apply"})
		w.tamper(emea, sso)
		w.fault("GET /api/v1/orgs status=503 times=1")
		rec, _ := w.run()
		lines := w.log.lines(t, "")
		if len(lines) < 5 {
			t.Fatalf("only %d lines:\n%s", len(lines), w.log)
		}
		for _, l := range lines {
			if l["run"] != rec.ID {
				t.Errorf("line %v is not of run %s", l, rec.ID)
			}
		}
		for _, msg := range []string{"writing", "change applied", "run finished"} {
			for _, l := range w.log.lines(t, msg) {
				if l["commit"] != rec.Commit {
					t.Errorf("line %v has no commit", l)
				}
			}
			if len(w.log.lines(t, msg)) != 1 {
				t.Errorf("%d lines %q, want 1", len(w.log.lines(t, msg)), msg)
			}
		}
		w.log.reset()
		w.runner.log.With("a", 1).WithGroup("g").Info("between", "b", 2)
		if got := w.log.lines(t, "between")[0]; got["run"] != nil || got["a"] != 1.0 {
			t.Errorf("line between runs: %v", got)
		}
	})
}

// Warnings of the loader are told when the manifests change, not each time.
func TestRunWarnsOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		if _, err := w.repo.Commit("odd name", map[string]string{"orgs/more.YAML": "version: 1\n"}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			w.expect(ResultInSync)
		}
		if lines := w.log.lines(t, "manifests"); len(lines) != 1 || lines[0]["level"] != "WARN" {
			t.Errorf("warnings: %v", lines)
		}
	})
}

// TestRunNamesItself: each request of a run, those for tokens too, says which
// program sends it and for which run, so that Okta's log can be compared with ours.
func TestRunNamesItself(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{mode: "apply"})
		w.tamper(emea, sso)
		rec, _ := w.run()
		tokens, writes := 0, 0
		for _, r := range w.sim.Requests() {
			if want := "reconciler/devel (run " + rec.ID + ")"; r.UserAgent != want {
				t.Errorf("%s %s is sent by %q, want %q", r.Method, r.Path, r.UserAgent, want)
			}
			if strings.HasSuffix(r.Path, "/token") {
				tokens++
			}
			if r.Method == "PUT" {
				writes++
			}
		}
		if tokens != 2 || writes != 1 {
			t.Errorf("%d requests for tokens and %d writes", tokens, writes)
		}
	})
}

// What was found in an org stays found while the org can't be read, and is not new
// when it can be read again.
func TestDriftOfAnUnreadableOrg(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		w.tamper(emea, sso)
		since := w.expect(ResultDrift).Drift[0].Since
		for _, forbidden := range []bool{true, true, false} {
			time.Sleep(time.Minute)
			if err := w.sim.SetReadForbidden(emea, forbidden); err != nil {
				t.Fatal(err)
			}
			want := ResultDrift
			if forbidden {
				want = ResultPartial
			}
			s := w.expect(want)
			if len(s.Drift) != 1 || s.Drift[0].Org != emea || !s.Drift[0].Since.Equal(since) || s.Drift[0].Old != forbidden || s.Totals.Drift != 1 {
				t.Errorf("forbidden %v: %+v", forbidden, s.Drift)
			}
		}
		if n := len(w.log.lines(t, "drift")) + len(w.log.lines(t, "drift is gone")); n != 1 {
			t.Errorf("%d lines about one drift", n)
		}
	})
}

// An org that an earlier run saw, and that is there although the list lacks it, is
// neither linked nor created again: the list is not whole.
func TestListThatLostAnOrg(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{mode: "apply", extra: "state: {dir: " + t.TempDir() + "}\n"})
		w.expect(ResultInSync)
		w.base = &withoutOrg{w.base, emea}
		w.restart()
		s := w.expect(ResultError)
		if p := s.LastRun.Problem; p == nil || !strings.Contains(p.Error, "the list of orgs is not whole: "+emea) {
			t.Errorf("%+v", p)
		}
		if n := len(w.writes()); n != 0 {
			t.Errorf("%d writes", n)
		}
	})
}

// withoutOrg leaves an org out of the lists that pass through it.
type withoutOrg struct {
	http.RoundTripper
	domain string
}

func (o *withoutOrg) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := o.RoundTripper.RoundTrip(req)
	if err != nil || req.Method != http.MethodGet || !strings.HasSuffix(req.URL.Path, "/api/v1/orgs") {
		return resp, err
	}
	defer resp.Body.Close()
	var all []json.RawMessage
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(org json.RawMessage) bool { return strings.Contains(string(org), o.domain) })
	body, err := json.Marshal(all)
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return resp, err
}
