package source_test

import (
	"path/filepath"
	"testing"

	"reconciler/internal/source"
	"reconciler/internal/source/gitrepo"
	"reconciler/internal/state"
)

// Places in manifests are named so that people can go there, wherever the
// manifests come from.
func TestPlacesCanBeFollowed(t *testing.T) {
	dir := t.TempDir()
	r, err := gitrepo.Init(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest := "version: 1\norgs:\n  - domain: acme.okta.com\n    cell: ok1\n"
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
