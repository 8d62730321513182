package tokens

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"reconciler/internal/store/program"
)

// shell gives a sink that runs a script.
func shell(t *testing.T, script string, env ...string) Sink {
	t.Helper()
	s, err := Exec([]string{"/bin/sh", "-c", script}, append([]string{program.MinPath}, env...))
	must(t, err)
	return s
}

// playKeep is a command that keeps a token: it writes all that it can see of
// itself into the folder args[0].
func playKeep(args []string) error {
	token, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	env := os.Environ()
	slices.Sort(env)
	for name, text := range map[string]string{"stdin": string(token), "environ": strings.Join(env, "\n"), "args": strings.Join(os.Args, "\n")} {
		if err := os.WriteFile(filepath.Join(args[0], name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	for _, name := range []string{"cmdline", "environ"} {
		seen, err := os.ReadFile(filepath.Join("/proc/self", name))
		if errors.Is(err, os.ErrNotExist) {
			continue // another system
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(args[0], "proc-"+name), seen, 0o600); err != nil {
			return err
		}
	}
	fmt.Println("some words")
	fmt.Println("kv/okta/" + os.Getenv("RECONCILER_TOKEN_DOMAIN"))
	fmt.Println()
	return nil
}

// TestExec: the token goes through standard input and nowhere else.
func TestExec(t *testing.T) {
	exe, err := os.Executable()
	must(t, err)
	dir := t.TempDir()
	t.Setenv("RECONCILER_AERIAL_AUTH_PRIVATE_KEY", "of the process")
	t.Setenv("NOT_GIVEN", "x")
	s, err := Exec([]string{exe, dir},
		[]string{roleVar + "=keep", "VAULT_ADDR=https://vault", "RECONCILER_PARENTS_0_TOKEN=secret", "reconciler_token_probe=1"})
	must(t, err)
	m := meta()
	m.Domain = "Acme-New.okta.com"
	where := store(t, s, m, canary)
	if desired := fmt.Sprintf("command %q: kv/okta/acme-new.okta.com", exe); where != desired || s.String() != fmt.Sprintf("command %q", exe) {
		t.Errorf("%s; %s", where, s)
	}
	if actual := content(t, filepath.Join(dir, "stdin")); actual != string(canary) {
		t.Errorf("stdin: %q", actual)
	}
	desired := strings.Join([]string{
		"RECONCILER_TOKEN_CREATED_AT=2026-11-21T12:00:00Z", "RECONCILER_TOKEN_DOMAIN=acme-new.okta.com",
		"RECONCILER_TOKEN_ORG_ID=00oNew1", "RECONCILER_TOKEN_PARENT=acme", roleVar + "=keep", "VAULT_ADDR=https://vault",
	}, "\n")
	if actual := content(t, filepath.Join(dir, "environ")); actual != desired {
		t.Errorf("environment: %s", actual)
	}
	for _, name := range names(t, dir) {
		if name != "stdin" && strings.Contains(content(t, filepath.Join(dir, name)), string(canary)) {
			t.Errorf("the token is in %s", name)
		}
	}
	quiet(t, s, where)
	_, err = s.Find(m.Domain)
	wantError(t, err, "can't tell which tokens it holds", "by hand")
	if !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v", err)
	}
}

func TestExecProbe(t *testing.T) {
	dir := t.TempDir()
	s := shell(t, `cat > "$OUT/stdin"; env > "$OUT/env"; test "$RECONCILER_TOKEN_PROBE" = 1`, "OUT="+dir)
	must(t, s.Probe(t.Context()))
	first := content(t, filepath.Join(dir, "stdin"))
	must(t, s.Probe(t.Context()))
	if second := content(t, filepath.Join(dir, "stdin")); len(first) < 20 || first == second {
		t.Errorf("probes %q and %q are no random words", first, second)
	}
	for _, line := range []string{"RECONCILER_TOKEN_PROBE=1", "RECONCILER_TOKEN_DOMAIN=probe.invalid"} {
		if env := content(t, filepath.Join(dir, "env")); !strings.Contains(env, line+"\n") {
			t.Errorf("no %s in %s", line, env)
		}
	}
	_, err := s.Store(meta(), canary) // not a probe, so the script says no
	wantError(t, err, `storing the token of "acme-new.okta.com" by the command "/bin/sh": exit status 1`, "try it by hand")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantError(t, s.Probe(ctx), `token command "/bin/sh": a trial run failed: interrupted`, "")
}

// TestExecEnvironment: without an environment there is a PATH and no more.
func TestExecEnvironment(t *testing.T) {
	dir := t.TempDir()
	s, err := Exec([]string{"/bin/sh", "-c", "env > " + filepath.Join(dir, "env")}, nil)
	must(t, err)
	m := Meta{Domain: "a\nb\x00c.okta.com", OrgID: "x\x1b[0m"}
	store(t, s, m, canary)
	env := content(t, filepath.Join(dir, "env"))
	for _, line := range []string{program.MinPath, "RECONCILER_TOKEN_DOMAIN=a b c.okta.com", "RECONCILER_TOKEN_ORG_ID=x [0m", "RECONCILER_TOKEN_CREATED_AT="} {
		if !strings.Contains(env, line+"\n") {
			t.Errorf("no %q in %s", line, env)
		}
	}
	if strings.Contains(env, "HOME=") {
		t.Errorf("environment: %s", env)
	}
}

func TestExecWhere(t *testing.T) {
	for script, desired := range map[string]string{
		"true":                          `command "/bin/sh"`,
		"echo":                          `command "/bin/sh"`,
		"echo kv/1":                     `command "/bin/sh": kv/1`,
		"echo a; echo ' b\tc '; echo":   `command "/bin/sh": b c`,
		"printf 'x\\033[31my'":          `command "/bin/sh": x [31my`,
		"printf '\\377'":                `command "/bin/sh": ?`,
		"cat":                           `command "/bin/sh": [token]`,
		`echo "kept $(cat) in kv"`:      `command "/bin/sh": kept [token] in kv`,
		"cat; sleep 60 &":               `command "/bin/sh": [token]`, // something holds the output
		"exec 0<&-; echo ok":            `command "/bin/sh": ok`,
		"echo out; echo err >&2":        `command "/bin/sh": out`,
		"yes | head -c 1000000; echo x": `command "/bin/sh": x`,
		"printf '%01000d' 0":            `command "/bin/sh": ` + strings.Repeat("0", maxExcerpt) + "…",
	} {
		if where := store(t, shell(t, script), meta(), canary); where != desired {
			t.Errorf("%s: %s, not %s", script, where, desired)
		}
	}
}

func TestExecFailures(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	must(t, os.WriteFile(plain, []byte("#!/bin/sh\n"), 0o600))
	exec := func(argv ...string) Sink {
		t.Helper()
		s, err := Exec(argv, nil)
		must(t, err)
		return s
	}
	for _, tt := range []struct {
		s           Sink
		words, hint string
	}{
		{shell(t, "exit 3"), "exit status 3", "end with 0"},
		{shell(t, "echo no room >&2; exit 1"), "exit status 1: no room", "end with 0"},
		{shell(t, "echo a >&2; printf 'b\\n\\033c\\n' >&2; exit 1"), "exit status 1: a b c", ""},
		{shell(t, "kill -9 $$"), "signal: killed", "end with 0"},
		{shell(t, "cat >&2; exit 1"), "exit status 1: [secret]", ""},
		{shell(t, `cat | od -An -tx1 | tr -d ' ' >&2; exit 1`), "exit status 1: [secret] [secret] [secret]", ""},
		{shell(t, `cat | base64 -w 20 >&2; exit 1`), "exit status 1: [secret]", ""},
		{shell(t, "yes no | head -c 999999 >&2; echo last >&2; exit 1"), "no no last", ""},
		{exec(filepath.Join(dir, "missing")), "can't be started: no such file or directory", "must exist"},
		{exec(plain), "can't be started: permission denied", "executable"},
		{exec(dir), "can't be started: permission denied", "executable"},
	} {
		_, err := tt.s.Store(meta(), canary)
		wantError(t, err, `storing the token of "acme-new.okta.com" by the command "`, "")
		wantError(t, err, tt.words, tt.hint)
		if len(err.Error()) > 800 {
			t.Errorf("%d bytes: %v", len(err.Error()), err)
		}
		wantError(t, tt.s.Probe(t.Context()), "a trial run failed", tt.hint)
	}
}

// TestExecTimeout: with the command ends all that it started.
func TestExecTimeout(t *testing.T) {
	dir := t.TempDir()
	s, err := Exec([]string{"/bin/sh", "-c", `sleep 600 & echo $! > "$0/pid"; wait`, dir}, nil)
	must(t, err)
	s.(*command).Timeout = 300 * time.Millisecond
	began := time.Now()
	_, err = s.Store(meta(), canary)
	wantError(t, err, "it was killed after 300ms", "end with 0")
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(content(t, filepath.Join(dir, "pid"))))
	must(t, err)
	for range 100 {
		if err = syscall.Kill(pid, 0); err != nil || zombie(pid) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("process %d lives on", pid)
}

// zombie says whether a process has ended and nobody has asked how.
func zombie(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(text), ") Z ")
}

func TestExecConfig(t *testing.T) {
	for _, tt := range []struct {
		argv, environ []string
		words, hint   string
	}{
		{nil, nil, "no program is given", "absolute path"},
		{[]string{""}, nil, "no program is given", ""},
		{[]string{"vault", "kv"}, nil, `"vault" is no absolute path`, "whole path"},
		{[]string{"./x"}, nil, `"./x" is no absolute path`, ""},
		{[]string{"/x", "a\x00b"}, nil, "NUL", ""},
		{[]string{"/x"}, []string{"A=\x00"}, "NUL", ""},
	} {
		_, err := Exec(tt.argv, tt.environ)
		wantError(t, err, tt.words, tt.hint)
	}
	s, err := Exec([]string{"/x", string(canary)}, []string{"A=" + string(canary)})
	must(t, err)
	if s.String() != `command "/x"` {
		t.Error(s)
	}
}
