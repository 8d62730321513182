package history

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"reconciler/internal/store/location"
	"reconciler/internal/store/postgres/postgrestest"
	"reconciler/internal/store/securedir/securedirtest"
	"reconciler/internal/store/sqlitefile"
)

func TestPragmas(t *testing.T) {
	postgrestest.OnlyFolder(t)
	s := newStore(t, location.Folder(t.TempDir()), Options{})
	_, err := s.Add(Entry{Type: TypeOperator, Action: "start"})
	must(t, err)
	db, err := s.place.(*folder).open()
	must(t, err)
	for name, desired := range map[string]int{"synchronous": 2, "foreign_keys": 1, "application_id": applicationID, "user_version": 1} {
		if actual, err := sqlitefile.Pragma(db, name); err != nil || actual != desired {
			t.Errorf("%s is %d, %v", name, actual, err)
		}
	}
	var mode string
	if err := db.QueryRow("PRAGMA journal_mode").Scan(&mode); err != nil || mode != "wal" {
		t.Error(mode, err)
	}
}

// All that is written is for this user alone.
func TestModes(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := filepath.Join(t.TempDir(), "state")
	s := newStore(t, location.Folder(dir), Options{})
	r := begin(t, s, "r1")
	applied(t, r, change("a", "1"), "q")
	names, err := os.ReadDir(dir)
	must(t, err)
	if len(names) != 5 {
		t.Errorf("%v", names)
	}
	for _, name := range names {
		if info, err := name.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	must(t, os.Chmod(filepath.Join(dir, dbFile), 0o644))
	finish(t, begin(t, newStore(t, location.Folder(dir), Options{}), "r2"), Run{})
	if info, err := os.Stat(filepath.Join(dir, dbFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	finish(t, r, Run{})
}

// Reading creates nothing.
func TestNone(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := filepath.Join(t.TempDir(), "state")
	s := newStore(t, location.Folder(dir), Options{})
	if list := all(t, s); list != nil {
		t.Error(list)
	}
	if v, err := s.Verify(""); err != nil || *v != (Verification{}) {
		t.Errorf("%+v, %v", v, err)
	}
	if head, err := s.Head(); head != "" || err != nil {
		t.Error(head, err)
	}
	if _, err := os.Lstat(dir); !os.IsNotExist(err) {
		t.Error(err)
	}
}

// spoiled are files that are no history.
func spoiled() map[string][]byte {
	return map[string][]byte{"empty": {}, "garbage": bytes.Repeat([]byte("x"), 8192), "cut off": nil, "page": nil}
}

// A damaged history is set aside, never deleted, and a new one begins. Nothing is held.
func TestDamage(t *testing.T) {
	postgrestest.OnlyFolder(t)
	for name, content := range spoiled() {
		dir := t.TempDir()
		now := newClock()
		s := New(location.Folder(dir), Options{Now: now.now})
		var list []Entry
		for i := range 200 {
			list = append(list, Entry{Type: TypeOperator, Action: fmt.Sprint("op", i), Reason: strings.Repeat("x", 300)})
		}
		_, err := s.Add(list...)
		must(t, err)
		must(t, s.Close())
		path := filepath.Join(dir, dbFile)
		if content == nil {
			data, err := os.ReadFile(path)
			must(t, err)
			content = data[:len(data)/2]
			if name == "page" {
				copy(data[4096*3:], bytes.Repeat([]byte{0xff}, 4096*2))
				content = data
			}
		}
		must(t, os.WriteFile(path, content, 0o600))
		reader := newStore(t, location.Folder(dir), Options{})
		wantError(t, reader.Check(), "the file is damaged", "the next apply or run sets it aside and begins a new one; nothing is held")
		log, told := logged()
		s = newStore(t, location.Folder(dir), Options{Now: now.now, Logger: log})
		for i := range 2 {
			r := begin(t, s, fmt.Sprint("r", i))
			applied(t, r, change("a", "1"), "q")
			finish(t, r, Run{Result: "applied"})
		}
		aside := dbFile + ".corrupt-20261121T120000Z"
		if n := strings.Count(told.String(), "level=ERROR"); n != 1 || !strings.Contains(told.String(), "setAside="+filepath.Join(dir, aside)) {
			t.Errorf("%s: %s", name, told)
		}
		if kept, err := os.ReadFile(filepath.Join(dir, aside)); err != nil || !bytes.Equal(kept, content) {
			t.Errorf("%s: what was set aside is not what was there: %v", name, err)
		}
		list = all(t, reader)
		if types(list) != "operator change run change run" || list[0].Action != ActionDamaged || !strings.Contains(list[0].Reason, aside) {
			t.Errorf("%s: %+v", name, list)
		}
		if v := whole(t, reader, ""); v.SetAside != aside {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

// Damage that is found while runs go on, also by several at once, is no error for them.
func TestDamageWithinARun(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := t.TempDir()
	log, told := logged()
	s := newStore(t, location.Folder(dir), Options{Logger: log})
	r := begin(t, s, "r1")
	applied(t, r, change("a", "1"), "q")
	db, err := s.place.(*folder).open()
	must(t, err)
	_, err = db.Exec(`UPDATE chain SET hash = x'00'`)
	must(t, err)
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() { applied(t, r, change("b", "1"), "q") })
	}
	wg.Wait()
	finish(t, r, Run{Result: "applied"})
	if got := types(all(t, s)); got != "operator change change change change change run" {
		t.Error(got)
	}
	if n := strings.Count(told.String(), "was set aside"); n != 1 {
		t.Error(told)
	}
	whole(t, s, "")
}

// A history that was there once, and whose file is missing, is told of.
func TestMissing(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := t.TempDir()
	s := New(location.Folder(dir), Options{})
	_, err := s.Add(Entry{Type: TypeOperator, Action: "start"})
	must(t, err)
	reader := newStore(t, location.Folder(dir), Options{})
	all(t, reader)
	must(t, os.Rename(filepath.Join(dir, dbFile), filepath.Join(dir, "elsewhere")))
	_, err = s.Begin(Run{ID: "r1"})
	wantError(t, err, "the file is gone", "is the volume mounted?")
	_, err = reader.Entries(Query{})
	wantError(t, err, "the file is gone", "is the volume mounted?")
	must(t, os.Rename(filepath.Join(dir, "elsewhere"), filepath.Join(dir, dbFile)))
	finish(t, begin(t, s, "r1"), Run{})
	must(t, s.Close())
	must(t, reader.Close())
	must(t, os.Remove(filepath.Join(dir, dbFile)))
	log, told := logged()
	s = newStore(t, location.Folder(dir), Options{Logger: log})
	finish(t, begin(t, s, "r2"), Run{})
	if list := all(t, s); types(list) != "operator run" || list[0].Action != ActionLost || !strings.Contains(told.String(), "missing although there was one") {
		t.Errorf("%+v, %s", list, told)
	}
}

// A process notices that another has replaced the file.
func TestReplaced(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := t.TempDir()
	s := newStore(t, location.Folder(dir), Options{})
	_, err := s.Add(Entry{Type: TypeOperator, Action: "first"})
	must(t, err)
	other := newStore(t, location.Folder(dir), Options{})
	_, err = other.Add(Entry{Type: TypeOperator, Action: "second"})
	must(t, err)
	must(t, other.place.replace(ErrDamaged))
	_, err = s.Add(Entry{Type: TypeOperator, Action: "third"})
	must(t, err)
	list := all(t, other)
	if len(list) != 2 || list[0].Action != ActionDamaged || list[1].Action != "third" {
		t.Errorf("%+v", list)
	}
	whole(t, s, "")
}

func TestNewerSchema(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := t.TempDir()
	s := New(location.Folder(dir), Options{})
	s.place.(*folder).steps = append(schema(), "CREATE TABLE later (x TEXT) STRICT;")
	_, err := s.Add(Entry{Type: TypeOperator, Action: "start"})
	must(t, err)
	must(t, s.Close())
	s = newStore(t, location.Folder(dir), Options{})
	_, err = s.Begin(Run{ID: "r1"})
	wantError(t, err, "it has schema 2, and this version of the program knows no more than 1", "a newer version has used this folder")
	if left, err := filepath.Glob(filepath.Join(dir, "*corrupt*")); len(left) > 0 || err != nil {
		t.Errorf("%q, %v", left, err)
	}
}

// An older schema is migrated, by several processes at once.
func TestMigrated(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := t.TempDir()
	s := New(location.Folder(dir), Options{})
	_, err := s.Add(Entry{Type: TypeOperator, Action: "start"})
	must(t, err)
	must(t, s.Close())
	var wg sync.WaitGroup
	for i := range 4 {
		s := newStore(t, location.Folder(dir), Options{})
		s.place.(*folder).steps = append(schema(), "CREATE TABLE later (x TEXT) STRICT;")
		wg.Go(func() {
			if _, err := s.Add(Entry{Type: TypeOperator, Action: fmt.Sprint("op", i)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// A reader leaves an older schema as it is, and sees what the older version adds. The
// first writer keeps a copy, which is the way back.
func TestUpgradeAndBack(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := t.TempDir()
	old := newStore(t, location.Folder(dir), Options{})
	_, err := old.Add(Entry{Type: TypeOperator, Action: "start"})
	must(t, err)
	later := append(schema(), "CREATE TABLE later (x TEXT) STRICT;")
	reader := newStore(t, location.Folder(dir), Options{})
	reader.place.(*folder).steps = later
	entries := func(s *Store, want int64) {
		t.Helper()
		if v := whole(t, s, ""); v.Entries != want {
			t.Errorf("%+v", v)
		}
	}
	entries(reader, 1)
	first, err := reader.Version()
	must(t, err)
	_, err = old.Add(Entry{Type: TypeOperator, Action: "again"})
	must(t, err)
	entries(reader, 2)
	if second, err := reader.Version(); err != nil || first == second {
		t.Errorf("%v, %v: %v", first, second, err)
	}
	must(t, old.Close())

	writer := newStore(t, location.Folder(dir), Options{})
	writer.place.(*folder).steps = later
	_, err = writer.Add(Entry{Type: TypeOperator, Action: "upgraded"})
	must(t, err)
	entries(reader, 3)
	must(t, errors.Join(reader.Close(), writer.Close()))
	_, err = old.Add(Entry{Type: TypeOperator, Action: "late"})
	wantError(t, err, "it has schema 2, and this version of the program knows no more than 1", "docs/recovery.md says how to go back")
	must(t, old.Close())

	kept, err := filepath.Glob(filepath.Join(dir, "history.db.schema-1-*"))
	must(t, err)
	if len(kept) != 1 {
		t.Fatalf("kept: %q", kept)
	}
	for _, beside := range []string{"-wal", "-shm"} {
		if err := os.Remove(filepath.Join(dir, dbFile+beside)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	must(t, os.Rename(kept[0], filepath.Join(dir, dbFile)))
	old = newStore(t, location.Folder(dir), Options{})
	_, err = old.Add(Entry{Type: TypeOperator, Action: "back"})
	must(t, err)
	entries(old, 3)
}

func TestForeign(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, dbFile), nil, 0o600))
	db, err := file().Connect(filepath.Join(dir, dbFile))
	must(t, err)
	_, err = db.Exec("CREATE TABLE t (x)")
	must(t, err)
	must(t, db.Close())
	_, err = newStore(t, location.Folder(dir), Options{}).Begin(Run{ID: "r1"})
	wantError(t, err, "it is a database of some other program", "name another folder")
	must(t, os.Remove(filepath.Join(dir, dbFile)))
	must(t, os.Symlink("elsewhere", filepath.Join(dir, dbFile)))
	_, err = newStore(t, location.Folder(dir), Options{}).Begin(Run{ID: "r1"})
	wantError(t, err, "it is no regular file", "")
}

func TestReadOnly(t *testing.T) {
	postgrestest.OnlyFolder(t)
	if !securedirtest.Unprivileged(t) {
		return
	}
	dir := t.TempDir()
	s := New(location.Folder(dir), Options{})
	_, err := s.Add(Entry{Type: TypeOperator, Action: "start"})
	must(t, err)
	must(t, s.Close())
	must(t, os.Chmod(filepath.Join(dir, dbFile), 0o400))
	must(t, os.Chmod(dir, 0o500))
	defer os.Chmod(dir, 0o700)
	s = newStore(t, location.Folder(dir), Options{})
	_, err = s.Begin(Run{ID: "r1"})
	wantError(t, err, "can't be", "must belong to the user that the program runs as")
}

func TestFullDisk(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := securedirtest.SmallDisk(t, "1m")
	s := newStore(t, location.Folder(dir), Options{})
	r := begin(t, s, "r1")
	p, err := r.Change(change("a", "1"))
	must(t, err)
	ballast := securedirtest.FillUp(t, dir)
	long := change("b", `"`+strings.Repeat("x", 300_000)+`"`)
	_, err = r.Change(long)
	wantError(t, err, "the disk is full", "make room on the disk")
	must(t, os.Remove(ballast))
	must(t, p.End(Entry{Outcome: "applied"}))
	finish(t, r, Run{Result: "applied"})
	if got := types(all(t, s)); got != "change run" {
		t.Error(got)
	}
	whole(t, s, "")
}

// addedRuns is how many runs playAdding has.
const addedRuns = 15

// playAdding adds entries and runs.
func playAdding(args []string) error {
	s := New(postgrestest.FromArgument(args[0]), Options{})
	for i := range addedRuns {
		r, err := s.Begin(Run{ID: fmt.Sprint(args[1], i)})
		if err != nil {
			return err
		}
		p, err := r.Change(change(args[1], fmt.Sprint(i)))
		if err != nil {
			return err
		}
		if err := p.End(Entry{Outcome: "applied"}); err != nil {
			return err
		}
		if _, err := r.Finish(Run{Result: "applied"}); err != nil {
			return err
		}
	}
	return s.Close()
}

// Several processes begin a history and write to it at the same time, while others read.
func TestProcesses(t *testing.T) {
	at := postgrestest.Place(t)
	var cmds []*exec.Cmd
	for i := range 3 {
		cmd := child(t, "adding", postgrestest.Argument(at), fmt.Sprint("p", i))
		must(t, cmd.Start())
		cmds = append(cmds, cmd)
	}
	s := newStore(t, at, Options{})
	copies := 0
	for deadline := time.Now().Add(2 * time.Second); copies < 3 && time.Now().Before(deadline); {
		whole(t, s, "")
		if at.Dir() == "" {
			continue // there are no files to copy
		}
		target := filepath.Join(t.TempDir(), "copy")
		must(t, os.Mkdir(target, 0o700))
		must(t, s.Backup(filepath.Join(target, dbFile)))
		whole(t, newStore(t, location.Folder(target), Options{}), "")
		copies++
	}
	for _, cmd := range cmds {
		must(t, cmd.Wait())
	}
	for i := range 3 {
		list, err := s.Entries(Query{Org: fmt.Sprint("p", i)})
		must(t, err)
		if len(list) != addedRuns {
			t.Errorf("p%d: %d changes", i, len(list))
		}
	}
	if v := whole(t, s, ""); v.Entries != 6*addedRuns {
		t.Errorf("%+v", v)
	}
}

// One sync for many changes at the same time: compare the time of a change in both.
func BenchmarkChange(b *testing.B) {
	for _, parallel := range []int{1, 10} {
		b.Run(fmt.Sprint(parallel), func(b *testing.B) {
			s := newStore(b, location.Folder(b.TempDir()), Options{})
			r := begin(b, s, "r1")
			b.ResetTimer()
			var wg sync.WaitGroup
			for range parallel {
				wg.Go(func() {
					for range b.N / parallel {
						if _, err := r.Change(change("a", "1")); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// A run in which nothing has changed, over 200 orgs of 10 KB.
func BenchmarkQuietRun(b *testing.B) {
	s := newStore(b, location.Folder(b.TempDir()), Options{})
	var states []OrgState
	for i := range 200 {
		value := []byte(fmt.Sprintf(`{"products":["P%d"],"zones":[%s{}]}`, i, strings.Repeat(`{"name":"Zone","type":"IP"},`, 350)))
		states = append(states, OrgState{Org: fmt.Sprint("org", i), Declared: value, Live: value})
	}
	for i := 0; b.Loop(); i++ {
		r := begin(b, s, fmt.Sprint("r", i))
		_, err := r.Drift(nil, everything)
		must(b, err)
		must(b, r.States(states))
		finish(b, r, Run{Quiet: true})
	}
}
