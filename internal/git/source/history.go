package source

import (
	"context"
	"errors"
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

// History gives all commits that lead from the commit since to the commit tip,
// both full hashes: those that can be reached from tip, itself among them, and
// not from since. They stand newest first, each before its parents, and the
// same commits always in the same order. It says too whether since is an
// ancestor of tip (or tip itself, and then there are no commits): it no longer
// is when the branch was rewritten.
//
// No word of the server's is trusted as to what belongs to the history. Hashes
// are computed, and each parent of a commit that is given is given too, or is
// since, or was seen to be an ancestor of since, by a chain of hashes. A server
// that holds commits back causes an error, or gets more commits checked than
// need be.
//
// Where since is not to be had any more, as after a rewrite, it counts as
// unrelated, and the commits are the whole history of tip.
//
// Objects other than commits are not transferred where the server can leave
// them out. As a rule one request does; when a side branch that began before
// since was merged, or the branch was rewritten, the whole history follows in
// another one. Like Fetch it tries again when the network fails it, may be
// called again, and gives errors that are *Error, but for ctx's own.
func (g *Git) History(ctx context.Context, tip, since string) ([]Commit, bool, error) {
	for _, h := range []string{tip, since} {
		if !isFullHash(h) {
			return nil, false, g.fail(nil, "", "the commit %q is not a full hash of 40 digits", h)
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

func isFullHash(s string) bool {
	return len(s) == 40 && plumbing.IsHash(s) && s == strings.ToLower(s)
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
	case len(h.missing) > 0 && sto.isShallow():
		return nil, g.fail(ErrIncomplete, `"git fetch --unshallow" completes it`,
			"the clone is shallow: it lacks the commit %s, between %s and %s", h.missing[0], since, tip)
	case len(h.missing) > 0:
		return nil, g.fail(ErrIncomplete, fsck, "the repository lacks the commit %s, between %s and %s", h.missing[0], since, tip)
	}
	return h, nil
}

// wish is how a server is asked for a history.
type wish int

const (
	// newer asks for what since doesn't have. It is little, and all there is
	// to it when each chain of parents ends at since. When one ends elsewhere,
	// the server says that it ends at an ancestor of since, which may be a lie.
	newer wish = iota
	// both asks for the whole history of tip and of since, to see for
	// ourselves.
	both
	// whole asks for the history of tip, for servers that don't give since.
	whole
)

func (g *Git) remoteHistory(ctx context.Context, tip, since plumbing.Hash) (*history, error) {
	h, err := g.ask(ctx, newer, tip, since)
	if err != nil || len(h.missing) == 0 {
		return h, err
	}
	h, err = g.ask(ctx, both, tip, since)
	if errors.Is(err, errNotGiven) {
		h, err = g.ask(ctx, whole, tip, since)
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

// Reasons to word a wish in another way.
var (
	errNotGiven = errors.New("the server does not give that commit")
	errFilter   = errors.New("the server does not filter like that")
)

// ask asks for the history, more than once until the server takes the filter:
// those that filter may still forbid one or the other
// (https://git-scm.com/docs/git-config, uploadpackfilter.FILTER.allow).
func (g *Git) ask(ctx context.Context, how wish, tip, since plumbing.Hash) (*history, error) {
	filters := []packp.Filter{"tree:0", "blob:none", ""} // the best one first
	for {
		s, err := g.connect(ctx)
		if err != nil {
			return nil, err
		}
		h, err := g.inquire(ctx, s, how, tip, since, filters[g.filter])
		s.Close()
		if !errors.Is(err, errFilter) {
			return h, err
		}
		g.filter++
	}
}

// inquire holds one conversation about the history.
func (g *Git) inquire(ctx context.Context, s session, how wish, tip, since plumbing.Hash, filter packp.Filter) (*history, error) {
	adv, err := s.AdvertisedReferencesContext(ctx)
	if err != nil {
		return nil, g.explain(err)
	}
	req := packp.NewUploadPackRequestFromCapabilities(adv.Capabilities)
	if req.Wants = wants(adv, tip); len(req.Wants) == 0 {
		return nil, g.noCommit(tip)
	}
	asked := how == both && offered(adv, since)
	switch {
	case asked && !slices.Contains(req.Wants, since):
		req.Wants = append(req.Wants, since)
	case how == newer && !slices.Contains(req.Wants, since):
		req.Haves = []plumbing.Hash{since}
	}
	use := []capability.Capability{capability.NoProgress}
	filtered := filter != "" && adv.Capabilities.Supports(capability.Filter)
	if filtered {
		req.Filter = filter
		use = append(use, capability.Filter)
	}
	if err := g.use(req, adv, use...); err != nil {
		return nil, err
	}
	sto, err := g.exchange(ctx, s, req)
	switch {
	case err == nil:
	case filtered && strings.Contains(err.Error(), "filter"):
		return nil, errFilter
	case asked && refused(err):
		return nil, errNotGiven
	case errors.Is(err, errTooMuch), errors.Is(err, errUnpacked), errors.Is(err, errTooMany):
		return nil, g.fail(ErrContent, "a server that can filter objects (uploadpack.allowFilter) sends less; a repository of their own keeps the manifests' history short",
			"the history of %s is too large: %s", tip, err)
	default:
		return nil, g.explainPack(err)
	}
	defer sto.Close()
	return g.between(ctx, sto, tip, since)
}

// between finds the commits among the objects. All are read once for their
// parents; contents are kept only of those that count.
func (g *Git) between(ctx context.Context, sto storer.EncodedObjectStorer, tip, since plumbing.Hash) (*history, error) {
	reached, err := g.reach(ctx, sto, tip, since)
	if err != nil {
		return nil, err
	}
	h := &history{}
	var older graph
	if reached.open(since) {
		// Some chain doesn't end at since, so it may hold ancestors of since.
		// It can't otherwise: their own chains never come to since.
		if older, err = g.reach(ctx, sto, since, plumbing.ZeroHash); err != nil {
			return nil, err
		}
	}
	for c, parents := range reached {
		h.ancestor = h.ancestor || slices.Contains(parents, since)
		if _, ok := older[c]; ok {
			delete(reached, c)
		}
	}
	if h.missing = reached.missing(tip, since, older); len(h.missing) > 0 {
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

func hashes(hs []plumbing.Hash) []string {
	var s []string
	for _, h := range hs {
		s = append(s, h.String())
	}
	return s
}

// graph holds the parents of commits.
type graph map[plumbing.Hash][]plumbing.Hash

// reach walks from a commit to all that can be reached, but not to stop or past
// it. What isn't there is passed over.
func (g *Git) reach(ctx context.Context, sto storer.EncodedObjectStorer, from, stop plumbing.Hash) (graph, error) {
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
		c, err := object.GetCommit(sto, h)
		switch {
		case errors.Is(err, plumbing.ErrObjectNotFound):
			continue
		case err != nil:
			return nil, g.damaged(h, err)
		}
		reached[h] = c.ParentHashes
		todo = append(todo, c.ParentHashes...)
	}
	return reached, nil
}

// open says whether some chain of parents ends elsewhere than at since: at a
// first commit, or where one isn't there.
func (r graph) open(since plumbing.Hash) bool {
	for _, parents := range r {
		if len(parents) == 0 {
			return true
		}
		for _, p := range parents {
			if _, ok := r[p]; !ok && p != since {
				return true
			}
		}
	}
	return len(r) == 0
}

// missing gives the commits, sorted, that are needed to say what leads from
// since to tip, and aren't there.
func (r graph) missing(tip, since plumbing.Hash, older graph) []plumbing.Hash {
	known := func(h plumbing.Hash) bool {
		_, newer := r[h]
		_, old := older[h]
		return newer || old || h == since
	}
	var missing []plumbing.Hash
	if !known(tip) {
		missing = append(missing, tip)
	}
	for _, parents := range r {
		for _, p := range parents {
			if !known(p) {
				missing = append(missing, p)
			}
		}
	}
	plumbing.HashesSort(missing)
	return slices.Compact(missing)
}

// sorted gives the commits in the order of "git rev-list --topo-order": each
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

// wants gives what to ask for to get a commit: itself where the server gives
// that, or the tag that leads to it, or all branches and tags.
func wants(adv *packp.AdvRefs, h plumbing.Hash) []plumbing.Hash {
	if offered(adv, h) {
		return []plumbing.Hash{h}
	}
	for name, peeled := range adv.Peeled {
		if tag, ok := adv.References[name]; ok && peeled == h {
			return []plumbing.Hash{tag}
		}
	}
	return tips(adv)
}

// refused says whether a server doesn't give what was asked for by its hash, in
// the words of git or of JGit.
func refused(err error) bool {
	s := err.Error()
	return strings.Contains(s, "not our ref") || strings.Contains(s, "want ") && strings.Contains(s, " not valid")
}
