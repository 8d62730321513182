package source

import (
	"testing"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"reconciler/internal/git/gitrepo"
)

func reopen(t *testing.T, r *gitrepo.Repo) *gogit.Repository {
	t.Helper()
	repo, err := gogit.PlainOpen(r.Dir())
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

// makeBranch makes the branch point to the commit, whether or not it is there
// already.
func makeBranch(t *testing.T, r *gitrepo.Repo, name, commit string) {
	t.Helper()
	ref := plumbing.NewHashReference(plumbing.NewBranchReferenceName(name), plumbing.NewHash(commit))
	if err := reopen(t, r).Storer.SetReference(ref); err != nil {
		t.Fatal(err)
	}
}

// makeTag makes a tag on the commit: an annotated one with a message, a plain one
// without.
func makeTag(t *testing.T, r *gitrepo.Repo, name, commit, message string) {
	t.Helper()
	var opts *gogit.CreateTagOptions
	if message != "" {
		opts = &gogit.CreateTagOptions{Tagger: &object.Signature{Name: "Ada Admin", Email: "ada@example.com"}, Message: message}
	}
	if _, err := reopen(t, r).CreateTag(name, plumbing.NewHash(commit), opts); err != nil {
		t.Fatal(err)
	}
}
