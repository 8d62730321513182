//go:build unix

package program

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"reconciler/internal/text"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shell returns a program that runs a script.
func shell(script string, args ...string) []string {
	return append([]string{"/bin/sh", "-c", script}, args...)
}

func newCache(environ ...string) *Cache {
	return &Cache{Environ: append([]string{MinPath}, environ...), Timeout: 10 * time.Second, Keep: time.Minute}
}

// lines returns how often a script that adds a line to a file was run.
func lines(t *testing.T, file string) int {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Count(string(data), "\n")
}

// Of many who ask at once, one runs the program; what it printed is kept for a while,
// and given up when a server refuses it.
func TestCache(t *testing.T) {
	c, runs := newCache(), filepath.Join(t.TempDir(), "runs")
	argv := shell(`echo x >>"$0"; sleep 0.2; wc -l <"$0"`, runs)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if data, err := c.Read(t.Context(), argv); err != nil || strings.TrimSpace(string(data)) != "1" {
				t.Errorf("%q, %v", data, err)
			}
		})
	}
	wg.Wait()
	if n := lines(t, runs); n != 1 {
		t.Fatalf("%d runs", n)
	}
	age := func(by time.Duration) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, k := range c.entries {
			k.at = k.at.Add(-by)
		}
	}
	read := func(want int) {
		t.Helper()
		if data, err := c.Read(t.Context(), argv); err != nil || strings.TrimSpace(string(data)) != strconv.Itoa(want) {
			t.Errorf("%q, %v; want %d", data, err, want)
		}
	}
	c.Refused(argv)
	read(1) // it is too young to be another one by now
	age(failureKept)
	read(1)
	c.Refused(argv)
	read(2)
	age(c.Keep)
	read(3)
	if _, err := c.Read(t.Context(), shell("echo 1", "other")); err != nil || lines(t, runs) != 3 {
		t.Errorf("another command has the same entry: %v", err)
	}
	c.Keep = 0
	read(4)
	read(5)
	data, _ := c.Read(t.Context(), argv)
	data[0] = 'X' // a caller may change the secret that it gets
	c.Keep = time.Minute
	read(6)
}

// A failure is kept for a few seconds, so that many orgs don't start as many programs.
func TestCacheOfFailures(t *testing.T) {
	c, runs := newCache(), filepath.Join(t.TempDir(), "runs")
	argv := shell(`echo x >>"$0"; echo sealed >&2; exit 4`, runs)
	for range 3 {
		if _, err := c.Read(t.Context(), argv); err == nil || err.Error() != "exit status 4: sealed" {
			t.Error(err)
		}
	}
	if n := lines(t, runs); n != 1 {
		t.Errorf("%d runs", n)
	}
	for _, k := range c.entries {
		k.at = k.at.Add(-failureKept)
	}
	if _, err := c.Read(t.Context(), argv); err == nil || lines(t, runs) != 2 {
		t.Errorf("%v, %d runs", err, lines(t, runs))
	}
}

// A caller that doesn't wait any more ends the program, with all that it started; the
// others run it again.
func TestCacheInterrupted(t *testing.T) {
	c, dir := newCache(), t.TempDir()
	argv := shell(`echo x >>"$0/runs"; test -e "$0/go" && { echo secret; exit; }; sleep 600 & echo $! >"$0/pid.tmp"; mv "$0/pid.tmp" "$0/pid"; wait`, dir)
	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { _, err := c.Read(ctx, argv); first <- err }()
	pid := waitForPID(t, filepath.Join(dir, "pid"))
	go func() { _, err := c.Read(t.Context(), argv); second <- err }()
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cancel()
	var failed *Error
	if err := <-first; !errors.As(err, &failed) || !failed.Interrupted || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := <-second; err != nil || lines(t, filepath.Join(dir, "runs")) != 2 {
		t.Errorf("%v", err)
	}
	ends(t, pid)
}

func TestTimeout(t *testing.T) {
	c, dir := newCache(), t.TempDir()
	c.Timeout = 300 * time.Millisecond
	_, err := c.Read(t.Context(), shell(`sleep 600 & echo $! >"$0/pid"; echo half-a-secret; echo half-a-secret >&2; wait`, dir))
	if err == nil || err.Error() != "it was killed after 300ms: [secret]" {
		t.Error(err)
	}
	ends(t, waitForPID(t, filepath.Join(dir, "pid")))
}

func waitForPID(t *testing.T, file string) int {
	t.Helper()
	for range 500 {
		if data, err := os.ReadFile(file); err == nil {
			pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the program didn't start")
	return 0
}

// ends waits until a process is gone.
func ends(t *testing.T, pid int) {
	t.Helper()
	for range 500 {
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if syscall.Kill(pid, 0) != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %d lives on", pid)
}

// Errors have no secret, wherever the program got it from.
func TestNoSecretInErrors(t *testing.T) {
	pem := "-----BEGIN RSA PRIVATE KEY-----\nMIIEvQIBADANBgkq\n-----END RSA PRIVATE KEY-----"
	c := newCache("AWS_SECRET_ACCESS_KEY=aws+canary/1", "VAULT_TOKEN=short-canary", "HOME=/home/ada")
	for script, want := range map[string]string{
		"echo '" + pem + "' >&2; exit 1":                                           "exit status 1: [secret]",
		"echo 'got 00abcdefCANARYabcdefghi, bye' >&2; exit 1":                      "exit status 1: got [secret], bye",
		`echo "signed in with $VAULT_TOKEN from $HOME" >&2; exit 1`:                "exit status 1: signed in with [secret] from /home/ada",
		`set -x; test "$AWS_SECRET_ACCESS_KEY" = 1`:                                "exit status 1: + test [secret] = 1",
		"echo CANARY-of-mine; echo 'no place for CANARY-of-mine' >&2; exit 1":      "exit status 1: no place for [secret]",
		"echo 'Authorization: Bearer abc.def' >&2; exit 1":                         "exit status 1: Authorization: [secret]",
		"echo 'password=hunter2 was refused' >&2; exit 1":                          "exit status 1: password=[secret] was refused",
		"echo 'no postgres://ada:hunter@2@db.example/x' >&2; exit 1":               "exit status 1: no postgres://[secret]@db.example/x",
		"echo '{\"SecretAccessKey\": \"wJa/rXU\"}' >&2; exit 1":                    "exit status 1: {[secret]",
		"echo client_secret=hunter2 >&2; exit 1":                                   "exit status 1: client_secret=[secret]",
		"echo 'key wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY is bad' >&2; exit 1":   "exit status 1: key [secret] is bad",
		"echo 'got 3q2+7/Zm9vYmFy/0123QUJD+RUZHSElKS0xNTk9QUQ==.' >&2; exit 1":     "exit status 1: got [secret].",
		"echo 'nothing at v1/secret/data/okta/Prod2/aerial-signing' >&2; exit 1":   "exit status 1: nothing at v1/secret/data/okta/Prod2/aerial-signing",
		"echo 'no /work/api/00abcdefCANARYabcdefghi' >&2; exit 1":                  "exit status 1: no /work/api/[secret]",
		"echo '/opt/Okta2/keys/PRODUCTION/AERIAL1: no such file' >&2; exit 1":      "exit status 1: /opt/Okta2/keys/PRODUCTION/AERIAL1: no such file",
		"echo 'hvs.CAESIJ is wrong' >&2; exit 1":                                   "exit status 1: [secret] is wrong",
		"echo 'error: key acme-prod/aerial not found in eu-central-1' >&2; exit 2": "exit status 2: error: key acme-prod/aerial not found in eu-central-1",
		"kill -9 $$": "signal: killed",
	} {
		if _, err := c.Read(t.Context(), shell(script)); err == nil || err.Error() != want {
			t.Errorf("%s:\n%v, want\n%s", script, err, want)
		}
	}
}

func TestCannotRun(t *testing.T) {
	c := newCache()
	dir := t.TempDir()
	for _, tt := range []struct {
		argv []string
		says string
		is   error
	}{
		{[]string{filepath.Join(dir, "none")}, "it can't be started: no such file or directory", fs.ErrNotExist},
		{[]string{dir}, "it can't be started: permission denied", fs.ErrPermission},
		{[]string{"vault"}, `"vault" is no absolute path`, nil},
		{nil, "no program is given", nil},
		{[]string{"/bin/sh", "\x00"}, "arguments and environment can't hold a NUL", nil},
		{shell("head -c 70000 /dev/zero"), "it printed more than 64 KB", nil},
	} {
		_, err := c.Read(t.Context(), tt.argv)
		if err == nil || err.Error() != tt.says || tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("%q: %v", tt.argv, err)
		}
		if err != nil && text.Hint(err) == "" && !strings.Contains(tt.says, "NUL") {
			t.Errorf("%q: no hint", tt.argv)
		}
	}
}

// A program gets neither our own variables nor our arguments.
func TestEnvironment(t *testing.T) {
	c := newCache("RECONCILER_AERIAL_AUTH_PRIVATE_KEY=x", "AWS_REGION=eu-central-1")
	data, err := c.Read(t.Context(), shell("env; cat"))
	if err != nil || !strings.Contains(string(data), "AWS_REGION=eu-central-1\n") || strings.Contains(string(data), "RECONCILER_") {
		t.Errorf("%s, %v", data, err)
	}
	out, err := c.Program(shell(`cat; printf %s "$RECONCILER_SIGN_ALGORITHM"`)).Run(t.Context(),
		Call{Stdin: []byte("\x00\xff"), Environ: []string{"RECONCILER_SIGN_ALGORITHM=RS256"}})
	if err != nil || string(out.Data) != "\x00\xffRS256" {
		t.Errorf("%q, %v", out.Data, err)
	}
}
