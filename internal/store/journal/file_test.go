package journal

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/freeze"
	"reconciler/internal/store/postgres/postgrestest"
	"reconciler/internal/store/securedir/securedirtest"
	"reconciler/internal/store/sqlitefile"
)

func TestDurable(t *testing.T) {
	postgrestest.OnlyFolder(t)
	j := openJournal(t, t.TempDir(), Options{})
	for name, desired := range map[string]int{"synchronous": 3, "foreign_keys": 1, "application_id": applicationID} {
		if actual, err := sqlitefile.Pragma(j.db(), name); err != nil || actual != desired {
			t.Errorf("%s: %d, %v", name, actual, err)
		}
	}
	var mode string
	must(t, j.db().QueryRow("PRAGMA journal_mode").Scan(&mode))
	if mode != "delete" {
		t.Errorf("journal_mode: %s", mode)
	}
}

func TestModesWhateverTheUmask(t *testing.T) {
	postgrestest.OnlyFolder(t)
	for _, mask := range []int{0, 0o777, 0o027} {
		dir := filepath.Join(t.TempDir(), "a", "b")
		old := syscall.Umask(mask)
		j, err := lockJournal(dir, Options{})
		syscall.Umask(old)
		must(t, err)
		must(t, j.Begin(acme()))
		entries, err := os.ReadDir(dir)
		must(t, err)
		for _, e := range entries {
			info, err := e.Info()
			must(t, err)
			if info.Mode().Perm() != 0o600 {
				t.Errorf("umask %o: %s has mode %o", mask, e.Name(), info.Mode().Perm())
			}
		}
		for _, d := range []string{dir, filepath.Dir(dir)} {
			if info, err := os.Stat(d); err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("umask %o: %s: %v, %v", mask, d, info.Mode(), err)
			}
		}
		must(t, j.Close())
	}
}

func TestOddNames(t *testing.T) {
	postgrestest.OnlyFolder(t)
	for _, name := range []string{"a b", "a?mode=memory", "a#b", "a%41b", "é", "a&b=c", "a'b\"c", "a+b", "-a", ":memory:", "file:x"} {
		dir := filepath.Join(t.TempDir(), name)
		j := openJournal(t, dir, Options{})
		must(t, j.Begin(acme()))
		if info, err := os.Stat(filepath.Join(dir, dbFile)); err != nil || info.Size() == 0 {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestRelativeFolder(t *testing.T) {
	postgrestest.OnlyFolder(t)
	t.Chdir(t.TempDir())
	for _, dir := range []string{".", "state", "./x/y/", "x/../z"} {
		j := openJournal(t, dir, Options{})
		must(t, j.Begin(acme()))
		if _, err := os.Stat(filepath.Join(dir, dbFile)); err != nil {
			t.Error(err)
		}
	}
	_, err := lockJournal("", Options{})
	wantError(t, err, "no folder is named", "")
}

func TestModeIsMended(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := t.TempDir()
	must(t, openJournal(t, dir, Options{}).Close())
	must(t, os.Chmod(filepath.Join(dir, dbFile), 0o666))
	openJournal(t, dir, Options{})
	if info, err := os.Stat(filepath.Join(dir, dbFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestFoldersThatWontDo(t *testing.T) {
	postgrestest.OnlyFolder(t)
	base := t.TempDir()
	path := func(name string) string { return filepath.Join(base, name) }
	for _, name := range []string{"group", "world", "real", "occupied", "dangling", "foreign"} {
		must(t, os.Mkdir(path(name), 0o700))
	}
	must(t, os.Chmod(path("group"), 0o770))
	must(t, os.Chmod(path("world"), 0o707))
	must(t, os.Symlink(path("real"), path("link")))
	must(t, os.WriteFile(path("file"), nil, 0o600))
	must(t, os.Mkdir(filepath.Join(path("occupied"), dbFile), 0o700))
	must(t, os.Symlink("/etc/hostname", filepath.Join(path("dangling"), dbFile)))
	must(t, os.Symlink("/tmp/elsewhere.lock", filepath.Join(path("foreign"), lockFile)))
	tests := []struct{ dir, words, hint string }{
		{"group", `folder "` + path("group") + `" may be written to by others (mode 0770)`, "chmod go-w"},
		{"world", "(mode 0707)", "chmod go-w"},
		{"link", "is a symbolic link", "name the folder that it points to"},
		{"link/", "is a symbolic link", ""},
		{"file", "is not a folder", ""},
		{"file/state", "not a directory", ""},
		{"occupied", "is no regular file", ""},
		{"dangling", "is no regular file", ""},
		{"foreign", "opening the lock file", ""},
	}
	for _, tt := range tests {
		_, err := lockJournal(base+"/"+tt.dir, Options{})
		wantError(t, err, tt.words, tt.hint)
		if tt.dir == "foreign" {
			continue // reading needs no lock
		}
		wantError(t, check(base+"/"+tt.dir), tt.words, tt.hint)
	}
	if os.Geteuid() == 0 {
		must(t, os.Mkdir(path("theirs"), 0o700))
		must(t, os.Chown(path("theirs"), 1234, 1234))
		_, err := lockJournal(path("theirs"), Options{})
		wantError(t, err, "belongs to user 1234, and this program runs as user 0", "chown")
	}
}

// TestReadOnly: a folder of ours in which nothing may be written.
func TestReadOnly(t *testing.T) {
	postgrestest.OnlyFolder(t)
	if !securedirtest.Unprivileged(t) {
		return
	}
	dir := t.TempDir()
	j := openJournal(t, dir, Options{})
	must(t, j.Begin(acme()))
	must(t, j.Close())
	must(t, os.Chmod(dir, 0o500))
	defer os.Chmod(dir, 0o700)
	must(t, os.Chmod(filepath.Join(dir, lockFile), 0o400))
	_, err := lockJournal(dir, Options{})
	wantError(t, err, "opening the lock file: permission denied", "must be the owner")
	must(t, os.Chmod(filepath.Join(dir, lockFile), 0o600))
	j = openJournal(t, dir, Options{})
	wantError(t, j.MarkRefused(acmeKey(), "x"), "it can't be written to", "must belong to the user")
	must(t, j.Close())
	_, err = lockJournal(filepath.Join(dir, "new"), Options{})
	wantError(t, err, "permission denied", "must be the owner")
	if _, err := os.Stat(filepath.Join(dir, dbFile)); err != nil {
		t.Errorf("the journal was moved: %v", err)
	}
	must(t, os.Chmod(dir, 0o700))
	if creation(t, openJournal(t, dir, Options{}).Journal, acmeKey()).Step != Intent {
		t.Error("not as before")
	}

	must(t, os.Chmod(dir, 0))
	wantError(t, check(dir), "permission denied", "")
}

func TestFullDisk(t *testing.T) {
	postgrestest.OnlyFolder(t)
	disk := securedirtest.SmallDisk(t, "1m")
	dir := filepath.Join(disk, "state")
	j := openJournal(t, dir, Options{})
	reach(t, j, acme(), Sent)
	ballast := securedirtest.FillUp(t, disk)
	writeUntilFull(t, j)
	must(t, os.Remove(ballast))
	must(t, j.MarkCreated(acmeKey(), "00o1", start()))

	// It can still be read, and opened again, when there is no room at all.
	must(t, j.Close())
	ballast = securedirtest.FillUp(t, disk)
	j, err := lockJournal(dir, Options{})
	if err != nil {
		wantError(t, err, "disk", "")
	} else {
		must(t, j.Close())
	}
	_, err = lockJournal(filepath.Join(disk, "other"), Options{})
	wantError(t, err, "", "room")
	must(t, os.Remove(ballast))
	j = openJournal(t, dir, Options{})
	if c := creation(t, j.Journal, acmeKey()); c.Step != Created {
		t.Errorf("after the disk had room again: %+v", c)
	}
	if a, err := j.Loss(); a != nil || err != nil {
		t.Errorf("a full disk was taken for damage: %v, %v", a, err)
	}
	j2 := openJournal(t, filepath.Join(disk, "other"), Options{})
	if a, err := j2.Loss(); a != nil || err != nil {
		t.Errorf("a full disk was taken for damage: %v, %v", a, err)
	}
}

// writeUntilFull begins creations until there is no room, and then looks
// whether all that were begun are there, and the failed one is not.
func writeUntilFull(t *testing.T, j *Writer) {
	t.Helper()
	for n := range 100000 {
		k := Key{account, fmt.Sprintf("full-%d.okta.com", n)}
		err := j.Begin(Creation{Key: k, Parent: "acme", Subdomain: strings.Repeat("x", 1000)})
		if err == nil {
			continue
		}
		wantError(t, err, "beginning a creation: the disk is full", "make room")
		if c, err := j.Creation(k); c != nil || err != nil {
			t.Errorf("a write that failed is there: %v, %v", c, err)
		}
		for i := range n {
			creation(t, j.Journal, Key{account, fmt.Sprintf("full-%d.okta.com", i)})
		}
		return
	}
	t.Fatal("the disk is never full")
}

// TestFullDatabase is TestFullDisk for systems where nothing can be mounted.
func TestFullDatabase(t *testing.T) {
	postgrestest.OnlyFolder(t)
	j := openJournal(t, t.TempDir(), Options{})
	pages, err := sqlitefile.Pragma(j.db(), "page_count")
	must(t, err)
	_, err = sqlitefile.Pragma(j.db(), fmt.Sprintf("max_page_count = %d", pages+3))
	must(t, err)
	writeUntilFull(t, j)
	_, err = sqlitefile.Pragma(j.db(), "max_page_count = 1000000")
	must(t, err)
	must(t, j.Begin(acme()))
}

// playLimit begins creations in args[0] until a file may not grow any more.
func playLimit(args []string) error {
	j, err := lockJournal(args[0], Options{})
	if err != nil {
		return err
	}
	defer j.Close()
	limit := syscall.Rlimit{Cur: 200 << 10, Max: 200 << 10}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	for n := range 10000 {
		err := j.Begin(Creation{Key: Key{account, fmt.Sprintf("n%d.okta.com", n)}, Parent: "acme", Subdomain: strings.Repeat("x", 1000)})
		if err != nil {
			fmt.Print(n)
			return nil
		}
	}
	return errors.New("there was no end to it")
}

// TestFilesThatMayNotGrow: another way in which a write fails half way.
func TestFilesThatMayNotGrow(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := t.TempDir()
	out, err := child(t, "limit", dir).Output()
	must(t, err)
	var begun int
	if _, err := fmt.Sscan(string(out), &begun); err != nil || begun == 0 {
		t.Fatalf("%q: %v", out, err)
	}
	j := openJournal(t, dir, Options{})
	all, err := j.Creations(account)
	must(t, err)
	if len(all) != begun {
		t.Errorf("%d are there, %d were begun", len(all), begun)
	}
}

// broken gives ways to break a journal.db that holds the creation of acme.
func broken() map[string]func(data []byte) []byte {
	return map[string]func(data []byte) []byte{
		"no header": func(d []byte) []byte { copy(d, "no database at all"); return d },
		"zeros":     func(d []byte) []byte { clear(d); return d },
		"empty":     func([]byte) []byte { return []byte{} },
		"cut":       func(d []byte) []byte { return d[:len(d)/2] },
		"cut short": func(d []byte) []byte { return d[:50] },
		"text":      func([]byte) []byte { return []byte("{}\n") },
		"a page":    func(d []byte) []byte { clear(d[4096:8192]); return d },
		"no tables": func(d []byte) []byte { clear(d[100:4096]); return d },
	}
}

func TestDamage(t *testing.T) {
	postgrestest.OnlyFolder(t)
	for name, harm := range broken() {
		dir, at := t.TempDir(), newClock()
		j := openJournal(t, dir, Options{Now: at.now})
		reach(t, j, acme(), Sent)
		must(t, j.Close())
		path := filepath.Join(dir, dbFile)
		data, err := os.ReadFile(path)
		must(t, err)
		data = harm(data)
		must(t, os.WriteFile(path, data, 0o600))

		wantError(t, check(dir), "damaged", "sets it aside")

		aside := filepath.Join(dir, "journal.db.corrupt-20261121T120000Z")
		logger, log := logged()
		j = openJournal(t, dir, Options{Now: at.now, Logger: logger})
		if words := log.String(); !strings.Contains(words, "level=ERROR") || !strings.Contains(words, "setAside="+aside) {
			t.Errorf("%s: log: %s", name, words)
		}
		if kept, err := os.ReadFile(aside); err != nil || !bytes.Equal(kept, data) {
			t.Errorf("%s: set aside: %d bytes, not %d, %v", name, len(kept), len(data), err)
		}
		desired := &Loss{Since: start(), SetAside: aside}
		for range 3 { // and it stays so
			a, err := j.Loss()
			must(t, err)
			if diff := cmp.Diff(desired, a); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
			must(t, j.Begin(acme()))
			must(t, j.Close())
			j = openJournal(t, dir, Options{Now: at.now})
		}

		v := New(locate(dir), Options{})
		must(t, v.AcknowledgeLoss("ada"))
		must(t, v.Close())
		if a, err := j.Loss(); a != nil || err != nil {
			t.Errorf("%s: after it was acknowledged: %v, %v", name, a, err)
		}
		must(t, j.Close())

		// It happens again within the same second.
		must(t, os.WriteFile(path, []byte("again"), 0o600))
		j = openJournal(t, dir, Options{Now: at.now})
		a, err := j.Loss()
		must(t, err)
		if a == nil || a.SetAside != aside+"-2" {
			t.Errorf("%s: the second time: %+v", name, a)
		}
		if kept, err := os.ReadFile(aside); err != nil || !bytes.Equal(kept, data) {
			t.Errorf("%s: the first one was touched: %v", name, err)
		}
	}
}

// killed copies a journal as a process leaves it that is killed within a write,
// with the rollback journal beside it.
func killed(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	j := openJournal(t, dir, Options{})
	reach(t, j, acme(), Sent)
	must(t, j.write("testing", func(tx *sql.Tx) error {
		if _, err := tx.Exec(`UPDATE creations SET domain = 'half-written.okta.com'`); err != nil {
			return err
		}
		// More than the cache holds, so that it is written before the commit.
		if _, err := tx.Exec(`INSERT INTO runs (id, started_at, finished_at, result, record) VALUES ('x', 'x', '', '', ?)`, strings.Repeat("x", 8<<20)); err != nil {
			return err
		}
		dir = copyDir(t, dir)
		return nil
	}))
	if info, err := os.Stat(filepath.Join(dir, rollbackFile)); err != nil || info.Size() == 0 {
		t.Fatalf("there is no rollback journal: %v", err)
	}
	return dir
}

// TestKilledWithin: what a killed process had written in part is undone.
func TestKilledWithin(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := killed(t)
	v := New(locate(dir), Options{})
	if c := creation(t, v, acmeKey()); c.Step != Sent {
		t.Errorf("%+v", c)
	}
	must(t, v.Close())
	if c := creation(t, openJournal(t, dir, Options{}).Journal, acmeKey()); c.Step != Sent {
		t.Errorf("%+v", c)
	}
}

// TestDamageWithRollback: the rollback journal of a killed process goes with its
// file.
func TestDamageWithRollback(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := killed(t)
	rollback, err := os.ReadFile(filepath.Join(dir, rollbackFile))
	must(t, err)
	must(t, os.Remove(filepath.Join(dir, dbFile)))
	wantError(t, check(dir), "damaged: it is gone", "sets it aside")
	j := openJournal(t, dir, Options{})
	l, err := j.Loss()
	must(t, err)
	kept, err := os.ReadFile(l.SetAside + "-journal")
	must(t, err)
	if !bytes.Equal(kept, rollback) {
		t.Error("the rollback journal is not as it was")
	}
}

// TestKilledAfterSetAside: a process may die after it has set the file aside, and
// before the new one is there.
func TestKilledAfterSetAside(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, file().AsidePrefix()+"20260101T000000Z-journal"), []byte("x"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, file().NewName()), []byte("half made"), 0o600))
	wantError(t, check(dir), "damaged: it was set aside as journal.db.corrupt-20260101T000000Z, and no other has begun", "sets it aside")
	j := openJournal(t, dir, Options{})
	if l, err := j.Loss(); err != nil || l == nil || l.SetAside != filepath.Join(dir, file().AsidePrefix()+"20260101T000000Z") {
		t.Errorf("%v, %v", l, err)
	}
}

// TestRandomDamage flips bytes: the journal opens as it was, or is set aside,
// or (if SQLite can't tell) gives errors; it never panics.
func TestRandomDamage(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := t.TempDir()
	j := openJournal(t, dir, Options{})
	reach(t, j, acme(), Sent)
	must(t, j.Close())
	whole, err := os.ReadFile(filepath.Join(dir, dbFile))
	must(t, err)
	r := rand.New(rand.NewPCG(3, uint64(time.Now().UnixNano())))
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	for range rounds {
		data := bytes.Clone(whole)
		for range 1 + r.IntN(20) {
			data[r.IntN(len(data))] = byte(r.IntN(256))
		}
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, dbFile), data, 0o600))
		j, err := lockJournal(dir, Options{})
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Error(err)
			}
			continue
		}
		c, err := j.Creation(acmeKey())
		a, lossErr := j.Loss()
		if err == nil && lossErr == nil && c == nil && a == nil {
			// A flipped letter of a key is a legal content of a database; a
			// lost row is not.
			if all, err := j.db().Query(`SELECT 1 FROM creations`); err == nil {
				if !all.Next() && all.Err() == nil {
					t.Error("the creation is gone, and nothing tells of it")
				}
				all.Close()
			}
		}
		must(t, j.Close())
	}
}

// TestForeign: what isn't a journal of a version that we know stays untouched.
func TestForeign(t *testing.T) {
	postgrestest.OnlyFolder(t)
	tests := map[string]struct{ sql, words, hint string }{
		"another program's": {"CREATE TABLE t (x)", "is a database of some other program", "another folder"},
		"newer": {
			fmt.Sprintf("CREATE TABLE t (x); PRAGMA user_version = 99; PRAGMA application_id = %d", applicationID),
			fmt.Sprintf("it has schema 99, and this version of the program knows no more than %d", len(schema())), "a newer version has used this folder",
		},
	}
	for name, tt := range tests {
		dir := t.TempDir()
		path := filepath.Join(dir, dbFile)
		must(t, os.WriteFile(path, nil, 0o600))
		db, err := file().Connect(path)
		must(t, err)
		_, err = db.Exec(tt.sql)
		must(t, err)
		must(t, db.Close())
		before, err := os.ReadFile(path)
		must(t, err)
		_, err = lockJournal(dir, Options{})
		wantError(t, err, tt.words, tt.hint)
		wantError(t, check(dir), tt.words, tt.hint)
		after, err := os.ReadFile(path)
		must(t, err)
		if !bytes.Equal(before, after) {
			t.Errorf("%s: it was changed", name)
		}
		if last, err := filepath.Glob(filepath.Join(dir, file().AsidePrefix()+"*")); len(last) > 0 || err != nil {
			t.Errorf("%s: it was set aside: %v, %v", name, last, err)
		}
	}
}

// check is what doctor does.
func check(dir string) error {
	j := New(locate(dir), Options{})
	return errors.Join(j.Check(), j.Close())
}

// TestNone: where there is no journal, reading finds nothing and creates nothing.
func TestNone(t *testing.T) {
	postgrestest.OnlyFolder(t)
	missing := filepath.Join(t.TempDir(), "missing")
	for _, dir := range []string{"", missing} {
		v := New(locate(dir), Options{})
		must(t, v.Check())
		if all, err := v.Creations(account); len(all) > 0 || err != nil {
			t.Errorf("%v, %v", all, err)
		}
		if c, err := v.Creation(acmeKey()); c != nil || err != nil {
			t.Errorf("%v, %v", c, err)
		}
		if l, err := v.Loss(); l != nil || err != nil {
			t.Errorf("%v, %v", l, err)
		}
		if a, ok, err := v.Accepted("x"); ok || err != nil {
			t.Errorf("%v, %v", a, err)
		}
		if all, err := v.Announcements(account); len(all) > 0 || err != nil {
			t.Errorf("%v, %v", all, err)
		}
		if all, err := v.Suspensions(); len(all) > 0 || err != nil {
			t.Errorf("%v, %v", all, err)
		}
		if all, err := v.Removals(account, time.Time{}); len(all) > 0 || err != nil {
			t.Errorf("%v, %v", all, err)
		}
		if all, err := v.Orgs(account); len(all) > 0 || err != nil {
			t.Errorf("%v, %v", all, err)
		}
		if exists, err := v.Exists(); exists || err != nil {
			t.Errorf("%v, %v", exists, err)
		}
		if all, err := v.Resume(everything); len(all) > 0 || err != nil {
			t.Errorf("%v, %v", all, err)
		}
		wantError(t, v.Acknowledge(acmeKey(), "ada"), "knows of no such creation", "")
		must(t, v.Close())
	}
	if _, err := os.Lstat(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading created the folder: %v", err)
	}
	v := New(locate(missing), Options{})
	defer v.Close()
	must(t, v.AcknowledgeLoss("ada"))
	if _, err := os.Lstat(filepath.Join(missing, dbFile)); err != nil {
		t.Errorf("acknowledging has not created the journal: %v", err)
	}
	_, err := New(locate(""), Options{}).Suspend(freeze.Suspension{Reason: "r", Owner: "o"})
	wantError(t, err, "no folder is named", "")
}

// TestBeside: processes see what the others write, whoever holds the lock.
func TestBeside(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := t.TempDir()
	v := New(locate(dir), Options{})
	defer v.Close()
	if c, err := v.Creation(acmeKey()); c != nil || err != nil {
		t.Errorf("before there is a journal: %v, %v", c, err)
	}
	j := openJournal(t, dir, Options{})
	reach(t, j, acme(), Created)
	must(t, j.MarkTokenLost(acmeKey(), "no room"))
	if c := creation(t, v, acmeKey()); !c.Alarm() {
		t.Errorf("%+v", c)
	}
	must(t, v.Acknowledge(acmeKey(), "ada"))
	if c := creation(t, j.Journal, acmeKey()); c.Alarm() || c.AcknowledgedBy != "ada" {
		t.Errorf("the holder doesn't see it: %+v", c)
	}
	must(t, j.MarkLinked(acmeKey(), "00o1"))
	if c := creation(t, v, acmeKey()); c.Step != Linked {
		t.Errorf("the other doesn't see it: %+v", c)
	}
	must(t, j.Accept(Acceptance{Source: "x", Commit: "c", At: start()}, "", false))
	if a, ok, err := v.Accepted("x"); !ok || err != nil || a.Commit != "c" {
		t.Errorf("the other doesn't see it: %+v, %v", a, err)
	}
	must(t, j.Announce(Announcement{Account: account, OrgID: "00o1", Action: "set-status", At: start()}))
	if all, err := v.Announcements(account); len(all) != 1 || err != nil {
		t.Errorf("the other doesn't see it: %v, %v", all, err)
	}
	must(t, v.Close())
	must(t, v.Close())
	if c := creation(t, v, acmeKey()); c.Step != Linked {
		t.Errorf("used after it was closed: %+v", c)
	}
}

// TestReplaced: a file that takes the place of the one that is open is used from
// then on, whether somebody restored a backup or another process set it aside.
func TestReplaced(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := t.TempDir()
	path := filepath.Join(dir, dbFile)
	j := openJournal(t, dir, Options{})
	reach(t, j, acme(), Sent)
	backup, err := os.ReadFile(path)
	must(t, err)
	must(t, j.MarkCreated(acmeKey(), "00o1", start()))

	must(t, os.WriteFile(path+".backup", backup, 0o600))
	must(t, os.Rename(path+".backup", path))
	if c := creation(t, j.Journal, acmeKey()); c.Step != Sent {
		t.Errorf("after a backup was restored: %+v", c)
	}
	must(t, j.MarkCreated(acmeKey(), "00o2", start()))
	must(t, os.WriteFile(path, backup, 0o600)) // into the same file
	if c := creation(t, j.Journal, acmeKey()); c.Step != Sent {
		t.Errorf("after a backup was copied over it: %+v", c)
	}

	// Damaged while it is open: all that follows fails, until it is set aside.
	must(t, os.WriteFile(path, bytes.Repeat([]byte("no database "), 1000), 0o600))
	_, err = j.Creations(account)
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("after it was damaged: %v", err)
	}
	if err := j.MarkCreated(acmeKey(), "00o1", start()); !errors.Is(err, ErrDamaged) {
		t.Errorf("written to after it was damaged: %v", err)
	}
	v := New(locate(dir), Options{})
	defer v.Close()
	if _, err := v.Creations(account); !errors.Is(err, ErrDamaged) {
		t.Errorf("another process: %v", err)
	}
	must(t, j.Unlock())
	w, err := v.Lock()
	must(t, err)
	defer w.Unlock()
	for name, one := range map[string]*Journal{"the one that set it aside": v, "the other": j.Journal} {
		if l, err := one.Loss(); l == nil || err != nil {
			t.Errorf("%s: %v, %v", name, l, err)
		}
	}
}

// TestOpenedOnce: the file is checked when it is opened, and again only after
// somebody else wrote to it.
func TestOpenedOnce(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := t.TempDir()
	j := openJournal(t, dir, Options{})
	reach(t, j, acme(), Sent)
	db := j.db()
	must(t, j.MarkCreated(acmeKey(), "00o1", start()))
	creation(t, j.Journal, acmeKey())
	must(t, j.Unlock())
	j, err := j.Lock()
	must(t, err)
	defer j.Unlock()
	if j.db() != db {
		t.Error("it was opened again, though nobody else used it")
	}
	other := New(locate(dir), Options{})
	suspend(t, other, suspension())
	must(t, other.Close())
	creation(t, j.Journal, acmeKey())
	if j.db() == db {
		t.Error("it was not opened again after somebody else wrote to it")
	}
}

// TestGone: a journal that was there doesn't become one that knows nothing, as
// when its volume is no longer mounted.
func TestGone(t *testing.T) {
	postgrestest.OnlyFolder(t)
	base := t.TempDir()
	dir, away := filepath.Join(base, "state"), filepath.Join(base, "away")
	wantGone := func(j *Journal, when string) {
		t.Helper()
		_, err := j.Suspensions()
		if !errors.Is(err, ErrGone) {
			t.Errorf("%s: reading: %v", when, err)
		}
		wantError(t, err, fmt.Sprintf("journal %q: ", filepath.Join(dir, dbFile)), "is the volume mounted?")
		if _, err := j.Suspend(suspension()); !errors.Is(err, ErrGone) {
			t.Errorf("%s: suspending: %v", when, err)
		}
		if _, err := j.Resume(everything); !errors.Is(err, ErrGone) {
			t.Errorf("%s: resuming: %v", when, err)
		}
		if _, err := j.Lock(); !errors.Is(err, ErrGone) {
			t.Errorf("%s: locking: %v", when, err)
		}
	}
	reader, maker := New(locate(dir), Options{}), New(locate(dir), Options{})
	defer reader.Close()
	defer maker.Close()
	wantSuspended(t, reader)
	one := suspend(t, maker, suspension())
	wantSuspended(t, reader, one.ID)
	must(t, os.Rename(dir, away))
	wantGone(reader, "without the folder")
	wantGone(maker, "without the folder, to the process that wrote the file")
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder was created: %v", err)
	}
	must(t, os.Mkdir(dir, 0o700)) // what a volume is mounted on
	wantGone(reader, "without the file")
	wantGone(maker, "without the file, to the process that wrote it")
	fresh := New(locate(dir), Options{})
	defer fresh.Close()
	wantSuspended(t, fresh)
	must(t, os.RemoveAll(dir))
	must(t, os.Rename(away, dir))
	wantSuspended(t, reader, one.ID)

	// A folder without a file that vanishes may have got a file meanwhile.
	must(t, os.Remove(filepath.Join(dir, dbFile)))
	empty := New(locate(dir), Options{})
	defer empty.Close()
	wantSuspended(t, empty)
	must(t, os.RemoveAll(dir))
	wantGone(empty, "without the folder that had no file")
	fresh = New(locate(dir), Options{})
	defer fresh.Close()
	suspend(t, fresh, suspension())
}

// openSteps is Open by a version that has another schema.
func openSteps(dir string, opts Options, steps []string) (*Writer, error) {
	j := New(locate(dir), opts)
	j.home.(*folder).steps = steps
	return j.Lock()
}

func TestMigrations(t *testing.T) {
	postgrestest.OnlyFolder(t)
	steps := append(schema(), "ALTER TABLE runs ADD COLUMN extra TEXT NOT NULL DEFAULT 'x'", "CREATE TABLE more (x TEXT) STRICT")
	known := len(schema())
	dir := t.TempDir()
	j := openJournal(t, dir, Options{})
	reach(t, j, acme(), Sent)
	must(t, j.Close())

	// A step that fails leaves what was there, at the last step that worked.
	bad := append(steps[:len(steps):len(steps)], "CREATE TABLE good (x); CREATE TABLE runs (x)")
	_, err := openSteps(dir, Options{}, bad)
	wantError(t, err, fmt.Sprintf("migrating schema %d to %d", known+2, known+3), "")
	db, err := file().Connect(filepath.Join(dir, dbFile))
	must(t, err)
	if version, err := sqlitefile.Pragma(db, "user_version"); err != nil || version != known+2 {
		t.Errorf("after a failed step: schema %d, %v", version, err)
	}
	var tables int
	must(t, db.QueryRow(`SELECT count(*) FROM sqlite_schema WHERE name = 'good'`).Scan(&tables))
	if tables != 0 {
		t.Error("half of a step was done")
	}
	must(t, db.Close())

	logger, log := logged()
	j, err = openSteps(dir, Options{Logger: logger}, steps)
	must(t, err)
	if c := creation(t, j.Journal, acmeKey()); c.Step != Sent {
		t.Errorf("after migrating: %+v", c)
	}
	must(t, j.Close())
	if log.Len() > 0 {
		t.Errorf("there was nothing left to do: %s", log)
	}
	_, err = lockJournal(dir, Options{})
	wantError(t, err, "knows no more than", "newer version")

	old := t.TempDir()
	must(t, openJournal(t, old, Options{}).Close())
	j, err = openSteps(old, Options{Logger: logger}, steps)
	must(t, err)
	must(t, j.Close())
	if !strings.Contains(log.String(), "migrating the journal's schema") {
		t.Errorf("log: %s", log)
	}
}

// TestHeld: the error names the holder.
func TestHeld(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := t.TempDir()
	openJournal(t, dir, Options{})
	_, err := lockJournal(dir, Options{})
	var held *HeldError
	if !errors.As(err, &held) || held.Holder.PID != os.Getpid() {
		t.Errorf("%T: %v", err, err)
	}
}
