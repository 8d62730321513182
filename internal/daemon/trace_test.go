package daemon

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"reconciler/internal/web/trace/otlp"
)

// spans is a collector of OTLP over HTTP.
type spans struct {
	mu       sync.Mutex
	all      []*tracepb.Span
	resource map[string]string
	headers  http.Header
}

// newSpans starts a collector, and makes it the one of the environment.
func newSpans(t *testing.T) *spans {
	c := &spans{resource: map[string]string{}}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	return c
}

func (c *spans) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var export collector.ExportTraceServiceRequest
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &export) != nil {
		http.Error(w, "no spans", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.headers = r.Header
	for _, of := range export.ResourceSpans {
		for _, a := range of.Resource.Attributes {
			c.resource[a.Key] = a.Value.GetStringValue()
		}
		for _, scope := range of.ScopeSpans {
			c.all = append(c.all, scope.Spans...)
		}
	}
}

// traced returns a context in which traces are sent, and what sends the last of them.
func traced(w *world) (context.Context, func()) {
	return otlp.Open(w.t.Context(), os.Getenv, "v1", w.runner.log)
}

// attributes returns those of a span.
func attributes(s *tracepb.Span) map[string]string {
	all := map[string]string{}
	for _, a := range s.Attributes {
		all[a.Key] = a.Value.GetStringValue()
		if all[a.Key] == "" {
			all[a.Key] = fmt.Sprint(a.Value.GetIntValue())
		}
	}
	return all
}

// paths returns for each span the names from the root down to it, sorted, each once.
func (c *spans) paths(t *testing.T) []string {
	byID := map[string]*tracepb.Span{}
	for _, s := range c.all {
		byID[string(s.SpanId)] = s
	}
	var all []string
	for _, s := range c.all {
		path := s.Name
		for at := s; len(at.ParentSpanId) > 0; {
			parent := byID[string(at.ParentSpanId)]
			if parent == nil {
				t.Fatalf("the parent of %q was not sent", at.Name)
			}
			if parent.StartTimeUnixNano > at.StartTimeUnixNano || parent.EndTimeUnixNano < at.EndTimeUnixNano {
				t.Errorf("%q does not lie in %q", at.Name, parent.Name)
			}
			at = parent
			path = at.Name + " > " + path
		}
		all = append(all, path)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// find returns the first span of a name with this attribute.
func (c *spans) find(t *testing.T, name, key, value string) map[string]string {
	t.Helper()
	for _, s := range c.all {
		if got := attributes(s); s.Name == name && got[key] == value {
			return got
		}
	}
	t.Errorf("no span %q with %s %q", name, key, value)
	return nil
}

// untold fails when a request tells of a trace.
type untold struct {
	t *testing.T
	http.RoundTripper
}

func (u untold) RoundTrip(req *http.Request) (*http.Response, error) {
	for name := range req.Header {
		if name == "Traceparent" || name == "Tracestate" || name == "Baggage" {
			u.t.Errorf("Okta is told of the trace: %s", name)
		}
	}
	return u.RoundTripper.RoundTrip(req)
}

// TestTrace: a run is one trace, from the run down to each call, and has nothing in it
// that is secret.
func TestTrace(t *testing.T) {
	c := newSpans(t)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-scope-orgid=acme")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
	watch := &secrets{}
	w := newConfiguredWorld(t, "0s", worldOptions{mode: "apply", watch: watch})
	watch.RoundTripper = untold{t, watch.RoundTripper}
	w.fault("GET /api/v1/orgs/*/products status=500 times=1")
	ctx, stop := traced(w)
	rec, _ := w.runCtx(ctx)
	stop()
	if rec.Result != ResultApplied {
		t.Fatalf("%s: %+v\n%s", rec.Result, rec.Problem, w.log)
	}
	want := []string{
		"run",
		"run > apply",
		"run > apply > change",
		"run > apply > change > POST /api/v1/zones",
		"run > attribution",
		"run > manifests",
		"run > manifests > git fetch",
		"run > plan",
		"run > read",
		"run > read > GET orgs",
		"run > read > org",
		"run > read > org > GET /api/v1/zones",
		"run > read > org > GET orgs/{id}/products",
		"run > read > org > POST token",
	}
	got := c.paths(t)
	for _, path := range want {
		if !slices.Contains(got, path) {
			t.Errorf("no span %s in\n%s", path, strings.Join(got, "\n"))
		}
	}
	traces := map[string]bool{}
	for _, s := range c.all {
		traces[hex.EncodeToString(s.TraceId)] = true
	}
	if len(traces) != 1 {
		t.Errorf("%d traces, want one", len(traces))
	}
	root := c.find(t, "run", "reconciler.run.id", rec.ID)
	if root["reconciler.run.result"] != "applied" || root["vcs.ref.head.revision"] != rec.Commit || root["reconciler.account"] != w.cfg.Aerial.AccountID {
		t.Errorf("the run: %v", root)
	}
	if org := c.find(t, "org", "okta.org.domain", emea); org["okta.org.id"] == "" || org["reconciler.part"] != "products" {
		t.Errorf("an org: %v", org)
	}
	if change := c.find(t, "change", "reconciler.field", "networkZones/Offices"); change["reconciler.action"] != "create-object" || change["okta.org.domain"] == "" {
		t.Errorf("a change: %v", change)
	}
	call := c.find(t, "POST /api/v1/zones", "http.response.status_code", "200")
	if call["http.request.method"] != "POST" || call["url.template"] != "/api/v1/zones" || call["okta.request.id"] == "" || call["server.address"] == "" {
		t.Errorf("a call: %v", call)
	}
	c.find(t, "GET orgs/{id}/products", "http.response.status_code", "500")
	c.find(t, "GET orgs/{id}/products", "http.request.resend_count", "1")

	if c.resource["service.name"] != "reconciler" || c.resource["service.version"] != "v1" || c.resource["deployment.environment.name"] != "test" {
		t.Errorf("resource %v", c.resource)
	}
	if c.headers.Get("X-Scope-Orgid") != "acme" {
		t.Errorf("headers %v", c.headers)
	}
	for _, s := range c.all {
		text := s.Name + fmt.Sprint(attributes(s)) + s.Status.GetMessage()
		watch.expectNone(t, "the span "+s.Name, text)
		if strings.Contains(text, "198.51.100.0") || strings.Contains(text, "?") {
			t.Errorf("%s has a value, or a query: %s", s.Name, text)
		}
	}
	for _, line := range w.log.lines(t, "run finished") {
		if id := fmt.Sprint(line["trace_id"]); !traces[id] {
			t.Errorf("trace_id %s of a log line", id)
		}
	}
}

// TestNoTrace: without a collector in the environment a run begins no trace, and its log
// lines name none.
func TestNoTrace(t *testing.T) {
	c := newSpans(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	w := newWorld(t, worldOptions{})
	ctx, stop := traced(w)
	w.runCtx(ctx)
	stop()
	if len(c.all) > 0 || strings.Contains(w.log.String(), "trace_id") {
		t.Errorf("%d spans:\n%s", len(c.all), w.log)
	}
}

// TestCollectorFails: a collector that refuses spans is one line of log, and nothing to
// the runs.
func TestCollectorFails(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	w := newWorld(t, worldOptions{})
	for range 2 {
		ctx, stop := traced(w)
		if rec, _ := w.runCtx(ctx); rec.Result != ResultInSync {
			t.Errorf("%s: %+v", rec.Result, rec.Problem)
		}
		stop()
		if lines := w.log.lines(t, "traces can't be sent; all else goes on without"); len(lines) != 1 || lines[0]["level"] != "WARN" {
			t.Errorf("%v", lines)
		}
		w.log.reset()
	}
}
