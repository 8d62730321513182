package apply_test

import (
	"testing"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
)

// TestAgreeing: an org agrees in the end if all that its changes want was made, and
// it has no difference beside them. The account is no org.
func TestAgreeing(t *testing.T) {
	plan := &diff.Plan{
		Summary: diff.Summary{Orgs: 6},
		Changes: []diff.Change{
			{Action: diff.RenameAccount},
			{Org: "applied", Action: diff.UpdateProducts},
			{Org: "blocked", Action: diff.SetStatus, Blocked: "protected"},
			{Org: "failed", Action: diff.LinkOrg}, {Org: "failed", Action: diff.UpdateProducts},
		},
		Unfixable: []diff.Unfixable{{Org: "gone", Field: diff.FieldProducts, Reason: "not subscribed: the account does not subscribe to it"}, {Org: "moved", Field: diff.FieldCell}},
		Unknown:   []diff.Unknown{{Org: "unknown"}},
	}
	result := &apply.Result{Outcomes: []apply.Outcome{
		{Result: apply.Failed}, {Org: "applied", Result: apply.Applied}, {Org: "blocked", Result: apply.Blocked},
		{Org: "failed", Result: apply.Failed}, {Org: "failed", Result: apply.Skipped},
	}}
	if n := result.Agreeing(plan); n != 1 {
		t.Errorf("%d orgs agree, want 1", n)
	}
	if n := result.Failures(plan); n != 4 { // the account, failed, gone, unknown
		t.Errorf("%d failures, want 4", n)
	}
	if n := (*apply.Result)(nil).Agreeing(plan); n != 0 {
		t.Errorf("%d orgs agree without a run, want 0", n)
	}
}
