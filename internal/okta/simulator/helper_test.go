package simulator_test

import (
	"cmp"
	"crypto"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"go.uber.org/goleak"

	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a clock that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// fixture is a simulator on loopback with a clock of its own.
type fixture struct {
	*simulatortest.Server
	t     testing.TB
	clock *clock
	alg   jose.SignatureAlgorithm // of the client's key
}

func start(t testing.TB, c simulatortest.Config) *fixture {
	t.Helper()
	clock := newClock()
	c.Options.Now = clock.Now
	return &fixture{simulatortest.Start(t, c), t, clock, cmp.Or(c.Alg, jose.ES256)}
}

// result is an answer, read to its end.
type result struct {
	status int
	header http.Header
	body   string
	err    error // of the connection
}

// decode reads the body as JSON.
func (r result) decode(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.body), v); err != nil {
		t.Fatalf("body %q: %v", r.body, err)
	}
}

type oktaError struct {
	Code    string `json:"errorCode"`
	Summary string `json:"errorSummary"`
	Link    string `json:"errorLink"`
	ID      string `json:"errorId"`
	Causes  []struct {
		Summary string `json:"errorSummary"`
	} `json:"errorCauses"`
}

// send makes a request; header pairs override what it would have otherwise. A
// path may be a whole URL.
func (f *fixture) send(method, path, body string, header ...string) result {
	f.t.Helper()
	target := path
	if strings.HasPrefix(path, "/") {
		target = f.URL + path
	}
	req, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header[http.CanonicalHeaderKey(header[i])] = nil
		if header[i+1] != "" {
			req.Header.Set(header[i], header[i+1])
		}
	}
	client := *f.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		return result{err: err}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return result{resp.StatusCode, resp.Header, string(text), err}
}

// aerial makes a call of the Aerial API with a token.
func (f *fixture) aerial(token, method, path, body string, header ...string) result {
	f.t.Helper()
	return f.send(method, "/"+f.AccountID+path, body, append([]string{"Authorization", "Bearer " + token}, header...)...)
}

// signed is a JWT with any claims and header.
func signed(t testing.TB, key crypto.Signer, alg jose.SignatureAlgorithm, header, claims map[string]any) string {
	t.Helper()
	opts := &jose.SignerOptions{}
	for name, value := range header {
		opts.WithHeader(jose.HeaderKey(name), value)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, opts)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// claims of a good assertion, valid for five minutes.
func (f *fixture) claims() map[string]any {
	now := f.clock.Now()
	return map[string]any{
		"aud": f.URL + "/oauth2/v1/token",
		"iss": f.Credentials.ClientID, "sub": f.Credentials.ClientID,
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "jti": rand.Text(),
	}
}

// form of a good token request.
func (f *fixture) form(scope string) url.Values {
	f.t.Helper()
	return url.Values{
		"grant_type":            {"client_credentials"},
		"scope":                 {scope},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {signed(f.t, f.Credentials.Key, f.alg, map[string]any{"kid": f.Credentials.KeyID}, f.claims())},
	}
}

func (f *fixture) post(form url.Values, header ...string) result {
	f.t.Helper()
	return f.send("POST", "/oauth2/v1/token", form.Encode(),
		append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)...)
}

// token gets one, or ends the test.
func (f *fixture) token(scope string) string {
	f.t.Helper()
	r := f.post(f.form(scope))
	var answer struct {
		Token string `json:"access_token"`
	}
	if r.status != 200 {
		f.t.Fatalf("token request: %d %s", r.status, r.body)
	}
	r.decode(f.t, &answer)
	return answer.Token
}

const (
	scopeRead   = "okta.accounts.read"
	scopeManage = "okta.accounts.manage"
	scopeLogs   = "okta.logs.read"
)

// wantError checks status, code and that some cause or the summary says it.
func wantError(t testing.TB, r result, status int, code, says string) {
	t.Helper()
	if r.err != nil {
		t.Fatal(r.err)
	}
	var e oktaError
	r.decode(t, &e)
	text := e.Summary
	for _, c := range e.Causes {
		text += "\n" + c.Summary
	}
	if r.status != status || e.Code != code || !strings.Contains(text, says) {
		t.Errorf("want %d %s %q, got %d %s", status, code, says, r.status, r.body)
	}
	if !strings.HasPrefix(e.ID, "oae") || e.Link != e.Code {
		t.Errorf("want errorId oae… and errorLink, got %s", r.body)
	}
}

func wantStatus(t testing.TB, r result, status int) {
	t.Helper()
	if r.err != nil || r.status != status {
		t.Fatalf("want %d, got %d %s (%v)", status, r.status, r.body, r.err)
	}
}

// orgID returns the id of an org of the fleet.
func (f *fixture) orgID(domain string) string {
	f.t.Helper()
	o, ok := f.Org(domain)
	if !ok {
		f.t.Fatalf("there is no org %s", domain)
	}
	return o.ID
}

var _ http.Handler = (*simulator.Simulator)(nil)
