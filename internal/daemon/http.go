package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"reconciler/internal/daemon/page"
	"reconciler/internal/daemon/signin"
	"reconciler/internal/reconcile"
	"reconciler/internal/text"
)

const (
	// shutdownGrace is how long responses in progress may take once the daemon
	// stops.
	shutdownGrace = 3 * time.Second
	// maxHeader limits a request's headers. The one endpoint that reads a body
	// limits it itself.
	maxHeader = 16 << 10
)

// newServer returns the HTTP server of the daemon. It isn't listening yet.
func newServer(h http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}

// serveHTTP serves on l until stop ends, then finishes the responses in progress
// within shutdownGrace.
func serveHTTP(stop context.Context, srv *http.Server, l net.Listener) error {
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-stop.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(stop), shutdownGrace)
	defer cancel()
	if srv.Shutdown(grace) != nil {
		srv.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// endpoints serves the status.
type endpoints struct{ reader *reader }

// handlerOptions are what the endpoints are made of.
type handlerOptions struct {
	reader  *reader
	metrics *metrics
	log     *slog.Logger
	// hooks is the webhook's handler; nil if there is no webhook.
	hooks http.Handler
	// gate decides who may use the endpoints.
	gate *signin.Gate
	// operator and refresh are those of operations.
	operator func(by string) *reconcile.Operator
	refresh  func()
}

// newHandler returns the daemon's endpoints.
func newHandler(o handlerOptions) (http.Handler, error) {
	pages, err := page.New(page.Options{
		Source: o.reader, Now: o.reader.now,
		Query: func(list, raw string) (*reconcile.InventoryQuery, error) {
			q, err := parseQuery(raw, parametersOf(list), o.reader.now())
			if err != nil {
				err = &reconcile.QueryError{Err: err}
			}
			return q, err
		},
		Failure: inventoryFailure,
	})
	if err != nil {
		return nil, err
	}
	e := &endpoints{reader: o.reader}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", e.healthz)
	mux.HandleFunc("GET /readyz", e.readyz)
	mux.HandleFunc("GET /api/v1/status", e.status)
	mux.HandleFunc("GET /api/v1/runs/{id}", (&runs{o.reader}).one)
	(&operations{reader: o.reader, log: o.log, operator: o.operator, refresh: o.refresh, refuse: o.gate.Refuse}).register(mux)
	(&inventory{o.reader}).register(mux)
	pages.Register(mux)
	mux.Handle("GET /metrics", o.metrics.handler())
	if o.hooks != nil {
		mux.Handle("/hooks/git", o.hooks)
	}

	o.gate.SetShow(pages.Notice)
	guarded := o.gate.Wrap(newAnswers(pages.Or(mux), newRecent(o.reader.shown, o.reader.now)))
	return recovered(o.log, o.gate.Refuse, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", page.Policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin") // with no-referrer, browsers send forms from the origin "null"
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		guarded.ServeHTTP(w, r)
	})), nil
}

// recovered has next answer a request. If that panics, it is logged, and the answer is an
// error, or is cut off where it has begun.
func recovered(log *slog.Logger, refuse func(w http.ResponseWriter, r *http.Request, code int, problem, hint string), next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		noting := &begun{ResponseWriter: w}
		defer func() {
			what := recover()
			if what == nil {
				return
			}
			if what == http.ErrAbortHandler {
				panic(what)
			}
			log.Error("a request could not be answered: this is a mistake in the program", "method", r.Method, "path", text.OneLine(r.URL.Path, maxBy),
				"panic", text.OneLine(fmt.Sprint(what), maxBy), "stack", string(debug.Stack()))
			if noting.begun {
				panic(http.ErrAbortHandler)
			}
			refuse(w, r, http.StatusInternalServerError, "the daemon could not answer this", "its log says why")
		}()
		next.ServeHTTP(noting, r)
	})
}

// begun is a ResponseWriter that notes whether the response has begun.
type begun struct {
	http.ResponseWriter
	begun bool
}

// WriteHeader notes that the response has begun.
func (b *begun) WriteHeader(code int) {
	b.begun = true
	b.ResponseWriter.WriteHeader(code)
}

// Write notes that the response has begun.
func (b *begun) Write(data []byte) (int, error) {
	b.begun = true
	return b.ResponseWriter.Write(data)
}

// Unwrap returns what is written to.
func (b *begun) Unwrap() http.ResponseWriter { return b.ResponseWriter }

func (e *endpoints) healthz(w http.ResponseWriter, _ *http.Request) {
	verdict(w, e.reader.tracker.stuck(e.reader.now()))
}

func (e *endpoints) readyz(w http.ResponseWriter, _ *http.Request) {
	verdict(w, e.reader.Status().NotReady)
}

// verdict writes "ok", or 503 and why not, on one line.
func verdict(w http.ResponseWriter, why string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if why == "" {
		_, _ = io.WriteString(w, "ok\n")
		return
	}
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, text.Visible(why)+"\n")
}

func (e *endpoints) status(w http.ResponseWriter, _ *http.Request) {
	send(w, http.StatusOK, e.reader.Status())
}
