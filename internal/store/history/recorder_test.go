package history

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"reconciler/internal/store/location"
	"reconciler/internal/store/postgres/postgrestest"

	"github.com/google/go-cmp/cmp"
)

func TestRun(t *testing.T) {
	now := newClock()
	s := newStore(t, postgrestest.Place(t), Options{Now: now.now})
	r := begin(t, s, "r1")
	if runs, err := s.Runs("", 0); err != nil || len(runs) != 1 || runs[0].Result != "" {
		t.Errorf("while it goes on: %+v, %v", runs, err)
	}
	must(t, r.Planned("c0ffee", "ada", "d1"))
	p, err := r.Change(change("acme.okta.com", `["b"]`))
	must(t, err)
	now.add(1500 * time.Millisecond)
	must(t, p.End(Entry{Outcome: "applied", RequestID: "req2", RequestIDs: []string{"req1", "req2"}}))
	now.add(time.Second)
	head := finish(t, r, Run{Result: "applied", Record: json.RawMessage(`{"changes":1}`)})
	list := all(t, s)
	want := []Entry{
		{
			Seq: 1, Type: TypeChange, Time: start().Add(1500 * time.Millisecond), Run: "r1", Commit: "c0ffee", Signer: "ada", Digest: "d1", By: "ada@example",
			Org: "acme.okta.com", OrgID: "00oacme.okta.com", Action: "set-products", Before: json.RawMessage(`["a"]`), After: json.RawMessage(`["b"]`),
			Outcome: "applied", RequestID: "req2", RequestIDs: []string{"req1", "req2"}, Seconds: 1.5, Hash: list[0].Hash,
		},
		{
			Seq: 2, Type: TypeRun, Time: now.now(), Run: "r1", Commit: "c0ffee", Signer: "ada", Digest: "d1", By: "ada@example", Action: "run",
			Outcome: "applied", Seconds: 2.5, Record: list[1].Record, Hash: head,
		},
	}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Error(diff)
	}
	run, err := s.FindRun("r1")
	must(t, err)
	if diff := cmp.Diff(&Run{
		ID: "r1", Command: "run", By: "ada@example", Started: start(), Finished: now.now(), Commit: "c0ffee", Signer: "ada", Digest: "d1",
		Result: "applied", Record: json.RawMessage(`{"changes":1}`),
	}, run); diff != "" {
		t.Error(diff)
	}
	if _, err := s.Begin(Run{ID: "r1"}); err == nil {
		t.Error("a second run has the same id")
	}
	if got, err := s.Head(); got != head || err != nil {
		t.Errorf("head %q, %v", got, err)
	}
}

// What happened is never pushed out by what didn't.
func TestQuietRunsAreCounted(t *testing.T) {
	now := newClock()
	s := newStore(t, postgrestest.Place(t), Options{Now: now.now})
	for i := range 5 {
		r := begin(t, s, fmt.Sprint("quiet", i))
		finish(t, r, Run{Result: "in-sync", Quiet: true})
		now.add(time.Hour)
	}
	r := begin(t, s, "loud")
	applied(t, r, change("acme.okta.com", `["b"]`), "q1")
	finish(t, r, Run{Result: "applied", Quiet: true})
	quiet, err := s.QuietRuns()
	must(t, err)
	if want := (Quiet{5, start(), start().Add(4 * time.Hour)}); quiet != want {
		t.Errorf("%+v", quiet)
	}
	if runs, err := s.Runs("", 10); err != nil || len(runs) != 1 || runs[0].ID != "loud" {
		t.Errorf("%+v, %v", runs, err)
	}
}

func TestRunsArePaged(t *testing.T) {
	s := newStore(t, postgrestest.Place(t), Options{})
	for i := range 7 {
		finish(t, begin(t, s, fmt.Sprint("r", i)), Run{Result: "applied"})
	}
	open := []*Recorder{begin(t, s, "open1"), begin(t, s, "open2")}
	var ids []string
	for before := ""; ; {
		page, err := s.Runs(before, 2)
		must(t, err)
		if len(page) == 0 {
			break
		}
		for i := range page {
			ids = append(ids, page[i].ID)
		}
		before = page[len(page)-1].ID
	}
	if got := strings.Join(ids, " "); got != "open2 open1 r6 r5 r4 r3 r2 r1 r0" {
		t.Error(got)
	}
	if page, err := s.Runs("unknown", 2); err != nil || len(page) != 0 {
		t.Errorf("after an unknown one: %+v, %v", page, err)
	}
	for _, r := range open {
		finish(t, r, Run{Result: "applied"})
	}
}

func TestQueries(t *testing.T) {
	now := newClock()
	s := newStore(t, postgrestest.Place(t), Options{Now: now.now})
	for i := range 12 {
		r := begin(t, s, fmt.Sprint("r", i))
		e := change(fmt.Sprintf("org%d.okta.com", i%2), `["b"]`)
		if i%4 == 0 {
			e.Action = "deactivate"
		}
		applied(t, r, e, fmt.Sprint("q", i))
		finish(t, r, Run{Result: "applied"})
		now.add(time.Hour)
	}
	_, err := s.Add(Entry{Type: TypeOperator, Action: "suspend", Reason: "audit"})
	must(t, err)
	now.add(-9 * time.Hour) // somebody sets the clock back
	applied(t, begin(t, s, "back"), change("org1.okta.com", `["b"]`), "q99")
	everything, err := s.Entries(Query{})
	must(t, err)
	for name, q := range map[string]Query{
		"all":         {},
		"type":        {Types: []Type{TypeRun}},
		"types":       {Types: []Type{TypeChange, TypeOperator, TypeChange}},
		"org":         {Org: "org1.okta.com"},
		"action":      {Action: "deactivate"},
		"run":         {Run: "r7"},
		"since":       {Since: start().Add(5 * time.Hour)},
		"until":       {Until: start().Add(5 * time.Hour)},
		"types since": {Types: []Type{TypeChange, TypeOperator}, Since: start().Add(5 * time.Hour)},
		"since then":  {Types: []Type{TypeChange}, Since: start().Add(100 * time.Hour)},
		"both":        {Org: "org0.okta.com", Since: start().Add(5 * time.Hour), Until: start().Add(12 * time.Hour), Types: []Type{TypeChange, TypeRun}},
		"request":     {RequestIDs: []string{"q3", "q5", "none"}},
		"nothing":     {Org: "unknown"},
	} {
		want := slices.DeleteFunc(slices.Clone(everything), func(e Entry) bool {
			return !q.selects(&e) || len(q.Types) > 0 && !slices.Contains(q.Types, e.Type) ||
				len(q.RequestIDs) > 0 && !slices.Contains(q.RequestIDs, e.RequestID)
		})
		got, err := s.Entries(q)
		must(t, err)
		if diff := cmp.Diff(want, append([]Entry{}, got...)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		var paged []Entry
		for q.Limit = 3; ; q.Before = paged[len(paged)-1].Seq {
			page, err := s.Entries(q)
			must(t, err)
			paged = append(paged, page...)
			if len(page) < q.Limit {
				break
			}
		}
		if diff := cmp.Diff(want, append([]Entry{}, paged...)); diff != "" {
			t.Errorf("%s, paged: %s", name, diff)
		}
	}
}

// What a query of the last hours costs doesn't grow with what came before.
func TestQueryOfLateEntries(t *testing.T) {
	postgrestest.OnlyFolder(t)
	s := newStore(t, postgrestest.Place(t), Options{})
	_, err := s.Add(Entry{Type: TypeOperator, Action: "suspend"})
	must(t, err)
	q := Query{Types: []Type{TypeChange, TypeDrift}, Since: start()}
	query, args := q.query()
	must(t, s.read("explaining", func(tx *sql.Tx) error {
		rows, err := tx.Query("EXPLAIN QUERY PLAN "+query, args...)
		must(t, err)
		defer rows.Close()
		var plan []string
		for rows.Next() {
			var id, parent, unused int
			var step string
			must(t, rows.Scan(&id, &parent, &unused, &step))
			plan = append(plan, step)
		}
		got := strings.Join(plan, "\n")
		if n := strings.Count(got, "USING INDEX entries_type (type=? AND rowid>?)"); n != 2 || strings.Contains(got, "SCAN entries") {
			t.Error(got)
		}
		return rows.Err()
	}))
}

// Concurrent changes are all there, and those of one goroutine in their order.
func TestConcurrentChanges(t *testing.T) {
	s := newStore(t, postgrestest.Place(t), Options{})
	r := begin(t, s, "r1")
	var wg sync.WaitGroup
	for g := range 5 {
		wg.Go(func() {
			for i := range 5 {
				applied(t, r, change(fmt.Sprintf("org%d", g), fmt.Sprint(i)), "")
			}
		})
	}
	wg.Wait()
	finish(t, r, Run{Result: "applied"})
	for g := range 5 {
		list, err := s.Entries(Query{Org: fmt.Sprintf("org%d", g)})
		must(t, err)
		var values []string
		for i := range list {
			values = append(values, string(list[i].After))
		}
		if got := strings.Join(values, " "); got != "4 3 2 1 0" {
			t.Errorf("org%d: %s", g, got)
		}
	}
}

func TestNoFolder(t *testing.T) {
	s := newStore(t, location.Location{}, Options{})
	r, err := s.Begin(Run{ID: "r1"})
	must(t, err)
	must(t, r.Planned("c", "", ""))
	applied(t, r, change("a", `1`), "")
	if open, err := r.Drift([]Drift{{Org: "b"}, {Org: "a"}}, func(*Drift) bool { return true }); err != nil || len(open) != 2 || open[0].Org != "a" {
		t.Errorf("%+v, %v", open, err)
	}
	must(t, r.States([]OrgState{{Org: "a"}}))
	if head := finish(t, r, Run{}); head != "" {
		t.Error(head)
	}
	if list := all(t, s); len(list) != 0 {
		t.Error(list)
	}
	must(t, s.Caused(1, nil, "x"))
}

// What one change sets must not be taken for another's.
func TestBadValues(t *testing.T) {
	s := newStore(t, postgrestest.Place(t), Options{})
	r := begin(t, s, "r1")
	if _, err := r.Change(change("a", `{`)); err == nil {
		t.Error("a value that is no JSON was taken")
	}
	e := change("a\xff.okta.com", `"<b>"`)
	applied(t, r, e, "q\xff")
	finish(t, r, Run{Result: "applied"})
	if list, err := s.Entries(Query{Org: "a\ufffd.okta.com"}); err != nil || len(list) != 1 || string(list[0].After) != `"<b>"` {
		t.Errorf("%+v, %v", list, err)
	}
}
