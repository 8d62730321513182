package daemon

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
)

// runTag identifies a run on its log lines.
type runTag struct {
	run, commit string
}

// runHandler adds the tag of the current run to each line, and keeps the lines of the
// run. There is one run at a time, and the packages that do its work got their logger
// before it began.
type runHandler struct {
	slog.Handler
	tag  *atomic.Pointer[runTag]
	kept *keptRuns
	// attrs are those of the handler, and group is what begins the names of others.
	attrs []slog.Attr
	group string
}

func newRunHandler(h slog.Handler, kept *keptRuns) *runHandler {
	return &runHandler{Handler: h, tag: new(atomic.Pointer[runTag]), kept: kept}
}

// begin tags all further lines; commit may be empty.
func (h *runHandler) begin(run, commit string) { h.tag.Store(&runTag{run, commit}) }

// end stops tagging.
func (h *runHandler) end() { h.tag.Store(nil) }

// keeps reports whether a line of a level is kept.
func (h *runHandler) keeps(l slog.Level) bool {
	return h.kept != nil && l >= slog.LevelInfo && h.tag.Load() != nil
}

// Enabled reports whether a line is logged, or kept: what a run did is worth knowing
// also where only its errors are logged.
func (h *runHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return h.keeps(l) || h.Handler.Enabled(ctx, l)
}

// Handle adds the tag.
func (h *runHandler) Handle(ctx context.Context, r slog.Record) error {
	tag := h.tag.Load()
	if tag != nil && h.keeps(r.Level) {
		h.kept.line(tag.run, lineOf(&r, h.attrs, h.group))
	}
	if !h.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	if tag != nil {
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
	with := *h
	with.Handler, with.attrs = h.Handler.WithAttrs(attrs), slices.Clone(h.attrs)
	for _, a := range attrs {
		a.Key = h.group + a.Key
		with.attrs = append(with.attrs, a)
	}
	return &with
}

// WithGroup keeps the tag, which then stands in the group.
func (h *runHandler) WithGroup(name string) slog.Handler {
	with := *h
	with.Handler = h.Handler.WithGroup(name)
	if name != "" {
		with.group = h.group + name + "."
	}
	return &with
}
