package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"reconciler/internal/config"
)

const secretPath = "/services/T0SECRET/B0SECRET"

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// receiversOf returns the receivers of a config, as its file would have them, without
// the key. url, secret and template are files in the folder.
func receiversOf(t testing.TB, dir, list string) []*Receiver {
	t.Helper()
	file := filepath.Join(dir, "reconciler.yaml")
	must(t, os.WriteFile(file, []byte("notify: "+list+"\n"), 0o600))
	cfg, _, err := config.Load(file, nil)
	must(t, err)
	all, err := Receivers(cfg.Notify)
	must(t, err)
	return all
}

func write(t testing.TB, dir, name, content string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
}

// folder returns a folder with the URL and the secret of a receiver.
func folder(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "url", "http://127.0.0.1:1"+secretPath+"\n")
	write(t, dir, "other", "http://127.0.0.2:1"+secretPath+"\n")
	write(t, dir, "secret", "top secret\n")
	return dir
}

// got is a request that a server in memory has answered.
type got struct {
	at     time.Time
	host   string
	header http.Header
	body   []byte
	status int
}

func (g *got) message(t testing.TB) *Message {
	t.Helper()
	var m Message
	if err := json.Unmarshal(g.body, &m); err != nil {
		t.Fatalf("%v: %s", err, g.body)
	}
	return &m
}

// wire is a network in memory with one server behind all addresses, so that what waits
// for it waits for the clock of a synctest bubble.
type wire struct {
	answer func(w http.ResponseWriter, r *http.Request)

	mu  sync.Mutex
	all []got
}

func newWire(t testing.TB, answer func(w http.ResponseWriter, r *http.Request)) (*wire, http.RoundTripper) {
	w := &wire{answer: answer}
	conns := make(chan net.Conn)
	done := make(chan struct{})
	listener := pipeListener{conns, done}
	server := &http.Server{Handler: w}
	served := make(chan error)
	go func() { served <- server.Serve(listener) }()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		client, server := net.Pipe()
		select {
		case conns <- server:
			return client, nil
		case <-done:
			return nil, net.ErrClosed
		}
	}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		close(done)
		server.Close()
		<-served
	})
	return w, transport
}

func (w *wire) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	noted := &statusWriter{ResponseWriter: rw, status: 200}
	if w.answer != nil {
		w.answer(noted, r)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, got{time.Now(), r.Host, r.Header, body, noted.status})
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(code int) {
	w.status = code
	w.ResponseWriter.WriteHeader(code)
}

// requests returns what was answered until now; taken what was answered with success.
func (w *wire) requests() []got {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]got(nil), w.all...)
}

func (w *wire) taken() (all []got) {
	for _, g := range w.requests() {
		if g.status/100 == 2 {
			all = append(all, g)
		}
	}
	return all
}

type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l pipeListener) Close() error   { return nil }
func (l pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// logOf returns a logger, and what it has logged.
func logOf() (*slog.Logger, *logged) {
	l := &logged{}
	return slog.New(slog.NewTextHandler(l, nil)), l
}

type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// running runs a sender until the function that it returns is called.
func running(s *Sender) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
		s.Close()
	}
}

// reportOf returns a report with one event of each type.
func reportOf(run string, types ...Type) Report {
	r := Report{Account: "0200acme", Time: time.Now(), Run: run}
	for _, t := range types {
		r.Events = append(r.Events, Event{Type: t, Org: "acme-emea.okta.com", Message: "something"})
	}
	return r
}

// counts is an Observer.
type counts struct {
	mu      sync.Mutex
	results map[string]int
	queued  int
}

func (c *counts) Notified(typ, result string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.results == nil {
		c.results = map[string]int{}
	}
	c.results[typ+" "+result]++
}

// of returns how many messages have a result.
func (c *counts) of(result string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.results[result]
}

func (c *counts) Queued(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queued = n
}
