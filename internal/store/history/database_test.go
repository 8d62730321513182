package history

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"reconciler/internal/store/location"
	"reconciler/internal/store/postgres"
	"reconciler/internal/store/postgres/postgrestest"
)

// Many who read at the same time, while runs are under way, don't wait for each other for
// ever.
func TestManyReaders(t *testing.T) {
	at := postgrestest.New(t)
	s := newStore(t, at, Options{})
	r := begin(t, s, "r1")
	_, err := r.Change(change("a", "1"))
	must(t, err)
	other := begin(t, newStore(t, at, Options{}), "r2")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 5 {
				runs, err := s.Runs("", 0)
				if err != nil || len(runs) != 2 || runs[0].Result != "" || runs[1].Result != "" {
					t.Errorf("%+v, %v", runs, err)
				}
			}
		})
	}
	wg.Wait()
	finish(t, r, Run{Result: "applied"})
	finish(t, other, Run{Result: "applied"})
	whole(t, s, "")
}

// A process whose sessions were ended, as by a network that broke, isn't taken for dead
// after it has written again, and its run goes on.
func TestSessionsEnd(t *testing.T) {
	at := postgrestest.New(t)
	s := newStore(t, at, Options{})
	r := begin(t, s, "r1")
	p, err := r.Change(change("a", "1"))
	must(t, err)
	endSessions(t, s)
	reader := newStore(t, at, Options{})
	if run, err := reader.FindRun("r1"); err != nil || run.Result != ResultInterrupted {
		t.Errorf("without a session: %+v, %v", run, err)
	}
	must(t, p.End(Entry{Outcome: "applied"}))
	if run, err := reader.FindRun("r1"); err != nil || run.Result != "" {
		t.Errorf("with a session again: %+v, %v", run, err)
	}
	finish(t, begin(t, reader, "r2"), Run{Result: "applied"})
	finish(t, r, Run{Result: "applied"})
	if got := types(all(t, s)); got != "change run run" {
		t.Error(got)
	}
	whole(t, s, "")
}

// endSessions ends all sessions of a store, as its server sees them.
func endSessions(t *testing.T, s *Store) {
	t.Helper()
	d := s.place.(*database)
	db := postgres.Open(d.at.Postgres(), 1)
	defer db.Close()
	_, err := db.Exec(`SELECT pg_terminate_backend(l.pid, 5000) FROM pg_locks l WHERE l.locktype = 'advisory' AND l.objid::bigint = ? AND l.classid::bigint = ?`, d.key&0xffffffff, d.key>>32)
	must(t, err)
}

// What another program altered is an error, and nothing is begun in its place.
func TestAlteredInDatabase(t *testing.T) {
	at := postgrestest.New(t)
	s := newStore(t, at, Options{})
	finish(t, begin(t, s, "r1"), Run{Result: "applied"})
	must(t, s.write("altering", func(tx *sql.Tx) error {
		_, err := tx.Exec(`UPDATE chain SET hash = 'x'`)
		return err
	}))
	_, err := s.Add(Entry{Type: TypeOperator, Action: "suspend"})
	wantError(t, err, "the newest hash has 1 bytes", "put it back from a backup of the database")
	if v, err := s.Verify(""); err != nil || v.Problem == "" {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestNewerSchemaInDatabase(t *testing.T) {
	at := postgrestest.New(t)
	s := newStore(t, at, Options{})
	s.place.(*database).kind.Steps = append(schema(), "CREATE TABLE later (x TEXT) STRICT;")
	_, err := s.Add(Entry{Type: TypeOperator, Action: "start"})
	must(t, err)
	old := newStore(t, at, Options{})
	_, err = old.Begin(Run{ID: "r1"})
	wantError(t, err, "it has schema 2, and this version of the program knows no more than 1", "a newer version has used this database")
	_, err = old.Entries(Query{})
	wantError(t, err, "it has schema 2", "")
}

// A database that can't be reached is an error, also when reading: a history that is out
// of reach is not one that knows nothing.
func TestUnreachable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "url")
	must(t, os.WriteFile(file, []byte("postgres://ada:hunter2@127.0.0.1:1/x"), 0o600))
	s := newStore(t, location.Postgres(postgrestest.File(file)), Options{})
	_, added := s.Add(Entry{Type: TypeOperator, Action: "start"})
	_, read := s.Entries(Query{})
	_, version := s.Version()
	_, size := s.Size()
	for _, err := range []error{added, read, version, size, s.Check()} {
		wantError(t, err, fmt.Sprintf("history in PostgreSQL (%q): ", file), "whether the server runs")
		if strings.Contains(err.Error(), "hunter2") {
			t.Error(err)
		}
	}
	wantError(t, s.Backup(filepath.Join(t.TempDir(), "copy")), "is not copied to a file", "pg_dump")
}

// The version is another one after each write, and the same without.
func TestVersionInDatabase(t *testing.T) {
	at := postgrestest.New(t)
	s, reader := newStore(t, at, Options{}), newStore(t, at, Options{})
	version := func() Version {
		t.Helper()
		v, err := reader.Version()
		must(t, err)
		return v
	}
	if v := version(); v != (Version{}) {
		t.Error(v)
	}
	last := version()
	for i := range 3 {
		finish(t, begin(t, s, fmt.Sprint("quiet", i)), Run{Quiet: true})
		if v := version(); v == last {
			t.Errorf("run %d: %v", i, v)
		}
		if last = version(); last != version() {
			t.Error("it has changed by itself")
		}
	}
	if size, err := reader.Size(); err != nil || size == 0 {
		t.Error(size, err)
	}
}
