package objects

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// switchboard returns an org with features A to F and their statuses, such as "A+ B-",
// and the declaration of others, of which "A: B C" in needs says that A needs B and C.
func switchboard(t testing.TB, declared, actual string, needs ...string) (*Declared, *Live) {
	t.Helper()
	lines := func(s string) []string {
		var all []string
		for f := range strings.FieldsSeq(s) {
			status := "ENABLED"
			if f[1] == '-' {
				status = "DISABLED"
			}
			all = append(all, fmt.Sprintf(`features {"name":%q,"status":%q}`, f[:1], status))
		}
		return all
	}
	d, l := declare(t, lines(declared)...), live(t, lines(actual)...)
	find := func(name string) *LiveObject {
		return l.Objects[slices.IndexFunc(l.Objects, func(o *LiveObject) bool { return o.Ref.Name == name })]
	}
	// What Read does, for all objects.
	l.Needs = map[string][]*LiveObject{}
	for _, line := range needs {
		name, all, _ := strings.Cut(line, ": ")
		for other := range strings.FieldsSeq(all) {
			for _, pair := range [][2]string{{name, other}, {other, name}} {
				o, before := find(pair[0]), find(pair[1])
				to := "ENABLED"
				if pair[0] == other {
					to = "DISABLED"
				}
				if o.Body["status"] != to {
					l.Needs[o.ID] = append(l.Needs[o.ID], before)
				}
			}
		}
	}
	return d, l
}

func TestRelate(t *testing.T) {
	for _, tt := range []struct {
		name, declared, actual string
		needs                  []string
		want                   string // each difference in order, with Needs and Unmet
	}{
		{"nothing needed", "A+ B-", "A- B+", nil, "A; B"},
		{"needs what is there", "A+", "A- B+", []string{"A: B"}, "A"},
		{"comes first", "A+ B+ C+", "A- B- C-", []string{"A: B", "B: C"}, "C; B [C]; A [B]"},
		{"goes first", "A- B- C-", "A+ B+ C+", []string{"B: A", "C: B"}, "C; B [C]; A [B]"},
		{"a diamond", "A+ B+ C+ D+", "A- B- C- D-", []string{"A: B C", "B: D", "C: D"}, "D; B [D]; C [D]; A [B C]"},
		{
			"not declared", "A+", "A- B-",
			[]string{"A: B"},
			`A: it needs "B", which must be ENABLED first: declare that as well (nothing is switched that isn't declared)`,
		},
		{
			"further levels", "A+ B+", "A- B- C- D- E+",
			[]string{"A: B", "B: C E", "C: D"},
			`B: it needs "C", "D", which must be ENABLED first: declare that as well (nothing is switched that isn't declared); ` +
				`A [B]: it needs "C", "D", which must be ENABLED first: declare that as well (nothing is switched that isn't declared)`,
		},
		{
			"not declared to go", "A-", "A+ B+ C-",
			[]string{"B: A", "C: A"},
			`A: it is needed by "B", which must be DISABLED first: declare that as well (nothing is switched that isn't declared)`,
		},
		{"declared otherwise", "A+ B-", "A- B-", []string{"A: B"}, `A: it needs "B", which is declared DISABLED`},
		{
			"declared to go meanwhile", "A+ B-", "A- B+",
			[]string{"A: B"},
			`A: it needs "B", which is declared DISABLED; B: it is needed by "A", which is declared ENABLED`,
		},
		{"declared to stay", "A+ B-", "A+ B+", []string{"A: B"}, `B: it is needed by "A", which is declared ENABLED`},
		{"in circles", "A+ B+", "A- B-", []string{"A: B", "B: A"}, "B [A]; A [B]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, l := switchboard(t, tt.declared, tt.actual, tt.needs...)
			c, err := Compare(d, l)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range c.Differences {
				s := d.Ref.Name
				if len(d.Needs) > 0 {
					var names []string
					for _, r := range d.Needs {
						names = append(names, r.Name)
					}
					s += " [" + strings.Join(names, " ") + "]"
				}
				if d.Unmet != "" {
					s += ": " + d.Unmet
				}
				got = append(got, s)
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, "; ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Whatever depends on what, following the order and leaving out what is unmet never
// switches anything before what it needs, and ends as declared where all is declared.
func TestRelateProperty(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		var declared, actual, needs []string
		const names = "ABCDEF"
		all := r.IntN(2) == 0
		for i, name := range names {
			sign := string("+-"[r.IntN(2)])
			actual = append(actual, string(name)+string("+-"[r.IntN(2)]))
			if all || r.IntN(3) > 0 {
				declared = append(declared, string(name)+sign)
			}
			for _, other := range names[:i] {
				if r.IntN(3) == 0 {
					needs = append(needs, string(name)+": "+string(other))
				}
			}
		}
		r.Shuffle(len(declared), func(i, k int) { declared[i], declared[k] = declared[k], declared[i] })
		d, l := switchboard(t, strings.Join(declared, " "), strings.Join(actual, " "), needs...)
		c, err := Compare(d, l)
		if err != nil {
			t.Fatal(err)
		}
		now := map[string]any{}
		for _, o := range l.Objects {
			now[o.Ref.Name] = o.Body["status"]
		}
		for _, d := range c.Differences {
			if d.Unmet != "" {
				continue
			}
			now[d.Ref.Name] = d.Switches()
			for _, line := range needs {
				name, other, _ := strings.Cut(line, ": ")
				if to := d.Switches(); to == "ENABLED" && d.Ref.Name == name && now[other] != to || to == "DISABLED" && d.Ref.Name == other && now[name] != to {
					t.Errorf("seed %d: %v, declared %v, needs %v: %s is %v too early", seed, actual, declared, needs, d.Ref.Name, to)
				}
			}
		}
	}
}

// The statuses are read of declared features only, and of those that a plan switches.
func TestReadStatuses(t *testing.T) {
	d, l := switchboard(t, "A+ B-", "A- B- C-")
	d.Objects = append(d.Objects, declare(t, `networkZones {"name":"Z","type":"IP","status":"ACTIVE"}`, `features {"name":"C"}`, `features {"name":"A","status":"DISABLED"}`).Objects...)
	ref := func(name string) Ref { return Ref{Kind: features, Name: name} }
	same := cmp.Comparer(func(a, b *Kind) bool { return a == b })
	if diff := cmp.Diff(map[Ref]any{ref("A"): "ENABLED", ref("B"): "DISABLED"}, ReadsOf(d.Objects).Statuses, same); diff != "" {
		t.Error(diff)
	}
	c, err := Compare(&Declared{Objects: d.Objects[:2]}, l)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[Ref]any{ref("A"): "ENABLED"}, ReadsFor(c.Differences).Statuses, same); diff != "" {
		t.Error(diff)
	}
}
