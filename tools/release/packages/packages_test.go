package packages

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const root = "../../.."

// built builds the program, once for all tests.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "packages")
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "reconciler")
	cmd := exec.Command("go", "build", "-trimpath", "-o", program, "./cmd/reconciler")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return program, nil
})

// written writes the documents, once for all tests.
var written = sync.OnceValues(func() (string, error) {
	program, err := built()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(filepath.Dir(program), "documents")
	return dir, Documents(context.Background(), program, dir)
})

func TestMain(m *testing.M) {
	code := m.Run()
	if program, err := built(); err == nil {
		_ = os.RemoveAll(filepath.Dir(program))
	}
	os.Exit(code)
}

var commitTime = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)

// options returns those of packages of a version for this machine.
func options(t *testing.T, version string) Options {
	t.Helper()
	program, err := built()
	if err != nil {
		t.Fatal(err)
	}
	documents, err := written()
	if err != nil {
		t.Fatal(err)
	}
	return Options{
		Version: version, Arch: runtime.GOARCH, Program: program, Root: root,
		Documents: documents, Time: commitTime, Out: t.TempDir(),
	}
}

// make makes the package of a format.
func (o Options) make(t *testing.T, format string) string {
	t.Helper()
	file, err := build(o, format)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// small returns options of packages with less to compress.
func small(t *testing.T, version string) Options {
	t.Helper()
	o := options(t, version)
	o.Program = filepath.Join(root, "packaging/scripts/postinstall.sh")
	return o
}

// Whoever builds the same commit gets the same bytes, whenever and wherever.
func TestReproducible(t *testing.T) {
	first, second := small(t, "v1.2.3"), small(t, "v1.2.3")
	second.Documents = t.TempDir()
	program, err := built()
	if err != nil {
		t.Fatal(err)
	}
	if err := Documents(t.Context(), program, second.Documents); err != nil {
		t.Fatal(err)
	}
	one, err := Build(first)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(1100 * time.Millisecond) // times in packages are of seconds
	two, err := Build(second)
	if err != nil {
		t.Fatal(err)
	}
	for i := range one {
		a, err := os.ReadFile(one[i])
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(two[i])
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(one[i]) != filepath.Base(two[i]) || !bytes.Equal(a, b) {
			t.Errorf("%s and %s differ", one[i], two[i])
		}
	}
}

func TestNames(t *testing.T) {
	for version, desired := range map[string][]string{
		"v1.2.3":      {"reconciler_1.2.3-1_arm64.deb", "reconciler-1.2.3-1.aarch64.rpm"},
		"v1.2.3-rc.1": {"reconciler_1.2.3-rc.1-1_arm64.deb", "reconciler-1.2.3-rc.1-1.aarch64.rpm"},
	} {
		o := small(t, version)
		o.Arch = "arm64"
		made, err := Build(o)
		if err != nil {
			t.Fatal(err)
		}
		for i := range made {
			made[i] = filepath.Base(made[i])
		}
		if !slices.Equal(made, desired) {
			t.Errorf("%s: %q, not %q", version, made, desired)
		}
	}
}

func TestWithoutDocuments(t *testing.T) {
	o := small(t, "v1.2.3")
	o.Documents = t.TempDir()
	if _, err := Build(o); err == nil || !strings.Contains(err.Error(), "no manual pages") {
		t.Errorf("error: %v", err)
	}
}

// The run of the timer is confined as the daemon is.
func TestUnitsAreConfinedAlike(t *testing.T) {
	settings := func(unit string) []string {
		text, err := os.ReadFile(filepath.Join(root, "packaging/systemd", unit))
		if err != nil {
			t.Fatal(err)
		}
		_, section, _ := strings.Cut(string(text), "\nUser=")
		section, _, _ = strings.Cut(section, "\n[Install]")
		var all []string
		for line := range strings.Lines("User=" + section) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				all = append(all, line)
			}
		}
		return all
	}
	daemon, once := settings("reconciler.service"), settings("reconciler-once.service")
	if len(daemon) < 30 || !slices.Equal(daemon, once) {
		t.Errorf("the daemon has\n%s\nand the single run\n%s", strings.Join(daemon, "\n"), strings.Join(once, "\n"))
	}
}

// A package is installed, upgraded and removed as an administrator does it, in a copy of
// this machine's files, which stay as they are.
func TestInstall(t *testing.T) {
	for format, tools := range map[string][]string{"deb": {"dpkg"}, "rpm": {"rpm"}} {
		t.Run(format, func(t *testing.T) {
			for _, tool := range append(tools, "unshare", "chroot", "getent", "useradd") {
				need(t, tool)
			}
			if out, err := exec.CommandContext(t.Context(), "unshare", "--mount", "true").CombinedOutput(); err != nil {
				skip(t, "no mount namespace can be made here: %s", out)
			}
			older, newer := options(t, "v1.2.3-rc.1"), options(t, "v1.2.3")
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, "unshare", "--mount", "--propagation", "private", "sh", "testdata/copy.sh",
				older.make(t, format), newer.make(t, format), "testdata/"+format+".sh", "testdata/installed.sh")
			out, err := cmd.CombinedOutput()
			if cmd.ProcessState.ExitCode() == 77 {
				skip(t, "%s", out)
			}
			if err != nil || !bytes.HasSuffix(out, []byte("\nall as it should be\n")) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// need skips a test where a tool is missing, or fails it where that must not be.
func need(t *testing.T, tool string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		skip(t, "%s is not installed", tool)
	}
	if os.Getuid() != 0 {
		skip(t, "only root can install packages")
	}
}

func skip(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("PACKAGES_REQUIRED") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}
