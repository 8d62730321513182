package daemon

import (
	"context"
	"log/slog"

	"reconciler/internal/config"
	"reconciler/internal/source"
	"reconciler/internal/state"
)

// What a Reconciler is made of, for commands that need a part of it alone.

// Actual reads the whole actual state, the products of all orgs included. It
// can't write.
func (r *Reconciler) Actual(ctx context.Context) (*state.Actual, error) {
	return r.read.Observe(ctx, nil)
}

// Source is a place that manifests are read from.
type Source struct {
	// Name names the place for people.
	Name string
	// Fetch reads what is there now.
	Fetch func(context.Context) (*source.Snapshot, error)
}

// OpenSource gives the place that the config names. It connects to nothing. The
// error may be a *config.MissingError.
func OpenSource(cfg *config.Config, log *slog.Logger) (*Source, error) {
	r := &Reconciler{cfg: cfg, log: log}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if err := r.setSource(""); err != nil {
		return nil, err
	}
	return &Source{r.source, r.fetch}, nil
}
