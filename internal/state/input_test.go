package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/strictyaml"
)

// mapFile makes a file of a MapFS.
func mapFile(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }

const twoOrgs = "version: 1\norgs:\n  - domain: a.okta.com\n  - domain: b.okta.com\n"

// places returns "FILE:LINE:COL" of each org.
func places(d *Desired) []string {
	var all []string
	for _, o := range d.Orgs {
		all = append(all, o.Pos.String())
	}
	return all
}

func TestInputNames(t *testing.T) {
	fsys := fstest.MapFS{
		"orgs/emea/a.yaml": mapFile("version: 1\norgs:\n  - domain: a.okta.com\n"),
		"orgs/b.yml":       mapFile("version: 1\norgs:\n  - domain: b.okta.com\n"),
	}
	sub, err := fs.Sub(fsys, "orgs")
	if err != nil {
		t.Fatal(err)
	}
	file, folder := "emea/a.yaml:3:5", "b.yml:3:5"
	tests := []struct {
		name   string
		in     []Input
		wanted []string
	}{
		{"folder", []Input{{FS: fsys, Root: "orgs", Name: "orgs"}}, []string{"orgs/" + file, "orgs/" + folder}},
		{"folder with slash", []Input{{FS: fsys, Root: "orgs", Name: "./orgs/"}}, []string{"./orgs/" + file, "./orgs/" + folder}},
		{"folder without name", []Input{{FS: fsys, Root: "orgs"}}, []string{"orgs/" + file, "orgs/" + folder}},
		{"top", []Input{{FS: sub, Root: ".", Name: "."}}, []string{file, folder}},
		{"top without anything", []Input{{FS: sub}}, []string{file, folder}},
		{"top with name", []Input{{FS: sub, Root: ".", Name: "/srv/orgs"}}, []string{"/srv/orgs/" + file, "/srv/orgs/" + folder}},
		{"file", []Input{{FS: sub, Root: "b.yml", Name: "x/../b.yml"}}, []string{"x/../b.yml:3:5"}},
		{"file twice", []Input{{FS: fsys, Root: "orgs/b.yml", Name: "b.yml"}, {FS: fsys, Root: "orgs", Name: "orgs"}}, []string{"orgs/" + file, folder}},
		{"folder twice", []Input{{FS: fsys, Root: "."}, {FS: fsys, Root: "orgs/emea"}}, []string{"orgs/" + file, "orgs/" + folder}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, warnings, err := Load(tt.in, LoadOptions{})
			if err != nil || warnings != nil {
				t.Fatal(err, warnings)
			}
			if diff := cmp.Diff(tt.wanted, places(d)); diff != "" {
				t.Errorf("places differ (-wanted +got):\n%s", diff)
			}
		})
	}
}

// listless is a file system whose folders can't be listed.
type listless struct{ fs.FS }

func (l listless) Open(name string) (fs.File, error) {
	f, err := l.FS.Open(name)
	if err != nil {
		return nil, err
	}
	return struct{ fs.File }{f}, nil
}

// Files that the caller knows are read without a walk, and named like those that
// a walk finds.
func TestInputFiles(t *testing.T) {
	fsys := listless{fstest.MapFS{
		"orgs/emea/a.yaml": mapFile("version: 1\norgs:\n  - domain: a.okta.com\n"),
		"orgs/b.YML":       mapFile("version: 1\norgs:\n  - domain: b.okta.com\n"),
	}}
	in := Input{FS: fsys, Root: "orgs", Name: "main:orgs", Files: []string{"orgs/b.YML", "orgs/emea/a.yaml"}}
	d, warnings, err := Load([]Input{in}, LoadOptions{})
	if err != nil || len(warnings) != 1 || warnings[0].File != "main:orgs/b.YML" {
		t.Fatal(err, warnings)
	}
	if diff := cmp.Diff([]string{"main:orgs/emea/a.yaml:3:5"}, places(d)); diff != "" {
		t.Errorf("places differ (-wanted +got):\n%s", diff)
	}
	in.Files = []string{}
	if _, warnings, err = Load([]Input{in}, LoadOptions{}); err == nil || len(warnings) != 1 || warnings[0].File != "main:orgs" {
		t.Errorf("%v, %v", warnings, err)
	}
	in.Files = nil
	if _, _, err = Load([]Input{in}, LoadOptions{}); err == nil || !strings.Contains(err.Error(), "can't be read") {
		t.Errorf("the folder was listed: %v", err)
	}
}

// A file on disk is known again however it is reached; links are not followed,
// and all that may have led to manifests are worth a warning.
func TestInputsOnDisk(t *testing.T) {
	dir := t.TempDir()
	write := func(name, s string) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(s), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	link := func(target, name string) {
		t.Helper()
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Skip("no symbolic links here:", err)
		}
	}
	write("orgs/sub/a.yaml", twoOrgs)
	write("elsewhere/c.yaml", "version: 1\norgs:\n  - domain: c.okta.com\n")
	write("elsewhere/notes.txt", "")
	link("../elsewhere", "orgs/folder")
	link("../elsewhere/c.yaml", "orgs/c.yaml")
	link("nowhere", "orgs/broken.yml")
	link("nowhere", "orgs/lost")
	link("loop", "orgs/loop")
	link("../elsewhere/notes.txt", "orgs/notes.txt")
	link("../elsewhere/notes.txt", "orgs/notes.YAML")
	link("nowhere", "orgs/.hidden.yaml")
	link("..", "orgs/sub/up")

	d, warnings, err := Load([]Input{
		{FS: os.DirFS(filepath.Join(dir, "orgs")), Root: ".", Name: "orgs"},
		{FS: os.DirFS(filepath.Join(dir, "orgs", "sub")), Root: "a.yaml", Name: "a.yaml"},
		{FS: os.DirFS(filepath.Join(dir, "orgs")), Root: "c.yaml", Name: "c.yaml"},
	}, LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	wanted := []string{"orgs/sub/a.yaml:3:5", "orgs/sub/a.yaml:4:5", "c.yaml:3:5"}
	if diff := cmp.Diff(wanted, places(d)); diff != "" {
		t.Errorf("places differ (-wanted +got):\n%s", diff)
	}
	const notFollowed = "not read: symbolic links are not followed"
	if diff := cmp.Diff([]Warning{
		{File: "orgs/broken.yml", Msg: notFollowed}, {File: "orgs/c.yaml", Msg: notFollowed},
		{File: "orgs/folder", Msg: notFollowed}, {File: "orgs/loop", Msg: notFollowed}, {File: "orgs/lost", Msg: notFollowed},
		{File: "orgs/notes.YAML", Msg: notFollowed}, {File: "orgs/sub/up", Msg: notFollowed},
	}, warnings); diff != "" {
		t.Errorf("warnings differ (-wanted +got):\n%s", diff)
	}
}

// failFS is a file system of which some names can't be opened.
type failFS struct {
	fstest.MapFS
	fail string
}

func (f failFS) Open(name string) (fs.File, error) {
	if name == f.fail {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("the disk\nis on fire")}
	}
	return f.MapFS.Open(name)
}

func (f failFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if name == f.fail {
		return nil, fs.ErrPermission
	}
	return f.MapFS.ReadDir(name)
}

func TestUnreadable(t *testing.T) {
	files := fstest.MapFS{
		"orgs/a.yaml":     mapFile(twoOrgs),
		"orgs/sub/b.yaml": mapFile("version: 1\norgs:\n  - domain: c.okta.com\n    products: [sso]\n"),
		"large.yaml":      mapFile(strings.Repeat("# comment\n", strictyaml.MaxSize/10+1)),
		"latin1.yaml":     mapFile("version: 1\n# Z\xfcrich\n"),
	}
	tests := []struct {
		name   string
		in     Input
		wanted string
	}{
		{"missing", Input{FS: files, Root: "org", Name: "./org"}, "./org:1:1: can't be read: file does not exist"},
		{"invalid", Input{FS: files, Root: "../orgs", Name: "../orgs"}, "../orgs:1:1: can't be read: file does not exist"},
		{"file", Input{FS: failFS{files, "orgs/a.yaml"}, Root: "orgs", Name: "orgs"}, "orgs/a.yaml:1:1: can't be read: the disk is on fire"},
		{"folder", Input{FS: failFS{files, "orgs/sub"}, Root: "orgs", Name: "orgs"}, "orgs/sub:1:1: can't be read: permission denied"},
		{"large", Input{FS: files, Root: "large.yaml", Name: "large.yaml"}, "large.yaml:1:1: the file is larger than 10 MB: split it"},
		{"latin1", Input{FS: files, Root: "latin1.yaml", Name: "latin1.yaml"}, "latin1.yaml:2:4: byte 0xfc is not UTF-8: save the file as UTF-8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, _, err := Load([]Input{tt.in}, LoadOptions{})
			if err == nil || err.Error() != tt.wanted {
				t.Errorf("error = %v, want %s", err, tt.wanted)
			}
			if d != nil {
				t.Error("a desired state beside an error")
			}
		})
	}
	if _, _, err := Load(nil, LoadOptions{}); err == nil {
		t.Error("no error for no input")
	}
}

// Load may run in many goroutines at once and returns the same to all of them.
func TestLoadConcurrently(t *testing.T) {
	fsys := fleet(50, true)
	var wg sync.WaitGroup
	results := make([]string, 4)
	for i := range results {
		wg.Go(func() {
			d, _, err := Load([]Input{{FS: fsys, Root: "orgs"}}, LoadOptions{})
			if err != nil {
				t.Error(err)
				return
			}
			results[i] = string(Marshal(d))
		})
	}
	wg.Wait()
	for _, r := range results[1:] {
		if r != results[0] {
			t.Error("results differ")
		}
	}
}

// The texts of manifests are found as Load finds them.
func TestSources(t *testing.T) {
	fsys := fstest.MapFS{"orgs/b/b.yml": mapFile("b"), "orgs/a.yaml": mapFile("a"), "orgs/c.txt": mapFile("c"), "orgs/.git/d.yaml": mapFile("d")}
	got, err := Sources([]Input{{FS: fsys, Root: "orgs", Name: "."}})
	if diff := cmp.Diff([]Source{{"a.yaml", []byte("a")}, {"b/b.yml", []byte("b")}}, got); diff != "" || err != nil {
		t.Errorf("%v (-wanted +got):\n%s", err, diff)
	}
	if _, err := Sources([]Input{{FS: fsys, Root: "nowhere"}}); err == nil {
		t.Error("a folder that isn't there is no error")
	}
}
