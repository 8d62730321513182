package edit_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/diff"
	"reconciler/internal/okta/objects"
	"reconciler/internal/state"
	"reconciler/internal/state/edit"
	"reconciler/internal/store/history"
)

// entry returns a change of the history. Values are JSON.
func entry(run, org, action, before, after string) history.Entry {
	e := history.Entry{Type: history.TypeChange, Run: run, Org: org, Action: action, Outcome: "applied"}
	if before != "" {
		e.Before, e.After = json.RawMessage(before), json.RawMessage(after)
	}
	return e
}

// object returns a change of an object.
func object(run, org, action, kind, name, fields string) history.Entry {
	e := entry(run, org, action, "null", "null")
	e.Kind, e.Object = kind, name
	if fields != "" {
		e.Fields = json.RawMessage(fields)
	}
	return e
}

// told returns what a task is, one line each.
func told(task *edit.Task) []string {
	var all []string
	for _, c := range task.Changes {
		line := c.Org + " " + c.Describe(func(id string) string { return id })
		if c.Object != nil {
			for _, f := range c.Object.Fields {
				data, _ := json.Marshal(f.After)
				line += " " + string(data)
			}
			if c.Object.Present {
				line += " present"
			}
		}
		all = append(all, strings.TrimSpace(line))
	}
	for _, l := range task.Left {
		all = append(all, "left: "+l.String())
	}
	for _, n := range task.Notes {
		all = append(all, "note: "+n)
	}
	return all
}

func TestRevert(t *testing.T) {
	parent, err := load([]state.Source{{Name: "f.yaml", Data: []byte(head + `orgs:
- domain: a.okta.com
  products: [sso]
  status: ACTIVE
  configuration:
    groups:
    - profile: {name: Staff, description: Declared}
    - profile: {name: Gone, description: Of old}
`)}})
	if err != nil {
		t.Fatal(err)
	}
	const a = "a.okta.com"
	failed := entry("r1", "c.okta.com", "set-status", `"ACTIVE"`, `"INACTIVE"`)
	failed.Outcome = "failed"
	unknown := failed
	unknown.Org, unknown.Outcome = "d.okta.com", history.OutcomeUnknown
	typed := object("r1", a, "reorder-objects", "policies", "OKTA_SIGN_ON", `[{"path": "order", "before": ["A", "B"], "after": ["B", "A"]}]`)
	typed.ObjectType = "OKTA_SIGN_ON"
	tests := []struct {
		name   string
		run    edit.Run
		wanted []string
	}{
		{
			"products, each by itself",
			edit.Run{
				Changes: []history.Entry{entry("r1", a, "update-products", `["P1", "P2"]`, `["P2", "P3", "P4"]`)},
				Later:   []history.Entry{entry("r2", a, "update-products", `["P2", "P3", "P4"]`, `["P2", "P3", "P5"]`), entry("r3", "b.okta.com", "update-products", `["P3"]`, `[]`)},
			},
			[]string{"a.okta.com without P3, with P1", "left: a.okta.com: product P4: run r2 has changed it again"},
		},
		{
			"what was by hand",
			edit.Run{
				Changes: []history.Entry{
					entry("r1", a, "set-status", `"INACTIVE"`, `"ACTIVE"`), entry("r1", a, "update-products", `["P000131"]`, `["P000052"]`),
					object("r1", a, "update-object", "groups", "Staff", `[{"path": "profile.description", "before": "Live", "after": "Declared"}]`),
				},
				Parent: parent, ParentName: "the commit before abc",
			},
			[]string{
				"a.okta.com status INACTIVE", "a.okta.com without P000052, with P000131", `a.okta.com group "Staff", profile.description "Live"`,
				"note: a.okta.com: before the run, it was INACTIVE by hand: the commit before abc declares it otherwise",
				"note: a.okta.com: before the run, it had P000131 by hand: the commit before abc declares it otherwise",
				"note: a.okta.com: before the run, it lacked P000052 by hand: the commit before abc declares it otherwise",
				`note: a.okta.com: before the run, group "Staff" had another profile.description by hand: the commit before abc declares it otherwise`,
			},
		},
		{
			"what was made, or may have been",
			edit.Run{Changes: []history.Entry{failed, unknown, entry("r1", "", "rename-account", `"Old"`, `"New"`)}},
			[]string{"d.okta.com status ACTIVE", "the name of the account"},
		},
		{
			"what can't be undone",
			edit.Run{Changes: []history.Entry{entry("r1", a, "create-org", "null", "null"), entry("r1", a, "link-org", "null", "null"), entry("r1", a, "request-deletion", "null", "null"), typed}},
			[]string{
				"left: a.okta.com: the org: the run created it, which can't be undone: only a deletion of the org can be requested",
				"left: a.okta.com: the org: the run linked it to the account, which can't be undone",
				"left: a.okta.com: requestDeletion: the run asked Okta to delete the org: only Okta Support can take that back",
				`left: a.okta.com: the order of policies/OKTA_SIGN_ON: put the entries into this order by hand: "A", "B"`,
			},
		},
		{
			"objects",
			edit.Run{
				Changes: []history.Entry{
					object("r1", a, "create-object", "groups", "New", `[{"path": "profile.name", "before": null, "after": "New"}]`),
					object("r1", a, "create-object", "groups", "Again", `[{"path": "profile.name", "before": null, "after": "Again"}]`),
					object("r1", a, "delete-object", "groups", "Gone", ""),
					object("r1", a, "delete-object", "groups", "Seen", ""),
					object("r1", a, "delete-object", "groups", "Nobody knows", ""),
					object("r1", a, "update-object", "groups", "Staff", `[{"path": "profile.description", "before": null, "after": "Declared"}]`),
					object("r1", a, "update-object", "networkZones", "Z", `[{"path": "gateways", "before": null, "after": []}, {"path": "usage", "before": null, "after": "POLICY"}]`),
					object("r1", a, "update-object", "groupRules", "R", `[{"path": "actions.assignUserToGroups.groupIds", "before": ["00g0123456789abcdefg"], "after": ["Staff"]}]`),
					object("r1", a, "update-object", "groups", "Drifted", `[{"path": "profile.description", "before": "x", "after": "y"}]`),
				},
				Later:  []history.Entry{object("r2", a, "delete-object", "groups", "Again", "")},
				Drift:  []history.Drift{{Org: a, Kind: "groups", Object: "Drifted"}},
				Parent: parent, ParentName: "the commit before abc",
				Live: func(org string) map[string]any {
					return map[string]any{
						"groups/Seen": map[string]any{"profile": map[string]any{"name": "Seen", "description": "By hand in " + org}},
						"groups/Gone": map[string]any{}, // of an absent one nothing is declared
					}
				},
			},
			[]string{
				`a.okta.com group "New" absent`,
				`a.okta.com group "Gone", profile.description "Of old" present`,
				`a.okta.com group "Seen", profile.description "By hand in a.okta.com" present`,
				`a.okta.com group "Staff", profile.description null`,
				`a.okta.com network zone "Z", gateways []`,
				`left: a.okta.com: group "Again": run r2 has changed it again`,
				`left: a.okta.com: group "Nobody knows": the run deleted it, and what it had is not known: declare it again by hand; it gets a new id`,
				`left: a.okta.com: network zone "Z", usage: it was not set, which a manifest can't declare`,
				`left: a.okta.com: group rule "R", actions.assignUserToGroups.groupIds: it holds the id of an object that has no name`,
				`left: a.okta.com: group "Drifted": somebody has changed it since the run, and it is not known whether that is to stay`,
				`note: a.okta.com: what the deleted group "Gone" had is not in the history: it is declared as the commit before abc has it`,
				`note: a.okta.com: the group "Gone" was deleted, and is made anew: with a new id, and without what can't be declared`,
				`note: a.okta.com: the group "Seen" was deleted, and is made anew: with a new id, and without what can't be declared`,
				`note: a.okta.com: before the run, group "Staff" had another profile.description by hand: the commit before abc declares it otherwise`,
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			task, err := edit.Revert(&tt.run)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.wanted, told(task)); diff != "" {
				t.Errorf("(-wanted +got):\n%s", diff)
			}
		})
	}
	for _, bad := range []history.Entry{entry("r1", a, "set-status", `{}`, `1`), object("r1", a, "update-object", "nonsense", "x", "[]"), object("r1", a, "update-object", "groups", "x", "{")} {
		if task, err := edit.Revert(&edit.Run{Changes: []history.Entry{bad}}); err == nil {
			t.Errorf("%+v", task)
		}
	}
}

func TestAdopt(t *testing.T) {
	const a = "a.okta.com"
	plan := &diff.Plan{
		Changes: []diff.Change{
			{Action: diff.RenameAccount, Before: diff.Text("Live"), After: diff.Text("Declared")},
			{Org: a, Action: diff.CreateOrg}, {Org: a, Action: diff.LinkOrg}, {Org: a, Action: diff.RequestDeletion},
			{Org: a, Action: diff.UpdateProducts, Enable: []string{"P000001"}, Disable: []string{"P000002", "odd"}},
			{Org: a, Action: diff.SetStatus, Before: diff.Text("INACTIVE")}, {Org: a, Action: diff.SetStatus, Before: diff.Text("ODD")},
			{Org: a, Action: diff.CreateObject, Kind: "groups", Object: "Lost"}, {Org: a, Action: diff.DeleteObject, Kind: "groups", Object: "Back"},
			{Org: a, Action: diff.UpdateObject, Kind: "groups", Object: "Staff", Fields: []diff.Field{{FieldChange: objects.FieldChange{Path: "profile.description", Before: "Live"}}}},
			{Org: a, Action: diff.ReorderObjects, Kind: "policies", Type: "OKTA_SIGN_ON", Object: "OKTA_SIGN_ON", Fields: []diff.Field{{FieldChange: objects.FieldChange{Path: "order", Before: []any{"B", "A"}}}}},
		},
		Unfixable: []diff.Unfixable{{Org: a, Field: "cell", Desired: "ok1", Actual: "ok2"}},
	}
	wanted := []string{
		"the name of the account",
		"a.okta.com without P000001, with P000002",
		"a.okta.com status INACTIVE",
		`a.okta.com group "Lost" absent`,
		`a.okta.com group "Back" present`,
		`a.okta.com group "Staff", profile.description "Live"`,
		"left: a.okta.com: the org: it doesn't exist: take its entry out by hand, if it is not to be created",
		"left: a.okta.com: the org: it is not linked to the account, so nothing of it is live there: take its entry out by hand, if it is not to be linked",
		"left: a.okta.com: requestDeletion: the org is still there: take the key out by hand, if it is not to be deleted",
		"left: a.okta.com: product odd: a manifest can't have this id",
		"left: a.okta.com: status ODD: a manifest can't declare it",
		`left: a.okta.com: the order of policies/OKTA_SIGN_ON: put the entries into this order by hand: "B", "A"`,
		`left: a.okta.com: cell: it is "ok2" and declared as "ok1", and nothing can change it: correct it by hand`,
	}
	if diff := cmp.Diff(wanted, told(edit.Adopt(plan))); diff != "" {
		t.Errorf("(-wanted +got):\n%s", diff)
	}
}
