package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// signals turns the signals of the process into the end of a context:
//
//   - The first SIGINT or SIGTERM ends it, which asks for an orderly end. From then
//     on these two have their usual effect again, so that a second one ends the
//     process at once.
//   - SIGHUP ends it as well, unless the command takes hangups. It never has its
//     usual effect: a terminal that is closed sends it more than once, which must
//     not end the process in the middle of a write. A process that was started with
//     SIGHUP ignored, as by nohup, goes on.
//   - SIGPIPE is caught and has no effect. A write to a closed pipe returns an error,
//     also for stdout and stderr, where it would end a Go program.
type signals struct {
	ctx    context.Context
	cancel context.CancelFunc
	ends   chan os.Signal // SIGINT and SIGTERM
	hups   chan os.Signal
	done   chan struct{}

	mu sync.Mutex
	// hangup holds one SIGHUP for the command; nil while none takes them.
	hangup chan struct{}
}

// catchSignals catches signals until stop.
func catchSignals() *signals {
	s := &signals{ends: make(chan os.Signal, 1), hups: make(chan os.Signal, 1), done: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	signal.Notify(s.ends, os.Interrupt, syscall.SIGTERM)
	// Caught and not ignored: what the program executes would inherit the latter.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(s.hups, syscall.SIGHUP)
	}
	go s.receive()
	return s
}

func (s *signals) receive() {
	for {
		select {
		case <-s.ends:
			signal.Stop(s.ends)
			s.cancel()
		case <-s.hups:
			s.hungUp()
		case <-s.done:
			return
		}
	}
}

func (s *signals) hungUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hangup == nil {
		s.cancel()
		return
	}
	select {
	case s.hangup <- struct{}{}:
	default: // one is waiting, and what it asks for happens after this one as well
	}
}

// takeHangups returns the channel on which a command receives each SIGHUP from now
// on, also one that the process was told to ignore.
func (s *signals) takeHangups() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hangup == nil {
		s.hangup = make(chan struct{}, 1)
		signal.Notify(s.hups, syscall.SIGHUP)
	}
	return s.hangup
}

// stop restores the usual effect of SIGINT and SIGTERM. SIGHUP and SIGPIPE stay
// without one for the rest of the process.
func (s *signals) stop() {
	signal.Stop(s.ends)
	s.cancel()
	close(s.done)
}
