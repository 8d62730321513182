package daemon

import (
	"cmp"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// driftMetrics are what differs. A series of an org or a field is gone once it no longer
// drifts: a 0 would look the same for an org that is no longer declared.
type driftMetrics struct {
	fields, blocked, dropped prometheus.Gauge
	// drift has at most maxSeries series, and since one for each org among them.
	drift, since *prometheus.GaugeVec
	// oldest has one series, and none while nothing drifts.
	oldest *prometheus.GaugeVec
	// shown are the labels of drift that there are series of.
	shown map[[2]string]bool
	// shownOrgs are those of since.
	shownOrgs map[string]time.Time
}

func newDriftMetrics(f promauto.Factory) *driftMetrics {
	gauge := func(name, help string) prometheus.Gauge {
		return f.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	gauges := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return f.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	return &driftMetrics{
		drift: gauges("reconciler_drift",
			"1 for each field of each org that is not as declared, of the first 200; gone once it is. The account itself has an empty org; all objects of one kind are one field.", "org", "field"),
		dropped: gauge("reconciler_drift_series_dropped", "How many series of reconciler_drift are left out, as there are more than 200."),
		fields:  gauge("reconciler_drift_fields", "Fields of orgs that are not as declared, all of them."),
		blocked: gauge("reconciler_drift_blocked_fields",
			"Fields of orgs that are not as declared and are not repaired yet, because of a window, a suspension, or something else that blocks the change."),
		since: gauges("reconciler_drift_since_timestamp_seconds",
			"Since when an org is not as declared, for the orgs that reconciler_drift names.", "org"),
		oldest: gauges("reconciler_drift_oldest_timestamp_seconds",
			"Since when there is drift: when that was first seen which has lasted longest; missing while nothing drifts."),
	}
}

// set sets what drifts now.
func (m *driftMetrics) set(drift []Drift) {
	shown, orgs := map[[2]string]bool{}, map[string]time.Time{}
	var oldest time.Time
	blocked, dropped := 0, map[[2]string]bool{}
	for i := range drift {
		d := &drift[i]
		if d.Blocked != "" {
			blocked++
		}
		oldest = earlier(oldest, d.Since)
		series := [2]string{d.Org, cmp.Or(d.Kind, d.Field)} // no series for each object
		if len(shown) == maxSeries && !shown[series] {
			dropped[series] = true
			continue
		}
		shown[series] = true
		orgs[d.Org] = earlier(orgs[d.Org], d.Since)
	}
	for series := range shown {
		m.drift.WithLabelValues(series[0], series[1]).Set(1)
	}
	for series := range m.shown {
		if !shown[series] {
			m.drift.DeleteLabelValues(series[0], series[1])
		}
	}
	for org, since := range orgs {
		m.since.WithLabelValues(org).Set(seconds(since))
	}
	for org := range m.shownOrgs {
		if _, drifts := orgs[org]; !drifts {
			m.since.DeleteLabelValues(org)
		}
	}
	m.shown, m.shownOrgs = shown, orgs
	m.fields.Set(float64(len(drift)))
	m.blocked.Set(float64(blocked))
	m.dropped.Set(float64(len(dropped)))
	setTime(m.oldest, oldest)
}

// earlier returns the earlier of two times, of which a zero one doesn't count.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// seconds returns a time as metrics have it.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// setTime sets the one series of a gauge without labels, which has none for the zero
// time.
func setTime(g *prometheus.GaugeVec, t time.Time) {
	if t.IsZero() {
		g.Reset()
		return
	}
	g.WithLabelValues().Set(seconds(t))
}
