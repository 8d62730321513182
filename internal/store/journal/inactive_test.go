package journal

import (
	"testing"
	"time"

	"reconciler/internal/store/postgres/postgrestest"

	"github.com/google/go-cmp/cmp"
)

func rule(orgID string) Inactive {
	return Inactive{Account: account, OrgID: orgID, Kind: "groupRules", ID: "0pr1", Since: start()}
}

// An object is remembered until its change has ended, also by another process, and one
// that a later change has begun with isn't ended by who read it before.
func TestInactive(t *testing.T) {
	dir := place(t)
	j := New(locate(dir), Options{})
	must(t, j.BeginInactive(rule("00o2"))) // without a journal so far
	must(t, j.BeginInactive(rule("00o1")))
	must(t, j.BeginInactive(Inactive{"other", "00o1", "groupRules", "0pr1", start()}))
	must(t, j.Close())

	j = New(locate(dir), Options{})
	defer j.Close()
	want := func(want ...Inactive) {
		t.Helper()
		all, err := j.Inactive(account)
		if d := cmp.Diff(want, all); d != "" || err != nil {
			t.Error(d, err)
		}
	}
	want(rule("00o1"), rule("00o2"))
	again := rule("00o1")
	again.Since = start().Add(time.Minute)
	must(t, j.BeginInactive(again))
	must(t, j.EndInactive(rule("00o1")))
	want(again, rule("00o2"))
	must(t, j.EndInactive(again))
	bare := rule("00o2")
	bare.Since = time.Time{}
	must(t, j.EndInactive(bare))
	must(t, j.EndInactive(bare))
	want()
	if err := j.BeginInactive(bare); err == nil {
		t.Error("noted without a time")
	}
}

// A row that can't be read is reported by itself, and the others work.
func TestUnreadableInactive(t *testing.T) {
	for _, since := range []string{"", "noon", "9999-12-31T00:00:00.000000000Z"} {
		w := openJournal(t, place(t), Options{})
		for _, id := range []string{"00o1", "00o2", "00o3"} {
			must(t, w.BeginInactive(rule(id)))
		}
		tamper(t, w.Journal, `UPDATE inactive SET since = ? WHERE org_id = '00o2'`, since)
		all, err := w.Inactive(account)
		wantRow(t, err, "inactive", "since", "00o2")
		if len(all) != 2 {
			t.Errorf("%d rows", len(all))
		}
		if rows, err := w.Unreadable(account); err != nil || len(rows) != 1 {
			t.Errorf("unreadable: %v, %v", rows, err)
		}
		must(t, w.EndInactive(rule("00o3")))
	}
}

// A journal of the second schema gets the table, and keeps what it has.
func TestMigrateToInactive(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := t.TempDir()
	j := New(locate(dir), Options{})
	j.home.(*folder).steps = schema()[:2]
	w, err := j.Lock()
	must(t, err)
	beginAccess(t, w, "00o1")
	must(t, w.Close())
	w = openJournal(t, dir, Options{})
	if a, err := w.Access(account, "00o1"); err != nil || a == nil {
		t.Error(a, err)
	}
	must(t, w.BeginInactive(rule("00o1")))
}
