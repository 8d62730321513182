package daemon

import (
	"context"
	"log/slog"
	"sync/atomic"
)

// runTag identifies a run on its log lines.
type runTag struct {
	run, trace, commit string
}

// runHandler adds the tag of the current run to each line. There is one run at a
// time, and the packages that do its work got their logger before it began.
type runHandler struct {
	slog.Handler
	tag *atomic.Pointer[runTag]
}

func newRunHandler(h slog.Handler) *runHandler {
	return &runHandler{h, new(atomic.Pointer[runTag])}
}

// begin tags all further lines; trace is the id of the run's trace, and may be empty.
func (h *runHandler) begin(run, trace string) { h.tag.Store(&runTag{run: run, trace: trace}) }

// commit tags all further lines of the run with its commit, which may be empty.
func (h *runHandler) commit(commit string) {
	if tag := h.tag.Load(); tag != nil {
		h.tag.Store(&runTag{tag.run, tag.trace, commit})
	}
}

// end stops tagging.
func (h *runHandler) end() { h.tag.Store(nil) }

// Handle adds the tag.
func (h *runHandler) Handle(ctx context.Context, r slog.Record) error {
	if tag := h.tag.Load(); tag != nil {
		r = r.Clone()
		r.AddAttrs(slog.String("run", tag.run))
		if tag.trace != "" {
			r.AddAttrs(slog.String("trace_id", tag.trace))
		}
		if tag.commit != "" {
			r.AddAttrs(slog.String("commit", tag.commit))
		}
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs keeps the tag.
func (h *runHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &runHandler{h.Handler.WithAttrs(attrs), h.tag}
}

// WithGroup keeps the tag, which then stands in the group.
func (h *runHandler) WithGroup(name string) slog.Handler {
	return &runHandler{h.Handler.WithGroup(name), h.tag}
}
