package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/okta/objects"
	"reconciler/internal/report"
)

var compareValues = cmp.Comparer(func(a, b diff.Value) bool { return a.Equal(b) })

func change(org string, action diff.Action, edit func(*diff.Change)) diff.Change {
	c := diff.Change{Org: org, OrgID: "00o" + org, Action: action}
	if edit != nil {
		edit(&c)
	}
	return c
}

func products(before, after []string) func(*diff.Change) {
	return func(c *diff.Change) { c.Before, c.After = diff.List(before), diff.List(after) }
}

func TestDriftOf(t *testing.T) {
	plan := &diff.Plan{
		Changes: []diff.Change{
			change("", diff.RenameAccount, func(c *diff.Change) { c.OrgID, c.Before, c.After = "", diff.Text("Acme"), diff.Text("Acme Ltd") }),
			change("b", diff.UpdateProducts, products([]string{"P1"}, []string{"P1", "P2"})),
			change("b", diff.UpdateProducts, func(c *diff.Change) {
				products([]string{"P1", "P2"}, []string{"P2"})(c)
				c.Destructive, c.Blocked = true, "protected"
			}),
			change("b", diff.SetStatus, func(c *diff.Change) { c.Before, c.After = diff.Text("INACTIVE"), diff.Text("ACTIVE") }),
			change("c", diff.CreateOrg, func(c *diff.Change) { c.OrgID = "" }),
			change("c", diff.LinkOrg, func(c *diff.Change) { c.OrgID = "" }),
			change("d", diff.RequestDeletion, func(c *diff.Change) { c.Destructive = true }),
		},
		Unfixable: []diff.Unfixable{{Org: "b", Field: "cell", Desired: "ok1", Actual: "ok2"}},
	}
	account := Drift{Field: "account.name", Desired: diff.Text("Acme Ltd"), Actual: diff.Text("Acme")}
	cell := Drift{Org: "b", Field: "cell", Desired: diff.Text("ok1"), Actual: diff.Text("ok2"), Blocked: report.NoFix}
	both := Drift{
		Org: "b", OrgID: "00ob", Field: "products", Desired: diff.List([]string{"P2"}), Actual: diff.List([]string{"P1"}),
		Destructive: true, Blocked: "protected",
	}
	status := Drift{Org: "b", OrgID: "00ob", Field: "status", Desired: diff.Text("ACTIVE"), Actual: diff.Text("INACTIVE")}
	exists := Drift{Org: "c", Field: "exists", Desired: diff.Text("yes"), Actual: diff.Text("no")}
	linked := Drift{Org: "c", Field: "linked", Desired: diff.Text("yes"), Actual: diff.Text("no")}
	deletion := Drift{Org: "d", OrgID: "00od", Field: "requestDeletion", Desired: diff.Text("requested"), Actual: diff.Text("not requested"), Destructive: true}

	loss := both
	loss.Actual = diff.List([]string{"P1", "P2"})
	failed := exists
	failed.Error, failed.Hint = "no", "do"
	skipped := linked
	skipped.Error = "create-org failed before it"

	outcome := func(r apply.Status) apply.Outcome { return apply.Outcome{Result: r} }
	tests := []struct {
		name   string
		result *apply.Result
		want   []Drift
	}{
		{"nothing applied", nil, []Drift{account, cell, both, status, exists, linked, deletion}},
		{
			"what was applied is no drift any more",
			&apply.Result{Outcomes: []apply.Outcome{
				outcome(apply.Applied), outcome(apply.Applied), outcome(apply.Blocked), outcome(apply.Applied),
				{Result: apply.Failed, Error: "no", Hint: "do"},
				{Result: apply.Skipped, Error: "create-org failed before it"},
				outcome(apply.Applied),
			}},
			[]Drift{cell, loss, failed, skipped},
		},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			if d := cmp.Diff(tc.want, DriftOf(plan, tc.result), compareValues); d != "" {
				t.Errorf("drift (-want +got):\n%s", d)
			}
		})
	}
}

func TestDriftOfNothing(t *testing.T) {
	if got := DriftOf(&diff.Plan{}, nil); got == nil || len(got) != 0 {
		t.Errorf("got %v, want an empty list that isn't nil", got)
	}
}

// A linked org tells its id in the outcome; the drift that is left has it.
func TestDriftOfKnowsNewID(t *testing.T) {
	plan := &diff.Plan{Changes: []diff.Change{{Org: "a", Action: diff.SetStatus}}}
	result := &apply.Result{Outcomes: []apply.Outcome{{OrgID: "00o1", Result: apply.Failed}}}
	if got := DriftOf(plan, result)[0].OrgID; got != "00o1" {
		t.Errorf("OrgID = %q, want %q", got, "00o1")
	}
}

// Of a long list, drift has what is in one side alone, and so differs in nothing else.
func TestDriftOfLongLists(t *testing.T) {
	var live []any
	for i := range 1000 {
		live = append(live, fmt.Sprintf("192.0.2.%d/32", i))
	}
	desired := append(slices.Clone(live), "198.51.100.0/24")
	plan := &diff.Plan{Changes: []diff.Change{{
		Org: "acme.okta.com", Action: diff.UpdateObject, Kind: "networkZones", Object: "Offices",
		Fields: []diff.Field{{FieldChange: objects.FieldChange{Path: "gateways", Before: live, After: desired}}},
	}}}
	d := DriftOf(plan, nil)[0]
	if got := d.Desired.List(); !slices.Equal(got, []string{"198.51.100.0/24", "… and 1000 in both"}) {
		t.Errorf("desired %v", got)
	}
	lines := d.Lines(nil)
	if want := "~ networkZones/Offices: gateways: added 198.51.100.0/24"; len(lines) != 1 || lines[0].String() != want {
		t.Errorf("got %v, want %s", lines, want)
	}
	plan.Changes[0].Fields[0].After = []any{}
	d = DriftOf(plan, nil)[0]
	if got := d.Lines(nil)[0].Text; !strings.HasSuffix(got, ", 192.0.2.19/32 and 980 more") {
		t.Errorf("got …%s", got[len(got)-60:])
	}
	if got := d.Actual.List(); len(got) != maxWords+1 || got[maxWords] != "… and 950 more" || !shortened(d.Actual) {
		t.Errorf("actual %v", got)
	}
	// The other side may be one long word.
	var addresses []map[string]string
	for i := range 1000 {
		addresses = append(addresses, map[string]string{"value": fmt.Sprintf("192.0.2.%d/32", i)})
	}
	plan.Changes[0].Fields[0].After = addresses
	d = DriftOf(plan, nil)[0]
	if n := utf8.RuneCountInString(d.Desired.Text()); n != maxText || len(d.Actual.List()) != maxWords+1 || !shortened(d.Desired) {
		t.Errorf("desired has %d characters, actual %v", n, d.Actual)
	}
	// A few long words are a long list, too.
	var few []any
	for i := range 30 {
		few = append(few, fmt.Sprintf("https://%d.acme.example/%s", i, strings.Repeat("x", 300)))
	}
	plan.Changes[0].Fields[0] = diff.Field{FieldChange: objects.FieldChange{Path: "redirectUris", Before: few, After: few[:20]}}
	d = DriftOf(plan, nil)[0]
	if got := d.Actual.List(); !slices.Equal(d.Desired.List(), []string{"… and 20 in both"}) || len(got) != 8 || got[6] != "… and 4 more" || got[7] != "… and 20 in both" {
		t.Errorf("desired %v, actual %v", d.Desired, d.Actual)
	}
	long := strings.Repeat("x", 3000)
	plan.Changes[0].Fields[0] = diff.Field{FieldChange: objects.FieldChange{Path: "description", Before: long + "a", After: long + "b"}}
	d = DriftOf(plan, nil)[0]
	if d.Desired.Equal(d.Actual) || !strings.HasSuffix(d.Desired.Text(), "xb") || !shortened(d.Desired) {
		t.Errorf("desired %v, actual %v", d.Desired, d.Actual)
	}
}
