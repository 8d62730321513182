package diff_test

import (
	"encoding/json"
	"slices"
	"testing"

	"reconciler/internal/diff"
	"reconciler/internal/okta/objects"
	"reconciler/internal/state"
)

// gave returns what a run made that gave each org a product.
func gave(n int) []diff.Made {
	var all []diff.Made
	for i := range n {
		all = append(all, diff.Made{Run: "R1", Change: diff.Change{
			Org: domain(i), OrgID: orgID(i), Action: diff.UpdateProducts, Before: diff.List(nil), After: diff.List([]string{"P000052"}),
		}})
	}
	return all
}

// The exact way back of what runs gave lately is no loss; with anything else in the plan,
// all of it is.
func TestWayBack(t *testing.T) {
	const n, back = 100, 40
	take := func(desired *state.Desired, orgs int) {
		for i := range orgs {
			desired.Orgs[i].Products = []string{}
		}
	}
	const refused = "maxDestructiveOrgs maxDestructivePercent maxDestructiveOrgsPerDay"
	tests := []struct {
		name string
		edit func(*state.Desired, *state.Actual, *[]diff.Made)
		want string
	}{
		{"exactly", func(*state.Desired, *state.Actual, *[]diff.Made) {}, ""},
		{"only some of it", func(d *state.Desired, _ *state.Actual, _ *[]diff.Made) {
			for i := range 20 {
				d.Orgs[i].Products = []string{"P000052"}
			}
		}, ""},
		{"and a gain", func(d *state.Desired, _ *state.Actual, _ *[]diff.Made) {
			d.Orgs[50].Products = []string{"P000052", "P000131"}
		}, ""},
		{"one org more", func(d *state.Desired, _ *state.Actual, _ *[]diff.Made) { d.Orgs[50].Products = []string{} }, refused},
		{"another product as well", func(d *state.Desired, a *state.Actual, _ *[]diff.Made) {
			a.Orgs[0].Products = []string{"P000052", "P000131"}
		}, refused},
		{"status as well", func(d *state.Desired, _ *state.Actual, _ *[]diff.Made) { d.Orgs[0].Status = state.Inactive }, refused},
		{"another org with that domain", func(d *state.Desired, a *state.Actual, _ *[]diff.Made) {
			d.Orgs[0].ID, a.Orgs[0].ID = "00oother", "00oother"
		}, refused},
		{"an org that can't be read", func(d *state.Desired, a *state.Actual, _ *[]diff.Made) {
			d.Orgs[60].Products = []string{}
			a.Orgs[60].Products, a.Orgs[60].Unknown = nil, "500"
		}, refused},
		{"a later run gave something else", func(_ *state.Desired, _ *state.Actual, m *[]diff.Made) {
			*m = slices.Insert(*m, 0, diff.Made{Run: "R2", Change: diff.Change{
				Org: domain(0), OrgID: orgID(0), Action: diff.UpdateProducts, Before: diff.List([]string{"P000131"}), After: diff.List([]string{"P000052"}),
			}})
		}, refused},
		{"nothing is known", func(_ *state.Desired, _ *state.Actual, m *[]diff.Made) { *m = nil }, refused},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			desired, actual := fleet(n)
			made := gave(back)
			take(desired, back)
			tt.edit(desired, actual, &made)
			g := diff.Guards{MaxDestructiveOrgs: 10, MaxDestructivePercent: 20, Day: &diff.Day{Max: 20}, Made: func() []diff.Made { return made }}
			plan := compute(t, desired, actual, g)
			if got := guardNames(plan); got != tt.want {
				t.Errorf("refused by %q, should be %q", got, tt.want)
			}
			for i := range plan.Changes {
				if c := &plan.Changes[i]; (c.TakesBack != "") != (tt.want == "" && c.Destructive) {
					t.Errorf("%s takes back %q", c.Org, c.TakesBack)
				}
			}
		})
	}
}

// A deletion and other guards are never excused.
func TestWayBackOfStatus(t *testing.T) {
	made := func(n int) func() []diff.Made {
		var all []diff.Made
		for i := range n {
			all = append(all, diff.Made{Run: "R1", Change: diff.Change{
				Org: domain(i), OrgID: orgID(i), Action: diff.SetStatus, Before: diff.Text("INACTIVE"), After: diff.Text("ACTIVE"),
			}})
		}
		return func() []diff.Made { return all }
	}
	desired, actual := fleet(100)
	for i := range 40 {
		desired.Orgs[i].Status = state.Inactive
	}
	g := diff.Guards{MaxDestructiveOrgs: 10, MaxDestructivePercent: 20, Made: made(40)}
	if got := guardNames(compute(t, desired, actual, g)); got != "" {
		t.Errorf("activations are not taken back: %q", got)
	}
	g.ParentDomains = []string{domain(3)}
	if got := guardNames(compute(t, desired, actual, g)); got != diff.GuardParent {
		t.Errorf("a parent: refused by %q", got)
	}
	g.ParentDomains = nil
	desired.Orgs[3].RequestDeletion = true
	if got := guardNames(compute(t, desired, actual, g)); got == "" {
		t.Error("a deletion takes nothing back")
	}
}

// Fields of objects are compared as the history has them, which is JSON.
func TestWayBackOfObjects(t *testing.T) {
	desired, actual, live := oneOrg()
	lives := map[string]*objects.Live{desired.Orgs[0].Domain: live}
	compute := func(made []diff.Made) *diff.Plan {
		t.Helper()
		plan, err := diff.Compute(desired, actual, diff.Options{
			Account: account, Configuration: read(t, nil, desired, lives), Guards: diff.Guards{Made: func() []diff.Made { return made }},
		})
		if err != nil {
			t.Fatal(err)
		}
		return plan
	}
	plan := compute(nil)
	if got := guardNames(plan); got != diff.GuardOrgs {
		t.Fatalf("refused by %q: %v", got, lines(plan))
	}
	var made []diff.Made
	for i := range plan.Changes {
		c := plan.Changes[i]
		c.Before, c.After = c.After, c.Before
		var fields []diff.Field
		for _, f := range c.Fields {
			f.Before, f.After = f.After, f.Before
			fields = append(fields, f)
		}
		switch c.Action {
		case diff.DeleteObject:
			c.Action = diff.CreateObject
		case diff.CreateObject:
			continue
		}
		data, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		c.Fields = nil
		if err := json.Unmarshal(data, &c.Fields); err != nil {
			t.Fatal(err)
		}
		made = append(made, diff.Made{Run: "R1", Change: c})
	}
	if got := guardNames(compute(made)); got != "" {
		t.Errorf("the way back is refused by %q", got)
	}
	// A rule of another policy may be called the same, as names have slashes.
	gave := slices.IndexFunc(made, func(m diff.Made) bool { return m.Change.Action == diff.CreateObject })
	made[gave].Change.Parent = "another"
	if got := guardNames(compute(made)); got == "" {
		t.Error("an object of another parent is taken back")
	}
	made[gave].Change.Parent = ""
	for i := range made {
		if len(made[i].Change.Fields) > 0 {
			made[i].Change.Fields[0].After = "something else"
		}
	}
	if got := guardNames(compute(made)); got == "" {
		t.Error("another value is taken back")
	}
}
