package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"reconciler/internal/okta/simulator"
	"reconciler/internal/store/postgres"
	"reconciler/internal/store/postgres/postgrestest"
)

// replicas are two daemons with one database, of which the first one leads and has just
// sent a write.
type replicas struct {
	*rig
	server          *postgrestest.Server
	url             postgrestest.File
	cable           *postgrestest.Cable
	leader, standby *process
}

// epoch returns how often somebody began to lead.
func (r *replicas) epoch(t *testing.T) (n int) {
	t.Helper()
	db := postgres.Open(r.url, 1)
	defer db.Close()
	if err := db.QueryRow(`SELECT epoch FROM leases WHERE name = 'leader'`).Scan(&n); err != nil {
		return 0 // the server is down
	}
	return n
}

// ledAgain waits until somebody has begun to lead after an epoch.
func (r *replicas) ledAgain(t *testing.T, after int) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		if n := r.epoch(t); n > after {
			t.Logf("taken over within %v", time.Since(began))
			return
		}
		if time.Since(began) > takeover {
			t.Fatalf("nobody leads within %v\nfirst:\n%s\nsecond:\n%s", takeover, r.leader.printed.String(), r.standby.printed.String())
		}
	}
}

// in writes a config with a name that has the state in a database.
func (r *rig) in(t *testing.T, name string, url postgrestest.File) (config string) {
	t.Helper()
	text, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "state:") {
			lines[i] = "state: {postgres: {urlFile: '" + string(url) + "'}}"
		}
	}
	config = filepath.Join(r.dir, name+".yaml")
	if err := os.WriteFile(config, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return config
}

// Whatever happens to the replica that leads, or to its database, in the middle of a
// write: within 15 seconds one leads, it finishes, and nothing is done twice. One that no
// longer leads sends nothing more but the write that was under way.
func TestFailover(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts two replicas for each case, and waits until one counts as frozen")
	}
	creation := simulator.Fault{Method: "POST", Path: "/api/v1/orgs", API: "org", Nth: 1}
	change := simulator.Fault{Method: "PUT", Path: "/api/v1/orgs/*/products", API: "aerial", Nth: 2}
	kill := func(t *testing.T, r *replicas) {
		if err := r.leader.Process.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	freeze := func(t *testing.T, r *replicas) { freezeProcess(t, r.leader.Process) }
	cut := func(_ *testing.T, r *replicas) { r.cable.Cut() }
	restart := func(t *testing.T, r *replicas) {
		if err := r.server.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := r.server.Start(); err != nil {
			t.Fatal(err)
		}
	}
	end := func(t *testing.T, r *replicas) {
		db := postgres.Open(r.url, 1)
		defer db.Close()
		if _, err := db.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'`); err != nil {
			t.Fatal(err)
		}
	}
	hang := func(f simulator.Fault, after bool) simulator.Fault {
		f.Hang, f.After = true, after
		return f
	}
	for _, tt := range []struct {
		name    string
		fault   simulator.Fault
		trouble func(t *testing.T, r *replicas)
		// sent is how often the write in flight may have been sent in all.
		sent int
		// frozen reports whether the first one goes on later, and late whether the write
		// that it had sent arrives no earlier than then.
		frozen, late bool
	}{
		{"killed while creating, and the org is there", hang(creation, true), kill, 1, false, false},
		{"killed while changing, and it took no effect", hang(change, false), kill, 2, false, false},
		{"frozen while creating", creation, freeze, 1, true, false},
		{"frozen while changing", change, freeze, 1, true, false},
		{"frozen, and the creation arrives late", creation, freeze, 2, true, true},
		{"frozen, and the change arrives late", change, freeze, 2, true, true},
		{"cut off while creating", creation, cut, 1, false, false},
		{"cut off while changing", change, cut, 1, false, false},
		{"database restarted while creating", creation, restart, 1, false, false},
		{"database restarted while changing", change, restart, 1, false, false},
		{"sessions ended while changing", change, end, 1, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			manifest := fleetChanges(t)
			if tt.fault.Method == "POST" {
				manifest = newOrgs
			}
			r := &replicas{rig: writerRig(t, manifest), server: postgrestest.Start(t)}
			r.url = r.server.File(t)
			r.cable = r.server.NewCable(t)
			far, near := r.in(t, "far", r.cable.File(t, r.url)), r.in(t, "near", r.url)
			r.config = near

			called, troubled := make(chan struct{}), make(chan struct{})
			fault := tt.fault
			fault.Do = sync.OnceFunc(func() {
				close(called)
				if !fault.Hang {
					<-troubled
				}
			})
			if err := r.sim.AddFault(fault); err != nil {
				t.Fatal(err)
			}
			answer := sync.OnceFunc(func() { close(troubled) })
			t.Cleanup(answer)
			r.leader = startProcess(t, nil, "run --config "+far)
			await(t, called, r.leader)
			r.standby = startProcess(t, nil, "run --config "+near)
			r.standby.printed.says(t, "standing by: another daemon leads", 0, time.Minute)
			before := r.epoch(t)

			printed := len(r.leader.printed.String())
			tt.trouble(t, r)
			if !tt.late {
				answer()
			}
			r.ledAgain(t, before)
			r.sim.ClearFaults()
			if tt.frozen {
				r.standby.printed.says(t, "run finished", 0, time.Minute)
				sent := len(r.writes())
				if err := r.leader.Process.Signal(syscall.SIGCONT); err != nil {
					t.Fatal(err)
				}
				answer()
				r.leader.printed.says(t, "this daemon no longer leads", printed, 20*time.Second)
				r.leader.printed.says(t, "standing by: another daemon leads", printed, 20*time.Second)
				if late := r.writes()[sent:]; len(late) > 0 {
					t.Errorf("sent by the one that was frozen: %q", late)
				}
			}
			r.inSync(t)
			r.checkOnce(t, tt.fault, tt.sent)
			r.checkOrgs(t)
			r.standby.ready(t)
		})
	}
}

// ready waits until a daemon is ready.
func (p *process) ready(t *testing.T) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		code, body := p.printed.get(t, "/readyz")
		if code == http.StatusOK {
			return
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("readyz: %d %s\n%s", code, body, p.printed.String())
		}
	}
}

// checkOrgs checks that no org is there twice.
func (r *replicas) checkOrgs(t *testing.T) {
	t.Helper()
	seen := map[string]bool{}
	for _, o := range r.sim.Orgs() {
		if seen[o.Domain] {
			t.Errorf("two orgs %s", o.Domain)
		}
		seen[o.Domain] = true
	}
}

// inSync waits until nothing is left to be done.
func (r *replicas) inSync(t *testing.T) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(500 * time.Millisecond) {
		code, out := r.command(t, "diff", "--detailed-exitcode")
		if code == exitOK {
			return
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("diff ends with %d: %s\nfirst:\n%s\nsecond:\n%s", code, out, r.leader.printed.String(), r.standby.printed.String())
		}
	}
}
