package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"reconciler/internal/reconcile"

	"reconciler/internal/config"
	"reconciler/internal/git/webhook"
	"reconciler/internal/okta/aerial"
	"reconciler/internal/state"
	"reconciler/internal/text"
	"reconciler/internal/web"
)

// RunOptions is what Run needs beside the config.
type RunOptions struct {
	// Version is the program's, for status and metrics.
	Version string
	// Environ is as in Options.
	Environ []string
	// Logger gets what a daemon has to say; nil is silent.
	Logger *slog.Logger
	// Listening, where not nil, is called with the address that the endpoints are
	// served on, before the first run; with port 0 in the config it is the only
	// one who knows.
	Listening func(net.Addr)
}

// Run is the daemon: it serves the endpoints and does runs, at once and then on
// schedule, until ctx ends. It then finishes the calls that are in flight,
// starts no others, and returns nil. An error means that it could not begin, or
// could no longer serve its endpoints; failed runs are reported, and don't end it.
func Run(ctx context.Context, cfg *config.Config, opts RunOptions) error {
	if err := cfg.NeedAerial(); err != nil {
		return err
	}
	d, err := newDaemon(cfg, opts, aerial.BaseTransport(cfg.Aerial.Concurrency))
	if err != nil {
		return err
	}
	defer d.runner.r.Close()
	return d.serve(ctx, cfg.HTTP.Address, opts.Listening)
}

// Once does one run, as Run would on its schedule, and returns its record,
// for those who have a scheduler of their own. It serves no endpoints and hears no
// webhook. An error means that it could not begin; what went wrong in the run
// is in the record.
func Once(ctx context.Context, cfg *config.Config, opts RunOptions) (*RunRecord, error) {
	if err := cfg.NeedAerial(); err != nil {
		return nil, err
	}
	d, err := newDaemon(cfg, opts, aerial.BaseTransport(cfg.Aerial.Concurrency))
	if err != nil {
		return nil, err
	}
	defer d.runner.r.Close()
	return d.runner.do(ctx, TriggerOnce), nil
}

// daemon is the parts of Run, put together.
type daemon struct {
	runner  *runner
	loop    *loop
	handler http.Handler
	board   *board
	log     *slog.Logger // without what stands on the lines of a run
	version string
}

func newDaemon(cfg *config.Config, opts RunOptions, base http.RoundTripper) (_ *daemon, err error) {
	log := opts.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	m := newMetrics(opts.Version)
	tag := newRunHandler(log.Handler())
	r, err := reconcile.New(cfg, reconcile.Options{
		Environ: opts.Environ, Logger: slog.New(tag), Observer: m, Transport: base,
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
	b := newBoard(Status{
		Reconciler: opts.Version,
		Account:    cfg.Aerial.AccountID,
		Mode:       mode,
		Schedule:   cfg.Schedule.String(),
		Source:     r.Source(),
		Started:    time.Now().UTC(),
	}, next)
	b.jitter = cfg.Jitter
	past, err := pastRuns(r)
	if err != nil {
		log.Warn("the journal's earlier runs can't be read", "error", text.JoinLines(err.Error()), "hint", text.Hint(err))
	}
	b.remember(past)
	pushes, hooks := listen(cfg, m, log)
	handler, err := newHandler(b, m, time.Now, hooks)
	if err != nil {
		return nil, err
	}
	u := &runner{r: r, desired: r.Desired, mode: mode, log: slog.New(tag), tag: tag, metrics: m, board: b, now: time.Now}
	if u.commitReporter, err = newCommitReporter(cfg, opts.Version, u.log, nil); err != nil {
		return nil, err
	}
	return &daemon{
		runner:  u,
		loop:    &loop{now: time.Now, next: next, jitter: jitter(cfg.Jitter), wake: pushes.C(), run: u.once, planned: b.planned},
		handler: handler,
		board:   b,
		log:     log,
		version: opts.Version,
	}, nil
}

// listen returns the endpoint at which pushes are announced, and what it
// notifies; the endpoint is nil where the config has no secret for it.
func listen(cfg *config.Config, m *metrics, log *slog.Logger) (*webhook.Notifier, http.Handler) {
	pushes := webhook.NewNotifier()
	if cfg.Git == nil || !cfg.Git.Webhook.IsSet() {
		return pushes, nil
	}
	secret, err := cfg.Git.Webhook.Read()
	if err == nil {
		err = webhook.CheckSecret(secret)
	}
	if err != nil { // it is read again for each request, so it may come yet
		log.Warn("the webhook accepts nothing until its secret is of use", "error", text.JoinLines(err.Error()), "hint", text.Hint(err))
	}
	ref := cfg.Git.Ref()
	if cfg.Git.Commit != "" {
		ref = "" // which never moves
	}
	return pushes, webhook.New(webhook.Options{
		Secret:  cfg.Git.Webhook.Read,
		Ref:     ref,
		Look:    pushes.Notify,
		Logger:  log,
		Observe: func(result string) { m.webhooks.WithLabelValues(result).Inc() },
	})
}

// jitter returns a random time up to limit each time that it is called; nil for
// no limit.
func jitter(limit time.Duration) func() time.Duration {
	if limit == 0 {
		return nil
	}
	return func() time.Duration { return rand.N(limit + 1) }
}

// serve serves the endpoints for as long as the loop turns.
func (d *daemon) serve(ctx context.Context, address string, listening func(net.Addr)) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return text.WithHint(
			fmt.Errorf("http.address %q can't be served: %w", address, err),
			"is another daemon running? give http.address a free port, or port 0 for any",
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

	turning, stopTurning := context.WithCancel(context.WithoutCancel(ctx))
	defer stopTurning()
	defer context.AfterFunc(ctx, func() {
		d.log.Info("stopping: calls in flight are finished, no others begin")
		d.board.stop()
		stopTurning()
	})()
	// The endpoints outlive the last run, so that it can be watched to its end.
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	served := make(chan error, 1)
	go func() {
		served <- serveHTTP(serving, newServer(handler, d.log), listener)
		stopTurning()
	}()
	d.loop.serve(turning)
	stopServing()
	if err := <-served; err != nil {
		return fmt.Errorf("serving the endpoints: %w", err)
	}
	d.log.Info("stopped")
	return nil
}
