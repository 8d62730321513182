package history

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// Of drift that is open there is one entry: what was live before it is over, also where no
// entry says so.
func TestTellDrift(t *testing.T) {
	first, last := time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC), time.Date(2026, 11, 30, 5, 0, 0, 0, time.UTC)
	entries := []Entry{
		{Seq: 5, Type: TypeChange, Outcome: "applied"},
		{Seq: 4, Type: TypeDrift, LastSeen: &first, Times: 1},
		{Seq: 3, Type: TypeDrift, LastSeen: &first, Times: 1},
		{Seq: 1, Type: TypeDrift, LastSeen: &first, Times: 1},
	}
	tellDrift(entries, []Entry{{Seq: 2, About: 1, LastSeen: &last, Times: 7}}, []Drift{{Seq: 4, LastSeen: last, Times: 9}})
	var got []string
	for _, e := range entries {
		got = append(got, fmt.Sprint(e.Seq, " ", e.Outcome, " ", e.Times, " ", e.LastSeen != nil && e.LastSeen.Equal(last)))
	}
	if want := []string{"5 applied 0 false", "4 open 9 true", "3 ended 1 false", "1 ended 7 true"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
