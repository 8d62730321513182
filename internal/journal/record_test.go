package journal

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDeletions(t *testing.T) {
	at := newClock()
	j := openJournal(t, t.TempDir(), Options{Now: at.now})
	const org = "00o1"
	wantError(t, j.EndDeletion(account, org, ""), "nobody is waiting for an answer", "")
	wantError(t, j.BeginDeletion("", org, ""), "account and org id", "")
	want := func(desired Deletion) {
		t.Helper()
		all, err := j.Deletions(account)
		must(t, err)
		if diff := cmp.Diff([]Deletion{desired}, all); diff != "" {
			t.Error(diff)
		}
	}
	d := Deletion{Account: account, OrgID: org, Domain: "old.okta.com", Changed: start()}
	must(t, j.BeginDeletion(account, org, "Old.okta.com"))
	d.State = Asking
	want(d)

	at.add(time.Second)
	must(t, j.BeginDeletion(account, org, "old.okta.com")) // the answer was lost
	d.Changed = at.now()
	want(d)

	at.add(time.Second)
	must(t, j.EndDeletion(account, org, "E0000038: not for\nproduction"))
	d.State, d.LastError, d.Changed = RefusedDeletion, "E0000038: not for production", at.now()
	want(d)
	wantError(t, j.EndDeletion(account, org, ""), "nobody is waiting for an answer", "")

	must(t, j.BeginDeletion(account, org, "old.okta.com"))
	must(t, j.EndDeletion(account, org, ""))
	d.State, d.LastError = Asked, ""
	want(d)
	wantError(t, j.BeginDeletion(account, org, "old.okta.com"), `deletion of "old.okta.com" (00o1): Okta was asked already`, "")
	want(d)

	if all, err := j.Deletions("other"); len(all) > 0 || err != nil {
		t.Errorf("of another account: %v, %v", all, err)
	}
	must(t, j.ForgetDeletion(account, org))
	must(t, j.ForgetDeletion(account, org))
	must(t, j.BeginDeletion(account, org, "old.okta.com"))
}

func TestRuns(t *testing.T) {
	j := openJournal(t, t.TempDir(), Options{})
	must(t, j.StartRun(Run{ID: "r1", Started: start()}))
	must(t, j.StartRun(Run{ID: "r2", Started: start().Add(time.Minute)}))
	ended := Run{ID: "r1", Started: start(), Finished: start().Add(time.Second), Result: "applied", Record: []byte(`{"id":"r1"}`)}
	must(t, j.EndRun(ended))
	must(t, j.EndRun(ended))
	all, err := j.Runs(10)
	must(t, err)
	if diff := cmp.Diff([]Run{{ID: "r2", Started: start().Add(time.Minute)}, ended}, all); diff != "" {
		t.Error(diff)
	}
	for limit, desired := range map[int]int{-1: 0, 0: 0, 1: 1, 2: 2} {
		if all, err := j.Runs(limit); err != nil || len(all) != desired {
			t.Errorf("limit %d: %d, %v", limit, len(all), err)
		}
	}
	wantError(t, j.EndRun(Run{ID: "r3"}), `ending the run "r3": the journal knows of no such run`, "")
	wantError(t, j.EndRun(Run{ID: "r1", Record: []byte("{")}), "no JSON", "")
	wantError(t, j.StartRun(Run{ID: "r4"}), "id and time", "")
	wantError(t, j.StartRun(Run{ID: "r1", Started: start()}), "starting a run", "")
}

func TestRunsArePruned(t *testing.T) {
	j := openJournal(t, t.TempDir(), Options{})
	insert := func(from, to, size int) {
		t.Helper()
		tx, err := j.db.Begin()
		must(t, err)
		for n := from; n < to; n++ {
			_, err := tx.Exec(`INSERT INTO runs (id, started_at, finished_at, result, record) VALUES (?, 'x', '', '', ?)`,
				fmt.Sprintf("r%d", n), `"`+strings.Repeat("x", size-2)+`"`)
			must(t, err)
		}
		must(t, tx.Commit())
	}
	count := func() (n int) {
		t.Helper()
		must(t, j.db.QueryRow(`SELECT count(*) FROM runs`).Scan(&n))
		return n
	}
	insert(0, keepRuns+50, 10)
	must(t, j.StartRun(Run{ID: "newest", Started: start()}))
	if n := count(); n != keepRuns {
		t.Errorf("%d are kept", n)
	}
	insert(5000, 5040, 1<<20)
	must(t, j.StartRun(Run{ID: "newer still", Started: start()}))
	if n := count(); n != 33 {
		t.Errorf("%d are kept", n)
	}
	must(t, j.EndRun(Run{ID: "newer still", Finished: start()}))
}
