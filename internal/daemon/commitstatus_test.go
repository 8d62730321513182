package daemon

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/daemon/api"
	"reconciler/internal/diff"
	"reconciler/internal/git/forge"
	"reconciler/internal/git/forge/forgetest"
	"reconciler/internal/reconcile"
)

// forgeToken is a secret that must appear nowhere.
const forgeToken = "ghp_canary0123456789canary0123456789abcd"

// reporting is a world that reports on its commits.
type reporting struct {
	*world
	server *forgetest.Server
}

// newReporting makes a world in which a stand-in knows of the commits. The
// stand-in listens, so it is made outside of the bubble.
func newReporting(t *testing.T, server *forgetest.Server, provider, repository, mode string) *reporting {
	t.Helper()
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte(forgeToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := worldOptions{mode: mode, git: fmt.Sprintf(
		"status: {provider: %s, repository: %s, url: %q, tokenFile: %s, targetURL: 'https://status.acme.example/'}", provider, repository, server.URL, token)}
	r := &reporting{newWorld(t, o), server}
	r.reach()
	return r
}

// reach has the daemon find the stand-in without a network, which would stop the
// bubble's clock.
func (r *reporting) reach() {
	r.t.Helper()
	var err error
	if r.runner.commitReporter, err = newCommitReporter(r.cfg, r.log.logger(), r.server.Transport()); err != nil {
		r.t.Fatal(err)
	}
}

// push commits, and tells the stand-in.
func (r *reporting) push(manifest string) string {
	r.t.Helper()
	c := r.commit(manifest)
	r.server.AddCommit(c)
	return c
}

// expectStatuses checks all that was ever reported on a commit.
func (r *reporting) expectStatuses(commit string, want ...string) {
	r.t.Helper()
	var got []string
	for _, s := range r.server.Statuses(commit) {
		if s.Context != "reconciler" || s.TargetURL != "https://status.acme.example/" {
			r.t.Errorf("status %+v", s)
		}
		got = append(got, s.State+" "+s.Description)
	}
	expectLines(r.t, "statuses of "+commit[:12], got, want...)
}

// A commit is reported on when there is something else to say of it, and then
// only; a new process says nothing twice.
func TestCommitStatus(t *testing.T) {
	gh := forgetest.NewGitHub(t, "acme/orgs")
	gh.AddToken(forgeToken, forgetest.GitHubToken{Login: "ada", Statuses: true})
	bubble(t, func(t *testing.T) {
		r := newReporting(t, gh.Server, "github", "acme/orgs", "report")
		first := r.push(inSync)
		for range 2 {
			r.expect(ResultInSync)
			r.expectStatuses(first, "success in sync")
		}
		calls := len(r.server.Calls())
		r.expect(ResultInSync)
		if n := len(r.server.Calls()); n != calls {
			t.Errorf("%d calls with nothing to say", n-calls)
		}

		r.tamper(emea, sso)
		for range 2 {
			r.expect(ResultDrift)
			r.expectStatuses(first, "success in sync", "failure drift: 1 change")
		}
		r.restart()
		r.reach()
		r.expect(ResultDrift)
		r.expectStatuses(first, "success in sync", "failure drift: 1 change")

		// What is refused is said of the commit that is, whatever drifts.
		bad := r.push("version: 1\nnonsense: 1\n")
		for range 2 {
			r.expect(ResultDrift)
			r.expectStatuses(bad, `error refused, the last good commit stays in force: orgs/orgs.yaml:2:1: unknown key "nonsense": allowed here are account, baselines, defaults, or…`)
		}
		r.expectStatuses(first, "success in sync", "failure drift: 1 change")
		r.restart() // now there is no good one
		r.reach()
		r.expect(ResultError)
		if all := r.server.Statuses(bad); len(all) != 2 || !strings.HasPrefix(all[1].Description, "error: orgs/orgs.yaml:2:1: ") {
			t.Errorf("statuses %+v", all)
		}

		second := r.push(manifest(t, "[sso, mfa]", "[sso]"))
		r.expect(ResultInSync)
		r.expectStatuses(second, "success in sync")
		expectLines(t, "warnings", messages(r.world, "WARN", "status"))
	})
}

// messages returns what was logged at a level about something.
func messages(w *world, level, about string) []string {
	var all []string
	for _, l := range w.log.lines(w.t, "") {
		if msg := fmt.Sprint(l["msg"]); l["level"] == level && strings.Contains(msg, about) {
			all = append(all, msg)
		}
	}
	return all
}

// What was applied is in sync, unless something is left.
func TestCommitStatusInApplyMode(t *testing.T) {
	gl := forgetest.NewGitLab(t, "acme/okta/orgs", 7)
	gl.AddToken(forgeToken, forgetest.GitLabToken{Login: "ada", Scopes: []string{"api"}, Developer: true})
	bubble(t, func(t *testing.T) {
		r := newReporting(t, gl.Server, "gitlab", "acme/okta/orgs", "apply")
		first := r.push(manifest(t, "[sso, mfa]", "[sso]"))
		r.expect(ResultApplied)
		r.tamper(emea, sso, mfa)
		r.expect(ResultApplied)
		r.expect(ResultInSync)
		r.expectStatuses(first, "success in sync")

		// 403 comes with another id each time, and is told once.
		r.tamper(emea, sso, mfa)
		r.fault("PUT /api/v1/** status=403")
		for range 3 {
			r.expect(ResultPartial)
		}
		r.sim.ClearFaults()
		r.expectStatuses(first, "success in sync", "failed partly done: 1 change failed")
		r.fault("* /api/v1/** status=403")
		for range 3 {
			r.expect(ResultError)
		}
		if all := r.server.Statuses(first); len(all) != 3 || all[2].State != "failed" || !strings.HasPrefix(all[2].Description, "error: ") {
			t.Errorf("statuses %+v", all)
		}
		r.restart()
		r.reach()
		r.expect(ResultError)
		r.sim.ClearFaults()
		r.expect(ResultApplied)
		if all := r.server.Statuses(first); len(all) != 4 || all[3].State != "success" {
			t.Errorf("statuses %+v", all)
		}

		second := r.push(manifest(t, "products: [sso, mfa]}", "products: [], mode: report}"))
		r.tamper(labs, sso, lcm)
		s := r.expect(ResultApplied)
		r.expectStatuses(second, "failed drift: 1 change, 1 of them blocked")
		if !s.LastRun.Left() {
			t.Errorf("run %+v", s.LastRun)
		}
		r.expect(ResultDrift)
		r.expectStatuses(second, "failed drift: 1 change, 1 of them blocked")
	})
}

// A server that fails is told of once; the run is none the worse for it, and the
// next one tries again.
func TestCommitStatusFails(t *testing.T) {
	gh := forgetest.NewGitHub(t, "acme/orgs")
	gh.AddToken(forgeToken, forgetest.GitHubToken{Login: "ada"})
	bubble(t, func(t *testing.T) {
		r := newReporting(t, gh.Server, "github", "acme/orgs", "report")
		first := r.push(inSync)
		for range 3 {
			if s := r.expect(ResultInSync); s.LastRun.Problem != nil || !s.Ready {
				t.Errorf("run %+v", s.LastRun)
			}
		}
		told := r.log.lines(t, "the commit's status could not be reported; the next run tries again")
		if len(told) != 1 || told[0]["hint"] == "" || told[0]["of"] != first || !strings.Contains(fmt.Sprint(told[0]["error"]), "403") {
			t.Errorf("told: %v", told)
		}
		r.expectStatuses(first)
		gh.AddToken(forgeToken, forgetest.GitHubToken{Login: "ada", Statuses: true})
		r.expect(ResultInSync)
		r.expectStatuses(first, "success in sync")

		// One that hangs holds up the next run, but not for ever.
		r.tamper(emea, sso)
		gh.Fail(forgetest.Fault{Status: 503, Header: http.Header{"Retry-After": {"60"}}, Times: 99})
		began := time.Now()
		r.expect(ResultDrift)
		if took := time.Since(began); took > reportTimeout {
			t.Errorf("took %s", took)
		}
		for what, text := range map[string]string{
			"the log": r.log.String(), "the status": ask(r.handler, "GET", "/api/v1/status").Body.String(), "the page": ask(r.handler, "GET", "/").Body.String(),
		} {
			if strings.Contains(text, "canary") {
				t.Errorf("%s has the token", what)
			}
		}
	})
}

// Statuses that can't be read are no reason not to report one.
func TestCommitStatusThatCannotBeRead(t *testing.T) {
	for name, fault := range map[string]forgetest.Fault{
		"not allowed":   {Status: 403, Body: `{"message":"no"}`},
		"not there":     {Status: 404, Body: `{"message":"no"}`},
		"in trouble":    {Status: 502, Body: "{}"},
		"in trouble on": {Status: 503, Header: http.Header{"Retry-After": {"60"}}, Body: "{}"},
		"dropped":       {Drop: true},
		"no JSON":       {Status: 200, Body: "<p>"},
	} {
		t.Run(name, func(t *testing.T) {
			gh := forgetest.NewGitHub(t, "acme/orgs")
			gh.AddToken(forgeToken, forgetest.GitHubToken{Login: "ada", Statuses: true})
			fault.Method, fault.Times = "GET", 99
			gh.Fail(fault)
			bubble(t, func(t *testing.T) {
				r := newReporting(t, gh.Server, "github", "acme/orgs", "report")
				first := r.push(inSync)
				for range 2 {
					r.expect(ResultInSync)
					r.expectStatuses(first, "success in sync")
				}
				r.restart()
				r.reach()
				r.expect(ResultInSync)
				r.expectStatuses(first, "success in sync", "success in sync")
				expectLines(t, "warnings", messages(r.world, "WARN", "status"))
			})
		})
	}
}

// A daemon that is stopped has nothing to say, and no warning either.
func TestCommitStatusWhenStopped(t *testing.T) {
	gh := forgetest.NewGitHub(t, "acme/orgs")
	gh.AddToken(forgeToken, forgetest.GitHubToken{Login: "ada", Statuses: true})
	bubble(t, func(t *testing.T) {
		r := newReporting(t, gh.Server, "github", "acme/orgs", "report")
		first := r.push(inSync)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r.runCtx(ctx)
		r.runner.commitReporter.report(ctx, &api.RunRecord{Commit: first, Result: ResultInSync, Summary: &diff.Summary{}})
		r.expectStatuses(first)
		expectLines(t, "warnings", messages(r.world, "WARN", "status"))
	})
}

// The API of a server of one's own is trusted by git.auth.caFile, and asked with
// a token of the app where there is no other.
func TestCommitStatusThroughPrivateCA(t *testing.T) {
	gh := forgetest.NewGitHub(t, "acme/orgs")
	srv := httptest.NewUnstartedServer(gh.Server)
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.StartTLS()
	defer srv.Close()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	gh.AddApp("123", "45", &key.PublicKey, forgetest.GitHubToken{Login: "reconciler[bot]", Statuses: true})
	commit := strings.Repeat("ab", 20)
	gh.AddCommit(commit)

	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	ca := write("ca.pem", "CERTIFICATE", srv.Certificate().Raw)
	app := write("app.pem", "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
	file := filepath.Join(dir, "reconciler.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, `git:
  url: %s/acme/orgs.git
  auth:
    caFile: %s
    githubApp: {appID: 123, installationID: 45, privateKeyFile: %s}
  status: {provider: github}
`, srv.URL, ca, app), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, _, err := config.Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	log := &logBuffer{}
	rec := &api.RunRecord{Commit: commit, Result: ResultInSync, Summary: &diff.Summary{}}
	tell := func() {
		t.Helper()
		commitReporter, err := newCommitReporter(cfg, log.logger(), nil)
		if err != nil {
			t.Fatal(err)
		}
		commitReporter.report(t.Context(), rec)
	}
	tell()
	if all := gh.Statuses(commit); len(all) != 1 || all[0].State != "success" || all[0].Creator != "reconciler[bot]" {
		t.Errorf("statuses %+v, log:\n%s", all, log)
	}
	cfg.Git.Auth.CAFile = ""
	log.reset()
	tell()
	if told := log.lines(t, "the commit's status could not be reported; the next run tries again"); len(told) != 1 || !strings.Contains(fmt.Sprint(told[0]["error"]), "certificate") {
		t.Errorf("without the authority: %v", told)
	}
}

func TestVerdicts(t *testing.T) {
	summary := func(changes, blocked, unfixable, unknown int) *diff.Summary {
		return &diff.Summary{Changes: changes, Blocked: blocked, Unfixable: unfixable, Unknown: unknown}
	}
	problem := &reconcile.Problem{Error: "boom"}
	tests := []struct {
		name  string
		rec   api.RunRecord
		about string
		state forge.State
		words string
	}{
		{"in sync", api.RunRecord{Commit: "a", Result: ResultInSync, Summary: summary(0, 0, 0, 0)}, "a", forge.Success, "in sync"},
		{"applied", api.RunRecord{Commit: "a", Result: ResultApplied, Summary: summary(2, 0, 0, 0), Changes: api.Changes{Applied: 2}}, "a", forge.Success, "in sync"},
		{"applied but for", api.RunRecord{Commit: "a", Result: ResultApplied, Summary: summary(3, 1, 1, 0), Changes: api.Changes{Applied: 2, Blocked: 1}}, "a", forge.Failure, "drift: 1 change, 1 of them blocked, 1 unfixable"},
		{"drift", api.RunRecord{Commit: "a", Result: ResultDrift, Summary: summary(3, 0, 0, 0)}, "a", forge.Failure, "drift: 3 changes"},
		{"unfixable", api.RunRecord{Commit: "a", Result: ResultDrift, Summary: summary(0, 0, 2, 0)}, "a", forge.Failure, "drift: 2 unfixable"},
		{"partial", api.RunRecord{Commit: "a", Result: ResultPartial, Summary: summary(3, 0, 0, 1), Changes: api.Changes{Failed: 1, Skipped: 2}}, "a", forge.Errored, "partly done: 1 change failed, 2 changes skipped, 1 org not readable"},
		{"guard", api.RunRecord{Commit: "a", Result: ResultRefused, Summary: summary(3, 0, 0, 0), Problem: problem}, "a", forge.Errored, "not applied: boom"},
		{"error", api.RunRecord{Commit: "a", Result: ResultError, Problem: problem}, "a", forge.Errored, "error: boom"},
		{"stopped", api.RunRecord{Commit: "a", Result: ResultInterrupted}, "", "", ""},
		{"local folder", api.RunRecord{Result: ResultInSync, Summary: summary(0, 0, 0, 0)}, "", forge.Success, "in sync"},
		{"git away", api.RunRecord{Commit: "a", Result: ResultInSync, Stale: &api.Stale{Problem: *problem}}, "", "", ""},
		{"refused", api.RunRecord{Commit: "a", Result: ResultInSync, Stale: &api.Stale{Problem: *problem, Refused: true, Commit: "b"}}, "b", forge.Errored, "refused, the last good commit stays in force: boom"},
	}
	for _, tc := range tests {
		about, v := commitStateOf(&tc.rec)
		if about != tc.about || v.state != tc.state || v.String() != tc.words {
			t.Errorf("%s: of %q: %s %q", tc.name, about, v.state, v)
		}
	}
}
