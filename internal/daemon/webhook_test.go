package daemon

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"reconciler/internal/daemon/api"
)

// hookSecret is a secret that must appear nowhere.
const hookSecret = "canary-of-the-webhook"

// hooked says in a config that there is a webhook.
func hooked(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(hookSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return "webhook: {secretFile: " + file + "}"
}

// push is GitHub's announcement that a ref is at a commit now.
func push(t *testing.T, url, ref, commit, secret string) *http.Request {
	t.Helper()
	body := fmt.Sprintf(`{"ref":%q,"after":%q}`, ref, commit)
	r, err := http.NewRequest(http.MethodPost, url+"/hooks/git", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, []byte(secret))
	io.WriteString(mac, body)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-GitHub-Event", "push")
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	return r
}

const mainBranch = "refs/heads/main"

// announce tells the daemon of a push and checks how it answers.
func (w *world) announce(t *testing.T, code int, ref, commit, secret string) {
	t.Helper()
	rec := httptest.NewRecorder()
	r := push(t, "http://localhost", ref, commit, secret)
	r.RemoteAddr = "192.0.2.1:1234"
	w.handler.ServeHTTP(rec, r)
	if rec.Code != code {
		t.Errorf("a push to %s: %d %s, want %d", ref, rec.Code, rec.Body, code)
	}
}

// Without a secret there is no such endpoint.
func TestNoWebhookWithoutSecret(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		w.announce(t, 404, mainBranch, strings.Repeat("a", 40), "")
		w.announce(t, 404, mainBranch, strings.Repeat("a", 40), hookSecret)
		if got := ask(w.handler, "GET", "/hooks/git"); got.Code != 404 {
			t.Errorf("GET: %d", got.Code)
		}
	})
}

// A push is looked at without waiting for the schedule. However many come at the
// same time, there is one run; those that come while it goes on, and repeats, find
// git as it was, and Okta is not asked again.
func TestWebhook(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{mode: "apply", git: hooked(t), extra: "schedule: '0 * * * *'\n", latency: 10 * time.Second})
		start := time.Now() // midnight, UTC
		commit := func(i int) string { return fmt.Sprintf("%040x", i) }
		time.AfterFunc(10*time.Minute, func() {
			head := w.commit(manifest(t, "[sso, mfa]", "[sso, mfa, lcm]"))
			w.announce(t, 202, mainBranch, head, hookSecret)
			for i := range 50 {
				w.announce(t, 202, mainBranch, commit(1+i), hookSecret)
			}
		})
		time.AfterFunc(10*time.Minute+5*time.Second, func() { // while that run goes on
			for i := range 50 {
				w.announce(t, 202, mainBranch, commit(100+i), hookSecret)
			}
		})
		var calls atomic.Int64
		time.AfterFunc(13*time.Minute, func() { calls.Store(int64(len(w.sim.Requests()))) })
		time.AfterFunc(59*time.Minute, func() {
			if n := int64(len(w.sim.Requests())) - calls.Load(); n != 0 {
				t.Errorf("%d calls for pushes that moved nothing", n)
			}
		})
		time.AfterFunc(14*time.Minute, func() { // nothing of it starts a run
			w.announce(t, 202, mainBranch, commit(100), hookSecret)
			w.announce(t, 202, "refs/heads/other", commit(200), hookSecret)
			w.announce(t, 202, "refs/tags/main", commit(200), hookSecret)
			w.announce(t, 403, mainBranch, commit(201), "guessed")
			w.announce(t, 403, mainBranch, commit(201), "")
		})
		time.AfterFunc(30*time.Minute, func() { // somebody has it delivered again
			w.announce(t, 202, mainBranch, commit(100), hookSecret)
		})
		ctx, cancel := context.WithTimeout(t.Context(), 61*time.Minute)
		defer cancel()
		w.loop.serve(ctx)

		s := w.tracker.read(time.Now())
		var got []string
		for _, r := range slices.Backward(s.RecentRuns) {
			got = append(got, fmt.Sprintf("%s %s %s", r.Started.Sub(start).Truncate(time.Minute), r.Trigger, r.Result))
		}
		expectLines(t, "runs", got, "0s start in-sync", "10m0s webhook applied", "1h0m0s schedule in-sync")
		if n := len(w.log.lines(t, "a push was announced, and git is as it was: nothing to do")); n != 3 {
			t.Errorf("%d announcements left git as it was, want 3", n)
		}
		for i, r := range s.RecentRuns[1:] {
			if s.RecentRuns[i].Started.Before(r.Finished) {
				t.Errorf("run %s began before the end of run %s", s.RecentRuns[i].ID, r.ID)
			}
		}
		expectLines(t, emea, w.products(emea), sso, mfa, lcm)
		w.expectMetrics(map[string]string{
			`reconciler_webhooks_total{result="accepted"}`: "103",
			`reconciler_webhooks_total{result="ignored"}`:  "2",
			`reconciler_webhooks_total{result="refused"}`:  "2",
		})
		refused := w.log.lines(t, "refused a request to the webhook")
		if len(refused) != 1 || refused[0]["from"] != "192.0.2.1" || refused[0]["reason"] == "" {
			t.Errorf("told: %v", refused)
		}
		if strings.Contains(w.log.String(), "canary") {
			t.Error("the log has the secret")
		}
	})
}

// A commit that the config names never moves, so nothing that is pushed matters.
func TestWebhookOfFixedCommit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := worldOptions{git: hooked(t)}
		w := newWorld(t, o)
		head := w.commit(inSync)
		o.git += ", commit: " + head
		w.reload(o)
		for _, ref := range []string{"", head, mainBranch} {
			w.announce(t, 202, ref, head, hookSecret)
		}
		w.expectMetrics(map[string]string{
			`reconciler_webhooks_total{result="accepted"}`: "0",
			`reconciler_webhooks_total{result="ignored"}`:  "3",
		})
	})
}

// Over a socket, with the check of hosts before it.
func TestWebhookServed(t *testing.T) {
	s := startDaemon(t, worldOptions{mode: "apply", git: hooked(t), extra: "schedule: '@daily'\n"})
	until(t, "it is ready", func() bool { code, _ := s.get("/readyz"); return code == 200 })
	head := s.commit(manifest(t, "[sso, mfa]", "[sso, mfa, lcm]"))
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	send := func(host string) int {
		t.Helper()
		r := push(t, s.url, mainBranch, head, hookSecret)
		if host != "" {
			r.Host = host
		}
		resp, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if code := send("evil.example"); code != 421 {
		t.Errorf("another host: %d", code)
	}
	if code := send(""); code != 202 {
		t.Errorf("this host: %d", code)
	}
	until(t, "the push is looked at", func() bool { return slices.Equal(s.products(emea), []string{sso, mfa, lcm}) })
	until(t, "its run is told", func() bool { // some time after its last write
		status, err := api.FetchStatus(t.Context(), s.url)
		return err == nil && len(status.RecentRuns) == 2 && status.RecentRuns[0].Trigger == api.TriggerWebhook
	})
	s.stop()
	s.wait()
}
