package source

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
)

// session is one conversation with git-upload-pack: first what there is, then,
// if need be, the objects. go-git's transports are sessions; sshSession is
// another one.
type session interface {
	AdvertisedReferencesContext(context.Context) (*packp.AdvRefs, error)
	UploadPack(context.Context, *packp.UploadPackRequest) (*packp.UploadPackResponse, error)
	io.Closer
}

// errTooMuch ends a transfer that is larger than limits.pack.
var errTooMuch = errors.New("the answer is too large")

// readRemote reads the commit from a server, if it isn't the last one.
func (g *Git) readRemote(ctx context.Context) (*Snapshot, error) {
	s, err := g.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return g.converse(ctx, s)
}

// converse asks for the list and, if need be, for the commit.
func (g *Git) converse(ctx context.Context, s session) (*Snapshot, error) {
	adv, err := s.AdvertisedReferencesContext(ctx)
	if err != nil {
		return nil, g.explain(err)
	}
	at, ok := adv.References[g.ref.String()]
	switch {
	case g.opts.Commit != "":
		at = plumbing.NewHash(g.opts.Commit)
	case !ok:
		return nil, g.noRef(slices.Collect(maps.Keys(adv.References)))
	}
	if g.last != nil && at == g.last.at {
		g.log.DebugContext(ctx, "git: not moved", "ref", g.ref.String(), "at", at.String())
		return g.last.snap, g.last.err
	}
	sto, err := g.download(ctx, s, adv, at)
	if err != nil {
		return nil, err
	}
	defer sto.Close()
	return g.read(ctx, sto, at)
}

func (g *Git) connect(ctx context.Context) (session, error) {
	g.secrets, g.via, g.app = nil, "", false
	if g.ep.Protocol == "ssh" {
		return g.connectSSH(ctx)
	}
	return g.connectHTTP(ctx)
}

// download fetches the one commit with all that belongs to it, to be closed: as
// the only one where the server can do that, else with all its history. Files
// that are no manifests come along, and may be of any size: git can leave out
// large ones on request, but servers allow that only where it was switched on.
func (g *Git) download(ctx context.Context, s session, adv *packp.AdvRefs, at plumbing.Hash) (*pack, error) {
	req, err := g.request(adv, at)
	if err != nil {
		return nil, err
	}
	sto, err := g.exchange(ctx, s, req)
	if err != nil {
		return nil, g.explainPack(err)
	}
	return sto, nil
}

// exchange sends a request and takes in the pack of the answer, to be closed.
// What goes wrong is for explainPack to word.
func (g *Git) exchange(ctx context.Context, s session, req *packp.UploadPackRequest) (*pack, error) {
	resp, err := s.UploadPack(ctx, req)
	if err != nil {
		return nil, err
	}
	defer resp.Close()
	var r io.Reader = resp
	switch {
	case req.Capabilities.Supports(capability.Sideband64k):
		r = sideband.NewDemuxer(sideband.Sideband64k, r)
	case req.Capabilities.Supports(capability.Sideband):
		r = sideband.NewDemuxer(sideband.Sideband, r)
	}
	return readPack(ctx, r, g.limits, req.Filter != "")
}

// request words the wish for the commit, with what the server is able to do.
func (g *Git) request(adv *packp.AdvRefs, at plumbing.Hash) (*packp.UploadPackRequest, error) {
	req := packp.NewUploadPackRequestFromCapabilities(adv.Capabilities)
	use := []capability.Capability{capability.NoProgress}
	req.Wants = []plumbing.Hash{at}
	if !offered(adv, at) {
		// The server hands out nothing but what a ref leads to, so all that a
		// ref leads to is fetched, and looked through.
		if req.Wants = tips(adv); len(req.Wants) == 0 {
			return nil, g.noCommit(at)
		}
	} else if adv.Capabilities.Supports(capability.Shallow) {
		req.Depth = packp.DepthCommits(1)
		use = append(use, capability.Shallow)
	}
	if adv.Capabilities.Supports(capability.Filter) {
		req.Filter = packp.FilterBlobLimit(uint64(g.limits.file)+1, packp.BlobLimitPrefixNone)
		use = append(use, capability.Filter)
	}
	return req, g.use(req, adv, use...)
}

// use makes use of what the server is able to do.
func (g *Git) use(req *packp.UploadPackRequest, adv *packp.AdvRefs, caps ...capability.Capability) error {
	for _, c := range caps {
		if !adv.Capabilities.Supports(c) {
			continue
		}
		if err := req.Capabilities.Set(c); err != nil {
			return g.fail(nil, "", "asking for the commit: %v", err)
		}
	}
	return nil
}

// offered says whether the server lets us ask for the object by its hash.
func offered(adv *packp.AdvRefs, h plumbing.Hash) bool {
	for _, tip := range adv.References {
		if tip == h {
			return true
		}
	}
	return adv.Capabilities.Supports(capability.AllowReachableSHA1InWant) ||
		adv.Capabilities.Supports("allow-any-sha1-in-want")
}

// tips gives what branches and tags point to. What else a server may show,
// such as the pull requests of a code host, is anybody's work.
func tips(adv *packp.AdvRefs) []plumbing.Hash {
	var hashes []plumbing.Hash
	for name, h := range adv.References {
		if n := plumbing.ReferenceName(name); n.IsBranch() || n.IsTag() {
			hashes = append(hashes, h)
		}
	}
	plumbing.HashesSort(hashes)
	return slices.Compact(hashes)
}

// capped reads until too much was read.
type capped struct {
	io.Reader
	left int64
}

func (c *capped) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errTooMuch
	}
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.Reader.Read(p)
	c.left -= int64(n)
	return n, err
}
