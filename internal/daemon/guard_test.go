package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/reconcile"
)

// fleetDomain is the domain of an org of fleetSeed.
func fleetDomain(i int) string { return fmt.Sprintf("fleet-%02d.okta.com", i) }

// fleetSeed is testSeed with n more orgs.
func fleetSeed(n int) *simulator.Seed {
	seed := testSeed()
	for i := range n {
		seed.Orgs = append(seed.Orgs, simulator.Org{
			ID: fmt.Sprintf("00o1%016d", i), Domain: fleetDomain(i), Name: fleetDomain(i), Cell: "ok1", Status: "ACTIVE",
			Managed: true, Consent: true, Products: []string{sso},
		})
	}
	return seed
}

// declareFleet declares n orgs, the first of them as INACTIVE.
func declareFleet(n, inactive int) string {
	var b strings.Builder
	b.WriteString("version: 1\nproducts: {sso: P000052}\norgs:\n")
	for i := range n {
		status := "ACTIVE"
		if i < inactive {
			status = "INACTIVE"
		}
		fmt.Fprintf(&b, "  - {domain: %s, cell: ok1, status: %s, products: [sso]}\n", fleetDomain(i), status)
	}
	return b.String()
}

// inactiveOrgs returns how many orgs of the fleet are INACTIVE.
func (w *world) inactiveOrgs(n int) int {
	inactive := 0
	for i := range n {
		if w.status(fleetDomain(i)) == "INACTIVE" {
			inactive++
		}
	}
	return inactive
}

func (w *world) expectRefused(guard string) {
	w.t.Helper()
	if s := w.expect(ResultRefused); !strings.Contains(s.LastRun.Problem.Error, "refused by the guard "+guard+": ") {
		w.t.Errorf("problem %+v", s.LastRun.Problem)
	}
}

// Ten orgs a run are not all orgs in a day: over restarts, in all processes with
// the same state folder, and whatever the clock says.
func TestGuardOfTheDayOverRuns(t *testing.T) {
	const n = 60
	for _, withState := range []bool{true, false} {
		t.Run(fmt.Sprintf("state %v", withState), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				o := worldOptions{mode: "apply", seed: fleetSeed(n)}
				if withState {
					o.extra = "state: {dir: " + filepath.Join(t.TempDir(), "state") + "}\n"
				}
				w := newWorld(t, o)
				for _, inactive := range []int{8, 16, 20} {
					w.commit(declareFleet(n, inactive))
					w.expect(ResultApplied)
					time.Sleep(10 * time.Minute)
				}
				d, err := openDaemon(w.cfg, RunOptions{Logger: w.log.logger()})
				if err != nil {
					t.Fatal(err)
				}
				d.runner.r.Close()
				if warned := w.log.lines(t, "guards.maxDestructiveOrgsPerDay counts from the start of this process on"); (len(warned) == 1) == withState {
					t.Errorf("warned: %v", warned)
				}
				w.commit(declareFleet(n, 21))
				w.expectRefused("maxDestructiveOrgsPerDay")
				if withState {
					w.restart()
					w.expectRefused("maxDestructiveOrgsPerDay")
				}
				if got := w.inactiveOrgs(n); got != 20 {
					t.Errorf("%d orgs are INACTIVE", got)
				}
				// What is undone and done again by hand counts once.
				if err := w.sim.SetOrgStatus(fleetDomain(0), "ACTIVE", "mallory@acme.example"); err != nil {
					t.Fatal(err)
				}
				w.commit(declareFleet(n, 20))
				w.expect(ResultApplied)
				time.Sleep(24 * time.Hour)
				w.commit(declareFleet(n, 28))
				w.expect(ResultApplied)
			})
		})
	}
}

// The way back of one's own run is no loss, for as long as the config says: neither in
// one run nor in a day, and with nothing else in it.
func TestWayBackOverRuns(t *testing.T) {
	const n, changed = 60, 40
	more := func(orgs int) string {
		return strings.Replace(strings.Replace(declareFleet(n, 0), "{sso: P000052}", "{sso: P000052, mfa: P000131}", 1), "[sso]", "[sso, mfa]", orgs)
	}
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{mode: "apply", seed: fleetSeed(n), extra: "state: {dir: " + filepath.Join(t.TempDir(), "state") + "}\n"})
		w.commit(more(changed))
		w.expect(ResultApplied)
		w.restart()
		if err := w.sim.SetOrgProducts(fleetDomain(50), []string{sso, mfa}, "mallory@acme.example"); err != nil {
			t.Fatal(err)
		}
		w.commit(more(0))
		w.expectRefused("maxDestructiveOrgs")
		if err := w.sim.SetOrgProducts(fleetDomain(50), []string{sso}, "mallory@acme.example"); err != nil {
			t.Fatal(err)
		}
		s := w.expect(ResultApplied)
		if s.LastRun.Changes.Applied != changed {
			t.Errorf("changes %+v", s.LastRun.Changes)
		}
		// It leaves the limit of the day as it is.
		w.commit(declareFleet(n, 8))
		w.expect(ResultApplied)

		w.commit(more(changed))
		w.expect(ResultApplied)
		time.Sleep(24*time.Hour + time.Minute)
		w.commit(more(0))
		w.expectRefused("maxDestructiveOrgs")
	})
}

// A clock that jumps ahead doesn't end the day: Okta gives no token to a clock that is
// more than an hour ahead of its own, and a token from before counts as expired.
func TestGuardOfTheDayWithAClockThatIsAhead(t *testing.T) {
	const n = 30
	bubble(t, func(t *testing.T) {
		ahead := time.Duration(0)
		w := newWorld(t, worldOptions{
			mode: "apply", seed: fleetSeed(n), now: func() time.Time { return time.Now().Add(-ahead) },
			extra: "guards: {maxDestructiveOrgsPerDay: 2}\nstate: {dir: " + filepath.Join(t.TempDir(), "state") + "}\n",
		})
		w.commit(declareFleet(n, 2))
		w.expect(ResultApplied)
		w.commit(declareFleet(n, 4))
		w.expectRefused("maxDestructiveOrgsPerDay")
		time.Sleep(25 * time.Hour) // for this program alone
		ahead = 25 * time.Hour
		if s := w.expect(ResultError); !strings.Contains(s.LastRun.Problem.Hint, "clock is 25h0m0s ahead of Okta's") {
			t.Errorf("problem %+v", s.LastRun.Problem)
		}
		ahead = 0 // a day later
		w.expect(ResultApplied)
		if got := w.inactiveOrgs(n); got != 4 {
			t.Errorf("%d orgs are INACTIVE", got)
		}
	})
}

// A plan is made before another process uses up the day: each write asks again.
func TestGuardOfTheDayBetweenProcesses(t *testing.T) {
	const n = 60
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{mode: "apply", seed: fleetSeed(n), extra: "guards: {maxDestructiveOrgsPerDay: 12}\nstate: {dir: " + t.TempDir() + "}\n"})
		w.commit(declareFleet(n, 8))
		var others []*reconcile.Reconciler
		for range 2 {
			r, err := reconcile.New(w.cfg, reconcile.Options{Transport: w.base})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			others = append(others, r)
		}
		first, _, err := others[0].Plan(t.Context(), reconcile.Filter{})
		if err != nil || len(first.Refusals) != 0 {
			t.Fatal(first, err)
		}
		second := *first
		second.Changes = slices.Clone(first.Changes)
		for i := range second.Changes { // eight others
			c := &second.Changes[i]
			c.Org = fleetDomain(20 + i)
			c.OrgID = fmt.Sprintf("00o1%016d", 20+i)
		}
		for i, plan := range []*diff.Plan{first, &second} {
			result, err := others[i].Apply(t.Context(), plan, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := result.Counts(), []apply.Counts{{Applied: 8}, {Applied: 4, Failed: 4}}[i]; got != want {
				t.Errorf("process %d: %+v, want %+v", i, got, want)
			}
		}
		if got := w.inactiveOrgs(n); got != 12 {
			t.Errorf("%d orgs are INACTIVE", got)
		}
	})
}

// While the newest manifests are refused or can't be read, older ones take nothing
// away: what they declare may have been taken back since.
func TestStaleManifestsTakeNothingAway(t *testing.T) {
	const refused = "the newest manifests are refused, and nothing is taken away by older ones"
	spoil := map[string]struct {
		do  func(t *testing.T, w *world)
		why string
	}{
		"a revert with a typing error": {func(t *testing.T, w *world) {
			w.commit(strings.Replace(inSync, "products: [sso]", "prodcts: [sso]", 1))
		}, refused},
		"another account": {func(t *testing.T, w *world) {
			w.commit("version: 1\naccount: {id: 0200bs0617vvhv2v675mch1xxxx}\norgs: [{domain: acme-emea.okta.com}]\n")
		}, refused},
		"git is away": {func(t *testing.T, w *world) {
			if err := os.Rename(w.repo.Dir(), w.repo.Dir()+".away"); err != nil {
				t.Fatal(err)
			}
		}, "the newest manifests can't be read, and nothing is taken away by older ones"},
	}
	for name, tc := range spoil {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w, _ := coolingWorld(t, worldOptions{})
				w.commit(inactive(t))
				w.expectBlocked(announced)
				tc.do(t, w)
				time.Sleep(25 * time.Hour) // it has cooled off
				w.tamper(emea, sso, lcm)   // one gained by hand, one lost
				s := w.expect(ResultApplied)
				if w.status(labs) != "ACTIVE" {
					t.Errorf("%s is %s", labs, w.status(labs))
				}
				expectLines(t, emea, w.products(emea), sso, mfa, lcm)
				expectLines(t, "blocked", blocked(s), emea+" products: "+tc.why, labs+" status: "+tc.why)
				told := w.log.lines(t, "drift")
				if last := told[len(told)-1]; last["blocked"] != tc.why {
					t.Errorf("told: %v", last)
				}
			})
		})
	}
}

// Once Okta has said which org is the Aerial org or a parent, neither a list
// without domains nor another name makes it one that may be deactivated.
func TestParentIsKnownByItsID(t *testing.T) {
	bubble(t, func(t *testing.T) {
		seed := testSeed()
		w := newWorld(t, worldOptions{mode: "apply", seed: seed, extra: "state: {dir: " + t.TempDir() + "}\n"})
		w.expect(ResultInSync)

		// The parent gets another domain, and the config still has the old one.
		renamed := testSeed()
		renamed.Orgs[1].Domain = "acme-renamed.okta.com"
		again := newWorld(t, worldOptions{mode: "apply", seed: renamed, extra: "state: {dir: " + w.cfg.State.Dir + "}\n"})
		again.commit(inSync + "  - {domain: acme-renamed.okta.com, cell: ok1, status: INACTIVE}\n")
		again.expectRefused("parentOrg")
		if org, _ := again.sim.Org("acme-renamed.okta.com"); org.Status != "ACTIVE" {
			t.Errorf("the parent is %s", org.Status)
		}
	})
}
