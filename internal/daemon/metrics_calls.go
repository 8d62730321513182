package daemon

import (
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// callMetrics are those of the calls of one API. It is a rest.Observer and a
// rest.LimitObserver for concurrent use.
type callMetrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
	left     *prometheus.GaugeVec

	mu sync.Mutex
	// least is by endpoint the smallest share of a rate limit that was left in this run,
	// and shown are the endpoints that left has series of.
	least, shown map[string]float64
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
		left: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: prefix + "_rate_limit_remaining_ratio",
			Help: "The smallest share of the rate limit of " + api + " that a response of the last run said was left, whoever had used the rest.",
		}, []string{"endpoint"}),
	}
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

// Limited takes what a response says of its rate limit.
func (m *callMetrics) Limited(_, endpoint string, limit, left int) {
	share := min(1, float64(left)/float64(limit))
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.least == nil {
		m.least = map[string]float64{}
	}
	if least, known := m.least[endpoint]; !known || share < least {
		m.least[endpoint] = share
	}
}

// ran sets what is left to what it was at least in the run that has ended.
func (m *callMetrics) ran() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for endpoint, share := range m.least {
		m.left.WithLabelValues(endpoint).Set(share)
	}
	for endpoint := range m.shown {
		if _, called := m.least[endpoint]; !called {
			m.left.DeleteLabelValues(endpoint)
		}
	}
	m.shown, m.least = m.least, nil
}
