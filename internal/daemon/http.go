package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"reconciler/internal/daemon/page"
	"reconciler/internal/reconcile"
	"reconciler/internal/web"
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
	// local reports whether the endpoints are served on loopback only.
	local bool
}

// newHandler returns the daemon's endpoints.
func newHandler(o handlerOptions) (http.Handler, error) {
	pages, err := page.New(page.Options{
		Source: o.reader, Now: o.reader.now,
		Query: func(raw string) (*reconcile.InventoryQuery, error) {
			return parseQuery(raw, slices.Collect(maps.Keys(parameters())), o.reader.now())
		},
	})
	if err != nil {
		return nil, err
	}
	e := &endpoints{reader: o.reader}
	asked := &runs{reader: o.reader, log: o.log, local: o.local}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", e.healthz)
	mux.HandleFunc("GET /readyz", e.readyz)
	mux.HandleFunc("GET /api/v1/status", e.status)
	mux.HandleFunc("POST /api/v1/runs", asked.ask)
	mux.HandleFunc("GET /api/v1/runs/{id}", asked.one)
	(&inventory{o.reader}).register(mux)
	pages.Register(mux)
	mux.Handle("GET /metrics", o.metrics.handler())
	if o.hooks != nil {
		mux.Handle("/hooks/git", o.hooks)
	}

	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", page.Policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if _, pattern := mux.Handler(r); pattern == "" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			pages.NotFound(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}), nil
}

// onlyLocal refuses requests whose Host is neither loopback nor the given host,
// which may be empty. A foreign page can let its own name resolve to loopback
// (DNS rebinding) and read the daemon's responses, but it can't choose the Host
// header.
func onlyLocal(h http.Handler, host string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A request without a host is HTTP/1.0, which browsers don't send.
		asked := (&url.URL{Host: r.Host}).Hostname()
		if r.Host == "" || web.IsLoopback(asked) || strings.EqualFold(asked, host) {
			h.ServeHTTP(w, r)
			return
		}
		http.Error(w, "this daemon listens on loopback and serves localhost only: a proxy in front of it must set the Host header to localhost",
			http.StatusMisdirectedRequest)
	})
}

func (e *endpoints) healthz(w http.ResponseWriter, _ *http.Request) {
	answer(w, e.reader.tracker.stuck(e.reader.now()))
}

func (e *endpoints) readyz(w http.ResponseWriter, _ *http.Request) {
	answer(w, e.reader.Status().NotReady)
}

// answer writes "ok", or 503 and why not, on one line.
func answer(w http.ResponseWriter, why string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if why == "" {
		_, _ = io.WriteString(w, "ok\n")
		return
	}
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, why+"\n")
}

func (e *endpoints) status(w http.ResponseWriter, _ *http.Request) {
	var body strings.Builder // a response is sent whole or not at all
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(e.reader.Status()); err != nil {
		http.Error(w, "the status has no JSON form: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, body.String())
}
