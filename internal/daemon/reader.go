package daemon

import (
	"time"

	"reconciler/internal/daemon/api"
	"reconciler/internal/reconcile"
)

// reader is what the API and the pages show.
type reader struct {
	// InventoryReader is what the history knows; nil in tests that need none.
	*reconcile.InventoryReader
	tracker  *statusTracker
	requests *requests
	now      func() time.Time
}

// Status returns the status as of now.
func (r *reader) Status() api.Status { return r.tracker.read(r.now()) }

// Run returns what is known of a run; nil if nothing is.
func (r *reader) Run(id string) (*api.RunInfo, error) {
	info := &api.RunInfo{ID: id}
	if info.RunRecord = r.tracker.run(id); info.RunRecord != nil {
		info.State = api.RunEnded
	} else {
		info.State = r.requests.state(id)
	}
	if info.State == "" && r.tracker.isRunning(id) {
		info.State = api.RunRunning
	}
	if r.InventoryReader != nil {
		run, err := r.InventoryReader.Run(id)
		if err != nil {
			return nil, err
		}
		info.Add(run)
	}
	if info.State == "" {
		return nil, nil
	}
	return info, nil
}
