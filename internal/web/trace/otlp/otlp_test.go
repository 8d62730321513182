package otlp

import (
	"bytes"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"reconciler/internal/web/trace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestOff: without an endpoint, or with traces switched off, nothing is started. What
// can't be done is one warning, and nothing is started either.
func TestOff(t *testing.T) {
	const endpoint = "http://127.0.0.1:4318"
	for _, tt := range []struct {
		env  map[string]string
		want string // of the log
	}{
		{nil, ""},
		{map[string]string{disabledVar: "true", endpointVar: endpoint}, ""},
		{map[string]string{exporterVar: "none", endpointVar: endpoint}, ""},
		{
			map[string]string{exporterVar: "zipkin", endpointVar: endpoint},
			`level=WARN msg="no traces are sent" error="OTEL_TRACES_EXPORTER is \"zipkin\"" hint="set it to \"otlp\", or to \"none\" for no traces"`,
		},
		{
			map[string]string{protocolVar: "grpc", endpointVar: endpoint},
			`level=WARN msg="no traces are sent" error="OTEL_EXPORTER_OTLP_PROTOCOL is \"grpc\", which is not supported" ` +
				`hint="set it to \"http/protobuf\", and the endpoint to the collector's port for HTTP, usually 4318"`,
		},
		{
			map[string]string{protocolVar: "http/protobuf", tracesProtocolVar: "grpc", tracesEndpointVar: endpoint},
			`level=WARN msg="no traces are sent" error="OTEL_EXPORTER_OTLP_TRACES_PROTOCOL is \"grpc\", which is not supported" ` +
				`hint="set it to \"http/protobuf\", and the endpoint to the collector's port for HTTP, usually 4318"`,
		},
		{
			map[string]string{endpointVar: "user:secret@collector:4318"},
			`level=WARN msg="no traces are sent" error="OTEL_EXPORTER_OTLP_ENDPOINT is no URL that begins with http:// or https://" hint="for a collector on this machine it is http://localhost:4318"`,
		},
	} {
		log, logger := newLog()
		ctx, stop := Open(t.Context(), func(name string) string { return tt.env[name] }, "v1", logger)
		if ctx != t.Context() {
			t.Errorf("%v: traces are sent", tt.env)
		}
		stop()
		if got := strings.TrimSpace(log.String()); got != tt.want {
			t.Errorf("%v:\n got %s\nwant %s", tt.env, got, tt.want)
		}
	}
}

// newLog returns a logger and what it logs, without times.
func newLog() (*bytes.Buffer, *slog.Logger) {
	var log bytes.Buffer
	return &log, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// TestMistakes: a wrong setting is a warning that doesn't show its value, which may be a
// secret; and a collector that doesn't answer doesn't hold up the end for long.
func TestMistakes(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	t.Setenv(endpointVar, "http://"+silent.Addr().String())
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "Authorization Bearer canary")
	t.Setenv("OTEL_TRACES_SAMPLER", "parentbased_sometimes")
	log, logger := newLog()
	ctx, stop := Open(t.Context(), os.Getenv, "v1", logger)
	for _, want := range []string{
		`level=WARN msg="a setting of OpenTelemetry is wrong and is left out" error="parse headers: missing '="`,
		`error="unsupported sampler: parentbased_sometimes"`,
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, log)
		}
	}
	_, span := trace.Root(ctx, "run")
	span.End(nil)
	began := time.Now()
	stop()
	if took := time.Since(began); took > flushTimeout+2*time.Second {
		t.Errorf("the end took %v", took)
	}
	if !strings.Contains(log.String(), `level=WARN msg="traces can't be sent; all else goes on without" error="context deadline exceeded"`) || strings.Contains(log.String(), "canary") {
		t.Errorf("the log:\n%s", log)
	}
}
