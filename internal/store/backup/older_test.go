package backup

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
	"reconciler/internal/store/postgres/postgrestest"
)

// older makes a state folder with the journal of a version of the program that had an
// older schema.
func older(t *testing.T, dump string) string {
	t.Helper()
	data, err := os.ReadFile(dump)
	must(t, err)
	dir := filepath.Join(t.TempDir(), "state")
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.WriteFile(filepath.Join(dir, journalFile), nil, 0o600))
	db, err := sql.Open("sqlite", filepath.Join(dir, journalFile))
	must(t, err)
	_, err = db.Exec(string(data))
	must(t, errors.Join(err, db.Close()))
	return dir
}

// reasons returns why writes are suspended at a place.
func reasons(t *testing.T, at location.Location) string {
	t.Helper()
	_, suspensions, _ := kept(t, at)
	var all []string
	for _, s := range suspensions {
		all = append(all, s.Reason)
	}
	return strings.Join(all, "; ")
}

// A state of an older version is moved as it is, in both directions, and where it was it is
// migrated, with a copy as always, to note that it was moved.
func TestMoveOlder(t *testing.T) {
	dumps, err := filepath.Glob("../journal/testdata/schema-*.sql")
	must(t, err)
	if len(dumps) < 4 {
		t.Fatalf("%q", dumps)
	}
	for _, dump := range dumps {
		t.Run(filepath.Base(dump), func(t *testing.T) {
			dir, file := older(t, dump), postgrestest.NewFile(t)
			from, database := location.Folder(dir), location.Postgres(file)
			back := location.Folder(filepath.Join(t.TempDir(), "back"))
			_, err := Move(from, database, "ada", now())
			must(t, err)
			if got := reasons(t, from); !strings.HasPrefix(got, "holidays; the state was moved to PostgreSQL") {
				t.Errorf("suspended where it was: %s", got)
			}
			copies, err := filepath.Glob(filepath.Join(dir, journalFile+".schema-*"))
			must(t, err)
			if len(copies) != 1 && dump != dumps[len(dumps)-1] {
				t.Errorf("copies of the older schema: %q", copies)
			}
			if got := reasons(t, database); got != "holidays" {
				t.Errorf("suspended in the database: %s", got)
			}

			execSQL(t, file, `DROP TABLE field_writes`) // as a version with schema 3 had it
			execSQL(t, file, `UPDATE reconciler_stores SET version = 3 WHERE store = 'journal'`)
			_, err = Move(database, back, "ada", now())
			must(t, err)
			if got := reasons(t, database); !strings.HasPrefix(got, "holidays; the state was moved to ") {
				t.Errorf("suspended in the database: %s", got)
			}
			for _, at := range []location.Location{database, back} {
				if r, err := Check(at, "", journal.Commands{}); err != nil || len(r.Problems) > 0 || !r.Journal {
					t.Errorf("%s: %+v, %v", at, r, err)
				}
			}
			if got := reasons(t, back); got != "holidays" {
				t.Errorf("suspended in the folder: %s", got)
			}
		})
	}
}

// A state of an older version is checked and backed up without a change, and its backup
// can be restored, as can one that the older version has made.
func TestBackupOlder(t *testing.T) {
	dir := older(t, "../journal/testdata/schema-1.sql")
	before, err := os.ReadFile(filepath.Join(dir, journalFile))
	must(t, err)
	if r, err := Check(location.Folder(dir), "", journal.Commands{}); err != nil || len(r.Problems) > 0 || !r.Journal {
		t.Errorf("%+v, %v", r, err)
	}
	base := t.TempDir()
	made, old := filepath.Join(base, "made.tar"), filepath.Join(base, "old.tar")
	_, err = Make(location.Folder(dir), made, "v2", now())
	must(t, err)
	if after, err := os.ReadFile(filepath.Join(dir, journalFile)); err != nil || !bytes.Equal(before, after) || filesIn(t, dir) != journalFile {
		t.Errorf("the folder has changed: %s, %v", filesIn(t, dir), err)
	}
	m := &Manifest{Version: version, Program: "v1", Made: now()}
	f, err := describe(dir, journalFile)
	must(t, err)
	m.Files = []File{f}
	must(t, m.pack(dir, old))
	for _, file := range []string{made, old} {
		for _, at := range []location.Location{location.Folder(filepath.Join(t.TempDir(), "new")), postgrestest.New(t)} {
			_, err := Restore(file, at, "ada", now())
			must(t, err)
			if got := reasons(t, at); got != "holidays" {
				t.Errorf("%s in %s: suspended: %s", filepath.Base(file), at, got)
			}
			if r, err := Check(at, "", journal.Commands{}); err != nil || len(r.Problems) > 0 || !r.Journal || !r.History {
				t.Errorf("%+v, %v", r, err)
			}
		}
	}
}
