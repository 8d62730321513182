package outbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"reconciler/internal/store/location"
	"reconciler/internal/store/postgres/postgrestest"
	"reconciler/internal/text"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func message(id string) Message {
	return Message{ID: id, Receiver: "slack url", Made: noon, Ready: noon.Add(time.Hour), Collected: true, Content: []byte(`{"x":"` + id + `"}`)}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func idsOf(t *testing.T, s *Store, after int64) string {
	t.Helper()
	all, err := s.Load(after)
	must(t, err)
	var ids []string
	for _, m := range all {
		ids = append(ids, m.ID)
	}
	return strings.Join(ids, " ")
}

func open(t *testing.T, at location.Location) *Store {
	s := New(at, Options{Now: func() time.Time { return noon }})
	t.Cleanup(func() { s.Close() })
	return s
}

// What is added is there in its order, also for another process and after a restart.
func TestChange(t *testing.T) {
	at := postgrestest.Place(t)
	s := open(t, at)
	if ids := idsOf(t, s, 0); ids != "" {
		t.Error(ids)
	}
	if _, err := os.Stat(at.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Error("reading made a folder", err)
	}
	must(t, s.Change(Change{Add: []Message{message("b"), message("a")}}))
	must(t, s.Change(Change{Remove: []string{"b", "unknown"}, Add: []Message{message("c"), message("a")}, Keep: []byte("1")}))
	other := open(t, at)
	all, err := other.Load(0)
	must(t, err)
	if len(all) != 2 || all[0].ID != "a" || all[1].ID != "c" {
		t.Fatal(all)
	}
	want := message("a")
	want.Seq = all[0].Seq
	if got := fmt.Sprint(all[0]); got != fmt.Sprint(want) {
		t.Errorf("got  %s\nwant %v", got, want)
	}
	if ids := idsOf(t, other, all[0].Seq); ids != "c" {
		t.Error(ids)
	}
	if dir := at.Dir(); dir != "" {
		info, err := os.Stat(filepath.Join(dir, dbFile))
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Error(info.Mode())
		}
	}
	must(t, other.Check())
	for _, want := range []string{"1", "2"} {
		if kept, err := other.Kept(); err != nil || string(kept) != want {
			t.Error(kept, err)
		}
		must(t, s.Change(Change{Keep: []byte("2")}))
	}
	if kept, err := open(t, postgrestest.Place(t)).Kept(); err != nil || kept != nil {
		t.Error(kept, err)
	}
}

// Several processes may begin at the same time.
func TestBeginTogether(t *testing.T) {
	at := postgrestest.Place(t)
	var adding sync.WaitGroup
	for i := range 5 {
		adding.Go(func() {
			if err := open(t, at).Change(Change{Add: []Message{message(fmt.Sprint(i))}}); err != nil {
				t.Error(err)
			}
		})
	}
	adding.Wait()
	ids := strings.Fields(idsOf(t, open(t, at), 0))
	slices.Sort(ids)
	if strings.Join(ids, " ") != "0 1 2 3 4" {
		t.Error(ids)
	}
}

// A change that is cut off by a crash is there as a whole or not at all: the file that a
// crash leaves, with the journal of its transaction, is taken back to before it.
func TestCrash(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir, copied := t.TempDir(), t.TempDir()
	s := open(t, location.Folder(dir))
	must(t, s.Change(Change{Add: []Message{message("a")}}))
	tx, err := s.place.write()
	must(t, err)
	_, err = tx.Exec(`DELETE FROM messages`)
	must(t, err)
	_, err = tx.Exec(`INSERT INTO messages (id, receiver, made_at, ready_at, collected, content) SELECT 'n' || value, 'r', '', '', 0, randomblob(100000) FROM (WITH RECURSIVE c(value) AS (VALUES(1) UNION ALL SELECT value+1 FROM c WHERE value<100) SELECT value FROM c)`)
	must(t, err)
	for _, name := range []string{dbFile, dbFile + "-journal"} { // as they are at a crash
		data, err := os.ReadFile(filepath.Join(dir, name))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(copied, name), data, 0o600))
	}
	must(t, tx.Rollback())
	if ids := idsOf(t, open(t, location.Folder(copied)), 0); ids != "a" {
		t.Error(ids)
	}
}

// A damaged file is an error for who reads, and set aside by who writes. Nothing is
// deleted.
func TestDamaged(t *testing.T) {
	postgrestest.OnlyFolder(t)
	for name, content := range map[string]string{"no database": "hello", "empty": ""} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.WriteFile(filepath.Join(dir, dbFile), []byte(content), 0o600))
			s := open(t, location.Folder(dir))
			if _, err := s.Load(0); !errors.Is(err, ErrDamaged) {
				t.Error(err)
			}
			if err := s.Check(); !errors.Is(err, ErrDamaged) {
				t.Error(err)
			}
			must(t, s.Change(Change{Add: []Message{message("a")}}))
			if ids := idsOf(t, s, 0); ids != "a" {
				t.Error(ids)
			}
			aside, err := os.ReadFile(filepath.Join(dir, "outbox.db.corrupt-20261130T120000Z"))
			if err != nil || string(aside) != content {
				t.Error(err, aside)
			}
		})
	}
}

// A file that was replaced while it is open is read anew.
func TestReplaced(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir, other := t.TempDir(), t.TempDir()
	s := open(t, location.Folder(dir))
	must(t, s.Change(Change{Add: []Message{message("a")}}))
	o := open(t, location.Folder(other))
	must(t, o.Change(Change{Add: []Message{message("b")}}))
	must(t, o.Close())
	must(t, os.Rename(filepath.Join(other, dbFile), filepath.Join(dir, dbFile)))
	if ids := idsOf(t, s, 0); ids != "b" {
		t.Error(ids)
	}
	must(t, os.RemoveAll(dir))
	if ids := idsOf(t, s, 0); ids != "" {
		t.Error(ids)
	}
}

// A folder that can't be written to is an error with what to do.
func TestCannotWrite(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	err := open(t, location.Folder(file)).Change(Change{Add: []Message{message("a")}})
	if err == nil || !strings.HasPrefix(err.Error(), "queue of notifications ") {
		t.Error(err)
	}
}

// All tests hold for an outbox in PostgreSQL as well.
func TestOnPostgres(t *testing.T) { postgrestest.Suite(t) }

// An outbox that can't be reached is an error with what to do.
func TestUnreachable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "url")
	must(t, os.WriteFile(file, []byte("postgres://ada:hunter2@127.0.0.1:1/x"), 0o600))
	s := open(t, location.Postgres(postgrestest.File(file)))
	for _, err := range []error{s.Change(Change{Add: []Message{message("a")}}), s.Check()} {
		if err == nil || !strings.HasPrefix(err.Error(), "queue of notifications in PostgreSQL (") || !strings.Contains(err.Error(), "127.0.0.1:1 can't be reached") ||
			text.Hint(err) == "" || strings.Contains(err.Error(), "hunter2") {
			t.Error(err)
		}
	}
}

// A folder that can't be opened isn't said to be a database that is away: what the system
// says of files has the methods of an error of the network.
func TestFolderErrorsAreOfFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	s := New(location.Folder(filepath.Join(file, "state")), Options{})
	_, err := s.Load(0)
	if err == nil || !strings.Contains(err.Error(), ": reading: state folder: ") || strings.Contains(err.Error(), "PostgreSQL") {
		t.Error(err)
	}
	err = s.Change(Change{Keep: []byte("x")})
	if err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Error(err)
	}
}
