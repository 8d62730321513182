package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"reconciler/internal/okta/simulator"
)

// process is the program in a process of its own.
type process struct {
	*exec.Cmd
	printed buffer
}

// startProcess starts the program. Where to is nil, what it prints is kept.
func startProcess(t *testing.T, to *os.File, args string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0], "-test.run=^TestMainInChild$")}
	p.Env = append(os.Environ(), "RECONCILER_TEST_CHILD="+args)
	p.Stdout, p.Stderr = &p.printed, &p.printed
	if to != nil {
		p.Stdout, p.Stderr = to, to
	}
	// Under nohup these tests ignore SIGHUP, and a child would inherit that.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Process.Kill() }) // does nothing once it has ended
	return p
}

// end returns the exit code. It fails the test if a signal ended the process.
func (p *process) end(t *testing.T) int {
	t.Helper()
	var failed *exec.ExitError
	if err := p.Wait(); err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	if !p.ProcessState.Exited() {
		t.Fatalf("ended by a signal: %v\n%s", p.ProcessState, p.printed.String())
	}
	return p.ProcessState.ExitCode()
}

// event is closed when a call of the simulator arrives for the first time.
func (r *rig) event(t *testing.T, f simulator.Fault) <-chan struct{} {
	t.Helper()
	first := make(chan struct{})
	var once sync.Once
	f.Do = func() { once.Do(func() { close(first) }) }
	if err := r.sim.AddFault(f); err != nil {
		t.Fatal(err)
	}
	return first
}

func await(t *testing.T, c <-chan struct{}, p *process) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(30 * time.Second):
		t.Fatalf("the call did not come:\n%s", p.printed.String())
	}
}

// interruption is what happens to a process while a call is in flight.
type interruption struct {
	name string
	// piped gives the process a pipe, whose reader happens to go away.
	piped   bool
	signals []os.Signal
	// ends reports whether it asks the process to stop.
	ends bool
}

func interruptions() []interruption {
	return []interruption{
		{name: "SIGTERM", signals: []os.Signal{syscall.SIGTERM}, ends: true},
		// A terminal that is closed sends it more than once, and systemd with
		// SendSIGHUP= after SIGTERM.
		{name: "SIGHUP", signals: []os.Signal{syscall.SIGHUP, syscall.SIGHUP}, ends: true},
		{name: "SIGTERM and SIGHUP", signals: []os.Signal{syscall.SIGTERM, syscall.SIGHUP}, ends: true},
		{name: "closed reader", piped: true},
		{name: "SIGPIPE", signals: []os.Signal{syscall.SIGPIPE}},
		{name: "closed reader and SIGHUP", piped: true, signals: []os.Signal{syscall.SIGHUP}, ends: true},
	}
}

// interrupt runs the program, interrupts it while a call is in flight, and returns
// its exit code.
func (r *rig) interrupt(t *testing.T, i interruption, inFlight simulator.Fault, args string) int {
	t.Helper()
	called := r.event(t, inFlight)
	var reader, writer *os.File
	if i.piped {
		var err error
		if reader, writer, err = os.Pipe(); err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
	}
	p := startProcess(t, writer, args)
	if i.piped {
		writer.Close()
	}
	await(t, called, p)
	if i.piped {
		reader.Close()
	}
	for _, s := range i.signals {
		if err := p.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // two signals at the same time are one
	}
	return p.end(t)
}

// outcomes are the results in a report, by org.
func (r *rig) outcomes(t *testing.T, file string) (results map[string]string, interrupted bool) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("no report: %v", err)
	}
	var report struct {
		Interrupted bool
		Outcomes    []struct{ Org, Result string }
	}
	if err := json.Unmarshal(data, &report); err != nil {
		t.Fatal(err)
	}
	results = map[string]string{}
	for _, o := range report.Outcomes {
		results[o.Org] += o.Result
	}
	return results, report.Interrupted
}

const newOrgs = `version: 1
orgs:
  - domain: acme-one.okta.com
    cell: ok1
    create: &create
      parent: acme
      name: Acme One
      website: https://acme.example
      admin: {firstName: Ada, lastName: Admin, email: ada@acme.example, login: ada@acme.example}
  - domain: acme-two.okta.com
    cell: ok1
    create: *create
`

// Whatever happens while an org is being created, its token is stored, the report
// is written, and the exit code says how the work ended.
func TestInterruptedWhileCreating(t *testing.T) {
	for _, i := range interruptions() {
		t.Run(i.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 4, false)
			manifest, report := filepath.Join(r.dir, "new.yaml"), filepath.Join(r.dir, "report.json")
			if err := os.WriteFile(manifest, []byte(newOrgs), 0o600); err != nil {
				t.Fatal(err)
			}
			code := r.interrupt(t, i, simulator.Fault{Method: "POST", Path: "/api/v1/orgs", API: "org", Delay: 500 * time.Millisecond},
				"apply --yes --log-level debug --config "+r.config+" --manifests "+manifest+" --out json="+report)

			tokens, err := filepath.Glob(filepath.Join(r.dir, "tokens", "acme-*"))
			if err != nil {
				t.Fatal(err)
			}
			results, interrupted := r.outcomes(t, report)
			if !i.ends {
				if code != exitOK || len(tokens) != 2 || interrupted {
					t.Errorf("ended with %d, tokens %q, outcomes %v, interrupted: %v", code, tokens, results, interrupted)
				}
				return
			}
			if code != exitPartly || len(tokens) != 1 || !interrupted {
				t.Errorf("ended with %d, tokens %q, outcomes %v, interrupted: %v", code, tokens, results, interrupted)
			}
		})
	}
}

// A single run of the daemon that is stopped ends as apply does.
func TestInterruptedRunOnce(t *testing.T) {
	r := newRig(t, 4, false)
	if err := os.WriteFile(filepath.Join(r.dir, "orgs", "new.yaml"), []byte(newOrgs), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("RECONCILER_MODE", "apply")
	code := r.interrupt(t, interruption{ends: true, signals: []os.Signal{syscall.SIGTERM}},
		simulator.Fault{Method: "POST", Path: "/api/v1/orgs", API: "org", Delay: 500 * time.Millisecond}, "run --once --config "+r.config)
	if code != exitPartly {
		t.Errorf("ended with %d", code)
	}
}

// The same while products are written: what was sent is known, and nothing is left
// out without the report saying so.
func TestInterruptedWhileWriting(t *testing.T) {
	for _, i := range interruptions() {
		t.Run(i.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 60, false)
			var manifest strings.Builder
			manifest.WriteString("version: 1\norgs:\n")
			for _, org := range r.sim.Dump().Orgs[1:] {
				manifest.WriteString("  - {domain: " + org.Domain + ", productPolicy: additive, products: [P000139]}\n")
			}
			file, report := filepath.Join(r.dir, "all.yaml"), filepath.Join(r.dir, "report.json")
			if err := os.WriteFile(file, []byte(manifest.String()), 0o600); err != nil {
				t.Fatal(err)
			}
			code := r.interrupt(t, i, simulator.Fault{Method: "PUT", Delay: 200 * time.Millisecond},
				"apply --yes --log-level debug --config "+r.config+" --manifests "+file+" --out json="+report)

			results, interrupted := r.outcomes(t, report)
			counts := map[string]int{}
			for org, result := range results {
				counts[result]++
				live, _ := r.sim.Org(org)
				if has := slices.Contains(live.Products, "P000139"); has != (result == "applied") {
					t.Errorf("%s: %s, has the product: %v", org, result, has)
				}
			}
			if counts["applied"] == 0 || (counts["skipped"] > 0) != i.ends || interrupted != i.ends {
				t.Errorf("outcomes %v, interrupted: %v", counts, interrupted)
			}
			if want := map[bool]int{true: exitPartly, false: exitOK}[i.ends]; code != want {
				t.Errorf("ended with %d, not %d", code, want)
			}
		})
	}
}

// A reader that has seen enough is no error of a command that only reads.
func TestClosedReaderOfDiff(t *testing.T) {
	r := newRig(t, 4, false)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	p := startProcess(t, writer, "diff --detailed-exitcode --config "+r.config)
	writer.Close()
	if code := p.end(t); code != exitOK {
		t.Errorf("ended with %d", code)
	}
}

// A process that was started with nohup outlives its terminal.
func TestSIGHUPIgnoredFromTheStart(t *testing.T) {
	nohup, err := exec.LookPath("nohup")
	if err != nil {
		t.Skip("there is no nohup")
	}
	r := newRig(t, 4, false)
	called := r.event(t, simulator.Fault{Method: "GET", Path: "/api/v1/orgs", Delay: 300 * time.Millisecond})
	p := &process{Cmd: exec.Command(nohup, os.Args[0], "-test.run=^TestMainInChild$")}
	p.Env = append(os.Environ(), "RECONCILER_TEST_CHILD=diff --config "+r.config)
	p.Stdout, p.Stderr = &p.printed, &p.printed
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, called, p)
	if err := p.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if code := p.end(t); code != exitOK {
		t.Errorf("ended with %d:\n%s", code, p.printed.String())
	}
}

// The daemon reads its config again on SIGHUP, also while an org is being created,
// and goes on when nobody reads its log any more.
func TestSIGHUPOfDaemon(t *testing.T) {
	r := newRig(t, 4, false)
	if err := os.WriteFile(filepath.Join(r.dir, "orgs", "new.yaml"), []byte(newOrgs), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, "mode: apply\nschedule: '@every 1h'\nhttp: {address: '127.0.0.1:0'}\n"...)
	if err := os.WriteFile(r.config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	called := r.event(t, simulator.Fault{Method: "POST", Path: "/api/v1/orgs", API: "org", Delay: 500 * time.Millisecond})
	p := startProcess(t, nil, "run --config "+r.config)
	await(t, called, p)
	if err := os.WriteFile(r.config, bytes.Replace(text, []byte("mode: apply"), []byte("mode: report"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	hangUp := func(words string) {
		t.Helper()
		if err := p.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(20 * time.Second); !strings.Contains(p.printed.String(), words); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("the log does not say %q:\n%s", words, p.printed.String())
			}
		}
	}
	hangUp("the config was read again and is in force")
	if tokens, _ := filepath.Glob(filepath.Join(r.dir, "tokens", "acme-*")); len(tokens) != 2 {
		t.Errorf("tokens %q", tokens)
	}
	if err := os.WriteFile(r.config, append(text, "nonsense: 1\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	hangUp("the config was read again and is refused; the one before stays in force")
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.end(t); code != exitOK {
		t.Errorf("ended with %d:\n%s", code, p.printed.String())
	}
}

// A daemon whose log nobody reads any more goes on, and stops in order.
func TestDaemonWithoutReader(t *testing.T) {
	r := newRig(t, 4, false)
	text, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.config, append(text, "http: {address: '127.0.0.1:0'}\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	code := r.interrupt(t, interruption{piped: true, signals: []os.Signal{syscall.SIGHUP, syscall.SIGTERM}},
		simulator.Fault{Method: "GET", Path: "/api/v1/orgs", Delay: 200 * time.Millisecond}, "run --config "+r.config)
	if code != exitOK {
		t.Errorf("ended with %d", code)
	}
}
