package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/daemon/api"
	"reconciler/internal/daemon/notify"
	"reconciler/internal/daemon/signin"
	"reconciler/internal/git/webhook"
	"reconciler/internal/reconcile"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/replicas"
	"reconciler/internal/text"
)

// RunOptions are the options of Run beside the config.
type RunOptions struct {
	// Version is the program's, for status and metrics.
	Version string
	// Environ is as in Options.
	Environ []string
	// Commands are as in Options.
	Commands journal.Commands
	// By is who runs it, and Command the command that they run, for the history.
	By, Command string
	// Logger may be nil.
	Logger *slog.Logger
	// Reload, where not nil, receives when the config is to be read again, which is
	// what Load does, after the run that goes on. Once doesn't use them.
	Reload <-chan struct{}
	Load   func() (*config.Config, error)
	// Wait is how Once waits for other processes that write.
	Wait journal.WaitOptions
	// Listening, where not nil, is called with the address of the endpoints
	// before the first run; the config may leave the port to the system.
	Listening func(net.Addr)
}

// Run is the daemon: it serves the endpoints and does runs, at once and then on
// schedule, until ctx ends. It then finishes the calls in flight, starts no
// others, and returns nil. While another daemon uses the same state folder, it stands
// by, and does no runs. An error means that it could not start, or could no
// longer serve its endpoints; failed runs are reported and don't end it.
func Run(ctx context.Context, cfg *config.Config, opts RunOptions) error {
	if err := cfg.HTTP.CheckAuth(); err != nil {
		return err
	}
	d, err := openDaemon(cfg, opts)
	if err != nil {
		return err
	}
	d.warnOfOpen(cfg)
	defer d.close()
	d.happened("start", "", "reconciler "+opts.Version)
	defer d.happened("stop", "", "")
	return d.serve(ctx, cfg.HTTP.Address, opts.Listening)
}

// Once does one run, as Run would on its schedule, and returns its record, for use
// with an external scheduler, once no other process writes. It serves no endpoints. An
// error means that it could
// not start; what went wrong in the run is in the record.
func Once(ctx context.Context, cfg *config.Config, opts RunOptions) (*api.RunRecord, error) {
	alone := *cfg
	alone.HTTP = config.Default().HTTP // nothing is served, and nothing of it is needed
	d, err := openDaemon(&alone, opts)
	if err != nil {
		return nil, err
	}
	defer d.close()
	rec, err := d.runOnce(ctx, opts.Wait)
	if err == nil {
		d.sendOnce(ctx)
	}
	return rec, err
}

// close closes what is open.
func (d *daemon) close() {
	d.sender.Close()
	d.runner.r.Close() // the one that is in force now
	if d.replica != nil {
		if err := d.replica.Close(); err != nil {
			d.log.Warn("closing what replicas share", "error", err)
		}
	}
}

func (d *daemon) runOnce(ctx context.Context, wait journal.WaitOptions) (*api.RunRecord, error) {
	turn, err := d.runner.r.Turn(ctx, wait)
	if err != nil {
		return nil, err
	}
	defer turn.End()
	during, stop := turn.While(ctx)
	defer stop()
	d.runner.single = true
	rec := d.runner.do(during, api.TriggerOnce)
	if err := d.runner.r.MayWrite(); err != nil {
		d.log.Error("another process has taken over", errorAttrs(err)...)
	}
	return rec, nil
}

// daemon is a runner with its loop and endpoints.
type daemon struct {
	runner  *runner
	loop    *loop
	handler *current     // of the endpoints
	gate    *signin.Gate // before them
	tracker *statusTracker
	log     *slog.Logger // without the tag of a run

	// cfg is the config in force, and opts are the options that it was opened with.
	cfg     *config.Config
	opts    RunOptions
	metrics *metrics
	tag     *runHandler
	pushes  *webhook.Notifier
	// sender tells the receivers of what happens.
	sender *notify.Sender
	// base, where not nil, sends all that goes to Okta.
	base http.RoundTripper

	requests *requests
	kept     *keptRuns
	memory   *signin.Memory
	// replica is what this daemon shares with others; nil without a database.
	replica *replica
	// leads is what makes this the one daemon of its state folder; nil while it isn't,
	// or while that can't be known. stepDown ends the loop.
	leads    *journal.Lead
	stepDown context.CancelFunc
}

func openDaemon(cfg *config.Config, opts RunOptions) (*daemon, error) {
	if opts.Logger != nil && cfg.Mode == config.Apply && !cfg.State.IsSet() {
		opts.Logger.Warn(config.KeyMaxPerDay+" counts from the start of this process on", "hint", "set "+config.KeyStateDir+", so that it counts over restarts and together with apply")
	}
	return newDaemon(cfg, opts, nil)
}

func newDaemon(cfg *config.Config, opts RunOptions, base http.RoundTripper) (*daemon, error) {
	log := opts.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	kept, asked := &keptRuns{}, newRequests()
	var shared *replica
	if at := reconcile.StateOf(cfg); at.Postgres() != nil {
		down := &outage{}
		log = slog.New(&outageHandler{log.Handler(), down})
		people := journal.New(at, journal.Options{Logger: log, Commands: opts.Commands})
		var err error
		if shared, err = newReplica(replicas.New(at.Postgres()), people, log, down); err != nil {
			return nil, err
		}
		kept.store, asked.store = shared.store, shared.store
	}
	tag := newRunHandler(log.Handler(), kept)
	m := newMetrics(opts.Version)
	now := time.Now().UTC()
	t := newStatusTracker(api.Status{
		Reconciler: opts.Version,
		Account:    cfg.Aerial.AccountID,
		Started:    now,
		Config:     api.ConfigInForce{File: cfg.File, Since: now},
	}, nil)
	d := &daemon{
		handler: &current{}, tracker: t, log: log,
		opts: opts, metrics: m, tag: tag, pushes: webhook.NewNotifier(), base: base, requests: asked, kept: kept, memory: signin.NewMemory(), replica: shared,
		sender: notify.New(notify.Options{State: reconcile.StateOf(cfg), Logger: log, Observer: m}),
	}
	t.receivers = d.receivers
	if shared != nil {
		t.replica = shared.notReady
		d.memory.OnRevoke(d.revoke)
	}
	m.ready = func() bool { return t.ready(time.Now()) }
	d.runner = &runner{log: slog.New(tag), tag: tag, metrics: m, tracker: t, now: time.Now, requests: d.requests, kept: kept, by: opts.By, command: opts.Command, account: cfg.Aerial.AccountID}
	d.loop = &loop{
		now: time.Now, wake: d.pushes.C(), asked: d.requests.wake, run: d.takeTurn, planned: d.planned, reload: opts.Reload, reloaded: d.readConfig,
	}
	d.loop.look = func() { d.runner.tell(nil) }
	s, err := d.setUp(cfg)
	if err != nil {
		if shared != nil {
			err = errors.Join(err, shared.Close())
		}
		return nil, err
	}
	if err := d.checkWebhook(cfg); err != nil {
		log.Warn("the webhook accepts nothing until its secret is valid", errorAttrs(err)...)
	}
	for _, r := range s.receivers {
		if err := r.Check(context.Background()); err != nil {
			log.Warn("nothing can be sent to a receiver of notifications until that is set right", append(errorAttrs(err), "receiver", r.Name())...)
		}
	}
	d.use(s)
	m.configRead(now, nil)
	d.remember(s.r)
	return d, nil
}

// planned shows when the next run is due; zero if none is.
func (d *daemon) planned(slot time.Time) {
	d.tracker.planned(slot)
	setTime(d.metrics.nextRun, slot)
}

// remember takes up what the history knows of earlier processes.
func (d *daemon) remember(r *reconcile.Reconciler) {
	past, err := pastRuns(r)
	if err == nil {
		d.runner.logged.drift, err = r.OpenDrift()
	}
	head := ""
	if err == nil {
		head, err = r.History().Head()
	}
	if err != nil {
		d.log.Warn("the history of earlier runs can't be read", errorAttrs(err)...)
	}
	if len(past) > 0 {
		d.runner.lastRun(&past[0])
	}
	d.tracker.update(func(s *api.Status) {
		s.Head = head
		if len(past) > 0 {
			s.RecentRuns = past
		}
	})
}

// webhook returns the webhook's handler; nil where the config has no secret for it.
func (d *daemon) webhook(cfg *config.Config) http.Handler {
	if cfg.Git == nil || !cfg.Git.Webhook.IsSet() {
		return nil
	}
	ref := cfg.Git.Ref()
	if cfg.Git.Commit != "" {
		ref = "" // which never moves
	}
	hook := webhook.New(webhook.Options{
		Secret:  func() ([]byte, error) { return cfg.Git.Webhook.Read(context.Background()) }, // anew for each request
		Ref:     ref,
		Wake:    d.announce,
		Logger:  d.log,
		Observe: func(result string) { d.metrics.webhooks.WithLabelValues(result).Inc() },
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if leader, _ := d.tracker.refuses(); leader != nil && d.replica == nil { // which has to learn of the push
			http.Error(w, "standing by: the daemon that leads is "+leader.String(), http.StatusServiceUnavailable)
			return
		}
		hook.ServeHTTP(w, r)
	})
}

// checkWebhook returns why the webhook accepts nothing; nil where there is none.
func (d *daemon) checkWebhook(cfg *config.Config) error {
	if cfg.Git == nil || !cfg.Git.Webhook.IsSet() {
		return nil
	}
	secret, err := cfg.Git.Webhook.Read(context.Background())
	if err == nil {
		err = webhook.CheckSecret(secret)
	}
	return err
}

// warnOfOpen warns where whoever reaches the endpoints can read them.
func (d *daemon) warnOfOpen(cfg *config.Config) {
	if d.gate.Open() {
		d.log.Warn("nobody has to sign in: whoever reaches the daemon sees every org, every change and who made it", "address", cfg.HTTP.Address,
			"hint", "set "+config.KeyHTTPTokensFile+" or "+config.KeyHTTPOIDC)
	}
}

// unrecorded says that the history doesn't take what an operator did.
func (d *daemon) unrecorded(err error) {
	d.log.Warn("the history does not take what was done", errorAttrs(err)...)
}

// refresh brings the status up to date with what an operator did.
func (d *daemon) refresh(r *reconcile.Reconciler) {
	if active, err := r.Suspensions(); err == nil {
		d.tracker.suspended(active, r.HeldByWindows())
		d.metrics.suspensions.Set(float64(len(active)))
	}
	if alarms, err := r.Alarms(); err == nil {
		d.tracker.alarms(alarms)
		d.metrics.alarms.Set(float64(len(alarms)))
	}
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
	d.log.Info("serving", "address", "http://"+listener.Addr().String(), "version", d.opts.Version)
	if listening != nil {
		listening(listener.Addr())
	}

	defer d.supervise(ctx)()
	return d.work(ctx, func(serving context.Context) error { return serveHTTP(serving, newServer(d.handler, d.log), listener) })
}

// work runs the loop until ctx ends, and endpoints, which serves them until its
// context ends, for as long as the last run takes.
func (d *daemon) work(ctx context.Context, endpoints func(context.Context) error) error {
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
	if d.replica != nil {
		defer d.beginSharing(looping)()
	}
	// What the pages show is read before anybody asks for it.
	var warming sync.WaitGroup
	defer warming.Wait()
	inventory := d.runner.r.Inventory()
	warming.Go(func() { _, _ = inventory.Read() }) // who asks is told why not
	served := make(chan error, 1)
	go func() {
		served <- endpoints(serving)
		stopLoop()
	}()
	d.lead(looping)
	stopServing()
	if err := <-served; err != nil {
		return fmt.Errorf("serving the endpoints: %w", err)
	}
	d.log.Info("stopped")
	return nil
}
