package history

import (
	"testing"

	"reconciler/internal/store/postgres/postgrestest"
)

// Texts of others may have what PostgreSQL can't keep in a text: NULs, and bytes that
// aren't UTF-8. They are kept without, and nobody who asks with such a text gets an
// error.
func TestHostileTexts(t *testing.T) {
	s := newStore(t, postgrestest.Place(t), Options{Now: newClock().now})
	named := drifted("a.okta.com", "status", `"X"`)
	named.Kind, named.Object = "groups", "a\x00b\xffc"
	see(t, s, "r1", everything, named)
	open := see(t, s, "r2", everything, named)
	if len(open) != 1 || open[0].Times != 2 {
		t.Errorf("%+v", open)
	}
	for _, bad := range []string{"a\x00b", "a\xffb"} {
		run, err := s.FindRun(bad)
		if run != nil || err != nil {
			t.Errorf("run %q: %v, %v", bad, run, err)
		}
		if found, err := s.Entries(Query{Org: bad}); len(found) > 0 || err != nil {
			t.Errorf("org %q: %v, %v", bad, found, err)
		}
	}
	v, err := s.Verify("")
	must(t, err)
	if v.Problem != "" {
		t.Errorf("%+v", v)
	}
}
