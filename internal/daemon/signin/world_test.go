package signin

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"reconciler/internal/config"
	"reconciler/internal/daemon/signin/oidctest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a daemon's gate that is served over HTTP, before endpoints that say who asks.
type world struct {
	t    *testing.T
	log  *logBuffer
	op   *oidctest.Provider
	http *config.HTTP
	gate *Gate
	srv  *httptest.Server
	dir  string
	// viewer and operator are tokens.
	viewer, operator string
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newWorld makes a world whose config is this text under http, in which ISSUER, TOKENS
// and SECRET stand for what is there.
func newWorld(t *testing.T, text string) *world {
	t.Helper()
	w := &world{t: t, log: &logBuffer{}, dir: t.TempDir()}
	w.op = oidctest.New(oidctest.User{Subject: "00u1", Email: "ada@acme.example", Groups: []string{"everyone", "ops"}})
	t.Cleanup(w.op.Close)
	var lines []string
	for _, role := range []Role{Viewer, Operator} {
		token, entry, err := NewToken("ci-"+string(role), role)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, entry.String())
		if role == Viewer {
			w.viewer = token
		} else {
			w.operator = token
		}
	}
	w.write("tokens.yaml", strings.Join(lines, "\n")+"\n")
	w.write("secret", w.op.Secret+"\n")
	w.load(text)
	w.serve(NewMemory())
	return w
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) write(name, data string) {
	w.t.Helper()
	if err := os.WriteFile(w.path(name), []byte(data), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) load(text string) {
	w.t.Helper()
	text = strings.NewReplacer("ISSUER", w.op.Issuer, "TOKENS", w.path("tokens.yaml"), "SECRET", w.path("secret")).Replace(text)
	w.write("reconciler.yaml", "http: {"+text+"}\n")
	cfg, warnings, err := config.Load(w.path("reconciler.yaml"), nil)
	if err != nil || len(warnings) > 0 {
		w.t.Fatal(err, warnings)
	}
	w.http = &cfg.HTTP
}

// serve serves a gate of the config, which a restart has with another memory.
func (w *world) serve(m *Memory) {
	w.t.Helper()
	var err error
	w.gate, err = New(Options{HTTP: w.http, Memory: m, Log: slog.New(slog.NewTextHandler(w.log, nil))})
	if err != nil {
		w.t.Fatal(err)
	}
	if w.srv == nil {
		w.srv = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			w.gate.CheckHost(w.gate.Wrap(endpoints())).ServeHTTP(rw, r)
		}))
		w.t.Cleanup(w.srv.Close)
	}
}

// endpoints say who asks, with the CSRF token.
func endpoints() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		user := UserOf(r.Context())
		who := "nobody"
		if user != nil {
			who = string(user.Role) + " " + user.By()
		}
		_, _ = io.WriteString(w, r.Method+" "+r.URL.Path+" by "+who+"; csrf="+CSRF(r.Context())+";")
	})
	return mux
}

// browser keeps cookies and doesn't follow redirects by itself.
type browser struct {
	w *world
	c *http.Client
}

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	c := &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &browser{w, c}
}

// page is what a browser got.
type page struct {
	code   int
	body   string
	header http.Header
}

func (b *browser) do(method, target, body string, header ...string) page {
	b.w.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = b.w.srv.URL + target
	}
	req, err := http.NewRequestWithContext(b.w.t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		b.w.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	if body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		} else if req.Header.Set(header[i], header[i+1]); header[i+1] == "" {
			req.Header.Del(header[i])
		}
	}
	resp, err := b.c.Do(req)
	if err != nil {
		b.w.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		b.w.t.Fatal(err)
	}
	return page{resp.StatusCode, string(data), resp.Header}
}

func (b *browser) get(target string, header ...string) page {
	b.w.t.Helper()
	return b.do(http.MethodGet, target, "", header...)
}

// follow asks for a page, and goes where it leads, until it leads nowhere or to what stop
// is part of.
func (b *browser) follow(target, stop string) (last string, p page) {
	b.w.t.Helper()
	for range 10 {
		p = b.get(target)
		next := p.header.Get("Location")
		if next == "" {
			return target, p
		}
		base, err := url.Parse(b.w.srv.URL)
		if err != nil {
			b.w.t.Fatal(err)
		}
		if strings.HasPrefix(target, "http") {
			if base, err = url.Parse(target); err != nil {
				b.w.t.Fatal(err)
			}
		}
		u, err := base.Parse(next)
		if err != nil {
			b.w.t.Fatal(err)
		}
		target = u.String()
		if stop != "" && strings.Contains(target, stop) {
			return target, p
		}
	}
	b.w.t.Fatal("led in circles")
	return "", page{}
}

// signIn signs in at the provider and returns the page that one ends at.
func (b *browser) signIn(back string) page {
	b.w.t.Helper()
	_, p := b.follow("/signin/start?return="+url.QueryEscape(back), "")
	return p
}

var csrfValue = regexp.MustCompile(`csrf=([^;]*);`)

func (p page) csrf() string {
	m := csrfValue.FindStringSubmatch(p.body)
	if m == nil {
		return ""
	}
	return m[1]
}

func (p page) expect(t *testing.T, code int, says string) {
	t.Helper()
	if p.code != code || !strings.Contains(p.body, says) {
		t.Errorf("%d %s, want %d with %q", p.code, p.body, code, says)
	}
}

// noSecrets fails if the log has what must be nowhere.
func (w *world) noSecrets() {
	w.t.Helper()
	for _, s := range append(w.op.Secrets(), w.viewer, w.operator) {
		if strings.Contains(w.log.String(), s) {
			w.t.Errorf("the log has the secret %.8s…:\n%s", s, w.log)
		}
	}
}
