package daemon

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/daemon/api"
	"reconciler/internal/daemon/signin"
	"reconciler/internal/reconcile"
	"reconciler/internal/store/postgres"
	"reconciler/internal/store/postgres/postgrestest"
)

// fleet is two replicas of a daemon, in the order in which they were started.
type fleet struct {
	*world
	cfg      *config.Config
	token    string
	replicas []*startedReplica
}

type startedReplica struct {
	*fleet
	url  string
	log  *logBuffer
	stop context.CancelFunc
	done chan error
}

// startReplicas starts two replicas, of which the first one leads, with a database of
// their own.
func startReplicas(t *testing.T) *fleet {
	t.Helper()
	url := postgrestest.NewFile(t)
	return startReplicasOn(t, "@every 24h", url, url)
}

// startReplicasOn starts replicas, of which the first one leads, with a schedule, each with
// the URL of the same database.
func startReplicasOn(t *testing.T, schedule string, urls ...postgrestest.File) *fleet {
	t.Helper()
	dir := t.TempDir()
	token, entry, err := signin.NewToken("ci", signin.Operator)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	options := func(url postgrestest.File) worldOptions {
		return worldOptions{
			mode: "apply", git: "webhook: {secretFile: " + write("hook", hookSecret) + "}",
			extra: "schedule: '" + schedule + "'\nstate: {postgres: {urlFile: " + string(url) + "}}\n",
		}
	}
	w := newWorld(t, options(urls[0]))
	srv := httptest.NewServer(w.sim.Simulator)
	t.Cleanup(srv.Close)
	f := &fleet{world: w, token: token}
	for _, url := range urls {
		f.cfg = w.load(srv.URL, options(url))
		f.cfg.HTTP.Auth = config.HTTPAuth{TokensFile: write("tokens.yaml", entry.String())}
		f.start()
	}
	return f
}

// start starts another replica, and waits until it is ready.
func (f *fleet) start() *startedReplica {
	t := f.t
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r := &startedReplica{fleet: f, log: &logBuffer{}, stop: stop, done: make(chan error, 1)}
	listening := make(chan net.Addr, 1)
	go func() {
		r.done <- Run(ctx, f.cfg, RunOptions{Version: "v1.2.3", Commands: testCommands, Logger: r.log.logger(), Listening: func(a net.Addr) { listening <- a }})
	}()
	select {
	case a := <-listening:
		r.url = "http://" + a.String()
	case err := <-r.done:
		t.Fatalf("a replica didn't start: %v", err)
	}
	t.Cleanup(r.end)
	f.replicas = append(f.replicas, r)
	until(t, "it is ready", func() bool { code, _ := r.ask("GET", "/readyz", ""); return code == http.StatusOK })
	return r
}

// end ends a replica. It may be called twice.
func (r *startedReplica) end() {
	r.stop()
	if err, open := <-r.done; open {
		close(r.done)
		if err != nil {
			r.t.Errorf("Run: %v", err)
		}
	}
}

// ask sends a request as whoever has the token.
func (r *startedReplica) ask(method, path, body string) (int, string) {
	r.t.Helper()
	return r.send(&http.Client{}, method, path, "application/json", body, "Authorization", "Bearer "+r.token)
}

func (r *startedReplica) send(c *http.Client, method, path, kind, body string, header ...string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequest(method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", kind)
	}
	for pair := range slices.Chunk(header, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c.Transport = transport
	resp, err := c.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Error(err)
	}
	return resp.StatusCode, string(data)
}

func (r *startedReplica) status() (s api.Status) {
	r.t.Helper()
	code, body := r.ask("GET", "/api/v1/status", "")
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		r.t.Fatal(code, body, err)
	}
	return s
}

// declaredAt returns where a replica says that an org is declared; nil if it doesn't.
func (r *startedReplica) declaredAt(domain string) *reconcile.Place {
	r.t.Helper()
	var org reconcile.OrgDetail
	code, body := r.ask("GET", "/api/v1/orgs/"+domain, "")
	if err := json.Unmarshal([]byte(body), &org); err != nil || code != http.StatusOK {
		r.t.Fatal(code, body, err)
	}
	return org.DeclaredAt
}

// run asks a replica for a run, and waits there until it has ended. It is known there at
// every moment.
func (r *startedReplica) run() (info api.RunInfo) {
	r.t.Helper()
	var accepted api.RunAccepted
	code, body := r.ask("POST", "/api/v1/runs", `{"reason": "a test"}`)
	if err := json.Unmarshal([]byte(body), &accepted); err != nil || code != http.StatusAccepted {
		r.t.Fatal(code, body, err)
	}
	until(r.t, "the run has ended", func() bool {
		code, body := r.ask("GET", "/api/v1/runs/"+accepted.ID, "")
		info = api.RunInfo{}
		if err := json.Unmarshal([]byte(body), &info); err != nil || code != http.StatusOK || info.ID != accepted.ID {
			r.t.Fatal(code, body, err)
		}
		return info.State == api.RunEnded && info.Plan != nil
	})
	return info
}

// What an operator asks of a standby reaches the leader, and any replica shows what the
// leader knows.
func TestReplicas(t *testing.T) {
	f := startReplicas(t)
	leader, standby := f.replicas[0], f.replicas[1]
	s := standby.status()
	if s.State != api.StateStandby || s.StandingBy == nil || !s.Ready || s.LastRun == nil || s.Fleet == nil || s.Fleet.InSync != 3 || s.NextRun == nil {
		t.Fatalf("%+v", s)
	}
	if l := leader.status(); l.StandingBy != nil || l.LastRun.ID != s.LastRun.ID || l.State != api.State(ResultInSync) {
		t.Errorf("%+v", l)
	}
	if code, body := standby.ask("GET", "/", ""); code != http.StatusOK || !strings.Contains(body, "standing by: the daemon that leads is") || !strings.Contains(body, s.LastRun.ID) {
		t.Errorf("%d %s", code, body)
	}
	if code, body := standby.ask("GET", "/healthz", ""); code != http.StatusOK {
		t.Errorf("%d %s", code, body)
	}

	for _, path := range []string{"/api/v1/orgs", "/api/v1/orgs/" + emea, "/api/v1/drift", "/api/v1/runs"} {
		_, want := leader.ask("GET", path, "")
		if _, got := standby.ask("GET", path, ""); got != want {
			t.Errorf("%s:\n%s\nand at the one that leads:\n%s", path, got, want)
		}
	}
	if at := standby.declaredAt(emea); at == nil || at.File != "orgs/orgs.yaml" || at.Line != 4 {
		t.Errorf("%s is declared at %+v", emea, at)
	}

	// A suspension holds the leader's next write.
	code, body := standby.ask("POST", "/api/v1/suspensions", `{"reason": "audit", "orgs": ["acme-emea.okta.com"]}`)
	var made struct{ ID string }
	if err := json.Unmarshal([]byte(body), &made); err != nil || code != http.StatusCreated {
		t.Fatal(code, body)
	}
	f.tamper(emea, sso)
	info := standby.run()
	if info.Result != ResultDrift || info.RequestedBy != "token ci" || len(info.Plan.Changes) != 1 || len(info.Log) == 0 || !slices.Equal(f.products(emea), []string{sso}) {
		t.Fatalf("%+v", info)
	}
	for _, r := range f.replicas {
		until(t, "both show drift and suspension", func() bool { s := r.status(); return len(s.Drift) == 1 && len(s.Suspensions) == 1 })
	}
	if code, body := standby.ask("POST", "/api/v1/alarms/journal/acknowledge", `{"reason": "x"}`); code != http.StatusNotFound || !strings.Contains(body, "there is no alarm") {
		t.Errorf("%d %s", code, body)
	}
	if code, body := standby.ask("DELETE", "/api/v1/suspensions/"+made.ID, `{"reason": "over"}`); code != http.StatusOK {
		t.Fatal(code, body)
	}
	until(t, "the leader shows no suspension", func() bool { return len(leader.status().Suspensions) == 0 })
	if info := standby.run(); info.Result != ResultApplied || !slices.Equal(f.products(emea), []string{sso, mfa}) {
		t.Fatalf("%+v", info)
	}

	// A push that is announced to the standby reaches the leader.
	commit := f.commit(manifest(t, "products: [sso, mfa]", "products: [sso]"))
	push := []byte(`{"ref": "refs/heads/main", "after": "` + commit + `"}`)
	mac := hmac.New(sha256.New, []byte(hookSecret))
	mac.Write(push)
	if code, body := standby.send(&http.Client{}, "POST", "/hooks/git", "application/json", string(push), "X-GitHub-Event", "push", "X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil))); code != http.StatusAccepted {
		t.Fatal(code, body)
	}
	until(t, "the push is applied", func() bool { return slices.Equal(f.products(emea), []string{sso}) })
	until(t, "both show the run", func() bool {
		a, b := leader.status().LastRun, standby.status().LastRun
		return a.Trigger == api.TriggerWebhook && a.ID == b.ID
	})
	for _, r := range f.replicas {
		if at := r.declaredAt(emea); at == nil || at.Commit != commit {
			t.Errorf("%s is declared at %+v, and not in commit %s", emea, at, commit)
		}
	}

	// The other one takes over, and knows what it was asked for.
	leader.end()
	until(t, "the other one leads", func() bool { return standby.status().StandingBy == nil })
	if info := standby.run(); info.Result != ResultInSync || info.Problem != nil {
		t.Fatalf("%+v", info)
	}
	if lines := standby.log.lines(t, "this replica can't tell others what it knows, or learn what they know"); len(lines) > 0 {
		t.Errorf("%v", lines)
	}
}

// A replica that starts beside others doesn't publish its status, which is empty, before it
// knows who leads: they would show it until the next run.
func TestReplicaStartsBesideOthers(t *testing.T) {
	f := startReplicas(t)
	leader := f.replicas[0]
	time.Sleep(2 * shareEvery) // the leader has published all that it knows
	f.start()
	time.Sleep(2 * shareEvery)
	want := leader.status().LastRun
	for _, r := range f.replicas {
		s := r.status()
		if s.LastRun == nil || s.LastRun.ID != want.ID || !s.Ready {
			t.Errorf("last run: %+v, ready: %v", s.LastRun, s.Ready)
		}
	}
}

// The one that leads publishes its status again when a run is overdue, by its clock, though
// nothing else has changed.
func TestPublishesThatARunIsOverdue(t *testing.T) {
	w := newWorld(t, worldOptions{extra: "schedule: '*/10 * * * *'\nstate: {postgres: {urlFile: " + string(postgrestest.NewFile(t)) + "}}\n"})
	w.run()
	now := time.Now()
	for _, step := range []struct {
		at    time.Time
		words string // of why it isn't ready
	}{{now, ""}, {now.Add(3 * time.Hour), "should have succeeded since"}, {now, ""}} {
		if err := w.publish(step.at); err != nil {
			t.Fatal(err)
		}
		got, err := w.replica.store.Status("")
		var s api.Status
		if err := errors.Join(err, json.Unmarshal(got.Content, &s)); err != nil {
			t.Fatal(err)
		}
		if s.Ready != (step.words == "") || s.Ready != (s.NotReady == "") || !strings.Contains(s.NotReady, step.words) {
			t.Errorf("at %s: ready %v, %q; want %q", step.at, s.Ready, s.NotReady, step.words)
		}
	}
}

// A replica that can't start leaves no connection open, which would be found at the end of
// all tests.
func TestReplicaThatCannotStart(t *testing.T) {
	w := newWorld(t, worldOptions{extra: "state: {postgres: {urlFile: " + string(postgrestest.NewFile(t)) + "}}\n"})
	w.cfg.HTTP.Auth.TokensFile = filepath.Join(w.dir, "missing")
	if _, err := newDaemon(w.cfg, RunOptions{}, w.base); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("%v", err)
	}
}

// The metric says that the lead is lost as soon as that is known, and not only once the run
// has ended that goes on.
func TestLostLeadInMetrics(t *testing.T) {
	file := postgrestest.NewFile(t)
	w := newWorld(t, worldOptions{extra: "state: {postgres: {urlFile: " + string(file) + "}}\n"})
	if other, err := w.tryLead(); other != nil || err != nil {
		t.Fatal(other, err)
	}
	defer func() { _ = w.leads.End() }() // which is lost
	w.expectMetrics(map[string]string{"reconciler_leader": "1"})
	db := postgres.Open(file, 1)
	defer db.Close()
	if _, err := db.Exec(`SELECT pg_terminate_backend(CAST(backend AS int)) FROM leases WHERE name = 'leader'`); err != nil {
		t.Fatal(err)
	}
	until(t, "the lead is lost", w.leads.IsLost)
	w.expectMetrics(map[string]string{"reconciler_leader": "0"})
}

// A replica whose clock is wrong says so once, and once more when it is right again.
func TestWrongClockOfAReplica(t *testing.T) {
	w := newWorld(t, worldOptions{extra: "state: {postgres: {urlFile: " + string(postgrestest.NewFile(t)) + "}}\n"})
	check := func(by time.Duration) {
		t.Helper()
		for range 2 {
			if err := w.checkClock(func() time.Time { return time.Now().Add(by) }); err != nil {
				t.Fatal(err)
			}
			w.replica.compared = time.Time{} // as after a minute
		}
	}
	check(0)
	check(2 * time.Hour)
	lines := w.log.lines(t, "this machine's clock is 2h0m0s ahead of the database's")
	if len(lines) != 1 || !strings.Contains(fmt.Sprint(lines[0]), "NTP") {
		t.Errorf("%v", lines)
	}
	w.standingBy(&api.Process{PID: 12, Host: "h", Since: noon})
	w.tracker.mirror(&api.Status{}, time.Now()) // whose clock is right
	if s := w.tracker.read(time.Now()); !strings.Contains(s.Clock, "2h0m0s ahead") || !slices.ContainsFunc(s.Problems, func(p api.Trouble) bool { return p.Message == s.Clock }) {
		t.Errorf("clock %q, problems %+v", s.Clock, s.Problems)
	}
	check(0)
	if s := w.tracker.read(time.Now()); s.Clock != "" {
		t.Errorf("clock %q", s.Clock)
	}
	if lines := w.log.lines(t, "this machine's clock and the database's agree again"); len(lines) != 1 {
		t.Errorf("%v", lines)
	}
	check(-2 * time.Hour)
	if lines := w.log.lines(t, "this machine's clock is 2h0m0s behind the database's"); len(lines) != 1 {
		t.Errorf("%v", lines)
	}
}

// While their database is down, no replica says that it leads, not even the one that did.
func TestNoLeaderWithoutDatabase(t *testing.T) {
	server := postgrestest.Start(t)
	url := server.File(t)
	f := startReplicasOn(t, "@every 1s", url, url)
	leaders := func() (n int) {
		for _, r := range f.replicas {
			if _, body := r.ask("GET", "/metrics", ""); strings.Contains(body, "\nreconciler_leader 1\n") {
				n++
			}
		}
		return n
	}
	until(t, "one leads", func() bool { return leaders() == 1 })
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, r := range f.replicas {
		until(t, "runs write nothing", func() bool {
			return len(r.log.lines(t, "the database can't be used; nothing is written until it can")) > 0
		})
	}
	until(t, "none leads", func() bool { return leaders() == 0 })
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "one leads again", func() bool { return leaders() == 1 })
}

// A replica that is cut off from the database is not ready within 15 seconds, whether it
// led or stood by, and lives.
func TestCutOffReplicaIsNotReady(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits until replicas notice that they are cut off")
	}
	server := postgrestest.Start(t)
	url := server.File(t)
	first, second := server.NewCable(t), server.NewCable(t)
	f := startReplicasOn(t, "@every 24h", first.File(t, url), second.File(t, url))
	notReady := func(r *startedReplica, words string) {
		t.Helper()
		began := time.Now()
		until(t, "it is not ready", func() bool {
			code, body := r.ask("GET", "/readyz", "")
			return code == http.StatusServiceUnavailable && strings.Contains(body, words)
		})
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("it was ready for %v", took)
		}
		if code, body := r.ask("GET", "/healthz", ""); code != http.StatusOK {
			t.Errorf("healthz: %d %s", code, body)
		}
		if _, body := r.ask("GET", "/metrics", ""); !strings.Contains(body, "\nreconciler_ready 0\n") {
			t.Error("the metric says that it is ready")
		}
	}
	first.Cut()
	notReady(f.replicas[0], "this replica doesn't lead, and doesn't know which one does")
	notReady(f.replicas[0], "the database has not answered since ")
	until(t, "the other one leads", func() bool {
		code, _ := f.replicas[1].ask("GET", "/readyz", "")
		return code == http.StatusOK && f.replicas[1].status().StandingBy == nil
	})
	third := f.start()
	if third.status().StandingBy == nil {
		t.Fatal("the third one leads")
	}
	second.Cut() // both
	notReady(third, "")
	notReady(f.replicas[1], "")
	first.Close() // so that nobody who is stopped waits for the database
	second.Close()
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// Signing in on one replica signs in on the other, and signing out on one signs out on the
// other.
func TestReplicasShareSessions(t *testing.T) {
	f := startReplicas(t)
	one, other := f.replicas[0], f.replicas[1]
	cookies, err := cookiejar.New(nil) // which knows hosts, and no ports
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: cookies, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	form := func(r *startedReplica, path string, values url.Values) (int, string) {
		return r.send(browser, "POST", path, "application/x-www-form-urlencoded", values.Encode(), "Origin", r.url)
	}
	if code, body := form(one, signin.SignInPath, url.Values{"token": {f.token}}); code != http.StatusSeeOther {
		t.Fatal(code, body)
	}
	for i := range 6 { // at one, then at the other
		r := f.replicas[i%2]
		code, body := r.send(browser, "GET", "/", "", "")
		field := csrfField.FindStringSubmatch(body)
		if code != http.StatusOK || field == nil {
			t.Fatalf("request %d: %d %s", i, code, body)
		}
		// What the page of one has is good for a form that the other one gets.
		if code, body := form(f.replicas[(i+1)%2], api.ActionRun, url.Values{"csrf": {field[1]}, "reason": {"a test"}}); code != http.StatusSeeOther {
			t.Fatalf("form %d: %d %s", i, code, body)
		}
	}
	_, body := other.send(browser, "GET", "/", "", "")
	at, err := url.Parse(one.url)
	if err != nil {
		t.Fatal(err)
	}
	before := cookies.Cookies(at)
	if code, body := form(other, signin.SignOutPath, url.Values{"csrf": {csrfField.FindStringSubmatch(body)[1]}}); code != http.StatusSeeOther {
		t.Fatal(code, body)
	}
	cookies.SetCookies(at, before) // as whoever has stolen the cookie
	if code, body := one.send(browser, "GET", "/api/v1/status", "", ""); code != http.StatusOK && code != http.StatusUnauthorized {
		t.Fatal(code, body)
	}
	until(t, "the session has ended at the other replica as well", func() bool {
		code, _ := one.send(browser, "GET", "/api/v1/status", "", "")
		return code == http.StatusUnauthorized
	})
}
