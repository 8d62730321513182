package trace

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// TestNothingRecorded: where no trace was begun, the context stays as it is, and nothing
// is allocated.
func TestNothingRecorded(t *testing.T) {
	ctx := t.Context()
	never := With(ctx, sdk.NewTracerProvider(sdk.WithSampler(sdk.NeverSample())).Tracer("t"))
	left, root := Root(never, "run")
	if root.On() || root.ID() != "" {
		t.Error("a trace that the sampler leaves out is recorded")
	}
	for name, ctx := range map[string]context.Context{"no tracer": ctx, "no trace": never, "left out": left} {
		err := errors.New("broken")
		allocs := testing.AllocsPerRun(100, func() {
			within, span := Start(ctx, "org")
			if within != ctx || span.On() {
				t.Fatal("something is recorded")
			}
			span.Set("okta.org.domain", "a.okta.com")
			span.SetInt("n", 1)
			span.Fail("why")
			span.End(err)
			call := Call(ctx, "GET", "orgs/{id}")
			call.End(nil)
		})
		if allocs > 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}

// TestSpans: what is recorded is on one line, and without what looks like a token.
func TestSpans(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	ctx := With(t.Context(), sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder)).Tracer("t"))
	ctx, root := Root(ctx, "run")
	_, org := Start(ctx, "org")
	org.Set("okta.org.domain", "a.okta.com")
	org.Set("okta.org.id", "")
	org.SetInt("n", 3)
	org.End(errors.New("refused:\n00" + strings.Repeat("a", 40)))
	root.End(nil)
	root.End(errors.New("too late"))
	ended := recorder.Ended()
	if len(ended) != 2 || root.ID() == "" || ended[1].Name() != "run" || ended[1].Status().Code != codes.Unset {
		t.Fatalf("%+v", ended)
	}
	got := ended[0]
	if got.Parent().SpanID() != ended[1].SpanContext().SpanID() || got.Status().Description != "refused: [token]" || len(got.Attributes()) != 2 {
		t.Errorf("%+v", got)
	}
	if _, again := Root(ctx, "run"); again.ID() == root.ID() {
		t.Error("two runs are one trace")
	}
}
