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

	"reconciler/internal/store/securedir"
	"reconciler/internal/store/securedir/securedirtest"
)

func TestDurable(t *testing.T) {
	j := openJournal(t, t.TempDir(), Options{})
	for name, desired := range map[string]int{"synchronous": 2, "foreign_keys": 1, "wal_autocheckpoint": 1, "application_id": applicationID} {
		if actual, err := pragma(j.db, name); err != nil || actual != desired {
			t.Errorf("%s: %d, %v", name, actual, err)
		}
	}
	var mode string
	must(t, j.db.QueryRow("PRAGMA journal_mode").Scan(&mode))
	if mode != "wal" {
		t.Errorf("journal_mode: %s", mode)
	}
}

func TestModesWhateverTheUmask(t *testing.T) {
	for _, mask := range []int{0, 0o777, 0o027} {
		dir := filepath.Join(t.TempDir(), "a", "b")
		old := syscall.Umask(mask)
		j, err := Open(dir, Options{})
		syscall.Umask(old)
		must(t, err)
		must(t, j.Begin(acme()))
		entries, err := os.ReadDir(dir)
		must(t, err)
		for _, e := range entries {
			info, err := e.Info()
			must(t, err)
			// Under a umask that hides files from their owner, the lock file is
			// hidden too: it holds no more than who has the lock.
			if info.Mode().Perm() != 0o600 && (e.Name() != lockFile || mask != 0o777) {
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
	t.Chdir(t.TempDir())
	for _, dir := range []string{".", "state", "./x/y/", "x/../z"} {
		j := openJournal(t, dir, Options{})
		must(t, j.Begin(acme()))
		if _, err := os.Stat(filepath.Join(dir, dbFile)); err != nil {
			t.Error(err)
		}
	}
	_, err := Open("", Options{})
	wantError(t, err, "no folder is named", "")
}

func TestModeIsMended(t *testing.T) {
	dir := t.TempDir()
	must(t, openJournal(t, dir, Options{}).Close())
	must(t, os.Chmod(filepath.Join(dir, dbFile), 0o666))
	openJournal(t, dir, Options{})
	if info, err := os.Stat(filepath.Join(dir, dbFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestFoldersThatWontDo(t *testing.T) {
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
		_, err := Open(base+"/"+tt.dir, Options{})
		wantError(t, err, tt.words, tt.hint)
		if tt.dir == "foreign" {
			continue // who looks needs no lock
		}
		_, err = Look(base+"/"+tt.dir, Options{})
		wantError(t, err, tt.words, tt.hint)
	}
	if os.Geteuid() == 0 {
		must(t, os.Mkdir(path("theirs"), 0o700))
		must(t, os.Chown(path("theirs"), 1234, 1234))
		_, err := Open(path("theirs"), Options{})
		wantError(t, err, "belongs to user 1234, and this program runs as user 0", "chown")
	}
}

// TestReadOnly: a folder of ours in which nothing may be written.
func TestReadOnly(t *testing.T) {
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
	_, err := Open(dir, Options{})
	wantError(t, err, "opening the lock file: permission denied", "must be the owner")
	must(t, os.Chmod(filepath.Join(dir, lockFile), 0o600))
	_, err = Open(dir, Options{})
	wantError(t, err, "opening: it can't be ", "must belong to the user")
	_, err = Open(filepath.Join(dir, "new"), Options{})
	wantError(t, err, "permission denied", "must be the owner")
	if _, err := os.Stat(filepath.Join(dir, dbFile)); err != nil {
		t.Errorf("the journal was moved: %v", err)
	}
	must(t, os.Chmod(dir, 0o700))
	if creation(t, &openJournal(t, dir, Options{}).View, acmeKey()).Step != Intent {
		t.Error("not as before")
	}

	must(t, os.Chmod(dir, 0))
	_, err = Look(dir, Options{})
	wantError(t, err, "permission denied", "")
}

func TestFullDisk(t *testing.T) {
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
	j, err := Open(dir, Options{})
	if err != nil {
		wantError(t, err, "disk", "")
	} else {
		must(t, j.Close())
	}
	_, err = Open(filepath.Join(disk, "other"), Options{})
	wantError(t, err, "", "room")
	must(t, os.Remove(ballast))
	j = openJournal(t, dir, Options{})
	if c := creation(t, &j.View, acmeKey()); c.Step != Created {
		t.Errorf("after the disk had room again: %+v", c)
	}
	if a, err := j.Amnesia(); a != nil || err != nil {
		t.Errorf("a full disk was taken for damage: %v, %v", a, err)
	}
	j2 := openJournal(t, filepath.Join(disk, "other"), Options{})
	if a, err := j2.Amnesia(); a != nil || err != nil {
		t.Errorf("a full disk was taken for damage: %v, %v", a, err)
	}
}

// writeUntilFull begins creations until there is no room, and then looks
// whether all that were begun are there, and the failed one is not.
func writeUntilFull(t *testing.T, j *Journal) {
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
			creation(t, &j.View, Key{account, fmt.Sprintf("full-%d.okta.com", i)})
		}
		return
	}
	t.Fatal("the disk is never full")
}

// TestFullDatabase is TestFullDisk for systems where nothing can be mounted.
func TestFullDatabase(t *testing.T) {
	j := openJournal(t, t.TempDir(), Options{})
	pages, err := pragma(j.db, "page_count")
	must(t, err)
	_, err = pragma(j.db, fmt.Sprintf("max_page_count = %d", pages+3))
	must(t, err)
	writeUntilFull(t, j)
	_, err = pragma(j.db, "max_page_count = 1000000")
	must(t, err)
	must(t, j.Begin(acme()))
}

// playLimit begins creations in args[0] until a file may not grow any more.
func playLimit(args []string) error {
	j, err := Open(args[0], Options{})
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

		_, err = Look(dir, Options{})
		wantError(t, err, "damaged", "sets it aside")

		aside := filepath.Join(dir, "journal.db.corrupt-20261121T120000Z")
		logger, log := logged()
		j = openJournal(t, dir, Options{Now: at.now, Logger: logger})
		if words := log.String(); !strings.Contains(words, "level=ERROR") || !strings.Contains(words, "setAside="+aside) {
			t.Errorf("%s: log: %s", name, words)
		}
		if kept, err := os.ReadFile(aside); err != nil || !bytes.Equal(kept, data) {
			t.Errorf("%s: set aside: %d bytes, not %d, %v", name, len(kept), len(data), err)
		}
		desired := &Amnesia{Since: start(), SetAside: aside}
		for range 3 { // and it stays so
			a, err := j.Amnesia()
			must(t, err)
			if diff := cmp.Diff(desired, a); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
			must(t, j.Begin(acme()))
			must(t, j.Close())
			j = openJournal(t, dir, Options{Now: at.now})
		}

		v, err := Look(dir, Options{})
		must(t, err)
		must(t, v.AcknowledgeAmnesia("ada"))
		must(t, v.Close())
		if a, err := j.Amnesia(); a != nil || err != nil {
			t.Errorf("%s: after it was acknowledged: %v, %v", name, a, err)
		}
		must(t, j.Close())

		// It happens again within the same second.
		must(t, os.WriteFile(path, []byte("again"), 0o600))
		j = openJournal(t, dir, Options{Now: at.now})
		a, err := j.Amnesia()
		must(t, err)
		if a == nil || a.SetAside != aside+"-2" {
			t.Errorf("%s: the second time: %+v", name, a)
		}
		if kept, err := os.ReadFile(aside); err != nil || !bytes.Equal(kept, data) {
			t.Errorf("%s: the first one was touched: %v", name, err)
		}
	}
}

// TestDamageWithLog: the log of a killed process goes with its file.
func TestDamageWithLog(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir, Options{})
	reach(t, j, acme(), Sent)
	dir = copyDir(t, dir) // as a kill would leave it
	wal, err := os.ReadFile(filepath.Join(dir, dbFile+"-wal"))
	must(t, err)
	if len(wal) == 0 {
		t.Fatal("there is no log")
	}
	must(t, os.WriteFile(filepath.Join(dir, dbFile), []byte("broken"), 0o600))
	j = openJournal(t, dir, Options{})
	a, err := j.Amnesia()
	must(t, err)
	kept, err := os.ReadFile(a.SetAside + "-wal")
	must(t, err)
	if !bytes.Equal(kept, wal) {
		t.Error("the log is not as it was")
	}
}

// TestGone: journal.db is gone, and something beside it tells that it was there.
func TestGone(t *testing.T) {
	t.Run("log left", func(t *testing.T) {
		dir := t.TempDir()
		reach(t, openJournal(t, dir, Options{}), acme(), Sent)
		dir = copyDir(t, dir)
		must(t, os.Remove(filepath.Join(dir, dbFile)))
		j := openJournal(t, dir, Options{})
		if a, err := j.Amnesia(); a == nil || err != nil {
			t.Errorf("%v, %v", a, err)
		} else if _, err := os.Stat(a.SetAside + "-wal"); err != nil {
			t.Error(err)
		}
	})
	t.Run("killed after it was set aside", func(t *testing.T) {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, asidePrefix+"20260101T000000Z-wal"), []byte("x"), 0o600))
		must(t, os.WriteFile(filepath.Join(dir, newFile), []byte("half made"), 0o600))
		desired := filepath.Join(dir, asidePrefix+"20260101T000000Z")
		v, err := Look(dir, Options{})
		must(t, err)
		defer v.Close()
		if a, err := v.Amnesia(); err != nil || a == nil || a.SetAside != desired {
			t.Errorf("looking: %v, %v", a, err)
		}
		j := openJournal(t, dir, Options{})
		if a, err := j.Amnesia(); err != nil || a == nil || a.SetAside != desired {
			t.Errorf("%v, %v", a, err)
		}
	})
}

// TestLogLost: whatever becomes of the log, journal.db alone has it all.
func TestLogLost(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir, Options{})
	reach(t, j, acme(), Linked)
	wal, err := os.ReadFile(filepath.Join(dir, dbFile+"-wal"))
	must(t, err)
	harms := map[string]func(path string) error{
		"gone":    os.Remove,
		"empty":   func(p string) error { return os.Truncate(p, 0) },
		"zeros":   func(p string) error { return os.WriteFile(p, make([]byte, len(wal)), 0o600) },
		"garbage": func(p string) error { return os.WriteFile(p, bytes.Repeat([]byte("x"), len(wal)), 0o600) },
	}
	for size := 0; size < len(wal); size += 1000 {
		harms[fmt.Sprintf("cut at %d", size)] = func(p string) error { return os.Truncate(p, int64(size)) }
	}
	for name, harm := range harms {
		copied := copyDir(t, dir)
		must(t, harm(filepath.Join(copied, dbFile+"-wal")))
		j := openJournal(t, copied, Options{})
		if c := creation(t, &j.View, acmeKey()); c.Step != Linked {
			t.Errorf("%s: %+v", name, c)
		}
		must(t, j.Close())
	}
}

// TestRandomDamage flips bytes: the journal opens as it was, or is set aside,
// or (if SQLite can't tell) gives errors; it never panics.
func TestRandomDamage(t *testing.T) {
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
		j, err := Open(dir, Options{})
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Error(err)
			}
			continue
		}
		c, err := j.Creation(acmeKey())
		a, amnesiaErr := j.Amnesia()
		if err == nil && amnesiaErr == nil && c == nil && a == nil {
			// A flipped letter of a key is a legal content of a database; a
			// lost row is not.
			if all, err := j.db.Query(`SELECT 1 FROM creations`); err == nil {
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
	tests := map[string]struct{ sql, words, hint string }{
		"another program's": {"CREATE TABLE t (x)", "is a database of some other program", "another folder"},
		"newer": {
			fmt.Sprintf("CREATE TABLE t (x); PRAGMA user_version = 99; PRAGMA application_id = %d", applicationID),
			fmt.Sprintf("it has schema 99, and this version of the program knows no more than %d", len(migrations())), "a newer version has used this folder",
		},
	}
	for name, tt := range tests {
		dir := t.TempDir()
		path := filepath.Join(dir, dbFile)
		must(t, os.WriteFile(path, nil, 0o600))
		db, err := connect(path, "rw")
		must(t, err)
		_, err = db.Exec(tt.sql)
		must(t, err)
		must(t, db.Close())
		before, err := os.ReadFile(path)
		must(t, err)
		_, err = Open(dir, Options{})
		wantError(t, err, tt.words, tt.hint)
		_, err = Look(dir, Options{})
		wantError(t, err, tt.words, tt.hint)
		after, err := os.ReadFile(path)
		must(t, err)
		if !bytes.Equal(before, after) {
			t.Errorf("%s: it was changed", name)
		}
		if last, err := filepath.Glob(filepath.Join(dir, asidePrefix+"*")); len(last) > 0 || err != nil {
			t.Errorf("%s: it was set aside: %v, %v", name, last, err)
		}
	}
}

func TestLook(t *testing.T) {
	base := t.TempDir()
	missing := filepath.Join(base, "missing")
	v, err := Look(missing, Options{})
	must(t, err)
	if all, err := v.Creations(account); len(all) > 0 || err != nil {
		t.Errorf("%v, %v", all, err)
	}
	if all, err := v.Runs(10); len(all) > 0 || err != nil {
		t.Errorf("%v, %v", all, err)
	}
	if a, err := v.Amnesia(); a != nil || err != nil {
		t.Errorf("%v, %v", a, err)
	}
	if a, ok, err := v.Accepted("x"); ok || err != nil {
		t.Errorf("%v, %v", a, err)
	}
	if all, err := v.Announcements(account); len(all) > 0 || err != nil {
		t.Errorf("%v, %v", all, err)
	}
	wantError(t, v.Acknowledge(acmeKey(), "ada"), "knows of no such creation", "")
	must(t, v.Close())
	if _, err := os.Lstat(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("looking made the folder: %v", err)
	}

	// Beside the process that holds it.
	j := openJournal(t, base, Options{})
	reach(t, j, acme(), Created)
	must(t, j.MarkTokenLost(acmeKey(), "no room"))
	v, err = Look(base, Options{})
	must(t, err)
	if c := creation(t, v, acmeKey()); !c.Alarm() {
		t.Errorf("%+v", c)
	}
	must(t, v.Acknowledge(acmeKey(), "ada"))
	if c := creation(t, &j.View, acmeKey()); c.Alarm() || c.AcknowledgedBy != "ada" {
		t.Errorf("the holder doesn't see it: %+v", c)
	}
	must(t, j.MarkLinked(acmeKey(), "00o1"))
	if c := creation(t, v, acmeKey()); c.Step != Linked {
		t.Errorf("the view doesn't see it: %+v", c)
	}
	must(t, j.Accept(Acceptance{Source: "x", Commit: "c", At: start()}, "", false))
	if a, ok, err := v.Accepted("x"); !ok || err != nil || a.Commit != "c" {
		t.Errorf("the view doesn't see it: %+v, %v", a, err)
	}
	must(t, j.Announce(Announcement{Account: account, OrgID: "00o1", Action: "set-status", At: start()}))
	if all, err := v.Announcements(account); len(all) != 1 || err != nil {
		t.Errorf("the view doesn't see it: %v, %v", all, err)
	}
	must(t, v.Close())
	must(t, v.Close())
}

// What a view writes to a journal of an older schema is written to the file,
// which is brought up to date for it.
func TestViewModernizes(t *testing.T) {
	dir := t.TempDir()
	steps := migrations()
	j, err := open(dir, Options{}, steps[:1])
	must(t, err)
	reach(t, j, acme(), Created)
	must(t, j.MarkTokenLost(acmeKey(), "no room"))

	v, err := Look(dir, Options{})
	must(t, err)
	var held *HeldError
	if err := v.Acknowledge(acmeKey(), "ada"); !errors.As(err, &held) {
		t.Errorf("while another process has it: %v", err)
	}
	must(t, j.Close())
	must(t, v.Acknowledge(acmeKey(), "ada"))
	if c := creation(t, v, acmeKey()); c.Alarm() || c.AcknowledgedBy != "ada" {
		t.Errorf("the view: %+v", c)
	}
	must(t, v.Close())
	j = openJournal(t, dir, Options{})
	if c := creation(t, &j.View, acmeKey()); c.Alarm() || c.AcknowledgedBy != "ada" {
		t.Errorf("the file: %+v", c)
	}
}

func TestMigrations(t *testing.T) {
	steps := append(migrations(), "ALTER TABLE runs ADD COLUMN extra TEXT NOT NULL DEFAULT 'x'", "CREATE TABLE more (x TEXT) STRICT")
	known := len(migrations())
	dir := t.TempDir()
	j := openJournal(t, dir, Options{})
	reach(t, j, acme(), Sent)
	must(t, j.Close())

	// A step that fails leaves what was there, at the last step that worked.
	bad := append(steps[:len(steps):len(steps)], "CREATE TABLE good (x); CREATE TABLE runs (x)")
	_, err := open(dir, Options{}, bad)
	wantError(t, err, fmt.Sprintf("bringing schema %d to %d", known+2, known+3), "")
	db, err := connect(filepath.Join(dir, dbFile), "ro")
	must(t, err)
	if version, err := pragma(db, "user_version"); err != nil || version != known+2 {
		t.Errorf("after a failed step: schema %d, %v", version, err)
	}
	var tables int
	must(t, db.QueryRow(`SELECT count(*) FROM sqlite_schema WHERE name = 'good'`).Scan(&tables))
	if tables != 0 {
		t.Error("half of a step was done")
	}
	must(t, db.Close())

	logger, log := logged()
	j, err = open(dir, Options{Logger: logger}, steps)
	must(t, err)
	if c := creation(t, &j.View, acmeKey()); c.Step != Sent {
		t.Errorf("after migrating: %+v", c)
	}
	must(t, j.Close())
	if log.Len() > 0 {
		t.Errorf("there was nothing left to do: %s", log)
	}
	_, err = Open(dir, Options{})
	wantError(t, err, "knows no more than", "newer version")

	old := t.TempDir()
	must(t, openJournal(t, old, Options{}).Close())
	j, err = open(old, Options{Logger: logger}, steps)
	must(t, err)
	must(t, j.Close())
	if !strings.Contains(log.String(), "bringing the journal to a new schema") {
		t.Errorf("log: %s", log)
	}
}

// TestReleasedSchemas opens a journal of each schema that was ever released,
// kept as SQL. They can be looked at as they are. They end up with the schema that a new journal has, and with
// what was in them.
func TestReleasedSchemas(t *testing.T) {
	fresh := schemaOf(t, openJournal(t, t.TempDir(), Options{}).db)
	for version := 1; version <= len(migrations()); version++ {
		text, err := os.ReadFile(fmt.Sprintf("testdata/schema-%d.sql", version))
		must(t, err)
		dir := t.TempDir()
		path := filepath.Join(dir, dbFile)
		must(t, os.WriteFile(path, nil, 0o600))
		db, err := connect(path, "rw")
		must(t, err)
		_, err = db.Exec(string(text))
		must(t, err)
		must(t, db.Close())

		if version < len(migrations()) {
			wantLook(t, dir, fresh)
		}
		j := openJournal(t, dir, Options{})
		if diff := cmp.Diff(fresh, schemaOf(t, j.db)); diff != "" {
			t.Errorf("schema %d: %s", version, diff)
		}
		if a, err := j.Amnesia(); a == nil || err != nil || a.SetAside != "/state/journal.db.corrupt-20261120T000000Z" {
			t.Errorf("schema %d: amnesia %v, %v", version, a, err)
		}
		actual, err := j.Creations(account)
		must(t, err)
		steps := map[string]Step{}
		for _, c := range actual {
			steps[c.Domain] = c.Step
		}
		if diff := cmp.Diff(map[string]Step{"intent.okta.com": Intent, "sent.okta.com": Sent, "lost.okta.com": Linked, "done.okta.com": Done}, steps); diff != "" {
			t.Errorf("schema %d: %s", version, diff)
		}
		lost := creation(t, &j.View, Key{account, "lost.okta.com"})
		if !lost.Alarm() || lost.LostReason != "no room" || lost.OrgID != "00o3" {
			t.Errorf("schema %d: %+v", version, lost)
		}
		if sent := creation(t, &j.View, Key{account, "sent.okta.com"}); sent.Unanswered != 1 || sent.LastError == "" {
			t.Errorf("schema %d: %+v", version, sent)
		}
		deletions, err := j.Deletions(account)
		must(t, err)
		if len(deletions) != 1 || deletions[0].State != Asked {
			t.Errorf("schema %d: %+v", version, deletions)
		}
		runs, err := j.Runs(10)
		must(t, err)
		if len(runs) != 1 || string(runs[0].Record) != `{"id":"r1"}` {
			t.Errorf("schema %d: %+v", version, runs)
		}
		wantSchema2(t, j, version)
	}
}

// wantLook looks into a journal of an older schema: everything in it is there,
// what is new is empty, and the file stays as it is.
func wantLook(t *testing.T, dir string, fresh map[string]string) {
	t.Helper()
	before, err := os.ReadFile(filepath.Join(dir, dbFile))
	must(t, err)
	v, err := Look(dir, Options{})
	must(t, err)
	defer v.Close()
	if diff := cmp.Diff(fresh, schemaOf(t, v.db)); diff != "" {
		t.Errorf("looked at: %s", diff)
	}
	lost := creation(t, v, Key{account, "lost.okta.com"})
	if !lost.Alarm() || lost.OrgID != "00o3" {
		t.Errorf("looked at: %+v", lost)
	}
	if all, err := v.Announcements(account); len(all) != 0 || err != nil {
		t.Errorf("looked at: %v, %v", all, err)
	}
	if after, err := os.ReadFile(filepath.Join(dir, dbFile)); err != nil || !bytes.Equal(before, after) {
		t.Errorf("looking has changed the file: %v", err)
	}
}

// wantSchema2 looks for what schema 2 brought, in a journal that had version.
func wantSchema2(t *testing.T, j *Journal, version int) {
	t.Helper()
	const source, commit = "https://git.example/orgs.git main", "0123456789abcdef0123456789abcdef01234567"
	at := time.Date(2026, 11, 20, 10, 0, 9, 0, time.UTC)
	const before = "76543210fedcba9876543210fedcba9876543210"
	accepted := Acceptance{source, commit, "ada@acme.example", []byte("object 0123"), at}
	announced := []Announcement{{account, "00o8", "leaving.okta.com", "set-status", commit, at.Add(time.Second)}}
	if version < 2 {
		if _, ok, err := j.Accepted(source); ok || err != nil {
			t.Errorf("schema %d: accepted %v, %v", version, ok, err)
		}
		must(t, j.Accept(Acceptance{source, before, "ada@acme.example", nil, at}, "", false))
		must(t, j.Accept(accepted, before, true))
		must(t, j.Announce(announced...))
	}
	actual, ok, err := j.Accepted(source)
	must(t, err)
	if diff := cmp.Diff(accepted, actual); !ok || diff != "" {
		t.Errorf("schema %d: %s", version, diff)
	}
	rewritten, err := j.Rewritten(source)
	must(t, err)
	if diff := cmp.Diff([]string{before}, rewritten); diff != "" {
		t.Errorf("schema %d: %s", version, diff)
	}
	all, err := j.Announcements(account)
	must(t, err)
	if diff := cmp.Diff(announced, all); diff != "" {
		t.Errorf("schema %d: %s", version, diff)
	}
}

// schemaOf gives the statements that made a database, without comments and
// layout, which ALTER TABLE may change.
func schemaOf(t *testing.T, db *sql.DB) map[string]string {
	t.Helper()
	rows, err := db.Query(`SELECT name, coalesce(sql, '') FROM sqlite_schema`)
	must(t, err)
	defer rows.Close()
	all := map[string]string{}
	for rows.Next() {
		var name, text string
		must(t, rows.Scan(&name, &text))
		all[name] = strings.Join(strings.Fields(text), " ")
	}
	must(t, rows.Err())
	return all
}

// TestTypedErrors: whoever calls can tell a folder that won't do.
func TestTypedErrors(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o777))
	_, err := Open(dir, Options{})
	var folder *securedir.Error
	if !errors.As(err, &folder) {
		t.Errorf("%T", err)
	}
	must(t, os.Chmod(dir, 0o700))
	openJournal(t, dir, Options{})
	_, err = Open(dir, Options{})
	var held *HeldError
	if !errors.As(err, &held) || held.Holder.PID != os.Getpid() {
		t.Errorf("%T: %v", err, err)
	}
}
