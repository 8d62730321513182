package parent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"reconciler/internal/okta/rest"
	"reconciler/internal/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testAccount = "0200bs0617vvhv2v675mch1cukp"
	testToken   = "00CanaryCanaryCanaryCanaryCanaryCanaryCana"
	testAnswer  = `{"id":"00oNew","subdomain":"acme-new","name":"Acme New","status":"ACTIVE",` +
		`"settings":{"list":[1,{"token":"x"}],"id":"not this"},"token":"` + testToken + `","tokenType":"SSWS",` +
		`"_links":{"organization":{"href":"https://Acme-New.okta.com"}}}`
)

var testOrg = state.Create{
	Parent: "acme", Name: "Acme New", Website: "https://acme.example",
	Admin: state.Admin{FirstName: "Ada", LastName: "Admin", Email: "okta@acme.example", Login: "ada@acme.example"},
}

// serve runs the handler as a real HTTP server on a network in memory, so that
// in a synctest bubble it runs on the bubble's clock.
func serve(t *testing.T, h http.HandlerFunc) *http.Transport {
	t.Helper()
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	var done sync.WaitGroup
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			done.Add(1)
			defer done.Done()
			h(w, r)
		}),
		ErrorLog: log.New(io.Discard, "", 0),
	}
	done.Go(func() { _ = srv.Serve(l) })
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return l.dial(ctx) }}
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
		return nil, net.ErrClosed
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

// plain puts a fixed token on each request.
func plain(rt http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "SSWS 00parent")
		return rt.RoundTrip(r)
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func newClient(t *testing.T, rt http.RoundTripper, change func(*Options)) *Client {
	t.Helper()
	keys := Keys{URL: "`url` of the parent", Auth: "`auth` of the parent", OrgURL: "`auth.orgURL` of the parent", AccountID: "aerial.accountID"}
	opts := Options{Name: "acme", URL: &url.URL{Scheme: "http", Host: "acme.test"}, Keys: keys, Transport: rt, Auth: plain}
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
		io.WriteString(w, body)
	}
}

// script answers one call after the other, each by its own handler, and the
// rest by the last.
type script struct {
	mu    sync.Mutex
	steps []http.HandlerFunc
	calls []string
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	step := s.steps[min(len(s.calls), len(s.steps)-1)]
	s.calls = append(s.calls, fmt.Sprintf("%s %s %s %s", r.Method, r.URL.Path, r.Header.Get("Authorization"), body))
	s.mu.Unlock()
	step(w, r)
}

func (s *script) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

func cut(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }

func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

const taken = `{"errorCode":"E0000001","errorSummary":"Api validation failed: subdomain","errorId":"oae1","errorCauses":[{"errorSummary":"subdomain: An object with this field already exists in the current organization"}]}`

func fail(code string) string {
	return `{"errorCode":"` + code + `","errorSummary":"words","errorId":"oae1"}`
}

func TestCreateOrg(t *testing.T) {
	s := &script{steps: []http.HandlerFunc{reply(201, testAnswer)}}
	made, err := newClient(t, serve(t, s.ServeHTTP), nil).CreateOrg(t.Context(), "acme-new", testOrg, yes)
	if err != nil {
		t.Fatal(err)
	}
	if made.OrgID != "00oNew" || made.Subdomain != "acme-new" || made.Domain != "acme-new.okta.com" || made.Token.Secret() != testToken || made.Flaw != "" {
		t.Errorf("got %+v, token %q", made, made.Token.Secret())
	}
	sent := `POST /api/v1/orgs SSWS 00parent {"subdomain":"acme-new","name":"Acme New","website":"https://acme.example","edition":"SKU",` +
		`"admin":{"profile":{"firstName":"Ada","lastName":"Admin","email":"okta@acme.example","login":"ada@acme.example"}}}`
	if d := cmp.Diff([]string{sent}, s.seen()); d != "" {
		t.Error(d)
	}
}

// What each answer means: made, none, or nobody knows; and how often it is
// asked.
func TestWhatAnswersMean(t *testing.T) {
	const (
		made  = "made"
		none  = "none"
		maybe = "maybe"
	)
	tests := []struct {
		name    string
		steps   []http.HandlerFunc
		outcome string
		calls   int
		says    string
		took    time.Duration // at least
	}{
		{"created", []http.HandlerFunc{reply(201, testAnswer)}, made, 1, "", 0},
		{"200", []http.HandlerFunc{reply(200, testAnswer)}, made, 1, "", 0},
		{"no token", []http.HandlerFunc{reply(201, `{"id":"00oNew"}`)}, made, 1, "the answer holds no token", 0},
		{"a token that is a number", []http.HandlerFunc{reply(201, `{"id":"00oNew","token":7}`)}, made, 1, "the answer holds no token", 0},
		{"a token and nothing else", []http.HandlerFunc{reply(201, `{"token":"x"}`)}, made, 1, "", 0},
		{"garbage after the token", []http.HandlerFunc{reply(201, `{"token":"x",<`)}, made, 1, "not whole", 0},
		{"empty", []http.HandlerFunc{reply(201, "")}, maybe, 1, "201 with an unreadable body", 0},
		{"a page", []http.HandlerFunc{reply(200, "<html>sign in</html>")}, maybe, 1, "200 with an unreadable body", 0},
		{"an array", []http.HandlerFunc{reply(201, "[]")}, maybe, 1, "not the JSON of an org", 0},
		{"nothing of use", []http.HandlerFunc{reply(201, "{}")}, maybe, 1, "neither id nor token", 0},
		{"endless", []http.HandlerFunc{reply(201, `{"x":"`+strings.Repeat("y", 2*maxBody))}, maybe, 1, "longer than", 0},
		{"deep", []http.HandlerFunc{reply(201, strings.Repeat(`{"a":`, 1e5))}, maybe, 1, "not the JSON", 0},
		{"taken", []http.HandlerFunc{reply(400, taken)}, none, 1, "already exists", 0},
		{"refused", []http.HandlerFunc{reply(403, fail("E0000006"))}, none, 1, "403 E0000006 words (errorId oae1)", 0},
		{"unauthorized", []http.HandlerFunc{reply(401, fail("E0000011"))}, none, 1, "401", 0},
		{"408", []http.HandlerFunc{reply(408, "")}, maybe, 1, "408 Request Timeout", 0},
		{"redirect", []http.HandlerFunc{reply(307, "", "Location", "http://evil.test/")}, maybe, 1, "307", 0},
		{"500", []http.HandlerFunc{reply(500, fail("E0000009"))}, maybe, 1, "500 E0000009", 0},
		{"503", []http.HandlerFunc{reply(503, "", "Retry-After", "1")}, maybe, 1, "503", 0},
		{"cut", []http.HandlerFunc{cut}, maybe, 1, "EOF", 0},
		{"hung", []http.HandlerFunc{hang}, maybe, 1, "no complete answer within 45s", Timeout},
		{"hung in the body", []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, testAnswer[:60])
			http.NewResponseController(w).Flush()
			hang(w, r)
		}}, made, 1, "no complete answer within 45s", Timeout},
		{"429 once", []http.HandlerFunc{reply(429, fail("E0000047"), "Retry-After", "7"), reply(201, testAnswer)}, made, 2, "", 7 * time.Second},
		{"429 then taken", []http.HandlerFunc{reply(429, ""), reply(400, taken)}, none, 2, "already exists", time.Second},
		{"429 then 500", []http.HandlerFunc{reply(429, ""), reply(500, "")}, maybe, 2, "500", 0},
		{"429 that asks for a day", []http.HandlerFunc{reply(429, "", "Retry-After", "86400"), reply(201, testAnswer)}, none, 1, "not to be sent again for at least a day", 0},
		{"429 for ever", []http.HandlerFunc{reply(429, fail("E0000047"))}, none, 13, "gave up after 5m0s", 4 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{steps: tt.steps}
				start := time.Now()
				org, err := newClient(t, serve(t, s.ServeHTTP), nil).CreateOrg(t.Context(), "acme-new", testOrg, yes)
				var open *rest.UncertainError
				outcome, words := made, org.Flaw
				switch {
				case errors.As(err, &open):
					outcome, words = maybe, err.Error()
				case err != nil:
					outcome, words = none, err.Error()
				}
				calls := len(s.seen())
				if outcome != tt.outcome || calls != tt.calls && tt.calls < 10 || !strings.Contains(words, tt.says) || tt.says == "" && words != "" {
					t.Errorf("%s after %d calls: %q", outcome, calls, words)
				}
				if took := time.Since(start); took < tt.took || took > tt.took+2*time.Minute {
					t.Errorf("took %v", took)
				}
				if Taken(err) != strings.Contains(tt.says, "already exists") {
					t.Errorf("taken: %v", Taken(err))
				}
				if err != nil && (strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), `creating the org "acme-new" through the parent "acme": `)) {
					t.Errorf("reads %q", err)
				}
			})
		})
	}
}

// An answer that is cut off is read as far as it goes: with the last character
// of the token it is as good as whole.
func TestAnswerCutAnywhere(t *testing.T) {
	end := strings.Index(testAnswer, testToken) + len(testToken) + 1
	idEnd := strings.Index(testAnswer, "00oNew") + len("00oNew") + 1
	for n := range len(testAnswer) {
		made, err := readCreated(&rest.Answer{Status: 201, Body: []byte(testAnswer[:n]), Cut: io.ErrUnexpectedEOF})
		switch {
		case n < idEnd:
			if err == nil {
				t.Errorf("%d: got %+v, %v", n, made, err)
			}
		case err != nil || made.OrgID != "00oNew" || made.Flaw == "" || (made.Token.Secret() == testToken) != (n >= end) || made.Token.IsZero() != (n < end):
			t.Errorf("%d: got %+v, %v", n, made, err)
		}
	}
}

// The domain is the administrator's link; that of the organization counts only
// if it is the new org's.
func TestCreatedDomain(t *testing.T) {
	for links, want := range map[string]string{
		`"administrator":{"href":"https://Acme-New.okta.com"},"organization":{"href":"https://acme.okta.com/api/v1/orgs/acme-new"}`: "acme-new.okta.com",
		`"organization":{"href":"https://acme.okta.com/api/v1/orgs/acme-new"},"administrator":{"href":"https://acme-new.okta.com"}`: "acme-new.okta.com",
		`"organization":{"href":"https://acme.okta.com/api/v1/orgs/acme-new"}`:                                                      "",
		`"organization":{"href":"https://acme-new.okta.com"}`:                                                                       "acme-new.okta.com",
		`"administrator":{"href":":"}`: "",
	} {
		body := `{"id":"00oNew","subdomain":"acme-new","token":"x","_links":{` + links + `}}`
		made, err := readCreated(&rest.Answer{Status: 201, Body: []byte(body)})
		if err != nil || made.Domain != want {
			t.Errorf("%s: got domain %q, %v; want %q", links, made.Domain, err, want)
		}
	}
}

func FuzzReadCreated(f *testing.F) {
	f.Add([]byte(testAnswer))
	f.Add([]byte(`{"id":"a","id":"b","token":"\ud800","_links":{"organization":{"href":":"}}}`))
	f.Add([]byte(`{"token":{"token":"x"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		made, err := readCreated(&rest.Answer{Status: 201, Body: body})
		if (err == nil) != (made.OrgID != "" || !made.Token.IsZero()) {
			t.Errorf("%+v, %v", made, err)
		}
		if strings.ContainsAny(made.Flaw, "\n\x1b") || err != nil && strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("more than a line: %q, %q", made.Flaw, err)
		}
	})
}

// Whoever stops waiting: a creation that was sent is waited for.
func TestCreationIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		made, err := newClient(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			cancel()
			time.Sleep(20 * time.Second)
			reply(201, testAnswer)(w, r)
		}), nil).CreateOrg(ctx, "acme-new", testOrg, yes)
		if err != nil || made.Token.Secret() != testToken {
			t.Errorf("got %+v, %v", made, err)
		}
	})
}

func TestStopBeforeAndBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []http.HandlerFunc{reply(429, "", "Retry-After", "60")}}
		c := newClient(t, serve(t, s.ServeHTTP), nil)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Second, cancel)
		start := time.Now()
		_, err := c.CreateOrg(ctx, "acme-new", testOrg, yes)
		var open *rest.UncertainError
		if !errors.Is(err, context.Canceled) || errors.As(err, &open) || time.Since(start) != 10*time.Second || !strings.Contains(err.Error(), "429") {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		_, err = c.CreateOrg(ctx, "acme-new", testOrg, yes)
		if !errors.Is(err, context.Canceled) || len(s.seen()) != 1 {
			t.Errorf("calls %q: %v", s.seen(), err)
		}
	})
}

// What fails before anything is sent leaves nothing open.
func TestUnsent(t *testing.T) {
	broken := errors.New("reading the token file: no such file")
	noToken := func(rt http.RoundTripper) http.RoundTripper {
		return roundTrip(func(*http.Request) (*http.Response, error) { return nil, broken })
	}
	slowToken := func(rt http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
	}
	refuse := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	}}
	for _, tt := range []struct {
		name, says, hint string
		rt               http.RoundTripper
		auth             func(http.RoundTripper) http.RoundTripper
	}{
		{"no credentials", "no such file", "", refuse, noToken},
		{"late credentials", "no access token within 45s", "", refuse, slowToken},
		{"no way there", "connection refused", "DNS", refuse, plain},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, err := newClient(t, tt.rt, func(o *Options) { o.Auth = tt.auth }).CreateOrg(t.Context(), "acme-new", testOrg, yes)
				var open *rest.UncertainError
				if err == nil || errors.As(err, &open) || !strings.Contains(err.Error(), tt.says) || !strings.Contains(hintOf(err), tt.hint) {
					t.Errorf("got %v, hint %q", err, hintOf(err))
				}
			})
		})
	}
}

func hintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

func TestTaken(t *testing.T) {
	refusal := func(status int, code string, causes ...string) error {
		return fmt.Errorf("x: %w", &rest.Error{Status: status, Code: code, Summary: "Api validation failed: subdomain", Causes: causes})
	}
	for _, tt := range []struct {
		err   error
		taken bool
	}{
		{refusal(400, "E0000001", "subdomain: An object with this field already exists in the current organization"), true},
		{refusal(400, "E0000088"), true},
		{refusal(400, "E0000171"), true},
		{refusal(409, "E0000088"), false},
		{refusal(400, "E0000170"), false},
		{refusal(400, "E0000172"), false},
		{refusal(400, "E0000001", "name: too long", "Subdomain already in use."), true},
		{refusal(400, "E0000001", "subdomain: must be unique"), true},
		{refusal(400, "E0000001", "subdomain: The field must have 1 to 57 characters"), false},
		{refusal(400, "E0000001", "login: already exists"), false},
		{refusal(400, "E0000001"), false},
		{refusal(409, "E0000001", "subdomain: already exists"), false},
		{refusal(400, "E0000003", "subdomain: already exists"), false},
		{&rest.UncertainError{Err: io.EOF}, false},
		{nil, false},
	} {
		if Taken(tt.err) != tt.taken {
			t.Errorf("%v: want %v", tt.err, tt.taken)
		}
	}
}

func TestCheckConsent(t *testing.T) {
	granted := reply(200, `{"accountId":"`+testAccount+`","grantedBy":"00u1"}`)
	tests := []struct {
		name  string
		steps []http.HandlerFunc
		calls int
		says  string // empty: consent
		hint  string
	}{
		{"granted", []http.HandlerFunc{granted}, 1, "", ""},
		{"granted, account not told", []http.HandlerFunc{reply(200, `{}`)}, 1, "", ""},
		{"none", []http.HandlerFunc{reply(404, fail("E0000007"))}, 1, "the parent has not granted its consent to the Aerial account", "Admin Console, Settings, Account"},
		{"to another account", []http.HandlerFunc{reply(200, `{"accountId":"0200other"}`)}, 1, `"` + testAccount + `", but to the account "0200other"`, "revoke"},
		{"no such API", []http.HandlerFunc{reply(404, "<html>")}, 1, "404 Not Found", "check `url`"},
		{"no right", []http.HandlerFunc{reply(403, fail("E0000006"))}, 1, "403 E0000006", "super admin"},
		{"not JSON", []http.HandlerFunc{reply(200, "<html>")}, 1, "not the JSON of a consent", ""},
		{"500 once", []http.HandlerFunc{reply(500, ""), granted}, 2, "", ""},
		{"cut once", []http.HandlerFunc{cut, granted}, 2, "", ""},
		{"429 once", []http.HandlerFunc{reply(429, "", "Retry-After", "60"), granted}, 2, "", ""},
		{"500 for ever", []http.HandlerFunc{reply(500, fail("E0000009"))}, maxAttempts, "(tried 4 times)", "status.okta.com"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{steps: tt.steps}
				err := newClient(t, serve(t, s.ServeHTTP), nil).CheckConsent(t.Context(), testAccount)
				if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) || !strings.Contains(hintOf(err), tt.hint) {
					t.Errorf("got %v, hint %q", err, hintOf(err))
				}
				// net/http itself sends a read again whose kept-alive connection broke.
				if calls := s.seen(); len(calls) < tt.calls || len(calls) > tt.calls+1 || calls[0] != "GET /api/v1/org/privacy/aerial SSWS 00parent " {
					t.Errorf("calls %q", calls)
				}
			})
		})
	}
}

func TestNewRefuses(t *testing.T) {
	good := Options{Name: "acme", URL: &url.URL{Scheme: "https", Host: "acme.okta.com"}, Transport: http.DefaultTransport, Auth: plain}
	for _, change := range []func(*Options){
		func(o *Options) { o.URL = nil },
		func(o *Options) { o.URL = &url.URL{Path: "/x"} },
		func(o *Options) { o.URL = &url.URL{Scheme: "ftp", Host: "x"} },
		func(o *Options) { o.URL = &url.URL{Scheme: "https", Host: "x", User: url.User("u")} },
		func(o *Options) { o.URL = &url.URL{Scheme: "https", Host: "x", RawQuery: "a"} },
		func(o *Options) { o.Transport = nil },
		func(o *Options) { o.Auth = nil },
	} {
		o := good
		change(&o)
		if c, err := New(o); err == nil {
			t.Errorf("took %+v: %+v", o, c)
		}
	}
	if _, err := New(good); err != nil {
		t.Error(err)
	}
}

// yes lets a creation be sent.
func yes(context.Context) error { return nil }
