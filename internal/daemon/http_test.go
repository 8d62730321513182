package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/daemon/api"
	"reconciler/internal/daemon/signin"
	"reconciler/internal/reconcile"
	"reconciler/internal/store/history"
	"reconciler/internal/store/location"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the goldens anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("%s (-want +got):\n%s", file, cmp.Diff(string(want), string(got)))
	}
}

func testHandler(t *testing.T, b *statusTracker, now time.Time) http.Handler {
	t.Helper()
	h, err := newHandler(handlerOptions{
		reader: &reader{
			InventoryReader: reconcile.NewInventoryReader(history.New(location.Folder(t.TempDir()), history.Options{}), "0200"),
			tracker:         b, requests: newRequests(), now: func() time.Time { return now },
		},
		metrics: newMetrics("v1.2.3"), log: slog.New(slog.DiscardHandler), gate: openGate(t, "127.0.0.1:8080"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// openGate returns a gate where nobody signs in, with an http.url if one is given.
func openGate(t *testing.T, address string, urls ...string) *signin.Gate {
	t.Helper()
	h := &config.HTTP{Address: address, Auth: config.HTTPAuth{None: true}}
	for _, raw := range urls {
		var err error
		if h.URL, err = url.Parse(raw); err != nil {
			t.Fatal(err)
		}
	}
	g, err := signin.New(signin.Options{HTTP: h, Memory: signin.NewMemory(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func ask(h http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, "http://localhost"+path, nil))
	return w
}

func TestEndpoints(t *testing.T) {
	fresh := newStatusTracker(api.Status{}, every10)
	stuck := newStatusTracker(api.Status{}, every10)
	stuck.begin(api.Running{ID: "r1", Started: noon.Add(-2 * time.Hour)})
	tests := []struct {
		name         string
		tracker      *statusTracker
		method, path string
		code         int
		body         string
	}{
		{"alive", fresh, "GET", "/healthz", 200, "ok\n"},
		{"alive, without a body", fresh, "HEAD", "/healthz", 200, ""},
		{"not ready", fresh, "GET", "/readyz", 503, "the first run has not ended yet\n"},
		{"ready", testTracker(), "GET", "/readyz", 200, "ok\n"},
		{"stuck", stuck, "GET", "/healthz", 503, "run r1 has been going on since 2026-11-21T10:00:00Z\n"},
		{"metrics", fresh, "GET", "/metrics", 200, "reconciler_build_info{version=\"v1.2.3\"} 1\n"},
		{"status", fresh, "GET", "/api/v1/status", 200, "\"lastRun\": null"},
		{"overview", fresh, "GET", "/", 200, "no run has ended yet"},
		{"writing to the status", fresh, "POST", "/api/v1/status", 405, ""},
		{"writing to the overview", fresh, "POST", "/", 405, ""},
		{"deleting metrics", fresh, "DELETE", "/metrics", 405, ""},
		{"options", fresh, "OPTIONS", "/healthz", 405, ""},
		{"no webhook", fresh, "POST", "/hooks/git", 404, ""},
		{"unknown path", fresh, "GET", "/index.html", 404, ""},
		{"signing in", fresh, "GET", "/signin", 303, ""},
		{"below an endpoint", fresh, "GET", "/healthz/x", 404, ""},
		{"no profiles", fresh, "GET", "/debug/pprof/", 404, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			w := ask(testHandler(t, tc.tracker, noon), tc.method, tc.path)
			if w.Code != tc.code || !strings.Contains(w.Body.String(), tc.body) {
				t.Errorf("%d %q, want %d %q", w.Code, w.Body, tc.code, tc.body)
			}
			if w.Code == 405 && w.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("Allow: %q", w.Header().Get("Allow"))
			}
			for header, want := range map[string]string{
				"X-Content-Type-Options":       "nosniff",
				"Cache-Control":                "no-store",
				"Referrer-Policy":              "same-origin",
				"Cross-Origin-Resource-Policy": "same-origin",
			} {
				if got := w.Header().Get(header); got != want {
					t.Errorf("%s: %q, want %q", header, got, want)
				}
			}
			if csp := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; style-src 'self'; script-src 'self'; ") || strings.Contains(csp, "unsafe") {
				t.Errorf("Content-Security-Policy: %q", csp)
			}
		})
	}
}

// A page of evil.example whose name leads to 127.0.0.1 is shown nothing.
func TestOnlyLocal(t *testing.T) {
	h := openGate(t, "127.0.0.1:8080", "https://reconciler.internal").CheckHost(testHandler(t, testTracker(), noon))
	for host, code := range map[string]int{
		"127.0.0.1:8080":            200,
		"127.0.0.1":                 200,
		"127.8.9.1:1":               200,
		"localhost:8080":            200,
		"LocalHost":                 200,
		"[::1]:8080":                200,
		"[::1]":                     200,
		"reconciler.internal:8080":  200,
		"Reconciler.Internal":       200,
		"":                          200, // HTTP/1.0
		"evil.example":              421,
		"evil.example:8080":         421,
		"localhost.evil.example":    421,
		"127.0.0.1.evil.example":    421,
		"reconciler.internal.evil":  421,
		"10.0.0.1:8080":             421,
		"[::]:8080":                 421,
		"0.0.0.0:8080":              421,
		":8080":                     421,
		"[::1":                      421,
		"evil.example:80@localhost": 421,
	} {
		r := httptest.NewRequest("GET", "/api/v1/status", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != code || code != 200 && strings.Contains(w.Body.String(), "okta.com") {
			t.Errorf("Host %q: %d %s, want %d", host, w.Code, w.Body, code)
		}
	}
}

// The status is a public interface: its JSON has a golden, which the docs
// explain field by field.
func TestStatusGolden(t *testing.T) {
	w := ask(testHandler(t, testTracker(), noon.Add(time.Minute)), "GET", "/api/v1/status")
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type: %q", got)
	}
	golden(t, "status.json", w.Body.Bytes())
}

func TestStatusFirstGolden(t *testing.T) {
	b := newStatusTracker(api.Status{Started: noon}, every10)
	golden(t, "status-first.json", ask(testHandler(t, b, noon), "GET", "/api/v1/status").Body.Bytes())
}

// A panic is logged, and answered with an error that doesn't have it.
func TestPanics(t *testing.T) {
	var log bytes.Buffer
	gate := openGate(t, "127.0.0.1:8080")
	serve := func(accept string, h http.HandlerFunc) (w *httptest.ResponseRecorder, aborted any) {
		log.Reset()
		w = httptest.NewRecorder()
		r := httptest.NewRequest("GET", "http://localhost/orgs/a%0ab", nil)
		r.Header.Set("Accept", accept)
		defer func() { aborted = recover() }()
		recovered(slog.New(slog.NewTextHandler(&log, nil)), gate.Refuse, h).ServeHTTP(w, r)
		return w, nil
	}
	for accept, says := range map[string]string{"*/*": `"error": "the daemon could not answer this"`, "text/html": "<h1>the daemon could not answer this</h1>"} {
		w, aborted := serve(accept, func(http.ResponseWriter, *http.Request) { panic("a bug\nlevel=INFO") })
		if w.Code != 500 || aborted != nil || !strings.Contains(w.Body.String(), says) || strings.Contains(w.Body.String(), "a bug") {
			t.Errorf("%d %v %s", w.Code, aborted, w.Body)
		}
		if said := log.String(); strings.Count(said, "\n") != 1 || !strings.Contains(said, `panic="a bug level=INFO"`) || !strings.Contains(said, `path="/orgs/a b"`) || !strings.Contains(said, "http_test.go") {
			t.Errorf("logged: %s", said)
		}
	}
	w, aborted := serve("*/*", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		panic("a bug")
	})
	if aborted != http.ErrAbortHandler || w.Body.String() != "half" || log.Len() == 0 {
		t.Errorf("%v %s", aborted, w.Body)
	}
	if _, aborted = serve("*/*", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }); aborted != http.ErrAbortHandler || log.Len() > 0 {
		t.Errorf("%v %s", aborted, &log)
	}
}

// Nobody who isn't known learns whose daemon it is, and no link of a page leads elsewhere.
func TestPagesOfPathsFromElsewhere(t *testing.T) {
	h := testHandler(t, testTracker(), noon)
	account := testTracker().read(noon).Account
	if w := ask(h, "GET", "/nowhere"); account == "" || !strings.Contains(w.Body.String(), account) {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if w := ask(h, "GET", "/hooks/git"); w.Code != 404 || strings.Contains(w.Body.String(), account) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask(h, "GET", "//evil.example/x"); strings.Contains(w.Body.String(), `href="//evil`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for site, said := range map[string]bool{"": true, "same-origin": true, "cross-site": false, "same-site": false, "none": false} {
		r := httptest.NewRequest("GET", "http://localhost/?done=/actions/suspend&id=s1", nil)
		r.Header.Set("Sec-Fetch-Site", site)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if strings.Contains(w.Body.String(), "Writes are suspended: s1") != said {
			t.Errorf("from %q: %v", site, !said)
		}
	}
	if w := ask(h, "GET", "/?done=/actions/run&id=call+555+now"); strings.Contains(w.Body.String(), "call") && strings.Contains(w.Body.String(), "A run was asked for") {
		t.Error("says what a link says")
	}
}

// The page of the reader's status: what Okta sends is escaped, and what nobody acknowledged
// is the headline.
func TestOverview(t *testing.T) {
	page := ask(testHandler(t, testTracker(), noon.Add(time.Minute)), "GET", "/").Body.String()
	for _, want := range []string{
		`<section class="headline bad"`, "<b>Stale</b>", "Commit <code class=\"commit\" title=\"def4567", "500 E0000009 &lt;b&gt;", "<b>25 %</b> in sync",
		`<strong class="tag destructive">destructive</strong>`, `<a href="/orgs/acme-emea.okta.com">`, "load &lt;test&gt;", `<a href="/runs/20261121T120000Z-bbbbbb">`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in:\n%s", want, page)
		}
	}
}

func TestServeHTTPShutdown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	arrived, release := make(chan struct{}), make(chan struct{})
	srv := newServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		_, _ = io.WriteString(w, "whole")
	}), slog.New(slog.DiscardHandler))
	stop, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- serveHTTP(stop, srv, l) }()

	type answer struct {
		body string
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		resp, err := http.Get("http://" + l.Addr().String())
		if err != nil {
			got <- answer{err: err}
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		got <- answer{string(body), err}
	}()
	<-arrived
	cancel()
	time.AfterFunc(50*time.Millisecond, func() { close(release) })
	if a := <-got; a.err != nil || a.body != "whole" {
		t.Errorf("the answer under way was cut: %q, %v", a.body, a.err)
	}
	if err := <-served; err != nil {
		t.Errorf("serveHTTP: %v", err)
	}
	if conn, err := net.Dial("tcp", l.Addr().String()); err == nil {
		conn.Close()
		t.Error("still listening after the shutdown")
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestHeadersAreLimited(t *testing.T) {
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = newServer(testHandler(t, newStatusTracker(api.Status{}, every10), noon), slog.New(slog.DiscardHandler))
	srv.Start()
	defer srv.Close()
	req, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Long", strings.Repeat("x", 64<<10))
	resp, err := srv.Client().Do(req)
	if err != nil {
		return // the server hung up, which is fine too
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%s", resp.Status)
	}
}

// What the client of the status gives is what the daemon told.
func TestStatusRoundTrip(t *testing.T) {
	srv := httptest.NewServer(testHandler(t, testTracker(), noon))
	defer srv.Close()
	got, err := api.FetchStatus(t.Context(), strings.TrimPrefix(srv.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := json.Marshal(testTracker().read(noon))
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, data) {
		t.Errorf("status (-told +fetched):\n%s", cmp.Diff(string(want), string(data)))
	}
}
