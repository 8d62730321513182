package reconcile

import (
	"database/sql"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"reconciler/internal/config"
	"reconciler/internal/freeze"
	"reconciler/internal/state"
	"reconciler/internal/store/journal"
)

// Rows of the journal that can't be read stop no plan: the org of one is not
// deactivated, a removal counts, and each is an alarm.
func TestUnreadableRowsStopNothing(t *testing.T) {
	const account = "00aerial"
	dir := t.TempDir()
	j := journal.New(dir, journal.Options{})
	t.Cleanup(func() { j.Close() })
	if err := j.KnowOrgs(account, journal.Org{ID: "00o1", Domain: "a.okta.com"}, journal.Org{ID: "00o2", Domain: "b.okta.com", Aerial: true}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"00o1", "00o2"} {
		if _, err := j.BeginRemoval(journal.Removal{Account: account, OrgID: id, At: time.Now()}, time.Now().Add(-day), 2); err != nil {
			t.Fatal(err)
		}
	}
	tamper(t, dir, `UPDATE orgs SET aerial = 7 WHERE org_id = '00o2'`, `UPDATE removals SET sent_at = 'noon' WHERE org_id = '00o2'`)

	cfg := &config.Config{State: config.State{Dir: dir}}
	cfg.Aerial.AccountID = account
	r := &Reconciler{cfg: cfg, journal: j, log: slog.New(slog.DiscardHandler)}
	r.rules = func() *freeze.Rules { return Holds(cfg, j) }
	r.removals.r = r
	opts, err := r.options(&Desired{State: &state.Desired{}})
	if err != nil {
		t.Fatal(err)
	}
	if g := opts.Guards; len(g.Known) != 1 || !g.Unreadable["00o2"] || len(g.Day.Lost) != 2 {
		t.Errorf("%+v, %+v", g, g.Day)
	}
	alarms, err := r.Alarms()
	if err != nil || len(alarms) != 2 {
		t.Errorf("alarms: %v, %v", alarms, err)
	}
	if domains, err := Domains(cfg, j); err != nil || len(domains) != 1 {
		t.Errorf("domains: %v, %v", domains, err)
	}
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
