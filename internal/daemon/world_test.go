package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"reconciler/internal/config"
	"reconciler/internal/daemon/api"
	"reconciler/internal/git/gitrepo"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
	"reconciler/internal/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The fleet of the tests: the Aerial org, a parent, and three others.
const (
	aerialOrg = "acme-aerial.okta.com"
	parentOrg = "acme.okta.com"
	emea      = "acme-emea.okta.com"
	labs      = "acme-labs.okta.com"
	shop      = "acme-shop.okta.com"
)

const (
	sso = "P000052"
	mfa = "P000131"
	lcm = "P000139"
	itp = "P001113" // not subscribed

	// otherAccount begins manifests that don't fit the account.
	otherAccount = "version: 1\naccount: {id: 0200other}"
)

func testSeed() *simulator.Seed {
	org := func(n int, domain string, products ...string) simulator.Org {
		return simulator.Org{
			ID: fmt.Sprintf("00o%017d", n), Domain: domain, Name: domain, Cell: "ok1", Status: "ACTIVE",
			Managed: true, Consent: true, Products: products,
		}
	}
	seed := &simulator.Seed{
		Version:  simulator.SeedVersion,
		Account:  simulator.Account{ID: simulator.DefaultAccount, Name: "Acme Holdings"},
		Products: []simulator.Product{{ID: sso, Name: "SSO"}, {ID: mfa, Name: "MFA"}, {ID: lcm, Name: "LCM"}},
		Orgs: []simulator.Org{
			org(1, aerialOrg, sso), org(2, parentOrg, sso, mfa), org(3, emea, sso, mfa), org(4, labs, sso), org(5, shop, sso),
		},
	}
	seed.Orgs[0].AerialOrg = true
	seed.Orgs[1].Creator = true
	seed.Orgs[1].Tokens = []string{"00canary-token-of-the-parent"}
	return seed
}

// inSync declares the fleet as testSeed makes it, but for the parent and the
// Aerial org, which stay unmanaged.
const inSync = `version: 1
products: {sso: P000052, mfa: P000131, lcm: P000139, itp: P001113}
orgs:
  - {domain: acme-emea.okta.com, cell: ok1, status: ACTIVE, products: [sso, mfa]}
  - {domain: acme-labs.okta.com, cell: ok1, status: ACTIVE, products: [sso]}
  - {domain: acme-shop.okta.com, cell: ok1, status: ACTIVE, products: [sso]}
`

// manifest returns inSync with one piece of text put in place of another.
func manifest(t testing.TB, old, new string) string {
	t.Helper()
	if !strings.Contains(inSync, old) {
		t.Fatalf("the manifest has no %q", old)
	}
	return strings.Replace(inSync, old, new, 1)
}

// world is a simulated account, a git repository, and a daemon between them
// that is not running yet: its runs are started one by one.
type world struct {
	t    testing.TB
	sim  *simulatortest.Server
	repo *gitrepo.Repo
	dir  string
	log  *logBuffer
	cfg  *config.Config
	base http.RoundTripper
	*daemon
}

type worldOptions struct {
	mode   string // report when empty
	extra  string // more lines of config
	parent string // url, and domain if any, of the parent; acme.okta.com's when empty
	scopes []string
	// orgScopes are those of a service app that every org has; none if it is empty.
	orgScopes []string
	seed      *simulator.Seed
	// watch, where not nil, is put before the simulator.
	watch   *secrets
	latency time.Duration
	// now, where not nil, is Okta's clock.
	now func() time.Time
	// git is more of the config's git block; url and path are there.
	git string
	// prepare, where not nil, is called before the config is loaded.
	prepare func(*world)
}

// newWorld makes a world whose repository has inSync at HEAD.
func newWorld(t testing.TB, o worldOptions) *world {
	t.Helper()
	if o.seed == nil {
		o.seed = testSeed()
	}
	c := simulatortest.Config{Seed: o.seed, Scopes: o.scopes, OrgScopes: o.orgScopes, Options: simulator.Options{Latency: o.latency, Now: o.now}}
	sim := simulatortest.New(t, c)
	base := sim.RoundTripper()
	if o.watch != nil {
		o.watch.RoundTripper, o.watch.all = base, map[string]bool{}
		base = o.watch
	}
	w := &world{t: t, sim: sim, dir: t.TempDir(), log: &logBuffer{}, base: base}
	var err error
	if w.repo, err = gitrepo.Init(filepath.Join(w.dir, "repo")); err != nil {
		t.Fatal(err)
	}
	w.commit(inSync)
	if o.prepare != nil {
		o.prepare(w)
	}
	w.cfg = w.load(sim.URL, o)
	w.restart()
	t.Cleanup(w.stop)
	return w
}

// load writes config and key and loads them.
func (w *world) load(simURL string, o worldOptions) *config.Config {
	w.t.Helper()
	key, err := w.sim.Credentials.PEM()
	if err != nil {
		w.t.Fatal(err)
	}
	keyFile, tokenFile, file := filepath.Join(w.dir, "key.pem"), filepath.Join(w.dir, "parent"), filepath.Join(w.dir, "reconciler.yaml")
	mode := o.mode
	if mode == "" {
		mode = "report"
	}
	parent := o.parent
	if parent == "" {
		parent = "url: https://acme.okta.com"
	}
	git := "path: orgs"
	if o.git != "" {
		git += ", " + o.git
	}
	text := fmt.Sprintf(`aerial:
  url: %[1]s
  accountID: %[2]s
  auth: {orgURL: %[1]s, clientID: %[3]s, privateKeyFile: %[4]s, keyID: %[5]s}
parents:
  - {name: acme, %[10]s, auth: {tokenFile: %[6]s}}
git: {url: %[7]s, %[11]s}
mode: %[8]s
http: {address: "127.0.0.1:0"}
%[9]s`, simURL, w.sim.AccountID, w.sim.Credentials.ClientID, keyFile, w.sim.Credentials.KeyID, tokenFile, w.repo.Dir(), mode, o.extra, parent, git)
	for name, data := range map[string]string{keyFile: string(key), tokenFile: "00canary-token-of-the-parent\n", file: text} {
		if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	cfg, warnings, err := config.Load(file, nil)
	if err != nil || len(warnings) > 0 && o.parent == "" {
		w.t.Fatalf("config: %v %v", warnings, err)
	}
	return cfg
}

// commit makes the text the only manifest of HEAD and gives the commit.
func (w *world) commit(manifest string) string {
	w.t.Helper()
	hash, err := w.repo.Commit("change", map[string]string{"orgs/orgs.yaml": manifest})
	if err != nil {
		w.t.Fatal(err)
	}
	return hash
}

// run does one run and gives its record and the status after it.
func (w *world) run() (api.RunRecord, api.Status) {
	w.t.Helper()
	return w.runCtx(context.Background())
}

func (w *world) runCtx(ctx context.Context) (api.RunRecord, api.Status) {
	w.t.Helper()
	w.runner.once(ctx, api.TriggerSchedule)
	s := w.tracker.read(time.Now())
	return *s.LastRun, s
}

// expect does one run and checks how it ends.
func (w *world) expect(want Result) api.Status {
	w.t.Helper()
	rec, s := w.run()
	if rec.Result != want {
		w.t.Fatalf("the run ended with %s, want %s; problem %+v, log:\n%s", rec.Result, want, rec.Problem, w.log)
	}
	return s
}

// tamper changes an org behind git's back.
func (w *world) tamper(domain string, products ...string) {
	w.t.Helper()
	if err := w.sim.SetOrgProducts(domain, products, "mallory@acme.example"); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) products(domain string) []string {
	w.t.Helper()
	org, ok := w.sim.Org(domain)
	if !ok {
		w.t.Fatalf("there is no org %q", domain)
	}
	return org.Products
}

func (w *world) fault(text string) {
	w.t.Helper()
	w.sim.Fault(w.t, text)
}

// writes are the calls that would have changed something.
func (w *world) writes() []string {
	var all []string
	for _, r := range w.sim.Requests() {
		if r.Aerial && r.Method != http.MethodGet {
			all = append(all, r.Method+" "+r.Path)
		}
	}
	return all
}

// metric returns one series from the endpoint; false when it isn't there.
func (w *world) metric(series string) (string, bool) {
	w.t.Helper()
	body := ask(w.handler, "GET", "/metrics").Body.String()
	for line := range strings.SplitSeq(body, "\n") {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return value, true
		}
	}
	return "", false
}

func (w *world) expectMetrics(want map[string]string) {
	w.t.Helper()
	for series, value := range want {
		got, ok := w.metric(series)
		if value == "" && ok || value != "" && got != value {
			w.t.Errorf("%s = %q, want %q", series, got, value)
		}
	}
}

// driftLines returns a status' drift as "org field: actual -> desired".
func driftLines(s api.Status) []string {
	var lines []string
	for _, d := range s.Drift {
		lines = append(lines, fmt.Sprintf("%s %s: %s -> %s", d.Org, d.Field, report.Value(d.Actual, nil), report.Value(d.Desired, nil)))
	}
	return lines
}

func expectLines(t testing.TB, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

// logBuffer collects log lines, as JSON.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *logBuffer) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf.Reset()
}

func (b *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// lines returns the lines with the message; all with "".
func (b *logBuffer) lines(t testing.TB, msg string) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range strings.Lines(b.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		if msg == "" || fields["msg"] == msg {
			all = append(all, fields)
		}
	}
	return all
}

// secrets watches what goes to Okta and keeps what must appear nowhere else.
type secrets struct {
	http.RoundTripper
	mu  sync.Mutex
	all map[string]bool
	// scopes are those that tokens were asked for with.
	scopes []string
}

func (s *secrets) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	if _, token, ok := strings.Cut(req.Header.Get("Authorization"), " "); ok {
		s.all[token] = true
	}
	if req.Body != nil && strings.HasSuffix(req.URL.Path, "/token") {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(bytes.NewReader(body))
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, err
		}
		s.all[form.Get("client_assertion")] = true
		s.scopes = append(s.scopes, form.Get("scope"))
	}
	s.mu.Unlock()
	return s.RoundTripper.RoundTrip(req)
}

var keyLine = regexp.MustCompile(`(?m)^[A-Za-z0-9+/=]{40,}$`)

// expectNone fails when any secret is in the text.
func (s *secrets) expectNone(t *testing.T, what, text string, files ...string) {
	t.Helper()
	for _, c := range s.canaries(t, files...) {
		if strings.Contains(text, c) {
			t.Errorf("%s has the secret %.12s…", what, c)
		}
	}
}

// canaries returns what was seen, and the keys in files.
func (s *secrets) canaries(t *testing.T, files ...string) []string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	canaries := []string{"canary"}
	for c := range s.all {
		if c != "" {
			canaries = append(canaries, c)
		}
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		canaries = append(canaries, keyLine.FindAllString(string(data), -1)...)
	}
	return canaries
}
