package doctor_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"

	"reconciler/internal/config"
	"reconciler/internal/doctor"
	"reconciler/internal/okta/aerial"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/store/journal"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a simulated Okta, a config for it in a folder, and the options of a
// doctor who looks at both.
type world struct {
	t        *testing.T
	sim      *simulator.Simulator
	seed     *simulator.Seed
	access   *simulator.Access
	url      string
	dir      string
	config   string
	env      []string
	opts     doctor.Options
	canaries *canaries
}

// canaries are secrets that must not be in any output.
type canaries struct {
	mu  sync.Mutex
	all []string
}

// add takes down secrets, line by line.
func (c *canaries) add(secrets ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range secrets {
		for line := range strings.Lines(s) {
			if line = strings.TrimSpace(line); len(line) > 12 && !strings.HasPrefix(line, "---") {
				c.all = append(c.all, line)
			}
		}
	}
}

// setup is what a world is made from; a test changes it before it begins.
type setup struct {
	seed   *simulator.Seed
	opts   simulator.Options
	scopes []string
	dpop   bool
}

func newWorld(t *testing.T, change func(*setup)) *world {
	t.Helper()
	s := setup{seed: simulator.DefaultSeed(4), scopes: []string{"okta.accounts.read", "okta.accounts.manage", "okta.logs.read"}}
	if change != nil {
		change(&s)
	}
	access, err := simulator.Grant(s.seed, jose.ES256, s.dpop, s.scopes...)
	if err != nil {
		t.Fatal(err)
	}
	sim, err := simulator.New(s.seed, s.opts)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(sim)
	t.Cleanup(srv.Close)
	access.URL = srv.URL
	w := &world{t: t, sim: sim, seed: s.seed, access: access, url: srv.URL, dir: t.TempDir(), canaries: &canaries{}}
	if w.config, err = simulator.WriteConfig(w.dir, s.seed, *access); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"tokens", "state"} {
		if err := os.Mkdir(w.path(folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	w.env = []string{"RECONCILER_HTTP_ADDRESS=127.0.0.1:0"}
	w.canaries.add(w.read("aerial.pem"), access.ParentToken)
	w.doctor()
	return w
}

// doctor returns the options that the command gives.
func (w *world) doctor() {
	base := aerial.BaseTransport(10)
	w.t.Cleanup(base.CloseIdleConnections)
	w.opts = doctor.Options{
		Load: func() (*config.Config, []config.Warning, error) { return config.Load(w.config, w.env) },
		Daemon: func(context.Context, string) (*doctor.Daemon, error) {
			return nil, fmt.Errorf("nobody is to be asked")
		},
		Commands:  journal.Commands{ListSuspensions: "reconciler suspend --list"},
		Transport: &tap{base, w.canaries},
		Zone:      time.UTC,
		Timeout:   5 * time.Second,
	}
}

// tap takes down the credentials that go over the wire.
type tap struct {
	base     http.RoundTripper
	canaries *canaries
}

func (p *tap) RoundTrip(req *http.Request) (*http.Response, error) {
	if _, secret, ok := strings.Cut(req.Header.Get("Authorization"), " "); ok {
		p.canaries.add(secret)
	}
	return p.base.RoundTrip(req)
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) read(name string) string {
	w.t.Helper()
	text, err := os.ReadFile(w.path(name))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

func (w *world) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(w.path(name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// replace changes the config.
func (w *world) replace(old, new string) {
	w.t.Helper()
	text := w.read("reconciler.yaml")
	if !strings.Contains(text, old) {
		w.t.Fatalf("the config has no %q:\n%s", old, text)
	}
	w.write("reconciler.yaml", strings.ReplaceAll(text, old, new))
}

func (w *world) setenv(name, value string) { w.env = append(w.env, name+"="+value) }

func (w *world) chmod(name string, mode os.FileMode) {
	w.t.Helper()
	if err := os.Chmod(w.path(name), mode); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) fault(text string) {
	w.t.Helper()
	f, err := simulator.ParseFault(text)
	if err == nil {
		err = w.sim.AddFault(f)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// examine does all checks, and looks for secrets in what they say and for
// writes in what they did.
func (w *world) examine() *doctor.Report {
	w.t.Helper()
	report := doctor.Run(w.t.Context(), w.opts)
	text := w.text(report)
	w.canaries.mu.Lock()
	defer w.canaries.mu.Unlock()
	for _, secret := range w.canaries.all {
		if strings.Contains(text, secret) {
			w.t.Errorf("a secret that begins with %q is in the report:\n%s", secret[:6], text)
		}
	}
	if writes := w.sim.Writes(); len(writes) > 0 {
		w.t.Errorf("wrote %v", writes)
	}
	return report
}

// text returns both forms of a report, with what differs each time made equal.
func (w *world) text(r *doctor.Report) string {
	w.t.Helper()
	var b strings.Builder
	for i := range r.Checks {
		b.WriteString(r.Checks[i].Line(false) + "\n")
	}
	fmt.Fprintf(&b, "\n%s\n-- json --\n", r.Summary)
	if err := r.WriteJSON(&b); err != nil {
		w.t.Fatal(err)
	}
	return w.plain(b.String())
}

var requestID = regexp.MustCompile(`((?:request id|errorId) )[A-Za-z0-9_-]+\)`)

var took = regexp.MustCompile(`answers within [0-9.]+m?s`)

func (w *world) plain(s string) string {
	s = strings.NewReplacer(w.url, "http://okta", w.dir, "/dir").Replace(s)
	return took.ReplaceAllString(s, "answers within 1ms")
}
