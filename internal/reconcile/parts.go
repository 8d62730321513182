package reconcile

import (
	"context"
	"log/slog"

	"reconciler/internal/config"
	"reconciler/internal/git/source"
	"reconciler/internal/state"
	"reconciler/internal/store/journal"
)

// Actual reads the whole actual state, the products of all orgs included. It
// can't write.
func (r *Reconciler) Actual(ctx context.Context) (*state.Actual, error) {
	return r.read.Observe(ctx, nil)
}

// Source is a place that manifests are read from, for commands that need nothing
// else of a Reconciler.
type Source struct {
	// Name describes the place.
	Name string
	// Fetch reads what is there now.
	Fetch func(context.Context) (*source.Snapshot, error)
	// Verify checks a snapshot as each run does, and records nothing. It returns
	// who signed it, and what was accepted last, which is the zero Acceptance if
	// that isn't known. The error says why the commit must not be used, or why it
	// can't be checked. Where the config wants no signatures, Verify is nil.
	Verify func(context.Context, *source.Snapshot) (signer string, last journal.Acceptance, err error)
}

// OpenSource returns the place that the config names. It opens no connection. The
// error may be a *config.MissingError.
func OpenSource(cfg *config.Config, j *journal.Journal, log *slog.Logger) (*Source, error) {
	r := &Reconciler{cfg: cfg, journal: j, log: log}
	if err := r.setSource(""); err != nil {
		return nil, err
	}
	s := &Source{Name: r.source, Fetch: r.fetch}
	if v := &r.verifier; v.rules() != nil {
		s.Verify = func(ctx context.Context, snap *source.Snapshot) (string, journal.Acceptance, error) {
			b, err := v.baseline()
			if err != nil {
				return "", b.last, err
			}
			signer, err := v.check(ctx, snap)
			return signer, b.last, err
		}
	}
	return s, nil
}
