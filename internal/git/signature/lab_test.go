package signature

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// lab runs git, ssh-keygen and gpg isolated from the machine's configuration.
type lab struct {
	t    testing.TB
	dir  string
	repo string
	env  []string
}

// needs skips the test where a program is missing, and in short mode, as programs
// take most of the time.
func needs(t testing.TB, programs ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts many processes")
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed", p)
		}
	}
}

func newLab(t testing.TB) *lab {
	t.Helper()
	needs(t, "git")
	dir := t.TempDir()
	l := &lab{t: t, dir: dir, repo: filepath.Join(dir, "repo"), env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XDG_CONFIG_HOME=" + dir, "TZ=UTC", "LC_ALL=C",
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com",
		"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com",
	}}
	l.run("", "git", "init", "-q", "-b", "main", l.repo)
	return l
}

// maybeLab returns nil where there is no git, and in short mode, for tests that use
// it only in subtests that skip there.
func maybeLab(t testing.TB) *lab {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil || testing.Short() {
		return nil
	}
	return newLab(t)
}

// with returns the lab with more in its environment.
func (l *lab) with(env ...string) *lab {
	c := *l
	c.env = append(append([]string{}, l.env...), env...)
	return &c
}

// at returns the lab in which commits and signatures are made at that time.
func (l *lab) at(t time.Time) *lab {
	git := fmt.Sprintf("%d +0000", t.Unix())
	return l.with("GIT_AUTHOR_DATE="+git, "GIT_COMMITTER_DATE="+git, "FAKE_TIME="+t.UTC().Format("20060102T150405"))
}

func (l *lab) try(stdin, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Dir, cmd.Stdin = l.env, l.dir, strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, stderr.String())
	}
	return string(out), err
}

func (l *lab) run(stdin, name string, args ...string) string {
	l.t.Helper()
	out, err := l.try(stdin, name, args...)
	if err != nil {
		l.t.Fatal(err)
	}
	return out
}

// git runs git in the repository.
func (l *lab) git(args ...string) string {
	l.t.Helper()
	return l.run("", "git", append([]string{"-C", l.repo}, args...)...)
}

// commit makes a commit with the settings, which say how to sign, and returns its
// content.
func (l *lab) commit(message string, settings ...string) []byte {
	l.t.Helper()
	args := append(settings, "commit", "-q", "--allow-empty", "-m", message)
	if len(settings) > 0 {
		args = append(args, "-S")
	}
	l.git(args...)
	return []byte(l.git("cat-file", "commit", "HEAD"))
}

// tag makes an annotated tag.
func (l *lab) tag(name, message string, settings ...string) []byte {
	l.t.Helper()
	kind := "-a"
	if len(settings) > 0 {
		kind = "-s"
	}
	l.git(append(settings, "tag", kind, "-m", message, name)...)
	return []byte(l.git("cat-file", "tag", name))
}

// verifies reports whether git accepts the object, and if not, why.
func (l *lab) verifies(kind string, raw []byte, settings ...string) (bool, string) {
	l.t.Helper()
	name, err := l.try(string(raw), "git", "-C", l.repo, "hash-object", "-w", "--literally", "-t", kind, "--stdin")
	if err != nil {
		return false, err.Error()
	}
	args := append([]string{"-C", l.repo}, settings...)
	_, err = l.try("", "git", append(args, "verify-"+kind, strings.TrimSpace(name))...)
	if err != nil {
		return false, err.Error()
	}
	return true, ""
}

func (l *lab) write(name, content string) string {
	l.t.Helper()
	path := filepath.Join(l.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return path
}

func (l *lab) read(name string) string {
	l.t.Helper()
	data, err := os.ReadFile(filepath.Join(l.dir, name))
	if err != nil {
		l.t.Fatal(err)
	}
	return string(data)
}

// sshKey makes a key and returns the settings to sign with it and its public part
// without the comment.
func (l *lab) sshKey(name string, args ...string) (settings []string, public string) {
	l.t.Helper()
	path := filepath.Join(l.dir, name)
	l.run("", "ssh-keygen", append([]string{"-q", "-N", "", "-C", "", "-f", path}, args...)...)
	return signWith(path), strings.TrimSpace(l.read(name + ".pub"))
}

func signWith(path string) []string {
	return []string{"-c", "gpg.format=ssh", "-c", "user.signingKey=" + path}
}

// gnupg returns the lab with a GnuPG home of its own. Its path is short: a socket
// has to fit into 108 bytes.
func (l *lab) gnupg() *lab {
	l.t.Helper()
	needs(l.t, "gpg", "gpgconf")
	home, err := os.MkdirTemp("/tmp", "g")
	if err != nil {
		l.t.Fatal(err)
	}
	c := l.with("GNUPGHOME=" + home)
	l.t.Cleanup(func() {
		_, _ = c.try("", "gpgconf", "--kill", "all")
		_ = os.RemoveAll(home)
	})
	return c
}

// gpg runs gpg at the lab's time.
func (l *lab) gpg(stdin string, args ...string) string {
	l.t.Helper()
	return l.run(stdin, l.faked(), args...)
}

// faked is gpg with a clock that the environment sets.
func (l *lab) faked() string {
	path := filepath.Join(l.dir, "gpg-at")
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		script := "#!/bin/sh\nexec gpg --batch --no-tty --pinentry-mode loopback --passphrase '' --faked-system-time \"$FAKE_TIME!\" \"$@\"\n"
		if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
			l.t.Fatal(err)
		}
	}
	return path
}

// pgpKey makes a key that may do use until expire, and returns the settings to
// sign with it and its fingerprint.
func (l *lab) pgpKey(id, use, expire string) (settings []string, fingerprint string) {
	l.t.Helper()
	l.gpg("", "--quick-gen-key", id, "ed25519", use, expire)
	fields := strings.Split(l.gpg("", "--with-colons", "--list-keys", "="+id), "\nfpr:::::::::")
	fingerprint = strings.Split(fields[1], ":")[0]
	return []string{"-c", "gpg.program=" + l.faked(), "-c", "user.signingKey=" + fingerprint}, fingerprint
}

func day(s string) time.Time {
	t, err := time.Parse("2006-01-02", s)
	if err != nil {
		panic(err)
	}
	return t
}

// reason returns why the object was rejected; "" if it wasn't.
func reason(t testing.TB, err error) Reason {
	t.Helper()
	if err == nil {
		return ""
	}
	var e *Error
	if !errors.As(err, &e) || e.Reason == "" || e.Hint() == "" || strings.ContainsAny(e.Error(), "\n\r\x1b") {
		t.Fatalf("not an error as it should be: %#v", err)
	}
	return e.Reason
}

func mustParse(t testing.TB, text string) *Keys {
	t.Helper()
	k, err := Parse("keys", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// edit replaces the first occurrence of old, which must be there.
func edit(t testing.TB, raw []byte, old, new string) []byte {
	t.Helper()
	if !bytes.Contains(raw, []byte(old)) {
		t.Fatalf("there is no %q in\n%s", old, raw)
	}
	return bytes.Replace(raw, []byte(old), []byte(new), 1)
}
