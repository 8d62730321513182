package reconcile

import (
	"errors"

	"reconciler/internal/store/journal"
)

// SaveRun keeps the record of a run for later processes. A run that ends while
// another process holds the journal is not kept: nothing relies on it.
func (r *Reconciler) SaveRun(run journal.Run) error {
	if r.cfg.State.Dir == "" {
		return nil
	}
	w, err := r.journal.Lock()
	if errors.As(err, new(*journal.HeldError)) {
		return nil
	} else if err != nil {
		return err
	}
	defer w.Unlock()
	return w.AddRun(run)
}

// Runs returns the newest runs that were kept, newest first, at most limit.
func (r *Reconciler) Runs(limit int) ([]journal.Run, error) { return r.journal.Runs(limit) }
