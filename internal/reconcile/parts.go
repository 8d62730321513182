package reconcile

import (
	"context"
	"log/slog"
	"net/http"

	"reconciler/internal/config"
	"reconciler/internal/freeze"
	"reconciler/internal/git/source"
	"reconciler/internal/okta/parent"
	"reconciler/internal/state"
	"reconciler/internal/store/journal"
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
	// Verify judges what Fetch gave as each run does, and takes nothing down. It
	// gives who signed it, and what was accepted last, which is the zero
	// Acceptance where nobody knows. The error says why the commit must not be
	// used, or why that can't be told. Where the config asks for no signatures,
	// Verify is nil.
	Verify func(context.Context, *source.Snapshot) (signer string, last journal.Acceptance, err error)
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
	s := &Source{Name: r.source, Fetch: r.fetch}
	if v := &r.verifier; v.rules() != nil {
		s.Verify = func(ctx context.Context, snap *source.Snapshot) (string, journal.Acceptance, error) {
			before, err := v.precedent()
			if err != nil {
				return "", before.last, err
			}
			signer, err := v.check(ctx, snap)
			return signer, before.last, err
		}
	}
	return s, nil
}

// HoldsOf gives what the config and the state folder say of times at which
// nothing is to be written.
func HoldsOf(cfg *config.Config) *freeze.Rules { return newHolder(cfg).rules() }

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
