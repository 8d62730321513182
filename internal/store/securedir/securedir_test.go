//go:build unix

package securedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"reconciler/internal/text"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestDirIsMade(t *testing.T) {
	for _, mask := range []int{0, 0o777} {
		base := t.TempDir()
		path := filepath.Join(base, "a", "b", "c")
		old := syscall.Umask(mask)
		root, err := Dir(path)
		syscall.Umask(old)
		must(t, err)
		defer root.Close()
		for p := path; p != base; p = filepath.Dir(p) {
			if info, err := os.Stat(p); err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("umask %o: %s: %v, %v", mask, p, info.Mode(), err)
			}
		}
		must(t, root.WriteFile("f", nil, 0o600))
		must(t, SyncRoot(root))
		if _, err := os.Stat(filepath.Join(path, "f")); err != nil {
			t.Error(err)
		}
	}
}

func TestExisting(t *testing.T) {
	dir := t.TempDir()
	root, err := Existing(dir)
	must(t, err)
	must(t, root.Close())
	_, err = Existing(filepath.Join(dir, "missing"))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it was made: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	base := t.TempDir()
	path := func(name string) string { return filepath.Join(base, name) }
	for name, mode := range map[string]fs.FileMode{"group": 0o770, "world": 0o702, "sticky": 0o777 | fs.ModeSticky, "real": 0o700, "readable": 0o755} {
		must(t, os.Mkdir(path(name), 0o700))
		must(t, os.Chmod(path(name), mode))
	}
	must(t, os.Symlink(path("real"), path("link")))
	must(t, os.Symlink(path("nowhere"), path("dangling")))
	must(t, os.WriteFile(path("file"), nil, 0o600))
	tests := []struct{ path, words, hint string }{
		{"", "no folder is named", ""},
		{path("group"), fmt.Sprintf("folder %q may be written to by others (mode 0770)", path("group")), fmt.Sprintf("chmod go-w %q", path("group"))},
		{path("world"), "(mode 0702)", "chmod go-w"},
		{path("sticky"), "(mode 0777)", "chmod go-w"},
		{path("link"), fmt.Sprintf("%q is a symbolic link", path("link")), "name the folder that it points to"},
		{path("link") + "/", "is a symbolic link", ""},
		{path("link") + "/.", "is a symbolic link", ""},
		{path("dangling"), "is a symbolic link", ""},
		{path("file"), "is not a folder", ""},
		{path("file") + "/x", fmt.Sprintf(`creating the folder %q: `, path("file/x")), ""},
		{path("a\x00b"), "invalid argument", ""},
		{path(strings.Repeat("x", 300)), "file name too long", ""},
	}
	if os.Geteuid() == 0 {
		must(t, os.Mkdir(path("theirs"), 0o700))
		must(t, os.Chown(path("theirs"), 1234, 1234))
		tests = append(tests, struct{ path, words, hint string }{path("theirs"), "belongs to user 1234, and this program runs as user 0", "chown"})
	}
	for _, tt := range tests {
		_, err := Dir(tt.path)
		if err == nil || !strings.Contains(err.Error(), tt.words) || !strings.Contains(text.Hint(err), tt.hint) {
			t.Errorf("%q: %v, wanted %q and %q", tt.path, err, tt.words, tt.hint)
		}
	}
	// Below a link, and readable by others, is fine.
	for _, fine := range []string{path("link/sub"), path("readable")} {
		root, err := Dir(fine)
		must(t, err)
		must(t, root.Close())
	}
}

// TestRootStaysWhereItIs: what is put in the place of a folder afterwards gets
// nothing.
func TestRootStaysWhereItIs(t *testing.T) {
	base := t.TempDir()
	path, moved, other := filepath.Join(base, "a"), filepath.Join(base, "b"), filepath.Join(base, "c")
	root, err := Dir(path)
	must(t, err)
	defer root.Close()
	must(t, os.Rename(path, moved))
	must(t, os.Mkdir(other, 0o700))
	must(t, os.Symlink(other, path))
	must(t, root.WriteFile("f", nil, 0o600))
	if _, err := os.Stat(filepath.Join(moved, "f")); err != nil {
		t.Error(err)
	}
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	one, err := os.Create(path)
	must(t, err)
	defer one.Close()
	must(t, Lock(one))
	must(t, Lock(one)) // which has it
	other, err := os.Open(path)
	must(t, err)
	defer other.Close()
	if err := Lock(other); !errors.Is(err, ErrLocked) {
		t.Errorf("locked twice: %v", err)
	}
	must(t, one.Close())
	must(t, Lock(other))
	must(t, other.Close())
	if err := Lock(other); err == nil || errors.Is(err, ErrLocked) {
		t.Errorf("a file that is closed: %v", err)
	}
}

func TestCauseAndHint(t *testing.T) {
	path := &fs.PathError{Op: "open", Path: "/x", Err: syscall.ENOSPC}
	link := &os.LinkError{Op: "link", Old: "a", New: "b", Err: syscall.EROFS}
	for _, tt := range []struct {
		err         error
		cause, hint string
	}{
		{path, "no space left on device", "make room"},
		{link, "read-only file system", "mounted read-only"},
		{fmt.Errorf("with words: %w", path), "with words: open /x: no space left on device", "make room"},
		{syscall.EACCES, "permission denied", "must be the owner"},
		{syscall.EDQUOT, "disk quota exceeded", "make room"},
		{errors.New("else"), "else", ""},
	} {
		if r, h := Cause(tt.err).Error(), HintFor(tt.err); r != tt.cause || !strings.Contains(h, tt.hint) || h == "" != (tt.hint == "") {
			t.Errorf("%v: %q, %q", tt.err, r, h)
		}
	}
}
