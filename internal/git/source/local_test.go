package source

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"
)

func TestLocalFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "secret.yaml"), "outside")
	write(t, filepath.Join(dir, "v1/a.yaml"), "one")
	write(t, filepath.Join(dir, "v1/eu/b.yml"), "two")
	write(t, filepath.Join(dir, "v2/a.yaml"), "three")
	for from, to := range map[string]string{
		"now": "v1", "v1/out.yaml": "../secret.yaml", "v1/in.yaml": "eu/b.yml", "v1/dangling.yaml": "nowhere",
	} {
		if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "v1/pipe.yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	snap, err := Local(filepath.Join(dir, "now"))
	if err != nil {
		t.Fatal(err)
	}
	if snap.Root != "." || snap.Commit != "" || snap.Display("eu/b.yml") != filepath.ToSlash(dir)+"/now/eu/b.yml" {
		t.Errorf("got %+v", snap)
	}
	entries, err := fs.ReadDir(snap.FS, ".")
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]fs.FileMode{}
	for _, e := range entries {
		types[e.Name()] = e.Type()
	}
	for name, want := range map[string]fs.FileMode{
		"a.yaml": 0, "eu": fs.ModeDir, "out.yaml": fs.ModeSymlink, "in.yaml": fs.ModeSymlink, "pipe.yaml": fs.ModeNamedPipe,
	} {
		if types[name] != want {
			t.Errorf("got %q of type %v, want %v", name, types[name], want)
		}
	}
	for _, name := range []string{"out.yaml", "dangling.yaml", "pipe.yaml", "../secret.yaml", "/etc/passwd", "none.yaml", ""} {
		if data, err := fs.ReadFile(snap.FS, name); err == nil {
			t.Errorf("reading %q gave %q", name, data)
		} else if !errors.As(err, new(*fs.PathError)) {
			t.Errorf("reading %q gave %T: %v", name, err, err)
		}
	}

	// The link moves on; the snapshot doesn't.
	if err := os.Remove(filepath.Join(dir, "now")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("v2", filepath.Join(dir, "now")); err != nil {
		t.Fatal(err)
	}
	if data, err := fs.ReadFile(snap.FS, "a.yaml"); err != nil || string(data) != "one" {
		t.Errorf("got %q, %v", data, err)
	}
}

func TestLocalFolderIsFS(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "orgs/a.yaml"), "one")
	write(t, filepath.Join(dir, "orgs/eu/b.yml"), "two")
	t.Chdir(dir)
	for name, shown := range map[string]string{"orgs": "orgs/a.yaml", "./orgs/": "orgs/a.yaml", "orgs/../orgs": "orgs/a.yaml"} {
		snap, err := Local(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := snap.Display("a.yaml"); got != shown {
			t.Errorf("%q: got %q, want %q", name, got, shown)
		}
		if err := fstest.TestFS(snap.FS, "a.yaml", "eu/b.yml"); err != nil {
			t.Error(err)
		}
	}
	t.Chdir("orgs")
	snap, err := Local(".")
	if err != nil {
		t.Fatal(err)
	}
	if got := snap.Display("eu/b.yml"); got != "eu/b.yml" {
		t.Errorf("got %q", got)
	}
}

func TestLocalFile(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "data/a"), "one")
	write(t, filepath.Join(dir, "data/other.yaml"), "other")
	write(t, filepath.Join(dir, "empty.yaml"), "")
	if err := os.Symlink("data/a", filepath.Join(dir, "orgs.yaml")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for name, want := range map[string]string{"orgs.yaml": "one", "data/a": "one", "empty.yaml": ""} {
		snap, err := Local(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := fs.ReadFile(snap.FS, snap.Root)
		if err != nil || string(got) != want || snap.Display(snap.Root) != name {
			t.Errorf("%q: got %q as %q, %v", name, got, snap.Display(snap.Root), err)
		}
		// So that a file that is named besides its folder is read once.
		info, err := fs.Stat(snap.FS, snap.Root)
		if err != nil {
			t.Fatal(err)
		}
		if direct, err := os.Stat(name); err != nil || !os.SameFile(info, direct) {
			t.Errorf("%q can't be recognized as the same file: %v", name, err)
		}
	}
}

func TestLocalPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() { _, _ = w.WriteString("piped"); w.Close() }()
	name := filepath.Join("/dev/fd", strconv.Itoa(int(r.Fd())))
	if _, err := os.Stat(name); err != nil {
		t.Skip("there is no /dev/fd")
	}
	snap, err := Local(name)
	if err != nil {
		t.Fatal(err)
	}
	if snap.Display(snap.Root) != name {
		t.Errorf("got it shown as %q", snap.Display(snap.Root))
	}
	if err := fstest.TestFS(snap.FS, snap.Root); err != nil {
		t.Error(err)
	}
	if got, err := fs.ReadFile(snap.FS, snap.Root); err != nil || !bytes.Equal(got, []byte("piped")) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestLocalErrors(t *testing.T) {
	_, err := Local("")
	wantError(t, err, ErrNotFound, "no file or folder was named")
	_, err = Local("no/such")
	wantError(t, err, ErrNotFound, `manifests "no/such": there is no such file or folder`, "relative to")
	locked := filepath.Join(t.TempDir(), "locked.yaml")
	write(t, locked, "x")
	if err := os.Chmod(locked, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(locked); err == nil {
		t.Skip("nothing is forbidden to this user")
	}
	_, err = Local(locked)
	wantError(t, err, ErrDenied, "permission denied")
}

// A file that is being written is not read as if it were complete.
func TestLocalFileIsWritten(t *testing.T) {
	const text = "products:\n- a\n- b\n"
	for _, tt := range []struct {
		name  string
		write func(name string) error
		fails bool
	}{
		{"not at all", func(string) error { return nil }, false},
		{"more of it", func(name string) error { return os.WriteFile(name, []byte(text+"- c\n"), 0) }, true},
		{"less of it", func(name string) error { return os.Truncate(name, 10) }, true},
		{"something else", func(name string) error {
			if err := os.WriteFile(name, []byte(strings.ToUpper(text)), 0); err != nil {
				return err
			}
			return os.Chtimes(name, time.Time{}, time.Unix(1, 0))
		}, true},
		{"replaced", func(name string) error {
			if err := os.WriteFile(name+".new", []byte("other"), 0o600); err != nil {
				return err
			}
			return os.Rename(name+".new", name)
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "a.yaml")
			write(t, name, text)
			snap, err := Local(filepath.Dir(name))
			if err != nil {
				t.Fatal(err)
			}
			f, err := snap.FS.Open("a.yaml")
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			some := make([]byte, 12)
			if _, err := io.ReadFull(f, some); err != nil {
				t.Fatal(err)
			}
			if err := tt.write(name); err != nil {
				t.Fatal(err)
			}
			rest, err := io.ReadAll(f)
			if tt.fails {
				wantError(t, err, ErrChanging, "being written", "atomically")
				if !errors.As(err, new(*fs.PathError)) {
					t.Errorf("got %T", err)
				}
			} else if err != nil || string(some)+string(rest) != text {
				t.Errorf("got %q and %q, %v", some, rest, err)
			}
		})
	}
}
