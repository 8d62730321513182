package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/daemon/api"
	"reconciler/internal/daemon/notify"
	"reconciler/internal/freeze"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/reconcile"
	"reconciler/internal/store/history"
	"reconciler/internal/store/journal"
)

// listener is a receiver of notifications, at the end of a network in memory.
type listener struct {
	t    testing.TB
	w    *world
	down bool
	// hangs makes it never answer; hung counts how often it didn't.
	hangs bool
	hung  int
	got   []notify.Message
}

// RoundTrip takes a message.
func (l *listener) RoundTrip(req *http.Request) (*http.Response, error) {
	if l.down {
		return nil, errors.New("nobody listens")
	}
	if l.hangs {
		l.hung++
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	body, err := io.ReadAll(req.Body)
	var m notify.Message
	if err == nil {
		err = json.Unmarshal(body, &m)
	}
	if err != nil {
		return nil, err
	}
	l.got = append(l.got, m)
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: req, Header: http.Header{}}, nil
}

// newListener makes a world with a state folder whose config has the listener as its only
// receiver.
func newListener(t *testing.T, o worldOptions) *listener {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "url")
	if err := os.WriteFile(file, []byte("https://hooks.acme.example/canary\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.latency = time.Millisecond // what happens later has a later time
	o.extra += fmt.Sprintf("state: {dir: %s}\ntokens: {dir: %s}\nnotify: [{type: webhook, urlFile: %s}]\n", filepath.Join(dir, "state"), filepath.Join(dir, "tokens"), file)
	l := &listener{t: t, w: newWorld(t, o)}
	l.attach()
	return l
}

// attach has the daemon send to the listener.
func (l *listener) attach() {
	l.t.Helper()
	receivers, err := notify.Receivers(l.w.cfg.Notify)
	if err != nil {
		l.t.Fatal(err)
	}
	if err := l.w.sender.Close(); err != nil {
		l.t.Fatal(err)
	}
	l.w.sender = notify.New(notify.Options{State: reconcile.StateOf(l.w.cfg), Logger: l.w.log.logger(), Transport: l})
	l.w.sender.Use(receivers)
	l.w.runner.telling.use(l.w.cfg, l.w.sender)
}

func (l *listener) restart() {
	l.t.Helper()
	l.w.restart()
	l.attach()
}

// hears checks which messages have come since it was called last: their events, each in a
// line that begins as given.
func (l *listener) hears(want ...string) []notify.Event {
	l.t.Helper()
	l.got = nil
	l.w.sender.Flush(l.t.Context())
	var all []notify.Event
	var got []string
	for i := range l.got {
		for k := range l.got[i].Events {
			e := &l.got[i].Events[k]
			all = append(all, *e)
			got = append(got, strings.TrimSpace(string(e.Type)+" "+e.Org+" "+e.Field+" "+string(e.Before)+"→"+string(e.After)+" "+e.By))
		}
	}
	if !slices.EqualFunc(got, want, strings.HasPrefix) || len(want) > 0 && len(l.got) != 1 {
		l.t.Errorf("%d messages:\n got %q\nwant %q", len(l.got), got, want)
	}
	return all
}

// Drift by another admin is told once, with who it was and where to read more, and so is
// its end, whichever process finds out.
func TestDriftIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newListener(t, worldOptions{})
		w := l.w
		w.cfg.HTTP.URL = &url.URL{Scheme: "https", Host: "reconciler.acme.example"}
		l.restart()
		w.commit(manifest(t, "products: [sso, mfa]", "products: [sso, mfa], owner: emea@acme.example, labels: {tier: gold}"))
		w.expect(ResultInSync)
		l.hears()
		time.Sleep(time.Minute)
		w.tamper(emea, sso)
		time.Sleep(time.Minute)
		began := time.Now()
		rec, _ := w.run()
		e := l.hears(`drift acme-emea.okta.com products ["P000052","P000131"]→["P000052"] mallory@acme.example`)[0]
		if e.Owner != "emea@acme.example" || e.Labels["tier"] != "gold" || e.Since == nil || e.Since.Before(began) ||
			e.Commit != rec.Commit || e.Link != "https://reconciler.acme.example/orgs/acme-emea.okta.com" || e.Message != "products differs; repair: enable mfa (P000131)" {
			t.Errorf("%+v", e)
		}
		if m := l.got[0]; m.Run != rec.ID || m.Account != simulator.DefaultAccount || m.Link != "https://reconciler.acme.example/runs/"+rec.ID {
			t.Errorf("%+v", m)
		}
		w.expect(ResultDrift)
		l.restart()
		w.expect(ResultDrift)
		l.hears()

		w.tamper(emea, sso, mfa)
		w.expect(ResultInSync)
		l.restart()
		w.expect(ResultInSync)
		l.hears(`repaired acme-emea.okta.com products ["P000052"]→["P000052","P000131"]`)
	})
}

// What is repaired in the run that finds it is told as well; what the manifests change is
// not, and a receiver that is down gets it all later.
func TestRepairsAreTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newListener(t, worldOptions{mode: "apply"})
		w := l.w
		w.expect(ResultInSync)
		w.commit(manifest(t, "shop.okta.com, cell: ok1, status: ACTIVE, products: [sso]", "shop.okta.com, cell: ok1, status: ACTIVE, products: [sso, mfa]"))
		w.expect(ResultApplied)
		l.hears()
		w.tamper(emea, sso)
		l.down = true
		time.Sleep(time.Minute)
		w.expect(ResultApplied)
		l.hears()
		l.down = false
		l.restart()
		w.expect(ResultInSync)
		l.hears(
			`drift acme-emea.okta.com products ["P000052","P000131"]→["P000052"] mallory@acme.example`,
			`repaired acme-emea.okta.com products ["P000052"]→["P000052","P000131"] reconciler (run `,
		)

		// The process is killed after its changes, and before it can tell of them.
		w.tamper(labs, sso, lcm)
		w.runner.telling.to = nil
		w.expect(ResultApplied)
		l.restart()
		w.expect(ResultInSync)
		l.hears(
			`drift acme-labs.okta.com products ["P000052"]→["P000052","P000139"] mallory@acme.example`,
			`repaired acme-labs.okta.com products ["P000052","P000139"]→["P000052"] reconciler (run `,
		)
	})
}

// Without a state folder, a process tells of what it has found itself.
func TestRepairsAreToldFromMemory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newListener(t, worldOptions{mode: "apply"})
		w := l.w
		w.cfg.State.Dir = ""
		l.restart()
		w.expect(ResultInSync)
		w.commit(manifest(t, "products: [sso, mfa]", "products: [sso, lcm]"))
		w.expect(ResultApplied)
		l.hears()
		w.tamper(labs, sso, lcm)
		w.expect(ResultApplied)
		w.expect(ResultInSync)
		l.hears(`drift acme-labs.okta.com products`, `repaired acme-labs.okta.com products ["P000052","P000139"]→["P000052"] reconciler`)
	})
}

// Failures are told once, and that they are over.
func TestFailuresAreTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newListener(t, worldOptions{})
		w := l.w
		w.fault("GET /api/v1/orgs status=403")
		w.expect(ResultError)
		if e := l.hears(`failed   null→"error"`)[0]; !strings.HasPrefix(e.Message, "the run failed: error: ") || e.Hint == "" {
			t.Errorf("%+v", e)
		}
		l.restart()
		w.expect(ResultError)
		l.hears()
		w.sim.ClearFaults()
		w.commit("version: 1\norgs: 5\n")
		w.expect(ResultError)
		l.hears()
		w.commit(inSync)
		w.expect(ResultInSync)
		l.hears(`recovered   "error"→"in-sync"`)

		bad := w.commit("version: 1\norgs: 5\n")
		w.expectStale(ResultInSync, "orgs")
		w.expectStale(ResultInSync, "orgs")
		if e := l.hears("stale  manifests")[0]; e.Commit != bad {
			t.Errorf("%+v", e)
		}
		w.commit(inSync)
		w.expect(ResultInSync)
		l.hears("recovered  manifests")
	})
}

// A guard that refuses the plan is told once, and when it no longer does.
func TestRefusalsAreTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newListener(t, worldOptions{mode: "apply", extra: "guards: {maxDestructiveOrgs: 0}\n"})
		w := l.w
		w.commit(manifest(t, "products: [sso, mfa]", "products: [sso]"))
		w.expect(ResultRefused)
		w.expect(ResultRefused)
		l.hears("refused  maxDestructiveOrgs", "drift acme-emea.okta.com products")
		w.commit(inSync)
		w.expect(ResultInSync)
		l.hears("recovered  maxDestructiveOrgs", "repaired acme-emea.okta.com products")
	})
}

// New orgs are told with their id and the place of their token, and never with the token.
func TestNewOrgsAreTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newListener(t, worldOptions{mode: "apply"})
		w := l.w
		w.commit(creating)
		w.expect(ResultApplied)
		org, _ := w.sim.Org(made)
		e := l.hears("onboarded acme-made.okta.com exists null→\"" + org.ID + `" reconciler (run `)[0]
		if e.Message != fmt.Sprintf("the org was created: %q, %s; its token is in %s", "Made", org.ID, w.cfg.Tokens.Dir) || strings.Contains(fmt.Sprint(l.got), org.Tokens[0]) {
			t.Errorf("%+v", e)
		}
		w.expect(ResultInSync)
		l.hears()
	})
}

func TestLostTokensAreTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newListener(t, worldOptions{mode: "apply"})
		w := l.w
		w.fault("POST /api/v1/orgs cut after times=1 api=org")
		w.commit(creating)
		w.expect(ResultPartial)
		l.hears(`failed`, "drift acme-made.okta.com exists", "drift acme-made.okta.com linked", "drift acme-made.okta.com products")
		w.expect(ResultApplied)
		l.hears(`recovered`, "token-lost acme-made.okta.com", "repaired acme-made.okta.com products", "repaired acme-made.okta.com linked", "repaired acme-made.okta.com exists", "onboarded acme-made.okta.com")
		w.expect(ResultInSync)
		l.restart()
		w.expect(ResultInSync)
		l.hears()
	})
}

func TestLimitsAreTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newListener(t, worldOptions{mode: "apply"})
		w := l.w
		limited := strings.Replace(inSync, "mfa: P000131", "mfa: {id: P000131, limit: 1}", 1)
		w.commit(limited)
		w.expect(ResultInSync)
		l.hears()
		w.commit(strings.Replace(limited, "labs.okta.com, cell: ok1, status: ACTIVE, products: [sso]", "labs.okta.com, cell: ok1, status: ACTIVE, products: [sso, mfa]", 1))
		w.expect(ResultApplied)
		w.expect(ResultInSync)
		if e := l.hears("limit  P000131 1→2")[0]; e.Message != `product "mfa" (P000131) is past its limit: declared for 2 orgs, live in 1, not counting inactive ones; its limit is 1` {
			t.Error(e.Message)
		}
		w.commit(limited)
		w.expect(ResultApplied)
		w.expect(ResultInSync)
		l.hears("limit  P000131 1→1")
	})
}

// What an org has that can't be read is not gone.
func TestUnreadOrgsKeepALimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newListener(t, worldOptions{})
		w := l.w
		w.commit(strings.Replace(inSync, "mfa: P000131", "mfa: {id: P000131, limit: 1}", 1))
		w.expect(ResultInSync)
		w.tamper(labs, sso, mfa)
		w.expect(ResultDrift)
		l.hears("drift acme-labs.okta.com products", "limit  P000131 1→2")
		org, _ := w.sim.Org(labs)
		w.fault("GET /api/v1/orgs/" + org.ID + "/products status=403")
		w.expect(ResultPartial)
		l.hears("failed")
		w.sim.ClearFaults()
		w.expect(ResultDrift)
		l.hears("recovered")
	})
}

// A receiver that hangs makes no run later: beside it, runs begin and end when they do
// beside one that answers at once, and the status is there at any time.
func TestHangingReceiverDelaysNoRun(t *testing.T) {
	times := func(hangs bool) (all []string) {
		bubble(t, func(t *testing.T) {
			l := newListener(t, worldOptions{mode: "apply", extra: "schedule: '@every 1m'\n"})
			l.hangs = hangs
			w, began := l.w, time.Now()
			for i := range 9 {
				at := time.Duration(i)*time.Minute + 20*time.Second
				time.AfterFunc(at, func() { w.tamper(emea, sso) })
				time.AfterFunc(at+50*time.Second, func() { // while a message is in flight
					asked := time.Now()
					s := w.tracker.read(asked)
					if r := s.Receivers[0]; hangs != (r.Queued > 0) || time.Since(asked) > 0 {
						t.Errorf("hangs %v: %+v after %v", hangs, r, time.Since(asked))
					}
				})
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute-time.Second)
			defer cancel()
			w.lead(ctx)
			if w.leads != nil || hangs != (l.hung > 5) || hangs == (len(l.got) > 0) {
				t.Errorf("hangs %v: %d tries, %d messages", hangs, l.hung, len(l.got))
			}
			for _, r := range w.tracker.read(time.Now()).RecentRuns {
				all = append(all, fmt.Sprintf("%s to %s: %s", r.Started.Sub(began), r.Finished.Sub(began), r.Result))
			}
		})
		return all
	}
	prompt, hanging := times(false), times(true)
	if len(prompt) < 9 || !slices.Equal(prompt, hanging) {
		t.Errorf("with one that answers:\n%s\nwith one that hangs:\n%s", strings.Join(prompt, "\n"), strings.Join(hanging, "\n"))
	}
}

// Who was replaced during a run leaves it to the other daemon to tell what is new.
func TestReplacedTellsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{extra: "state: {dir: " + t.TempDir() + "}\n"})
		lead, err := w.runner.r.Lead()
		if err != nil {
			t.Fatal(err)
		}
		defer lead.End()
		k := &kept{}
		w.runner.telling.to = k
		w.tamper(emea, sso)
		w.expect(ResultDrift)
		if got := k.types(); !slices.Equal(got, []notify.Type{notify.Drift}) {
			t.Errorf("told %q", got)
		}
		if err := os.Remove(filepath.Join(w.cfg.State.Dir, "leader.lock")); err != nil {
			t.Fatal(err)
		}
		k.told = nil // so that there is something to tell
		w.runner.tell(nil)
		w.runner.tell(&api.RunRecord{ID: "r1", Result: ResultError})
		if got := k.types(); len(got) != 0 {
			t.Errorf("told %q", got)
		}
	})
}

// A suspension is told when it begins, before it ends, and when it has ended, by whom, and
// without a run.
func TestSuspensionsAreTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newListener(t, worldOptions{})
		w := l.w
		w.expect(ResultInSync)
		other := journal.New(reconcile.StateOf(w.cfg), journal.Options{})
		defer other.Close()
		past := history.New(reconcile.StateOf(w.cfg), history.Options{})
		defer past.Close()
		did := func(action, by, id string) {
			t.Helper()
			if _, err := past.Add(history.Entry{Type: history.TypeOperator, Action: action, By: by, Outcome: id}); err != nil {
				t.Fatal(err)
			}
		}
		made, err := other.Suspend(freeze.Suspension{Reason: "load test", Owner: "ada", Orgs: []string{emea}, Until: time.Now().Add(4 * time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		did("suspend", "bob@ops1", made.ID)
		w.loop.look()
		w.loop.look()
		if e := l.hears("suspension acme-emea.okta.com " + made.ID + " null→{")[0]; e.By != "bob@ops1" || !strings.Contains(e.Message, `suspended by "ada" until 2000-01-01T04:00:01Z: load test`) {
			t.Errorf("%+v", e)
		}
		time.Sleep(2 * time.Hour)
		w.loop.look()
		l.hears()
		time.Sleep(time.Hour)
		w.loop.look()
		if e := l.hears("suspension acme-emea.okta.com")[0]; !strings.HasPrefix(e.Message, "writes are resumed in 1h") {
			t.Errorf("%+v", e)
		}
		l.restart()
		w.loop.look()
		l.hears()
		if _, err := other.Resume(func(s freeze.Suspension) bool { return s.ID == made.ID }); err != nil {
			t.Fatal(err)
		}
		did("resume", "eve@ops2", made.ID)
		w.expect(ResultInSync)
		if e := l.hears("suspension acme-emea.okta.com")[0]; e.By != "eve@ops2" || !strings.HasPrefix(e.Message, "writes are no longer suspended: they were ") {
			t.Errorf("%+v", e)
		}
	})
}

// A single run tells of what it found.
func TestOnceTells(t *testing.T) {
	l := newListener(t, worldOptions{})
	l.w.tamper(emea, sso)
	l.w.runner.single = true
	l.w.runner.do(t.Context(), api.TriggerOnce)
	l.w.runner.do(t.Context(), api.TriggerOnce)
	l.hears("drift acme-emea.okta.com products")
}

// Nothing is kept of what nobody is told of: a receiver that comes later learns what is
// open.
func TestNobodyIsTold(t *testing.T) {
	l := newListener(t, worldOptions{})
	w := l.w
	w.tamper(emea, sso)
	receivers := w.cfg.Notify
	w.cfg.Notify = nil
	l.restart()
	w.expect(ResultDrift)
	w.cfg.Notify = receivers
	l.restart()
	w.expect(ResultDrift)
	l.hears("drift acme-emea.okta.com products")
}

func TestLinksOfEvents(t *testing.T) {
	commits := func(hash string) string {
		if hash == "" {
			return ""
		}
		return "https://forge/" + hash
	}
	failed, drift := notify.Event{Type: notify.Failed, Commit: "c1"}, notify.Event{Type: notify.Drift, Org: "a/b", Commit: "c1"}
	with := func(page, target string) *telling {
		cfg := &config.Config{Git: &config.Git{Status: &config.GitStatus{TargetURL: target}}}
		if page != "" {
			cfg.HTTP.URL, _ = url.Parse(page)
		}
		t := &telling{}
		t.use(cfg, nil)
		return t
	}
	all := with("https://page/", "https://target")
	for _, c := range []struct {
		t    *telling
		e    notify.Event
		run  string
		want string
	}{
		{all, drift, "r1", "https://page/orgs/a%2Fb"},
		{all, failed, "r1", "https://page/runs/r1"},
		{all, failed, "", "https://forge/c1"}, // a run that the history only counts
		{all, notify.Event{Type: notify.Suspension}, "r1", "https://page/"},
		{all, notify.Event{Type: notify.Signature, Commit: "c2"}, "r1", "https://forge/c2"},
		{with("", "https://target"), drift, "r1", "https://forge/c1"},
		{with("", "https://target"), notify.Event{Type: notify.Suspension}, "", "https://target"},
		{with("", ""), notify.Event{Type: notify.Suspension}, "", ""},
	} {
		if got := c.t.link(&c.e, c.run, commits); got != c.want {
			t.Errorf("%+v: %q, want %q", c.e, got, c.want)
		}
	}
}

// kept is a teller in memory.
type kept struct {
	told []byte
	all  []notify.Event
	err  error
}

func (k *kept) Told() ([]byte, error) { return k.told, nil }

func (k *kept) Add(r notify.Report, told []byte) error {
	if k.err == nil {
		k.told, k.all = told, append(k.all, r.Events...)
	}
	return k.err
}

// types returns the types of what was told since it was called last.
func (k *kept) types() (all []notify.Type) {
	for _, e := range k.all {
		all = append(all, e.Type)
	}
	k.all = nil
	return all
}

// A commit that is refused for its signature is told once, beside what follows from it.
func TestRefusedCommitsAreTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, _ := newSigners(t, worldOptions{})
		k := &kept{}
		s.runner.telling.to = k
		expect := func(want ...notify.Type) {
			t.Helper()
			if got := k.types(); !slices.Equal(got, want) {
				t.Errorf("told %q, want %q", got, want)
			}
		}
		s.expectFresh(ResultInSync)
		expect()
		bad := s.signed(inSync)
		s.expectStale(ResultInSync, "it is not signed")
		if len(k.all) == 0 || k.all[0].Commit != bad {
			t.Errorf("%+v", k.all)
		}
		expect(notify.Stale, notify.Signature)
		s.expectStale(ResultInSync, "it is not signed")
		expect()
		s.signed(inSync, s.ssh("ada")...)
		s.expectFresh(ResultInSync)
		expect(notify.Recovered)
	})
}

// What can't be queued is told after the next run, and logged once. A run that was stopped
// is no failure.
func TestUntoldIsToldLater(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		k := &kept{err: errors.New("no space left on device")}
		w.runner.telling.to = k
		w.tamper(emea, sso)
		w.expect(ResultDrift)
		w.expect(ResultDrift)
		if n := len(w.log.lines(t, "notifications can't be queued; the next run tries again")); n != 1 {
			t.Errorf("logged %d times", n)
		}
		k.err = nil
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if rec, _ := w.runCtx(ctx); rec.Result != ResultInterrupted || len(k.types()) != 0 {
			t.Errorf("%s", rec.Result)
		}
		w.expect(ResultDrift)
		if got := k.types(); !slices.Equal(got, []notify.Type{notify.Drift}) {
			t.Errorf("told %q", got)
		}
		k.told = []byte("{")
		w.expect(ResultDrift)
		if got := k.types(); !slices.Equal(got, []notify.Type{notify.Drift}) {
			t.Errorf("told %q", got)
		}
	})
}

// So is a field of an object that is repaired in the run that finds it.
func TestRepairedObjectsAreTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newConfiguredWorld(t, "0s", worldOptions{mode: "apply", latency: time.Millisecond, extra: "state: {dir: " + t.TempDir() + "}\n"})
		k := &kept{}
		w.runner.telling.to = k
		w.expect(ResultApplied)
		w.expect(ResultInSync)
		if got := k.types(); len(got) != 0 {
			t.Errorf("told %q of what was declared", got)
		}
		w.change(emea, "networkZones", "Offices", `{"gateways": [{"type": "CIDR", "value": "203.0.113.0/24"}]}`)
		w.expect(ResultApplied)
		var got []string
		for i := range k.all {
			got = append(got, string(k.all[i].Type)+" "+k.all[i].Org+" "+k.all[i].Field+" "+string(k.all[i].Before)+"→"+string(k.all[i].After))
		}
		declared, live := `"[{\"type\":\"CIDR\",\"value\":\"198.51.100.0/24\"}]"`, `"[{\"type\":\"CIDR\",\"value\":\"203.0.113.0/24\"}]"`
		expectLines(t, "told", got,
			"drift acme-emea.okta.com networkZones/Offices: gateways "+declared+"→"+live, "repaired acme-emea.okta.com networkZones/Offices: gateways "+live+"→"+declared)
	})
}
