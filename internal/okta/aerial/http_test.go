package aerial

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"reconciler/internal/okta/rest"
	"reconciler/internal/web"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testAccount = "0200bs0617vvhv2v675mch1cukp"

var testKeys = Keys{
	URL: "aerial.url", AccountID: "aerial.accountID", Concurrency: "aerial.concurrency",
	Auth: "aerial.auth", OrgURL: "aerial.auth.orgURL",
}

// statusOf returns the HTTP status of the API's error in err, or 0.
func statusOf(err error) int {
	var e *rest.Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

// serve runs the handler as a real HTTP server on a network in memory, and
// gives the transport that reaches it. In a synctest bubble both run on the
// bubble's clock, so that tests of time and of protocol are the same tests.
func serve(t testing.TB, h http.Handler) *http.Transport {
	t.Helper()
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	var done sync.WaitGroup // also of handlers whose client has gone
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			done.Add(1)
			defer done.Done()
			h.ServeHTTP(w, r)
		}),
		ErrorLog: log.New(io.Discard, "", 0),
	}
	done.Go(func() { _ = srv.Serve(l) })
	tr := BaseTransport(MaxConcurrency)
	tr.Proxy = nil
	tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return l.dial(ctx) }
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		_ = srv.Close()
		done.Wait()
	})
	return tr
}

// A proxy is told which program connects, and for which run.
func TestProxySeesUserAgent(t *testing.T) {
	agents := make(chan string, 1)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		agents <- r.Method + " " + r.UserAgent()
		w.WriteHeader(http.StatusForbidden)
	}))
	defer proxy.Close()
	tr := BaseTransport(MaxConcurrency)
	defer tr.CloseIdleConnections()
	tr.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: proxy.Listener.Addr().String()})
	req, err := http.NewRequestWithContext(web.WithRun(t.Context(), "run-1"), http.MethodGet, "https://a.example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tr.RoundTrip(req); err == nil {
		t.Error("connected")
	}
	if got, want := <-agents, "CONNECT reconciler/devel (run run-1)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

type pipeListener struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *pipeListener) dial(ctx context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "dial", Net: "pipe", Err: errors.New("connection refused")}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// newClient gives a client of the handler; change may be nil.
func newClient(t testing.TB, h http.Handler, change func(*Options)) *Client {
	t.Helper()
	opts := Options{
		URL:       &url.URL{Scheme: "http", Host: "aerial.test"},
		AccountID: testAccount,
		Keys:      testKeys,
		Transport: serve(t, h),
	}
	if change != nil {
		change(&opts)
	}
	c, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// inProcess answers requests without any connection, for where HTTP itself
// would only take time.
type inProcess struct{ h http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	p.h.ServeHTTP(w, r)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

func mustURL(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return u
}

// script answers one call after the other, each by its own handler, and the
// rest by the last.
type script struct {
	mu    sync.Mutex
	steps []http.HandlerFunc
	calls []string // METHOD PATH?QUERY BODY
	times []time.Time
}

func play(steps ...http.HandlerFunc) *script { return &script{steps: steps} }

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	step := s.steps[min(len(s.calls), len(s.steps)-1)]
	s.calls = append(s.calls, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
	s.times = append(s.times, time.Now())
	s.mu.Unlock()
	step(w, r)
}

func (s *script) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

// reply answers with a status and a JSON body; headers come in pairs.
func reply(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i < len(headers); i += 2 {
			w.Header().Add(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// cutBody announces more than it sends and breaks the connection off.
func cutBody(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, body)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// hangUp breaks the connection off without an answer.
func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// hang answers nothing until the client has gone.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

const (
	accountBody   = `{"id":"` + testAccount + `","name":"Acme"}`
	forbiddenBody = `{"errorCode":"E0000006","errorSummary":"You do not have permission to perform the requested action","errorLink":"E0000006","errorId":"oaeF","errorCauses":[]}`
	internalBody  = `{"errorCode":"E0000009","errorSummary":"Internal Server Error","errorLink":"E0000009","errorId":"oaeI","errorCauses":[]}`
	limitBody     = `{"errorCode":"E0000047","errorSummary":"API call exceeded rate limit due to too many requests.","errorLink":"E0000047","errorId":"oaeL","errorCauses":[]}`
)
