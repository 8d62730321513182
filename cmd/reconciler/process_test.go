package main

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"reconciler/internal/okta/simulator"
)

// rig is a simulator, a config for it, and all secrets that ever crossed the
// wire.
type rig struct {
	sim    *simulator.Simulator
	dir    string
	config string

	mu      sync.Mutex
	secrets map[string]bool
}

func newRig(t *testing.T, orgs int, dpop bool) *rig {
	t.Helper()
	return newRigOf(t, simulator.DefaultSeed(orgs), dpop)
}

// newRigOf is newRig with an account of its own.
func newRigOf(t *testing.T, seed *simulator.Seed, dpop bool) *rig {
	t.Helper()
	access, err := simulator.Grant(seed, jose.RS256, dpop, "okta.accounts.read", "okta.accounts.manage")
	if err != nil {
		t.Fatal(err)
	}
	return newRigWith(t, seed, access)
}

// newRigWith is newRigOf with access to the account.
func newRigWith(t *testing.T, seed *simulator.Seed, access *simulator.Access) *rig {
	t.Helper()
	r := &rig{dir: t.TempDir(), secrets: map[string]bool{}}
	var err error
	if r.sim, err = simulator.New(seed, simulator.Options{Settle: -1}); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(r.tap(r.sim))
	t.Cleanup(srv.Close)
	access.URL, access.Settle = srv.URL, -1 // nothing waits after a creation
	if r.config, err = simulator.WriteConfig(r.dir, seed, *access); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"aerial.pem", "parent.token"} {
		text, err := os.ReadFile(filepath.Join(r.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "---") {
				r.secret(line)
			}
		}
	}
	return r
}

func (r *rig) secret(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(s) > 12 {
		r.secrets[s] = true
	}
}

// known returns all secrets seen so far.
func (r *rig) known() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.secrets))
}

// tap notes what goes by: access tokens, assertions and proofs.
func (r *rig) tap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if _, token, ok := strings.Cut(req.Header.Get("Authorization"), " "); ok {
			r.secret(token)
		}
		r.secret(req.Header.Get("DPoP"))
		if strings.HasSuffix(req.URL.Path, "/token") {
			body, _ := io.ReadAll(req.Body)
			req.Body = io.NopCloser(bytes.NewReader(body))
			form, _ := url.ParseQuery(string(body))
			r.secret(form.Get("client_assertion"))
		}
		next.ServeHTTP(w, req)
	})
}

// buffer collects output from several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// TestNoSecretInAnyOutput does everything the program can do, well and badly,
// with the most talkative logs, and looks for each secret in all it printed
// and in all files it wrote.
func TestNoSecretInAnyOutput(t *testing.T) {
	t.Run("bearer", func(t *testing.T) { testNoSecret(t, false) })
	t.Run("dpop", func(t *testing.T) { testNoSecret(t, true) })
}

func testNoSecret(t *testing.T, dpop bool) {
	t.Parallel()
	r := newRig(t, 8, dpop)
	var out buffer
	do := func(args ...string) {
		std := stdio{strings.NewReader(""), &out, &out}
		run(t.Context(), append(args, "--config", r.config, "--log-level", "debug"), std, nil)
	}
	manifest := filepath.Join(r.dir, "orgs", "orgs.yaml")
	text, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	changed := filepath.Join(r.dir, "changed.yaml")
	if err := os.WriteFile(changed, bytes.ReplaceAll(text, []byte("[sso, mfa]"), []byte("[sso, mfa, P000139]")), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"text", "json", "markdown", "html"} {
		do("diff", "-o", format, "--manifests", changed, "--out", format+"="+filepath.Join(r.dir, "report."+format))
	}
	do("apply", "--yes", "--manifests", changed)
	for _, fault := range []string{
		"GET /api/v1/orgs status=401", "GET /api/v1/accounts status=403", "GET /api/v1/orgs/*/products status=500 times=1",
		"GET /api/v1/products cut-body times=2", "GET /api/v1/orgs redirect=https://evil.example/x", "POST /oauth2/v1/token status=400",
		"POST /oauth2/v1/token status=500 times=1", "GET /api/v1/orgs next=https://evil.example/next", "GET /api/v1/orgs garbage times=1",
	} {
		f, err := simulator.ParseFault(fault)
		if err != nil {
			t.Fatalf("%s: %v", fault, err)
		}
		r.sim.AddFault(f)
		do("diff")
		r.sim.ClearFaults()
	}
	r.runDaemon(t, &out)

	secrets := r.known()
	printed := out.String()
	if len(printed) < 10_000 || len(secrets) < 10 {
		t.Fatalf("only %d bytes and %d secrets: this test tests nothing", len(printed), len(secrets))
	}
	for _, name := range []string{"report.text", "report.json", "report.markdown", "report.html"} {
		report, err := os.ReadFile(filepath.Join(r.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		printed += string(report)
	}
	for _, secret := range secrets {
		if strings.Contains(printed, secret) {
			t.Errorf("printed a secret that begins with %q", secret[:6])
		}
	}
}

var serving = regexp.MustCompile(`address=http://([0-9.:]+)`)

// runDaemon does a few runs and fetches all pages.
func (r *rig) runDaemon(t *testing.T, out *buffer) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan int, 1)
	var log buffer
	go func() {
		std := stdio{strings.NewReader(""), &log, &log}
		done <- run(ctx, []string{"run", "--config", r.config, "--log-level", "debug"}, std,
			[]string{"RECONCILER_HTTP_ADDRESS=127.0.0.1:0", "RECONCILER_SCHEDULE=@every 1s", "RECONCILER_MODE=apply"})
	}()
	deadline := time.Now().Add(20 * time.Second)
	for !strings.Contains(log.String(), "run finished") && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	m := serving.FindStringSubmatch(log.String())
	if m == nil {
		t.Fatalf("the daemon does not say where it serves:\n%s", log.String())
	}
	for _, path := range []string{"/", "/healthz", "/readyz", "/metrics", "/api/v1/status", "/api/v1/orgs", "/api/v1/products", "/api/v1/drift", "/api/v1/runs", "/api/v1/changes", "/hooks/git", "/nowhere"} {
		resp, err := http.Get("http://" + m[1] + path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(out, resp.Body)
		resp.Body.Close()
	}
	stop()
	if code := <-done; code != exitOK {
		t.Errorf("the daemon ended with %d:\n%s", code, log.String())
	}
	_, _ = io.WriteString(out, log.String())
}

// TestMainInChild is the program itself, when a test runs it as a process.
func TestMainInChild(t *testing.T) {
	args, ok := os.LookupEnv("RECONCILER_TEST_CHILD")
	if !ok {
		return
	}
	os.Args = append([]string{"reconciler"}, strings.Fields(args)...)
	os.Exit(mainCode())
}
