package diff_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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
		{"named by the config", diff.Guards{MaxDestructiveOrgs: 99, MaxDestructivePercent: 100, MaxNewOrgs: 100, AerialDomain: domain(0)}, func(*state.Org) {}, "aerialOrg", "the Aerial org"},
		{"parent", diff.Guards{MaxDestructiveOrgs: 99, MaxDestructivePercent: 100, MaxNewOrgs: 100, ParentDomains: []string{domain(0)}}, func(*state.Org) {}, "parentOrg", "a parent org"},
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
		plan := compute(t, desired, actual, diff.Guards{MaxDestructiveOrgs: 9, MaxDestructivePercent: 100, MaxNewOrgs: 100, ParentDomains: []string{domain(0)}})
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

// limits are the guards as they are by default.
var limits = diff.Guards{MaxDestructiveOrgs: 10, MaxDestructivePercent: 20, MaxNewOrgs: 10}

// What can't be read counts as if it lost something, beside what is known to, if
// what is declared could take something from it.
func TestGuardsCountWhatCannotBeRead(t *testing.T) {
	denied := func(o *state.Org) { o.Products, o.Unknown = nil, "403 E0000006" }
	silent := func(o *state.Org) { o.Status = "" }
	tests := []struct {
		name    string
		declare func(*state.DesiredOrg)
		live    func(*state.Org)
		refused string
	}{
		{"exact products", func(*state.DesiredOrg) {}, denied, "maxDestructiveOrgs maxDestructivePercent"},
		{"no products at all", func(o *state.DesiredOrg) { o.Products = []string{} }, denied, "maxDestructiveOrgs maxDestructivePercent"},
		{"additive", func(o *state.DesiredOrg) { o.ProductPolicy = state.Additive }, denied, ""},
		{"additive, to be INACTIVE", func(o *state.DesiredOrg) { o.ProductPolicy, o.Status = state.Additive, state.Inactive }, denied, "maxDestructiveOrgs maxDestructivePercent"},
		{"status not known, to be INACTIVE", func(o *state.DesiredOrg) { o.Products, o.Status = nil, state.Inactive }, silent, "maxDestructiveOrgs maxDestructivePercent"},
		{"status not known, to be ACTIVE", func(o *state.DesiredOrg) { o.Products, o.Status = nil, state.Active }, silent, ""},
		{"to be deleted", func(o *state.DesiredOrg) {
			o.ProductPolicy, o.Status, o.RequestDeletion = state.Additive, state.Inactive, true
		}, func(o *state.Org) { denied(o); o.Status = state.Inactive }, "maxDestructiveOrgs maxDestructivePercent"},
		{"INACTIVE as declared", func(o *state.DesiredOrg) { o.ProductPolicy, o.Status = state.Additive, state.Inactive },
			func(o *state.Org) { denied(o); o.Status = state.Inactive }, "maxDestructivePercent"}, // of the ten others
		{"only reported", func(o *state.DesiredOrg) { o.Mode = state.Report }, denied, "maxDestructivePercent"},
		{"protected", func(o *state.DesiredOrg) { o.Protected = true }, denied, "maxDestructivePercent"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			desired, actual := fleet(50)
			for i := range 50 {
				if i < 10 {
					desired.Orgs[i].Products = []string{}
					continue
				}
				tt.declare(&desired.Orgs[i])
				tt.live(&actual.Orgs[i])
			}
			plan := compute(t, desired, actual, limits)
			if got := guardNames(plan); got != tt.refused {
				t.Errorf("refused by %q, should be %q: %v", got, tt.refused, plan.Refusals)
			}
			// Nothing is taken from anybody: nothing to refuse.
			for i := range 10 {
				desired.Orgs[i].Products = []string{"P000052"}
			}
			if got := guardNames(compute(t, desired, actual, limits)); got != "" {
				t.Errorf("refused by %q although nothing is destructive", got)
			}
		})
	}
	// One org is always allowed, also in a small fleet in which one is unreadable.
	desired, actual := fleet(3)
	desired.Orgs[0].Products = []string{}
	denied(&actual.Orgs[1])
	if got := guardNames(compute(t, desired, actual, limits)); got != "" {
		t.Errorf("refused by %q", got)
	}
}

// A saved plan knows which orgs could not be read when it was made.
func TestSavedPlanCountsWhatCouldNotBeRead(t *testing.T) {
	desired, actual := fleet(50)
	for i := range 50 {
		desired.Orgs[i].Products = []string{}
		if i >= 10 {
			actual.Orgs[i].Products, actual.Orgs[i].Unknown = nil, "403 E0000006"
		}
	}
	plan := compute(t, desired, actual, limits)
	fresh, err := diff.Revalidate(plan, actual, diff.Options{Account: account, Guards: limits})
	if err != nil || guardNames(fresh) != "maxDestructiveOrgs maxDestructivePercent" {
		t.Errorf("%v, %v", fresh, err)
	}
}

// The share is of orgs that have something to lose: no entry may make room for
// others.
func TestGuardShareIsNotPadded(t *testing.T) {
	tests := []struct {
		name    string
		pad     func(o *state.DesiredOrg, live *state.Org)
		opts    diff.Options
		refused bool
	}{
		{name: "by orgs that don't exist", pad: func(_ *state.DesiredOrg, live *state.Org) { live.Domain = "" }, refused: true},
		{name: "by orgs that are only reported", pad: func(o *state.DesiredOrg, _ *state.Org) { o.Mode = state.Report }, refused: true},
		{name: "by protected orgs", pad: func(o *state.DesiredOrg, _ *state.Org) { o.Protected = true }, refused: true},
		{name: "by orgs that are INACTIVE and stay so", pad: func(o *state.DesiredOrg, live *state.Org) {
			o.Status, live.Status = state.Inactive, state.Inactive
		}, refused: true},
		{name: "by INACTIVE orgs whose status isn't managed", pad: func(o *state.DesiredOrg, live *state.Org) {
			o.Status, live.Status = "", state.Inactive
		}, refused: true},
		{name: "by orgs that are created in this run", pad: func(o *state.DesiredOrg, live *state.Org) {
			live.Domain = ""
			o.Create = &state.Create{Parent: "acme"}
		}, refused: true},
		{name: "by orgs with another id", pad: func(o *state.DesiredOrg, _ *state.Org) { o.ID = "00oAnother" }, refused: true},
		{name: "by suspended orgs", pad: func(o *state.DesiredOrg, _ *state.Org) { o.ProductPolicy = state.Additive },
			opts: diff.Options{Held: func(domain string) string {
				if domain >= "org-10" {
					return "suspended"
				}
				return ""
			}}, refused: true},
		{name: "additive orgs are part of the fleet", pad: func(o *state.DesiredOrg, _ *state.Org) { o.ProductPolicy = state.Additive }},
		{name: "and so are those that a filter leaves out", pad: func(*state.DesiredOrg, *state.Org) {},
			opts: diff.Options{Filter: diff.Filter{Only: []string{
				domain(0), domain(1), domain(2), domain(3), domain(4), domain(5), domain(6), domain(7), domain(8), domain(9),
			}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			desired, actual := fleet(50)
			for i := range 50 {
				if i < 10 {
					desired.Orgs[i].Status = state.Inactive
					continue
				}
				desired.Orgs[i].ID = ""
				tt.pad(&desired.Orgs[i], &actual.Orgs[i])
			}
			actual.Orgs = slices.DeleteFunc(actual.Orgs, func(o state.Org) bool { return o.Domain == "" })
			tt.opts.Account, tt.opts.Guards = account, limits
			tt.opts.Guards.MaxNewOrgs = 50
			plan, err := diff.Compute(desired, actual, tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			want := ""
			if tt.refused {
				want = "maxDestructivePercent"
			}
			if got := guardNames(plan); got != want {
				t.Errorf("refused by %q, should be %q: %v", got, want, plan.Refusals)
			}
			fresh, err := diff.Revalidate(plan, actual, tt.opts)
			if err != nil || guardNames(fresh) != want {
				t.Errorf("as a saved plan: %v, %v", fresh, err)
			}
		})
	}
}

// The same from the manifests alone.
func TestDeclaredShareIsNotPadded(t *testing.T) {
	for name, pad := range map[string]func(base, head *state.DesiredOrg){
		"reported":  func(_, head *state.DesiredOrg) { head.Mode = state.Report },
		"protected": func(_, head *state.DesiredOrg) { head.Protected = true },
		"INACTIVE":  func(base, head *state.DesiredOrg) { base.Status, head.Status = state.Inactive, state.Inactive },
		"new":       func(base, _ *state.DesiredOrg) { base.Domain = "" },
		"":          func(_, _ *state.DesiredOrg) {},
	} {
		t.Run(name, func(t *testing.T) {
			base, _ := fleet(50)
			head, _ := fleet(50)
			for i := range 50 {
				if i < 10 {
					head.Orgs[i].Status = state.Inactive
					continue
				}
				pad(&base.Orgs[i], &head.Orgs[i])
			}
			base.Orgs = slices.DeleteFunc(base.Orgs, func(o state.DesiredOrg) bool { return o.Domain == "" })
			plan, err := diff.CompareDeclared(base, head, diff.Options{Account: account, Guards: limits})
			if err != nil {
				t.Fatal(err)
			}
			if refused := guardNames(plan) == "maxDestructivePercent"; refused != (name != "") {
				t.Errorf("refusals: %v", plan.Refusals)
			}
		})
	}
}

func TestGuardOfTheDay(t *testing.T) {
	lost := func(from, to int) (all []diff.LostOrg) {
		for i := from; i < to; i++ {
			all = append(all, diff.LostOrg{ID: orgID(i), Domain: domain(i)})
		}
		return all
	}
	tests := []struct {
		name    string
		day     *diff.Day
		refused bool
	}{
		{"no history", nil, false},
		{"none yet", &diff.Day{Max: 5}, false},
		{"too many at once", &diff.Day{Max: 4}, true},
		{"with earlier ones", &diff.Day{Max: 20, Lost: lost(50, 66)}, true},
		{"up to the limit", &diff.Day{Max: 20, Lost: lost(50, 65)}, false},
		{"an org counts once", &diff.Day{Max: 20, Lost: lost(0, 20)}, false},
		{"one more than there were", &diff.Day{Max: 20, Lost: lost(1, 21)}, true},
		{"none at all", &diff.Day{Max: 0, Lost: nil}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			desired, actual := fleet(100)
			for i := range 5 {
				desired.Orgs[i].Status, desired.Orgs[i].Products = state.Inactive, []string{}
			}
			guards := limits
			guards.Day = tt.day
			want := ""
			if tt.refused {
				want = "maxDestructiveOrgsPerDay"
			}
			plan := compute(t, desired, actual, guards)
			if got := guardNames(plan); got != want {
				t.Errorf("refused by %q, should be %q", got, want)
			}
			desired.Orgs = desired.Orgs[5:]
			if got := guardNames(compute(t, desired, actual, guards)); got != "" {
				t.Errorf("refused by %q although nothing is lost", got)
			}
		})
	}
}

func TestGuardOfNewOrgs(t *testing.T) {
	for _, creates := range []bool{false, true} {
		desired, actual := fleet(40)
		actual.Orgs = actual.Orgs[:29]
		for i := range desired.Orgs {
			desired.Orgs[i].ID = ""
			if creates {
				desired.Orgs[i].Create = &state.Create{Parent: "acme"}
			}
		}
		plan := compute(t, desired, actual, limits)
		if guardNames(plan) != "maxNewOrgs" || !strings.Contains(plan.Refusals[0].Message, "11 orgs would be created or linked") {
			t.Errorf("create %v: %v", creates, plan.Refusals)
		}
		desired.Orgs[39].Mode = state.Report
		if got := guardNames(compute(t, desired, actual, limits)); got != "" {
			t.Errorf("create %v: ten are refused by %q", creates, got)
		}

		// What an earlier run began is finished.
		desired.Orgs[39].Mode = state.Apply
		begun := limits
		begun.Begun = map[string]bool{domain(35): true}
		if got := guardNames(compute(t, desired, actual, begun)); got != "" {
			t.Errorf("create %v: ten beside a begun one are refused by %q", creates, got)
		}

		// From the manifests alone it isn't known which orgs are linked already.
		declared, err := diff.CompareDeclared(nil, desired, diff.Options{Account: account, Guards: limits})
		if err != nil || (guardNames(declared) == "maxNewOrgs") != creates {
			t.Errorf("create %v: %v, %v", creates, declared.Refusals, err)
		}
	}
}

// From manifests that are not the newest, nothing is taken away and nothing is
// done that can't be undone; gains go on.
func TestStaleTakesNothingAway(t *testing.T) {
	desired, actual := fleet(6)
	desired.Orgs[0].Status = state.Inactive
	desired.Orgs[1].Products = []string{}
	desired.Orgs[2].Products = []string{"P000131"} // one gained, one lost
	actual.Orgs[3].Status = state.Inactive
	actual.Orgs = actual.Orgs[:5] // one is to be linked
	plan, err := diff.Compute(desired, actual, diff.Options{Account: account, Guards: diff.Guards{}, Stale: "old"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range plan.Changes {
		got = append(got, fmt.Sprintf("%s %s %v>%v %s", c.Org[:6], c.Action, c.Before, c.After, c.Blocked))
	}
	want := []string{
		`org-00 set-status "ACTIVE">"INACTIVE" old`,
		`org-01 update-products [P000052]>[] old`,
		`org-02 update-products [P000052]>[P000052 P000131] `,
		`org-02 update-products [P000052 P000131]>[P000131] old`,
		`org-03 set-status "INACTIVE">"ACTIVE" `,
		`org-05 link-org nothing>nothing old`,
		`org-05 update-products []>[P000052] old`,
	}
	if d := cmp.Diff(want, got); d != "" || len(plan.Refusals) != 0 {
		t.Errorf("%s\n%v", d, plan.Refusals)
	}
}

// never is guards that name both an Aerial org and a parent, and know them by id.
func never(known ...diff.KnownOrg) diff.Guards {
	g := wide
	g.AerialDomain, g.ParentDomains = "acme-aerial.okta.com", []string{"acme.okta.com"}
	g.Known = known
	return g
}

// What Okta has said once identifies the Aerial org and the parents: another name,
// or an answer without one, doesn't make one of them an org like any other.
func TestNeverDeactivatedUnderAnotherName(t *testing.T) {
	aerial := diff.KnownOrg{ID: orgID(0), Domain: "acme-aerial.okta.com"}
	marked := diff.KnownOrg{ID: orgID(0), Aerial: true}
	parent := diff.KnownOrg{ID: orgID(1), Domain: "Acme.okta.com."}
	tests := []struct {
		name    string
		org     int
		live    func(*state.Org)
		known   []diff.KnownOrg
		refused string
	}{
		{"the Aerial org, renamed", 0, func(*state.Org) {}, []diff.KnownOrg{aerial, parent}, "aerialOrg"},
		{"the Aerial org, marked once", 0, func(*state.Org) {}, []diff.KnownOrg{marked, parent}, "aerialOrg"},
		{"the Aerial org, listed without a domain", 0, func(o *state.Org) { o.Domain = "" }, []diff.KnownOrg{aerial, parent}, "aerialOrg"},
		{"a parent, renamed", 1, func(*state.Org) {}, []diff.KnownOrg{aerial, parent}, "parentOrg"},
		{"a parent, listed without a domain", 1, func(o *state.Org) { o.Domain = "" }, []diff.KnownOrg{aerial, parent}, "parentOrg"},
		{"another one", 2, func(*state.Org) {}, []diff.KnownOrg{aerial, parent}, ""},
		{"another one without a domain, both known", 2, func(o *state.Org) { o.Domain = "" }, []diff.KnownOrg{aerial, parent}, ""},
		{"one without a domain, the parent not known", 2, func(o *state.Org) { o.Domain = "" }, []diff.KnownOrg{marked}, "parentOrg"},
		{"one without a domain, neither known", 2, func(o *state.Org) { o.Domain = "" }, nil, "aerialOrg parentOrg"},
	}
	for _, tt := range tests {
		for _, deletion := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, deletion %v", tt.name, deletion), func(t *testing.T) {
				desired, actual := fleet(5)
				tt.live(&actual.Orgs[tt.org])
				o := &desired.Orgs[tt.org]
				o.Status, o.RequestDeletion = state.Inactive, deletion
				guards := never(tt.known...)
				plan := compute(t, desired, actual, guards)
				if got := guardNames(plan); got != tt.refused {
					t.Fatalf("refused by %q, should be %q: %v", got, tt.refused, plan.Refusals)
				}
				// A plan that was made before, or edited by hand.
				free := compute(t, desired, actual, wide)
				fresh, err := diff.Revalidate(free, actual, diff.Options{Account: account, Guards: guards})
				if err != nil || guardNames(fresh) != tt.refused {
					t.Errorf("as a saved plan: %v, %v", fresh, err)
				}
			})
		}
	}
}

func TestNeverDeactivated(t *testing.T) {
	tests := []struct {
		known []diff.KnownOrg
		ids   string
		all   bool
	}{
		{nil, "[]", false},
		{[]diff.KnownOrg{{ID: "a", Aerial: true}}, "[a]", false},
		{[]diff.KnownOrg{{ID: "a", Aerial: true}, {ID: "p", Domain: "acme.okta.com"}, {ID: "o", Domain: "o.okta.com"}}, "[a p]", true},
		{[]diff.KnownOrg{{ID: "a", Domain: "acme-aerial.okta.com"}, {ID: "p", Domain: "acme.okta.com"}, {ID: "p", Domain: "new.okta.com"}}, "[a p]", true},
	}
	for _, tt := range tests {
		g := never(tt.known...)
		ids, domains, all := g.NeverDeactivated()
		if fmt.Sprint(ids) != tt.ids || all != tt.all || len(domains) != 2 {
			t.Errorf("%v: %v %v %v", tt.known, ids, domains, all)
		}
		g.UnknownParents = []string{"custom"}
		if _, _, all := g.NeverDeactivated(); all {
			t.Errorf("%v: all are known, although one parent isn't", tt.known)
		}
	}
}

// An org of which the journal can't be read is not deactivated, and the other
// changes are made.
func TestUnreadableOrgIsNotDeactivated(t *testing.T) {
	desired, actual := fleet(20)
	desired.Orgs[0].Status, desired.Orgs[1].Status = state.Inactive, state.Inactive
	guards := wide
	guards.Unreadable = map[string]bool{orgID(0): true}
	plan := compute(t, desired, actual, guards)
	if len(plan.Refusals) > 0 || len(plan.Changes) != 2 {
		t.Fatalf("%+v", plan)
	}
	if first, second := &plan.Changes[0], &plan.Changes[1]; !first.Barred() || second.Blocked != "" {
		t.Errorf("blocked: %q, %q", first.Blocked, second.Blocked)
	}
	free := compute(t, desired, actual, wide)
	fresh, err := diff.Revalidate(free, actual, diff.Options{Account: account, Guards: guards})
	if err != nil || guardNames(fresh) != diff.GuardAerial {
		t.Errorf("as a saved plan: %v, %v", fresh, err)
	}
	if ids, _, _ := guards.NeverDeactivated(); !slices.Equal(ids, []string{orgID(0)}) {
		t.Errorf("%q", ids)
	}
}

// An edited plan can't pass a deactivation off as a part of linking an org.
func TestBlockedLinkIsNoLink(t *testing.T) {
	desired, actual := fleet(3)
	missing := *actual
	missing.Orgs = actual.Orgs[1:]
	desired.Orgs[0].Status = state.Inactive
	plan := compute(t, desired, &missing, wide)
	plan.Changes[0].Blocked = "edited"
	if plan.Changes[0].Action != diff.LinkOrg {
		t.Fatal(plan.Changes)
	}
	actual.Orgs[0].Status = "DEACTIVATING"
	for i := range plan.Changes {
		plan.Changes[i].OrgID = orgID(0)
	}
	if _, err := diff.Revalidate(plan, actual, diff.Options{Account: account, Guards: wide}); err == nil {
		t.Error("accepted")
	}
}
