//go:build unix

package freeze

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/store/securedir"
	"reconciler/internal/store/securedir/securedirtest"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func add(t testing.TB, s *Store, n Suspension) Suspension {
	t.Helper()
	made, err := s.Add(n)
	must(t, err)
	return made
}

func load(t testing.TB, s *Store) []Suspension {
	t.Helper()
	all, err := s.Load()
	must(t, err)
	return all
}

func everything(Suspension) bool { return true }

func TestStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a clock of its own
		dir := filepath.Join(t.TempDir(), "state")
		s := OpenStore(dir)
		if all := load(t, s); len(all) != 0 {
			t.Errorf("of nothing: %v", all)
		}
		if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("reading made the folder: %v", err)
		}
		now := time.Now().UTC()
		one := add(t, s, Suspension{Reason: "audit", Owner: "ada", Until: now.Add(time.Hour).In(zone(t, "Asia/Tokyo"))})
		time.Sleep(1500 * time.Millisecond)
		two := add(t, s, Suspension{Orgs: []string{"b*", "a*", "b*"}, Reason: `<b> & "q"`, Owner: "bob"})
		wanted := []Suspension{
			{ID: one.ID, Reason: "audit", Owner: "ada", Since: now, Until: now.Add(time.Hour)},
			{ID: two.ID, Orgs: []string{"a*", "b*"}, Reason: `<b> & "q"`, Owner: "bob", Since: now.Add(time.Second)},
		}
		if diff := cmp.Diff(wanted, []Suspension{one, two}); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(wanted, load(t, OpenStore(dir))); diff != "" {
			t.Error(diff)
		}
		data, err := os.ReadFile(filepath.Join(dir, storeFile))
		if err != nil || strings.Count(string(data), `"orgs": []`) != 1 {
			t.Errorf("%s, %v", data, err)
		}
		info, err := os.Lstat(filepath.Join(dir, storeFile))
		must(t, err)
		if info.Mode() != 0o600 {
			t.Errorf("mode %v", info.Mode())
		}

		// What expired is read until something is written, and holds nothing.
		time.Sleep(time.Hour)
		all := load(t, s)
		if len(all) != 2 || !all[0].Expired(time.Now()) {
			t.Errorf("%v", all)
		}
		removed, err := s.Remove(func(one Suspension) bool { return one.Owner == "ada" })
		if err != nil || len(removed) != 0 || len(load(t, s)) != 2 {
			t.Errorf("what expired was resumed: %v, %v", removed, err)
		}
		three := add(t, s, Suspension{Reason: "c", Owner: "c"})
		if all := load(t, s); len(all) != 2 || all[0].ID != two.ID || all[1].ID != three.ID {
			t.Errorf("%v", all)
		}
		removed, err = s.Remove(everything)
		if err != nil || len(removed) != 2 || removed[0].ID != two.ID || len(load(t, s)) != 0 {
			t.Errorf("%v, %v", removed, err)
		}
		names, err := os.ReadDir(dir)
		if err != nil || len(names) != 2 {
			t.Errorf("left behind: %v, %v", names, err)
		}
	})
}

func TestAddRefuses(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o700))
	s := OpenStore(dir)
	for wanted, n := range map[string]Suspension{
		"the reason is missing":                                 {Owner: "ada"},
		"the owner is missing":                                  {Reason: "r", Owner: " "},
		"the reason has more than 200":                          {Reason: strings.Repeat("é", MaxReason+1), Owner: "ada"},
		"the owner has more than 200":                           {Reason: "r", Owner: strings.Repeat("é", MaxOwner+1)},
		"the reason has line breaks":                            {Reason: "a\nb", Owner: "ada"},
		"the owner has line breaks":                             {Reason: "r", Owner: "a\u202eb"},
		"more than 100 patterns":                                {Reason: "r", Owner: "ada", Orgs: manyGlobs(101)},
		"the orgs must hold patterns in which each [ has its ]": {Reason: "r", Owner: "ada", Orgs: []string{"["}},
		"it would have expired already":                         {Reason: "r", Owner: "ada", Until: time.Now().Add(-time.Minute)},
	} {
		_, err := s.Add(n)
		var e *Error
		if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), "can't suspend: ") || !strings.Contains(err.Error(), wanted) {
			t.Errorf("%s: %v", wanted, err)
		}
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 0 {
		t.Errorf("written all the same: %v, %v", names, err)
	}
	add(t, s, Suspension{Reason: strings.Repeat("é", MaxReason), Owner: strings.Repeat("é", MaxOwner), Orgs: manyGlobs(100)})
}

func manyGlobs(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("acme-%d.okta.com", i))
	}
	return all
}

// A file that isn't understood in full is an error, and stays as it is.
func TestDamaged(t *testing.T) {
	const one = `{"id":"a","reason":"r","owner":"o","since":"2026-11-21T12:00:00Z"}`
	path := filepath.Join(t.TempDir(), storeFile)
	must(t, os.Chmod(filepath.Dir(path), 0o700))
	s := OpenStore(filepath.Dir(path))
	for text, wanted := range map[string]string{
		``:                                  "it is empty or cut off",
		`{"version":1,"suspensions":[`:      "it is empty or cut off",
		`[]`:                                "cannot unmarshal array",
		`{}`:                                "its version is 0, and this program knows 1",
		`{"version":2,"holds":[]}`:          "its version is 2, and this program knows 1",
		`{"version":1}`:                     `it has no "suspensions"`,
		`{"version":1,"suspensions":[]}x`:   "there is more behind its end",
		`{"version":1,"suspensions":[]} {}`: "there is more behind its end",
		`{"version":1,"suspensions":[],"windows":[]}`:                                       `unknown field "windows"`,
		`{"version":1,"suspensions":[{}]}`:                                                  "suspension 1: the reason is missing",
		`{"version":1,"suspensions":[` + one + `,` + one + `]}`:                             "suspension 2: its id or time is missing, or the id is another's as well",
		`{"version":1,"suspensions":[` + strings.Replace(one, `"a"`, `""`, 1):               "it is empty or cut off",
		`{"version":1,"suspensions":[` + one[:len(one)-1] + `,"org":"x"}]}`:                 `unknown field "org"`,
		`{"version":1,"suspensions":[` + one[:len(one)-1] + `,"orgs":["["]}]}`:              `suspension 1: the orgs must hold patterns in which each [ has its ]`,
		`{"version":1,"suspensions":[` + one[:len(one)-1] + `,"until":"soon"}]}`:            "parsing time",
		`{"version":1,"suspensions":[` + strings.Replace(one, "r\"", "\\u001b\"", 1) + `]}`: "can't be printed",
		strings.Repeat(" ", maxFile+1):                                                      "it has more than 1048576 bytes",
	} {
		must(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := s.Load()
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), wanted) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.80q: %v, wanted %q", text, err, wanted)
		}
		if _, err := s.Add(Suspension{Reason: "r", Owner: "o"}); err == nil {
			t.Errorf("%.80q was replaced", text)
		}
		if _, err := s.Remove(everything); err == nil {
			t.Errorf("%.80q: nothing was removed, and no error", text)
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != text {
			t.Errorf("%.80q was changed", text)
		}
	}
	must(t, os.WriteFile(path, []byte(`{"version":1,"suspensions":[`+one+`]}`), 0o600))
	if all := load(t, s); len(all) != 1 {
		t.Errorf("%v", all)
	}
}

// What was there doesn't become nothing: a volume that is gone takes no
// suspension back.
func TestVanished(t *testing.T) {
	base := t.TempDir()
	dir, away := filepath.Join(base, "state"), filepath.Join(base, "away")
	path := filepath.Join(dir, storeFile)
	gone := func(s *Store, when string) {
		t.Helper()
		_, err := s.Load()
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), fmt.Sprintf("the suspensions in %q are gone", path)) || !strings.Contains(e.Hint(), "is the volume mounted?") {
			t.Errorf("%s: %v", when, err)
		}
	}
	reader, maker := OpenStore(dir), OpenStore(dir)
	if len(load(t, reader)) != 0 {
		t.Error("there is something at the begin")
	}
	one := add(t, maker, Suspension{Reason: "r", Owner: "o"})
	if all := load(t, reader); len(all) != 1 {
		t.Errorf("%v", all)
	}
	must(t, os.Rename(dir, away))
	gone(reader, "without the folder")
	gone(maker, "without the folder, to who wrote the file")
	must(t, os.Mkdir(dir, 0o700)) // what a volume is mounted on
	gone(reader, "without the file")
	gone(maker, "without the file, to who wrote it")
	if _, err := reader.Add(Suspension{Reason: "r", Owner: "o"}); err == nil || !strings.Contains(err.Error(), "are gone") {
		t.Errorf("another was added: %v", err)
	}
	if _, err := reader.Remove(everything); err == nil || !strings.Contains(err.Error(), "are gone") {
		t.Errorf("nothing was taken back, and no error: %v", err)
	}
	if all := load(t, OpenStore(dir)); len(all) != 0 {
		t.Errorf("a new start: %v", all)
	}
	must(t, os.RemoveAll(dir))
	must(t, os.Rename(away, dir))
	if all := load(t, reader); len(all) != 1 || all[0].ID != one.ID {
		t.Errorf("back again: %v", all)
	}

	// The last that is taken back leaves a file, which tells none from gone.
	if _, err := maker.Remove(everything); err != nil || len(load(t, reader)) != 0 {
		t.Errorf("taken back: %v", err)
	}
	must(t, os.Remove(path))
	gone(reader, "after the last was taken back")

	// An empty folder that vanishes may have got a file meanwhile.
	s := OpenStore(dir)
	load(t, s)
	must(t, os.RemoveAll(dir))
	gone(s, "without the folder that had no file")
	add(t, s, Suspension{Reason: "r", Owner: "o"})
}

// A file that can't be read is one that was there.
func TestVanishedUnread(t *testing.T) {
	path := filepath.Join(t.TempDir(), storeFile)
	must(t, os.Chmod(filepath.Dir(path), 0o700))
	must(t, os.Mkdir(path, 0o700))
	s := OpenStore(filepath.Dir(path))
	if _, err := s.Load(); err == nil {
		t.Fatal("no error")
	}
	must(t, os.Remove(path))
	if _, err := s.Load(); err == nil || !strings.Contains(err.Error(), "are gone") {
		t.Errorf("%v", err)
	}
}

// What isn't a file of ours is not read, and not written to.
func TestOddFiles(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o700))
	path, elsewhere := filepath.Join(dir, storeFile), filepath.Join(t.TempDir(), "else")
	must(t, os.WriteFile(elsewhere, []byte(`{"version":1,"suspensions":[]}`), 0o600))
	s := OpenStore(dir)
	for name, lay := range map[string]func() error{
		"a link":          func() error { return os.Symlink(elsewhere, path) },
		"a dangling link": func() error { return os.Symlink(filepath.Join(dir, "nowhere"), path) },
		"a folder":        func() error { return os.Mkdir(path, 0o700) },
	} {
		must(t, lay())
		if _, err := s.Load(); err == nil || !strings.Contains(err.Error(), "no regular file") {
			t.Errorf("%s: %v", name, err)
		}
		must(t, os.Remove(path))
	}
	// Left behind by one that was killed, and by one who means ill.
	temp := filepath.Join(dir, tempFile)
	must(t, os.Symlink(elsewhere, temp))
	s = OpenStore(dir) // which has seen none of it
	add(t, s, Suspension{Reason: "r", Owner: "o"})
	if data, err := os.ReadFile(elsewhere); err != nil || !strings.Contains(string(data), "[]") {
		t.Errorf("written through a link: %s, %v", data, err)
	}
	must(t, os.Chmod(dir, 0o770))
	if _, err := s.Load(); err == nil || !strings.Contains(err.Error(), "may be written to by others") {
		t.Errorf("a folder that others may write to: %v", err)
	} else if e := (*Error)(nil); !errors.As(err, &e) || !strings.Contains(e.Hint(), "chmod go-w") {
		t.Errorf("hint: %v", e)
	}
}

// Two that write at the same time both leave their mark, and who reads meanwhile
// sees one state or another, whole.
func TestStoreAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	var wg sync.WaitGroup
	ids := make([]string, 8)
	for i := range ids {
		wg.Go(func() {
			s := OpenStore(dir)
			made, err := s.Add(Suspension{Reason: fmt.Sprint(i), Owner: "o"})
			if err != nil {
				t.Error(err)
			}
			ids[i] = made.ID
			if _, err := s.Load(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, one := range load(t, OpenStore(dir)) {
		ids = slices.DeleteFunc(ids, func(id string) bool { return id == one.ID })
	}
	if len(ids) != 0 {
		t.Errorf("lost: %q", ids)
	}
}

// A lock that isn't given back is not waited for without end.
func TestStoreLocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		must(t, os.Chmod(dir, 0o700))
		f, err := os.Create(filepath.Join(dir, lockFile))
		must(t, err)
		must(t, securedir.Lock(f))
		s := OpenStore(dir)
		began := time.Now()
		_, err = s.Add(Suspension{Reason: "r", Owner: "o"})
		var e *Error
		if !errors.As(err, &e) || !errors.Is(err, securedir.ErrLocked) || e.Hint() != "try again" || time.Since(began) != lockTries*lockPause {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		if _, err := s.Load(); err != nil {
			t.Errorf("reading needs no lock: %v", err)
		}
		time.AfterFunc(time.Second, func() { f.Close() })
		add(t, s, Suspension{Reason: "r", Owner: "o"})
	})
}

func TestStoreOnAFullDisk(t *testing.T) {
	dir := securedirtest.SmallDisk(t, "64k")
	s := OpenStore(dir)
	one := add(t, s, Suspension{Reason: "r", Owner: "o"})
	ballast := securedirtest.FillUp(t, dir)
	_, err := s.Add(Suspension{Reason: "r", Owner: "o", Orgs: manyGlobs(100)})
	var e *Error
	if !errors.As(err, &e) || !strings.Contains(err.Error(), "no space left") || e.Hint() != "make room on the disk" {
		t.Errorf("%v", err)
	}
	if all := load(t, s); len(all) != 1 || all[0].ID != one.ID {
		t.Errorf("what was there is lost: %v", all)
	}
	must(t, os.Remove(ballast))
	add(t, s, Suspension{Reason: "r", Owner: "o"})
}

func TestStoreWithoutRights(t *testing.T) {
	if !securedirtest.Unprivileged(t) {
		return
	}
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o500))
	defer os.Chmod(dir, 0o700)
	s := OpenStore(dir)
	if _, err := s.Add(Suspension{Reason: "r", Owner: "o"}); err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("a folder that can't be written to: %v", err)
	}
	must(t, os.Chmod(dir, 0o700))
	add(t, s, Suspension{Reason: "r", Owner: "o"})
	must(t, os.Chmod(filepath.Join(dir, storeFile), 0))
	if _, err := s.Load(); err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("a file that can't be read: %v", err)
	}
}

// FuzzParse: whatever stands in the file, it is understood in full and can be
// written and read again, or it is an error on one line.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"version":1,"suspensions":[{"id":"a","orgs":["*"],"reason":"r","owner":"o","since":"2026-11-21T12:00:00Z","until":"2027-01-01T00:00:00Z"}]}`))
	f.Add([]byte(`{"version":1,"suspensions":[]}`))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := parse(data)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("more than one line: %q", err)
			}
			return
		}
		for i := range all {
			if held := (&Rules{Suspensions: all[i : i+1]}).Held("", all[i].Since); len(all[i].Orgs) > 0 && held != "" || strings.ContainsAny(held, "\r\n\x1b") {
				t.Errorf("%q", held)
			}
		}
		dir := t.TempDir()
		must(t, os.Chmod(dir, 0o700))
		root, err := os.OpenRoot(dir)
		must(t, err)
		defer root.Close()
		must(t, write(root, all))
		again := load(t, OpenStore(dir))
		if diff := cmp.Diff(all, again); diff != "" && len(all) > 0 {
			t.Error(diff)
		}
	})
}
