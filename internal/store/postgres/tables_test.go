package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"reconciler/internal/store/location"
	"reconciler/internal/store/postgres"
	"reconciler/internal/store/postgres/postgrestest"
	"reconciler/internal/text"
)

const schema1 = `
-- What is counted.
CREATE TABLE counted (
	id   INTEGER PRIMARY KEY CHECK (id > 0),
	n    INTEGER NOT NULL,
	name TEXT NOT NULL DEFAULT '',
	data BLOB
) STRICT;
`

func kind(steps ...string) *postgres.Kind {
	return &postgres.Kind{Store: "test", Steps: append([]string{schema1}, steps...), Connections: 4}
}

// made returns a database with tables.
func made(t *testing.T, url location.URL, steps ...string) *postgres.Database {
	t.Helper()
	d := kind(steps...).Open(url)
	t.Cleanup(func() { must(t, d.Close()) })
	must(t, d.Create(func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT INTO counted (id, n) VALUES (?, ?)`, 1, 0)
		return err
	}))
	return d
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t testing.TB, err error, words, hint string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), words) || !strings.Contains(text.Hint(err), hint) {
		t.Errorf("error: %v\nhint:  %s\nwanted: %q and %q", err, text.Hint(err), words, hint)
	}
}

func TestNone(t *testing.T) {
	t.Parallel()
	d := kind().Open(postgrestest.NewFile(t))
	defer d.Close()
	if _, err := d.Begin(); !errors.Is(err, postgres.ErrNone) {
		t.Error(err)
	}
	if _, err := d.Snapshot(); !errors.Is(err, postgres.ErrNone) {
		t.Error(err)
	}
	if n, err := d.Writes(); n != 0 || err != nil {
		t.Error(n, err)
	}
	if n, err := d.Size(); n != 0 || err != nil {
		t.Error(n, err)
	}
}

// Many make the tables and count in them at the same time: none is lost.
func TestWritersTakeTurns(t *testing.T) {
	t.Parallel()
	url := postgrestest.NewFile(t)
	var wg sync.WaitGroup
	const each = 10
	for range 4 {
		d := made(t, url)
		for range 2 {
			wg.Go(func() {
				for range each {
					if err := count(d); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	wg.Wait()
	d := made(t, url)
	tx, err := d.Snapshot()
	must(t, err)
	defer tx.Rollback()
	var n int
	must(t, tx.QueryRow(`SELECT n FROM counted`).Scan(&n))
	if n != 8*each {
		t.Error(n)
	}
	writes, err := d.Writes()
	must(t, err)
	if writes < 8*each {
		t.Error(writes)
	}
	if size, err := d.Size(); size == 0 || err != nil {
		t.Error(size, err)
	}
}

// count reads and writes a number.
func count(d *postgres.Database) error {
	tx, err := d.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var n int
	if err := tx.QueryRow(`SELECT n FROM counted`).Scan(&n); err != nil {
		return err
	}
	if _, err := tx.Exec(`UPDATE counted SET n = ?`, n+1); err != nil {
		return err
	}
	return tx.Commit()
}

// A snapshot sees what was there when it began, and waits for no writer.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	d := made(t, postgrestest.NewFile(t))
	tx, err := d.Snapshot()
	must(t, err)
	defer tx.Rollback()
	must(t, count(d))
	var n int
	must(t, tx.QueryRow(`SELECT n FROM counted`).Scan(&n))
	if n != 0 {
		t.Error(n)
	}
	_, err = tx.Exec(`UPDATE counted SET n = 9`)
	wantError(t, postgres.Explain(err), "it can only be read", "")
}

// An older schema is left as it is by readers, migrated by several writers at once,
// and what is older than the schema neither reads nor writes.
func TestMigrated(t *testing.T) {
	t.Parallel()
	url := postgrestest.NewFile(t)
	old := made(t, url)
	reader := kind("CREATE TABLE later (x TEXT) STRICT;", "INSERT INTO later (x) VALUES ('y');").Open(url)
	defer reader.Close()
	for range 2 {
		tx, err := reader.Snapshot()
		must(t, err)
		var x string
		must(t, tx.QueryRow(`SELECT x FROM later`).Scan(&x))
		must(t, tx.Rollback())
		must(t, count(old))
	}
	var wg sync.WaitGroup
	for range 4 {
		d := kind("CREATE TABLE later (x TEXT) STRICT;", "INSERT INTO later (x) VALUES ('y');").Open(url)
		defer d.Close()
		wg.Go(func() {
			if err := count(d); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var n int
	must(t, old.DB().QueryRow(`SELECT count(*) FROM later`).Scan(&n))
	if n != 1 {
		t.Errorf("it was migrated %d times", n)
	}
	wantError(t, count(old), "it has schema 3, and this version of the program knows no more than 1", "a newer version has used this database")
	_, err := old.Snapshot()
	wantError(t, err, "it has schema 3", "")
}

// A step that fails leaves nothing behind.
func TestStepFails(t *testing.T) {
	t.Parallel()
	url := postgrestest.NewFile(t)
	must(t, count(made(t, url)))
	d := kind("CREATE TABLE later (x TEXT) STRICT;", "CREATE TABLE counted (x TEXT) STRICT;").Open(url)
	defer d.Close()
	wantError(t, count(d), "a table with a name that is needed is there", "use a database or a schema of its own")
	must(t, count(made(t, url)))
}

func TestTablesAreGone(t *testing.T) {
	t.Parallel()
	d := made(t, postgrestest.NewFile(t))
	must(t, count(d))
	_, err := d.DB().Exec(`DELETE FROM reconciler_stores`)
	must(t, err)
	wantError(t, count(d), "its tables were there before and are gone", "put them back from a backup")
	_, err = d.DB().Exec(`DROP TABLE reconciler_stores`)
	must(t, err)
	wantError(t, count(d), "a table is missing", "put the tables back")
}

// A table of another user is not taken for ours: what it does when it is written to would
// be done with the rights of our user.
func TestForeignTable(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	url := s.File(t)
	admin := postgres.Open(url, 1)
	defer admin.Close()
	exec := func(query string) {
		t.Helper()
		_, err := admin.Exec(query)
		must(t, err)
	}
	exec(`CREATE ROLE mallory`)
	exec(`CREATE ROLE reconciler LOGIN`)
	var schema string
	must(t, admin.QueryRow(`SELECT current_schema()`).Scan(&schema))
	data, err := url.Read(t.Context())
	must(t, err)
	ours := words(strings.Replace(string(data), "postgres://postgres@", "postgres://reconciler@", 1))
	c, err := postgres.Examine(t.Context(), ours, time.Now)
	must(t, err)
	if c.OthersMayCreate {
		t.Errorf("%+v", c)
	}
	exec(`GRANT USAGE, CREATE ON SCHEMA ` + schema + ` TO PUBLIC`)
	if c, err = postgres.Examine(t.Context(), ours, time.Now); err != nil || !c.OthersMayCreate {
		t.Errorf("%+v, %v", c, err)
	}

	exec(`SET ROLE mallory`)
	exec(`CREATE TABLE reconciler_stores (store TEXT PRIMARY KEY, version BIGINT NOT NULL, writes BIGINT NOT NULL DEFAULT 0)`)
	exec(`CREATE FUNCTION steal() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN CREATE TABLE stolen AS SELECT session_user; RETURN NEW; END'`)
	exec(`CREATE TRIGGER steal BEFORE INSERT OR UPDATE ON reconciler_stores FOR EACH ROW EXECUTE FUNCTION steal()`)
	exec(`GRANT ALL ON reconciler_stores TO PUBLIC`)
	exec(`RESET ROLE`)
	d := kind().Open(ours)
	defer d.Close()
	err = d.Create(func(*sql.Tx) error { return nil })
	wantError(t, err, "the table reconciler_stores belongs to another user", "use a database or a schema of its own")
	_, err = d.Begin()
	wantError(t, err, "belongs to another user", "")
	var stolen bool
	must(t, admin.QueryRow(`SELECT to_regclass('stolen') IS NOT NULL`).Scan(&stolen))
	if stolen {
		t.Error("the trigger was run")
	}

	// One of the administrator's, as after a backup was put back, is as good as our own.
	exec(`DROP TABLE reconciler_stores`)
	must(t, made(t, url).Close())
	exec(`GRANT ALL ON ALL TABLES IN SCHEMA ` + schema + ` TO reconciler`)
	must(t, count(d))
}

// text is a URL as it is.
type words string

func (w words) Read(context.Context) ([]byte, error) { return []byte(w), nil }
func (words) String() string                         { return "the URL" }

// What goes wrong with connections is said in plain words, and no password is.
func TestConnectionErrors(t *testing.T) {
	t.Parallel()
	good := postgrestest.NewFile(t)
	data, err := good.Read(t.Context())
	must(t, err)
	url := strings.TrimSpace(string(data))
	for _, test := range []struct{ url, words, hint string }{
		{"hunter2", "the URL has no URL of a PostgreSQL database", "postgres://USER"},
		{"host=localhost password=hunter2", "has no URL", ""},
		{"postgres://ada:hunter2@local%host/x", "the URL has a URL that can't be understood", "% and two digits"},
		{"postgres://ada:hunter2@127.0.0.1:port/x", "can't be understood", ""},
		{"postgres://ada:12/hunter2@127.0.0.1/x", "can't be understood", "% and two digits"},
		{"postgres://ada:12?hunter2@127.0.0.1/x", "can't be understood", "% and two digits"},
		{"postgres://ada:1@2/hunter2@127.0.0.1/x", "can't be understood", "% and two digits"},
		{"postgres://ada:12#hunter2@127.0.0.1/x", "can't be understood", "% and two digits"},
		{"postgres://ada:hunter2@127.0.0.1/x?sslmode=verify-full&sslrootcert=/none/ca.crt", `the URL has a URL that names the file "/none/ca.crt", which can't be read: no such file or directory`, "check sslrootcert"},
		{"postgres://ada:hunter2@127.0.0.1/x?sslmode=hunter2", "can't be understood", ""},
		{"postgres://ada:hunter2@127.0.0.1:1/x", "PostgreSQL at 127.0.0.1:1 can't be reached: connect: connection refused", "whether the server runs"},
		{"postgres://ada:hunter2@nowhere.invalid/x?sslmode=verify-full", "can't be reached: the name \"nowhere.invalid\" can't be resolved", "check the host"},
		{strings.Replace(url, "/postgres?", "/none?", 1), "there is no such database (SQLSTATE 3D000)", "create it"},
		{strings.Replace(url, "postgres@", "ada:hunter2@", 1), "user or password is wrong (SQLSTATE 28000)", "pg_hba.conf"},
		{strings.Replace(url, "search_path=test", "search_path=none", 1), "there is no such schema", "create the schema"},
	} {
		d := kind().Open(words(test.url))
		err := d.Create(func(*sql.Tx) error { return nil })
		wantError(t, err, test.words, test.hint)
		if said := fmt.Sprint(err, text.Hint(err)); strings.Contains(said, "hunter2") {
			t.Errorf("a password is said: %s", said)
		}
		must(t, d.Close())
	}
}

// A URL that was changed is used for the next connection.
func TestURLIsReadAgain(t *testing.T) {
	t.Parallel()
	file := postgrestest.NewFile(t)
	good, err := file.Read(t.Context())
	must(t, err)
	must(t, os.WriteFile(string(file), []byte("postgres://ada@127.0.0.1:1/x"), 0o600))
	d := kind().Open(file)
	defer d.Close()
	_, err = d.Snapshot()
	wantError(t, err, "can't be reached", "")
	must(t, os.WriteFile(string(file), good, 0o600))
	if _, err := d.Snapshot(); !errors.Is(err, postgres.ErrNone) {
		t.Error(err)
	}
}

// A server that ends and comes back is used again.
func TestServerRestarts(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	d := made(t, s.File(t))
	tx, err := d.Begin()
	must(t, err)
	must(t, s.Stop())
	_, err = tx.Exec(`UPDATE counted SET n = 5`)
	wantError(t, postgres.Explain(err), "", "")
	_ = tx.Rollback()
	wantError(t, count(d), "can't be reached", "whether the server runs")
	must(t, s.Start())
	must(t, count(d))
	snapshot, err := d.Snapshot()
	must(t, err)
	defer snapshot.Rollback()
	var n int
	must(t, snapshot.QueryRow(`SELECT n FROM counted`).Scan(&n))
	if n != 1 {
		t.Error(n)
	}
}

// A writer that stands still loses its transaction, and holds up nobody for long.
func TestFrozenWriter(t *testing.T) {
	t.Parallel()
	d := made(t, postgrestest.NewFile(t))
	frozen, err := d.Begin()
	must(t, err)
	_, err = frozen.Exec(`UPDATE counted SET n = 100`)
	must(t, err)
	must(t, count(d)) // within lock_timeout, after idle_in_transaction_session_timeout
	if err := frozen.Commit(); err == nil {
		t.Error("it was committed")
	}
	var n int
	must(t, d.DB().QueryRow(`SELECT n FROM counted`).Scan(&n))
	if n != 1 {
		t.Error(n)
	}
}

// Rows have the types that SQLite gives them, and truth is a number.
func TestValues(t *testing.T) {
	t.Parallel()
	d := made(t, postgrestest.NewFile(t))
	tx, err := d.Begin()
	must(t, err)
	defer tx.Rollback()
	_, err = tx.Exec(`UPDATE counted SET n = ?2, name = ?1, data = ?3`, "what is it?", true, []byte{0, 255})
	must(t, err)
	var yes bool
	var name string
	var data []byte
	must(t, tx.QueryRow(`SELECT n, name, data FROM counted WHERE name <> '?' AND n = ? AND id = ?`, true, 1).Scan(&yes, &name, &data))
	if !yes || name != "what is it?" || string(data) != "\x00\xff" {
		t.Error(yes, name, data)
	}
	// What PostgreSQL can't hold in a text fails no statement.
	_, err = tx.Exec(`UPDATE counted SET name = ?`, "a\x00b\xffc")
	must(t, err)
	must(t, tx.QueryRow(`SELECT name FROM counted WHERE name = ?`, "a\xffb\x00c").Scan(&name))
	if name != "a\uFFFDb\uFFFDc" {
		t.Errorf("%q", name)
	}
}
