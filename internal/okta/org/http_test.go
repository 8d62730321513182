package org

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"reconciler/internal/okta/objects"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var testKeys = Keys{
	URL: "orgs.url", Auth: "orgs.auth", ClientID: "access.clientID", KeyID: "orgs.auth.keyID", DPoP: "orgs.auth.dpop",
	CallsPerOrg: "orgs.callsPerOrg", Share: "orgs.share",
}

var acme = objects.Target{Domain: "acme.okta.com", OrgID: "00o1"}

// serve runs the handler as a real HTTP server on a network in memory, and returns the
// transport that reaches it, whatever host is asked for. In a synctest bubble both run
// on the bubble's clock.
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
	tr := &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return l.dial(ctx) },
		MaxIdleConnsPerHost: 16,
	}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		_ = srv.Close()
		done.Wait()
	})
	return tr
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

// api is the API of one org that answers each path by its own handlers, one after the
// other and the rest by the last. Who it is, it says itself; what it has no answer for
// is a mistake of the test or the client.
type api struct {
	t  testing.TB
	id string

	mu    sync.Mutex
	steps map[string][]http.HandlerFunc // by METHOD PATH
	calls []string                      // METHOD PATH?QUERY BODY
	times []time.Time
	auth  []string
}

func newAPI(t testing.TB) *api {
	return &api{t: t, id: acme.OrgID, steps: map[string][]http.HandlerFunc{}}
}

// on sets the answers of a path.
func (a *api) on(call string, steps ...http.HandlerFunc) *api {
	a.steps[call] = steps
	return a
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	call := r.Method + " " + r.URL.Path
	a.mu.Lock()
	a.calls = append(a.calls, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
	a.times = append(a.times, time.Now())
	a.auth = append(a.auth, r.Header.Get("Authorization"))
	steps := a.steps[call]
	if len(steps) > 1 {
		a.steps[call] = steps[1:]
	}
	a.mu.Unlock()
	switch {
	case len(steps) > 0:
		steps[0](w, r)
	case call == "GET /.well-known/okta-organization":
		reply(200, fmt.Sprintf(`{"id":%q,"pipeline":"idx"}`, a.id))(w, r)
	default:
		a.t.Errorf("no answer for %s", call)
		reply(500, "")(w, r)
	}
}

// sent returns the calls, without that for who the org is.
func (a *api) sent() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var calls []string
	for _, c := range a.calls {
		if !strings.Contains(c, "well-known") {
			calls = append(calls, c)
		}
	}
	return calls
}

// newClient returns a client of the handler that comes in by an API token; change may
// be nil.
func newClient(t testing.TB, h http.Handler, change func(*Options)) *Client {
	t.Helper()
	opts := Options{
		URL: "http://{domain}", Keys: testKeys, Transport: serve(t, h),
		Credentials: func(objects.Target) (Credentials, error) {
			return Credentials{Token: func() (string, error) { return "00token", nil }}, nil
		},
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

// reply answers with a status and a JSON body; headers come in pairs.
func reply(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// cut answers less than it announces, and breaks the connection off.
func cut(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	_, _ = io.WriteString(w, `[{"id":"1"`)
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// hangUp breaks the connection off without an answer.
func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// refusal returns Okta's body of an error.
func refusal(code, summary string) string {
	return fmt.Sprintf(`{"errorCode":%q,"errorSummary":%q,"errorId":"oae%s","errorCauses":[]}`, code, summary, code)
}

const edge = `{"status":404,"message":"Resource not found"}`

// zones returns n zones as JSON, the first of which has number from.
func zones(from, n int) string {
	all := []map[string]any{}
	for i := range n {
		all = append(all, zone(fmt.Sprintf("nzo%d", from+i), fmt.Sprintf("Zone %d", from+i)))
	}
	return asJSON(all)
}

func zone(id, name string) map[string]any {
	return map[string]any{"id": id, "name": name, "type": "IP", "status": "ACTIVE", "system": false, "usage": "POLICY",
		"gateways": []any{map[string]any{"type": "CIDR", "value": "192.0.2.0/24"}}}
}

func asJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// reads are what to read of some kinds.
func reads(names ...string) objects.Reads {
	r := objects.Reads{Types: map[*objects.Kind][]string{}, Parents: map[objects.Ref]bool{}}
	for _, k := range objects.Kinds() {
		for _, name := range names {
			kind, typ, _ := strings.Cut(name, ":")
			if k.Name != kind {
				continue
			}
			if len(r.Kinds) == 0 || r.Kinds[len(r.Kinds)-1] != k {
				r.Kinds = append(r.Kinds, k)
			}
			if typ != "" {
				r.Types[k] = append(r.Types[k], typ)
			}
		}
	}
	return r
}

// message returns the text of an error; empty for nil.
func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
