package diff_test

import (
	"fmt"
	"strings"
	"testing"

	"reconciler/internal/diff"
	"reconciler/internal/state"
)

// fleet returns n active orgs with one product each, and manifests that agree.
func fleet(n int) (*state.Desired, *state.Actual) {
	actual := &state.Actual{Account: state.Account{ID: account}, Catalog: catalog}
	for i := range n {
		actual.Orgs = append(actual.Orgs, state.Org{
			ID: orgID(i), Domain: domain(i), Cell: "ok1", Status: state.Active, Products: []string{"P000052"},
		})
	}
	return mirror(actual), actual
}

func guardNames(p *diff.Plan) string {
	var names []string
	for _, r := range p.Refusals {
		names = append(names, r.Guard)
	}
	return strings.Join(names, " ")
}

func TestGuardLimits(t *testing.T) {
	tests := []struct {
		declared, destroyed int
		maxOrgs, maxPercent int
		refused             string
	}{
		{declared: 100, destroyed: 0, maxOrgs: 0, maxPercent: 0},
		{declared: 100, destroyed: 10, maxOrgs: 10, maxPercent: 20},
		{declared: 100, destroyed: 11, maxOrgs: 10, maxPercent: 20, refused: "maxDestructiveOrgs"},
		{declared: 50, destroyed: 10, maxOrgs: 10, maxPercent: 20},
		{declared: 49, destroyed: 10, maxOrgs: 10, maxPercent: 20, refused: "maxDestructivePercent"},
		{declared: 49, destroyed: 9, maxOrgs: 10, maxPercent: 20},
		{declared: 40, destroyed: 11, maxOrgs: 10, maxPercent: 20, refused: "maxDestructiveOrgs maxDestructivePercent"},
		// One org is always allowed, however small the fleet.
		{declared: 1, destroyed: 1, maxOrgs: 10, maxPercent: 20},
		{declared: 3, destroyed: 1, maxOrgs: 10, maxPercent: 0},
		{declared: 3, destroyed: 2, maxOrgs: 10, maxPercent: 20, refused: "maxDestructivePercent"},
		// Unless none at all is what the config asks for.
		{declared: 3, destroyed: 1, maxOrgs: 0, maxPercent: 100, refused: "maxDestructiveOrgs"},
		{declared: 9, destroyed: 9, maxOrgs: 9, maxPercent: 100},
	}
	damage := map[string]func(*state.DesiredOrg){
		"product":  func(o *state.DesiredOrg) { o.Products = []string{} },
		"status":   func(o *state.DesiredOrg) { o.Status = state.Inactive },
		"deletion": func(o *state.DesiredOrg) { o.Status, o.RequestDeletion = state.Inactive, true },
		"both":     func(o *state.DesiredOrg) { o.Status, o.Products = state.Inactive, []string{} },
	}
	for kind, destroy := range damage {
		for _, tt := range tests {
			name := fmt.Sprintf("%s/%d of %d, at most %d and %d percent", kind, tt.destroyed, tt.declared, tt.maxOrgs, tt.maxPercent)
			t.Run(name, func(t *testing.T) {
				desired, actual := fleet(tt.declared)
				for i := range tt.destroyed {
					destroy(&desired.Orgs[i])
				}
				plan := compute(t, desired, actual, diff.Guards{MaxDestructiveOrgs: tt.maxOrgs, MaxDestructivePercent: tt.maxPercent})
				if got := guardNames(plan); got != tt.refused {
					t.Errorf("refused by %q, should be %q", got, tt.refused)
				}
			})
		}
	}
}

func TestGuardsDoNotCountWhatIsNotWritten(t *testing.T) {
	desired, actual := fleet(10)
	for i := range 10 {
		desired.Orgs[i].Products = []string{}
		if i%2 == 0 {
			desired.Orgs[i].Mode = state.Report
		} else {
			desired.Orgs[i].Protected = true
		}
	}
	plan := compute(t, desired, actual, diff.Guards{})
	if len(plan.Refusals) != 0 || plan.Summary.Blocked != 10 {
		t.Errorf("refusals %v, %d blocked", plan.Refusals, plan.Summary.Blocked)
	}
}

func TestGuardsDoNotCountGains(t *testing.T) {
	desired, actual := fleet(10)
	for i := range 10 {
		desired.Orgs[i].Products = []string{"P000052", "P000131"}
		actual.Orgs[i].Status = state.Inactive
	}
	if plan := compute(t, desired, actual, diff.Guards{}); len(plan.Refusals) != 0 || plan.Summary.Changes != 20 {
		t.Errorf("refusals %v, %d changes", plan.Refusals, plan.Summary.Changes)
	}
}

// The share is one of all declared orgs, also when a filter looks at few:
// otherwise a filter could never be the way to apply a plan in parts.
func TestGuardShareIsOfAllDeclaredOrgs(t *testing.T) {
	desired, actual := fleet(10)
	desired.Orgs[3].Products = []string{}
	desired.Orgs[4].Products = []string{}
	plan, err := diff.Compute(desired, actual, diff.Options{
		Account: account, Filter: diff.Filter{Only: []string{domain(3), "ORG-04.okta.com"}},
		Guards: diff.Guards{MaxDestructiveOrgs: 10, MaxDestructivePercent: 20},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Refusals) != 0 || plan.Summary.Orgs != 2 || len(plan.Unmanaged) != 0 {
		t.Errorf("got %+v", plan)
	}
}

// Okta fixed in October 2025 that a parent could be set to INACTIVE; nothing
// here relies on that fix.
func TestAerialOrgAndParentsAreNeverDeactivated(t *testing.T) {
	tests := []struct {
		name   string
		guards diff.Guards
		mark   func(*state.Org)
		guard  string
		role   string
	}{
		{"marked by the API", wide, func(o *state.Org) { o.AerialOrg = true }, "aerialOrg", "the Aerial org"},
		{"named by the config", diff.Guards{MaxDestructiveOrgs: 99, MaxDestructivePercent: 100, AerialDomain: domain(0)}, func(*state.Org) {}, "aerialOrg", "the Aerial org"},
		{"parent", diff.Guards{MaxDestructiveOrgs: 99, MaxDestructivePercent: 100, ParentDomains: []string{domain(0)}}, func(*state.Org) {}, "parentOrg", "a parent org"},
	}
	for _, tt := range tests {
		for _, deletion := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, deletion %v", tt.name, deletion), func(t *testing.T) {
				desired, actual := fleet(5)
				tt.mark(&actual.Orgs[0])
				desired.Orgs[0].Status = state.Inactive
				desired.Orgs[0].RequestDeletion = deletion
				plan := compute(t, desired, actual, tt.guards)
				if got := guardNames(plan); got != tt.guard {
					t.Errorf("refused by %q, should be %q", got, tt.guard)
				}
				for _, c := range plan.Changes {
					if c.Blocked != tt.role+" is never deactivated" {
						t.Errorf("not blocked: %+v", c)
					}
				}
			})
		}
	}

	t.Run("not yet linked", func(t *testing.T) {
		desired, actual := fleet(2)
		actual.Orgs = actual.Orgs[1:]
		desired.Orgs[0].Status, desired.Orgs[0].ID = state.Inactive, ""
		plan := compute(t, desired, actual, diff.Guards{MaxDestructiveOrgs: 9, MaxDestructivePercent: 100, ParentDomains: []string{domain(0)}})
		if got := guardNames(plan); got != "parentOrg" {
			t.Errorf("refused by %q", got)
		}
	})
	t.Run("only reported", func(t *testing.T) {
		desired, actual := fleet(2)
		actual.Orgs[0].AerialOrg = true
		desired.Orgs[0].Status, desired.Orgs[0].Mode = state.Inactive, state.Report
		if plan := compute(t, desired, actual, wide); len(plan.Refusals) != 0 || plan.Changes[0].Blocked != "mode: report" {
			t.Errorf("got %+v", plan)
		}
	})
}

func TestRefusalsNameOrgsLimitAndRemedy(t *testing.T) {
	desired, actual := fleet(30)
	for i := range 13 {
		desired.Orgs[i].Products = []string{}
	}
	plan := compute(t, desired, actual, diff.Guards{MaxDestructiveOrgs: 10, MaxDestructivePercent: 20})
	if len(plan.Refusals) != 2 {
		t.Fatalf("got %v", plan.Refusals)
	}
	for i, parts := range [][]string{
		{"13 orgs", "org-00.okta.com", "and 3 more", "only 10 may", "fewer orgs at a time", "raise maxDestructiveOrgs"},
		{"13 orgs of 30", "org-09.okta.com", "only 20 %", "6 orgs", "fewer orgs at a time", "raise maxDestructivePercent"},
	} {
		for _, part := range parts {
			if msg := plan.Refusals[i].Message; !strings.Contains(msg, part) {
				t.Errorf("%q lacks %q", msg, part)
			}
		}
	}
}

func TestUnknownAerialOrgKeepsAllActive(t *testing.T) {
	guards := wide
	guards.UnknownAerial = true
	desired, actual := fleet(3)
	desired.Orgs[1].Status = state.Inactive
	if got := guardNames(compute(t, desired, actual, guards)); got != "aerialOrg" {
		t.Errorf("refused by %q", got)
	}
	actual.Orgs[0].AerialOrg = true
	if got := guardNames(compute(t, desired, actual, guards)); got != "" {
		t.Errorf("refused by %q although the Aerial org is known", got)
	}
}
