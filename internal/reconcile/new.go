package reconcile

import (
	"log/slog"
	"slices"
	"sync"

	"reconciler/internal/config"
	"reconciler/internal/diff"
	"reconciler/internal/freeze"
	"reconciler/internal/okta/aerial"
	"reconciler/internal/store/history"
	"reconciler/internal/store/journal"
)

// New returns a Reconciler for a config. It opens no connection, no secret and no
// file. The error may be a *config.MissingError.
func New(cfg *config.Config, opts Options) (*Reconciler, error) {
	if err := cfg.NeedAerial(); err != nil {
		return nil, err
	}
	r := &Reconciler{
		cfg: cfg, environ: opts.Environ, log: opts.Logger, guards: guardsOf(cfg), base: opts.Transport,
	}
	if r.base == nil {
		r.base = aerial.BaseTransport(max(cfg.Aerial.Concurrency, cfg.Orgs.Concurrency*cfg.Orgs.CallsPerOrg))
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	r.refused, r.memory, r.latest, r.places, r.repository = &sync.Map{}, &memory{}, &latest{}, &places{}, repositoryOf(cfg)
	if opts.After == nil {
		r.journal = journal.New(StateOf(cfg), journal.Options{Logger: r.log, Commands: opts.Commands})
		r.contested = newContested(r.journal, cfg)
		r.history = OpenHistory(cfg, history.Options{Logger: r.log})
	} else {
		r.journal, r.refused = opts.After.journal, opts.After.refused
		r.removals.made, r.known = slices.Clone(opts.After.removals.made), opts.After.known
		r.contested = opts.After.contested
		r.history, r.memory, r.latest, r.places = opts.After.history, opts.After.memory, opts.After.latest, opts.After.places
	}
	r.removals.r = r
	r.rules = func() *freeze.Rules { return Holds(cfg, r.journal) }
	if !opts.NoManifests {
		if err := r.openSource(opts.Manifests); err != nil {
			return nil, err
		}
		if opts.After != nil {
			r.source.verifier.follow(&opts.After.source.verifier)
		}
	}
	if err := r.setClients(opts.Observer); err != nil {
		return nil, err
	}
	return r, r.setConfigurations(opts)
}

// guardsOf returns the limits of the config, and the orgs in it that are never
// deactivated.
func guardsOf(cfg *config.Config) diff.Guards {
	g := diff.Guards{
		MaxDestructiveOrgs:    cfg.Guards.MaxDestructiveOrgs,
		MaxDestructivePercent: cfg.Guards.MaxDestructivePercent,
		MaxNewOrgs:            cfg.Guards.MaxNewOrgs,
		AllowLockout:          cfg.Guards.AllowLockout,
		OwnAddresses:          cfg.Guards.OwnAddresses,
		AerialDomain:          config.OktaDomain(cfg.Aerial.Auth.OrgURL),
		UnknownAerial:         cfg.Aerial.Unknown(),
	}
	for i := range cfg.Parents {
		switch p := &cfg.Parents[i]; {
		case p.Domain != "":
			g.ParentDomains = append(g.ParentDomains, p.Domain)
		case p.Unknown():
			g.UnknownParents = append(g.UnknownParents, p.Name)
		}
	}
	return g
}
