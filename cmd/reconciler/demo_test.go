package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// commitHash matches what differs from demo to demo: commits have the time in them.
var commitHash = regexp.MustCompile(`\b[0-9a-f]{40}\b`)

// The whole story, with nothing but the program itself. Of its second half, about the
// configuration of orgs, each word is known; the first one also shows how long things
// took.
func TestDemo(t *testing.T) {
	binary, err := exec.LookPath("reconciler")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if git, err := exec.LookPath("git"); err == nil {
		// A clone of something else around it is no matter.
		if out, err := exec.CommandContext(t.Context(), git, "init", "-q", dir).CombinedOutput(); err != nil {
			t.Fatalf("git init: %v\n%s", err, out)
		}
	}
	var errs strings.Builder
	cmd := exec.CommandContext(t.Context(), binary, "demo")
	cmd.Dir, cmd.Env, cmd.Stderr = dir, append(os.Environ(), "GORACE="+raceSetting), &errs
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, text, errs.String())
	}
	first, second, _ := strings.Cut(string(text), "== A baseline")
	for _, part := range []string{"cannot be undone", "Refused: apply makes none of these changes", "applied  + create the org"} {
		if !strings.Contains(first, part) {
			t.Errorf("the first half lacks %q:\n%s", part, first)
		}
	}
	second = commitHash.ReplaceAllString("== A baseline"+second, "COMMIT")
	const file = "testdata/demo.golden"
	if *update {
		if err := os.WriteFile(file, []byte(second), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(golden), second); diff != "" {
		t.Errorf("the second half (-golden +actual):\n%s\ngo test ./cmd/reconciler -run Demo -update", diff)
	}
}
