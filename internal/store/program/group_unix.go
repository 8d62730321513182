//go:build unix

package program

import (
	"errors"
	"os"
	"os/exec"
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
