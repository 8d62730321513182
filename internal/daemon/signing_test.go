package daemon

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reconciler/internal/store/journal"
)

// signers are people with keys of their own who commit to a world's repository
// with git itself, at the time of the world.
type signers struct {
	*world
	keys string // the folder of keys, and of git.verify.keysFile
	gpg  string // GNUPGHOME
}

// need skips the test where a program is missing.
func need(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed, and what it signs is tested here", p)
		}
	}
}

// keysFile is where the config of a signed world has its keys; the folder is of
// the test's own.
func keysFile(dir string) string { return filepath.Join(dir, "allowed_signers") }

// verifying is the config of a world that wants signatures; more is put into
// git.verify.
func verifying(dir, more string) string {
	if more != "" {
		more = ", " + more
	}
	return fmt.Sprintf("verify: {keysFile: %s%s}", keysFile(dir), more)
}

// program runs a program for somebody whose machine knows nothing but the time.
func (s *signers) program(name string, args ...string) string {
	s.t.Helper()
	out, err := s.try("", name, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

func (s *signers) try(stdin, name string, args ...string) (string, error) {
	now := time.Now().UTC()
	date := fmt.Sprintf("%d +0000", now.Unix())
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdin = s.repo.Dir(), strings.NewReader(stdin)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.keys, "XDG_CONFIG_HOME=" + s.keys, "GNUPGHOME=" + s.gpg, "TZ=UTC", "LC_ALL=C",
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@acme.example", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@acme.example",
		"GIT_AUTHOR_DATE=" + date, "GIT_COMMITTER_DATE=" + date, "FAKE_TIME=" + now.Format("20060102T150405"),
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, stderr.String())
	}
	return string(out), err
}

func (s *signers) git(args ...string) string {
	s.t.Helper()
	return s.program("git", args...)
}

// ssh makes an SSH key for somebody, if there is none yet, and gives the
// settings with which git signs with it.
func (s *signers) ssh(who string) []string {
	s.t.Helper()
	file := filepath.Join(s.keys, who)
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		s.program("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", file)
	}
	return []string{"-c", "gpg.format=ssh", "-c", "user.signingKey=" + file}
}

// pgp does the same with an OpenPGP key that never expires.
func (s *signers) pgp(who string) []string {
	s.t.Helper()
	id := who + "@acme.example"
	if _, err := s.try("", s.gpgNow(), "--list-keys", id); err != nil {
		s.program(s.gpgNow(), "--quick-gen-key", id, "ed25519", "sign", "0")
	}
	return []string{"-c", "gpg.program=" + s.gpgNow(), "-c", "user.signingKey=" + id}
}

// gpgNow is gpg with the time of the world.
func (s *signers) gpgNow() string {
	s.t.Helper()
	file := filepath.Join(s.keys, "gpg-now")
	if _, err := os.Stat(file); err == nil {
		return file
	}
	need(s.t, "gpg", "gpgconf")
	script := "#!/bin/sh\nexec gpg --batch --no-tty --pinentry-mode loopback --passphrase '' --faked-system-time \"$FAKE_TIME!\" \"$@\"\n"
	if err := os.WriteFile(file, []byte(script), 0o700); err != nil {
		s.t.Fatal(err)
	}
	var err error
	if s.gpg, err = os.MkdirTemp("/tmp", "g"); err != nil { // short: a socket's path is
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_, _ = s.try("", "gpgconf", "--kill", "all")
		_ = os.RemoveAll(s.gpg)
	})
	return file
}

// line is somebody's line of allowed_signers, with options if any.
func (s *signers) line(who, options string) string {
	s.t.Helper()
	s.ssh(who)
	key, err := os.ReadFile(filepath.Join(s.keys, who+".pub"))
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.Join(strings.Fields(who+"@acme.example "+options+" "+string(key)), " ") + "\n"
}

// armored is somebody's OpenPGP key.
func (s *signers) armored(who string) string {
	s.t.Helper()
	s.pgp(who)
	return s.program(s.gpgNow(), "--armor", "--export", who+"@acme.example") + "\n"
}

// allow writes git.verify.keysFile.
func (s *signers) allow(keys ...string) {
	s.t.Helper()
	if err := os.WriteFile(keysFile(s.keys), []byte(strings.Join(keys, "")), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// signed makes the manifest the only one of HEAD, in a commit that is signed
// with these settings; unsigned without any. It gives the commit.
func (s *signers) signed(manifest string, settings ...string) string {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.repo.Dir(), "orgs", "orgs.yaml"), []byte(manifest), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.git("add", "-A")
	args := append(append([]string{}, settings...), "commit", "-q", "--allow-empty", "-m", "change")
	if len(settings) > 0 {
		args = append(args, "-S")
	}
	s.git(args...)
	return s.git("rev-parse", "HEAD")
}

// object puts a commit's content into the repository and points main to it.
func (s *signers) object(content string) string {
	s.t.Helper()
	out, err := s.try(content, "git", "hash-object", "-t", "commit", "-w", "--stdin")
	if err != nil {
		s.t.Fatal(err)
	}
	hash := strings.TrimSpace(out)
	s.git("update-ref", "refs/heads/main", hash)
	return hash
}

// newSigners makes a world in which commits must be signed by ada, with SSH. HEAD
// is inSync, signed by her. The options' git lines are taken over, with DIR for
// the folder of keys.
func newSigners(t *testing.T, o worldOptions) (*signers, string) {
	t.Helper()
	need(t, "git", "ssh-keygen")
	dir := t.TempDir()
	if o.git == "" {
		o.git = verifying(dir, "")
	}
	o.git = strings.ReplaceAll(o.git, "DIR", dir)
	o.extra = strings.ReplaceAll(o.extra, "DIR", dir)
	s := &signers{keys: dir}
	o.prepare = func(w *world) {
		s.world = w
		s.allow(s.line("ada", ""))
	}
	newWorld(t, o)
	return s, s.signed(inSync, s.ssh("ada")...)
}

// testCommands are those of the program.
var testCommands = journal.Commands{Acknowledge: "reconciler acknowledge --journal"}

// restart puts a new process in the place of the daemon.
func (w *world) restart() {
	w.t.Helper()
	w.stop()
	var err error
	if w.daemon, err = newDaemon(w.cfg, RunOptions{Version: "v1.2.3", Commands: testCommands, Logger: w.log.logger()}, w.base); err != nil {
		w.t.Fatal(err)
	}
}

// stop ends the daemon, if there is one.
func (w *world) stop() {
	if w.daemon != nil {
		w.daemon.close()
	}
}

// reload reads the config anew after its file was edited, and restarts.
func (w *world) reload(o worldOptions) {
	w.t.Helper()
	w.cfg = w.load(w.sim.URL, o)
	w.restart()
}
