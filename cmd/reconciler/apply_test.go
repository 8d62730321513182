package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
)

// An apply that can't announce what it promises to announce writes nothing at
// all, and can be repeated.
func TestApplyThatCannotAnnounce(t *testing.T) {
	r := newRig(t, 10, false)
	manifest := filepath.Join(r.dir, "inactive.yaml")
	if err := os.WriteFile(manifest, []byte(`version: 1
orgs:
  - {domain: acme-amer-retail.okta.com, cell: ok2, status: INACTIVE}
  - {domain: acme-apac-retail.okta.com, cell: ok11, products: [P000052]}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	apply := func() (int, string, string) {
		var out, errs bytes.Buffer
		code := run(t.Context(), []string{"apply", "--yes", "--wait", "0s", "--config", r.config, "--manifests", manifest},
			stdio{strings.NewReader(""), &out, &errs}, []string{"RECONCILER_GUARDS_DEACTIVATION_COOLOFF=24h"})
		return code, out.String(), errs.String()
	}
	writes := func() int {
		n := 0
		for _, q := range r.sim.Requests() {
			if q.Aerial && q.Method != "GET" {
				n++
			}
		}
		return n
	}
	held, err := journal.New(location.Folder(filepath.Join(r.dir, "state")), journal.Options{}).Lock()
	if err != nil {
		t.Fatal(err)
	}
	code, _, errs := apply()
	if code != exitError || writes() > 0 || !strings.Contains(errs, " is held by process ") || !strings.Contains(errs, "\nhint: ") {
		t.Errorf("exit code %d after %d writes:\n%s", code, writes(), errs)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	code, out, errs := apply()
	if code != exitOK || writes() != 1 || !strings.Contains(out, "only announces it") {
		t.Errorf("exit code %d after %d writes:\n%s%s", code, writes(), out, errs)
	}
	if code, out, _ = apply(); code != exitOK || !strings.Contains(out, "cooling off: announced at ") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

// While apply waited for an answer, the daemon accepted a newer commit: what was
// to be answered is out of date, and nothing is taken back.
func TestApplyThatWasOvertaken(t *testing.T) {
	for _, program := range []string{"git", "ssh-keygen"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed, and its signatures are needed here", program)
		}
	}
	r := newRig(t, 10, false)
	sh := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = r.dir
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %q: %v: %s", name, args, err, out)
		}
		return string(out)
	}
	sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "key")
	pub, err := os.ReadFile(filepath.Join(r.dir, "key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{
		"keys":                  "ada@acme.example " + string(pub),
		"repo/orgs/orgs.yaml":   "version: 1\norgs:\n  - {domain: acme-amer-retail.okta.com, products: [P000052]}\n",
		filepath.Base(r.config): strings.Replace(string(text), "\nmanifests: ", "\ngit: {url: repo, path: orgs, verify: {keysFile: keys}} # ", 1),
	} {
		file := filepath.Join(r.dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sh("git", "init", "-q", "-b", "main", "repo")
	sh("git", "-C", "repo", "add", ".")
	sh("git", "-C", "repo", "-c", "user.name=Ada", "-c", "user.email=ada@acme.example", "-c", "gpg.format=ssh",
		"-c", "user.signingKey="+filepath.Join(r.dir, "key"), "commit", "-q", "-S", "-m", "orgs")

	var flags planFlags
	set := pflag.NewFlagSet("apply", pflag.ContinueOnError)
	flags.add(set)
	if err := set.Parse(nil); err != nil {
		t.Fatal(err)
	}
	a := &app{stdio: stdio{strings.NewReader(""), io.Discard, io.Discard}, configPath: r.config, logLevel: "error", logFormat: "text"}
	p, err := a.prepare(&flags)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	plan, data, err := p.plan(t.Context())
	if err != nil || writes(plan) != 1 {
		t.Fatalf("%+v, %v", plan, err)
	}
	other, err := journal.New(location.Folder(filepath.Join(r.dir, "state")), journal.Options{}).Lock()
	if err != nil {
		t.Fatal(err)
	}
	newer := journal.Acceptance{Source: filepath.Join(r.dir, "repo") + " refs/heads/main", Commit: strings.Repeat("ab", 20), At: time.Now()}
	if err := other.Accept(newer, "", false); err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	var errs strings.Builder
	code := finish(&errs, a.apply(t.Context(), p, data, &applying{yes: true}))
	if code != exitRefused || errs.String() != "reconciler: a newer commit (abababababab) came into force meanwhile; nothing was written\nhint: run again: that looks at the newest commit\n" {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
	for _, q := range r.sim.Requests() {
		if q.Aerial && q.Method != "GET" {
			t.Errorf("%s %s", q.Method, q.Path)
		}
	}
}
