package reconcile

import (
	"testing"

	"reconciler/internal/diff"
	"reconciler/internal/okta/objects"
	"reconciler/internal/report"
	"reconciler/internal/store/history"
)

// The history says in the same words what the plan said.
func TestEntryLines(t *testing.T) {
	names := map[string]string{"P000052": "sso"}
	zone := diff.Change{
		Org: "acme.okta.com", Action: diff.UpdateObject, Kind: "networkZones", Object: "Offices", Destructive: true,
		Fields: []diff.Field{{FieldChange: objects.FieldChange{Path: "gateways", Before: []any{"192.0.2.0/24", "198.51.100.0/24"}, After: []any{"192.0.2.0/24"}}}},
	}
	for _, c := range []diff.Change{
		{Org: "acme.okta.com", Action: diff.UpdateProducts, Before: diff.List([]string{"P000052"}), After: diff.List(nil), Disable: []string{"P000052"}, Destructive: true},
		{Org: "acme.okta.com", Action: diff.UpdateProducts, Before: diff.List(nil), After: diff.List([]string{"P000052"}), Enable: []string{"P000052"}},
		{Org: "acme.okta.com", Action: diff.SetStatus, Before: diff.Text("ACTIVE"), After: diff.Text("INACTIVE"), Destructive: true},
		{Org: "acme.okta.com", Action: diff.LinkOrg},
		{Action: diff.RenameAccount, Before: diff.Text("Acme"), After: diff.Text("Acme Ltd")},
		zone,
	} {
		e, err := entryOf(&c)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := joined(EntryLines(&e, names)), joined(report.Describe(&c, names)); got != want {
			t.Errorf("%s: the history says\n%s\nthe plan\n%s", c.Action, got, want)
		}
	}
	for _, c := range []diff.Change{zone, {Org: "acme.okta.com", Action: diff.SetStatus, Before: diff.Text("ACTIVE"), After: diff.Text("INACTIVE")}} {
		d := DriftOf(&diff.Plan{Changes: []diff.Change{c}}, nil)[0]
		kept, err := keptDrift(&d)
		if err != nil {
			t.Fatal(err)
		}
		e := history.Entry{Type: history.TypeDrift, Field: d.Field, Kind: d.Kind, Object: d.Object, Before: kept.Actual, After: kept.Desired}
		d.Destructive = false // which entries don't say
		if got, want := joined(EntryLines(&e, names)), joined(d.Lines(names)); got != want {
			t.Errorf("the history says\n%s\nthe drift\n%s", got, want)
		}
	}
	ended := history.Entry{Type: history.TypeDriftEnded, Field: "products"}
	if got := joined(EntryLines(&ended, names)); got != "~ products\n" {
		t.Errorf("the end of drift is %q", got)
	}
	for _, e := range []history.Entry{{Type: history.TypeOperator, Action: "suspend"}, {Type: history.TypeChange, Before: []byte("{")}} {
		if got := EntryLines(&e, names); got != nil {
			t.Errorf("%s: %v", e.Type, got)
		}
	}
}

func joined(lines []report.Line) (s string) {
	for i := range lines {
		s += lines[i].String() + "\n"
	}
	return s
}
