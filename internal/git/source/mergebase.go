package source

import (
	"bytes"
	"cmp"
	"context"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// MergeBase returns the best common ancestor of two commits, all full hashes:
// one that is not an ancestor of another common one. Of several, as after
// merges in both directions, it is the newest, and of equally new ones that
// with the smallest hash. It fails with ErrNotFound when the commits have no
// history in common, and with ErrIncomplete when the clone holds too little of
// it to say.
//
// go-git's MergeBase gives up at a commit that isn't there, as behind the
// boundary of a shallow clone, and ignores errors in a part of its search.
func (r *Repository) MergeBase(a, b string) (string, error) {
	g := r.git("")
	sto, err := g.openGitDir(r.gitDir)
	if err != nil {
		return "", err
	}
	defer sto.Close()
	v := &revision{g: g, sto: sto}
	var reached [2]graph
	for i, commit := range []string{a, b} {
		if err := g.checkHash(commit); err != nil {
			return "", err
		}
		h := plumbing.NewHash(commit)
		if _, err := v.peel(h); err != nil {
			return "", err
		}
		if reached[i], err = g.reach(context.Background(), sto, h, plumbing.ZeroHash, reached[0]); err != nil {
			return "", err
		}
	}
	base, err := v.best(reached[0], reached[1])
	cut := len(reached[0].missing())+len(reached[1].missing()) > 0
	switch {
	case err != nil:
		return "", err
	case base != nil:
		return base.Hash.String(), nil
	case cut && sto.isShallow():
		return "", g.fail(ErrIncomplete, v.shallowHint(), "%s and %s have no commit in common as far as this clone reaches", a, b)
	case cut:
		return "", g.fail(ErrIncomplete, fsck, "the repository lacks commits that %s and %s come from", a, b)
	default:
		return "", g.fail(ErrNotFound, "was one of the branches begun anew, without a history?", "%s and %s have no commit in common", a, b)
	}
}

// best returns the first of the common commits that are no ancestors of other
// common ones, or nil. The parents of a common commit are common too, so it looks
// for those that are the parent of none.
func (v *revision) best(a, b graph) (*object.Commit, error) {
	inner := map[plumbing.Hash]bool{}
	for h, parents := range a {
		for _, p := range parents {
			_, common := b[h]
			inner[p] = inner[p] || common
		}
	}
	var best *object.Commit
	for h := range a {
		if _, common := b[h]; !common || inner[h] {
			continue
		}
		c, err := v.peel(h)
		if err != nil {
			return nil, err
		}
		if best == nil || cmp.Or(best.Committer.When.Compare(c.Committer.When), bytes.Compare(c.Hash[:], best.Hash[:])) < 0 {
			best = c
		}
	}
	return best, nil
}
