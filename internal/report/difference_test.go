package report

import (
	"strings"
	"testing"

	"reconciler/internal/diff"
	"reconciler/internal/okta/objects"
)

func changeOf(kind, typ, object, path string, before, after any) diff.Change {
	return diff.Change{
		Org: "acme.okta.com", Action: diff.UpdateObject, Kind: kind, Type: typ, Object: object, Destructive: true,
		Fields: []diff.Field{{FieldChange: objects.FieldChange{Path: path, Before: before, After: after}}},
	}
}

func words(lines []Line) string {
	var all []string
	for i := range lines {
		all = append(all, lines[i].String())
	}
	return strings.Join(all, "\n")
}

// What differs is said in the same words by a plan, by drift, and by each format.
func TestSameWordsEverywhere(t *testing.T) {
	names := map[string]string{"P000052": "sso", "P000139": "lcm"}
	products := diff.Change{
		Action: diff.UpdateProducts, Before: diff.List([]string{"P000052"}), After: diff.List([]string{"P000139"}),
		Enable: []string{"P000139"}, Disable: []string{"P000052"}, Destructive: true,
	}
	blocked := products
	blocked.Blocked = "suspended by ada until 2026-12-01T00:00:00Z: audit"
	status := diff.Change{Action: diff.SetStatus, Before: diff.Text("ACTIVE"), After: diff.Text("INACTIVE"), Destructive: true}
	create := diff.Change{Action: diff.CreateObject, Kind: "groups", Object: "a/b: c"}
	long := strings.Repeat("x", 300)
	list := func(words ...any) []any { return words }
	for name, test := range map[string]struct {
		change diff.Change
		field  string // "" for that of the change
		want   string
	}{
		"products": {products, "", "+ enable lcm (P000139)\n- disable sso (P000052)  [destructive]"},
		"blocked": {blocked, "", "! enable lcm (P000139)  [blocked: suspended by ada until 2026-12-01T00:00:00Z: audit]\n" +
			"! disable sso (P000052)  [destructive; blocked: suspended by ada until 2026-12-01T00:00:00Z: audit]"},
		"status": {status, "", "- status ACTIVE → INACTIVE  [destructive; nobody can sign in]"},
		"object": {create, "", "+ groups/a/b: c: create"},
		"a list": {
			changeOf("networkZones", "", "Offices", "gateways", list("192.0.2.0/24", "198.51.100.0/24"), list("192.0.2.0/24", "203.0.113.0/24")), "",
			"- networkZones/Offices: gateways: added 203.0.113.0/24; removed 198.51.100.0/24  [destructive]",
		},
		"a word":  {changeOf("policies", "PASSWORD", "Staff", "status", "ACTIVE", "INACTIVE"), "", "- policies/PASSWORD/Staff: status: ACTIVE → INACTIVE  [destructive]"},
		"nothing": {changeOf("general", "", "general", "city", nil, "Bonn"), "", "~ general/general: city: not set → Bonn"},
		"a number": {changeOf("policies", "PASSWORD", "Staff", "settings.password.age.maxAgeDays", 90.0, 30.0), "",
			"~ policies/PASSWORD/Staff: settings.password.age.maxAgeDays: 90 → 30"},
		"a long text": {changeOf("groups", "", "Staff", "description", long+"old"+long, long+"new"+long), "",
			"~ groups/Staff: description: …" + strings.Repeat("x", 20) + "old" + strings.Repeat("x", 20) + "… → …" + strings.Repeat("x", 20) + "new" + strings.Repeat("x", 20) + "…"},
		"an object": {
			changeOf("policies", "PASSWORD", "Staff", "settings", map[string]any{"a": 1.0, "b": map[string]any{"c": "x", "d": "y"}}, map[string]any{"a": 1.0, "b": map[string]any{"c": "z", "d": "y"}, "e": true}), "",
			"~ policies/PASSWORD/Staff: settings: b: c: x → z; added e: true",
		},
		"an order": {changeOf("policyRules", "PASSWORD", "Staff/Rule", "order", list("a", "b", "c", "d", "e", "f", "g"), list("a", "c", "b", "d", "e", "f", "g")), "",
			"~ policyRules/PASSWORD/Staff/Rule: order: …, b, c, … → …, c, b, …"},
	} {
		t.Run(name, func(t *testing.T) {
			c := test.change
			if c.Kind != "" && c.Action == diff.UpdateObject {
				one, ok := c.Difference()
				c.Destructive = ok && one.Loses()
			}
			if got := words(Describe(&c, names)); got != test.want {
				t.Errorf("a change is\n%s\nwant\n%s", got, test.want)
			}
			d := Difference{Field: c.Field(), Kind: c.Kind, Object: c.Object, Desired: c.After, Actual: c.Before, Destructive: c.Destructive, Blocked: c.Blocked}
			switch c.Action {
			case diff.UpdateObject:
				f := c.Fields[0]
				d.Field, d.Desired, d.Actual = c.Field()+": "+f.Path, diff.ValueOf(f.After), diff.ValueOf(f.Before)
			case diff.CreateObject:
				d.Desired, d.Actual = diff.Text("yes"), diff.Text("no")
			}
			if got := words(d.Lines(names)); got != test.want {
				t.Errorf("drift is\n%s\nwant\n%s", got, test.want)
			}
			c.Org, c.OrgID = "acme.okta.com", "00o1"
			plan := &diff.Plan{Changes: []diff.Change{c}, Products: names}
			for _, format := range []Format{Text, Markdown, HTML} {
				var b strings.Builder
				if err := Write(&b, format, Data{Plan: plan}); err != nil {
					t.Fatal(err)
				}
				for _, l := range Describe(&c, names) {
					if text := strings.ReplaceAll(b.String(), "&#43;", "+"); !strings.Contains(text, l.Text) {
						t.Errorf("no %q in %s:\n%s", l.Text, format, text)
					}
				}
			}
		})
	}
}

// A difference that no change repairs is said as in the plan's list of them.
func TestUnfixableWords(t *testing.T) {
	for _, u := range []diff.Unfixable{
		{Field: "cell", Desired: "ok1", Actual: "ok2"},
		{Field: "networkZones/Offices: type", Kind: "networkZones", Object: "Offices", Desired: `"IP"`, Actual: `"DYNAMIC"`, Reason: "Okta doesn't change the type of a zone"},
	} {
		l := DescribeUnfixable(&u)
		d := Difference{Field: u.Field, Kind: u.Kind, Object: u.Object, Desired: diff.Text(u.Desired), Actual: diff.Text(u.Actual), Blocked: u.Reason}
		if d.Blocked == "" {
			d.Blocked = NoFix
		}
		if got := words(d.Lines(nil)); got != l.String() {
			t.Errorf("drift is %q, the plan's %q", got, l.String())
		}
	}
}

func TestLongLists(t *testing.T) {
	var before, after []any
	for i := range 1000 {
		before = append(before, strings.Repeat("a", i%7)+string(rune('a'+i%26))+strings.Repeat("b", i/26))
	}
	after = append(append(after, before...), "new")
	if got := valueChange(before, after, notSet); got != "added new" {
		t.Errorf("one of many: %.200s", got)
	}
	if got := valueChange([]any{}, before, notSet); !strings.HasSuffix(got, " and 980 more") || len(got) > 5000 {
		t.Errorf("many of many: %d bytes, …%s", len(got), got[max(0, len(got)-60):])
	}
}
