package daemon

import (
	"database/sql"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"reconciler/internal/apply"
	"reconciler/internal/daemon/api"
	"reconciler/internal/diff"
	"reconciler/internal/freeze"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/reconcile"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
)

// blocked returns a status' drift as "org field: why it is blocked".
func blocked(s api.Status) []string {
	var lines []string
	for _, d := range s.Drift {
		lines = append(lines, d.Org+" "+d.Field+": "+d.Blocked)
	}
	return lines
}

// A freeze window blocks changes, and only that: drift is looked for and told,
// and the first run after it writes.
func TestWindowHoldsWrites(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{mode: "apply", extra: `
windows:
  - {deny: "0 1 * * *", duration: 2h, orgs: ["acme-e*.okta.com"]}
`})
		at := func(clock string) { // today
			t.Helper()
			next, err := time.Parse(time.DateTime, "2000-01-01 "+clock)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Until(next))
		}
		at("00:59:59")
		w.tamper(emea, sso)
		w.expect(ResultApplied)
		at("01:00:00")
		w.tamper(emea, sso)
		w.tamper(labs, sso, lcm)
		const why = emea + " products: freeze window until 2000-01-01T03:00:00Z"
		s := w.expect(ResultApplied)
		expectLines(t, "blocked", blocked(s), why)
		if s.LastRun.Changes != (api.Changes{Applied: 1, Blocked: 1}) || !s.Ready || !s.LastRun.Left() {
			t.Errorf("run %+v", s.LastRun)
		}
		for _, clock := range []string{"02:00:00", "02:59:59"} {
			at(clock)
			s = w.expect(ResultDrift)
			expectLines(t, "blocked", blocked(s), why)
			expectLines(t, emea, w.products(emea), sso)
			if s.LastRun.Problem != nil || s.LastRun.Changes != (api.Changes{Blocked: 1}) {
				t.Errorf("run %+v", s.LastRun)
			}
		}
		if told := w.log.lines(t, "drift"); len(told) != 1 || told[0]["blocked"] != "freeze window until 2000-01-01T03:00:00Z" {
			t.Errorf("told: %v", told)
		}
		if !strings.Contains(ask(w.handler, "GET", "/").Body.String(), "<td data-label=\"Not repaired\">freeze window until 2000-01-01T03:00:00Z") {
			t.Error("the page doesn't say what blocks")
		}
		w.expectMetrics(map[string]string{
			`reconciler_drift{field="products",org="` + emea + `"}`:               "1",
			`reconciler_runs_total{result="error"}`:                               "0",
			`reconciler_changes_total{action="update-products",result="blocked"}`: "3",
			"reconciler_suspensions":                                              "0",
		})
		at("03:00:00")
		expectLines(t, "drift", driftLines(w.expect(ResultApplied)))
		expectLines(t, emea, w.products(emea), sso, mfa)
	})
}

// Where windows allow, nothing is written outside of them; and a window that
// opens between the plan and its application lets through what the plan has.
func TestWindowAllows(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{mode: "apply", extra: `
windows:
  - {allow: "30 9 * * *", duration: 30m, timezone: Europe/Berlin}
`})
		w.tamper(shop)
		s := w.expect(ResultDrift)
		expectLines(t, "blocked", blocked(s), shop+" products: outside of the allowed windows: the next opens at 2000-01-01T08:30:00Z")
		time.Sleep(8*time.Hour + 30*time.Minute)
		w.expect(ResultApplied)
		time.Sleep(30 * time.Minute)
		w.tamper(shop)
		expectLines(t, "blocked", blocked(w.expect(ResultDrift)), shop+" products: outside of the allowed windows: the next opens at 2000-01-02T08:30:00Z")
	})
}

// suspending is a world with a state folder, and the journal in it as another
// process has it.
func suspending(t *testing.T, o worldOptions) (*world, *journal.Journal, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	o.extra += "state: {dir: " + dir + "}\n"
	other := journal.New(location.Folder(dir), journal.Options{})
	t.Cleanup(func() { other.Close() })
	return newWorld(t, o), other, dir
}

// A suspension holds from the moment on at which it is made until it is taken
// back or expires; it is told when that changes, and shown all the time.
func TestSuspensionHoldsWrites(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, other, _ := suspending(t, worldOptions{mode: "apply", extra: "suspend: [{reason: partner, owner: bob, orgs: [acme-x*]}]\n"})
		if s := w.expect(ResultInSync); len(s.Suspensions) != 1 || s.Suspensions[0].Reason != "partner" {
			t.Errorf("suspensions %+v", s.Suspensions)
		}
		w.expectMetrics(map[string]string{"reconciler_suspensions": "1"})
		made, err := other.Suspend(freeze.Suspension{Reason: "load test", Owner: "ada", Orgs: []string{"acme-e*"}, Until: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		w.tamper(emea, sso)
		w.tamper(labs, sso, lcm)
		s := w.expect(ResultApplied)
		expectLines(t, "blocked", blocked(s), emea+` products: suspended by "ada" until 2000-01-01T01:00:00Z: load test`)
		expectLines(t, labs, w.products(labs), sso)
		if len(s.Suspensions) != 2 || s.Suspensions[0].ID != "" || s.Suspensions[1].ID != made.ID || s.Suspensions[1].Owner != "ada" {
			t.Errorf("suspensions %+v", s.Suspensions)
		}
		w.expectMetrics(map[string]string{"reconciler_suspensions": "2"})
		page := ask(w.handler, "GET", "/").Body.String()
		for _, want := range []string{"<b><code>acme-e*</code></b>\n<br>load test", `<span class="soft">by</span> ada, <span class="soft">ends</span> <time datetime="2000-01-01T01:00:00Z">`} {
			if !strings.Contains(page, want) {
				t.Errorf("the page lacks %q:\n%s", want, page)
			}
		}
		w.expect(ResultDrift)
		if told := w.log.lines(t, "writes are suspended"); len(told) != 3 || told[2]["id"] != made.ID || told[2]["orgs"] != "acme-e*" {
			t.Errorf("told: %v", told)
		}
		time.Sleep(time.Hour)
		s = w.expect(ResultApplied)
		expectLines(t, emea, w.products(emea), sso, mfa)
		if len(s.Suspensions) != 1 {
			t.Errorf("suspensions %+v", s.Suspensions)
		}
		w.expectMetrics(map[string]string{"reconciler_suspensions": "1"})
		if n := len(w.log.lines(t, "writes are no longer suspended")); n != 0 {
			t.Error("said that nothing is suspended, though the config suspends something")
		}
	})
}

// during calls a func right before a request is sent for the first time.
type during struct {
	http.RoundTripper
	method string
	once   sync.Once
	do     func()
}

func (d *during) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == d.method {
		d.once.Do(d.do)
	}
	return d.RoundTripper.RoundTrip(req)
}

// heldFor is how long an answer about suspensions counts.
const heldFor = time.Second

// A suspension stops a run that is writing: what is under way is finished, the
// rest is skipped, and the next plan says why.
func TestSuspendedWhileWriting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, other, _ := suspending(t, worldOptions{mode: "apply"})
		w.cfg.Aerial.Concurrency = 1
		w.base = &during{RoundTripper: w.base, method: http.MethodPut, do: func() {
			if _, err := other.Suspend(freeze.Suspension{Reason: "incident", Owner: "ada"}); err != nil {
				t.Error(err)
			}
			time.Sleep(heldFor)
		}}
		w.restart()
		for _, org := range []string{emea, labs, shop} {
			w.tamper(org)
		}
		const why = `suspended by "ada" (no end given): incident`
		s := w.expect(ResultPartial)
		if s.LastRun.Changes != (api.Changes{Applied: 1, Skipped: 2}) || s.LastRun.Problem != nil || !s.Ready {
			t.Errorf("run %+v", s.LastRun)
		}
		for _, d := range s.Drift {
			if d.Error != "writes have been held since the plan was made: "+why || d.Blocked != "" {
				t.Errorf("drift %+v", d)
			}
		}
		if n := len(w.writes()); n != 1 || len(w.log.lines(t, "change skipped")) != 2 {
			t.Errorf("%d writes", n)
		}
		s = w.expect(ResultDrift)
		expectLines(t, "blocked", blocked(s), labs+" products: "+why, shop+" products: "+why)
	})
}

// expectHeldUnread does a run, which must hold everything because it isn't known
// what is suspended, and report drift all the same.
func (w *world) expectHeldUnread(words string) {
	w.t.Helper()
	s := w.expect(ResultError)
	if p := s.LastRun.Problem; p == nil || !strings.Contains(p.Error, words) || p.Hint == "" {
		w.t.Errorf("problem %+v", p)
	}
	if b := blocked(s); len(b) != 1 || !strings.HasPrefix(b[0], emea+" products: what is suspended can't be read: ") || !strings.Contains(b[0], words) {
		w.t.Errorf("blocked: %q", b)
	}
}

// A suspension that can't be understood holds everything, which is an error where
// there is something to write; drift is reported all the same. So it is when the
// journal is gone, which takes back nothing.
func TestDamagedSuspensions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, other, dir := suspending(t, worldOptions{mode: "apply"})
		if _, err := other.Suspend(freeze.Suspension{Reason: "x", Owner: "ada", Orgs: []string{"nobody.okta.com"}}); err != nil {
			t.Fatal(err)
		}
		good, err := other.Suspend(freeze.Suspension{Reason: "y", Owner: "bob", Orgs: []string{"else.okta.com"}})
		if err != nil {
			t.Fatal(err)
		}
		w.expect(ResultInSync)
		file := filepath.Join(dir, "journal.db")
		db, err := sql.Open("sqlite", file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(`UPDATE suspensions SET orgs = '[' WHERE reason = 'x'`); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		w.tamper(emea, sso)
		for range 2 {
			w.expectHeldUnread(file)
			s := w.tracker.read(time.Now())
			if len(s.Suspensions) != 2 || s.Suspensions[1].ID != good.ID || s.Suspensions[0].Owner != "reconciler" || !strings.Contains(s.Suspensions[0].Reason, file) || len(s.Suspensions[0].Orgs) != 0 || !s.Ready {
				t.Errorf("suspensions %+v", s.Suspensions)
			}
		}
		w.expectMetrics(map[string]string{"reconciler_suspensions": "2"})
		if told := w.log.lines(t, "it is not known what is suspended, so nothing is written"); len(told) != 1 || told[0]["hint"] == "" || told[0]["level"] != "ERROR" {
			t.Errorf("told: %v", told)
		}
		if err := os.Remove(file); err != nil { // which takes back nothing
			t.Fatal(err)
		}
		time.Sleep(heldFor)
		w.expectHeldUnread("the file is gone")
		w.expectHeldUnread("the file is gone")
		fresh, err := journal.New(location.Folder(dir), journal.Options{}).Lock() // in another process
		if err != nil {
			t.Fatal(err)
		}
		if err := fresh.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(heldFor)
		w.expect(ResultApplied)
		if n := len(w.log.lines(t, "writes are no longer suspended")); n != 1 {
			t.Errorf("said %d times that writes are free", n)
		}
	})
}

// What was suspended is lost with a damaged journal. The one that replaces it
// holds everything until somebody acknowledges that, or resumes.
func TestDamagedJournalHolds(t *testing.T) {
	for name, end := range map[string]func(j *journal.Journal) error{
		"acknowledged": func(j *journal.Journal) error { return j.AcknowledgeLoss("ada") },
		"resumed": func(j *journal.Journal) error {
			_, err := j.Resume(func(freeze.Suspension) bool { return true })
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w, other, dir := suspending(t, worldOptions{mode: "apply"})
				if _, err := other.Suspend(freeze.Suspension{Reason: "x", Owner: "ada", Orgs: []string{emea}}); err != nil {
					t.Fatal(err)
				}
				w.expect(ResultInSync)
				file := filepath.Join(dir, "journal.db")
				if err := os.WriteFile(file, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
					t.Fatal(err)
				}
				w.tamper(emea, sso)
				w.expectHeldUnread("the file is damaged")
				for range 2 {
					s := w.expect(ResultDrift)
					if b := blocked(s); len(b) != 1 || !strings.HasPrefix(b[0], emea+` products: suspended by "reconciler" (no end given): the journal was damaged and set aside as journal.db.corrupt-`) {
						t.Errorf("blocked: %q", b)
					}
					if len(s.Suspensions) != 1 || s.Suspensions[0].ID == "" || len(s.Suspensions[0].Orgs) != 0 || len(s.Alarms) != 1 {
						t.Errorf("suspensions %+v, alarms %+v", s.Suspensions, s.Alarms)
					}
				}
				expectLines(t, "writes", w.writes())
				if err := end(other); err != nil {
					t.Fatal(err)
				}
				time.Sleep(heldFor)
				s := w.expect(ResultApplied)
				if len(s.Suspensions) != 0 || (len(s.Alarms) == 0) != (name == "acknowledged") {
					t.Errorf("suspensions %+v, alarms %+v", s.Suspensions, s.Alarms)
				}
			})
		})
	}
}

// A plan that was saved is refused as a whole while any of it is held.
func TestSavedPlanIsHeld(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, other, _ := suspending(t, worldOptions{})
		r := w.runner.r
		w.tamper(emea, sso)
		w.tamper(labs, sso, lcm)
		saved, _, err := r.Plan(t.Context(), reconcile.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		made, err := other.Suspend(freeze.Suspension{Reason: "load test", Owner: "ada", Orgs: []string{"acme-e*"}})
		if err != nil {
			t.Fatal(err)
		}
		plan, err := r.Recheck(t.Context(), saved)
		if err != nil {
			t.Fatal(err)
		}
		if len(plan.Refusals) != 1 || plan.Refusals[0].Guard != diff.GuardHeld ||
			!strings.Contains(plan.Refusals[0].Message, emea) || !strings.Contains(plan.Refusals[0].Message, `suspended by "ada" (no end given): load test`) {
			t.Errorf("refusals %+v", plan.Refusals)
		}
		if _, err := r.Apply(t.Context(), plan, nil); err != apply.ErrRefused {
			t.Errorf("applied: %v", err)
		}
		if _, err := other.Resume(func(s freeze.Suspension) bool { return s.ID == made.ID }); err != nil {
			t.Fatal(err)
		}
		if plan, err = r.Recheck(t.Context(), saved); err != nil || len(plan.Refusals) > 0 {
			t.Fatalf("%+v, %v", plan, err)
		}
		if result, err := r.Apply(t.Context(), plan, nil); err != nil || result.Counts().Applied != 2 {
			t.Errorf("%+v, %v", result, err)
		}
	})
}

// TestSuspendedWhileOrgsAreCreated: a suspension that another process makes while the
// first of three orgs is being created: that one is finished, no other is begun, and
// the run says so. After resuming the others are created.
func TestSuspendedWhileOrgsAreCreated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, stateDir, _ := withJournal(t, nil)
		desired := creating
		for _, domain := range []string{"acme-new1.okta.com", "acme-new2.okta.com"} {
			_, entry, _ := strings.Cut(creating, inSync)
			desired += strings.ReplaceAll(entry, made, domain)
		}
		w.commit(desired)
		other := journal.New(location.Folder(stateDir), journal.Options{})
		defer other.Close()
		if err := w.sim.AddFault(simulator.Fault{Method: "POST", Path: "/api/v1/orgs", API: "org", Delay: 2 * time.Second, Times: 1, Do: func() {
			if _, err := other.Suspend(freeze.Suspension{Reason: "incident", Owner: "ada"}); err != nil {
				t.Error(err)
			}
		}}); err != nil {
			t.Fatal(err)
		}
		creations := func() (n int) {
			for _, r := range w.sim.Requests() {
				if r.Method == "POST" && r.Path == "/api/v1/orgs" && !r.Aerial {
					n++
				}
			}
			return n
		}
		s := w.expect(ResultPartial)
		if n := creations(); n != 1 {
			t.Errorf("%d creations sent", n)
		}
		if c := s.LastRun.Changes; c.Applied != 1 || c.Failed != 0 || c.Skipped == 0 {
			t.Errorf("%+v", c)
		}
		if _, err := other.Resume(func(freeze.Suspension) bool { return true }); err != nil {
			t.Fatal(err)
		}
		w.expect(ResultApplied)
		if n := creations(); n != 3 {
			t.Errorf("%d creations sent", n)
		}
	})
}
