package daemon

import (
	"os"
	"strings"
	"testing"
	"time"

	"reconciler/internal/config"
)

// byType is a baseline with a group rule, in place of the key orgs of a manifest.
func byType(expression string) string {
	return strings.Replace(offices, "groups: [{profile: {name: Contractors}}]", `groups: [{profile: {name: Contractors}}], groupRules: [{name: By type,
  conditions: {expression: {value: "`+expression+`", type: "urn:okta:expression:1.0"}}, actions: {assignUserToGroups: {groupIds: [Contractors]}}}]`, 1)
}

// newRepairWorld is a world in apply mode whose orgs have a zone and a group rule.
func newRepairWorld(t *testing.T) *world {
	t.Helper()
	w := newConfiguredWorld(t, "1h", worldOptions{mode: "apply", extra: "state: {dir: " + t.TempDir() + "}\n"})
	w.declare(byType("true"))
	w.expect(ResultApplied)
	w.expect(ResultInSync)
	return w
}

func (w *world) object(domain, kind, key string) map[string]any {
	o, _ := w.sim.Objects(domain).Get(kind, key)
	return o
}

// What an admin deletes is made again by the first run after orgs.every; in between the
// orgs aren't called at all, unless their configuration or what is declared of it
// changed.
func TestRepairsAnOrg(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newRepairWorld(t)
		if err := w.sim.Objects(labs).Delete("networkZones", "Offices", "jane@acme.example"); err != nil {
			t.Fatal(err)
		}
		before := w.orgCalls()
		for range 5 {
			time.Sleep(10 * time.Minute) // less than an hour altogether
			w.expect(ResultInSync)
		}
		if n := w.orgCalls() - before; n > 0 {
			t.Errorf("%d calls in between", n)
		}
		time.Sleep(11 * time.Minute)
		s := w.expect(ResultApplied)
		if o := w.object(labs, "networkZones", "Offices"); o == nil || s.LastRun.Changes.Applied != 1 {
			t.Errorf("the zone is not there: %+v", s.LastRun)
		}

		// Only the org that was written to is read anew, and then none.
		before, other := w.orgCalls(), w.sim.OrgRequests(emea)["GET"]
		w.expect(ResultInSync)
		if w.orgCalls() == before || w.sim.OrgRequests(emea)["GET"] != other {
			t.Error("the org that was written to was not read again, or others were")
		}
		before = w.orgCalls()
		w.expect(ResultInSync)
		if n := w.orgCalls() - before; n > 0 {
			t.Errorf("%d calls after that", n)
		}

		// What is declared anew is compared at once.
		w.declare(byType("false"))
		w.expect(ResultApplied)
		for _, domain := range []string{emea, labs, shop} {
			if o := w.object(domain, "groupRules", "By type"); o["status"] != "ACTIVE" {
				t.Errorf("%s: %v", domain, o)
			}
		}
		w.expect(ResultInSync)
	})
}

// An org that can't be read is tried again in each run, and the others are not read for
// it.
func TestUnreadableOrgIsReadAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newRepairWorld(t)
		time.Sleep(2 * time.Hour)
		w.fault("GET /org/" + labs + "/api/v1/zones status=403")
		w.expect(ResultPartial)
		emeaReads, labsReads := w.sim.OrgRequests(emea)["GET"], w.sim.OrgRequests(labs)["GET"]
		s := w.expect(ResultPartial)
		if w.sim.OrgRequests(emea)["GET"] != emeaReads || w.sim.OrgRequests(labs)["GET"] == labsReads {
			t.Error("the wrong org was read")
		}
		if s.LastRun.Summary.Unknown != 1 {
			t.Errorf("%+v", s.LastRun.Summary)
		}
		w.sim.ClearFaults()
		w.expect(ResultInSync)
	})
}

// A group rule that a killed process left INACTIVE is activated by the first run of the
// next one, though nobody declares a status.
func TestInterruptedGroupRule(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newRepairWorld(t)
		w.fault("PUT /org/" + labs + "/api/v1/groups/rules/* status=403")
		w.fault("POST /org/" + labs + "/api/v1/groups/rules/*/lifecycle/activate status=403")
		w.declare(byType("false"))
		w.expect(ResultPartial)
		w.sim.ClearFaults()
		w.declare(byType("true"))
		w.restart()
		w.expect(ResultApplied) // the other two go back, and the rule is on again
		if o := w.object(labs, "groupRules", "By type"); o["status"] != "ACTIVE" {
			t.Errorf("%v", o)
		}
		w.expect(ResultInSync)
		if err := w.sim.Objects(labs).SetStatus("groupRules", "By type", "INACTIVE", "jane@acme.example"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		w.expect(ResultInSync) // nobody declares it
	})
}

// What SIGHUP changes of the config of orgs is taken up, and what a change has left is
// known afterwards.
func TestReloadOfOrgs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newRepairWorld(t)
		reload := func(old, new string) {
			t.Helper()
			text, err := os.ReadFile(w.cfg.File)
			if err != nil || !strings.Contains(string(text), old) {
				t.Fatalf("the config has no %q: %v", old, err)
			}
			if err := os.WriteFile(w.cfg.File, []byte(strings.Replace(string(text), old, new, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			w.opts.Load = func() (*config.Config, error) {
				cfg, _, err := config.Load(w.cfg.File, nil)
				return cfg, err
			}
			if !w.readConfig() {
				t.Fatalf("refused:\n%s", w.log)
			}
		}
		w.fault("PUT /org/" + labs + "/api/v1/groups/rules/* status=403")
		w.fault("POST /org/" + labs + "/api/v1/groups/rules/*/lifecycle/activate status=403")
		w.declare(byType("false"))
		w.expect(ResultPartial)
		w.sim.ClearFaults()
		reload("every: 1h", "every: 0s")
		w.expect(ResultApplied)
		if o := w.object(labs, "groupRules", "By type"); o["status"] != "ACTIVE" {
			t.Errorf("%v", o)
		}
		for range 2 {
			before := w.orgCalls()
			w.expect(ResultInSync)
			if w.orgCalls() == before {
				t.Error("the orgs are not read in each run")
			}
		}
		reload("/org/{domain}", "/elsewhere/{domain}")
		w.expect(ResultPartial)
		reload("/elsewhere/{domain}", "/org/{domain}")
		w.expect(ResultInSync)
	})
}
