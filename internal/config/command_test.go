package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"reconciler/internal/text"
)

// script writes a program, and returns its path.
func script(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCommands(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the programs are shell scripts")
	}
	path := writeConfig(t, `
aerial: {auth: {privateKeyCommand: [./print, "the key"]}}
orgs: {auth: {signCommand: [./sign, "{domain}"], publicKeyFile: "./{domain}.pub", keyID: k}}
git:
  url: https://git.example/a.git
  auth: {username: u, passwordCommand: ./none}
  webhook: {secretCommand: ./empty}
notify: [{type: slack, urlCommand: [./print, a]}, {type: slack, urlCommand: [./print, b]}]
`)
	dir := filepath.Dir(path)
	print := script(t, dir, "print", `printf '\357\273\277%s %s\n\n' "$1" "$AWS_REGION"`)
	script(t, dir, "empty", "echo")
	sign := script(t, dir, "sign", `cat; printf " $1 $RECONCILER_SIGN_ALGORITHM $RECONCILER_SIGN_INPUT $RECONCILER_MODE"`)
	if err := os.WriteFile(filepath.Join(dir, "acme.okta.com.pub"), []byte("public\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, warnings, err := Load(path, []string{"AWS_REGION=eu", "RECONCILER_MODE=report"})
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	key := cfg.Aerial.Auth.PrivateKey
	if data, err := key.Read(t.Context()); err != nil || string(data) != "the key eu" {
		t.Errorf("%q, %v", data, err)
	}
	if want := `aerial.auth.privateKeyCommand ("` + print + `")`; key.String() != want {
		t.Errorf("%s, want %s", key, want)
	}
	if a, b := cfg.Notify[0].Name(), cfg.Notify[1].Name(); a == b || !strings.HasPrefix(a, "slack "+print+" (arguments ") {
		t.Errorf("receivers %q, %q", a, b)
	}

	password := cfg.Git.Auth.Password
	_, err = password.Read(t.Context())
	if want := `git.auth.passwordCommand: command "` + filepath.Join(dir, "none") + `": it can't be started: no such file or directory`; err == nil ||
		err.Error() != want || !errors.Is(err, fs.ErrNotExist) || text.Hint(err) == "" {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := cfg.Git.Webhook.Read(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "git.webhook.secretCommand (") || !strings.HasSuffix(err.Error(), " is empty") {
		t.Error(err)
	}

	orgs := cfg.Orgs.Auth.PrivateKey("ACME.okta.com")
	if _, err := orgs.Read(t.Context()); err == nil || !cfg.Orgs.Auth.PerOrg() || cfg.Orgs.Auth.Folder() != dir {
		t.Errorf("%v, %v, %s", err, cfg.Orgs.Auth.PerOrg(), cfg.Orgs.Auth.Folder())
	}
	s := orgs.Signer()
	if data, err := s.Public(); err != nil || string(data) != "public" {
		t.Errorf("%q, %v", data, err)
	}
	if got, err := s.Sign(t.Context(), "ES256", []byte("digest"), []byte("in.put")); err != nil || string(got) != "digest acme.okta.com ES256 in.put " {
		t.Errorf("%q, %v", got, err)
	}
	if want := `orgs.auth.signCommand ("` + sign + `")`; orgs.String() != want || !cfg.Orgs.HasAuth() {
		t.Errorf("%s, want %s", orgs, want)
	}
}

// A program that others can change could be anything.
func TestCommandOfOthers(t *testing.T) {
	path := writeConfig(t, "aerial: {auth: {privateKeyCommand: ./print}}\n")
	print := script(t, filepath.Dir(path), "print", "echo x")
	if err := os.Chmod(print, 0o777); err != nil {
		t.Fatal(err)
	}
	_, warnings, err := Load(path, nil)
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0].Msg, "and with it what is run: chmod go-w it") {
		t.Errorf("%v, %v", warnings, err)
	}
}

// A file that is replaced as Kubernetes does it, by another target of a symbolic link,
// is read anew.
func TestProjectedFile(t *testing.T) {
	dir := t.TempDir()
	put := func(name, secret string) {
		t.Helper()
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		must(os.Mkdir(filepath.Join(dir, name), 0o700))
		must(os.WriteFile(filepath.Join(dir, name, "token"), []byte(secret), 0o400))
		must(os.Symlink(name, filepath.Join(dir, "..tmp")))
		must(os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")))
	}
	if err := os.Symlink(filepath.Join("..data", "token"), filepath.Join(dir, "token")); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	s := Secret{name: "git.auth.passwordFile", file: filepath.Join(dir, "token")}
	for name, secret := range map[string]string{"..1": "first", "..2": "second"} {
		put(name, secret)
		if data, err := s.Read(t.Context()); err != nil || string(data) != secret {
			t.Errorf("%q, %v", data, err)
		}
	}
}
