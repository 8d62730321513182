package reconcile

import (
	"database/sql"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"reconciler/internal/config"
	"reconciler/internal/diff"
	"reconciler/internal/freeze"
	"reconciler/internal/okta/objects"
	"reconciler/internal/state"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
)

// Rows of the journal that can't be read stop no plan: the org of one is not
// deactivated, a removal counts, and each is an alarm.
func TestUnreadableRowsStopNothing(t *testing.T) {
	const account = "00aerial"
	dir := t.TempDir()
	j := journal.New(location.Folder(dir), journal.Options{})
	t.Cleanup(func() { j.Close() })
	if err := j.KnowOrgs(account, journal.Org{ID: "00o1", Domain: "a.okta.com"}, journal.Org{ID: "00o2", Domain: "b.okta.com", Aerial: true}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"00o1", "00o2"} {
		if _, err := j.BeginRemoval(journal.Removal{Account: account, OrgID: id, At: time.Now()}, time.Now().Add(-day), 2); err != nil {
			t.Fatal(err)
		}
		w := journal.FieldWrite{Account: account, OrgID: id, Kind: "features", Object: "A", Field: "status", Value: `"ENABLED"`, Last: time.Now()}
		for range contestedWrites {
			if err := j.AddFieldWrite(w, w.Last.Add(-day)); err != nil {
				t.Fatal(err)
			}
		}
	}
	tamper(t, dir, `UPDATE field_writes SET written_at = 'noon' WHERE org_id = '00o2'`, `UPDATE orgs SET aerial = 7 WHERE org_id = '00o2'`, `UPDATE removals SET sent_at = 'noon' WHERE org_id = '00o2'`)

	cfg := &config.Config{State: config.State{Dir: dir}}
	cfg.Aerial.AccountID = account
	r := &Reconciler{cfg: cfg, journal: j, log: slog.New(slog.DiscardHandler), contested: newContested(j, cfg)}
	r.rules = func() *freeze.Rules { return Holds(cfg, j) }
	r.removals.r = r
	opts, err := r.options(&Desired{State: &state.Desired{}})
	if err != nil {
		t.Fatal(err)
	}
	if g := opts.Guards; len(g.Known) != 1 || !g.Unreadable["00o2"] || len(g.Day.Lost) != 2 {
		t.Errorf("%+v, %+v", g, g.Day)
	}
	for id, contested := range map[string]bool{"00o1": true, "00o2": false} {
		c := &diff.Change{OrgID: id, Kind: "features", Object: "A", Fields: []diff.Field{{FieldChange: objects.FieldChange{Path: "status", After: "ENABLED"}}}}
		if why := opts.Contested(c); (why != "") != contested {
			t.Errorf("%s: %q", id, why)
		}
	}
	alarms, err := r.Alarms()
	if err != nil || len(alarms) != 3 {
		t.Errorf("alarms: %v, %v", alarms, err)
	}
	if domains, err := Domains(cfg, j); err != nil || len(domains) != 1 {
		t.Errorf("domains: %v, %v", domains, err)
	}
}

// A journal that takes nothing is logged once, and again after it took something.
func TestJournalThatKeepsNothingIsLoggedOnce(t *testing.T) {
	dir := t.TempDir()
	var log strings.Builder
	cfg := &config.Config{State: config.State{Dir: dir}}
	cfg.Aerial.AccountID = "00aerial"
	r := &Reconciler{cfg: cfg, journal: journal.New(location.Folder(dir), journal.Options{}), log: slog.New(slog.NewTextHandler(&log, nil))}
	t.Cleanup(func() { r.journal.Close() })
	learn := func(id string) {
		r.learn(&state.Actual{Orgs: []state.Org{{ID: id, Domain: id + ".okta.com"}}})
		r.saveKnown()
	}
	expect := func(n int) {
		t.Helper()
		if got := strings.Count(log.String(), "could not keep"); got != n {
			t.Errorf("logged %d times, want %d:\n%s", got, n, &log)
		}
	}
	learn("00o1")
	tamper(t, dir, `ALTER TABLE orgs RENAME TO gone`)
	learn("00o2")
	learn("00o3")
	expect(1)
	tamper(t, dir, `ALTER TABLE gone RENAME TO orgs`)
	learn("00o4")
	expect(1)
	tamper(t, dir, `ALTER TABLE orgs RENAME TO gone`)
	learn("00o5")
	expect(2)
}

// tamper writes to the journal as a person with sqlite3 might, past all checks.
func tamper(t *testing.T, dir string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "journal.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}
