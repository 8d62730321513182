package reconcile

import (
	"context"
	"io/fs"
	"path"
	"testing/fstest"

	"golang.org/x/sync/errgroup"

	"reconciler/internal/okta/objects"
	"reconciler/internal/okta/org"
	"reconciler/internal/okta/rest"
	"reconciler/internal/state"
	"reconciler/internal/text"
)

// OrgObjects is what came of reading all objects of one org.
type OrgObjects struct {
	Domain string
	// Live is what the org has; nil if it couldn't be read.
	Live *objects.Live
	// Unknown is why the org couldn't be read, the same each time for the same reason,
	// and ErrorID what Okta Support asks for. Hint is what can be done about it.
	Unknown, ErrorID, Hint string
	// Skipped is set if runs don't read the org either, because it isn't ACTIVE or not
	// there; Unknown says which.
	Skipped bool
}

// ReadOrgs reads all objects of the kinds of the orgs, which need not be declared, at
// most orgs.concurrency at a time. The result is in the order of the orgs; one that
// can't be read doesn't keep others from being read. It can't write.
func (r *Reconciler) ReadOrgs(ctx context.Context, orgs []*state.DesiredOrg, kinds []*objects.Kind) ([]OrgObjects, error) {
	actual, err := r.read.Observe(ctx, func(state.Org) bool { return false })
	if err != nil {
		return nil, err
	}
	return r.configurations.readAll(ctx, orgs, actual, objects.ReadsAll(kinds))
}

func (c *configurations) readAll(ctx context.Context, orgs []*state.DesiredOrg, actual *state.Actual, what objects.Reads) ([]OrgObjects, error) {
	find := liveOrgs(actual)
	all := make([]OrgObjects, len(orgs))
	var g errgroup.Group
	g.SetLimit(max(1, c.concurrency))
	for i, o := range orgs {
		found := &all[i]
		found.Domain = o.Domain
		switch live := find(o); {
		case live == nil:
			found.Skipped, found.Unknown = true, "the account has no such org"
		case live.Status != state.Active || o.Status == state.Inactive:
			found.Skipped, found.Unknown = true, "it is INACTIVE"
		default:
			target := objects.Target{Domain: o.Domain, OrgID: live.ID, ClientID: o.ClientID}
			g.Go(func() error {
				c.readOne(ctx, target, what, found)
				return ctx.Err()
			})
		}
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return all, nil
}

func (c *configurations) readOne(ctx context.Context, target objects.Target, what objects.Reads, found *OrgObjects) {
	var err error
	defer func() {
		if err != nil {
			found.Live = nil
			found.Unknown, found.ErrorID = org.Reason(err)
			found.Hint = text.Hint(err)
		}
	}()
	defer rest.Recover(c.log, "reading the configuration of "+target.Domain, &err)
	found.Live, err = c.client.Read(ctx, target, what)
}

// Manifests returns the texts that the desired state was read from, by their names in
// the folder that they are in.
func (d *Desired) Manifests() ([]state.Source, error) {
	in := state.Input{FS: d.snap.FS, Root: d.snap.Root, Files: d.snap.Files, Name: "."}
	if info, err := fs.Stat(d.snap.FS, d.snap.Root); err == nil && !info.IsDir() {
		in.Name = path.Base(d.snap.Root)
	}
	return state.Sources([]state.Input{in})
}

// LoadManifests loads manifests that are not written yet.
func LoadManifests(all []state.Source, opts state.LoadOptions) (*state.Desired, error) {
	files := fstest.MapFS{}
	for _, s := range all {
		files[s.Name] = &fstest.MapFile{Data: s.Data}
	}
	desired, _, err := state.Load([]state.Input{{FS: files, Root: ".", Name: "."}}, opts)
	return desired, err
}
