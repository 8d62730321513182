package daemon

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/daemon/api"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/store/backup"
	"reconciler/internal/store/location"
	"reconciler/internal/store/statetest"
	"reconciler/internal/text"
)

// The whole daemon but for its socket, for an hour: drift that comes between
// two slots is repaired at the next one, and git is looked at each time.
func TestDaemonOnSchedule(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{mode: "apply", extra: "schedule: '*/10 * * * *'\n"})
		start := time.Now() // midnight, UTC
		w.log.reset()
		time.AfterFunc(13*time.Minute, func() { w.tamper(emea, sso) })
		time.AfterFunc(19*time.Minute, func() {
			expectLines(t, "before the slot", w.products(emea), sso)
			if got := *w.tracker.read(time.Now()).NextRun; !got.Equal(start.Add(20 * time.Minute)) {
				t.Errorf("next run at %v", got)
			}
		})
		time.AfterFunc(21*time.Minute, func() { expectLines(t, "after the slot", w.products(emea), sso, mfa) })
		time.AfterFunc(33*time.Minute, func() { w.commit(manifest(t, "[sso, mfa]", "[sso, mfa, lcm]")) })
		time.AfterFunc(41*time.Minute, func() { expectLines(t, "after the commit", w.products(emea), sso, mfa, lcm) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour-time.Second)
		defer cancel()
		w.loop.serve(ctx)

		var got []string
		for _, r := range slices.Backward(w.tracker.read(time.Now()).RecentRuns) {
			got = append(got, fmt.Sprintf("%s %s %s", r.Started.Sub(start).Truncate(time.Second), r.Trigger, r.Result))
		}
		expectLines(t, "runs", got,
			"0s start in-sync", "10m0s schedule in-sync", "20m0s schedule applied", "30m0s schedule in-sync",
			"40m0s schedule applied", "50m0s schedule in-sync")
		if n := w.sim.MaxInFlight(); n > 10 {
			t.Errorf("%d calls in flight", n)
		}
	})
}

// A run that is slower than the schedule is followed by one run, and the
// daemon stays alive and ready.
func TestDaemonSlowRuns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{extra: "schedule: '@every 10s'\n"})
		w.fault("GET /api/v1/orgs delay=25s")
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		time.AfterFunc(9*time.Minute, func() {
			if s := w.tracker.read(time.Now()); !s.Ready || w.tracker.stuck(time.Now()) != "" {
				t.Errorf("ready %v (%s), stuck %q", s.Ready, s.NotReady, w.tracker.stuck(time.Now()))
			}
		})
		w.loop.serve(ctx)
		runs := w.log.lines(t, "run finished")
		if len(runs) < 20 || len(runs) > 25 {
			t.Errorf("%d runs of 25 s in 10 minutes", len(runs))
		}
	})
}

// Reading asks for a token that can only read; the other is asked for when
// there is something to write, and not before.
func TestScopes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		watch := &secrets{}
		w := newWorld(t, worldOptions{mode: "apply", watch: watch})
		w.expect(ResultInSync)
		w.commit(strings.ReplaceAll(inSync, "products: [sso]", "products: [], mode: report"))
		w.expect(ResultDrift)
		expectLines(t, "scopes while reading", watch.scopes, "okta.accounts.read")
		w.commit(manifest(t, "[sso, mfa]", "[sso]"))
		w.expect(ResultApplied)
		expectLines(t, "scopes with a write", watch.scopes, "okta.accounts.read", "okta.accounts.manage")
	})
}

// Whatever happens, no key, assertion, token or password is in what the daemon
// logs, answers or keeps, nor in an export or a backup of that.
func TestNoSecretsAnywhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		watch := &secrets{}
		dir := filepath.Join(t.TempDir(), "state")
		w := newWorld(t, worldOptions{mode: "apply", watch: watch, extra: "state: {dir: " + dir + "}\n"})
		w.expect(ResultInSync)
		w.tamper(emea, sso)
		w.expect(ResultApplied)
		w.commit("version: 1\nnonsense: true\n")
		w.expect(ResultInSync)
		w.commit(inSync)
		for _, fault := range []string{
			"* /api/v1/** status=401", "* /api/v1/** status=500", "* /api/v1/** garbage", "* /oauth2/v1/token status=400",
			"* /oauth2/v1/token garbage", "* /api/v1/** redirect=https://evil.example/", "* /api/v1/orgs cut",
		} {
			w.fault(fault)
			w.sim.RevokeTokens()
			w.expect(ResultError)
			w.sim.ClearFaults()
		}
		w.tamper(emea, sso)
		w.fault("PUT /api/v1/** status=403")
		w.expect(ResultPartial)

		if len(watch.all) < 10 {
			t.Fatalf("only %d secrets were seen on the wire", len(watch.all))
		}
		watch.expectNone(t, "the log", w.log.String(), w.dir+"/key.pem")
		for _, path := range []string{"/", "/metrics", "/api/v1/status", "/readyz", "/healthz"} {
			watch.expectNone(t, path, ask(w.handler, "GET", path).Body.String(), w.dir+"/key.pem")
		}
		if !strings.Contains(w.log.String(), "change failed") {
			t.Error("the log lacks what this test is about")
		}
		var export bytes.Buffer
		if err := w.runner.r.History().Export(&export); err != nil || !strings.Contains(export.String(), `"failed"`) {
			t.Errorf("export: %v\n%s", err, &export)
		}
		watch.expectNone(t, "the export", export.String(), w.dir+"/key.pem")
		if _, err := backup.Make(location.Folder(dir), filepath.Join(dir, "backup.tar"), "v1", time.Now()); err != nil {
			t.Fatal(err)
		}
		statetest.NoneIn(t, dir, watch.canaries(t, w.dir+"/key.pem")...)
	})
}

// started is a daemon with everything that belongs to it, a socket too.
type started struct {
	*world
	url  string
	stop context.CancelFunc
	done chan error
}

// startDaemon runs a daemon against a simulator that listens.
func startDaemon(t *testing.T, o worldOptions) *started {
	t.Helper()
	w := newWorld(t, o)
	srv := httptest.NewServer(w.sim.Simulator)
	t.Cleanup(srv.Close)
	cfg := w.load(srv.URL, o)
	ctx, stop := context.WithCancel(context.Background())
	s := &started{world: w, stop: stop, done: make(chan error, 1)}
	listening := make(chan net.Addr, 1)
	go func() {
		s.done <- Run(ctx, cfg, RunOptions{
			Version: "v1.2.3", Commands: testCommands, Logger: w.log.logger(), Listening: func(a net.Addr) { listening <- a },
		})
	}()
	t.Cleanup(stop)
	select {
	case a := <-listening:
		s.url = "http://" + a.String()
	case err := <-s.done:
		t.Fatalf("the daemon didn't start: %v", err)
	}
	return s
}

// get asks the daemon; code 0 means that nobody answered.
func (s *started) get(path string) (code int, body string) {
	s.t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get(s.url + path)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Error(err)
	}
	return resp.StatusCode, string(data)
}

// until waits until ok in real time; it fails the test after a while.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func (s *started) wait() {
	s.t.Helper()
	select {
	case err := <-s.done:
		if err != nil {
			s.t.Errorf("Run: %v", err)
		}
	case <-time.After(time.Minute):
		s.t.Fatal("the daemon doesn't stop")
	}
}

func TestDaemonServes(t *testing.T) {
	s := startDaemon(t, worldOptions{mode: "apply", extra: "schedule: '@every 1s'\n"})
	until(t, "it is ready", func() bool { code, _ := s.get("/readyz"); return code == 200 })
	s.tamper(emea, sso)
	until(t, "drift is repaired", func() bool { return slices.Equal(s.products(emea), []string{sso, mfa}) })
	for path, want := range map[string]string{
		"/healthz": "ok\n", "/": "<title>Overview · reconciler</title>", "/metrics": `reconciler_runs_total{result="applied"}`,
		"/api/v1/status": `"reconciler": "v1.2.3"`,
	} {
		if code, body := s.get(path); code != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	status, err := api.FetchStatus(t.Context(), s.url)
	if err != nil || status.Account != s.sim.AccountID || !strings.HasSuffix(status.Source, ", branch main, path orgs") || status.Schedule != "@every 1s" {
		t.Errorf("status %+v, %v", status, err)
	}
	s.stop()
	s.wait()
	if code, _ := s.get("/healthz"); code != 0 {
		t.Errorf("still answers after its end: %d", code)
	}
	for _, msg := range []string{"serving", "stopping: calls in flight are finished, no others begin", "stopped"} {
		if n := len(s.log.lines(t, msg)); n != 1 {
			t.Errorf("%d lines %q, want 1", n, msg)
		}
	}
}

// working is a daemon without its socket, in a bubble.
type working struct {
	*world
	stop context.CancelFunc
	// served is closed when the endpoints are no longer served, and done then.
	served chan struct{}
	done   chan error
}

func startWorking(t *testing.T, w *world) *working {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	d := &working{world: w, stop: stop, served: make(chan struct{}), done: make(chan error, 1)}
	t.Cleanup(stop)
	go func() {
		d.done <- w.work(ctx, func(serving context.Context) error {
			defer close(d.served)
			<-serving.Done()
			return nil
		})
	}()
	return d
}

// reach sleeps until ok, in the bubble's time.
func reach(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 100_000 {
		if ok() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("waited in vain until %s", what)
}

// Stopping in the middle of an apply: what was sent is finished, nothing else
// is sent, each org is as before or as desired, and each change is accounted
// for.
func TestDaemonStopsInMidApply(t *testing.T) {
	bubble(t, testDaemonStopsInMidApply)
}

func testDaemonStopsInMidApply(t *testing.T) {
	const n = 60
	seed := testSeed()
	var m strings.Builder
	m.WriteString("version: 1\norgs:\n")
	for i := range n {
		domain := fmt.Sprintf("acme-%02d.okta.com", i)
		seed.Orgs = append(seed.Orgs, simulator.Org{
			ID: fmt.Sprintf("00oc%016d", i), Domain: domain, Name: domain, Cell: "ok1", Managed: true, Consent: true, Products: []string{sso},
		})
		fmt.Fprintf(&m, "  - {domain: %s, cell: ok1, products: [%s, %s]}\n", domain, sso, mfa)
	}
	w := newWorld(t, worldOptions{mode: "apply", seed: seed, latency: 30 * time.Millisecond})
	w.commit(m.String())
	s := startWorking(t, w)
	reach(t, "some writes are done", func() bool { return len(w.writes()) >= 15 })
	s.stop()
	if err := <-s.done; err != nil {
		t.Error(err)
	}

	var changed, sent int
	for i := range n {
		switch p := w.products(fmt.Sprintf("acme-%02d.okta.com", i)); {
		case slices.Equal(p, []string{sso, mfa}):
			changed++
		case !slices.Equal(p, []string{sso}):
			t.Errorf("org %d is half written: %v", i, p)
		}
	}
	for _, r := range w.sim.Requests() {
		if r.Method == http.MethodPut {
			sent++
			if r.Status != http.StatusOK {
				t.Errorf("a write ended with %d", r.Status)
			}
		}
	}
	if changed != sent || changed == n {
		t.Errorf("%d orgs changed by %d writes, of %d", changed, sent, n)
	}
	// A change that was stopped while reading what it rests on counts as failed.
	applied, failed, skipped := len(w.log.lines(t, "change applied")), len(w.log.lines(t, "change failed")), len(w.log.lines(t, "change skipped"))
	for _, more := range w.log.lines(t, "more changes skipped") {
		skipped += int(more["more"].(float64))
	}
	if applied != changed || applied+failed+skipped != n || failed > 10 {
		t.Errorf("told of %d applied, %d failed, %d skipped; %d of %d orgs have changed", applied, failed, skipped, changed, n)
	}
	end := w.log.lines(t, "run finished")
	if len(end) != 1 || end[0]["result"] != "interrupted" || end[0]["applied"] != float64(applied) || end[0]["skipped"] != float64(skipped) {
		t.Errorf("summary %v", end)
	}
	if max := w.sim.MaxInFlight(); max > 10 {
		t.Errorf("%d calls in flight", max)
	}
}

// While a write that takes long is waited for, the endpoints still answer.
func TestDaemonAnswersWhileStopping(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{mode: "apply"})
		w.tamper(emea, sso)
		w.fault("PUT /api/v1/** delay=3s")
		s := startWorking(t, w)
		reach(t, "a write is under way", func() bool { return len(w.writes()) > 0 })
		stopped := time.Now()
		s.stop()
		time.Sleep(time.Second)
		select {
		case <-s.served:
			t.Fatal("the endpoints are not served until the run has ended")
		default:
		}
		if r := ask(w.handler, "GET", "/readyz"); r.Code != 503 || r.Body.String() != "the daemon is being stopped\n" {
			t.Errorf("/readyz while stopping: %d %s", r.Code, r.Body)
		}
		if r := ask(w.handler, "GET", "/api/v1/status"); r.Code != 200 || !strings.Contains(r.Body.String(), `"running": {`) {
			t.Errorf("status while stopping: %d %s", r.Code, r.Body)
		}
		if err := <-s.done; err != nil {
			t.Error(err)
		}
		if took := time.Since(stopped); took > 5*time.Second {
			t.Errorf("took %v to stop", took)
		}
		expectLines(t, "the write that was under way", s.products(emea), sso, mfa)
	})
}

// On loopback the daemon answers this machine alone; elsewhere it answers to addresses as
// well, and to the names of the config.
func TestDaemonChecksHost(t *testing.T) {
	for address, code := range map[string]int{"127.0.0.1:0": 421, "localhost:0": 421, ":0": 200} {
		w := newWorld(t, worldOptions{})
		w.cfg.HTTP.Address = address
		w.restart()
		ctx, stop := context.WithCancel(t.Context())
		listening, done := make(chan net.Addr, 1), make(chan error, 1)
		go func() { done <- w.serve(ctx, address, func(a net.Addr) { listening <- a }) }()
		_, port, err := net.SplitHostPort((<-listening).String())
		if err != nil {
			t.Fatal(err)
		}
		transport := &http.Transport{}
		for host, want := range map[string]int{"evil.example": 421, "192.0.2.1:1": code, "localhost:1": 200} {
			req, err := http.NewRequestWithContext(t.Context(), "GET", "http://localhost:"+port+"/api/v1/status", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = host
			resp, err := transport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("listening on %q, Host %q: %d, want %d", address, host, resp.StatusCode, want)
			}
		}
		transport.CloseIdleConnections()
		stop()
		if err := <-done; err != nil {
			t.Errorf("listening on %q: %v", address, err)
		}
	}
}

func TestDaemonDoesNotStart(t *testing.T) {
	w := newWorld(t, worldOptions{})
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cfg := w.load(w.sim.URL, worldOptions{})
	cfg.HTTP.Address = taken.Addr().String()
	err = Run(t.Context(), cfg, RunOptions{})
	if err == nil || !strings.Contains(err.Error(), "can't be served") || !strings.Contains(err.Error(), "in use") || text.Hint(err) == "" {
		t.Errorf("a port that is taken: %v", err)
	}
	if n := len(w.sim.Requests()); n > 0 {
		t.Errorf("%d calls before the endpoints were there", n)
	}

	for name, change := range map[string]func(*config.Config){
		"aerial.accountID": func(c *config.Config) { c.Aerial.AccountID = "" },
		"manifests":        func(c *config.Config) { c.Git = nil },
		"git.auth":         func(c *config.Config) { c.Git.URL = "ssh://git@git.example/orgs.git" },
	} {
		cfg := w.load(w.sim.URL, worldOptions{})
		change(cfg)
		if err := Run(t.Context(), cfg, RunOptions{}); err == nil || !strings.Contains(err.Error()+text.Hint(err), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}
