package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

func TestDescribe(t *testing.T) {
	const commit = "94cea67b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f"
	built := func(kv ...string) *debug.BuildInfo {
		info := &debug.BuildInfo{}
		for i := 0; i < len(kv); i += 2 {
			info.Settings = append(info.Settings, debug.BuildSetting{Key: kv[i], Value: kv[i+1]})
		}
		return info
	}
	clean := built("vcs", "git", "vcs.revision", commit, "vcs.time", "2026-11-30T08:14:00Z", "vcs.modified", "false")
	for _, tt := range []struct {
		version         string
		info            *debug.BuildInfo
		word, committed string
	}{
		{"", nil, "devel", ""},
		{"", built("-trimpath", "true"), "devel", ""},
		{"", clean, "devel-94cea67b1c2d", "2026-11-30T08:14:00Z"},
		{"", built("vcs.revision", commit, "vcs.modified", "true"), "devel-94cea67b1c2d+modified", ""},
		{"", built("vcs.revision", "12"), "devel-12", ""},
		{"v1.2.3", clean, "v1.2.3", ""},
		{"v1.2.3", nil, "v1.2.3", ""},
	} {
		if word, committed := describe(tt.version, tt.info); word != tt.word || committed != tt.committed {
			t.Errorf("%q, %v: got %q, %q", tt.version, tt.info, word, committed)
		}
	}
}

// A program that is built in a checkout names the commit, unless it is built as a
// release.
func TestVersionOfABuild(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	if info, err := os.Stat(filepath.Join(top, ".git")); err != nil || !info.IsDir() {
		t.Skip("go build takes no commit from anything but a plain checkout")
	}
	git := func(args ...string) string {
		out, err := exec.Command("git", append([]string{"-C", top}, args...)...).Output()
		if err != nil {
			t.Skipf("no checkout: git %s: %v", args[0], err)
		}
		return strings.TrimSpace(string(out))
	}
	desired := "reconciler devel-" + git("rev-parse", "HEAD")[:12]
	if git("status", "--porcelain") != "" {
		desired += "+modified"
	}
	for _, tt := range []struct{ ldflags, prefix string }{
		{"", desired + " (20"},
		{"-X main.version=v1.2.3", "reconciler v1.2.3 go"},
	} {
		program := filepath.Join(t.TempDir(), "reconciler")
		build := exec.Command("go", "build", "-buildvcs=true", "-ldflags", tt.ldflags, "-o", program, ".")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		out, err := exec.Command(program, "version").Output()
		if err != nil || !strings.HasPrefix(string(out), tt.prefix) {
			t.Errorf("got %q, %v; want %q...", out, err, tt.prefix)
		}
	}
}
