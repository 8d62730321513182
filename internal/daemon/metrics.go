package daemon

import (
	"cmp"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"reconciler/internal/apply"
	"reconciler/internal/daemon/api"
	"reconciler/internal/diff"
	"reconciler/internal/git/webhook"
	"reconciler/internal/reconcile"
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
	leader      prometheus.Gauge
	configOK    prometheus.Gauge
	configSince prometheus.Gauge
	unverified  *prometheus.CounterVec
	caused      *prometheus.CounterVec
	webhooks    *prometheus.CounterVec
	drift       *prometheus.GaugeVec
	driftFields prometheus.Gauge
	// shown are the fields that drift has series of.
	shown map[[2]string]bool
	orgs  *prometheus.GaugeVec
	// objects are those of the orgs' configuration, and kinds the kinds that it has
	// series of.
	objects *prometheus.GaugeVec
	kinds   map[string]objectCount
	changes *prometheus.CounterVec

	aerial, orgAPI *callMetrics
}

// callMetrics are those of the calls of one API. It is a rest.Observer for concurrent
// use.
type callMetrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

// newCallMetrics returns the metrics of an API whose names begin with prefix.
func newCallMetrics(f promauto.Factory, prefix, api string) *callMetrics {
	return &callMetrics{
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "_requests_total",
			Help: "Attempts to call " + api + ", retries included; the code is the HTTP status, or none without a response.",
		}, []string{"method", "endpoint", "code"}),
		duration: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    prefix + "_request_duration_seconds",
			Help:    "How long attempts to call " + api + " took, response included.",
			Buckets: []float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"method", "endpoint"}),
		inFlight: f.NewGauge(prometheus.GaugeOpts{Name: prefix + "_in_flight", Help: "Calls of " + api + " in progress."}),
	}
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
		leader: gauge("reconciler_leader",
			"1 while this daemon does runs, 0 while it stands by."),
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
		drift: gauges("reconciler_drift",
			"1 for each field of each org that is not as declared, of the first 1,000; gone once it is. The account itself has an empty org; all objects of one kind are one field.", "org", "field"),
		driftFields: gauge("reconciler_drift_fields", "Fields of orgs that are not as declared, all of them."),
		orgs: gauges("reconciler_orgs",
			"Orgs by state at the end of the last comparison; unmanaged ones are not declared.", "state"),
		changes: counter("reconciler_changes_total",
			"Planned changes of runs in apply mode, by result.", "action", "result"),
		objects: gauges("reconciler_objects",
			"Objects of the orgs' configuration by kind and state, of all orgs together, at the end of the last comparison; unmanaged ones are not declared.", "kind", "state"),
		aerial: newCallMetrics(f, "reconciler_api", "the Aerial API"),
		orgAPI: newCallMetrics(f, "reconciler_org_api", "the orgs' own APIs"),
	}
	m.declare()
	return m
}

// attributed counts drift by who caused it. Names are no labels.
func (m *metrics) attributed(found reconcile.Attribution) {
	for by, n := range map[string]int{"person": found.People, "app": found.Apps, "okta": found.Okta, "unknown": found.Unknown} {
		m.caused.WithLabelValues(by).Add(float64(n))
	}
}

// leads sets whether this daemon leads.
func (m *metrics) leads(yes bool) {
	m.leader.Set(0)
	if yes {
		m.leader.Set(1)
	}
}

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

// Started counts a call of the API as in progress.
func (m *callMetrics) Started(string, string) { m.inFlight.Inc() }

// Finished counts a call of the API by its endpoint, which is a template, and
// the HTTP status, 0 without a response.
func (m *callMetrics) Finished(method, endpoint string, code int, took time.Duration) {
	m.inFlight.Dec()
	label := "none"
	if code != 0 {
		label = strconv.Itoa(code)
	}
	m.requests.WithLabelValues(method, endpoint, label).Inc()
	m.duration.WithLabelValues(method, endpoint).Observe(took.Seconds())
}

// run counts a run that has ended; stale is whether the desired state in force
// is not the newest.
func (m *metrics) run(rec *api.RunRecord, stale bool) {
	m.runs.WithLabelValues(string(rec.Result)).Inc()
	m.runDuration.Observe(rec.Seconds)
	if rec.Result.Success() {
		m.lastSuccess.Set(float64(rec.Finished.UnixMilli()) / 1000)
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
		m.configSince.Set(float64(at.UnixMilli()) / 1000)
	}
}

// compared sets what a run found and did not repair. The series of a field that
// no longer drifts disappears before the next scrape; a 0 would look the same for
// an org that is no longer declared.
func (m *metrics) compared(drift []Drift, f api.Fleet, objects map[string]objectCount) {
	before := m.shown
	m.shown = map[[2]string]bool{}
	for _, d := range drift {
		if len(m.shown) == maxListed {
			break
		}
		field := cmp.Or(d.Kind, d.Field) // no series for each object
		m.shown[[2]string{d.Org, field}] = true
		m.drift.WithLabelValues(d.Org, field).Set(1)
	}
	for series := range before {
		if !m.shown[series] {
			m.drift.DeleteLabelValues(series[0], series[1])
		}
	}
	m.driftFields.Set(float64(len(drift)))
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
	m.orgs.WithLabelValues("unmanaged").Set(float64(f.Unmanaged))
}

// change counts a change by its outcome.
func (m *metrics) change(o apply.Outcome) {
	m.changes.WithLabelValues(string(o.Action), string(o.Result)).Inc()
}
