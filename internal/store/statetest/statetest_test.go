package statetest

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reconciler/internal/store/history"
	"reconciler/internal/store/location"
)

// A secret is found wherever it can be.
func TestFind(t *testing.T) {
	const secret = "00SeCrEt-0123456789"
	long := strings.Repeat("x", 4050) // so that it lies over the end of a page
	for name, put := range map[string]func(r *history.Recorder) error{
		"nowhere": func(*history.Recorder) error { return nil },
		"in an entry": func(r *history.Recorder) error {
			p, err := r.Change(history.Entry{Org: "a", After: json.RawMessage(`"` + long + secret + long + `"`)})
			if err != nil {
				return err
			}
			return p.End(history.Entry{Outcome: "applied"})
		},
		"under way": func(r *history.Recorder) error {
			_, err := r.Change(history.Entry{Org: "a", After: json.RawMessage(`"` + long + secret + `"`)})
			return err
		},
		"in a state": func(r *history.Recorder) error {
			return r.States([]history.OrgState{{Org: "a", Live: json.RawMessage(fmt.Sprintf(`{"a":%q,"b":%q}`, long, secret))}})
		},
	} {
		dir := t.TempDir()
		s := history.New(location.Folder(filepath.Join(dir, "state")), history.Options{})
		r, err := s.Begin(history.Run{ID: "r1"})
		if err == nil {
			err = put(r)
		}
		if err == nil {
			err = s.Backup(filepath.Join(dir, "history.db"))
		}
		if err == nil {
			err = pack(dir)
		}
		if err != nil {
			t.Fatal(err)
		}
		found, files, err := Find(dir, "", "absent", secret)
		if err != nil || files < 4 {
			t.Errorf("%s: %d files, %v", name, files, err)
		}
		for _, file := range []string{"state/history.db", "backup.tar"} {
			here := strings.Contains(strings.Join(found, "\n"), filepath.Join(dir, file))
			if here != (name != "nowhere") {
				t.Errorf("%s, %s: %q", name, file, found)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if name == "nowhere" {
			NoneIn(t, dir, secret)
		}
	}
}

// pack moves history.db into backup.tar.
func pack(dir string) error {
	data, err := os.ReadFile(filepath.Join(dir, "history.db"))
	if err != nil {
		return err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "history.db", Mode: 0o600, Size: int64(len(data))}); err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "backup.tar"), b.Bytes(), 0o600); err != nil {
		return err
	}
	return os.Remove(filepath.Join(dir, "history.db"))
}
