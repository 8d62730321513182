// Package otlp sends traces to a collector, as OpenTelemetry's environment variables
// say (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).
// It is the only package that uses OpenTelemetry's SDK.
package otlp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"reconciler/internal/text"
	"reconciler/internal/web/trace"
)

const (
	// serviceName is what traces are of where the environment doesn't say.
	serviceName = "reconciler"
	// flushTimeout is how long the last spans may take to be sent.
	flushTimeout = 3 * time.Second
)

// The variables that decide whether traces are sent. All others are the SDK's to read.
const (
	disabledVar       = "OTEL_SDK_DISABLED"
	exporterVar       = "OTEL_TRACES_EXPORTER"
	endpointVar       = "OTEL_EXPORTER_OTLP_ENDPOINT"
	tracesEndpointVar = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	protocolVar       = "OTEL_EXPORTER_OTLP_PROTOCOL"
	tracesProtocolVar = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
)

// protocols are those that spans can be sent by; the first is the default.
var protocols = []string{"http/protobuf", "http/json"}

// Open returns a context in which traces are recorded and sent, and a function that
// sends what is left, within a few seconds, and ends it. Without an endpoint in the
// environment, which getenv reads, the context is ctx and nothing is started. Nothing
// that goes wrong here stands in the way of what is traced: the logger is told, once.
func Open(ctx context.Context, getenv func(string) string, version string, log *slog.Logger) (_ context.Context, stop func()) {
	on, err := wanted(getenv)
	if err != nil {
		log.Warn("no traces are sent", "error", err.Error(), "hint", text.Hint(err))
	}
	if !on || err != nil {
		return ctx, func() {}
	}
	say := &complaints{log: log}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(say.handle))
	otel.SetLogger(logr.FromSlogHandler(say))

	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		log.Warn("no traces are sent", "error", oneLine(err))
		return ctx, func() {}
	}
	provider := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(resourceOf(ctx, version)))
	say.begun.Store(true)
	stop = func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			say.handle(err)
		}
	}
	return trace.With(ctx, provider.Tracer("reconciler")), stop
}

// wanted reports whether traces are to be sent. The error is why they can't be.
func wanted(getenv func(string) string) (bool, error) {
	either := func(one, other string) (name, value string) {
		if v := getenv(one); v != "" {
			return one, v
		}
		return other, getenv(other)
	}
	name, endpoint := either(tracesEndpointVar, endpointVar)
	exporter := getenv(exporterVar)
	if endpoint == "" || exporter == "none" || strings.EqualFold(getenv(disabledVar), "true") {
		return false, nil
	}
	if exporter != "" && exporter != "otlp" {
		return false, text.WithHint(fmt.Errorf("%s is %q", exporterVar, exporter), `set it to "otlp", or to "none" for no traces`)
	}
	if u, err := url.Parse(endpoint); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return false, text.WithHint(fmt.Errorf("%s is no URL that begins with http:// or https://", name), "for a collector on this machine it is http://localhost:4318")
	}
	if name, protocol := either(tracesProtocolVar, protocolVar); protocol != "" && !slices.Contains(protocols, protocol) {
		return false, text.WithHint(fmt.Errorf("%s is %q, which is not supported", name, protocol),
			fmt.Sprintf("set it to %q, and the endpoint to the collector's port for HTTP, usually 4318", protocols[0]))
	}
	return true, nil
}

// resourceOf returns what the traces are of. The environment outranks it.
func resourceOf(ctx context.Context, version string) *resource.Resource {
	r, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", serviceName), attribute.String("service.version", version)),
		resource.WithTelemetrySDK(), resource.WithHost(), resource.WithProcessPID(), resource.WithFromEnv(),
	)
	if err != nil { // r has what could be found out
		otel.Handle(err)
	}
	return r
}

// complaints are what the SDK says. Each mistake in its settings is a warning; of spans
// that can't be sent, the first are, and all others are for debugging. As an slog.Handler
// it gets what the SDK logs, and leaves out the attributes: some are values of
// environment variables, such as headers with a token.
type complaints struct {
	log *slog.Logger
	// begun is set once the settings are read, and failed once spans could not be sent.
	begun, failed atomic.Bool
}

// handle is told what went wrong.
func (c *complaints) handle(err error) {
	switch why := oneLine(err); {
	case !c.begun.Load():
		c.log.Warn("a setting of OpenTelemetry is wrong and is left out", "error", why, "hint", "see the environment variables that begin with OTEL_")
	case !c.failed.Swap(true):
		c.log.Warn("traces can't be sent; all else goes on without", "error", why)
	default:
		c.log.Debug("traces can't be sent", "error", why)
	}
}

// Enabled reports whether a record is a warning of the SDK's or worse: what it logs with
// verbosity 1 is a warning, and is slog's level -1.
func (c *complaints) Enabled(_ context.Context, level slog.Level) bool { return level >= -1 }

// Handle is handle for what the SDK logs.
func (c *complaints) Handle(_ context.Context, r slog.Record) error {
	err := errors.New(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		if cause, ok := a.Value.Any().(error); ok {
			err = fmt.Errorf("%s: %s", r.Message, oneLine(cause))
		}
		return true
	})
	c.handle(err)
	return nil
}

// WithAttrs returns c: it shows no attributes.
func (c *complaints) WithAttrs([]slog.Attr) slog.Handler { return c }

// WithGroup returns c likewise.
func (c *complaints) WithGroup(string) slog.Handler { return c }

// oneLine returns an error on one line, without a URL that the environment may have a
// password in.
func oneLine(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return text.Clean(err.Error())
}
