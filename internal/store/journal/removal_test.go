package journal

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// took returns the orgs that lost something in the day before a time, oldest first.
func took(t *testing.T, j *Journal, now time.Time) []string {
	t.Helper()
	all, err := j.Removals(account, now.Add(-24*time.Hour))
	must(t, err)
	var ids []string
	for _, r := range all {
		ids = append(ids, r.OrgID)
	}
	return ids
}

func TestRemovals(t *testing.T) {
	j := New(locate(place(t)), Options{}) // neither locked nor there
	defer j.Close()
	begin := func(id string, at time.Time, max int) (int64, error) {
		return j.BeginRemoval(Removal{account, id, id + ".Okta.com", at}, at.Add(-24*time.Hour), max)
	}
	want := func(now time.Time, ids ...string) {
		t.Helper()
		if d := cmp.Diff(ids, took(t, j, now)); d != "" {
			t.Error(d)
		}
	}
	_, err := j.BeginRemoval(Removal{OrgID: "00o1", At: start()}, start(), 1)
	wantError(t, err, "account, org id and time", "")
	if exists, err := j.Exists(); exists || err != nil {
		t.Errorf("%v, %v", exists, err)
	}
	_, err = begin("00o1", start(), 2)
	must(t, err)
	if exists, err := j.Exists(); !exists || err != nil {
		t.Errorf("%v, %v", exists, err)
	}
	second, err := begin("00o2", start().Add(time.Hour), 2)
	must(t, err)
	want(start().Add(time.Hour), "00o1", "00o2")

	// An org counts once, and a third is one too many.
	again, err := begin("00o1", start().Add(2*time.Hour), 2)
	must(t, err)
	var limit *LimitError
	if _, err := begin("00o3", start().Add(2*time.Hour), 2); !errors.As(err, &limit) || *limit != (LimitError{2, 2}) {
		t.Errorf("%v", err)
	}
	want(start().Add(2*time.Hour), "00o2", "00o1")

	// What was refused did not happen; what happened before stays.
	must(t, j.TakeBack(second))
	must(t, j.TakeBack(again))
	want(start().Add(2*time.Hour), "00o1")

	want(start().Add(24 * time.Hour)) // exactly a day later
	want(start().Add(24*time.Hour-1), "00o1")
	if all, err := j.Removals("other", time.Time{}); len(all) > 0 || err != nil {
		t.Errorf("of another account: %v, %v", all, err)
	}
}

// A clock that goes back, and a time that can't be read, make nothing forgotten.
func TestRemovalsWithWrongClock(t *testing.T) {
	w := openJournal(t, place(t), Options{})
	for i, at := range []time.Time{start(), start().Add(72 * time.Hour), start().Add(time.Minute)} {
		_, err := w.BeginRemoval(Removal{account, fmt.Sprint("00o", i), "", at}, at.Add(-24*time.Hour), 3)
		must(t, err)
	}
	if d := cmp.Diff([]string{"00o0", "00o2", "00o1"}, took(t, w.Journal, start().Add(-time.Hour))); d != "" {
		t.Error(d)
	}
	_, err := w.db().Exec(`UPDATE removals SET sent_at = '2026-11-30Tn5:41:15Z' WHERE org_id = '00o0'`)
	must(t, err)
	if d := cmp.Diff([]string{"00o0", "00o1"}, took(t, w.Journal, start().Add(48*time.Hour))); d != "" {
		t.Error(d)
	}
	if rows, err := w.Unreadable(account); err != nil || len(rows) != 1 || rows[0].Table != "removals" || rows[0].Column != "sent_at" {
		t.Errorf("unreadable: %v, %v", rows, err)
	}
	at := start().Add(-time.Hour)
	if _, err := w.BeginRemoval(Removal{account, "00o9", "", at}, at.Add(-24*time.Hour), 3); !errors.As(err, new(*LimitError)) {
		t.Errorf("%v", err)
	}
}

// Two journals on one folder, as of two processes: together they don't pass the
// limit.
func TestRemovalsOfSeveralProcesses(t *testing.T) {
	dir := place(t)
	holder := openJournal(t, dir, Options{})
	other := New(locate(dir), Options{})
	defer other.Close()
	var g sync.WaitGroup
	var mu sync.Mutex
	begun := 0
	for i := range 40 {
		g.Go(func() {
			j := holder.Journal
			if i%2 == 1 {
				j = other
			}
			_, err := j.BeginRemoval(Removal{account, fmt.Sprint("00o", i), "", start()}, start().Add(-24*time.Hour), 7)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				begun++
			} else if !errors.As(err, new(*LimitError)) {
				t.Error(err)
			}
		})
	}
	g.Wait()
	if n := len(took(t, other, start())); begun != 7 || n != 7 {
		t.Errorf("%d have begun, and %d are kept", begun, n)
	}
}

// A removal of which nothing can be read counts as one, and is an alarm.
func TestUnreadableRemovals(t *testing.T) {
	w := openJournal(t, place(t), Options{})
	for i := range 4 {
		_, err := w.BeginRemoval(Removal{account, fmt.Sprint("00o", i), "", start()}, start().Add(-24*time.Hour), 4)
		must(t, err)
	}
	for _, s := range []string{
		`CREATE TABLE copy AS SELECT * FROM removals`,
		`DROP TABLE removals`,
		`ALTER TABLE copy RENAME TO removals`,
		`UPDATE removals SET org_id = NULL WHERE id < 3`,
		`UPDATE removals SET sent_at = '' WHERE id = 3`,
	} {
		_, err := w.db().Exec(s)
		must(t, err)
	}
	must(t, w.Journal.Close())
	if got := took(t, w.Journal, start().Add(time.Hour)); len(got) != 4 {
		t.Errorf("lost: %q", got)
	}
	if got := took(t, w.Journal, start().Add(48*time.Hour)); len(got) != 3 {
		t.Errorf("lost two days later: %q", got)
	}
	if rows, err := w.Unreadable(account); err != nil || len(rows) != 3 {
		t.Errorf("unreadable: %v, %v", rows, err)
	}
}

// An org that can't be read is reported by itself, and the others are known.
func TestUnreadableOrg(t *testing.T) {
	w := openJournal(t, place(t), Options{})
	must(t, w.KnowOrgs(account, Org{"00o1", "a.okta.com", false}, Org{"00o2", "b.okta.com", true}))
	tamper(t, w.Journal, `UPDATE orgs SET aerial = 7 WHERE org_id = '00o2'`)
	all, err := w.Orgs(account)
	wantRow(t, err, "orgs", "aerial", `org_id "00o2"`)
	if len(all) != 1 || all[0].ID != "00o1" {
		t.Errorf("%+v", all)
	}
	if rows, err := w.Unreadable(account); err != nil || len(rows) != 1 {
		t.Errorf("unreadable: %v, %v", rows, err)
	}
}

func TestOrgs(t *testing.T) {
	j := New(locate(place(t)), Options{})
	defer j.Close()
	wantError(t, j.KnowOrgs(account, Org{"00o1", "a.okta.com", false}, Org{Domain: "b.okta.com"}), "account and id", "")
	must(t, j.KnowOrgs(account, Org{"00o2", "B.okta.com", false}, Org{"00o1", "a.okta.com", true}))
	must(t, j.KnowOrgs(account, Org{"00o1", "renamed.okta.com", false}, Org{"00o1", "a.okta.com", false}, Org{"00o3", "", true}))
	all, err := j.Orgs(account)
	must(t, err)
	want := []Org{{"00o1", "a.okta.com", true}, {"00o1", "renamed.okta.com", false}, {"00o2", "b.okta.com", false}, {"00o3", "", true}}
	if d := cmp.Diff(want, all); d != "" {
		t.Error(d)
	}
	if all, err := j.Orgs("other"); len(all) > 0 || err != nil {
		t.Errorf("of another account: %v, %v", all, err)
	}
}
