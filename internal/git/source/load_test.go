package source_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/git/gitrepo"
	"reconciler/internal/git/source"
	"reconciler/internal/state"
)

const manifest = "version: 1\norgs:\n  - domain: acme.okta.com\n    cell: ok1\n"

// Places in manifests are named so that people can go there, wherever the
// manifests come from.
func TestPlacesCanBeFollowed(t *testing.T) {
	dir := t.TempDir()
	r, err := gitrepo.Init(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Commit("an org", map[string]string{"teams/orgs/eu/a.yaml": manifest}); err != nil {
		t.Fatal(err)
	}
	git := func(path string) func() (*source.Snapshot, error) {
		return func() (*source.Snapshot, error) {
			g, err := source.NewGit(source.GitOptions{URL: dir, Path: path})
			if err != nil {
				return nil, err
			}
			return g.Fetch(t.Context())
		}
	}
	local := func(path string) func() (*source.Snapshot, error) {
		return func() (*source.Snapshot, error) { return source.Local(path) }
	}
	t.Chdir(filepath.Join(dir, "teams"))
	for _, tt := range []struct {
		name string
		get  func() (*source.Snapshot, error)
		want string
	}{
		{"git", git(""), "teams/orgs/eu/a.yaml"},
		{"git folder", git("teams/orgs"), "teams/orgs/eu/a.yaml"},
		{"git file", git("teams/orgs/eu/a.yaml"), "teams/orgs/eu/a.yaml"},
		{"working directory", local("."), "orgs/eu/a.yaml"},
		{"folder", local("./orgs"), "orgs/eu/a.yaml"},
		{"folder above", local("../teams"), "../teams/orgs/eu/a.yaml"},
		{"file", local("orgs/eu/a.yaml"), "orgs/eu/a.yaml"},
		{"absolute", local(dir), dir + "/teams/orgs/eu/a.yaml"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			snap, err := tt.get()
			if err != nil {
				t.Fatal(err)
			}
			desired, warnings, err := state.Load([]state.Input{{FS: snap.FS, Root: snap.Root, Name: snap.Name}}, state.LoadOptions{})
			if err != nil || len(warnings) > 0 {
				t.Fatal(err, warnings)
			}
			if got := desired.Orgs[0].Pos.File; got != tt.want {
				t.Errorf("got the org in %q, want %q", got, tt.want)
			}
		})
	}
}

// Kubernetes mounts a ConfigMap as links into a folder that it swaps; that one
// can be named.
func TestConfigMap(t *testing.T) {
	mount := filepath.Join(t.TempDir(), "manifests")
	version := filepath.Join(mount, "..2026_01_31")
	if err := os.MkdirAll(version, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(version, "a.yaml"), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"..data": "..2026_01_31", "a.yaml": "..data/a.yaml"} {
		if err := os.Symlink(to, filepath.Join(mount, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		mount + "/..data":  mount + "/..data/a.yaml",
		mount + "/..data/": mount + "/..data/a.yaml",
		mount + "/a.yaml":  mount + "/a.yaml",
	} {
		snap, err := source.Local(name)
		if err != nil {
			t.Fatal(err)
		}
		desired, warnings, err := state.Load([]state.Input{{FS: snap.FS, Root: snap.Root, Name: snap.Name}}, state.LoadOptions{})
		if err != nil || len(warnings) > 0 {
			t.Fatal(err, warnings)
		}
		if got := desired.Orgs[0].Pos.File; got != want {
			t.Errorf("got the org in %q, want %q", got, want)
		}
	}
}

// A folder on disk has a warning for each link that may have led to manifests,
// wherever it leads; links out of the folder are not followed.
func TestLinksInFolder(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"orgs/a.yaml": manifest, "orgs/README.md": "", "orgs/eu/b.yaml": "version: 1\n",
		"shared/c.yaml": manifest, "notes.txt": "",
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var want []string
	for _, tt := range []struct {
		link, to string
		silent   bool
	}{
		{"abs", dir + "/shared", false},
		{"c.yaml", "../shared/c.yaml", false},
		{"copy.md", "README.md", true},
		{"eu/README.md", "../README.md", true},
		{"eu/copy.yml", "b.yaml", false},
		{"inside", "eu", false},
		{"loop", "loop", false},
		{"lost", "nowhere", false},
		{"notes.txt", "../notes.txt", false},
		{"self", ".", false},
		{"team", "../shared", false},
	} {
		if err := os.Symlink(tt.to, filepath.Join(dir, "orgs", tt.link)); err != nil {
			t.Fatal(err)
		}
		if !tt.silent {
			want = append(want, "orgs/"+tt.link+": not read: symbolic links are not followed")
		}
	}
	t.Chdir(dir)
	snap, err := source.Local("orgs")
	if err != nil {
		t.Fatal(err)
	}
	desired, warnings, err := state.Load([]state.Input{{FS: snap.FS, Root: snap.Root, Name: snap.Name}}, state.LoadOptions{})
	if err != nil || len(desired.Orgs) != 1 {
		t.Fatal(desired, err)
	}
	var got []string
	for _, w := range warnings {
		got = append(got, w.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("warnings differ (-want +got):\n%s", diff)
	}
}
