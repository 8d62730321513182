package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"reconciler/internal/daemon"
	"reconciler/internal/daemon/api"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
)

// takeover is within what time a daemon that stands by takes over.
const takeover = 15 * time.Second

// writerRig is a rig for daemons that apply, one write after the other.
func writerRig(t *testing.T, manifest string) *rig {
	t.Helper()
	r := newRig(t, 8, false)
	text, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	config := strings.Replace(string(text), "aerial:\n", "aerial:\n  concurrency: 1\n", 1) +
		"mode: apply\nschedule: '@every 1h'\nhttp: {address: '127.0.0.1:0'}\nguards: {maxNewOrgs: 100, maxDestructivePercent: 100}\n"
	for file, text := range map[string]string{r.config: config, filepath.Join(r.dir, "orgs", "orgs.yaml"): manifest} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// writes returns what was sent that changes something, tokens left out.
func (r *rig) writes() (all []string) {
	for _, q := range r.sim.Requests() {
		if q.Method != http.MethodGet && !strings.HasSuffix(q.Path, "/token") {
			all = append(all, q.Method+" "+q.Path+" "+q.Body)
		}
	}
	return all
}

// says waits until a program prints a text, after what it had printed before.
func (b *buffer) says(t *testing.T, text string, after int, within time.Duration) {
	t.Helper()
	for began := time.Now(); time.Since(began) < within; time.Sleep(20 * time.Millisecond) {
		if strings.Contains(b.String()[after:], text) {
			return
		}
	}
	t.Fatalf("within %v it didn't say %q:\n%s", within, text, b)
}

// address returns where the daemon that prints this serves.
func (b *buffer) address(t *testing.T) string {
	t.Helper()
	b.says(t, "address=http://", 0, 20*time.Second)
	return serving.FindStringSubmatch(b.String())[1]
}

// get returns the code and body of an endpoint of the daemon that prints this.
func (b *buffer) get(t *testing.T, path string) (int, string) {
	t.Helper()
	resp, err := http.Get("http://" + b.address(t) + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// fleetChanges declares one more product for each org.
func fleetChanges(t *testing.T) string {
	t.Helper()
	manifest := string(simulator.Manifest(simulator.DefaultSeed(8)))
	changed := strings.ReplaceAll(manifest, "[sso, mfa]", "[sso, mfa, P000139]")
	if changed == manifest {
		t.Fatal("the manifest has no product sets to change")
	}
	return changed
}

// Whatever ends or stops the daemon that leads, in the middle of a write, the other one
// takes over in time and finishes, and nothing is done twice. The one that was frozen
// sends nothing more when it goes on.
func TestTwoDaemons(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts two daemons for each case, and waits until one counts as frozen")
	}
	creation := simulator.Fault{Method: "POST", Path: "/api/v1/orgs", API: "org", Nth: 1}
	change := simulator.Fault{Method: "PUT", Path: "/api/v1/orgs/*/products", API: "aerial", Nth: 2}
	with := func(f simulator.Fault, effect func(*simulator.Fault)) simulator.Fault {
		effect(&f)
		return f
	}
	after := func(f *simulator.Fault) { f.Hang, f.After = true, true }
	before := func(f *simulator.Fault) { f.Hang = true }
	// The call is answered once the signal was sent.
	answered := func(*simulator.Fault) {}
	for _, tt := range []struct {
		name   string
		fault  simulator.Fault
		signal syscall.Signal
		// sent is how often the write in flight may have been sent in all.
		sent int
	}{
		{"killed while creating, and the org is there", with(creation, after), syscall.SIGKILL, 1},
		{"killed while creating, and the org is not there", with(creation, before), syscall.SIGKILL, 2},
		{"killed while changing, and it took effect", with(change, after), syscall.SIGKILL, 1},
		{"killed while changing, and it took no effect", with(change, before), syscall.SIGKILL, 2},
		{"frozen while creating", with(creation, answered), syscall.SIGSTOP, 1},
		{"frozen while changing", with(change, answered), syscall.SIGSTOP, 1},
		{"stopped while changing", with(change, answered), syscall.SIGTERM, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			manifest := fleetChanges(t)
			if tt.fault.Method == "POST" {
				manifest = newOrgs
			}
			r := writerRig(t, manifest)
			called, signalled := make(chan struct{}), make(chan struct{})
			fault := tt.fault
			fault.Do = sync.OnceFunc(func() {
				close(called)
				if !fault.Hang {
					<-signalled
				}
			})
			if err := r.sim.AddFault(fault); err != nil {
				t.Fatal(err)
			}
			answer := sync.OnceFunc(func() { close(signalled) })
			t.Cleanup(answer)
			leader := startProcess(t, nil, "run --config "+r.config)
			await(t, called, leader)
			standby := startProcess(t, nil, "run --config "+r.config)
			standby.printed.says(t, "standing by: another daemon leads", 0, time.Minute)
			checkStandby(t, &standby.printed, leader.Process.Pid)
			before := len(r.writes())
			time.Sleep(time.Second)
			if now := len(r.writes()); now != before {
				t.Errorf("%d writes while the first one is in flight: %q", now-before, r.writes())
			}

			if tt.signal == syscall.SIGSTOP {
				freezeProcess(t, leader.Process)
			} else if err := leader.Process.Signal(tt.signal); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			answer()
			standby.printed.says(t, "taking over", 0, takeover)
			t.Logf("taken over within %v", time.Since(began))
			r.sim.ClearFaults()
			standby.printed.says(t, "run finished", 0, time.Minute)
			if tt.signal == syscall.SIGSTOP {
				printed, sent := len(leader.printed.String()), len(r.writes())
				if err := leader.Process.Signal(syscall.SIGCONT); err != nil {
					t.Fatal(err)
				}
				leader.printed.says(t, "this daemon no longer leads", printed, 20*time.Second)
				leader.printed.says(t, "standing by: another daemon leads", printed, 20*time.Second)
				checkStandby(t, &leader.printed, standby.Process.Pid)
				if late := r.writes()[sent:]; len(late) > 0 {
					t.Errorf("sent by the one that was frozen: %q", late)
				}
			}
			r.checkOnce(t, tt.fault, tt.sent)
			if tt.signal == syscall.SIGSTOP && tt.fault.Method == "POST" {
				// The one that was frozen has the token, and nobody else ever will.
				if tokens, err := filepath.Glob(filepath.Join(r.dir, "tokens", "acme-one*.token")); err != nil || len(tokens) != 1 {
					t.Errorf("%v, tokens %q\n%s", err, tokens, leader.printed.String())
				}
			}
			if code, body := standby.printed.get(t, "/readyz"); code != http.StatusOK {
				t.Errorf("readyz of the one that took over: %d %s", code, body)
			}
			if code, out := r.command(t, "diff", "--detailed-exitcode"); code != exitOK {
				t.Errorf("diff ends with %d: %s\n%s", code, out, standby.printed.String())
			}
		})
	}
}

// freezeProcess stops a child process, and waits until none of its threads goes on: on a busy
// machine that takes a while after the signal.
func freezeProcess(t *testing.T, p *os.Process) {
	t.Helper()
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(p.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("it isn't stopped: %v, status %v", err, status)
	}
}

// checkStandby checks what a daemon says that stands by.
func checkStandby(t *testing.T, p *buffer, leader int) {
	t.Helper()
	if code, _ := p.get(t, "/healthz"); code != http.StatusOK {
		t.Errorf("healthz: %d", code)
	}
	if code, body := p.get(t, "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, fmt.Sprintf("standing by: the daemon that leads is process %d (run) on ", leader)) {
		t.Errorf("readyz: %d %s", code, body)
	}
	_, body := p.get(t, "/api/v1/status")
	var s api.Status
	if err := json.Unmarshal([]byte(body), &s); err != nil || s.State != api.StateStandby || s.StandingBy == nil || s.StandingBy.PID != leader || s.Running != nil {
		t.Errorf("status: %v %s", err, body)
	}
}

// checkOnce checks that no write was sent twice, but for the one that was in flight.
func (r *rig) checkOnce(t *testing.T, inFlight simulator.Fault, times int) {
	t.Helper()
	counts := map[string]int{}
	created := regexp.MustCompile(`"subdomain":"[^"]+"`)
	for _, w := range r.writes() {
		if inFlight.Method == "POST" && strings.HasPrefix(w, "POST /api/v1/orgs ") {
			w = "POST " + created.FindString(w)
		}
		counts[w]++
	}
	most := 0
	for w, n := range counts {
		most = max(most, n)
		if n > times {
			t.Errorf("sent %d times: %s", n, w)
		}
	}
	if times > 1 && most < times {
		t.Errorf("what had no effect was not sent again: %v", counts)
	}
	if len(counts) < 2 {
		t.Errorf("only these writes: %v", counts)
	}
}

// command runs a command in this process and returns its exit code and what it printed.
func (r *rig) command(t *testing.T, args ...string) (int, string) {
	t.Helper()
	var out buffer
	code := run(t.Context(), append(args, "--config", r.config), stdio{strings.NewReader(""), &out, &out}, nil)
	return code, out.String()
}

// apply waits for the daemon that writes, and says for whom.
func TestApplyWaitsForTheDaemon(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts a daemon")
	}
	t.Parallel()
	r := writerRig(t, fleetChanges(t))
	called, released := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(released) })
	t.Cleanup(release)
	write := sync.OnceFunc(func() {
		close(called)
		<-released
	})
	if err := r.sim.AddFault(simulator.Fault{Method: "PUT", Path: "/api/v1/orgs/*/products", API: "aerial", Do: write}); err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, nil, "run --config "+r.config)
	await(t, called, p)

	code, out := r.command(t, "apply", "--yes", "--wait", "0s")
	if code != exitError || !strings.Contains(out, fmt.Sprintf("is held by process %d (run) on ", p.Process.Pid)) || !strings.Contains(out, "\nhint: ") {
		t.Errorf("without waiting: %d, %s", code, out)
	}
	if code, out := r.command(t, "run", "--once", "--wait", "0s"); code != exitError || !strings.Contains(out, " is held by process ") {
		t.Errorf("run --once, without waiting: %d, %s", code, out)
	}
	if code, out := r.command(t, "acknowledge", "acme.okta.com", "--forget", "--wait", "0s"); code != exitError || !strings.Contains(out, " is held by process ") {
		t.Errorf("acknowledge, without waiting: %d, %s", code, out)
	}
	for _, args := range [][]string{{"run", "--wait", "1s"}, {"apply", "--yes", "--wait", "-1s"}} {
		if code, out := r.command(t, args...); code != exitError || !strings.Contains(out, "reconciler: --wait ") {
			t.Errorf("%q: %d, %s", args, code, out)
		}
	}
	code, out = r.command(t, "apply", "--yes", "--wait", "100ms")
	if code != exitError || !strings.Contains(out, "after 100ms of waiting: the journal in ") {
		t.Errorf("waiting too short: %d, %s", code, out)
	}
	interrupted := startProcess(t, nil, "apply --yes --config "+r.config)
	interrupted.printed.says(t, "reconciler: waiting for process ", 0, 10*time.Second)
	_ = interrupted.Process.Signal(syscall.SIGINT)
	if code := interrupted.end(t); code != exitError || !strings.Contains(interrupted.printed.String(), "reconciler: stopped") {
		t.Errorf("interrupted: %d, %s", code, interrupted.printed.String())
	}
	var log buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(t.Context(), []string{"apply", "--yes", "--config", r.config}, stdio{strings.NewReader(""), &log, &log}, nil)
	}()
	log.says(t, "reconciler: waiting for process ", 0, time.Minute)
	release()
	code, out = <-ended, log.String()
	if code != exitOK || !strings.Contains(out, fmt.Sprintf("reconciler: waiting for process %d (run) on ", p.Process.Pid)) || !strings.Contains(out, "Nothing to do") && !strings.Contains(out, "in sync") {
		t.Errorf("waiting: %d, %s", code, out)
	}
	if n := len(r.writes()); n != len(slices.Compact(slices.Sorted(slices.Values(r.writes())))) {
		t.Errorf("something was written twice: %q", r.writes())
	}
}

// The daemon gives way: it begins no run while somebody else writes, and runs then.
func TestReconcile(t *testing.T) {
	t.Parallel()
	r := writerRig(t, fleetChanges(t))
	if code, out := r.command(t, "reconcile", "--address", "127.0.0.1:1"); code != exitError || !strings.Contains(out, "no daemon answers on ") {
		t.Errorf("without a daemon: %d, %s", code, out)
	}
	var log buffer
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"run", "--config", r.config}, stdio{strings.NewReader(""), &log, &log}, nil)
	}()
	defer func() {
		stop()
		if code := <-ended; code != exitOK {
			t.Errorf("the daemon ended with %d", code)
		}
	}()
	address := log.address(t)
	log.says(t, "run finished", 0, 20*time.Second)

	code, out := r.command(t, "reconcile", "--address", address, "--wait")
	id, _, _ := strings.Cut(out, "\n")
	if code != exitOK || !strings.Contains(out, "reconciler: run "+id+" ended: in-sync") {
		t.Errorf("reconcile --wait: %d, %s", code, out)
	}
	status, err := api.FetchStatus(t.Context(), address)
	if err != nil || status.LastRun.ID != id || status.LastRun.Trigger != api.TriggerRequest || status.LastRun.RequestedBy != (&app{environ: os.Environ()}).invoker() {
		t.Errorf("%v, %+v", err, status.LastRun)
	}

	// Two that ask while the daemon can't begin get one run.
	other, err := journal.New(location.Folder(filepath.Join(r.dir, "state")), journal.Options{Commands: journal.Commands{This: "apply"}}).Lock()
	if err != nil {
		t.Fatal(err)
	}
	_, first := r.command(t, "reconcile", "--address", address)
	log.says(t, "the next run waits for another process", 0, 10*time.Second)
	_, second := r.command(t, "reconcile", "--address", address)
	if first != second || strings.TrimSpace(first) == id {
		t.Errorf("not joined: %q and %q", first, second)
	}
	waits, err := api.FetchStatus(t.Context(), address)
	if err != nil || waits.WaitingFor == nil || waits.WaitingFor.Command != "apply" || waits.WaitingFor.PID != os.Getpid() {
		t.Errorf("%v, %+v", err, waits.WaitingFor)
	}
	queued, err := api.FetchRun(t.Context(), address, strings.TrimSpace(first))
	if err != nil || queued.State != api.RunQueued {
		t.Errorf("%v, %+v", err, queued)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); queued.State != api.RunEnded && time.Since(began) < 20*time.Second; time.Sleep(50 * time.Millisecond) {
		if queued, err = api.FetchRun(t.Context(), address, strings.TrimSpace(first)); err != nil {
			t.Fatal(err)
		}
	}
	if queued.RunRecord == nil || queued.Result != daemon.ResultInSync {
		t.Errorf("%+v", queued)
	}

	// A run that ends otherwise than well ends the command so.
	if err := os.WriteFile(filepath.Join(r.dir, "orgs", "orgs.yaml"), []byte("version: 1\nnonsense: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := r.command(t, "reconcile", "--address", address, "--wait"); code != exitError || !strings.Contains(out, "nonsense") {
		t.Errorf("%d, %s", code, out)
	}
	if _, err := api.FetchRun(t.Context(), address, "20260101T000000Z-abcdef"); err == nil || !strings.Contains(err.Error(), "knows no run") {
		t.Errorf("%v", err)
	}
}
