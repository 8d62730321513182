//go:build unix

package tokens

import (
	"errors"
	"os"
	"os/exec"
	"syscall"

	"reconciler/internal/text"
)

// secure makes sure that nobody else may read the file, whatever the umask.
func secure(f *os.File) error {
	if err := f.Chmod(0o600); err != nil {
		return systemError("setting the mode of a file", err)
	}
	info, err := f.Stat()
	if err != nil {
		return systemError("reading the mode of a file", err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		return text.WithHint(errors.New("the file system lets others read files"),
			"name a folder on a file system that keeps modes (not vfat, and not every network file system)")
	}
	return nil
}

// group puts a command into a process group of its own, which is killed as a whole
// at the timeout. Ctrl-C on our terminal doesn't reach it.
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
