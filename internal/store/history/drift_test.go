package history

import (
	"encoding/json"
	"testing"
	"time"

	"reconciler/internal/store/postgres/postgrestest"

	"github.com/google/go-cmp/cmp"
)

// drifted is a field that differs.
func drifted(org, field, actual string) Drift {
	return Drift{Org: org, OrgID: "00o", Field: field, Desired: json.RawMessage(`"want"`), Actual: json.RawMessage(actual)}
}

func everything(*Drift) bool { return true }

// see is a run that sees drift.
func see(t *testing.T, s *Store, id string, compared func(*Drift) bool, drift ...Drift) []Drift {
	t.Helper()
	r := begin(t, s, id)
	open, err := r.Drift(drift, compared)
	must(t, err)
	finish(t, r, Run{Result: "drift", Quiet: true})
	kept, err := s.Drifts()
	must(t, err)
	if diff := cmp.Diff(open, kept); diff != "" {
		t.Errorf("%s: %s", id, diff)
	}
	return open
}

func TestDrift(t *testing.T) {
	now := newClock()
	at := postgrestest.Place(t)
	s := newStore(t, at, Options{Now: now.now})
	see(t, s, "r1", everything, drifted("b.okta.com", "status", `"INACTIVE"`), drifted("a.okta.com", "products", `[]`))
	now.add(time.Hour)
	must(t, s.Caused(2, &Cause{Actor: "eve", Event: "org.status.update", EventID: "e1", Time: start()}, ""))
	// Another process, as after a restart.
	s = newStore(t, at, Options{Now: now.now})
	open := see(t, s, "r2", everything, drifted("b.okta.com", "status", ` "INACTIVE"`), drifted("a.okta.com", "products", `[]`))
	if len(open) != 2 || open[0].Org != "a.okta.com" {
		t.Fatalf("%+v", open)
	}
	if d := open[1]; !d.Since.Equal(start()) || !d.LastSeen.Equal(now.now()) || d.Times != 2 || d.Run != "r1" || d.Seq != 2 || d.Cause == nil || d.Cause.Actor != "eve" {
		t.Errorf("%+v", d)
	}
	if list := all(t, s); types(list) != "drift drift run cause" {
		t.Errorf("a run that sees what is known adds entries: %s", types(list))
	}
	now.add(time.Hour)
	// One is as desired again, and the other has another live value, which is news.
	open = see(t, s, "r3", everything, drifted("b.okta.com", "status", `"DELETED"`))
	if len(open) != 1 || !open[0].Since.Equal(now.now()) || open[0].Cause != nil || open[0].Times != 1 {
		t.Errorf("%+v", open)
	}
	// Another desired value changes nothing in who caused it.
	must(t, s.Caused(open[0].Seq, nil, "we wrote it"))
	wanted := drifted("b.okta.com", "status", `"DELETED"`)
	wanted.Desired = json.RawMessage(`"other"`)
	now.add(time.Hour)
	open2 := see(t, s, "r4", everything, wanted)
	if len(open2) != 1 || open2[0].Since != open[0].Since || open2[0].Unknown != "we wrote it" || open2[0].Seq == open[0].Seq {
		t.Errorf("%+v", open2)
	}
	ended, err := s.Entries(Query{Types: []Type{TypeDriftEnded}})
	must(t, err)
	if len(ended) != 1 || ended[0].Run != "r3" || ended[0].Org != "a.okta.com" || !ended[0].Since.Equal(start()) || ended[0].Times != 2 {
		t.Errorf("%+v", ended)
	}
}

// What a run couldn't compare stays open.
func TestDriftThatWasNotCompared(t *testing.T) {
	s := newStore(t, postgrestest.Place(t), Options{})
	see(t, s, "r1", everything, drifted("a", "x", `1`), drifted("b", "x", `1`))
	open := see(t, s, "r2", func(d *Drift) bool { return d.Org == "b" })
	if len(open) != 1 || open[0].Org != "a" || open[0].Times != 1 {
		t.Errorf("%+v", open)
	}
}

// An event that is late is joined to the entries that it is about.
func TestLateCause(t *testing.T) {
	s := newStore(t, postgrestest.Place(t), Options{})
	open := see(t, s, "r1", everything, drifted("a", "x", `1`))
	see(t, s, "r2", everything)
	cause := &Cause{Actor: "eve", Event: "x", EventID: "e1", Time: start()}
	for range 2 { // which is the same
		must(t, s.Caused(open[0].Seq, cause, ""))
	}
	list := all(t, s)
	if types(list) != "drift run drift-ended run cause" {
		t.Fatal(types(list))
	}
	for _, i := range []int{0, 2} {
		if diff := cmp.Diff(cause, list[i].Cause); diff != "" {
			t.Errorf("%s: %s", list[i].Type, diff)
		}
	}
	wantError(t, s.Caused(2, cause, ""), "entry 2 is neither a drift nor a change", "")
	wantError(t, s.Caused(99, cause, ""), "entry 99 is neither", "")
	r := begin(t, s, "r3")
	applied(t, r, change("a", `1`), "q")
	finish(t, r, Run{Result: "applied"})
	must(t, s.Caused(6, cause, ""))
	if got := all(t, s)[5]; got.Type != TypeChange || got.Cause == nil {
		t.Errorf("%+v", got)
	}
}
