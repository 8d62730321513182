package source

import (
	"os"
	"path/filepath"
	"testing"
)

// Manifests that a sparse checkout leaves out are not deleted, and a run without
// them would be one without some of the orgs.
func TestSparseCheckout(t *testing.T) {
	r, _ := newRepo(t, map[string]string{
		"top.yaml": "t", "orgs/a.yaml": "a", "orgs/eu/b.yaml": "b", "orgs/eu/deep/c.yml": "c", "orgs/.hidden/d.yaml": "d", "docs/readme.md": "r", "docs/img/x.png": "x",
	})
	dir := r.Dir()
	for _, tt := range []struct {
		name     string
		args     []string
		path     string
		leftOut  string // in the message; none if it is empty
		notFound bool
	}{
		{"none", nil, "orgs", "", false},
		{"all there", []string{"set", "--cone", "orgs"}, "orgs", "", false},
		{"others left out", []string{"set", "--cone", "orgs"}, ".", "", false}, // docs has no manifests
		{"folder left out", []string{"set", "--cone", "docs"}, ".", `leaves out "orgs/a.yaml" and 2 more`, false},
		{"subfolder left out", []string{"set", "--no-cone", "/*", "!/orgs/eu/"}, "orgs", `leaves out "orgs/eu/b.yaml" and 1 more`, false},
		{"all of it left out", []string{"set", "--cone", "docs"}, "orgs", `leaves out "orgs/a.yaml" and 2 more`, false},
		{"a file left out", []string{"set", "--cone", "docs"}, "orgs/a.yaml", `leaves out "orgs/a.yaml"`, false},
		{"hidden ones left out", []string{"set", "--no-cone", "/*", "!/orgs/.hidden/"}, "orgs", "", false},
		{"sparse index", []string{"set", "--cone", "--sparse-index", "docs"}, ".", `leaves out "orgs/a.yaml" and 2 more`, false},
		{"sparse index, within", []string{"set", "--cone", "--sparse-index", "docs"}, "orgs/eu", `leaves out "orgs/eu"`, false},
		{"sparse index, others", []string{"set", "--cone", "--sparse-index", "orgs"}, ".", "", false},
		{"never there", []string{"set", "--cone", "docs"}, "nowhere", "", true},
		{"disabled", []string{"disable"}, ".", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.args != nil {
				git(t, dir, append([]string{"sparse-checkout"}, tt.args...)...)
			}
			_, err := Local(filepath.Join(dir, tt.path))
			switch {
			case tt.notFound:
				wantError(t, err, ErrNotFound, "no such file or folder")
			case tt.leftOut != "":
				wantError(t, err, ErrIncomplete, "the sparse checkout "+tt.leftOut, "git sparse-checkout disable")
			case err != nil:
				t.Error(err)
			}
		})
	}
}

// A file that is really deleted is no part of a sparse checkout, nor is one that
// people marked to keep a change of their own.
func TestNoSparseCheckout(t *testing.T) {
	r, _ := newRepo(t, map[string]string{"orgs/a.yaml": "a", "orgs/b.yaml": "b"})
	git(t, r.Dir(), "update-index", "--skip-worktree", "orgs/a.yaml")
	if err := os.Remove(filepath.Join(r.Dir(), "orgs/b.yaml")); err != nil {
		t.Fatal(err)
	}
	if _, err := Local(filepath.Join(r.Dir(), "orgs")); err != nil {
		t.Error(err)
	}
}
