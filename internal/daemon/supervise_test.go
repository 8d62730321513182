package daemon

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"reconciler/internal/daemon/api"
)

// systemd is a service manager that keeps what it was told.
type systemd struct {
	watchdog time.Duration

	mu   sync.Mutex
	told []string
	err  error
}

func (s *systemd) Watchdog() time.Duration { return s.watchdog }

func (s *systemd) Send(messages ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.told = append(s.told, messages...)
	return nil
}

// take returns what it was told since.
func (s *systemd) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	told := s.told
	s.told = nil
	return told
}

func (s *systemd) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// signs returns how many signs of life messages have.
func signs(messages []string) (n int) {
	for _, m := range messages {
		if m == "WATCHDOG=1" {
			n++
		}
	}
	return n
}

// supervised runs check with a daemon that is watched by m, in a time of its own.
func supervised(t *testing.T, m *systemd, check func(t *testing.T, d *daemon, log *logBuffer, stop func())) {
	synctest.Test(t, func(t *testing.T) {
		log := &logBuffer{}
		every := func(t time.Time) time.Time { return t.Add(10 * time.Minute) }
		d := &daemon{tracker: newStatusTracker(api.Status{}, every), log: log.logger()}
		ctx, stop := context.WithCancel(t.Context())
		done, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			(&supervision{daemon: d, manager: m}).serve(ctx, done)
		}()
		defer func() {
			stop()
			close(done)
			<-ended
		}()
		time.Sleep(time.Second) // so that nothing else comes together with a tick
		check(t, d, log, stop)
	})
}

func TestSystemdIsTold(t *testing.T) {
	m := &systemd{watchdog: time.Minute}
	supervised(t, m, func(t *testing.T, d *daemon, _ *logBuffer, stop func()) {
		if got := m.take(); !slices.Contains(got, "READY=1") || signs(got) != 1 || !slices.Contains(got, "STATUS=starting") {
			t.Errorf("told at the start: %q", got)
		}
		time.Sleep(time.Minute)
		if got := m.take(); signs(got) != 6 || len(got) != 6 {
			t.Errorf("told in a minute in which nothing happened: %q", got)
		}
		began := time.Now()
		d.tracker.begin(api.Running{ID: "r1", Started: began})
		time.Sleep(10 * time.Second)
		if got := m.take(); !slices.Contains(got, "STATUS=starting; a run goes on since "+began.UTC().Format(time.RFC3339)) {
			t.Errorf("told of a run: %q", got)
		}
		stop()
		synctest.Wait()
		if got := m.take(); !slices.Contains(got, "STOPPING=1") {
			t.Errorf("told at the end: %q", got)
		}
		time.Sleep(20 * time.Second)
		if got := m.take(); signs(got) != 2 {
			t.Errorf("told while it finishes its calls: %q", got)
		}
	})
}

// A loop that is stuck must be restarted, whatever else goes on in the process.
func TestWatchdogOfAStuckLoop(t *testing.T) {
	m := &systemd{watchdog: 2 * time.Minute}
	supervised(t, m, func(t *testing.T, d *daemon, log *logBuffer, _ func()) {
		d.tracker.begin(api.Running{ID: "r1", Started: time.Now()})
		time.Sleep(longestRun)
		if got := signs(m.take()); got < int(longestRun/superviseEvery) {
			t.Errorf("only %d signs of life during a run that may take as long", got)
		}
		time.Sleep(5 * time.Minute)
		if got := signs(m.take()); got > 1 {
			t.Errorf("%d signs of life of a stuck loop", got)
		}
		if got := strings.Count(log.String(), "the daemon is stuck, and its watchdog gets no sign of life until it goes on"); got != 1 {
			t.Errorf("logged %d times:\n%s", got, log)
		}
		d.tracker.end(api.RunRecord{ID: "r1", Result: ResultInSync, Finished: time.Now()}, nil)
		time.Sleep(time.Minute)
		if got := signs(m.take()); got != 6 {
			t.Errorf("%d signs of life of a loop that goes on", got)
		}
	})
}

func TestSystemdWithoutWatchdog(t *testing.T) {
	m := &systemd{}
	supervised(t, m, func(t *testing.T, _ *daemon, _ *logBuffer, _ func()) {
		time.Sleep(time.Hour)
		if got := m.take(); signs(got) != 0 || len(got) != 2 {
			t.Errorf("told %q", got)
		}
	})
}

func TestSystemdGoesAway(t *testing.T) {
	m := &systemd{watchdog: 10 * time.Second}
	supervised(t, m, func(t *testing.T, d *daemon, log *logBuffer, _ func()) {
		m.take()
		m.fail(errors.New("connection refused"))
		d.tracker.update(func(s *api.Status) { s.StandingBy = &api.Process{PID: 7} })
		time.Sleep(time.Minute)
		if got := strings.Count(log.String(), "systemd can't be told how the daemon does"); got != 1 {
			t.Errorf("logged %d times:\n%s", got, log)
		}
		m.fail(nil)
		time.Sleep(10 * time.Second)
		if got := m.take(); !slices.Contains(got, "STATUS=standing by") || signs(got) != 2 {
			t.Errorf("told afterwards: %q", got)
		}
	})
}

// The daemon as it is started by systemd: over a socket.
func TestRunUnderSystemd(t *testing.T) {
	w := newWorld(t, worldOptions{})
	w.stop()
	name := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	w.cfg.HTTP.Address = "127.0.0.1:0"
	go func() {
		ended <- Run(ctx, w.cfg, RunOptions{
			Commands: testCommands, Logger: w.log.logger(), Environ: []string{"NOTIFY_SOCKET=" + name, "WATCHDOG_USEC=200000"},
		})
	}()
	var told []string
	buf := make([]byte, 4096)
	for !slices.Contains(told, "STOPPING=1") {
		if err := socket.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := socket.Read(buf)
		if err != nil {
			t.Fatalf("%v; told %q\n%s", err, told, w.log)
		}
		told = append(told, strings.Split(string(buf[:n]), "\n")...)
		if signs(told) == 3 {
			stop()
		}
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if told[0] != "READY=1" || slices.Index(told, "STOPPING=1") < slices.Index(told, "WATCHDOG=1") {
		t.Errorf("told %q", told)
	}
}
