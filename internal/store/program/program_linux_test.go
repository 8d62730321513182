package program

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The first process of a container, to which orphans are given, keeps none of them that
// has ended: neither what was killed with its program, nor what ended later.
func TestOrphans(t *testing.T) {
	const first = "PROGRAM_TEST_FIRST"
	if os.Getenv(first) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestOrphans$")
		cmd.Env = append(os.Environ(), first+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	const setChildSubreaper = 36 // PR_SET_CHILD_SUBREAPER
	if _, _, errno := syscall.Syscall(syscall.SYS_PRCTL, setChildSubreaper, 1, 0); errno != 0 {
		t.Fatal(errno)
	}
	run := func(script string, timeout time.Duration) error {
		_, err := (&Program{Argv: shell(script), Timeout: timeout}).Run(t.Context(), Call{})
		return err
	}
	for range 3 {
		if err := run("sleep 600 & wait", 200*time.Millisecond); err == nil {
			t.Fatal("it was not killed")
		}
	}
	if err := run("sleep 0.1 <&- >&- 2>&- &", 10*time.Second); err != nil {
		t.Fatal(err)
	}
	for try := 0; ; try++ {
		if err := run(":", 10*time.Second); err != nil {
			t.Fatal(err)
		}
		children := childrenOf(t, os.Getpid())
		if len(children) == 0 {
			return
		}
		if try == 200 {
			t.Fatalf("left: %v", children)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// childrenOf returns the children of a process, those that have ended too.
func childrenOf(t *testing.T, parent int) (all []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // it is gone
		}
		_, rest, _ := strings.Cut(string(data), ") ")
		var state string
		var ppid int
		if _, err := fmt.Sscan(rest, &state, &ppid); err == nil && ppid == parent {
			all = append(all, strings.TrimSpace(string(data)))
		}
	}
	return all
}
