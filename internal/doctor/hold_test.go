package doctor_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"reconciler/internal/doctor"
	"reconciler/internal/freeze"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
)

// add adds to the config.
func (w *world) add(text string) {
	w.t.Helper()
	w.write("reconciler.yaml", w.read("reconciler.yaml")+text)
}

// suspend adds a suspension to the journal.
func (w *world) suspend(s freeze.Suspension) {
	w.t.Helper()
	j := journal.New(location.Folder(w.path("state")), journal.Options{})
	defer j.Close()
	if _, err := j.Suspend(s); err != nil {
		w.t.Fatal(err)
	}
}

// unreadableSuspension adds one that can't be read to the journal.
func unreadableSuspension(w *world) {
	w.suspend(freeze.Suspension{Reason: "audit", Owner: "bob"})
	db, err := sql.Open("sqlite", w.path("state/journal.db"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`UPDATE suspensions SET orgs = '{'`); err != nil {
		w.t.Fatal(err)
	}
}

// TestWrites tells what is held by windows and suspensions.
func TestWrites(t *testing.T) {
	now := time.Now().UTC()
	later := now.Add(3 * time.Hour).Truncate(time.Second).Format(time.RFC3339)
	open := fmt.Sprintf("%q, duration: 2h", now.Add(-time.Hour).Format("4 15 * * *"))
	shut := fmt.Sprintf("%q, duration: 1h", now.Add(2*time.Hour).Format("4 15 * * *"))
	for _, tt := range []struct {
		name   string
		config string
		change func(*world)
		want   finding
	}{
		{"nothing", "", nil, ok("nothing is held: there are neither windows nor suspensions")},
		{"shut freeze window", "windows:\n  - {deny: " + shut + "}\n", nil, ok("nothing is held (1 window, 0 suspensions)")},
		{"freeze window", "windows:\n  - {deny: " + open + "}\n", nil, ok("everything is held: freeze window until ")},
		{"freeze window for one org", "windows:\n  - {deny: " + open + ", orgs: [acme-aerial.okta.com]}\n", nil, ok("1 of 4 orgs held: freeze window until ")},
		{"outside of an allowed window", "windows:\n  - {allow: " + shut + "}\n", nil, ok("everything is held: outside of the allowed windows: the next opens at ")},
		{"suspended by the config", "suspend:\n  - {reason: migration, owner: ada, until: " + later + "}\n", nil,
			warning(`everything is held: suspended by "ada" until `+later+`: migration (0 windows, 1 suspension)`, "reconciler suspend --list")},
		{"suspended at run time", "", func(w *world) {
			s := freeze.Suspension{Reason: "audit", Owner: "bob", Orgs: []string{"acme-*.okta.com"}, Since: now}
			w.suspend(s)
		}, warning(`suspended by "bob" (no end given): audit (0 windows, 1 suspension)`, "reconciler resume")},
		{"a window for nobody", "windows:\n  - {deny: " + shut + ", orgs: ['acme-*.okta.cmo']}\n", nil,
			warning("window 1 is about no declared org (acme-*.okta.cmo)", "correct the patterns")},
		{"a suspension for nobody", "suspend:\n  - {reason: migration, owner: ada, orgs: [\"*.okta.cmo\"]}\n", nil,
			warning(`nothing is held (0 windows, 1 suspension); the suspension by "ada" is about no declared org`, "correct the patterns")},
		{"unreadable", "", unreadableSuspension, failure("can't be understood", "everything is held until then")},
		{"unreadable, beside a window", "windows:\n  - {deny: " + open + ", orgs: [acme-aerial.okta.com]}\n", unreadableSuspension,
			failure("beside that, 1 of 4 orgs held: freeze window until ", "everything is held until then")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			w.add(tt.config)
			if tt.change != nil {
				tt.change(w)
			}
			check(t, w, expected{"writes": tt.want})
		})
	}
}

// TestDeactivations tells what is announced.
func TestDeactivations(t *testing.T) {
	at := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name    string
		cooloff string
		domains []string
		want    finding
	}{
		{"off", "0s", nil, ok("by the first run that wants them")},
		{"none", "24h", nil, ok("wait 24h0m0s, or for another commit that changes what is declared for the org; none is announced")},
		{"one", "24h", []string{"acme-b.okta.com"}, ok("announced: acme-b.okta.com (set-status, announced at 2026-11-20T09:00:00Z, made from 2026-11-21T09:00:00Z on)")},
		{"many", "1h", []string{"d.okta.com", "c.okta.com", "b.okta.com", "a.okta.com"}, ok("made from 2026-11-20T10:00:00Z on) and 1 more")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.setenv("RECONCILER_GUARDS_DEACTIVATION_COOLOFF", tt.cooloff)
			j, err := journal.New(location.Folder(w.path("state")), journal.Options{}).Lock()
			if err != nil {
				t.Fatal(err)
			}
			for i, domain := range tt.domains {
				err := j.Announce(journal.Announcement{Account: w.seed.Account.ID, OrgID: fmt.Sprintf("00o%d", i), Domain: domain, Action: "set-status", Commit: "c", At: at})
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			r := check(t, w, expected{"deactivations": tt.want})
			for _, c := range r.Checks {
				if c.Name == "deactivations" && len(c.Details) != len(tt.domains) {
					t.Errorf("details: %q", c.Details)
				}
			}
		})
	}
	t.Run("damaged journal", func(t *testing.T) {
		w := newWorld(t, nil)
		w.setenv("RECONCILER_GUARDS_DEACTIVATION_COOLOFF", "24h")
		w.write("state/journal.db", "this is no database, and was never one")
		check(t, w, expected{"state": failure("damaged", ""), "writes": failure("damaged", ""), "deactivations": skipped("needs state")})
	})
}

// TestJitter tells by how much runs are put off.
func TestJitter(t *testing.T) {
	w := newWorld(t, nil)
	w.setenv("RECONCILER_JITTER", "2m")
	check(t, w, expected{"schedule": ok("; each put off by up to 2m0s")})
}

// Of held orgs the JSON form has each reason, however many there are.
func TestWritesDetails(t *testing.T) {
	w := newWorld(t, nil)
	var b strings.Builder
	b.WriteString("suspend:\n")
	for _, domain := range []string{"acme-aerial.okta.com", "acme.okta.com"} {
		fmt.Fprintf(&b, "  - {reason: %q, owner: ada, orgs: [%s]}\n", "because of "+domain, domain)
	}
	w.add(b.String())
	for _, c := range w.examine().Checks {
		if c.Name == "writes" && (c.Status != doctor.Warning || len(c.Details) != 2) {
			t.Errorf("%+v", c)
		}
	}
}
