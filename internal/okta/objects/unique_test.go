package objects

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A name that no two trusted origins may have is free before another one gets it.
func TestUniqueValues(t *testing.T) {
	origin := func(address, name, more string) string {
		return `trustedOrigins {"origin":"https://` + address + `.example","name":"` + name + `","scopes":[{"type":"CORS"}],"status":"ACTIVE"` + more + `}`
	}
	for name, test := range map[string]struct {
		declared, live []string
		want           []string
		unmet          map[string]string
	}{
		"a new address": {
			[]string{origin("new", "Portal", ""), origin("old", "Portal", `,"absent":true`), `groups {"profile":{"name":"Staff","site":"A"}}`, `groups {"profile":{"name":"Gone"}}`},
			[]string{origin("old", "portal", "")},
			[]string{"create-object Gone", "update-object Staff", "delete-object https://old.example", "create-object https://new.example <- https://old.example"}, nil,
		},
		"another takes the name": {
			[]string{origin("a", "B", ""), origin("b", "B", `,"absent":true`)},
			[]string{origin("a", "A", ""), origin("b", "B", "")},
			[]string{"delete-object https://b.example", "update-object https://a.example <- https://b.example"}, nil,
		},
		"one after the other": {
			[]string{origin("a", "B", ""), origin("b", "C", ""), origin("c", "D", "")},
			[]string{origin("a", "A", ""), origin("b", "B", ""), origin("c", "C", "")},
			[]string{"update-object https://c.example", "update-object https://b.example <- https://c.example", "update-object https://a.example <- https://b.example"}, nil,
		},
		"an exchange": {
			[]string{origin("a", "B", ""), origin("b", "A", ""), origin("c", "A", "")},
			[]string{origin("a", "A", ""), origin("b", "B", "")},
			[]string{"update-object https://b.example <- https://a.example", "update-object https://a.example <- https://b.example", "create-object https://c.example <- https://a.example"},
			map[string]string{
				"https://a.example": `its name "B" is that of the trusted origin "https://b.example", which is to get another one's, and so on in a circle: give one of them a name of its own first`,
				"https://b.example": `its name "A" is that of the trusted origin "https://a.example", which is to get another one's, and so on in a circle: give one of them a name of its own first`,
			},
		},
		"nobody's": {
			[]string{origin("new", "Portal", "")}, []string{origin("old", "Portal", "")}, []string{"create-object https://new.example"}, nil,
		},
		"unrelated": {
			[]string{origin("new", "New", ""), origin("old", "Portal", `,"absent":true`)}, []string{origin("old", "Portal", "")},
			[]string{"create-object https://new.example", "delete-object https://old.example"}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Compare(declare(t, test.declared...), live(t, append([]string{staff}, test.live...)...))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			unmet := map[string]string{}
			for _, d := range c.Differences {
				line := string(d.Op) + " " + d.Ref.Object()
				for _, n := range d.Needs {
					line += " <- " + n.Object()
				}
				got = append(got, line)
				if d.Unmet != "" {
					unmet[d.Ref.Object()] = d.Unmet
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if len(test.unmet)+len(unmet) > 0 {
				if diff := cmp.Diff(test.unmet, unmet); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// Deletions come first only of objects that no others can name.
func TestUniqueIsNotNamed(t *testing.T) {
	named := slices.DeleteFunc(slices.Clone(Kinds()), func(k *Kind) bool { return !k.named })
	var names []string
	for _, k := range named {
		names = append(names, k.Name)
		if k.unique {
			t.Errorf("%s: a deletion may come before the others stop naming the object", k.Name)
		}
	}
	if diff := cmp.Diff([]string{"networkZones", "groups", "behaviors"}, names); diff != "" {
		t.Error(diff)
	}
}
