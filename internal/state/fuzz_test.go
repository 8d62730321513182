package state

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"reconciler/internal/strictyaml"
)

// FuzzLoad: no two files make Load panic; each error is one line and points
// into a file; loading twice returns the same; the order of the files changes
// nothing but places; and what loads survives being written and loaded again.
func FuzzLoad(f *testing.F) {
	archives, err := filepath.Glob("testdata/load/*.txtar")
	if err != nil || len(archives) == 0 {
		f.Fatalf("no archives: %v", err)
	}
	for _, name := range archives {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		var files [][]byte
		for _, file := range archive.Files {
			if isManifest(file.Name) && !strings.HasPrefix(file.Name, "want/") {
				files = append(files, file.Data)
			}
		}
		if len(files) > 0 {
			f.Add(files[0], files[len(files)-1])
		}
	}
	if example, err := os.ReadFile("../../examples/orgs.yaml"); err == nil {
		f.Add(example, []byte{})
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		in := func(first, second []byte) []Input {
			return []Input{{FS: fstest.MapFS{"1.yaml": {Data: first}, "2.yaml": {Data: second}}}}
		}
		d, _, err := Load(in(a, b), LoadOptions{})
		checkErrors(t, map[string][]byte{"1.yaml": a, "2.yaml": b}, err)

		again, _, errAgain := Load(in(a, b), LoadOptions{})
		if diff := cmp.Diff(d, again, sameKinds); diff != "" {
			t.Errorf("loading twice differs:\n%s", diff)
		}
		if (err == nil) != (errAgain == nil) || err != nil && err.Error() != errAgain.Error() {
			t.Errorf("loading twice fails differently:\n%v\n%v", err, errAgain)
		}

		swapped, _, errSwapped := Load(in(b, a), LoadOptions{})
		if (err == nil) != (errSwapped == nil) {
			t.Errorf("the order of files decides whether they load:\n%v\n%v", err, errSwapped)
		}
		if diff := cmp.Diff(d, swapped, withoutPlaces); diff != "" {
			t.Errorf("the order of files changes what is desired:\n%s", diff)
		}

		if err != nil {
			return
		}
		written := Marshal(d)
		loaded, err := loadText(string(written))
		if err != nil {
			t.Fatalf("what was written doesn't load: %v\n%s", err, written)
		}
		if diff := cmp.Diff(d, loaded, withoutPlaces); diff != "" {
			t.Errorf("what was written loads as something else:\n%s\n%s", diff, written)
		}
	})
}

// checkErrors fails the test unless err is nil or made of one-line errors whose
// places exist in one of the files.
func checkErrors(t *testing.T, files map[string][]byte, err error) {
	t.Helper()
	if err == nil {
		return
	}
	all, ok := strictyaml.AsErrors(err)
	if !ok || len(all) == 0 {
		t.Fatalf("error %v is not Errors", err)
	}
	breaks := strings.NewReplacer("\r\n", "\n", "\r", "\n")
	lines := map[string][]string{}
	for name, data := range files {
		data = bytes.TrimPrefix(data, []byte("\uFEFF"))
		lines[name] = strings.Split(breaks.Replace(string(data)), "\n")
	}
	for _, e := range all {
		text, ok := lines[e.Pos.File]
		switch {
		case !ok:
			t.Errorf("no such file: %v", e)
		case e.Pos.Line < 1 || e.Pos.Line > len(text):
			t.Errorf("no such line: %v", e)
		case e.Pos.Column < 1 || e.Pos.Column > len([]rune(text[e.Pos.Line-1]))+1:
			t.Errorf("no such column: %v", e)
		}
		if e.Msg == "" || strings.ContainsAny(e.Msg, "\r\n") {
			t.Errorf("message is not one line: %q", e.Msg)
		}
	}
}
