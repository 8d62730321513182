package daemon

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/daemon/api"
	"reconciler/internal/daemon/notify"
	"reconciler/internal/daemon/signin"
	"reconciler/internal/reconcile"
	"reconciler/internal/state"
)

// setup is what the daemon makes of a config: all that is replaced together when
// the config is read again.
type setup struct {
	cfg     *config.Config
	r       *reconcile.Reconciler
	reader  *reader
	commits *commitReporter
	gate    *signin.Gate
	handler http.Handler
	// receivers are told of what happens.
	receivers []*notify.Receiver
}

// setUp makes a setup, and changes nothing of the daemon.
func (d *daemon) setUp(cfg *config.Config) (*setup, error) {
	s := &setup{cfg: cfg}
	var err error
	s.r, err = reconcile.New(cfg, reconcile.Options{
		Environ: d.opts.Environ, Commands: d.opts.Commands, Logger: d.runner.log, Observer: d.metrics.aerial, OrgObserver: d.metrics.orgAPI,
		Transport: d.base, After: d.runner.r, Every: cfg.Orgs.Every,
	})
	if err != nil {
		return nil, err
	}
	if s.commits, err = newCommitReporter(cfg, d.runner.log, nil); err != nil {
		return nil, err
	}
	if s.gate, err = signin.New(signin.Options{HTTP: &cfg.HTTP, Memory: d.memory, Log: d.log, TokensRefused: d.tracker.tokensRefused}); err != nil {
		return nil, err
	}
	s.reader = &reader{InventoryReader: s.r.Inventory(), tracker: d.tracker, requests: d.requests, kept: d.kept, now: time.Now}
	if d.replica != nil {
		s.reader.mirror = d.mirrorNow
	}
	if s.receivers, err = notify.Receivers(cfg.Notify); err != nil {
		return nil, err
	}
	s.handler, err = newHandler(handlerOptions{
		reader: s.reader, metrics: d.metrics, log: d.log, hooks: d.webhook(cfg), gate: s.gate,
		operator: func(by string) *reconcile.Operator { return d.operator(s.r, by) },
		refresh:  func() { d.refresh(s.r) },
	})
	return s, err
}

// use puts a setup in force. No run is going on.
func (d *daemon) use(s *setup) {
	u, cfg := d.runner, s.cfg
	if d.cfg != nil && !d.cfg.SameManifests(cfg) {
		// What was read from another place, or by other rules, is no fallback.
		u.forget()
	}
	if u.r != nil {
		u.r.Replaced()
	}
	d.cfg = cfg
	if d.replica != nil {
		d.replica.inForce.Store(s.r)
	}
	u.telling.use(cfg, d.sender)
	u.r, u.desired, u.mode, u.commitReporter = s.r, s.r.Desired, state.Mode(cfg.Mode), s.commits
	d.metrics.accounts.WithLabelValues(cfg.Aerial.AccountID).Set(1)
	d.metrics.inFlightMax.Set(float64(cfg.Aerial.Concurrency))
	next := func(t time.Time) time.Time { return cfg.Schedule.Next(t.In(time.Local)) }
	d.loop.next, d.loop.jitter = next, jitter(cfg.Jitter)
	d.tracker.update(func(status *api.Status) {
		d.tracker.next, d.tracker.jitter = next, cfg.Jitter
		status.Mode, status.Schedule, status.Source = u.mode, cfg.Schedule.String(), s.r.Source()
	})
	u.updated = s.reader.Changed
	d.tracker.tokensRefused(nil) // it was read for the gate just now
	d.gate = s.gate
	d.handler.set(s.gate.CheckHost(s.handler))
	d.sender.Use(s.receivers)
}

// readConfig reads the config again, puts it in force, and reports whether it did.
// A config with a mistake changes nothing: the one before stays in force, and log,
// status and metrics say why. It is called between runs.
func (d *daemon) readConfig() bool {
	cfg, err := d.opts.Load()
	if err == nil {
		err = d.takeUp(cfg)
	}
	now := time.Now().UTC()
	d.metrics.configRead(now, err)
	if err != nil {
		refused := &api.ConfigRefused{At: now, Problem: configProblem(err)}
		d.tracker.update(func(s *api.Status) { s.Config.Refused = refused })
		d.happened("config", "refused", refused.Error)
		d.log.Error("the config was read again and is refused; the one before stays in force", nonEmpty("error", refused.Error, "hint", refused.Hint)...)
		return false
	}
	d.tracker.update(func(s *api.Status) { s.Config = api.ConfigInForce{File: cfg.File, Since: now} })
	d.happened("config", "taken up", cfg.File)
	d.log.Info("the config was read again and is in force", "file", cfg.File, "mode", string(cfg.Mode), "schedule", cfg.Schedule.String())
	return true
}

// takeUp puts a config in force, or returns why it can't be.
func (d *daemon) takeUp(cfg *config.Config) error {
	ctx := context.Background() // programs that print secrets have a time of their own
	if err := cfg.NeedAerial(); err != nil {
		return err
	}
	if err := d.cfg.CanBecome(cfg); err != nil {
		return err
	}
	if err := cfg.HTTP.CheckAuth(); err != nil {
		return err
	}
	if err := reconcile.CheckFiles(ctx, cfg); err != nil {
		return err
	}
	if err := d.checkWebhook(cfg); err != nil {
		return err
	}
	s, err := d.setUp(cfg)
	if err != nil {
		return err
	}
	for _, r := range s.receivers {
		if err := r.Check(ctx); err != nil {
			return err
		}
	}
	d.use(s)
	return nil
}

// configProblem returns one line of a mistake, or of the first of several.
func configProblem(err error) reconcile.Problem {
	p := *reconcile.ProblemOf(err)
	if len(p.Manifests) > 1 {
		p.Hint = "reconciler validate prints all of them"
	}
	p.Manifests = nil // the mistakes are those of the config
	return p
}

// current is the handler that is in force.
type current struct{ handler atomic.Pointer[http.Handler] }

func (c *current) set(h http.Handler) { c.handler.Store(&h) }

// ServeHTTP serves with the handler in force.
func (c *current) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*c.handler.Load()).ServeHTTP(w, r)
}
