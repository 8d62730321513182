package journal

import (
	"testing"
	"time"

	"reconciler/internal/store/postgres/postgrestest"
)

// written is a write of a feature.
func written(orgID, feature, value string, at time.Time) FieldWrite {
	return FieldWrite{
		Account: account, OrgID: orgID, Domain: "Org-" + orgID + ".okta.com", Kind: "features", Object: feature, Field: "status", Value: value, Last: at,
	}
}

// Writes of one value count, until another one is written or the last is too old.
func TestFieldWrites(t *testing.T) {
	const week = 7 * 24 * time.Hour
	j := New(locate(place(t)), Options{})
	t.Cleanup(func() { must(t, j.Close()) })
	if all, err := j.FieldWrites(account); err != nil || len(all) > 0 {
		t.Error(all, err)
	}
	now := start()
	write := func(orgID, feature, value string, after time.Duration) {
		t.Helper()
		now = now.Add(after)
		must(t, j.AddFieldWrite(written(orgID, feature, value, now), now.Add(-week)))
	}
	times := func(want ...int) {
		t.Helper()
		all, err := j.FieldWrites(account)
		must(t, err)
		var got []int
		for _, w := range all {
			got = append(got, w.Times)
		}
		if len(got) != len(want) {
			t.Fatalf("%v, want %v", got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("%v, want %v", got, want)
			}
		}
	}
	write("00o1", "A", `"ENABLED"`, 0)
	times(1)
	write("00o1", "A", `"ENABLED"`, time.Hour)
	write("00o1", "B", `"ENABLED"`, 0)
	write("00o2", "A", `"ENABLED"`, 0)
	times(2, 1, 1)
	all, err := j.FieldWrites(account)
	must(t, err)
	if want := written("00o1", "A", `"ENABLED"`, now); all[0].Domain != "org-00o1.okta.com" || !all[0].Last.Equal(want.Last) || all[0].Value != want.Value {
		t.Errorf("%+v", all[0])
	}
	write("00o1", "A", `"DISABLED"`, time.Hour)
	times(1, 1, 1)
	write("00o1", "A", `"DISABLED"`, week)
	times(2) // the others are older than a week
}

func TestFieldWriteIncomplete(t *testing.T) {
	j := New(locate(place(t)), Options{})
	for _, spoil := range []func(*FieldWrite){
		func(w *FieldWrite) { w.Account = "" }, func(w *FieldWrite) { w.OrgID = "" }, func(w *FieldWrite) { w.Kind = "" },
		func(w *FieldWrite) { w.Object = "" }, func(w *FieldWrite) { w.Field = "" }, func(w *FieldWrite) { w.Last = time.Time{} },
	} {
		w := written("00o1", "A", "1", start())
		spoil(&w)
		if err := j.AddFieldWrite(w, start()); err == nil {
			t.Errorf("%+v was taken", w)
		}
	}
}

// A row that can't be read is reported by itself, the others work, and the next write
// sets it right.
func TestUnreadableFieldWrite(t *testing.T) {
	for _, bad := range []struct{ column, set string }{
		{"times", `times = 0`},
		{"written_at", `written_at = 'noon'`},
		{"written_at", `written_at = '9999-12-31T00:00:00.000000000Z'`},
	} {
		t.Run(bad.set, func(t *testing.T) {
			w := openJournal(t, place(t), Options{})
			for _, id := range []string{"00o1", "00o2", "00o3"} {
				must(t, w.AddFieldWrite(written(id, "A", "1", start()), start()))
			}
			tamper(t, w.Journal, `UPDATE field_writes SET `+bad.set+` WHERE org_id = '00o2'`)
			all, err := w.FieldWrites(account)
			wantRow(t, err, "field_writes", bad.column, "00o2")
			if len(all) != 2 {
				t.Errorf("%d rows", len(all))
			}
			rows, err := w.Unreadable(account)
			if err != nil || len(rows) != 1 || rows[0].Keys["object"] != "A" {
				t.Errorf("unreadable: %v, %v", rows, err)
			}
			must(t, w.AddFieldWrite(written("00o2", "A", "1", start()), start()))
			if all, err := w.FieldWrites(account); err != nil || len(all) != 3 {
				t.Error(all, err)
			}
		})
	}
}

// A journal of the schema before gets the table, and keeps what it has.
func TestMigrateToFieldWrites(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := t.TempDir()
	j := New(locate(dir), Options{})
	j.home.(*folder).steps = schema()[:3]
	w, err := j.Lock()
	must(t, err)
	beginAccess(t, w, "00o1")
	must(t, w.Close())
	w = openJournal(t, dir, Options{})
	if a, err := w.Access(account, "00o1"); err != nil || a == nil {
		t.Error(a, err)
	}
	must(t, w.AddFieldWrite(written("00o1", "A", "1", start()), start()))
	if all, err := w.FieldWrites(account); err != nil || len(all) != 1 {
		t.Error(all, err)
	}
}
