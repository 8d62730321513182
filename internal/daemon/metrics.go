package daemon

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"reconciler/internal/apply"
	"reconciler/internal/config"
	"reconciler/internal/daemon/api"
	"reconciler/internal/daemon/notify"
	"reconciler/internal/diff"
	"reconciler/internal/git/webhook"
	"reconciler/internal/reconcile"
	"reconciler/internal/store/journal"
)

// metrics are the daemon's, in a registry of their own. Series whose labels
// are known beforehand exist from the start, so that a rate over them has a
// first value.
type metrics struct {
	registry *prometheus.Registry

	runs        *prometheus.CounterVec
	runDuration prometheus.Histogram
	lastSuccess prometheus.Gauge
	stale       prometheus.Gauge
	alarms      prometheus.Gauge
	suspensions prometheus.Gauge
	configOK    prometheus.Gauge
	configSince prometheus.Gauge
	unverified  *prometheus.CounterVec
	caused      *prometheus.CounterVec
	webhooks    *prometheus.CounterVec
	drift       *driftMetrics
	orgs        *prometheus.GaugeVec
	declared    prometheus.Gauge
	// objects are those of the orgs' configuration, and kinds the kinds that it has
	// series of.
	objects *prometheus.GaugeVec
	kinds   map[string]objectCount
	changes *prometheus.CounterVec

	notifications *prometheus.CounterVec
	queued        prometheus.Gauge

	// started and nextRun have a series while a run goes on, and while one is planned.
	started, nextRun         *prometheus.GaugeVec
	lastRun, lastRunDuration prometheus.Gauge
	// refusing is how often each guard refuses the last plan; guards remembers it.
	refusals     *prometheus.CounterVec
	refusing     *prometheus.GaugeVec
	guards       map[string]int
	historyBytes prometheus.Gauge
	accounts     *prometheus.GaugeVec
	inFlightMax  prometheus.Gauge
	// ready reports what /readyz says; nil means that it isn't served yet.
	ready func() bool
	// lead is what makes this daemon the leader; nil if it doesn't lead.
	lead atomic.Pointer[journal.Lead]

	aerial, orgAPI *callMetrics
}

// newMetrics returns a set of metrics of its own; version is the program's.
func newMetrics(version string) *metrics {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	f := promauto.With(registry)
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return f.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	gauge := func(name, help string) prometheus.Gauge {
		return f.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	gauges := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return f.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	f.NewGauge(prometheus.GaugeOpts{
		Name:        "reconciler_build_info",
		Help:        "Always 1; the version is a label.",
		ConstLabels: prometheus.Labels{"version": version},
	}).Set(1)
	m := &metrics{
		registry: registry,
		runs:     counter("reconciler_runs_total", "Runs by result.", "result"),
		runDuration: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "reconciler_run_duration_seconds",
			Help:    "How long runs took.",
			Buckets: []float64{.25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800},
		}),
		lastSuccess: gauge("reconciler_last_success_timestamp_seconds",
			"When the last run ended that compared the account with the desired state; 0 before the first."),
		stale: gauge("reconciler_desired_stale",
			"1 while the desired state in force is not the newest, because git can't be read or the newest commit is refused."),
		alarms: gauge("reconciler_alarms",
			"Lost tokens of new orgs and lost journals that nobody has acknowledged."),
		suspensions: gauge("reconciler_suspensions",
			"Suspensions of writes that are in effect, for all orgs or for some."),
		configOK: gauge("reconciler_config_last_reload_successful",
			"1 if the config that was read last is in force, 0 if it was refused and the one before stays."),
		configSince: gauge("reconciler_config_last_reload_success_timestamp_seconds",
			"When the config in force was read."),
		unverified: counter("reconciler_unverified_commits_total",
			"Commits that were refused because of their signature or history, once each.", "reason"),
		webhooks: counter("reconciler_webhooks_total",
			"Requests to the push webhook by result.", "result"),
		caused: counter("reconciler_drift_caused_total",
			"Drift of which it came to be known who caused it, or that it never will be: a person, an app, Okta itself, or unknown.", "by"),
		drift: newDriftMetrics(f),
		orgs: gauges("reconciler_orgs",
			"Orgs by state at the end of the last comparison; unmanaged ones are not declared.", "state"),
		changes: counter("reconciler_changes_total",
			"Planned changes of runs in apply mode, by result.", "action", "result"),
		objects: gauges("reconciler_objects",
			"Objects of the orgs' configuration by kind and state, of all orgs together, at the end of the last comparison; unmanaged ones are not declared.", "kind", "state"),
		notifications: counter("reconciler_notifications_total",
			"Messages to receivers of notifications by what came of them: sent, failed (one try), given-up after a day, dropped.", "type", "result"),
		queued: gauge("reconciler_notifications_queued",
			"Messages to receivers of notifications that are not delivered yet."),
		declared: gauge("reconciler_orgs_declared", "Orgs that are declared, as of the last comparison."),
		started: gauges("reconciler_run_started_timestamp_seconds",
			"When the run began that goes on; missing between runs."),
		nextRun: gauges("reconciler_next_run_timestamp_seconds",
			"When the next run is due by the schedule; missing if none is, as while the daemon stands by."),
		lastRun:         gauge("reconciler_last_run_timestamp_seconds", "When the last run ended, however it ended; 0 before the first."),
		lastRunDuration: gauge("reconciler_last_run_duration_seconds", "How long the last run took."),
		refusals: counter("reconciler_guard_refusals_total",
			"How often a guard began to refuse plans; while it refuses one run after the other, that is once.", "guard"),
		refusing: gauges("reconciler_guard_refusing",
			"Reasons for which a guard refuses the plan of the last comparison; 0 if it doesn't.", "guard"),
		historyBytes: gauge("reconciler_history_bytes", "Size of the history on disk; 0 without one."),
		inFlightMax: gauge("reconciler_api_in_flight_limit",
			"Calls of the Aerial API that this daemon makes at a time at most; the account allows 10, to all that use it together."),
		aerial: newCallMetrics(f, "reconciler_api", "the Aerial API"),
		orgAPI: newCallMetrics(f, "reconciler_org_api", "the orgs' own APIs"),
	}
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "reconciler_ready",
		Help: "1 if /readyz says so: the last success is not stale, and the daemon neither stands by nor stops.",
	}, func() float64 {
		if m.ready != nil && m.ready() {
			return 1
		}
		return 0
	})
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "reconciler_leader",
		Help: "1 while this daemon does runs, 0 while it stands by, or is a replica that can't reach the database.",
	}, func() float64 {
		if lead := m.lead.Load(); lead != nil && !lead.IsLost() {
			return 1
		}
		return 0
	})
	m.accounts = gauges("reconciler_account_info", "Always 1; the id of the Aerial account is a label.", "account")
	m.declare()
	return m
}

// attributed counts drift by who caused it. Names are no labels.
func (m *metrics) attributed(found reconcile.Attribution) {
	for by, n := range map[string]int{"person": found.People, "app": found.Apps, "okta": found.Okta, "unknown": found.Unknown} {
		m.caused.WithLabelValues(by).Add(float64(n))
	}
}

// Notified counts a message to a receiver of notifications.
func (m *metrics) Notified(receiverType, result string) {
	m.notifications.WithLabelValues(receiverType, result).Inc()
}

// Queued sets how many messages are not delivered yet.
func (m *metrics) Queued(n int) { m.queued.Set(float64(n)) }

// declare creates the series whose labels are known beforehand.
func (m *metrics) declare() {
	for _, r := range reconcile.Results() {
		m.runs.WithLabelValues(string(r))
	}
	m.setOrgs(api.Fleet{})
	m.attributed(reconcile.Attribution{})
	for _, r := range reconcile.Reasons() {
		m.unverified.WithLabelValues(r)
	}
	for _, r := range []string{webhook.Accepted, webhook.Ignored, webhook.Refused} {
		m.webhooks.WithLabelValues(r)
	}
	m.refused(nil)
	for _, g := range planGuards {
		m.refusals.WithLabelValues(g)
	}
	for _, t := range config.ReceiverType("").Values() {
		for _, r := range []string{notify.ResultSent, notify.ResultFailed, notify.ResultGivenUp, notify.ResultDropped} {
			m.notifications.WithLabelValues(t, r)
		}
	}
	for _, a := range []diff.Action{
		diff.RenameAccount, diff.CreateOrg, diff.LinkOrg, diff.UpdateProducts, diff.SetStatus, diff.RequestDeletion,
		diff.CreateObject, diff.UpdateObject, diff.DeleteObject, diff.ReorderObjects,
	} {
		for _, s := range []apply.Status{apply.Applied, apply.Failed, apply.Skipped, apply.Blocked} {
			m.changes.WithLabelValues(string(a), string(s))
		}
	}
}

// handler serves the metrics in the format of Prometheus.
func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// run counts a run that has ended; stale is whether the desired state in force
// is not the newest.
func (m *metrics) run(rec *api.RunRecord, stale bool) {
	m.runs.WithLabelValues(string(rec.Result)).Inc()
	m.runDuration.Observe(rec.Seconds)
	m.lastRun.Set(seconds(rec.Finished))
	m.lastRunDuration.Set(rec.Seconds)
	setTime(m.started, time.Time{})
	m.aerial.ran()
	m.orgAPI.ran()
	if rec.Result.Success() {
		m.lastSuccess.Set(seconds(rec.Finished))
	}
	m.stale.Set(0)
	if stale {
		m.stale.Set(1)
	}
}

// configRead sets whether the config that was read at that time is in force.
func (m *metrics) configRead(at time.Time, err error) {
	m.configOK.Set(0)
	if err == nil {
		m.configOK.Set(1)
		m.configSince.Set(seconds(at))
	}
}

// planGuards are the guards that can refuse the plan of a run.
var planGuards = []string{
	diff.GuardOrgs, diff.GuardPercent, diff.GuardDay, diff.GuardNew, diff.GuardAerial, diff.GuardParent, diff.GuardLockout,
}

// refused sets which guards refuse the plan.
func (m *metrics) refused(all []diff.Refusal) {
	now := map[string]int{}
	for _, g := range planGuards {
		now[g] = 0
	}
	for i := range all {
		now[all[i].Guard]++
	}
	for guard, n := range now {
		m.refusing.WithLabelValues(guard).Set(float64(n))
		if n > 0 && m.guards[guard] == 0 {
			m.refusals.WithLabelValues(guard).Inc()
		}
	}
	m.guards = now
}

// compared sets what a run found and did not repair.
func (m *metrics) compared(drift []Drift, f api.Fleet, objects map[string]objectCount) {
	m.drift.set(drift)
	m.setOrgs(f)
	m.setObjects(objects)
}

func (m *metrics) setObjects(objects map[string]objectCount) {
	for kind, n := range objects {
		m.objects.WithLabelValues(kind, "in_sync").Set(float64(n.inSync))
		m.objects.WithLabelValues(kind, "drifted").Set(float64(n.drifted))
		m.objects.WithLabelValues(kind, "unknown").Set(float64(n.unknown))
		m.objects.WithLabelValues(kind, "unmanaged").Set(float64(n.unmanaged))
	}
	for kind := range m.kinds {
		if _, declared := objects[kind]; !declared {
			m.objects.DeletePartialMatch(prometheus.Labels{"kind": kind})
		}
	}
	m.kinds = objects
}

func (m *metrics) setOrgs(f api.Fleet) {
	m.orgs.WithLabelValues("in_sync").Set(float64(f.InSync))
	m.orgs.WithLabelValues("drifted").Set(float64(f.Drifted))
	m.orgs.WithLabelValues("unknown").Set(float64(f.Unknown))
	m.declared.Set(float64(f.InSync + f.Drifted + f.Unknown))
	m.orgs.WithLabelValues("unmanaged").Set(float64(f.Unmanaged))
}

// change counts a change by its outcome.
func (m *metrics) change(o apply.Outcome) {
	m.changes.WithLabelValues(string(o.Action), string(o.Result)).Inc()
}
