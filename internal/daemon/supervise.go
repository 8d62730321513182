package daemon

import (
	"context"
	"time"

	"reconciler/internal/daemon/api"
	"reconciler/internal/daemon/sdnotify"
)

// superviseEvery is how often the service manager gets the daemon's status and a ping of
// its watchdog. It is less where the watchdog asks for that.
const superviseEvery = 10 * time.Second

// manager is the service manager that the daemon was started by; *sdnotify.Notifier is
// one.
type manager interface {
	// Send sends messages together.
	Send(messages ...string) error
	// Watchdog returns how long the manager waits for a ping before it kills the process;
	// 0 if it has no watchdog.
	Watchdog() time.Duration
}

// supervise reports to systemd, if that has started the daemon: that the endpoints are
// served, the daemon's status, and when ctx ends. It goes on until the function that it
// returns is called.
func (d *daemon) supervise(ctx context.Context) (end func()) {
	n, err := sdnotify.New(d.opts.Environ)
	if err != nil {
		d.log.Warn("systemd can't be told how the daemon does", errorAttrs(err)...)
	}
	if n == nil {
		return func() {}
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		(&supervision{daemon: d, manager: n}).serve(ctx, done)
	}()
	return func() {
		close(done)
		<-ended
	}
}

// supervision is what the service manager was told last.
type supervision struct {
	daemon  *daemon
	manager manager
	status  string
	// stuck is why the watchdog gets no ping; failed is set while the manager can't be
	// reached.
	stuck  string
	failed bool
}

func (s *supervision) serve(ctx context.Context, done <-chan struct{}) {
	every := superviseEvery
	if limit := s.manager.Watchdog(); limit > 0 {
		every = min(every, limit/2)
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	s.tell(sdnotify.Ready)
	for stopping := ctx.Done(); ; {
		select {
		case <-done:
			if stopping != nil {
				s.tell(sdnotify.Stopping)
			}
			return
		case <-stopping:
			stopping = nil
			s.tell(sdnotify.Stopping)
		case <-ticker.C:
			s.tell()
		}
	}
}

// tell sends messages, with a ping of the watchdog unless the loop is stuck, and the
// status if it has changed.
func (s *supervision) tell(messages ...string) {
	now := time.Now()
	if s.alive(now) {
		messages = append(messages, sdnotify.Alive)
	}
	status := statusLine(s.daemon.tracker.read(now))
	if status != s.status {
		messages = append(messages, sdnotify.Status(status))
	}
	if len(messages) == 0 {
		return
	}
	err := s.manager.Send(messages...)
	if err != nil && !s.failed {
		s.daemon.log.Warn("systemd can't be told how the daemon does", errorAttrs(err)...)
	}
	if s.failed = err != nil; !s.failed {
		s.status = status
	}
}

// alive reports whether the watchdog is to get a ping.
func (s *supervision) alive(now time.Time) bool {
	if s.manager.Watchdog() == 0 {
		return false
	}
	stuck := s.daemon.tracker.stuck(now)
	if stuck != "" && s.stuck == "" {
		s.daemon.log.Error("the daemon is stuck, and its watchdog gets no sign of life until it goes on", "reason", stuck)
	}
	s.stuck = stuck
	return stuck == ""
}

// statusLine returns the line that systemctl shows for a status. All users of the machine
// can read it, so it doesn't name orgs.
func statusLine(s api.Status) string {
	line, _ := s.Headline()
	switch {
	case s.StandingBy != nil:
		return "standing by"
	case s.Running != nil:
		return line + "; a run goes on since " + s.Running.Started.UTC().Format(time.RFC3339)
	}
	if s.LastRun != nil {
		line += "; the last run ended at " + s.LastRun.Finished.UTC().Format(time.RFC3339)
	}
	if s.NextRun != nil {
		line += ", the next is due at " + s.NextRun.UTC().Format(time.RFC3339)
	}
	return line
}
