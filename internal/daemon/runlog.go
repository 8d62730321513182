package daemon

import (
	"context"
	"log/slog"
	"sync/atomic"
)

// runTag is what stands on each log line of a run.
type runTag struct {
	run, commit string
}

// runHandler puts the tag of the run that goes on on each line, whoever logs
// it: there is one run at a time, and the packages that do its work were given
// their logger long before it began.
type runHandler struct {
	slog.Handler
	tag *atomic.Pointer[runTag]
}

func newRunHandler(h slog.Handler) *runHandler {
	return &runHandler{h, new(atomic.Pointer[runTag])}
}

// begin tags the lines to come; commit may be empty.
func (h *runHandler) begin(run, commit string) { h.tag.Store(&runTag{run, commit}) }

// end leaves the lines to come without a tag.
func (h *runHandler) end() { h.tag.Store(nil) }

// Handle adds the tag.
func (h *runHandler) Handle(ctx context.Context, r slog.Record) error {
	if tag := h.tag.Load(); tag != nil {
		r = r.Clone()
		r.AddAttrs(slog.String("run", tag.run))
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
