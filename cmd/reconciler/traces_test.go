package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// tracesCommand returns a command for scripts:
//
//	traces collect       starts a collector, and names it in the environment
//	traces have NAME...  fails unless there are spans of these names; then forgets all
//	traces none          fails if anything was sent
func tracesCommand() func(*testscript.TestScript, bool, []string) {
	var running sync.Map // of *testscript.TestScript, as scripts run at the same time
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) == 0 {
			ts.Fatalf("usage: traces collect|have|none")
		}
		if args[0] == "collect" {
			c := &spanNames{}
			server := httptest.NewServer(c)
			ts.Defer(server.Close)
			ts.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
			running.Store(ts, c)
			return
		}
		found, ok := running.Load(ts)
		if !ok {
			ts.Fatalf("traces collect comes first")
		}
		names := found.(*spanNames).take()
		if args[0] == "none" && len(names) > 0 {
			ts.Fatalf("spans were sent: %q", names)
		}
		for _, name := range args[1:] {
			if !slices.Contains(names, name) {
				ts.Fatalf("no span %q, but %q", name, names)
			}
		}
	}
}

// spanNames is a collector that keeps the names of spans.
type spanNames struct {
	mu    sync.Mutex
	names []string
}

func (c *spanNames) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var export collector.ExportTraceServiceRequest
	if err != nil || proto.Unmarshal(body, &export) != nil {
		http.Error(w, "no spans", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, of := range export.ResourceSpans {
		for _, scope := range of.ScopeSpans {
			for _, s := range scope.Spans {
				c.names = append(c.names, s.Name)
			}
		}
	}
}

func (c *spanNames) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := c.names
	c.names = nil
	return names
}
