//go:build unix

package program

import (
	"errors"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// group puts a program into a process group of its own, which is killed as a whole
// at the end of its time. Ctrl-C on our terminal doesn't reach it.
func group(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
}

// orphans are the groups of programs that have ended, in which something may be left. The
// first process of a container is the parent of what a program leaves behind, and nobody
// else takes note of its end: it would stay in the table of processes until that is full.
var orphans struct {
	mu     sync.Mutex
	groups map[int]bool
}

// reap takes note of what has ended in the group of a program that has ended, and in those
// of others before.
func reap(cmd *exec.Cmd) {
	if cmd.Process == nil {
		return
	}
	orphans.mu.Lock()
	defer orphans.mu.Unlock()
	if orphans.groups == nil {
		orphans.groups = map[int]bool{}
	}
	orphans.groups[cmd.Process.Pid] = true
	for group := range orphans.groups {
		if isGone(group) {
			delete(orphans.groups, group)
		}
	}
}

// isGone reports whether this process has no children in a group any more. A group's
// number isn't given to another one as long as something is in it.
func isGone(group int) bool {
	for {
		pid, err := syscall.Wait4(-group, nil, syscall.WNOHANG, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return true
		case pid == 0:
			return false // what is left still runs
		}
	}
}
