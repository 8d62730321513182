package daemon

import (
	"time"

	"reconciler/internal/daemon/api"
	"reconciler/internal/daemon/page"
	"reconciler/internal/reconcile"
	"reconciler/internal/report"
	"reconciler/internal/store/history"
)

var _ page.Source = (*reader)(nil)

// reader is what the API and the pages show.
type reader struct {
	// InventoryReader is what the history knows; nil in tests that need none.
	*reconcile.InventoryReader
	tracker  *statusTracker
	requests *requests
	// kept is what the last runs hold; nil in tests that need none.
	kept *keptRuns
	now  func() time.Time
	// mirror brings the status up to date with the leader's; nil if this daemon isn't a
	// replica.
	mirror func() error
}

// Status returns the status as of now.
func (r *reader) Status() api.Status { return r.tracker.read(r.now()) }

// Org returns what is known of an org; nil if nothing is.
func (r *reader) Org(domain string) (*reconcile.OrgDetail, error) {
	found, err := r.InventoryReader.Org(domain)
	if err != nil || found == nil {
		return nil, err
	}
	for _, s := range r.Status().Suspensions {
		if len(s.Orgs) == 0 || s.Orgs.Match(domain) {
			found.Suspensions = append(found.Suspensions, s)
		}
	}
	return found, nil
}

// Features returns the features of the orgs that q selects beside those of their parents.
func (r *reader) Features(q *reconcile.InventoryQuery) (*reconcile.Page[report.FeatureColumn], error) {
	var warnings []string
	page, err := reconcile.PageOf(r.InventoryReader, q, func(inv *reconcile.Inventory) []report.FeatureColumn {
		orgs, parents := inv.ListFeatures(q)
		all := report.CompareFeatures(featureOrgs(orgs), featureOrgs(parents))
		warnings = all.Warnings
		return all.Orgs
	}, func(c *report.FeatureColumn) string { return c.Org })
	if err == nil {
		page.Warnings = warnings
	}
	return page, err
}

func featureOrgs(all []reconcile.OrgFeatures) []report.FeatureOrg {
	orgs := make([]report.FeatureOrg, len(all))
	for i := range all {
		orgs[i] = report.FeatureOrg(all[i])
	}
	return orgs
}

// maxEntries is how many changes of a run RunInfo has at most.
const maxEntries = 1000

// Run returns what is known of a run; nil if nothing is.
func (r *reader) Run(id string) (*api.RunInfo, error) {
	info := &api.RunInfo{ID: id}
	if err := r.present(info); err != nil {
		return nil, err
	}
	if err := r.past(info); err != nil {
		return nil, err
	}
	if info.State == "" {
		return nil, nil
	}
	if r.InventoryReader != nil && info.RunRecord != nil {
		info.CommitLink = r.CommitLink(info.Commit)
	}
	return info, r.kept.add(info)
}

// present adds what the status and the requests have of a run.
func (r *reader) present(info *api.RunInfo) error {
	r.look(info)
	if info.State != "" || r.mirror == nil {
		return nil
	}
	queued, err := r.requests.queued(info.ID)
	switch {
	case err != nil:
		return err
	case queued:
		info.State = api.RunQueued
		return nil
	}
	// It may have begun just now: the leader publishes that before it removes the request.
	err = r.mirror()
	r.look(info)
	return err
}

// look adds what this process knows of a run.
func (r *reader) look(info *api.RunInfo) {
	if info.RunRecord = r.tracker.run(info.ID); info.RunRecord != nil {
		info.State = api.RunEnded
		return
	}
	info.State = r.requests.state(info.ID)
	if info.State == "" && r.tracker.isRunning(info.ID) {
		info.State = api.RunRunning
	}
}

// past adds what the history has of a run.
func (r *reader) past(info *api.RunInfo) error {
	if r.InventoryReader == nil {
		return nil
	}
	run, err := r.InventoryReader.Run(info.ID)
	if err != nil || run == nil {
		return err
	}
	info.Add(run)
	entries, err := r.History(&reconcile.InventoryQuery{Run: run.ID, Types: []history.Type{history.TypeChange}, Limit: maxEntries})
	if err != nil {
		return err
	}
	info.Entries = entries.Items
	if info.RunRecord == nil || info.Head != "" {
		return nil
	}
	// Of an earlier process: the head after the run was the hash of its entry.
	own, err := r.History(&reconcile.InventoryQuery{Run: run.ID, Types: []history.Type{history.TypeRun}, Limit: 1})
	if err == nil && len(own.Items) > 0 {
		record := *info.RunRecord // that of the status stays as it is
		record.Head = own.Items[0].Hash
		info.RunRecord = &record
	}
	return err
}
