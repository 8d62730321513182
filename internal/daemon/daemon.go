package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/git/webhook"
	"reconciler/internal/okta/aerial"
	"reconciler/internal/reconcile"
	"reconciler/internal/state"
	"reconciler/internal/store/journal"
	"reconciler/internal/text"
	"reconciler/internal/web"
)

// RunOptions are the options of Run beside the config.
type RunOptions struct {
	// Version is the program's, for status and metrics.
	Version string
	// Environ is as in Options.
	Environ []string
	// Commands are as in Options.
	Commands journal.Commands
	// Logger may be nil.
	Logger *slog.Logger
	// Listening, where not nil, is called with the address of the endpoints
	// before the first run; the config may leave the port to the system.
	Listening func(net.Addr)
}

// Run is the daemon: it serves the endpoints and does runs, at once and then on
// schedule, until ctx ends. It then finishes the calls in flight, starts no
// others, and returns nil. An error means that it could not start, or could no
// longer serve its endpoints; failed runs are reported and don't end it.
func Run(ctx context.Context, cfg *config.Config, opts RunOptions) error {
	d, err := openDaemon(cfg, opts)
	if err != nil {
		return err
	}
	defer d.runner.r.Close()
	return d.serve(ctx, cfg.HTTP.Address, opts.Listening)
}

// Once does one run, as Run would on its schedule, and returns its record, for use
// with an external scheduler. It serves no endpoints. An error means that it could
// not start; what went wrong in the run is in the record.
func Once(ctx context.Context, cfg *config.Config, opts RunOptions) (*RunRecord, error) {
	d, err := openDaemon(cfg, opts)
	if err != nil {
		return nil, err
	}
	defer d.runner.r.Close()
	return d.runner.do(ctx, TriggerOnce), nil
}

// daemon is a runner with its loop and endpoints.
type daemon struct {
	runner  *runner
	loop    *loop
	handler http.Handler
	tracker *statusTracker
	log     *slog.Logger // without the tag of a run
	version string
}

func openDaemon(cfg *config.Config, opts RunOptions) (*daemon, error) {
	if err := cfg.NeedAerial(); err != nil {
		return nil, err
	}
	if opts.Logger != nil && cfg.Mode == config.Apply && cfg.State.Dir == "" {
		opts.Logger.Warn(config.KeyMaxPerDay+" counts from the start of this process on", "hint", "set "+config.KeyStateDir+", so that it counts over restarts and together with apply")
	}
	return newDaemon(cfg, opts, aerial.BaseTransport(cfg.Aerial.Concurrency))
}

func newDaemon(cfg *config.Config, opts RunOptions, base http.RoundTripper) (_ *daemon, err error) {
	log := opts.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	m := newMetrics(opts.Version)
	tag := newRunHandler(log.Handler())
	r, err := reconcile.New(cfg, reconcile.Options{
		Environ: opts.Environ, Commands: opts.Commands, Logger: slog.New(tag), Observer: m, Transport: base,
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	mode := state.Mode(cfg.Mode)
	next := func(t time.Time) time.Time { return cfg.Schedule.Next(t.In(time.Local)) }
	t := newStatusTracker(Status{
		Reconciler: opts.Version,
		Account:    cfg.Aerial.AccountID,
		Mode:       mode,
		Schedule:   cfg.Schedule.String(),
		Source:     r.Source(),
		Started:    time.Now().UTC(),
	}, next)
	t.jitter = cfg.Jitter
	past, err := pastRuns(r)
	if err != nil {
		log.Warn("the journal's earlier runs can't be read", errorAttrs(err)...)
	}
	t.update(func(s *Status) { s.RecentRuns = append(s.RecentRuns, past...) })
	pushes, hooks := listen(cfg, m, log)
	handler, err := newHandler(t, m, time.Now, hooks)
	if err != nil {
		return nil, err
	}
	u := &runner{r: r, desired: r.Desired, mode: mode, log: slog.New(tag), tag: tag, metrics: m, tracker: t, now: time.Now}
	if u.commitReporter, err = newCommitReporter(cfg, opts.Version, u.log, nil); err != nil {
		return nil, err
	}
	return &daemon{
		runner:  u,
		loop:    &loop{now: time.Now, next: next, jitter: jitter(cfg.Jitter), wake: pushes.C(), run: u.once, planned: t.planned},
		handler: handler,
		tracker: t,
		log:     log,
		version: opts.Version,
	}, nil
}

// listen returns the webhook's handler and what it notifies; the handler is nil
// where the config has no secret for it.
func listen(cfg *config.Config, m *metrics, log *slog.Logger) (*webhook.Notifier, http.Handler) {
	pushes := webhook.NewNotifier()
	if cfg.Git == nil || !cfg.Git.Webhook.IsSet() {
		return pushes, nil
	}
	secret, err := cfg.Git.Webhook.Read()
	if err == nil {
		err = webhook.CheckSecret(secret)
	}
	if err != nil { // it is read again for each request
		log.Warn("the webhook accepts nothing until its secret is valid", errorAttrs(err)...)
	}
	ref := cfg.Git.Ref()
	if cfg.Git.Commit != "" {
		ref = "" // which never moves
	}
	return pushes, webhook.New(webhook.Options{
		Secret:  cfg.Git.Webhook.Read,
		Ref:     ref,
		Wake:    pushes.Notify,
		Logger:  log,
		Observe: func(result string) { m.webhooks.WithLabelValues(result).Inc() },
	})
}

// jitter returns a function that returns a random time up to limit; nil for 0.
func jitter(limit time.Duration) func() time.Duration {
	if limit == 0 {
		return nil
	}
	return func() time.Duration { return rand.N(limit + 1) }
}

// serve runs the loop and serves the endpoints meanwhile.
func (d *daemon) serve(ctx context.Context, address string, listening func(net.Addr)) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return text.WithHint(
			fmt.Errorf(config.KeyHTTPAddress+" %q can't be served: %w", address, err),
			"is another daemon running? give "+config.KeyHTTPAddress+" a free port, or port 0 for any",
		)
	}
	d.log.Info("serving", "address", "http://"+listener.Addr().String(), "version", d.version)
	if listening != nil {
		listening(listener.Addr())
	}

	handler := d.handler
	if host, _, err := net.SplitHostPort(listener.Addr().String()); err == nil && web.IsLoopback(host) {
		host, _, _ = net.SplitHostPort(address)
		handler = onlyLocal(handler, host)
	}

	looping, stopLoop := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLoop()
	defer context.AfterFunc(ctx, func() {
		d.log.Info("stopping: calls in flight are finished, no others begin")
		d.tracker.stop()
		stopLoop()
	})()
	// The endpoints are served until the last run has ended.
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	served := make(chan error, 1)
	go func() {
		served <- serveHTTP(serving, newServer(handler, d.log), listener)
		stopLoop()
	}()
	d.loop.serve(looping)
	stopServing()
	if err := <-served; err != nil {
		return fmt.Errorf("serving the endpoints: %w", err)
	}
	d.log.Info("stopped")
	return nil
}
