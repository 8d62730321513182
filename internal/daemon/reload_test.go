package daemon

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/daemon/api"
)

// reloadable gives a world whose daemon reads its config file again, and a function
// that edits the file and asks for it.
func reloadable(t *testing.T, o worldOptions) (w *world, edit func(pairs ...string)) {
	t.Helper()
	w = newWorld(t, o)
	reload := make(chan struct{}, 1)
	w.opts.Load = func() (*config.Config, error) {
		cfg, _, err := config.Load(w.cfg.File, nil)
		return cfg, err
	}
	w.loop.reload = reload
	return w, func(pairs ...string) {
		t.Helper()
		data, err := os.ReadFile(w.cfg.File)
		if err != nil {
			t.Fatal(err)
		}
		for pair := range slices.Chunk(pairs, 2) {
			if !strings.Contains(string(data), pair[0]) {
				t.Fatalf("the config has no %q:\n%s", pair[0], data)
			}
		}
		text := strings.NewReplacer(pairs...).Replace(string(data))
		if err := os.WriteFile(w.cfg.File, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		reload <- struct{}{}
	}
}

// triggers are those of the runs so far, oldest first, with their results.
func (w *world) triggers() []string {
	var all []string
	for _, r := range slices.Backward(w.tracker.read(time.Now()).RecentRuns) {
		all = append(all, string(r.Trigger)+" "+string(r.Mode)+" "+string(r.Result))
	}
	return all
}

// All of the config is taken up after the run that goes on, and a run follows.
func TestReload(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, edit := reloadable(t, worldOptions{extra: "schedule: '@every 10m'\n"})
		w.tamper(emea, sso)
		w.fault("GET /api/v1/orgs delay=20s times=1")
		secret := filepath.Join(w.dir, "hook")
		if err := os.WriteFile(secret, []byte("a secret of the webhook that is long enough"), 0o600); err != nil {
			t.Fatal(err)
		}
		if code := ask(w.handler, "POST", "/hooks/git").Code; code != http.StatusNotFound {
			t.Errorf("a webhook without a secret: %d", code)
		}
		time.AfterFunc(5*time.Second, func() { // while the first run goes on
			edit("mode: report", "mode: apply", "@every 10m", "@every 20m", "path: orgs", "path: orgs, webhook: {secretFile: "+secret+"}")
		})
		time.AfterFunc(15*time.Second, func() {
			if mode := w.tracker.read(time.Now()).Mode; mode != "report" {
				t.Errorf("mode %s in the middle of a run", mode)
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 22*time.Minute)
		defer cancel()
		w.loop.serve(ctx)

		expectLines(t, "runs", w.triggers(), "start report drift", "reload apply applied", "schedule apply in-sync")
		s := w.tracker.read(time.Now())
		if s.Mode != "apply" || s.Schedule != "@every 20m" || s.Config.Refused != nil || !s.Config.Since.After(s.Started) {
			t.Errorf("status: mode %s, schedule %s, config %+v", s.Mode, s.Schedule, s.Config)
		}
		if code := ask(w.handler, "POST", "/hooks/git").Code; code != http.StatusForbidden {
			t.Errorf("the webhook answers %d", code)
		}
		w.expectMetrics(map[string]string{"reconciler_config_last_reload_successful": "1"})
		if n := len(w.log.lines(t, "the config was read again and is in force")); n != 1 {
			t.Errorf("logged %d times", n)
		}
	})
}

// A config that can't be taken up changes nothing, and says why until another is.
func TestReloadRefused(t *testing.T) {
	tests := []struct {
		name  string
		edit  []string
		words string
	}{
		{"a mistake", []string{"mode: report", "mode: aply"}, `"mode" must be`},
		{"several mistakes", []string{"mode: report", "mode: aply", "schedule: ", "shedule: "}, "(and 1 more)"},
		{"not YAML", []string{"mode: report", "mode: [", "path: orgs", "path: elsewhere"}, "reconciler.yaml:"},
		{"another account", []string{"accountID: 02", "accountID: 03", "mode: report", "mode: apply"}, "aerial.accountID"},
		{"another address", []string{"127.0.0.1:0", "127.0.0.1:1", "mode: report", "mode: apply"}, "http.address"},
		{"another state folder", []string{"mode: report", "state: {dir: /elsewhere}"}, "state.dir"},
		{"another place of tokens", []string{"mode: report", "tokens: {dir: /elsewhere}"}, "tokens.dir"},
		{"a key that isn't there", []string{"key.pem", "no.pem", "mode: report", "mode: apply"}, "no.pem"},
		{"a file that is no key", []string{"key.pem", "parent", "mode: report", "mode: apply"}, "aerial.auth.privateKeyFile"},
		{"a parent's token that isn't there", []string{"tokenFile: ", "tokenFile: /no"}, "/no"},
		{"a webhook without its secret", []string{"path: orgs", "path: orgs, webhook: {secretFile: /nowhere}"}, "/nowhere"},
		{"less than it takes", []string{"url: ", "# url: "}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w, edit := reloadable(t, worldOptions{extra: "schedule: '@every 10m'\n"})
				before, _ := os.ReadFile(w.cfg.File)
				time.AfterFunc(time.Minute, func() { edit(test.edit...) })
				time.AfterFunc(11*time.Minute, func() {
					s := w.tracker.read(time.Now())
					if s.Mode != "report" || s.Config.Refused == nil || !strings.Contains(s.Config.Refused.Error, test.words) {
						t.Errorf("mode %s, config %+v", s.Mode, s.Config.Refused)
					}
					if page := ask(w.handler, "GET", "/").Body.String(); !strings.Contains(page, "is refused") {
						t.Error("the page doesn't say so")
					}
					w.expectMetrics(map[string]string{"reconciler_config_last_reload_successful": "0"})
					if err := os.WriteFile(w.cfg.File, before, 0o600); err != nil {
						t.Error(err)
					}
					edit("mode: report", "mode: apply")
				})
				ctx, cancel := context.WithTimeout(t.Context(), 12*time.Minute)
				defer cancel()
				w.loop.serve(ctx)
				expectLines(t, "runs", w.triggers(), "start report in-sync", "schedule report in-sync", "reload apply in-sync")
				if s := w.tracker.read(time.Now()); s.Config.Refused != nil {
					t.Errorf("still refused: %+v", s.Config.Refused)
				}
			})
		})
	}
}

// What was read from another place is no fallback, and what was read from the same
// place stays one.
func TestReloadAndLastGood(t *testing.T) {
	for _, tt := range []struct {
		edit  []string
		moved bool
	}{
		{[]string{"mode: report", "mode: apply"}, false},
		{[]string{"path: orgs", "path: orgs, webhook: {secretFile: HOOK}"}, false},
		{[]string{"path: orgs", "path: orgs/orgs.yaml"}, true},
	} {
		bubble(t, func(t *testing.T) {
			w, edit := reloadable(t, worldOptions{extra: "schedule: '@every 10m'\n"})
			hook := filepath.Join(w.dir, "hook")
			if err := os.WriteFile(hook, []byte("a secret of the webhook that is long enough"), 0o600); err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(time.Minute, func() {
				w.commit("version: 1\norgs: [{domain: nonsense}]\n")
				edit(tt.edit[0], strings.Replace(tt.edit[1], "HOOK", hook, 1))
			})
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			w.loop.serve(ctx)
			last := *w.tracker.read(time.Now()).LastRun
			want := ResultInSync // as the last good one has it
			if tt.moved {
				want = ResultError
			}
			if last.Trigger != api.TriggerReload || last.Result != want {
				t.Errorf("%s: %s %s", tt.edit[1], last.Trigger, last.Result)
			}
		})
	}
}
