package journal

import (
	"strings"
	"testing"
	"time"

	"reconciler/internal/store/postgres/postgrestest"
)

func beginAccess(t *testing.T, w *Writer, orgID string) {
	t.Helper()
	must(t, w.BeginAccess(Access{Account: account, OrgID: orgID, Domain: "Org-" + orgID + ".okta.com", Role: "ORG_ADMIN"}))
}

func TestAccess(t *testing.T) {
	clock := newClock()
	w := openJournal(t, place(t), Options{Now: clock.now})
	at := func(want Access) {
		t.Helper()
		want.Account, want.OrgID, want.Domain, want.Role = account, "00o1", "org-00o1.okta.com", "ORG_ADMIN"
		want.Begun = start()
		got, err := w.Access(account, "00o1")
		if err != nil || got == nil {
			t.Fatal(got, err)
		}
		got.Changed = time.Time{}
		if *got != want || got.Open() != (want.Step != AccessDone) {
			t.Errorf("%+v\nwant %+v", *got, want)
		}
	}
	if got, err := w.Access(account, "00o1"); got != nil || err != nil {
		t.Error(got, err)
	}
	if err := w.SendAccess(account, "00o1"); err == nil || !strings.Contains(err.Error(), "was not begun") {
		t.Error(err)
	}
	beginAccess(t, w, "00o1")
	at(Access{Step: AccessBegun})
	if err := w.MarkAccessRefused(account, "00o1"); err == nil {
		t.Error("refused before it was sent")
	}
	clock.add(time.Minute)
	sent := clock.now()
	must(t, w.SendAccess(account, "00o1"))
	at(Access{Step: AccessSent, SentAt: sent})
	must(t, w.NoteAccess(account, "00o1", "a\nb"))
	at(Access{Step: AccessSent, SentAt: sent, LastError: "a b"})
	must(t, w.MarkAccessRefused(account, "00o1"))
	must(t, w.SendAccess(account, "00o1"))
	must(t, w.MarkAccess(account, "00o1", AccessMade, "0oa1", "c1"))
	must(t, w.MarkAccess(account, "00o1", AccessAssigned, "0oa1", "c1"))
	must(t, w.MarkAccess(account, "00o1", AccessGranted, "0oa1", "c1")) // an earlier step, once more
	at(Access{Step: AccessAssigned, AppID: "0oa1", ClientID: "c1", SentAt: sent})
	must(t, w.MarkAccess(account, "00o1", AccessDone, "0oa1", "c1"))
	beginAccess(t, w, "00o1") // once more
	at(Access{Step: AccessDone, AppID: "0oa1", ClientID: "c1", SentAt: sent})
	must(t, w.MarkAccess(account, "00o1", AccessMade, "0oa2", "c2")) // another app
	at(Access{Step: AccessMade, AppID: "0oa2", ClientID: "c2", SentAt: sent})
	if err := w.MarkAccess(account, "00o1", AccessDone, "", "c2"); err == nil {
		t.Error("an app without an id")
	}
	must(t, w.SendAccess(account, "00o1")) // it is gone
	at(Access{Step: AccessSent, SentAt: sent})
}

// A row that can't be read is reported by itself, and the others work.
func TestUnreadableAccess(t *testing.T) {
	for _, bad := range []struct{ column, set string }{
		{"step", `step = 'halfway'`},
		{"step", `step = 'done'`},
		{"client_id", `client_id = 'c'`},
		{"begun_at", `begun_at = ''`},
		{"begun_at", `begun_at = 'noon'`},
		{"changed_at", `changed_at = '9999-12-31T00:00:00.000000000Z'`},
		{"sent_at", `sent_at = '0'`},
	} {
		t.Run(bad.set, func(t *testing.T) {
			w := openJournal(t, place(t), Options{})
			for _, id := range []string{"00o1", "00o2", "00o3"} {
				beginAccess(t, w, id)
			}
			tamper(t, w.Journal, `UPDATE access SET `+bad.set+` WHERE org_id = '00o2'`)
			all, err := w.Accesses(account)
			wantRow(t, err, "access", bad.column, "00o2")
			if len(all) != 2 {
				t.Errorf("%d rows", len(all))
			}
			_, err = w.Access(account, "00o2")
			wantRow(t, err, "access", bad.column, "00o2")
			if err := w.SendAccess(account, "00o2"); err == nil {
				t.Error("a row that can't be read was written")
			}
			rows, err := w.Unreadable(account)
			if err != nil || len(rows) != 1 {
				t.Errorf("unreadable: %v, %v", rows, err)
			}
			must(t, w.SendAccess(account, "00o3"))
		})
	}
}

// A journal of the first schema gets the table, and keeps what it has.
func TestMigrateToAccess(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := t.TempDir()
	j := New(locate(dir), Options{})
	j.home.(*folder).steps = schema()[:1]
	w, err := j.Lock()
	must(t, err)
	reach(t, w, acme(), Created)
	must(t, w.Close())
	w = openJournal(t, dir, Options{})
	if c, err := w.Creation(acme().Key); err != nil || c == nil || c.Step != Created {
		t.Error(c, err)
	}
	beginAccess(t, w, "00o1")
}
