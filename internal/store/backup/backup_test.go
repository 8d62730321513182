package backup

import (
	"archive/tar"
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/freeze"
	"reconciler/internal/store/history"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
	"reconciler/internal/store/statetest"
	"reconciler/internal/text"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, err error, words, hint string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), words) || !strings.Contains(text.Hint(err), hint) {
		t.Errorf("error %v, hint %q; wanted %q and %q", err, text.Hint(err), words, hint)
	}
}

func now() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

// used is a state folder with a daemon that goes on.
func used(t *testing.T) (dir string, h *history.Store, j *journal.Writer) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "state")
	j, err := journal.New(location.Folder(dir), journal.Options{}).Lock()
	must(t, err)
	t.Cleanup(func() { must(t, j.Close()) })
	_, err = j.Suspend(freeze.Suspension{Reason: "audit", Owner: "ada"})
	must(t, err)
	h = history.New(location.Folder(dir), history.Options{})
	t.Cleanup(func() { must(t, h.Close()) })
	for i := range 3 {
		_, err = h.Add(history.Entry{Type: history.TypeOperator, Action: fmt.Sprint("op", i)})
		must(t, err)
	}
	return dir, h, j
}

func TestRoundTrip(t *testing.T) {
	dir, h, _ := used(t)
	r, err := h.Begin(history.Run{ID: "r1"})
	must(t, err)
	_, err = r.Change(history.Entry{Org: "acme.okta.com", Action: "set-products"})
	must(t, err)
	file := filepath.Join(t.TempDir(), "backup.tar")
	made, err := Make(location.Folder(dir), file, "v1", now())
	must(t, err)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if left, err := os.ReadDir(filepath.Dir(file)); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
	head, err := h.Head()
	must(t, err)
	if made.Head != head || made.Entries != 3 || made.Problem != "" || len(made.Files) != 2 {
		t.Errorf("%+v", made)
	}
	statetest.NoneIn(t, filepath.Dir(file), "00SeCrEt")
	target := filepath.Join(t.TempDir(), "new")
	restored, err := Restore(file, location.Folder(target), "ada@example", now())
	must(t, err)
	if diff := cmp.Diff(made, restored); diff != "" {
		t.Error(diff)
	}
	j := journal.New(location.Folder(target), journal.Options{})
	defer j.Close()
	if all, err := j.Suspensions(); err != nil || len(all) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
	copied := history.New(location.Folder(target), history.Options{})
	defer copied.Close()
	if v, err := copied.Verify(head); err != nil || v.HeadAt != 3 || v.Entries != 4 {
		t.Errorf("%+v, %v", v, err)
	}
	// What went on in the old place is interrupted in the new one.
	if list, err := copied.Entries(history.Query{}); err != nil || list[0].Outcome != history.OutcomeUnknown || list[1].Action != ActionRestored || list[1].By != "ada@example" {
		t.Errorf("%+v, %v", list, err)
	}
	if r, err := Check(location.Folder(target), "", journal.Commands{}); err != nil || len(r.Problems) > 0 || !r.Journal || !r.History {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestMakeRefuses(t *testing.T) {
	dir, _, _ := used(t)
	file := filepath.Join(t.TempDir(), "backup.tar")
	must(t, os.WriteFile(file, []byte("old"), 0o600))
	_, err := Make(location.Folder(dir), file, "v1", now())
	wantError(t, err, "exists already", "backups are never overwritten")
	_, err = Make(location.Folder(filepath.Join(dir, "none")), filepath.Join(t.TempDir(), "b.tar"), "v1", now())
	wantError(t, err, "there is neither a journal nor a history in it yet", "")
	_, err = Make(location.Folder(dir), filepath.Join(dir, "none", "b.tar"), "v1", now())
	wantError(t, err, "no such file or directory", "")
}

func TestRestoreRefuses(t *testing.T) {
	dir, _, _ := used(t)
	base := t.TempDir()
	file := filepath.Join(base, "backup.tar")
	_, err := Make(location.Folder(dir), file, "v1", now())
	must(t, err)
	_, err = Restore(file, location.Folder(dir), "ada", now())
	wantError(t, err, "is held by process", "wait until the other one ends")
	full := filepath.Join(base, "full")
	must(t, os.Mkdir(full, 0o700))
	must(t, os.WriteFile(filepath.Join(full, "notes"), nil, 0o600))
	_, err = Restore(file, location.Folder(full), "ada", now())
	wantError(t, err, `the folder is not empty: there is "notes"`, "name an empty folder")
	data, err := os.ReadFile(file)
	must(t, err)
	for name, tt := range map[string]struct {
		data        []byte
		words, hint string
	}{
		"no tar":    {[]byte("hello"), "it is no backup of this program", `"reconciler state backup"`},
		"empty":     {nil, "it is no backup of this program", ""},
		"cut off":   {data[:len(data)/2], "is cut off", ""},
		"altered":   {altered(t, data, journalFile), "journal.db in the backup was altered: its checksum is", ""},
		"history":   {altered(t, data, historyFile), "history.db in the backup was altered: its checksum is", ""},
		"forged":    {forged(t, data, func(m *Manifest) { m.Head = strings.Repeat("0", 64) }), "and the manifest says 0000", ""},
		"new":       {forged(t, data, func(m *Manifest) { m.Version = 9 }), "it has form 9", "the version of the program that made it"},
		"elsewhere": {forged(t, data, func(m *Manifest) { m.Files[0].Name = "../../etc/passwd" }), "which is not part of a backup", ""},
		"twice":     {forged(t, data, func(m *Manifest) { m.Files[1] = m.Files[0] }), "which is not part of a backup", ""},
		"nothing":   {forged(t, data, func(m *Manifest) { m.Files = nil }), "names no files", ""},
	} {
		bad := filepath.Join(base, name+".tar")
		must(t, os.WriteFile(bad, tt.data, 0o600))
		target := filepath.Join(base, "into "+name)
		_, err := Restore(bad, location.Folder(target), "ada", now())
		wantError(t, err, tt.words, tt.hint)
		if left := filesIn(t, target); left != "missing" {
			t.Errorf("%s: left behind: %s", name, left)
		}
		if name == "altered" { // and the folder can still be used
			_, err := Restore(file, location.Folder(target), "ada", now())
			must(t, err)
		}
	}
	_, err = Restore(filepath.Join(base, "none.tar"), location.Folder(full), "ada", now())
	wantError(t, err, "no such file", "")
}

// repack writes a tar file anew, each part as f returns it.
func repack(t *testing.T, data []byte, f func(name string, content []byte) []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for r := tar.NewReader(bytes.NewReader(data)); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		content, err := io.ReadAll(r)
		must(t, err)
		content = f(header.Name, content)
		header.Size = int64(len(content))
		must(t, w.WriteHeader(header))
		_, err = w.Write(content)
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

func altered(t *testing.T, data []byte, file string) []byte {
	return repack(t, data, func(name string, content []byte) []byte {
		if name == file {
			content[len(content)-1] ^= 1
		}
		return content
	})
}

func forged(t *testing.T, data []byte, change func(m *Manifest)) []byte {
	return repack(t, data, func(name string, content []byte) []byte {
		if name != manifestFile {
			return content
		}
		var m Manifest
		must(t, json.Unmarshal(content, &m))
		change(&m)
		content, err := json.Marshal(m)
		must(t, err)
		return content
	})
}

func TestCheck(t *testing.T) {
	_, err := Check(location.Folder(filepath.Join(t.TempDir(), "none")), "", journal.Commands{})
	wantError(t, err, "there is no state folder", "is the volume mounted?")
	dir, h, _ := used(t)
	r, err := Check(location.Folder(dir), "", journal.Commands{})
	must(t, err)
	if len(r.Problems) > 0 || r.Verification.Entries != 3 {
		t.Errorf("%+v", r)
	}
	must(t, h.Close())
	db, err := sql.Open("sqlite", filepath.Join(dir, historyFile))
	must(t, err)
	_, err = db.Exec(`UPDATE entries SET action = 'other' WHERE seq = 2`)
	must(t, errors.Join(err, db.Close()))
	db, err = sql.Open("sqlite", filepath.Join(dir, journalFile))
	must(t, err)
	_, err = db.Exec(`UPDATE suspensions SET since = 'today'`)
	must(t, errors.Join(err, db.Close()))
	must(t, os.Chmod(filepath.Join(dir, journalFile), 0o640))
	must(t, os.WriteFile(filepath.Join(dir, "copy"), nil, 0o644))
	r, err = Check(location.Folder(dir), "", journal.Commands{})
	must(t, err)
	var words []string
	for _, problem := range r.Problems {
		words = append(words, problem.Error())
	}
	got := strings.Join(words, "\n")
	for _, want := range []string{
		"copy may be read or written by others (mode 0644)", "journal.db may be read or written by others (mode 0640)",
		"can't be understood", "the history was altered: entry 2: its column action was altered",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	for _, name := range []string{historyFile, journalFile} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("garbage"), 0o600))
	}
	r, err = Check(location.Folder(dir), "", journal.Commands{})
	must(t, err)
	damaged := 0
	for _, problem := range r.Problems {
		if errors.Is(problem, journal.ErrDamaged) {
			damaged++
		}
	}
	if damaged != 2 {
		t.Errorf("%v", r.Problems)
	}
}

// A history whose chain was broken before is backed up and restored as it is, which is
// told of: it is evidence, and the journal in the backup is needed.
func TestBrokenChainIsKept(t *testing.T) {
	dir, h, _ := used(t)
	must(t, h.Close())
	db, err := sql.Open("sqlite", filepath.Join(dir, historyFile))
	must(t, err)
	_, err = db.Exec(`DELETE FROM entries WHERE seq = 2`)
	must(t, errors.Join(err, db.Close()))
	file := filepath.Join(t.TempDir(), "backup.tar")
	made, err := Make(location.Folder(dir), file, "v1", now())
	must(t, err)
	if made.Problem != "entry 2: it is missing" {
		t.Errorf("%+v", made)
	}
	restored, err := Restore(file, location.Folder(filepath.Join(t.TempDir(), "new")), "ada", now())
	must(t, err)
	if restored.Problem != made.Problem {
		t.Errorf("%+v", restored)
	}
}
