package onboard_test

import (
	"bufio"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"
)

// syscalls runs TestKilledAtSystemCalls, which takes minutes and needs strace.
var syscalls = flag.Bool("syscalls", false, "kill the program at each of its system calls that write; needs strace")

// traced are the system calls that change a file, a folder or what others see.
const traced = "write,pwrite64,fsync,fdatasync,ftruncate,linkat,renameat,unlinkat,mkdirat,flock"

// TestKilledAtSystemCalls kills the program as it enters each of the system
// calls that it makes, so also in the middle of what journal and sink do.
func TestKilledAtSystemCalls(t *testing.T) {
	if !*syscalls {
		t.Skip("runs with -syscalls")
	}
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("there is no strace")
	}
	for _, sc := range []*scenario{&scenarios[0], &scenarios[1]} {
		most := sc.countCalls(t)
		var killed atomic.Int64
		for name, n := range most {
			for i := 1; i <= n; i++ {
				t.Run(sc.name+"/"+name+strconv.Itoa(i), func(t *testing.T) {
					t.Parallel()
					if sc.killAtCall(t, name, i) {
						killed.Add(1)
					}
				})
			}
		}
		t.Cleanup(func() {
			t.Logf("%s: %d kills; in one thread there were up to %v calls", sc.name, killed.Load(), most)
			if killed.Load() < 20 {
				t.Errorf("%s: only %d kills", sc.name, killed.Load())
			}
		})
	}
}

// straced runs the program under strace, and returns how it ended.
func (w *world) straced(t testing.TB, args ...string) (code int) {
	t.Helper()
	return exit(t, w.process(t, append([]string{"strace", "-f", "-qq"}, args...)...).Wait())
}

// countCalls returns how often each call is made at most in one thread, which is
// how strace counts.
func (sc *scenario) countCalls(t *testing.T) map[string]int {
	t.Helper()
	w := newWorld(t, nil, fresh)
	sc.before(t, w)
	file := filepath.Join(w.Dir, "trace")
	if code := w.straced(t, "-o", file, "-e", "trace="+traced); code != exitDone {
		t.Fatalf("ended with %d:\n%s", code, w.said())
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	line := regexp.MustCompile(`^(\d+) +(\w+)\(`)
	counts, most := map[string]int{}, map[string]int{}
	for s := bufio.NewScanner(f); s.Scan(); {
		if m := line.FindStringSubmatch(s.Text()); m != nil {
			counts[m[1]+m[2]]++
			most[m[2]] = max(most[m[2]], counts[m[1]+m[2]])
		}
	}
	return most
}

// killAtCall kills the program as a thread of it enters a call for the nth
// time, and reports whether any did: threads share the work in another way each
// time.
func (sc *scenario) killAtCall(t *testing.T, name string, n int) bool {
	w := newWorld(t, nil, fresh)
	sc.before(t, w)
	inject := "inject=" + name + ":signal=SIGKILL:when=" + strconv.Itoa(n)
	code := w.straced(t, "-o", os.DevNull, "-e", "trace="+name, "-e", inject)
	if code != -1 && code != exitDone {
		t.Fatalf("ended with %d:\n%s", code, w.said())
	}
	_, there := w.Org(fresh)
	stored := w.tokenOnDisk(t, fresh)
	w.finish(t)
	w.wantComplete(t, fresh, sc.lost || there && !stored)
	w.wantOrgs(t, 1)
	return code == -1
}

// tokenOnDisk reports whether the sink's folder holds an org's token, be it under the
// name that its file has before it is synced.
func (w *world) tokenOnDisk(t testing.TB, domain string) bool {
	t.Helper()
	org, ok := w.Org(domain)
	if !ok {
		return false
	}
	entries, _ := os.ReadDir(w.tokenDir())
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(w.tokenDir(), e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if string(data) == org.Tokens[0]+"\n" {
			return true
		}
	}
	return false
}
