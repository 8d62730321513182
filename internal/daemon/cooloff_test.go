package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reconciler/internal/apply"
	"reconciler/internal/daemon/api"
	"reconciler/internal/diff"
	"reconciler/internal/freeze"
	"reconciler/internal/reconcile"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
)

const (
	announced = "cooling off: the first run that wants this only announces it; it is made by one 24h later, or after another commit that changes what is declared for the org"
	midnight  = "cooling off: announced at 2000-01-01T00:00:00Z, made from 2000-01-02T00:00:00Z on, or after another commit that changes what is declared for the org"
)

// cooling is a world in which deactivations cool off for a day.
func coolingWorld(t *testing.T, o worldOptions) (w *world, state string) {
	t.Helper()
	state = filepath.Join(t.TempDir(), "state")
	if o.mode == "" {
		o.mode = "apply"
	}
	o.extra += "guards: {deactivationCooloff: 24h}\nstate: {dir: " + state + "}\n"
	return newWorld(t, o), state
}

// inactive declares that labs be deactivated.
func inactive(t *testing.T) string {
	t.Helper()
	return manifest(t, "acme-labs.okta.com, cell: ok1, status: ACTIVE", "acme-labs.okta.com, cell: ok1, status: INACTIVE")
}

func (w *world) status(domain string) string {
	w.t.Helper()
	org, ok := w.sim.Org(domain)
	if !ok {
		w.t.Fatalf("there is no org %q", domain)
	}
	return org.Status
}

// expectBlocked does one run that must end with drift, labs' status blocked for
// this reason and nothing else, and labs active.
func (w *world) expectBlocked(why string) api.Status {
	w.t.Helper()
	s := w.expect(ResultDrift)
	expectLines(w.t, "blocked", blocked(s), labs+" status: "+why)
	if w.status(labs) != "ACTIVE" {
		w.t.Errorf("%s is %s", labs, w.status(labs))
	}
	return s
}

// announcements returns what the journal has, as "domain since", with the action
// where it isn't a deactivation.
func announcements(t *testing.T, state string) []string {
	t.Helper()
	j := journal.New(location.Folder(state), journal.Options{})
	defer j.Close()
	all, err := j.Announcements(testSeed().Account.ID)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, a := range all {
		line := a.Domain + " " + a.At.UTC().Format("02 15:04")
		if a.Action != string(diff.SetStatus) {
			line += " " + a.Action
		}
		lines = append(lines, line)
	}
	return lines
}

// The first run announces, those after it wait, and one that is late enough
// deactivates; all of it over restarts.
func TestCooloffWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, state := coolingWorld(t, worldOptions{})
		w.commit(inactive(t))
		if s := w.expectBlocked(announced); s.LastRun.Changes != (api.Changes{Blocked: 1}) || s.LastRun.Problem != nil {
			t.Errorf("run %+v", s.LastRun)
		}
		expectLines(t, "announced", announcements(t, state), labs+" 01 00:00")
		time.Sleep(10 * time.Minute)
		w.expectBlocked(midnight)
		time.Sleep(24*time.Hour - 10*time.Minute - time.Nanosecond)
		w.restart()
		w.expectBlocked(midnight)
		expectLines(t, "announced", announcements(t, state), labs+" 01 00:00")
		time.Sleep(time.Nanosecond)
		w.expect(ResultApplied)
		if w.status(labs) != "INACTIVE" {
			t.Errorf("%s is %s", labs, w.status(labs))
		}
		w.expect(ResultInSync)
		expectLines(t, "announced", announcements(t, state))
		for _, told := range w.log.lines(t, "drift") {
			if told["org"] != labs || !strings.HasPrefix(told["blocked"].(string), "cooling off: ") {
				t.Errorf("told: %v", told)
			}
		}
	})
}

// confirmed is inactive, with something else declared for labs.
func confirmed(t *testing.T) string {
	t.Helper()
	return strings.Replace(inactive(t), "status: INACTIVE, products: [sso]", "status: INACTIVE, productPolicy: additive, products: [sso]", 1)
}

// Another commit that changes what is declared for the org needs no waiting. One
// that doesn't, such as of a README, changes nothing.
func TestCooloffAnotherCommit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, _ := coolingWorld(t, worldOptions{})
		w.commit(inactive(t))
		w.expectBlocked(announced)
		for _, other := range []string{
			"# really\n" + inactive(t), // on other lines
			strings.Replace(inactive(t), "[sso, mfa]", "[mfa, sso]", 1),
			strings.Replace(inactive(t), "acme-shop.okta.com, cell: ok1", "acme-shop.okta.com, cell: ok1, productPolicy: additive", 1),
		} {
			w.commit(other)
			w.expectBlocked(midnight)
		}
		w.commit(confirmed(t))
		w.expect(ResultApplied)
		if w.status(labs) != "INACTIVE" {
			t.Errorf("%s is %s", labs, w.status(labs))
		}
	})
}

// What is taken back is withdrawn, and begins anew when it comes again.
func TestCooloffWithdrawn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, state := coolingWorld(t, worldOptions{})
		w.commit(inactive(t))
		w.expectBlocked(announced)
		time.Sleep(23 * time.Hour)
		w.commit(inSync)
		w.expect(ResultInSync)
		expectLines(t, "announced", announcements(t, state))
		w.commit(inactive(t))
		w.expectBlocked(announced)
		time.Sleep(2 * time.Hour)
		w.expectBlocked("cooling off: announced at 2000-01-01T23:00:00Z, made from 2000-01-02T23:00:00Z on, or after another commit that changes what is declared for the org")

		// An org that can't be read at the moment has taken nothing back.
		if err := w.sim.SetReadForbidden(labs, true); err != nil {
			t.Fatal(err)
		}
		w.run()
		expectLines(t, "announced", announcements(t, state), labs+" 01 23:00")
	})
}

// A run that looks at some orgs only says nothing of the others.
func TestCooloffFilters(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, state := coolingWorld(t, worldOptions{})
		w.commit(inactive(t))
		w.expectBlocked(announced)
		w.commit(inSync)
		for _, f := range []reconcile.Filter{{Only: []string{emea}}, {Exclude: []string{strings.ToUpper(labs)}}} {
			plan, desired, err := w.runner.r.Plan(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.runner.r.Note(plan, desired, f); err != nil {
				t.Fatal(err)
			}
			expectLines(t, "announced", announcements(t, state), labs+" 01 00:00")
		}
		f := reconcile.Filter{Only: []string{strings.ToUpper(labs)}}
		plan, desired, err := w.runner.r.Plan(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.runner.r.Note(plan, desired, f); err != nil {
			t.Fatal(err)
		}
		expectLines(t, "announced", announcements(t, state))
	})
}

// Looking announces nothing.
func TestCooloffPlanAnnouncesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, state := coolingWorld(t, worldOptions{})
		w.commit(inactive(t))
		plan, _, err := w.runner.r.Plan(t.Context(), reconcile.Filter{})
		if err != nil || len(plan.Changes) != 1 || plan.Changes[0].Blocked != announced {
			t.Errorf("%+v, %v", plan, err)
		}
		if _, err := os.Stat(state); !os.IsNotExist(err) {
			t.Errorf("the state folder was made: %v", err)
		}
	})
}

// What something else keeps from being made is not announced: the period begins
// when nothing else is in the way.
func TestCooloffBehindOtherReasons(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, state := coolingWorld(t, worldOptions{extra: "windows: [{deny: '0 0 * * *', duration: 1h}]\n"})
		w.commit(inactive(t))
		w.expectBlocked("freeze window until 2000-01-01T01:00:00Z")
		w.commit(strings.Replace(inactive(t), "status: INACTIVE", "status: INACTIVE, protected: true", 1))
		w.expectBlocked("protected")
		w.commit(strings.Replace(inactive(t), "status: INACTIVE", "status: INACTIVE, mode: report", 1))
		w.expectBlocked("mode: report")
		expectLines(t, "announced", announcements(t, state))
		w.commit(inactive(t))
		time.Sleep(time.Hour)
		w.expectBlocked(announced)
		expectLines(t, "announced", announcements(t, state), labs+" 01 01:00")

		// Once it is announced, a window neither withdraws it nor lets it through.
		time.Sleep(23*time.Hour + 30*time.Minute)
		w.expectBlocked("freeze window until 2000-01-02T01:00:00Z")
		expectLines(t, "announced", announcements(t, state), labs+" 01 01:00")
		time.Sleep(30 * time.Minute)
		w.expect(ResultApplied)
	})
}

// A request for deletion waits too, together with the deactivation before it.
func TestCooloffDeletion(t *testing.T) {
	bubble(t, func(t *testing.T) {
		seed := testSeed()
		seed.Account.DeletionAllowed = true
		w, state := coolingWorld(t, worldOptions{seed: seed})
		w.commit(strings.Replace(inactive(t), "status: INACTIVE", "status: INACTIVE, requestDeletion: true", 1))
		s := w.expect(ResultDrift)
		expectLines(t, "blocked", blocked(s), labs+" requestDeletion: "+announced, labs+" status: "+announced)
		expectLines(t, "announced", announcements(t, state), labs+" 01 00:00 request-deletion", labs+" 01 00:00")
		expectLines(t, "writes", w.writes())
		time.Sleep(24 * time.Hour)
		if s := w.expect(ResultApplied); s.LastRun.Changes != (api.Changes{Applied: 2}) {
			t.Errorf("run %+v", s.LastRun)
		}
		w.expect(ResultInSync)
		expectLines(t, "announced", announcements(t, state))
	})
}

// Who was told that an org will be deactivated was not told that it will be
// deleted: that is announced by itself, and the deactivation need not wait.
func TestCooloffDeletionIsMore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		seed := testSeed()
		seed.Account.DeletionAllowed = true
		w, state := coolingWorld(t, worldOptions{seed: seed})
		w.commit(inactive(t))
		w.expectBlocked(announced)
		time.Sleep(10 * time.Minute)
		w.commit(strings.Replace(inactive(t), "status: INACTIVE", "status: INACTIVE, requestDeletion: true", 1))
		s := w.expect(ResultApplied)
		expectLines(t, "blocked", blocked(s), labs+" requestDeletion: "+announced)
		if w.status(labs) != "INACTIVE" || len(w.writes()) != 1 {
			t.Errorf("%s is %s after %q", labs, w.status(labs), w.writes())
		}
		w.expect(ResultDrift)
		expectLines(t, "announced", announcements(t, state), labs+" 01 00:10 request-deletion")

		// Somebody makes it active again: that begins anew, and the deletion waits
		// for it although its own time has come.
		if err := w.sim.SetOrgStatus(labs, "ACTIVE", "mallory@acme.example"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Hour)
		s = w.expect(ResultDrift)
		expectLines(t, "blocked", blocked(s), labs+" requestDeletion: "+announced, labs+" status: "+announced)
		if len(w.writes()) != 1 {
			t.Errorf("writes %q", w.writes())
		}
		time.Sleep(24 * time.Hour)
		w.expect(ResultApplied)
		if len(w.writes()) != 3 {
			t.Errorf("writes %q", w.writes())
		}
		w.expect(ResultInSync)
		expectLines(t, "announced", announcements(t, state))
	})
}

// What the manifests, or the org's role, bar is not about to be made any more, so
// that its announcement is withdrawn: a month later nobody remembers it.
func TestCooloffWithdrawnWhenBarred(t *testing.T) {
	for _, bar := range []string{"protected: true", "mode: report"} {
		t.Run(bar, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w, state := coolingWorld(t, worldOptions{})
				w.commit(inactive(t))
				w.expectBlocked(announced)
				w.commit(strings.Replace(inactive(t), "status: INACTIVE", "status: INACTIVE, "+bar, 1))
				w.expect(ResultDrift)
				expectLines(t, "announced", announcements(t, state))
				time.Sleep(30 * 24 * time.Hour)
				w.commit(inactive(t))
				w.expectBlocked(announced)
				expectLines(t, "writes", w.writes())
			})
		})
	}
}

// A daemon that only reports announces as well: who reads along is told when it
// would be made, and switching to apply need not begin anew.
func TestCooloffInReportMode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, state := coolingWorld(t, worldOptions{mode: "report"})
		w.commit(inactive(t))
		w.expectBlocked(announced)
		expectLines(t, "announced", announcements(t, state), labs+" 01 00:00")
		w.expectBlocked(midnight)
		time.Sleep(24 * time.Hour)
		w.expectBlocked("")
		expectLines(t, "writes", w.writes())
	})
}

// What was announced can't be known: then there is no plan.
func TestCooloffUnreadableJournal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, state := coolingWorld(t, worldOptions{})
		w.commit(inactive(t))
		w.expectBlocked(announced)
		if err := os.Rename(state, state+".away"); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(state, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		s := w.expect(ResultError)
		if p := s.LastRun.Problem; p == nil || !strings.Contains(p.Error, state) {
			t.Errorf("problem %+v", p)
		}
		if err := os.Remove(state); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(state+".away", state); err != nil {
			t.Fatal(err)
		}
		w.expectBlocked(midnight)
	})
}

// A journal that is damaged is set aside, and the period begins anew when that is
// acknowledged.
func TestCooloffDamagedJournal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, state := coolingWorld(t, worldOptions{})
		w.commit(inactive(t))
		w.expectBlocked(announced)
		if err := os.WriteFile(filepath.Join(state, "journal.db"), []byte(strings.Repeat("not a journal ", 1000)), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Hour)
		w.expect(ResultError)
		s := w.expect(ResultDrift)
		if len(s.Alarms) != 1 {
			t.Errorf("alarms %+v", s.Alarms)
		}
		expectLines(t, "announced", announcements(t, state))
		other := journal.New(location.Folder(state), journal.Options{})
		defer other.Close()
		if err := other.AcknowledgeLoss("ada"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		w.expectBlocked(announced)
		expectLines(t, "announced", announcements(t, state), labs+" 02 01:00")
		time.Sleep(24 * time.Hour)
		w.expect(ResultApplied)
	})
}

// A plan that was saved counts for no commit: it may be of one that is older than
// the announcement, and only lies about since.
func TestCooloffSavedPlanIsNoOtherCommit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, _ := coolingWorld(t, worldOptions{mode: "report"})
		w.commit(inactive(t))
		w.expectBlocked(announced)
		w.commit(confirmed(t))
		r := w.runner.r
		saved, _, err := r.Plan(t.Context(), reconcile.Filter{})
		if err != nil || saved.Changes[0].Blocked != "" {
			t.Fatalf("%+v, %v", saved, err)
		}
		plan, err := r.Recheck(t.Context(), saved)
		if err != nil || len(plan.Refusals) != 1 || !strings.Contains(plan.Refusals[0].Message, "made from 2000-01-02T00:00:00Z on)") {
			t.Fatalf("%+v, %v", plan, err)
		}
		time.Sleep(24 * time.Hour)
		if plan, err = r.Recheck(t.Context(), saved); err != nil || len(plan.Refusals) != 0 {
			t.Errorf("%+v, %v", plan, err)
		}
	})
}

// A plan that was saved when its time had come is refused when that is no longer
// so.
func TestCooloffSavedPlan(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, state := coolingWorld(t, worldOptions{mode: "report"})
		w.commit(inactive(t))
		w.expectBlocked(announced)
		time.Sleep(24 * time.Hour)
		r := w.runner.r
		saved, _, err := r.Plan(t.Context(), reconcile.Filter{})
		if err != nil || saved.Changes[0].Blocked != "" {
			t.Fatalf("%+v, %v", saved, err)
		}
		plan, err := r.Recheck(t.Context(), saved)
		if err != nil || len(plan.Refusals) != 0 {
			t.Fatalf("%+v, %v", plan, err)
		}
		w.commit(inSync)
		w.expect(ResultInSync)
		expectLines(t, "announced", announcements(t, state))
		plan, err = r.Recheck(t.Context(), saved)
		if err != nil || len(plan.Refusals) != 1 || plan.Refusals[0].Guard != diff.GuardCooloff || !strings.Contains(plan.Refusals[0].Message, "it is made by one 24h later)") {
			t.Fatalf("%+v, %v", plan, err)
		}
		if _, err := r.Apply(t.Context(), plan, nil); err != apply.ErrRefused {
			t.Errorf("applied: %v", err)
		}
	})
}

// An activation, and any other change, waits for nothing.
func TestCooloffIsForDeactivationsOnly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, state := coolingWorld(t, worldOptions{})
		if err := w.sim.SetOrgStatus(labs, "INACTIVE", "mallory@acme.example"); err != nil {
			t.Fatal(err)
		}
		w.tamper(emea, sso, mfa, lcm)
		w.expect(ResultApplied)
		expectLines(t, "announced", announcements(t, state))
	})
}

// Somebody who reads the announcement can suspend the org.
func TestCooloffAndSuspension(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, state := coolingWorld(t, worldOptions{})
		w.commit(inactive(t))
		w.expectBlocked(announced)
		other := journal.New(location.Folder(state), journal.Options{})
		defer other.Close()
		if _, err := other.Suspend(freeze.Suspension{Reason: "wait", Owner: "ada", Orgs: []string{labs}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(48 * time.Hour)
		w.expectBlocked(`suspended by "ada" (no end given): wait`)
		expectLines(t, "announced", announcements(t, state), labs+" 01 00:00")
	})
}
