package main

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"reconciler/internal/store/postgres"
	"reconciler/internal/store/postgres/postgrestest"
)

// What a newer version of the program has used is refused by each command that would write
// beside it, and nothing is written to Okta.
func TestNewerSchemaOfDatabase(t *testing.T) {
	r := writerRig(t, fleetChanges(t))
	url := postgrestest.NewFile(t)
	r.config = r.in(t, "database", url)
	if code, out := r.command(t, "run", "--once"); code != exitOK {
		t.Fatalf("%d: %s", code, out)
	}
	db := postgres.Open(url, 1)
	defer db.Close()
	set := func(store, version string) {
		t.Helper()
		if _, err := db.Exec(`UPDATE reconciler_stores SET version = `+version+` WHERE store = ?`, store); err != nil {
			t.Fatal(err)
		}
	}
	for store, commands := range map[string][]string{
		"journal":  {"state check", "run --once", "suspend --reason x", "acknowledge a.okta.com"},
		"history":  {"state check", "run --once", "suspend --reason x", "resume --all", "acknowledge a.okta.com", "acknowledge --journal"},
		"lease":    {"state check", "run --once", "apply --yes"},
		"replicas": {"state check", "run --once", "run"},
	} {
		set(store, "version + 90")
		sent := len(r.writes())
		for _, command := range commands {
			code, out := r.command(t, strings.Fields(command)...)
			if code != exitError || !strings.Contains(out, "it has schema 9") || !strings.Contains(out, "this version of the program knows no more than") ||
				!strings.Contains(out, "hint: a newer version has used this database: run that one") {
				t.Errorf("%s with a newer schema of %s: %d: %s", command, store, code, out)
			}
		}
		if more := r.writes()[sent:]; len(more) > 0 {
			t.Errorf("with a newer schema of %s: %q", store, more)
		}
		set(store, "version - 90")
	}
	if code, out := r.command(t, "suspend", "--list"); code != exitOK || !strings.Contains(out, "nothing is suspended") {
		t.Errorf("%d: %s", code, out)
	}
	if code, out := r.command(t, "state", "check"); code != exitOK {
		t.Errorf("%d: %s", code, out)
	}
}

// The same holds for files.
func TestNewerSchemaOfHistory(t *testing.T) {
	r := writerRig(t, fleetChanges(t))
	if code, out := r.command(t, "run", "--once"); code != exitOK {
		t.Fatalf("%d: %s", code, out)
	}
	db, err := sql.Open("sqlite", filepath.Join(r.dir, "state", "history.db"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec(`PRAGMA user_version = 91`)
	if closed := db.Close(); err != nil || closed != nil {
		t.Fatal(err, closed)
	}
	for _, command := range []string{"suspend --reason x", "resume --all", "acknowledge a.okta.com", "acknowledge --journal"} {
		code, out := r.command(t, strings.Fields(command)...)
		if code != exitError || !strings.Contains(out, "it has schema 91") || !strings.Contains(out, "hint: a newer version has used this folder: run that one") {
			t.Errorf("%s: %d: %s", command, code, out)
		}
	}
	if code, out := r.command(t, "suspend", "--list"); code != exitOK || !strings.Contains(out, "nothing is suspended") {
		t.Errorf("%d: %s", code, out)
	}
}
