package backup

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/freeze"
	"reconciler/internal/store/history"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
	"reconciler/internal/store/outbox"
	"reconciler/internal/store/postgres"
	"reconciler/internal/store/postgres/postgrestest"
	"reconciler/internal/store/transfer"
)

// kept returns what is in a state, without the places that it names.
func kept(t *testing.T, at location.Location) (entries []history.Entry, suspensions []freeze.Suspension, messages []outbox.Message) {
	t.Helper()
	s := openStores(at)
	defer func() { must(t, s.close()) }()
	var err error
	entries, err = s.history.Entries(history.Query{})
	must(t, err)
	suspensions, err = s.journal.Suspensions()
	must(t, err)
	messages, err = s.outbox.Load(0)
	must(t, err)
	return entries, suspensions, messages
}

// filled makes a state in a folder, with a run that was interrupted.
func filled(t *testing.T) location.Location {
	dir, h, j := used(t)
	at := location.Folder(dir)
	_, err := j.Suspend(freeze.Suspension{Reason: "second", Owner: "bob", Orgs: freeze.Globs{"*.oktapreview.com"}, Until: time.Now().Add(time.Hour).Truncate(time.Second)})
	must(t, err)
	o := outbox.New(at, outbox.Options{})
	must(t, o.Change(outbox.Change{Add: []outbox.Message{{ID: "m1", Receiver: "r", Made: now(), Ready: now(), Content: []byte{0, 1, 0xff}}}, Keep: []byte("kept")}))
	must(t, o.Close())
	r, err := h.Begin(history.Run{ID: "r1"})
	must(t, err)
	_, err = r.Change(history.Entry{Org: "acme.okta.com", Action: "set-products"})
	must(t, err)
	must(t, h.Close())
	must(t, j.Close())
	return at
}

// What goes to PostgreSQL and back is the same, and goes on there.
func TestMove(t *testing.T) {
	from, database, back := filled(t), postgrestest.New(t), location.Folder(filepath.Join(t.TempDir(), "back"))
	entries, suspensions, messages := kept(t, from)
	m, err := Move(from, database, "https://ci.acme.example/"+strings.Repeat("a", freeze.MaxOwner), now())
	must(t, err)
	if m.Head == "" || m.Entries != 3 || m.Rows() < 9 || m.Problem != "" {
		t.Errorf("%+v, %d entries", m, len(entries))
	}
	again, err := Move(database, back, "bob", now())
	must(t, err)
	if again.Entries != m.Entries+1 {
		t.Errorf("%+v", again)
	}
	gotEntries, gotSuspensions, gotMessages := kept(t, back)
	if diff := cmp.Diff(suspensions, gotSuspensions); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(messages, gotMessages); diff != "" {
		t.Error(diff)
	}
	if n := len(gotEntries) - len(entries); n != 2 {
		t.Errorf("%d more entries: %+v", n, gotEntries)
	}
	// What is left behind is suspended.
	for _, at := range []location.Location{from, database} {
		if _, s, _ := kept(t, at); len(s) != len(suspensions)+1 || !strings.Contains(s[len(s)-1].Reason, "the state was moved to ") || len(s[len(s)-1].Orgs) > 0 {
			t.Errorf("%s: %+v", at, s)
		}
	}
	// And the next one gets the next number, in each store.
	s := openStores(back)
	defer func() { must(t, s.close()) }()
	_, err = s.history.Add(history.Entry{Type: history.TypeOperator, Action: "next"})
	must(t, err)
	must(t, s.outbox.Change(outbox.Change{Add: []outbox.Message{{ID: "m2", Receiver: "r", Made: now(), Ready: now(), Content: []byte{1}}}}))
	if r, err := Check(back, "", journal.Commands{}); err != nil || len(r.Problems) > 0 || !r.Journal || !r.History {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := Check(database, "", journal.Commands{}); err != nil || len(r.Problems) > 0 || !r.Journal || !r.History || r.Verification.Entries == 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// A target with a state, or a place that is used, is left alone.
func TestMoveRefuses(t *testing.T) {
	from, database := filled(t), postgrestest.New(t)
	none := location.Folder(filepath.Join(t.TempDir(), "none"))
	_, err := Move(none, database, "ada", now())
	wantError(t, err, "no such file or directory", "is the volume mounted?")
	empty := location.Folder(t.TempDir())
	must(t, os.Chmod(empty.Dir(), 0o700))
	_, err = Move(empty, database, "ada", now())
	wantError(t, err, "there is neither a journal nor a history in it yet", "")
	for _, at := range []location.Location{from, database} {
		held, err := journal.New(at, journal.Options{}).Hold()
		must(t, err)
		_, err = Move(from, database, "ada", now())
		wantError(t, err, "is held by process", "wait until the other one ends")
		must(t, held.Close())
	}
	_, err = Move(from, database, "ada", now())
	must(t, err)
	before, _, _ := kept(t, database)
	_, err = Move(from, database, "ada", now())
	wantError(t, err, "there is a state already, which is never overwritten", "an empty schema")
	_, err = Move(database, from, "ada", now())
	wantError(t, err, "the folder is not empty", "")
	if after, _, _ := kept(t, database); cmp.Diff(before, after) != "" {
		t.Error("the database was changed")
	}
}

// tablesIn returns the names of the tables of a database.
func tablesIn(t *testing.T, file postgrestest.File) string {
	t.Helper()
	db := postgres.Open(file, 1)
	defer db.Close()
	var names string
	must(t, db.QueryRow(`SELECT coalesce(string_agg(tablename, ' ' ORDER BY tablename), '') FROM pg_tables WHERE schemaname = current_schema()`).Scan(&names))
	return names
}

func execSQL(t *testing.T, file postgrestest.File, query string) {
	t.Helper()
	db := postgres.Open(file, 1)
	defer db.Close()
	_, err := db.Exec(query)
	must(t, err)
}

// filesIn returns the names of what is in a folder, which may be missing.
func filesIn(t *testing.T, dir string) string {
	t.Helper()
	all, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return "missing"
	}
	must(t, err)
	var names []string
	for _, one := range all {
		names = append(names, one.Name())
	}
	return strings.Join(names, " ")
}

// A copy that fails leaves nothing behind, so that it can be tried again.
func TestMoveFails(t *testing.T) {
	from, file := filled(t), postgrestest.NewFile(t)
	database := location.Postgres(file)
	execSQL(t, file, `CREATE TABLE deletions (x TEXT)`) // which the journal needs
	_, err := Move(from, database, "ada", now())
	wantError(t, err, "some other program", "")
	if left := tablesIn(t, file); left != "deletions" {
		t.Errorf("left in the database: %s", left)
	}
	execSQL(t, file, `DROP TABLE deletions`)
	m, err := Move(from, database, "ada", now())
	must(t, err)
	if m.Entries == 0 {
		t.Errorf("%+v", m)
	}

	// The journal comes last.
	execSQL(t, file, `ALTER TABLE deletions RENAME TO gone`)
	parent := filepath.Join(t.TempDir(), "new")
	_, err = Move(database, location.Folder(filepath.Join(parent, "state")), "ada", now())
	wantError(t, err, "a table is missing", "")
	if left := filesIn(t, parent); left != "missing" {
		t.Errorf("left in the new folder: %s", left)
	}
	there := t.TempDir()
	must(t, os.Chmod(there, 0o700))
	must(t, os.Mkdir(filepath.Join(there, "lost+found"), 0o700))
	_, err = Move(database, location.Folder(there), "ada", now())
	wantError(t, err, "a table is missing", "")
	if left := filesIn(t, there); left != "lost+found" {
		t.Errorf("left in the folder: %s", left)
	}
	execSQL(t, file, `ALTER TABLE gone RENAME TO deletions`)
	_, err = Move(database, location.Folder(there), "ada", now())
	must(t, err)
	entries, _, _ := kept(t, location.Folder(there))
	if slices.ContainsFunc(entries, func(e history.Entry) bool { return e.Action == history.ActionLost }) {
		t.Errorf("the copy that failed is said to be a history that was lost: %+v", entries)
	}
}

// What isn't begun leaves nothing behind either, at neither place.
func TestMoveOfNothing(t *testing.T) {
	file, other := postgrestest.NewFile(t), postgrestest.NewFile(t)
	empty, missing := t.TempDir(), filepath.Join(t.TempDir(), "missing")
	must(t, os.Chmod(empty, 0o700))
	for _, tt := range []struct{ from, to location.Location }{
		{location.Folder(empty), location.Postgres(file)},
		{location.Postgres(file), location.Folder(empty)},
		{location.Postgres(file), location.Folder(missing)},
		{location.Postgres(file), location.Postgres(other)},
	} {
		_, err := Move(tt.from, tt.to, "ada", now())
		wantError(t, err, "there is neither a journal nor a history in it yet", "")
	}
	if left := tablesIn(t, file) + tablesIn(t, other) + filesIn(t, empty) + filesIn(t, missing); left != "missing" {
		t.Errorf("left: %s", left)
	}
}

// A backup that can't be restored leaves nothing behind.
func TestRestoreFails(t *testing.T) {
	from, file := filled(t), postgrestest.NewFile(t)
	dir := t.TempDir()
	whole, cut := filepath.Join(dir, "whole.tar"), filepath.Join(dir, "cut.tar")
	_, err := Make(from, whole, "v1", now())
	must(t, err)
	data, err := os.ReadFile(whole)
	must(t, err)
	must(t, os.WriteFile(cut, data[:len(data)/2], 0o600))
	missing := filepath.Join(dir, "new", "state")
	for _, at := range []location.Location{location.Folder(missing), location.Postgres(file)} {
		_, err = Restore(cut, at, "ada", now())
		wantError(t, err, "the backup is cut off", "")
	}
	execSQL(t, file, `CREATE TABLE deletions (x TEXT)`)
	_, err = Restore(whole, location.Postgres(file), "ada", now())
	wantError(t, err, "some other program", "")
	if left := filesIn(t, filepath.Dir(missing)) + " " + tablesIn(t, file); left != "missing deletions" {
		t.Errorf("left: %s", left)
	}
}

// A process that is killed while it moves a state leaves a place at which nothing is
// written, and that isn't taken for one with a state.
func TestMoveKilled(t *testing.T) {
	const places = "BACKUP_TEST_MOVE"
	if from, url, is := strings.Cut(os.Getenv(places), "\n"); is { // the process that is killed
		_, err := Move(location.Folder(from), location.Postgres(postgrestest.File(url)), "ada", now())
		t.Fatal(err)
	}
	from, file := filled(t), postgrestest.NewFile(t)
	database := location.Postgres(file)
	made := openStores(database)
	defer made.close()
	must(t, made.outbox.Fill(func(transfer.Target) error { return nil }))
	db := postgres.Open(file, 2)
	defer db.Close()
	for _, query := range []string{
		`CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(600); RETURN NEW; END'`,
		`CREATE TRIGGER wait BEFORE INSERT ON messages FOR EACH ROW EXECUTE FUNCTION wait()`,
	} {
		_, err := db.Exec(query)
		must(t, err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestMoveKilled$")
	cmd.Env = append(os.Environ(), places+"="+from.Dir()+"\n"+string(file))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	must(t, cmd.Start())
	var backend int // which waits after the history, and before the journal
	for try := 0; backend == 0; try++ {
		err := db.QueryRow(`SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE 'INSERT INTO messages%'`).Scan(&backend)
		if err != nil && try > 1000 {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			t.Fatalf("%v\n%s", err, out.String())
		}
		time.Sleep(20 * time.Millisecond)
	}
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	_, err := db.Exec(`SELECT pg_terminate_backend($1, 10000)`, backend)
	must(t, err)
	_, err = db.Exec(`DROP FUNCTION wait CASCADE`)
	must(t, err)

	entries, suspensions, messages := kept(t, database)
	if len(entries) == 0 || len(messages) > 0 {
		t.Errorf("it was killed at another place: %+v, %+v", entries, messages)
	}
	if len(suspensions) != 1 || suspensions[0].Orgs != nil || !strings.Contains(suspensions[0].Reason, ", which has not ended: empty this place") {
		t.Errorf("%+v", suspensions)
	}
	_, err = Move(from, database, "ada", now())
	wantError(t, err, "there is a state already", "an empty schema")
	// The state is where it was.
	if _, s, _ := kept(t, from); len(s) != 2 {
		t.Errorf("%+v", s)
	}
}

// What can't be looked at isn't said to have no state.
func TestCheckUnreachableDatabase(t *testing.T) {
	url := postgrestest.NewFile(t)
	at := location.Postgres(url)
	r, err := Check(at, "", journal.Commands{})
	must(t, err)
	if len(r.Problems) > 0 || r.Journal || r.History {
		t.Errorf("%+v", r)
	}
	text, err := url.Read(t.Context())
	must(t, err)
	for _, tt := range []struct{ url, words, hint string }{
		{strings.Replace(string(text), "search_path=", "search_path=no_", 1), "has no schema that search_path names", "create the schema"},
		{"postgres://reconciler:secret@127.0.0.1:1/db?sslmode=disable", "PostgreSQL at 127.0.0.1:1 can't be reached", "whether the server runs"},
		{"mysql://reconciler:secret@127.0.0.1:1/db", "has no URL of a PostgreSQL database", "it must be like postgres://"},
	} {
		must(t, os.WriteFile(string(url), []byte(tt.url), 0o600))
		r, err := Check(at, "", journal.Commands{})
		wantError(t, err, tt.words, tt.hint)
		if r != nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v, %v", r, err)
		}
	}
}

// A backup of a database can be restored into a folder, and one of a folder into a
// database.
func TestBackupOfDatabase(t *testing.T) {
	from, first, second := filled(t), postgrestest.New(t), postgrestest.New(t)
	dir := t.TempDir()
	want, suspensions, _ := kept(t, from)
	one, two := filepath.Join(dir, "one.tar"), filepath.Join(dir, "two.tar")
	made, err := Make(from, one, "v1", now())
	must(t, err)
	restored, err := Restore(one, first, "ada", now())
	must(t, err)
	if diff := cmp.Diff(made, restored); diff != "" {
		t.Error(diff)
	}
	_, err = Restore(one, first, "ada", now())
	wantError(t, err, "there is a state already", "")
	again, err := Make(first, two, "v1", now())
	must(t, err)
	if again.Entries != made.Entries+1 || again.Problem != "" || len(again.Files) != 2 {
		t.Errorf("%+v", again)
	}
	for _, at := range []location.Location{location.Folder(filepath.Join(dir, "new")), second} {
		_, err = Restore(two, at, "ada", now())
		must(t, err)
		if got, s, _ := kept(t, at); len(got) != len(want)+2 || cmp.Diff(s, suspensions) != "" {
			t.Errorf("%s: %+v, %+v", at, got, s)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".reconciler-backup-*")); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}
