package source

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

// Commit is one commit as git stores it.
type Commit struct {
	// Hash is the full hash, computed from Raw.
	Hash string
	// Raw is the content of the commit object, signature and all.
	Raw []byte
}

// History returns all commits that lead from the commit since to the commit tip,
// both full hashes: those that can be reached from tip and not from since, newest
// first, each before its parents, in a fixed order. It also reports whether since
// is tip or an ancestor of it. If since can't be fetched any more, as after a
// rewrite, the commits are the whole history of tip.
//
// go-git trusts the server on what belongs to the history. Here hashes are
// computed: each parent of a returned commit is returned too, or is since, or is
// an ancestor of since by a chain of hashes. A server that withholds commits
// causes an error, or has more commits checked.
//
// Usually one request is enough; a merged side branch that began before since, or
// a rewrite, takes a second one for the whole history. Errors and retries are as
// in Fetch.
func (g *Git) History(ctx context.Context, tip, since string) ([]Commit, bool, error) {
	for _, h := range []string{tip, since} {
		if err := g.checkHash(h); err != nil {
			return nil, false, err
		}
	}
	if tip == since {
		return nil, true, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	read := g.remoteHistory
	if g.ep.Protocol == "file" {
		read = g.localHistory
	}
	h, err := attempt(ctx, g, func(ctx context.Context) (*history, error) {
		return read(ctx, plumbing.NewHash(tip), plumbing.NewHash(since))
	})
	if err != nil {
		return nil, false, err
	}
	return h.commits, h.ancestor, nil
}

// history is what leads from one commit to another.
type history struct {
	commits  []Commit
	ancestor bool
	// missing are commits that are not there though they should be: parents of
	// others, or the tip. With any, there are no commits.
	missing []plumbing.Hash
}

func (g *Git) localHistory(ctx context.Context, tip, since plumbing.Hash) (*history, error) {
	sto, err := g.open(g.ep.Path)
	if err != nil {
		return nil, err
	}
	defer sto.Close()
	h, err := g.between(ctx, sto, tip, since)
	switch {
	case err != nil:
		return nil, err
	case slices.Contains(h.missing, tip):
		return nil, g.noCommit(tip)
	case len(h.missing) > 0:
		return nil, g.fail(ErrIncomplete, `"git fetch --unshallow" completes a shallow clone; else `+fsck,
			"the repository lacks the commit %s, between %s and %s", h.missing[0], since, tip)
	}
	return h, nil
}

// extent is how much of a history a server is asked for.
type extent int

const (
	// newer is what since doesn't have. It is little, and all there is to it
	// when each chain of parents ends at since. When one ends elsewhere, the
	// server says that it ends at an ancestor of since, which may be a lie.
	newer extent = iota
	// both is the whole history of tip and of since, to be compared here.
	both
	// whole is the history of tip, for servers that don't give since.
	whole
)

func (g *Git) remoteHistory(ctx context.Context, tip, since plumbing.Hash) (*history, error) {
	h, err := g.fetchHistory(ctx, newer, tip, since)
	if err != nil || len(h.missing) == 0 {
		return h, err
	}
	h, err = g.fetchHistory(ctx, both, tip, since)
	if errors.Is(err, errNotGiven) {
		h, err = g.fetchHistory(ctx, whole, tip, since)
	}
	switch {
	case err != nil:
		return nil, err
	case slices.Contains(h.missing, tip):
		return nil, g.noCommit(tip)
	case len(h.missing) > 0:
		return nil, g.fail(ErrIncomplete, "is the repository on the server a shallow clone, or damaged?",
			"the server holds back the commit %s, which belongs to the history of %s", h.missing[0], tip)
	}
	return h, nil
}

var errNotGiven = errors.New("the server does not give that commit")

// fetchHistory connects and asks for the history, again for as long as the server
// forbids what the request would leave out.
func (g *Git) fetchHistory(ctx context.Context, how extent, tip, since plumbing.Hash) (*history, error) {
	for {
		s, err := g.connect(ctx)
		if err != nil {
			return nil, err
		}
		h, err := g.converseHistory(ctx, s, how, tip, since)
		s.Close()
		if !errors.Is(err, errFilter) {
			return h, err
		}
	}
}

// filters leave out objects other than commits, the best one first. Servers that
// filter may still forbid one or the other, and then the next try is without it
// (https://git-scm.com/docs/git-config, uploadpackfilter.FILTER.allow).
var filters = [...]packp.Filter{"tree:0", "blob:none", ""}

// errFilter means that the server forbids a filter, and that the next request is to
// be made with the next of filters.
var errFilter = errors.New("the server does not filter like that")

// converseHistory asks for the list of refs and for the history.
func (g *Git) converseHistory(ctx context.Context, s session, how extent, tip, since plumbing.Hash) (*history, error) {
	adv, err := s.AdvertisedReferencesContext(ctx)
	if err != nil {
		return nil, g.explain(err)
	}
	req := request{filter: filters[g.filter]}
	if req.wants, _ = wants(adv, tip); len(req.wants) == 0 {
		return nil, g.noCommit(tip)
	}
	wanted := how == both && offered(adv, since)
	switch {
	case slices.Contains(req.wants, since):
	case wanted:
		req.wants = append(req.wants, since)
	case how == newer:
		req.haves = []plumbing.Hash{since}
	}
	sto, err := g.transfer(ctx, s, adv, req)
	switch {
	case err == nil:
	case req.filter != "" && adv.Capabilities.Supports(capability.Filter) && strings.Contains(err.Error(), "filter"):
		g.filter++
		return nil, errFilter
	case wanted && refused(err):
		return nil, errNotGiven
	default:
		return nil, g.explainPack(err)
	}
	defer sto.Close()
	return g.between(ctx, sto, tip, since)
}

// between finds the commits among the objects. All are read once for their
// parents; contents are kept only of those that count.
func (g *Git) between(ctx context.Context, sto storer.EncodedObjectStorer, tip, since plumbing.Hash) (*history, error) {
	reached, err := g.reach(ctx, sto, tip, since, nil)
	switch {
	case err != nil:
		return nil, err
	case len(reached) == 0:
		return &history{missing: []plumbing.Hash{tip}}, nil
	}
	h, end, older := &history{}, graph{since: nil}, graph{}
	begins := func(parents []plumbing.Hash) bool { return len(parents) == 0 }
	if slices.ContainsFunc(slices.Collect(maps.Values(reached)), begins) || len(reached.missing(end)) > 0 {
		// Some chain of parents doesn't end at since, so it may hold ancestors of
		// since. It can't otherwise: their own chains never come to since.
		if older, err = g.reach(ctx, sto, since, plumbing.ZeroHash, nil); err != nil {
			return nil, err
		}
	}
	for c, parents := range reached {
		h.ancestor = h.ancestor || slices.Contains(parents, since)
		if _, ok := older[c]; ok {
			delete(reached, c)
		}
	}
	if h.missing = reached.missing(end, older); len(h.missing) > 0 {
		return h, nil
	}
	var size int64
	for _, c := range reached.sorted(tip) {
		o, err := sto.EncodedObject(plumbing.CommitObject, c)
		if err != nil {
			return nil, g.damaged(c, err)
		}
		if size += o.Size(); size > g.limits.history {
			return nil, g.fail(ErrContent, "are these two commits the right ones?",
				"the commits from %s to %s hold more than %d MB", since, tip, g.limits.history>>20)
		}
		content, err := payload(o)
		if err != nil {
			return nil, g.damaged(c, err)
		}
		h.commits = append(h.commits, Commit{Hash: c.String(), Raw: content})
	}
	return h, nil
}

// graph holds the parents of commits.
type graph map[plumbing.Hash][]plumbing.Hash

// reach walks from a commit to all that can be reached, but not to stop or past
// it. It passes over what isn't there, which is where go-git's walks fail. What
// is known of other commits is not read again.
func (g *Git) reach(ctx context.Context, sto storer.EncodedObjectStorer, from, stop plumbing.Hash, known graph) (graph, error) {
	reached := graph{}
	todo := []plumbing.Hash{from}
	for len(todo) > 0 {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		h := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if _, ok := reached[h]; ok || h == stop {
			continue
		}
		parents, ok := known[h]
		if !ok {
			c, err := object.GetCommit(sto, h)
			switch {
			case errors.Is(err, plumbing.ErrObjectNotFound):
				continue
			case err != nil:
				return nil, g.damaged(h, err)
			}
			parents = c.ParentHashes
		}
		reached[h] = parents
		todo = append(todo, parents...)
	}
	return reached, nil
}

// missing returns the parents, sorted, that are neither here nor in the others.
func (r graph) missing(others ...graph) []plumbing.Hash {
	var missing []plumbing.Hash
	for _, parents := range r {
		for _, p := range parents {
			has := func(g graph) bool { _, ok := g[p]; return ok }
			if !has(r) && !slices.ContainsFunc(others, has) {
				missing = append(missing, p)
			}
		}
	}
	plumbing.HashesSort(missing)
	return slices.Compact(missing)
}

// sorted returns the commits in the order of "git rev-list --topo-order": each
// before its parents, and the lines of a merge not mixed.
func (r graph) sorted(tip plumbing.Hash) []plumbing.Hash {
	children := map[plumbing.Hash]int{}
	for _, parents := range r {
		for _, p := range parents {
			children[p]++
		}
	}
	var order []plumbing.Hash
	todo := []plumbing.Hash{tip}
	for len(todo) > 0 {
		h := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		parents, ok := r[h]
		if !ok {
			continue
		}
		order = append(order, h)
		for _, p := range parents {
			if children[p]--; children[p] == 0 {
				todo = append(todo, p)
			}
		}
	}
	return order
}

// refused reports whether a server doesn't give what was asked for by its hash,
// in the words of git or of JGit.
func refused(err error) bool {
	s := err.Error()
	return strings.Contains(s, "not our ref") || strings.Contains(s, "want ") && strings.Contains(s, " not valid")
}
