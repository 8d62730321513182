package daemon

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"html/template"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"reconciler/internal/daemon/signin"
	"reconciler/internal/git/source"
	"reconciler/internal/reconcile"
	"reconciler/internal/report"
	"reconciler/internal/text"
)

//go:embed dashboard.html dashboard.css
var pages embed.FS

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
type endpoints struct {
	reader    *reader
	dashboard *template.Template
}

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
	css, err := pages.ReadFile("dashboard.css")
	if err != nil {
		return nil, err
	}
	page, err := template.New("dashboard.html").Funcs(dashboardFuncs(css)).ParseFS(pages, "dashboard.html")
	if err != nil {
		return nil, err
	}
	e := &endpoints{reader: o.reader, dashboard: page}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", e.healthz)
	mux.HandleFunc("GET /readyz", e.readyz)
	mux.HandleFunc("GET /api/v1/status", e.status)
	mux.HandleFunc("GET /api/v1/runs/{id}", (&runs{o.reader}).one)
	(&operations{reader: o.reader, log: o.log, operator: o.operator, refresh: o.refresh}).register(mux)
	(&inventory{o.reader}).register(mux)
	mux.HandleFunc("GET /{$}", e.page)
	mux.Handle("GET /metrics", o.metrics.handler())
	if o.hooks != nil {
		mux.Handle("/hooks/git", o.hooks)
	}

	sum := sha256.Sum256(css)
	csp := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	guarded := o.gate.Wrap(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", csp)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if strings.HasPrefix(r.URL.Path, apiPath) {
			compressed(guarded, w, r)
			return
		}
		guarded.ServeHTTP(w, r)
	}), nil
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
	send(w, http.StatusOK, e.reader.Status())
}

func (e *endpoints) page(w http.ResponseWriter, _ *http.Request) {
	var page strings.Builder
	status := e.reader.Status()
	if err := e.dashboard.Execute(&page, &status); err != nil {
		http.Error(w, "the page can't be shown: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, page.String())
}

func dashboardFuncs(css []byte) template.FuncMap {
	return template.FuncMap{
		"css": func() template.CSS { return template.CSS(css) },
		"time": func(t time.Time) string {
			return t.UTC().Format("2006-01-02 15:04:05 UTC")
		},
		"rows":           func() int { return pageRows },
		"left":           left,
		"age":            func(now, then time.Time) string { return text.Age(now.Sub(then)) },
		"short":          source.Short,
		"value":          report.Value,
		"org":            report.Org,
		"blocked":        report.Blocked,
		"aboutUnknown":   func() string { return report.AboutUnknown },
		"aboutUnmanaged": func() string { return report.AboutUnmanaged },
	}
}
