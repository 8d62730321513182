package gitrepo

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestRepo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "repo")
	r, err := Init(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Init(dir); err == nil {
		t.Error("a second repository was made in the same place")
	}
	r.Author, r.Email = "Grace", "grace@example.com"
	first, err := r.Commit("first", map[string]string{"a.yaml": "one", "deep/er/b.yaml": "two"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(r.Dir(), "deep/er/b.yaml")); err != nil {
		t.Fatal(err)
	}
	second, err := r.Commit("second", map[string]string{"a.yaml": "three"})
	if err != nil {
		t.Fatal(err)
	}
	third, err := r.Commit("nothing new", nil)
	if err != nil || third == second {
		t.Errorf("got commit %s after %s, %v", third, second, err)
	}
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("there is no git program to compare with")
	}
	for args, want := range map[string]string{
		"fsck --strict --no-progress":     "",
		"status --porcelain":              "",
		"log --format=%H,%s,%an,%ae main": third + ",nothing new,Grace,grace@example.com\n" + second + ",second,Grace,grace@example.com\n" + first + ",first,Grace,grace@example.com",
		"ls-tree -r --name-only main~2":   "a.yaml\ndeep/er/b.yaml",
		"show main:a.yaml":                "three",
		"ls-tree -r --name-only main":     "a.yaml",
		"symbolic-ref HEAD":               "refs/heads/main",
	} {
		cmd := exec.Command(git, strings.Fields(args)...)
		cmd.Dir = dir
		cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "GIT_CONFIG_NOSYSTEM=1"}
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("git %s: got %q, %v, want %q", args, got, err, want)
		}
	}
}
