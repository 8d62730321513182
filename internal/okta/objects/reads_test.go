package objects

import (
	"slices"
	"testing"
)

// All of a kind is read with what it refers to.
func TestReadsAll(t *testing.T) {
	r := ReadsAll([]*Kind{policies})
	if wanted := []*Kind{networkZones, groups, behaviors, policies}; !slices.Equal(r.Kinds, wanted) {
		t.Errorf("kinds: %v", r.Kinds)
	}
	if !r.All || !r.BuiltIn || !slices.Equal(r.Types[policies], []string{mfaEnroll, signOn, password}) {
		t.Errorf("%+v", r)
	}
	if r := ReadsAll([]*Kind{features}); !slices.Equal(r.Kinds, []*Kind{features}) || r.BuiltIn {
		t.Errorf("%+v", r)
	}
}

// Fields of ids are found where they hold any.
func TestUndeclarable(t *testing.T) {
	raw := map[string]any{
		"id": "0pr1", "priority": float64(1), "system": true, "_links": map[string]any{"self": "x"},
		"conditions": map[string]any{"people": map[string]any{
			"users": map[string]any{"include": []any{}, "exclude": []any{"00u1"}}, "groups": map[string]any{"include": []any{"00g1"}},
		}},
	}
	if got := policyRules.Undeclarable(raw); len(got) != 1 || got["conditions.people.users"] != usersWhy {
		t.Errorf("%v", got)
	}
	raw["conditions"].(map[string]any)["people"].(map[string]any)["users"] = map[string]any{"exclude": []any{}}
	if got := policyRules.Undeclarable(raw); got != nil {
		t.Errorf("%v", got)
	}
}
