package daemon

import (
	"net/http"
	"strconv"
	"time"

	"reconciler/internal/reconcile"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/git/webhook"
)

// metrics are the daemon's, in a registry of their own. Series whose labels
// are known beforehand exist from the start, so that a rate over them has a
// first value to grow from. It may be used by many goroutines at once, and it
// is an aerial.Observer.
type metrics struct {
	registry *prometheus.Registry

	runs        *prometheus.CounterVec
	runDuration prometheus.Histogram
	lastSuccess prometheus.Gauge
	stale       prometheus.Gauge
	alarms      prometheus.Gauge
	suspensions prometheus.Gauge
	unverified  *prometheus.CounterVec
	webhooks    *prometheus.CounterVec
	drift       *prometheus.GaugeVec
	orgs        *prometheus.GaugeVec
	changes     *prometheus.CounterVec

	apiRequests *prometheus.CounterVec
	apiDuration *prometheus.HistogramVec
	apiInFlight prometheus.Gauge
}

// newMetrics makes a set of metrics of its own; version is the program's.
func newMetrics(version string) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reconciler_runs_total",
			Help: "Runs by how they ended.",
		}, []string{"result"}),
		runDuration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "reconciler_run_duration_seconds",
			Help:    "How long runs took.",
			Buckets: []float64{.25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800},
		}),
		lastSuccess: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "reconciler_last_success_timestamp_seconds",
			Help: "When the last run ended that compared the account with the desired state; 0 before the first.",
		}),
		stale: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "reconciler_desired_stale",
			Help: "1 while the desired state in force is not the newest, because git can't be read or the newest commit is refused.",
		}),
		alarms: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "reconciler_alarms",
			Help: "Tokens of new orgs, and journals, that were lost and that nobody has acknowledged.",
		}),
		suspensions: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "reconciler_suspensions",
			Help: "Suspensions that hold writes, of all orgs or of some.",
		}),
		unverified: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reconciler_unverified_commits_total",
			Help: "Commits that were refused because of their signature or history, once each.",
		}, []string{"reason"}),
		webhooks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reconciler_webhooks_total",
			Help: "Requests to the push webhook by what became of them.",
		}, []string{"result"}),
		drift: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "reconciler_drift",
			Help: "1 for each field of each org that is not as declared; gone once it is. The account itself has an empty org.",
		}, []string{"org", "field"}),
		orgs: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "reconciler_orgs",
			Help: "Orgs by how they were at the end of the last comparison; unmanaged ones are not declared.",
		}, []string{"state"}),
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reconciler_changes_total",
			Help: "Planned changes of runs in apply mode, by what became of them.",
		}, []string{"action", "result"}),
		apiRequests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reconciler_api_requests_total",
			Help: "Attempts to call the Aerial API, retries included; the code is the HTTP status, or none without an answer.",
		}, []string{"method", "endpoint", "code"}),
		apiDuration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "reconciler_api_request_duration_seconds",
			Help:    "How long attempts to call the Aerial API took, answer included.",
			Buckets: []float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"method", "endpoint"}),
		apiInFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "reconciler_api_in_flight",
			Help: "Calls of the Aerial API that are under way.",
		}),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "reconciler_build_info",
		Help:        "Always 1; the version is a label.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	info.Set(1)
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		info, m.runs, m.runDuration, m.lastSuccess, m.stale, m.alarms, m.suspensions, m.unverified, m.webhooks,
		m.drift, m.orgs, m.changes,
		m.apiRequests, m.apiDuration, m.apiInFlight,
	)
	m.declare()
	return m
}

// declare makes the series that are known beforehand.
func (m *metrics) declare() {
	for _, r := range results() {
		m.runs.WithLabelValues(string(r))
	}
	m.setOrgs(fleet{})
	for _, r := range reconcile.Reasons() {
		m.unverified.WithLabelValues(r)
	}
	for _, r := range []string{webhook.Accepted, webhook.Ignored, webhook.Refused} {
		m.webhooks.WithLabelValues(r)
	}
	for _, a := range []diff.Action{
		diff.RenameAccount, diff.CreateOrg, diff.LinkOrg, diff.UpdateProducts, diff.SetStatus, diff.RequestDeletion,
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

// Started counts a call of the API as under way.
func (m *metrics) Started(string, string) { m.apiInFlight.Inc() }

// Finished counts a call of the API by its endpoint, which is a template, and
// the HTTP status, 0 without an answer.
func (m *metrics) Finished(method, endpoint string, code int, took time.Duration) {
	m.apiInFlight.Dec()
	label := "none"
	if code != 0 {
		label = strconv.Itoa(code)
	}
	m.apiRequests.WithLabelValues(method, endpoint, label).Inc()
	m.apiDuration.WithLabelValues(method, endpoint).Observe(took.Seconds())
}

// run counts a run that has ended. stale says whether the desired state in
// force is not the newest.
func (m *metrics) run(rec *RunRecord, stale bool) {
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

// compared shows what a run found and what of it is left. The series of a
// field that stopped drifting goes away before the next scrape, not by way of
// a 0: nobody could tell that from an org that is no longer declared.
func (m *metrics) compared(gone, drift []Drift, f fleet) {
	for _, d := range gone {
		m.drift.DeleteLabelValues(d.Org, d.Field)
	}
	for _, d := range drift {
		m.drift.WithLabelValues(d.Org, d.Field).Set(1)
	}
	m.setOrgs(f)
}

func (m *metrics) setOrgs(f fleet) {
	m.orgs.WithLabelValues("in_sync").Set(float64(f.inSync))
	m.orgs.WithLabelValues("drifted").Set(float64(f.drifted))
	m.orgs.WithLabelValues("unknown").Set(float64(f.unknown))
	m.orgs.WithLabelValues("unmanaged").Set(float64(f.unmanaged))
}

// change counts what became of a change.
func (m *metrics) change(o apply.Outcome) {
	m.changes.WithLabelValues(string(o.Action), string(o.Result)).Inc()
}
