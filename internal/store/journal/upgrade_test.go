package journal

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/store/postgres/postgrestest"
	"reconciler/internal/store/securedir/securedirtest"
)

// released makes the file of a version of the program with an older schema, as that one
// had written it, and returns its folder. testdata has a dump of one for each schema.
func released(t *testing.T, schema int) string {
	t.Helper()
	dump, err := os.ReadFile(fmt.Sprintf("testdata/schema-%d.sql", schema))
	if err != nil {
		t.Fatalf("each schema needs the dump of a journal: %v", err)
	}
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o700))
	must(t, os.WriteFile(filepath.Join(dir, dbFile), nil, 0o600))
	db, err := sql.Open("sqlite", filepath.Join(dir, dbFile))
	must(t, err)
	_, err = db.Exec(string(dump))
	must(t, errors.Join(err, db.Close()))
	return dir
}

func contentOf(t *testing.T, dir, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	must(t, err)
	return data
}

// kept returns the names of the copies that migrations have made.
func kept(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, dbFile+".schema-*"))
	must(t, err)
	return all
}

// known is what the journals in testdata know.
func known(t *testing.T, j *Journal) []string {
	t.Helper()
	var words []string
	creations, err := j.Creations(account)
	must(t, err)
	for _, c := range creations {
		words = append(words, fmt.Sprint(c.Domain, " ", c.Step, " ", c.OrgID))
	}
	suspensions, err := j.Suspensions()
	must(t, err)
	for _, s := range suspensions {
		words = append(words, s.Reason+" by "+s.Owner)
	}
	orgs, err := j.Orgs(account)
	must(t, err)
	for _, o := range orgs {
		words = append(words, o.ID)
	}
	return words
}

// From each schema that a version had to that of this one: a reader leaves the file as it
// is, the first writer migrates it and keeps a copy, with which the older version goes on;
// and the older version rejects what was migrated.
func TestUpgradeAndBack(t *testing.T) {
	postgrestest.OnlyFolder(t)
	desired := []string{"acme-new.okta.com created 00o1", "acme-two.okta.com sent ", "holidays by ada", "00o1"}
	now := len(schema())
	for from := 1; from <= now; from++ {
		t.Run(fmt.Sprint("schema ", from), func(t *testing.T) {
			dir := released(t, from)
			before := contentOf(t, dir, dbFile)
			t.Setenv("TMPDIR", t.TempDir())
			j := New(locate(dir), Options{})
			if diff := cmp.Diff(desired, known(t, j)); diff != "" {
				t.Error(diff)
			}
			must(t, j.Check())
			if !bytes.Equal(before, contentOf(t, dir, dbFile)) || len(kept(t, dir)) > 0 {
				t.Error("reading has changed the folder")
			}
			w, err := j.Lock()
			must(t, err)
			if diff := cmp.Diff(desired, known(t, j)); diff != "" {
				t.Error(diff)
			}
			must(t, w.MarkTokenStored(acmeKey(), "/tokens/acme"))
			must(t, w.Close())
			if left, err := os.ReadDir(os.Getenv("TMPDIR")); len(left) > 0 || err != nil {
				t.Errorf("left: %v, %v", left, err)
			}
			if from == now {
				if len(kept(t, dir)) > 0 {
					t.Errorf("there was nothing to migrate, and %v", kept(t, dir))
				}
				return
			}

			_, err = openSteps(dir, Options{}, schema()[:from])
			wantError(t, err, fmt.Sprintf("it has schema %d, and this version of the program knows no more than %d", now, from), "docs/recovery.md says how to go back")
			copies := kept(t, dir)
			if len(copies) != 1 || !strings.HasPrefix(filepath.Base(copies[0]), fmt.Sprintf("journal.db.schema-%d-20", from)) {
				t.Fatalf("kept: %q", copies)
			}
			if info, err := os.Stat(copies[0]); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", info.Mode(), err)
			}
			must(t, os.Rename(copies[0], filepath.Join(dir, dbFile)))
			old, err := openSteps(dir, Options{}, schema()[:from])
			must(t, err)
			if diff := cmp.Diff(desired, known(t, old.Journal)); diff != "" {
				t.Error(diff)
			}
			must(t, old.MarkTokenStored(acmeKey(), "/tokens/acme"))
			must(t, old.Close())
		})
	}
}

// The schemas are still those that the versions had, or a file of theirs would be
// migrated to something else than one that begins now.
func TestSchemasAreAsReleased(t *testing.T) {
	postgrestest.OnlyFolder(t)
	tables := func(dir string) map[string]string {
		db, err := file().Connect(filepath.Join(dir, dbFile))
		must(t, err)
		defer db.Close()
		rows, err := db.Query(`SELECT name, sql FROM sqlite_schema WHERE sql <> ''`)
		must(t, err)
		defer rows.Close()
		all := map[string]string{}
		for rows.Next() {
			var name, text string
			must(t, rows.Scan(&name, &text))
			all[name] = text
		}
		must(t, rows.Err())
		return all
	}
	for n := 1; n <= len(schema()); n++ {
		dir := t.TempDir()
		w, err := openSteps(dir, Options{}, schema()[:n])
		must(t, err)
		must(t, w.Close())
		if diff := cmp.Diff(tables(released(t, n)), tables(dir)); diff != "" {
			t.Errorf("schema %d has changed (-released +now):\n%s", n, diff)
		}
	}
}

// Nothing is migrated under another process, which may be of the older version: neither by
// locking, nor by writing without a lock. Reading works, and so does writing afterwards.
func TestNotMigratedBeside(t *testing.T) {
	postgrestest.OnlyFolder(t)
	for name, use := range map[string]func(t *testing.T, other *Journal) (end func() error){
		"a daemon that leads": func(t *testing.T, other *Journal) func() error {
			lead, err := other.Lead()
			must(t, err)
			return lead.End
		},
		"a run": func(t *testing.T, other *Journal) func() error {
			turn, err := other.Turn(t.Context(), WaitOptions{})
			must(t, err)
			return turn.End
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := released(t, 1)
			other := New(locate(dir), Options{Commands: Commands{This: "run"}})
			end := use(t, other)
			before := contentOf(t, dir, dbFile)
			j := New(locate(dir), Options{})
			defer j.Close()
			const problem, hint = "its schema is that of an older version, and is not migrated while another process uses it", "stop the other process first"
			_, err := j.Suspend(suspension())
			wantError(t, err, problem, hint)
			if _, err := j.Lock(); !errors.As(err, new(*HeldError)) {
				t.Errorf("locked: %v", err)
			}
			if _, err := j.Suspensions(); err != nil {
				t.Error(err)
			}
			if !bytes.Equal(before, contentOf(t, dir, dbFile)) || len(kept(t, dir)) > 0 {
				t.Error("the folder has changed")
			}
			must(t, end())
			suspend(t, j, suspension())
			if len(kept(t, dir)) != 1 {
				t.Errorf("kept: %q", kept(t, dir))
			}
		})
	}
}

// A daemon that leads migrates what it finds itself, and a reader sees what the older
// version writes meanwhile.
func TestMigratedByTheLeader(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := released(t, 1)
	reader := New(locate(dir), Options{})
	defer reader.Close()
	wantSuspended(t, reader, "3bbd3qxv")
	old, err := openSteps(dir, Options{}, schema()[:1])
	must(t, err)
	two := suspend(t, old.Journal, suspension())
	must(t, old.Close())
	wantSuspended(t, reader, "3bbd3qxv", two.ID)

	j := New(locate(dir), Options{})
	defer j.Close()
	lead, err := j.Lead()
	must(t, err)
	three := suspend(t, j, suspension())
	must(t, lead.End())
	wantSuspended(t, reader, "3bbd3qxv", two.ID, three.ID)
}

// Who holds a location migrates what is there with its own first write, and no other
// journal does.
func TestMigratedByTheHolder(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := released(t, 1)
	j, other := New(locate(dir), Options{}), New(locate(dir), Options{})
	defer other.Close()
	held, err := j.Hold()
	must(t, err)
	if _, err := other.Suspend(suspension()); !errors.As(err, new(*HeldError)) {
		t.Errorf("migrated beside the holder: %v", err)
	}
	two := suspend(t, j, suspension())
	wantSuspended(t, other, "3bbd3qxv", two.ID)
	if len(kept(t, dir)) != 1 {
		t.Errorf("kept: %q", kept(t, dir))
	}
	must(t, held.Close())
	suspend(t, other, suspension())
}

// Where there is no room for a copy, nothing is migrated.
func TestNoRoomForTheCopy(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := securedirtest.SmallDisk(t, "256k")
	must(t, os.Chmod(dir, 0o700))
	must(t, os.WriteFile(filepath.Join(dir, dbFile), contentOf(t, released(t, 1), dbFile), 0o600))
	before := contentOf(t, dir, dbFile)
	ballast := securedirtest.FillUp(t, dir)
	j := New(locate(dir), Options{})
	defer j.Close()
	_, err := j.Lock()
	if err == nil || !bytes.Equal(before, contentOf(t, dir, dbFile)) || len(kept(t, dir)) > 0 {
		t.Errorf("%v, kept %q", err, kept(t, dir))
	}
	must(t, os.Remove(ballast))
	w, err := j.Lock()
	must(t, err)
	must(t, w.Unlock())
	if len(kept(t, dir)) != 1 {
		t.Errorf("kept: %q", kept(t, dir))
	}
}
