package org

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"reconciler/internal/okta/objects"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
)

// feature returns the declaration of one.
func feature(name, status string) string {
	return fmt.Sprintf(`features {"name":%q,"status":%q}`, name, status)
}

// reads returns the GET calls below /api since the last time.
func (f *fleet) reads() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := slices.DeleteFunc(f.sent, func(s string) bool { return !strings.HasPrefix(s, "GET /api/") })
	f.sent = nil
	return all
}

// TestNeeds: what features depend on is read, over all levels, only of those that are
// to be switched; the comparison then has them in an order that the org accepts.
func TestNeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seed := simulator.DefaultSeed(10)
		seed.Features = []simulator.Feature{
			{Name: "A", Needs: []string{"C", "Free"}}, {Name: "C", Needs: []string{"B"}}, {Name: "B"}, {Name: "Free"}, {Name: "D", Needs: []string{"B"}},
		}
		f := newFleet(t, simulatortest.Config{Seed: seed}, nil)
		target := f.target(0)
		if err := f.sim.Objects(target.Domain).SetStatus("features", "Free", "ENABLED", "eve"); err != nil {
			t.Fatal(err)
		}

		d := declare(t, feature("A", "DISABLED"), feature("Free", "ENABLED"))
		if plan := f.compare(target, d); len(plan) > 0 || len(f.reads()) != 1 {
			t.Errorf("in sync: %v", plan)
		}

		// Undeclared ones are followed as well, and those that are on already aren't.
		plan := f.compare(target, declare(t, feature("A", "ENABLED"), feature("Free", "ENABLED")))
		if n := f.reads(); len(n) != 4 {
			t.Error(n)
		}
		if len(plan) != 1 || !strings.HasPrefix(plan[0].Unmet, `it needs "B", "C", which must be ENABLED first: `) {
			t.Errorf("%+v", plan)
		}

		for _, status := range []string{"ENABLED", "DISABLED"} {
			d = declare(t, feature("A", status), feature("B", status), feature("C", status), feature("D", status))
			plan = f.compare(target, d)
			f.writes()
			notes, err := f.apply(target, plan, yes)
			if err != nil || len(notes) > 0 || len(f.writes()) != 4 {
				t.Errorf("%s: %v, %v", status, notes, err)
			}
			if left := f.compare(target, d); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		}
		for _, r := range f.sim.Requests() {
			if strings.Contains(r.Query, "mode") {
				t.Errorf("%s %s?%s", r.Method, r.Path, r.Query)
			}
		}
	})
}

// TestNeedsUnread: an org of which it can't be read what a feature depends on is not
// known; one whose feature is gone meanwhile is.
func TestNeedsUnread(t *testing.T) {
	const list = `[{"id":"ftr0","name":"A","status":"DISABLED"}]`
	needs := func(id int) string { return fmt.Sprintf("GET /api/v1/features/ftr%d/dependencies", id) }
	for _, tt := range []struct {
		name string
		with http.HandlerFunc
		err  string
	}{
		{"forbidden", reply(403, `{"errorCode":"E0000006"}`), `reading what the feature "A" depends on: 403 E0000006`},
		{"null", reply(200, `null`), `reading what the feature "A" depends on: the answer is null instead of a list`},
		{"no list", reply(200, `{}`), `reading what the feature "A" depends on: 200 with an unreadable body`},
		{"no id", reply(200, `[{"name":"B","status":"DISABLED"}]`), `reading what the feature "A" depends on: an object has no id`},
		{"gone", reply(404, `{"errorCode":"E0000007"}`), ""},
		{"itself", reply(200, list), ""},
		{"without end", nil, "there is no end to what objects depend on: gave up at more than 1000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAPI(t).on("GET /api/v1/features", reply(200, list)).on(needs(0), tt.with)
				for i := 0; tt.with == nil && i <= maxNeeds; i++ {
					a.on(needs(i), reply(200, fmt.Sprintf(`[{"id":"ftr%d","name":"B%d","status":"DISABLED"}]`, i+1, i+1)))
				}
				c := newClient(t, a, nil)
				d := declare(t, feature("A", "ENABLED"))
				live, err := c.Read(t.Context(), acme, objects.ReadsOf(d.Objects))
				if got := message(err); !strings.HasPrefix(got, tt.err) || (tt.err == "") != (err == nil) {
					t.Fatal(got)
				}
				if err != nil {
					return
				}
				plan, err := objects.Compare(d, live)
				if err != nil || len(plan.Differences) != 1 || plan.Differences[0].Unmet != "" {
					t.Errorf("%+v, %v", plan, err)
				}
			})
		})
	}
}
