package daemon

import (
	"context"
	"log/slog"
	"net/http"

	"reconciler/internal/config"
	"reconciler/internal/parent"
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

// OpenParent gives a client of one of the config's parents that sends by base.
// It opens no connection and no secret.
func OpenParent(p *config.Parent, base http.RoundTripper) (*parent.Client, error) {
	return (&Reconciler{base: base, log: slog.New(slog.DiscardHandler)}).Parent(p)
}

// AlarmsOf gives the alarms of a config that may lack all that talking to Okta
// needs; see Reconciler.Alarms.
func AlarmsOf(cfg *config.Config) ([]Alarm, error) {
	return (&Reconciler{cfg: cfg, log: slog.New(slog.DiscardHandler)}).Alarms()
}
