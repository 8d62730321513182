package daemon

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reconciler/internal/okta/simulator"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
)

const made = "acme-made.okta.com"

// withJournal is a world in apply mode with a journal and a place for tokens.
func withJournal(t *testing.T, seed *simulator.Seed) (w *world, stateDir, tokenDir string) {
	t.Helper()
	dir := t.TempDir()
	stateDir, tokenDir = filepath.Join(dir, "state"), filepath.Join(dir, "tokens")
	w = newWorld(t, worldOptions{mode: "apply", seed: seed, extra: fmt.Sprintf("tokens: {dir: %s}\nstate: {dir: %s}\n", tokenDir, stateDir)})
	return w, stateDir, tokenDir
}

// creating declares one org more.
const creating = inSync + `  - domain: acme-made.okta.com
    cell: ok1
    products: [sso]
    create: {parent: acme, name: Made, website: "https://acme.example", admin: {firstName: Ada, lastName: Admin, email: ada@acme.example, login: ada@acme.example}}
`

func TestCreatesAnOrg(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, _, tokenDir := withJournal(t, nil)
		w.commit(creating)
		s := w.expect(ResultApplied)
		org, _ := w.sim.Org(made)
		data, err := os.ReadFile(filepath.Join(tokenDir, made+"_"+org.ID+".token"))
		if err != nil || !org.Managed || string(data) != org.Tokens[0]+"\n" || len(s.Alarms) != 0 {
			t.Errorf("%+v, %v, %+v", org, err, s.Alarms)
		}
		w.expect(ResultInSync)
		w.expectMetrics(map[string]string{"reconciler_alarms": "0"})
	})
}

// A token that was lost is told after each run until somebody acknowledges it.
func TestLostTokenIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, stateDir, _ := withJournal(t, nil)
		w.fault("POST /api/v1/orgs cut after times=1 api=org")
		w.commit(creating)
		w.expect(ResultPartial)
		w.expect(ResultApplied)
		for range 2 {
			s := w.expect(ResultInSync)
			if len(s.Alarms) != 1 || s.Alarms[0].Org != made || !strings.Contains(s.Alarms[0].Message, "is lost: the answer to the call that created the org was lost") {
				t.Errorf("%+v", s.Alarms)
			}
		}
		w.expectMetrics(map[string]string{"reconciler_alarms": "1"})
		other := journal.New(location.Folder(stateDir), journal.Options{})
		defer other.Close()
		if err := other.Acknowledge(journal.Key{Account: simulator.DefaultAccount, Domain: made}, "ada"); err != nil {
			t.Fatal(err)
		}
		if s := w.expect(ResultInSync); len(s.Alarms) != 0 {
			t.Errorf("%+v", s.Alarms)
		}
	})
}

// The process may have ended after the org was linked and before the journal
// knew. Then no plan creates it any more, and the token is lost all the same.
func TestJournalCatchesUpWithoutACreation(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, _, _ := withJournal(t, nil)
		w.fault("POST /api/v1/orgs cut after times=1 api=org")
		w.commit(creating)
		w.expect(ResultPartial)
		time.Sleep(time.Minute)
		if err := w.sim.LinkOrg(made, "reconciler"); err != nil {
			t.Fatal(err)
		}
		w.expect(ResultApplied) // products
		if s := w.expect(ResultInSync); len(s.Alarms) != 1 || s.Alarms[0].Org != made {
			t.Errorf("%+v", s.Alarms)
		}
	})
}

// A journal that can't be read is set aside, also by a run that has nothing to do.
func TestDamagedJournal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, stateDir, _ := withJournal(t, nil)
		w.commit(creating)
		w.expect(ResultApplied)
		if err := os.WriteFile(filepath.Join(stateDir, "journal.db"), []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
			t.Fatal(err)
		}
		s := w.expect(ResultInSync)
		if len(s.Alarms) != 1 || s.Alarms[0].Org != "" || !strings.Contains(s.Alarms[0].Message, "journal.db.corrupt-") {
			t.Errorf("%+v", s.Alarms)
		}
	})
}

// Two processes never create orgs at the same time.
func TestHeldJournal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, stateDir, _ := withJournal(t, nil)
		w.commit(creating)
		other, err := journal.New(location.Folder(stateDir), journal.Options{}).Lock()
		if err != nil {
			t.Fatal(err)
		}
		rec, _ := w.run()
		if rec.Result != ResultError || rec.Problem == nil || !strings.Contains(rec.Problem.Error, "is held by process") || len(w.writes()) != 0 {
			t.Errorf("%+v", rec)
		}
		other.Close()
		w.expect(ResultApplied)
	})
}

// Okta is asked once for the deletion of an org, and again only after somebody
// has taken the request back by making the org active.
func TestDeletionIsAskedForOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		seed := testSeed()
		seed.Account.DeletionAllowed = true
		w, _, _ := withJournal(t, seed)
		w.commit(manifest(t, "labs.okta.com, cell: ok1, status: ACTIVE", "labs.okta.com, cell: ok1, status: INACTIVE, requestDeletion: true"))
		asked := func() int {
			n := 0
			for _, line := range w.writes() {
				if strings.HasSuffix(line, "/deletionRequest") {
					n++
				}
			}
			return n
		}
		w.expect(ResultApplied)
		w.expect(ResultInSync)
		if n := asked(); n != 1 {
			t.Errorf("asked %d times", n)
		}
		if err := w.sim.SetOrgStatus(labs, "ACTIVE", "mallory"); err != nil {
			t.Fatal(err)
		}
		w.expect(ResultApplied)
		w.expect(ResultInSync)
		if n := asked(); n != 2 {
			t.Errorf("asked %d times", n)
		}
	})
}

// A row of the journal that somebody broke is an alarm by itself. Other lost tokens
// are still alarms, other orgs are still created, and the broken one is not created
// again.
func TestUnreadableRowOfTheJournal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, stateDir, _ := withJournal(t, nil)
		w.commit(creating)
		w.fault("POST /api/v1/orgs cut after times=1 api=org")
		w.expect(ResultPartial)
		w.expect(ResultApplied)
		other := strings.ReplaceAll(strings.TrimPrefix(creating, inSync), "acme-made", "acme-other")
		w.commit(creating + other)
		w.fault("POST /api/v1/orgs cut after times=1 api=org")
		w.expect(ResultPartial)
		breakJournal(t, stateDir, `UPDATE creations SET begun_at = '2026-11-30Tn5:41:15Z' WHERE domain = 'acme-other.okta.com'`)

		third := strings.ReplaceAll(other, "acme-other", "acme-third")
		w.commit(creating + other + third)
		s := w.expect(ResultPartial)
		if org, ok := w.sim.Org("acme-third.okta.com"); !ok || !org.Managed {
			t.Errorf("the third org: %+v", org)
		}
		var alarms []string
		for _, a := range s.Alarms {
			alarms = append(alarms, a.Org)
			if a.Org == "acme-other.okta.com" && !strings.Contains(a.Message, "table creations") {
				t.Errorf("%+v", a)
			}
		}
		expectLines(t, "alarms", alarms, "acme-other.okta.com", made)
		breakJournal(t, stateDir, `UPDATE creations SET begun_at = changed_at WHERE domain = 'acme-other.okta.com'`)
		w.expect(ResultApplied)
	})
}

// breakJournal writes to the journal as a person with sqlite3 would.
func breakJournal(t *testing.T, dir, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "journal.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
}
