package objects

import (
	"reflect"
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

// What two reads have together has all that each of them has, whatever fields there are.
func TestReadsWith(t *testing.T) {
	all := Reads{
		Kinds:    []*Kind{features, groups, policies},
		Types:    map[*Kind][]string{policies: {mfaEnroll, signOn}},
		Parents:  map[Ref]bool{{Kind: policies, Type: signOn, Name: "P"}: true},
		Statuses: map[Ref]any{{Kind: features, Name: "F"}: "ENABLED"},
		All:      true, BuiltIn: true,
	}
	v := reflect.ValueOf(all)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Fatalf("%s isn't tested", v.Type().Field(i).Name)
		}
	}
	for name, both := range map[string]Reads{"with nothing": all.With(Reads{}), "nothing with it": Reads{}.With(all), "with itself": all.With(all)} {
		if !reflect.DeepEqual(both, all) {
			t.Errorf("%s: %+v, want %+v", name, both, all)
		}
	}
	some := Reads{Kinds: []*Kind{groups}, Types: map[*Kind][]string{}}
	if !all.Has(some) || !all.Has(all) || some.Has(all) || !some.Has(Reads{}) {
		t.Error("Has is wrong")
	}
	for _, more := range []Reads{
		{Kinds: []*Kind{policies}, Types: map[*Kind][]string{policies: {signOn}}}, {BuiltIn: true}, {All: true}, {Parents: all.Parents},
	} {
		if some.Has(more) {
			t.Errorf("groups have %+v", more)
		}
		if with := some.With(more); !with.Has(more) || !with.Has(some) {
			t.Errorf("%+v with %+v is %+v", some, more, with)
		}
	}
}
