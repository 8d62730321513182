package objects

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Short and long lists are matched alike.
func TestMatch(t *testing.T) {
	f := Find(networkZones.Fields, "gateways")
	random := rand.New(rand.NewPCG(1, 2))
	list := func() []any {
		all := make([]any, random.IntN(few+1))
		for i := range all {
			m := map[string]any{}
			for _, name := range []string{"type", "value"} {
				if v := random.IntN(4); v > 0 {
					m[name] = []any{nil, "CIDR", "RANGE"}[v-1]
				}
			}
			if all[i] = m; random.IntN(10) == 0 {
				all[i] = "not a mapping"
			}
		}
		return all
	}
	for range 2000 {
		a, b := list(), list()
		if got, want := f.matchFew("IP", a, b), f.matchMany("IP", a, b); !slices.Equal(got, want) {
			t.Fatalf("%v and %v: got %v, want %v", a, b, got, want)
		}
	}
}
