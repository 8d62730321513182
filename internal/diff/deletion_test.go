package diff_test

import (
	"slices"
	"testing"

	"reconciler/internal/diff"
	"reconciler/internal/state"
)

// Okta is asked once for an org's deletion. When somebody made the org active
// again, the request was taken back.
func TestDeletionIsAskedForOnce(t *testing.T) {
	asked := func(ids ...string) func(string) bool {
		return func(id string) bool { return slices.Contains(ids, id) }
	}
	for _, tt := range []struct {
		name    string
		status  state.Status
		asked   func(string) bool
		actions []diff.Action
	}{
		{"no journal", state.Inactive, nil, []diff.Action{diff.RequestDeletion}},
		{"another org", state.Inactive, asked("00o2"), []diff.Action{diff.RequestDeletion}},
		{"asked", state.Inactive, asked("00o1"), nil},
		{"asked, but active again", state.Active, asked("00o1"), []diff.Action{diff.SetStatus, diff.RequestDeletion}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plan, err := diff.Compute(
				&state.Desired{Orgs: []state.DesiredOrg{{
					Domain: "old.okta.com", Status: state.Inactive, RequestDeletion: true, ProductPolicy: state.Exact, Mode: state.Apply,
				}}},
				&state.Actual{Orgs: []state.Org{{ID: "00o1", Domain: "old.okta.com", Status: tt.status}}},
				diff.Options{DeletionRequested: tt.asked, Guards: diff.Guards{MaxDestructiveOrgs: 10, MaxDestructivePercent: 100, MaxNewOrgs: 100}},
			)
			if err != nil {
				t.Fatal(err)
			}
			var actions []diff.Action
			for _, c := range plan.Changes {
				actions = append(actions, c.Action)
			}
			if !slices.Equal(actions, tt.actions) || (plan.Summary.InSync == 1) != (len(tt.actions) == 0) {
				t.Errorf("got %v, in sync %d", actions, plan.Summary.InSync)
			}
		})
	}
}
