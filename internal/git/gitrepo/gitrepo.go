// Package gitrepo makes small git repositories, for demonstrations and tests.
// It needs no git program, and what it makes is a repository like any other:
// people may go on in it with git.
package gitrepo

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// Repo is a repository with a work tree.
type Repo struct {
	// Author and Email sign the commits to come.
	Author, Email string

	dir string
	git *git.Repository
}

// Init makes an empty repository in dir, which is created if need be, with
// "main" as the branch that the first commit will make.
func Init(dir string) (*Repo, error) {
	r, err := git.PlainInitWithOptions(dir, &git.PlainInitOptions{
		InitOptions: git.InitOptions{DefaultBranch: plumbing.Main},
	})
	if err != nil {
		return nil, fmt.Errorf("making a repository in %q: %w", dir, err)
	}
	return &Repo{Author: "Ada Admin", Email: "ada@example.com", dir: dir, git: r}, nil
}

// Dir is the top folder of the work tree.
func (r *Repo) Dir() string { return r.dir }

// Commit writes the files, by their paths in the repository with slashes, and
// commits them together with whatever else was changed, added or removed in
// the work tree. It returns the full hash of the commit, which is made even if
// nothing changed.
func (r *Repo) Commit(message string, files map[string]string) (string, error) {
	for name, content := range files {
		file := filepath.Join(r.dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			return "", err
		}
	}
	tree, err := r.git.Worktree()
	if err != nil {
		return "", err
	}
	if err := tree.AddWithOptions(&git.AddOptions{All: true}); err != nil {
		return "", fmt.Errorf("adding files in %q: %w", r.dir, err)
	}
	h, err := tree.Commit(message, &git.CommitOptions{Author: r.signature(), AllowEmptyCommits: true})
	if err != nil {
		return "", fmt.Errorf("committing in %q: %w", r.dir, err)
	}
	return h.String(), nil
}

func (r *Repo) signature() *object.Signature {
	return &object.Signature{Name: r.Author, Email: r.Email, When: time.Now()}
}
