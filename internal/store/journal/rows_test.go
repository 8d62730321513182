package journal

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"reconciler/internal/freeze"
	"reconciler/internal/store/postgres/postgrestest"
)

// unchecked takes all checks from the tables of a PostgreSQL database.
const unchecked = `DO $$
DECLARE c record;
BEGIN
	FOR c IN SELECT conname, conrelid::regclass AS tab FROM pg_constraint WHERE contype = 'c' AND connamespace = current_schema()::regnamespace LOOP
		EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.tab, c.conname);
	END LOOP;
END $$`

// tamper writes to the journal as a person with sqlite3 or psql might, past all checks.
func tamper(t *testing.T, j *Journal, statement string, args ...any) {
	t.Helper()
	past := "PRAGMA ignore_check_constraints = 1"
	if j.at.Postgres() != nil {
		past = unchecked
	}
	for _, s := range []string{past, statement} {
		var a []any
		if s == statement {
			a = args
		}
		if _, err := j.db().Exec(s, a...); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	must(t, j.Close()) // so that the file is checked again
}

// wantRow checks that an error is about one row.
func wantRow(t *testing.T, err error, table, column, key string) {
	t.Helper()
	var rows *RowsError
	if !errors.As(err, &rows) || len(rows.Rows) != 1 {
		t.Fatalf("%s.%s: %v", table, column, err)
	}
	if r := rows.Rows[0]; r.Table != table || r.Column != column || !strings.Contains(r.Error(), key) {
		t.Errorf("%+v, not %s.%s of %s", r, table, column, key)
	}
	wantError(t, err, fmt.Sprintf("table %s, row with ", table), "docs/recovery.md")
}

// A creation that can't be read is reported by itself, the others work, and it can
// be forgotten.
func TestUnreadableCreation(t *testing.T) {
	for _, bad := range []struct{ column, set string }{
		{"begun_at", `begun_at = '2026-11-30Tn5:41:15Z'`},
		{"begun_at", `begun_at = '2026-11-30T15:41:15Z'`}, // a time, but not of our form
		{"begun_at", `begun_at = ''`},
		{"changed_at", `changed_at = '9999-12-31T00:00:00.000000000Z'`},
		{"changed_at", `changed_at = '0001-01-01T00:00:00.000000000Z'`},
		{"created_at", `created_at = '0'`},
		{"step", `step = 'halfway'`},
		{"step", `step = 'done', org_id = ''`},
		{"token", `token = 'misplaced'`},
		{"lost_since", `token = 'stored'`},
		{"lost_since", `lost_since = ''`},
	} {
		t.Run(bad.set, func(t *testing.T) {
			w := openJournal(t, place(t), Options{})
			for i := range 15 {
				c := acme()
				c.Domain = fmt.Sprintf("acme-%02d.okta.com", i)
				reach(t, w, c, Created)
				must(t, w.MarkTokenLost(c.Key, "r"))
			}
			key := Key{account, "acme-07.okta.com"}
			tamper(t, w.Journal, `UPDATE creations SET `+bad.set+` WHERE domain = ?`, key.Domain)

			all, err := w.Creations(account)
			wantRow(t, err, "creations", bad.column, key.Domain)
			alarms := 0
			for i := range all {
				if all[i].Alarm() {
					alarms++
				}
			}
			if alarms != 14 {
				t.Errorf("%d alarms", alarms)
			}
			_, err = w.Creation(key)
			wantRow(t, err, "creations", bad.column, key.Domain)
			if err := w.Begin(Creation{Key: key, Parent: "acme"}); err == nil {
				t.Error("an unreadable creation begins again")
			}
			rows, err := w.Unreadable(account)
			if err != nil || len(rows) != 1 {
				t.Errorf("unreadable: %v, %v", rows, err)
			}

			other := acme()
			reach(t, w, other, Done)
			must(t, w.Acknowledge(Key{account, "acme-03.okta.com"}, "ada"))
			must(t, w.Forget(key, "ada"))
			if _, err := w.Creations(account); err != nil {
				t.Error(err)
			}
		})
	}
}

// The same in the other tables.
func TestUnreadableRows(t *testing.T) {
	w := openJournal(t, place(t), Options{})
	for _, id := range []string{"00o1", "00o2", "00o3"} {
		domain := "org-" + id + ".okta.com"
		must(t, w.BeginDeletion(account, id, domain))
		must(t, w.EndDeletion(account, id, ""))
		must(t, w.Announce(Announcement{Account: account, OrgID: id, Domain: domain, Action: "set-status", At: start()}))
		must(t, w.Accept(Acceptance{Source: "source " + id, Commit: "c", At: start()}, "", false))
	}
	for _, s := range []string{
		`UPDATE deletions SET state = 'perhaps' WHERE org_id = '00o2'`,
		`UPDATE announcements SET announced_at = '1971-01-01T00:00:00.000000000Z' WHERE org_id = '00o2'`,
		`UPDATE acceptances SET accepted_at = 'noon' WHERE source = 'source 00o2'`,
	} {
		must(t, w.Check())
		tamper(t, w.Journal, s)
	}
	deletions, err := w.Deletions(account)
	wantRow(t, err, "deletions", "state", `org_id "00o2"`)
	announced, err := w.Announcements(account)
	wantRow(t, err, "announcements", "announced_at", `action "set-status"`)
	if len(deletions) != 2 || len(announced) != 2 {
		t.Errorf("%d deletions, %d announcements", len(deletions), len(announced))
	}
	_, _, err = w.Accepted("source 00o2")
	wantRow(t, err, "acceptances", "accepted_at", `source "source 00o2"`)
	if a, known, err := w.Accepted("source 00o1"); err != nil || !known || a.Commit != "c" {
		t.Errorf("%+v, %v, %v", a, known, err)
	}
	if rows, err := w.Unreadable(account); err != nil || len(rows) != 3 {
		t.Errorf("unreadable: %v, %v", rows, err)
	}
}

// Nothing is where there should be something: a schema that another program has
// changed.
func TestNullWhereNoneIsAllowed(t *testing.T) {
	postgrestest.OnlyFolder(t)
	w := openJournal(t, t.TempDir(), Options{})
	reach(t, w, acme(), Done)
	must(t, w.BeginDeletion(account, "00o1", "a.okta.com"))
	must(t, w.BeginDeletion(account, "00o2", "b.okta.com"))
	for _, s := range []string{
		`CREATE TABLE copy (account, org_id, domain, state, changed_at, last_error)`,
		`INSERT INTO copy SELECT * FROM deletions`,
		`DROP TABLE deletions`,
		`ALTER TABLE copy RENAME TO deletions`,
		`UPDATE deletions SET changed_at = NULL WHERE org_id = '00o1'`,
		`UPDATE deletions SET changed_at = 5, last_error = x'00ff' WHERE org_id = '00o2'`,
	} {
		_, err := w.db().Exec(s)
		must(t, err)
	}
	must(t, w.Journal.Close())
	all, err := w.Deletions(account)
	var rows *RowsError
	if !errors.As(err, &rows) || len(rows.Rows) != 2 || len(all) != 0 {
		t.Fatalf("%v, %v", all, err)
	}
}

// A suspension that can't be read holds everything, and can be lifted.
func TestUnreadableSuspension(t *testing.T) {
	w := openJournal(t, place(t), Options{})
	s := suspend(t, w.Journal, suspension())
	for _, statement := range []string{
		`CREATE TABLE copy AS SELECT * FROM suspensions`,
		`DROP TABLE suspensions`,
		`ALTER TABLE copy RENAME TO suspensions`,
		`UPDATE suspensions SET reason = NULL`,
	} {
		_, err := w.db().Exec(statement)
		must(t, err)
	}
	must(t, w.Journal.Close())
	_, err := w.Suspensions()
	wantError(t, err, fmt.Sprintf("the suspension %q can't be understood: reason", s.ID), "reconciler resume "+s.ID)
	removed, err := w.Resume(func(one freeze.Suspension) bool { return one.ID == s.ID })
	if err != nil || len(removed) != 1 {
		t.Errorf("%v, %v", removed, err)
	}
}

// An attempt whose time can't be read counts as sent now, so that the limit holds.
func TestUnreadableAttempt(t *testing.T) {
	for _, value := range []string{"2026-11-2", "", "noon", "2026-02-31T00:00:00.000000000Z", "1026-01-01T00:00:00.000000000Z"} {
		t.Run(value, func(t *testing.T) { testUnreadableAttempt(t, place(t), value) })
	}
}

func testUnreadableAttempt(t *testing.T, place, value string) {
	now := newClock()
	w := openJournal(t, place, Options{Now: now.now})
	reach(t, w, acme(), Done)
	tamper(t, w.Journal, `UPDATE attempts SET sent_at = ?`, value)
	if value != "" {
		_, err := w.Creations(account)
		wantRow(t, err, "creations", "attempts.sent_at", acmeKey().Domain)
	}
	second := acme()
	second.Domain = "acme-second.okta.com"
	must(t, w.Begin(second))
	wait, err := w.Send(second.Key, Rate{1, time.Minute})
	if err != nil || wait != time.Minute {
		t.Errorf("wait %v, %v", wait, err)
	}
	now.add(time.Minute)
	if wait, err = w.Send(second.Key, Rate{1, time.Minute}); err != nil || wait != 0 {
		t.Errorf("wait %v, %v", wait, err)
	}
}
