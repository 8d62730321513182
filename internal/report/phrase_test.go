package report

import (
	"testing"

	"reconciler/internal/diff"
)

// A difference on one line has the words of its lines, and those of what was made.
func TestPhrase(t *testing.T) {
	names := map[string]string{"P000131": "mfa"}
	for _, test := range []struct {
		d            Difference
		phrase, done string
	}{
		{
			Difference{Field: "products", Desired: diff.List([]string{"P000052", "P000131"}), Actual: diff.List([]string{"P000052", "P000203"}), Destructive: true},
			"enable mfa (P000131); disable P000203 [destructive]", "enabled mfa (P000131); disabled P000203",
		},
		{Difference{Field: "status", Desired: diff.Text("ACTIVE"), Actual: diff.Text("IN\u202e")}, `IN\u202e → ACTIVE`, `IN\u202e → ACTIVE`},
		{Difference{Field: "account.name", Desired: diff.Text("Acme"), Actual: diff.Text("Acne")}, `rename from "Acne" to "Acme"`, `renamed from "Acne" to "Acme"`},
		{Difference{Field: "linked", Desired: diff.Text("yes"), Actual: diff.Text("no")}, "link to the account", "linked to the account"},
		{Difference{Field: "name", Desired: diff.Text("a"), Actual: diff.Text("b"), Blocked: "Okta can't"}, "b → a", "b → a"},
		{Difference{Field: "groups/a: b", Kind: "groups", Object: "a: b", Desired: diff.Text("yes"), Actual: diff.Text("no")}, "create", "created"},
		{
			Difference{Field: "networkZones/Offices: gateways", Kind: "networkZones", Object: "Offices", Desired: diff.List([]string{"192.0.2.0/24"}), Actual: diff.List(nil)},
			"added 192.0.2.0/24", "added 192.0.2.0/24",
		},
		{ // a value that begins like a verb
			Difference{Field: "policyRules/a/b: action", Kind: "policyRules", Object: "a/b", Desired: diff.Text("enable it"), Actual: diff.Text("create it")},
			`"create it" → "enable it"`, `"create it" → "enable it"`,
		},
		{
			Difference{Field: "policyRules/a/b: action", Kind: "policyRules", Object: "a/b", Desired: diff.Text("enable"), Actual: diff.Text("delete")},
			"delete → enable", "delete → enable",
		},
	} {
		lines := test.d.Lines(names)
		if got := Phrase(test.d.Field, lines); got != test.phrase {
			t.Errorf("%s: the phrase is %q, want %q", test.d.Field, got, test.phrase)
		}
		if got := Done(test.d.Field, lines); got != test.done {
			t.Errorf("%s: done is %q, want %q", test.d.Field, got, test.done)
		}
	}
}
