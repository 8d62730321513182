package reconcile

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/apply"
	"reconciler/internal/config"
	"reconciler/internal/diff"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
)

// The simulated features: the second needs the first.
const (
	zoneLogging = "Enhanced Network Zone Logging"
	zoneReport  = "Zone Usage Report"
)

// featured are two orgs of a simulated account for which features are declared.
type featured struct {
	t         *testing.T
	sim       *simulatortest.Server
	cfg       *config.Config
	manifests string
	orgs      []string
	log       strings.Builder
}

// newFeatured returns one; stateDir is whether there is a journal.
func newFeatured(t *testing.T, stateDir bool) *featured {
	t.Helper()
	dir := t.TempDir()
	f := &featured{t: t, sim: simulatortest.New(t, simulatortest.Config{Orgs: 8, OrgScopes: simulator.OrgScopes()}), manifests: filepath.Join(dir, "fleet.yaml")}
	access := f.sim.Access
	access.ParentToken = ""
	path, err := simulator.WriteConfig(dir, simulator.DefaultSeed(1), access)
	if err != nil {
		t.Fatal(err)
	}
	if f.cfg, _, err = config.Load(path, nil); err != nil {
		t.Fatal(err)
	}
	f.cfg.State.Dir = ""
	if stateDir {
		f.cfg.State.Dir = filepath.Join(dir, "journal")
	}
	for _, o := range f.sim.Orgs() {
		if o.Managed && !o.AerialOrg && !o.Creator && o.Status == "ACTIVE" && len(f.orgs) < 2 {
			f.orgs = append(f.orgs, o.Domain)
		}
	}
	slices.Sort(f.orgs)
	return f
}

// declare declares features of both orgs, each as NAME: STATUS.
func (f *featured) declare(all ...string) {
	f.t.Helper()
	text := "version: 1\nbaselines:\n  features:\n    features:\n"
	for _, feature := range all {
		name, status, _ := strings.Cut(feature, ": ")
		text += fmt.Sprintf("      - {name: %s, status: %s}\n", name, status)
	}
	text += "defaults: {baselines: [features]}\norgs:\n"
	for _, domain := range f.orgs {
		text += fmt.Sprintf("  - {domain: %s, access: {clientID: %s}}\n", domain, f.sim.OrgCredentials.ClientID)
	}
	if err := os.WriteFile(f.manifests, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// open returns a Reconciler, closed with the test.
func (f *featured) open(after *Reconciler) *Reconciler {
	f.t.Helper()
	r, err := New(f.cfg, Options{Manifests: f.manifests, Transport: f.sim.RoundTripper(), Logger: slog.New(slog.NewTextHandler(&f.log, nil)), After: after})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(r.Close)
	return r
}

func (f *featured) plan(r *Reconciler) *diff.Plan {
	f.t.Helper()
	plan, _, err := r.Plan(f.t.Context(), Filter{})
	if err != nil {
		f.t.Fatal(err)
	}
	if len(plan.Unknown) > 0 {
		f.t.Fatalf("unknown: %+v", plan.Unknown)
	}
	return plan
}

// run plans and applies, and returns the outcomes of the changes of the first org, each
// as OBJECT: RESULT.
func (f *featured) run(r *Reconciler) (*diff.Plan, []string) {
	f.t.Helper()
	plan := f.plan(r)
	result, err := r.Apply(f.t.Context(), plan, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	var all []string
	for _, o := range result.Outcomes {
		if o.Result == apply.Failed {
			f.t.Errorf("%s: %s: %s", o.Org, o.Object, o.Error)
		}
		if o.Org == f.orgs[0] {
			all = append(all, fmt.Sprintf("%s: %s", o.Object, o.Result))
		}
	}
	return plan, all
}

// push sets a feature of the first org from elsewhere.
func (f *featured) push(name, status string) {
	f.t.Helper()
	if err := f.sim.Objects(f.orgs[0]).SetStatus("features", name, status, "Okta System"); err != nil {
		f.t.Fatal(err)
	}
}

func (f *featured) want(r *Reconciler, want ...string) *diff.Plan {
	f.t.Helper()
	plan, got := f.run(r)
	if d := cmp.Diff(want, got); d != "" {
		f.t.Fatal(d)
	}
	return plan
}

// A feature that is set twice and is set back each time is left alone, with what needs
// it, until something else is declared or a week is over; the other orgs converge. With
// a journal later processes know it, and without one the process and its successor.
func TestContested(t *testing.T) {
	for _, stateDir := range []bool{true, false} {
		t.Run(fmt.Sprintf("journal %v", stateDir), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFeatured(t, stateDir)
				r := f.open(nil)
				next := func() *Reconciler {
					if stateDir {
						r = f.open(nil)
					} else {
						r = f.open(r)
					}
					return r
				}
				const blocked = ": blocked"
				f.declare(zoneLogging+": ENABLED", zoneReport+": ENABLED")
				f.want(r, zoneLogging+": applied", zoneReport+": applied")
				f.want(next())
				time.Sleep(time.Hour)
				f.push(zoneReport, "DISABLED")
				f.push(zoneLogging, "DISABLED")
				f.want(next(), zoneLogging+": applied", zoneReport+": applied")
				again := time.Now().Add(contestedFor)
				f.push(zoneReport, "DISABLED")
				f.push(zoneLogging, "DISABLED")
				time.Sleep(time.Hour)
				plan := f.want(next(), zoneLogging+blocked, zoneReport+blocked)
				want := `status was set to "ENABLED" 2 times and set back each time, perhaps by a push from the parent org: declare what the parent has, or change it there; it is not tried again before `
				at, err := time.Parse(time.RFC3339, strings.TrimPrefix(plan.Changes[0].Blocked, want))
				if err != nil || at.Sub(again).Abs() > time.Minute {
					t.Errorf("%s: %v", plan.Changes[0].Blocked, err)
				}
				if len(plan.Impossible()) > 0 {
					t.Error("it counts as a failure")
				}
				if plan := f.plan(next()); plan.Digest != f.plan(r).Digest {
					t.Error("two digests")
				}

				f.declare(zoneLogging+": DISABLED", zoneReport+": DISABLED")
				f.want(next())
				f.push(zoneLogging, "ENABLED")
				f.want(next(), zoneLogging+": applied")
				f.push(zoneLogging, "ENABLED")
				f.want(next(), zoneLogging+": applied")

				f.declare(zoneLogging+": ENABLED", zoneReport+": ENABLED")
				f.want(next(), zoneLogging+": applied", zoneReport+blocked)
				time.Sleep(contestedFor)
				f.want(next(), zoneReport+": applied")
				if plan := f.plan(r); !plan.Empty() {
					t.Errorf("%+v", plan.Changes)
				}
			})
		})
	}
}

// What was written once, and what somebody set back long ago, is not contested; nor is
// what this program never wrote.
func TestNotContested(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeatured(t, true)
		r := f.open(nil)
		f.declare(zoneLogging + ": ENABLED")
		for range 4 {
			f.want(r, zoneLogging+": applied")
			time.Sleep(contestedFor + time.Hour)
			f.push(zoneLogging, "DISABLED")
		}
		for range 4 { // reading alone doesn't count
			if plan := f.plan(r); plan.Changes[0].Blocked != "" {
				t.Error(plan.Changes[0].Blocked)
			}
		}
	})
}

// A write that the journal doesn't take is made all the same, and the log says so.
func TestContestedUnrecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeatured(t, true)
		r := f.open(nil)
		f.declare(zoneLogging + ": ENABLED")
		plan := f.plan(r)
		r.contested.journal = journal.New(location.Folder(f.manifests), journal.Options{}) // a file, and no folder
		result, err := r.Apply(t.Context(), plan, nil)
		if err != nil || result.Counts().Applied != len(f.orgs) {
			t.Fatalf("%+v, %v", result, err)
		}
		if log := f.log.String(); strings.Count(log, "the journal doesn't know of a write") != len(f.orgs) {
			t.Error(log)
		}
	})
}

// What a feature depends on and is not declared is said in the plan, and keeps only the
// feature from being switched; nothing is asked of orgs that agree.
func TestFeatureNeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeatured(t, false)
		f.declare(zoneReport+": ENABLED", "Device Assurance Messages: ENABLED")
		r := f.open(nil)
		plan := f.want(r, "Device Assurance Messages: applied", zoneReport+": blocked")
		if why := plan.Changes[1].Blocked; !strings.HasPrefix(why, `not possible: it needs "`+zoneLogging+`", which must be ENABLED first: `) {
			t.Error(why)
		}
		if d := cmp.Diff(f.orgs, plan.Impossible()); d != "" {
			t.Errorf("counts as failed: %s", d)
		}
		f.declare(zoneReport+": ENABLED", zoneLogging+": DISABLED")
		plan = f.want(f.open(nil), zoneReport+": blocked")
		if why := plan.Changes[0].Blocked; why != `not possible: it needs "`+zoneLogging+`", which is declared DISABLED` {
			t.Error(why)
		}
		f.declare(zoneReport+": ENABLED", zoneLogging+": ENABLED")
		r = f.open(nil)
		f.want(r, zoneLogging+": applied", zoneReport+": applied")
		before := f.sim.OrgRequests(f.orgs[0])["GET"]
		f.plan(r)
		if n := f.sim.OrgRequests(f.orgs[0])["GET"] - before; n != 2 { // who it is, and the list
			t.Errorf("%d reads", n)
		}
		for _, req := range f.sim.Requests() {
			if strings.Contains(req.Query, "mode") {
				t.Errorf("%s %s?%s", req.Method, req.Path, req.Query)
			}
		}
	})
}
