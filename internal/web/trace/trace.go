// Package trace records what a run does as spans of OpenTelemetry: the run, what it
// reads, each org, each call.
//
// A trace begins with [Root], if the context was made by [With], and what goes on below
// it becomes spans with [Start]. Where no trace was begun nothing is recorded, nothing is
// allocated, and the context stays as it is. Spans hold names, ids and counts; no secret
// and no value of a field may get into one.
//
// Where spans are sent is decided in package otlp alone.
package trace

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"reconciler/internal/text"
)

// tracerKey is the key of a tracer in a context.
type tracerKey struct{}

// With returns a context in which Root begins traces by the tracer.
func With(ctx context.Context, tracer trace.Tracer) context.Context {
	return context.WithValue(ctx, tracerKey{}, tracer)
}

// Root begins a trace with a span of its own. It begins none if ctx has no tracer, or
// the sampler leaves the trace out.
func Root(ctx context.Context, name string) (context.Context, Span) {
	tracer, ok := ctx.Value(tracerKey{}).(trace.Tracer)
	if !ok {
		return ctx, Span{}
	}
	return recording(tracer.Start(ctx, name, trace.WithNewRoot()))
}

// Start begins a span below the one in ctx, if there is one.
func Start(ctx context.Context, name string) (context.Context, Span) {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return ctx, Span{}
	}
	tracer, ok := ctx.Value(tracerKey{}).(trace.Tracer)
	if !ok {
		return ctx, Span{}
	}
	return recording(tracer.Start(ctx, name))
}

// Call is Start for a request to a server, "METHOD ENDPOINT", where the endpoint is a
// template: an id in it would make each name another one. Nothing is below it.
func Call(ctx context.Context, method, endpoint string) Span {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return Span{}
	}
	tracer, ok := ctx.Value(tracerKey{}).(trace.Tracer)
	if !ok {
		return Span{}
	}
	_, span := recording(tracer.Start(ctx, method+" "+endpoint, trace.WithSpanKind(trace.SpanKindClient)))
	span.Set("http.request.method", method)
	span.Set("url.template", endpoint)
	return span
}

func recording(ctx context.Context, span trace.Span) (context.Context, Span) {
	if !span.IsRecording() {
		return ctx, Span{}
	}
	return ctx, Span{span}
}

// Span is one thing that is done. The zero Span records nothing.
type Span struct{ span trace.Span }

// On reports whether the span records anything.
func (s Span) On() bool { return s.span != nil }

// ID returns the id of the trace in hexadecimal digits; empty if there is none.
func (s Span) ID() string {
	if s.span == nil {
		return ""
	}
	return s.span.SpanContext().TraceID().String()
}

// Set sets an attribute, cleaned as text from elsewhere is; an empty value sets none.
func (s Span) Set(key, value string) {
	if s.span != nil && value != "" {
		s.span.SetAttributes(attribute.String(key, text.Clean(value)))
	}
}

// SetInt sets an attribute that is a number.
func (s Span) SetInt(key string, n int) {
	if s.span != nil {
		s.span.SetAttributes(attribute.Int(key, n))
	}
}

// Fail sets why what the span is about went wrong, cleaned likewise.
func (s Span) Fail(why string) {
	if s.span != nil {
		s.span.SetStatus(codes.Error, text.Clean(why))
	}
}

// End ends the span; err, where not nil, is why it went wrong.
func (s Span) End(err error) {
	if s.span == nil {
		return
	}
	if err != nil {
		s.Fail(err.Error())
	}
	s.span.End()
}
