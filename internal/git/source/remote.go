package source

import (
	"context"
	"io"
	"maps"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
)

// session is one conversation with git-upload-pack: first the list of refs,
// then, if need be, the objects. go-git's transports are sessions; sshSession is
// another one.
type session interface {
	AdvertisedReferencesContext(context.Context) (*packp.AdvRefs, error)
	UploadPack(context.Context, *packp.UploadPackRequest) (*packp.UploadPackResponse, error)
	io.Closer
}

// readRemote reads the commit from a server, if it isn't the last one.
func (g *Git) readRemote(ctx context.Context) (*Snapshot, error) {
	s, err := g.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return g.converse(ctx, s)
}

// converse asks for the list of refs and, if the one that is followed has moved,
// for the commit: alone where the server can do that, else with its history.
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
	// Files that are no manifests come along, and may be of any size: servers
	// leave out large ones only where that was switched on.
	req := request{filter: packp.FilterBlobLimit(uint64(g.limits.file)+1, packp.BlobLimitPrefixNone)}
	if req.wants, req.shallow = wants(adv, at); len(req.wants) == 0 {
		return nil, g.noCommit(at)
	}
	sto, err := g.transfer(ctx, s, adv, req)
	if err != nil {
		return nil, g.explainPack(err)
	}
	defer sto.Close()
	return g.read(ctx, sto, at)
}

func (g *Git) connect(ctx context.Context) (session, error) {
	g.secrets = nil
	if g.ep.Protocol == "ssh" {
		return g.connectSSH(ctx)
	}
	return g.connectHTTP(ctx)
}

// request is what a server is asked for.
type request struct {
	wants, haves []plumbing.Hash
	// shallow asks for commits without their parents, and filter for what to
	// leave out: both only where the server can do that.
	shallow bool
	filter  packp.Filter
}

// transfer sends a request and takes in the pack of the answer, to be closed.
// What goes wrong is for explainPack to word.
func (g *Git) transfer(ctx context.Context, s session, adv *packp.AdvRefs, r request) (*pack, error) {
	req := packp.NewUploadPackRequestFromCapabilities(adv.Capabilities)
	req.Wants, req.Haves = r.wants, r.haves
	use := func(c capability.Capability) bool {
		return adv.Capabilities.Supports(c) && req.Capabilities.Set(c) == nil
	}
	use(capability.NoProgress)
	if r.shallow && use(capability.Shallow) {
		req.Depth = packp.DepthCommits(1)
	}
	if r.filter != "" && use(capability.Filter) {
		req.Filter = r.filter
	}
	resp, err := s.UploadPack(ctx, req)
	if err != nil {
		return nil, err
	}
	defer resp.Close()
	var body io.Reader = resp
	switch {
	case req.Capabilities.Supports(capability.Sideband64k):
		body = sideband.NewDemuxer(sideband.Sideband64k, body)
	case req.Capabilities.Supports(capability.Sideband):
		body = sideband.NewDemuxer(sideband.Sideband, body)
	}
	return readPack(ctx, body, g.limits, req.Filter != "")
}

// offered reports whether the server lets us ask for the object by its hash.
func offered(adv *packp.AdvRefs, h plumbing.Hash) bool {
	for _, tip := range adv.References {
		if tip == h {
			return true
		}
	}
	return adv.Capabilities.Supports(capability.AllowReachableSHA1InWant) ||
		adv.Capabilities.Supports("allow-any-sha1-in-want")
}

// wants returns what to ask for to get a commit. As a rule that is exactly the
// commit, or the tag that leads to it. A server may hand out nothing but what a
// ref leads to: then it is all branches and tags. Anybody can push to the other
// refs that a server may show, such as the pull requests of a code host.
func wants(adv *packp.AdvRefs, h plumbing.Hash) (hashes []plumbing.Hash, exact bool) {
	if offered(adv, h) {
		return []plumbing.Hash{h}, true
	}
	var tags []plumbing.Hash
	for name, tip := range adv.References {
		if n := plumbing.ReferenceName(name); n.IsBranch() || n.IsTag() {
			hashes = append(hashes, tip)
		}
		if adv.Peeled[name] == h {
			tags = append(tags, tip)
		}
	}
	plumbing.HashesSort(hashes)
	plumbing.HashesSort(tags)
	if len(tags) > 0 {
		return tags[:1], true
	}
	return slices.Compact(hashes), false
}

// overLimit is the error for an answer that is larger than the limits allow.
type overLimit struct{ what string }

func (e *overLimit) Error() string { return e.what }
