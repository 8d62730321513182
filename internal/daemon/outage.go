package daemon

import (
	"context"
	"log/slog"
	"sync"

	"reconciler/internal/store/replicas"
	"reconciler/internal/text"
)

const (
	// outageBegan, runFinished and leadLost are logged during an outage of the database.
	outageBegan = "the database can't be used; nothing is written until it can"
	runFinished = "run finished"
	leadLost    = "this daemon no longer leads: it stands by"
)

// outage is the time in which the database can't be used. It is logged once for each
// cause, in place of all that can't be done meanwhile, which is nearly everything.
type outage struct {
	mu sync.Mutex
	// causes are those that were logged; none if the database answers.
	causes map[string]bool
}

// note logs why the database can't be used, if that is what an error of it says, and was
// not logged yet.
func (o *outage) note(log *slog.Logger, err error) {
	cause := replicas.OutageIn(err.Error())
	if cause == "" {
		return
	}
	o.mu.Lock()
	known := o.causes[cause]
	if o.causes == nil {
		o.causes = map[string]bool{}
	}
	o.causes[cause] = true
	o.mu.Unlock()
	if !known {
		log.Error(outageBegan, nonEmpty("error", cause, "hint", text.Hint(err))...)
	}
}

// end notes that the database answers.
func (o *outage) end(log *slog.Logger) {
	o.mu.Lock()
	over := len(o.causes) > 0
	o.causes = nil
	o.mu.Unlock()
	if over {
		log.Info("the database answers again")
	}
}

// goesOn reports whether the database is known not to answer.
func (o *outage) goesOn() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.causes) > 0
}

// outageHandler logs at level debug what is a consequence of an outage.
type outageHandler struct {
	slog.Handler
	outage *outage
}

// Handle logs a record.
func (h *outageHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelWarn || r.Message == outageBegan || !h.outage.goesOn() {
		return h.Handler.Handle(ctx, r)
	}
	cause := causeOf(&r)
	switch {
	case cause == "":
	case r.Message == runFinished, r.Message == leadLost:
		r = shortened(&r, cause)
	case !h.Enabled(ctx, slog.LevelDebug):
		return nil
	default:
		r.Level = slog.LevelDebug
	}
	return h.Handler.Handle(ctx, r)
}

// causeOf returns why the database can't be used, if a record says so; else "".
func causeOf(r *slog.Record) (cause string) {
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "error", "alarm", "suspension":
			cause = replicas.OutageIn(a.Value.Resolve().String())
		}
		return cause == ""
	})
	return cause
}

// shortened returns a record with the cause as its error, and no hint.
func shortened(r *slog.Record, cause string) slog.Record {
	short := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "hint":
		case "error":
			short.AddAttrs(slog.String("error", cause))
		default:
			short.AddAttrs(a)
		}
		return true
	})
	return short
}

// WithAttrs returns a handler with attributes.
func (h *outageHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &outageHandler{h.Handler.WithAttrs(attrs), h.outage}
}

// WithGroup returns a handler with a group.
func (h *outageHandler) WithGroup(name string) slog.Handler {
	return &outageHandler{h.Handler.WithGroup(name), h.outage}
}
