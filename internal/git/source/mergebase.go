package source

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// MergeBase gives the best common ancestor of two commits, all full hashes:
// one that is not an ancestor of another common one. Of several, as after
// merges in both directions, it is the newest, and of equally new ones that
// with the smallest hash. It fails with ErrNotFound when the commits have no
// history in common, and with ErrIncomplete when the clone holds too little of
// it to say.
func (r *Repository) MergeBase(a, b string) (string, error) {
	g := r.git("")
	for _, h := range []string{a, b} {
		if !isFullHash(h) {
			return "", g.fail(nil, "", "the commit %q is not a full hash of 40 digits", h)
		}
	}
	sto, err := g.openInsides(r.gitDir)
	if err != nil {
		return "", err
	}
	defer sto.Close()
	v := &revision{g: g, sto: sto}
	p := &painter{v: v, commits: map[plumbing.Hash]*painted{}}
	bases, err := p.common(plumbing.NewHash(a), plumbing.NewHash(b))
	switch {
	case err != nil:
		return "", err
	case len(bases) > 0:
		return bases[0].hash.String(), nil
	case p.cut && sto.isShallow():
		return "", g.fail(ErrIncomplete,
			v.shallow()+`: "git fetch --unshallow" completes it, and "git fetch --deepen=100" may do; for actions/checkout set fetch-depth: 0`,
			"%s and %s have no commit in common as far as this clone reaches", a, b)
	case p.cut:
		return "", g.fail(ErrIncomplete, fsck, "the repository lacks commits that %s and %s come from", a, b)
	default:
		return "", g.fail(ErrNotFound, "was one of the branches begun anew, without a history?", "%s and %s have no commit in common", a, b)
	}
}

// painter finds common ancestors as git does: from each of two commits it
// paints what can be reached, the newest commit first, and stops when all that
// is left to look at comes from a common one.
type painter struct {
	v       *revision
	commits map[plumbing.Hash]*painted
	todo    queue
	cut     bool // some commit wasn't there
}

// painted is a commit with its colours.
type painted struct {
	hash    plumbing.Hash
	parents []plumbing.Hash
	time    time.Time
	colour  colour
	base    bool
}

type colour byte

const (
	fromA colour = 1 << iota
	fromB
	old // reached from a common commit
)

// queue gives the newest commit first; of equally new ones, that with the
// smallest hash.
type queue []*painted

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return newest(q[i], q[j]) < 0 }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(c any)        { *q = append(*q, c.(*painted)) }

func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

func newest(a, b *painted) int {
	return cmp.Or(b.time.Compare(a.time), slices.Compare(a.hash[:], b.hash[:]))
}

// common gives the best common ancestors, the newest first.
func (p *painter) common(a, b plumbing.Hash) ([]*painted, error) {
	for _, start := range []struct {
		hash   plumbing.Hash
		colour colour
	}{{a, fromA}, {b, fromB}} {
		if _, err := p.v.peel(start.hash); err != nil {
			return nil, err
		}
		if err := p.paint(start.hash, start.colour); err != nil {
			return nil, err
		}
	}
	var bases []*painted
	for slices.ContainsFunc(p.todo, func(c *painted) bool { return c.colour&old == 0 }) {
		c := heap.Pop(&p.todo).(*painted)
		colour := c.colour
		if colour&(fromA|fromB) == fromA|fromB {
			if !c.base && colour&old == 0 {
				c.base = true
				bases = append(bases, c)
			}
			colour |= old
		}
		for _, parent := range c.parents {
			if err := p.paint(parent, colour); err != nil {
				return nil, err
			}
		}
	}
	return p.best(bases)
}

// paint adds colours to a commit, and looks at it again if they are new to it.
func (p *painter) paint(h plumbing.Hash, c colour) error {
	known, ok := p.commits[h]
	if !ok {
		commit, err := object.GetCommit(p.v.sto, h)
		switch {
		case errors.Is(err, plumbing.ErrObjectNotFound):
			p.cut = true
			return nil
		case err != nil:
			return p.v.g.damaged(h, err)
		}
		known = &painted{hash: h, parents: commit.ParentHashes, time: commit.Committer.When}
		p.commits[h] = known
	}
	if known.colour&c != c {
		known.colour |= c
		heap.Push(&p.todo, known)
	}
	return nil
}

// best drops what is an ancestor of another one. Those that were painted old
// are; where clocks were wrong, others may be too.
func (p *painter) best(bases []*painted) ([]*painted, error) {
	bases = slices.DeleteFunc(bases, func(c *painted) bool { return c.colour&old != 0 })
	slices.SortFunc(bases, newest)
	if len(bases) < 2 {
		return bases, nil
	}
	older := map[plumbing.Hash]bool{}
	for _, c := range bases {
		reached, err := p.v.g.reach(context.Background(), p.v.sto, c.hash, plumbing.ZeroHash)
		if err != nil {
			return nil, err
		}
		for _, other := range bases {
			if _, ok := reached[other.hash]; ok && other != c {
				older[other.hash] = true
			}
		}
	}
	return slices.DeleteFunc(bases, func(c *painted) bool { return older[c.hash] }), nil
}
