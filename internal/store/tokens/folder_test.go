package tokens

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"reconciler/internal/store/securedir/securedirtest"
)

// folders gives both sinks of files, and how to read what they wrote.
func folders(t *testing.T, dir string) map[string]struct {
	Sink
	ext  string
	open func(t testing.TB, path string) string
} {
	t.Helper()
	key, err := age.GenerateX25519Identity()
	must(t, err)
	sealed, err := Age(filepath.Join(dir, "sealed"), []string{key.Recipient().String()})
	must(t, err)
	return map[string]struct {
		Sink
		ext  string
		open func(t testing.TB, path string) string
	}{
		"plain":  {Dir(filepath.Join(dir, "plain")), plainExt, content},
		"sealed": {sealed, ageExt, func(t testing.TB, path string) string { return decrypt(t, path, key) }},
	}
}

func decrypt(t testing.TB, path string, key age.Identity) string {
	t.Helper()
	text := content(t, path)
	if strings.Contains(text, string(canary)) {
		t.Errorf("%s is not encrypted", path)
	}
	r, err := age.Decrypt(armor.NewReader(strings.NewReader(text)), key)
	must(t, err)
	data, err := io.ReadAll(r)
	must(t, err)
	return string(data)
}

func TestStore(t *testing.T) {
	for name, s := range folders(t, t.TempDir()) {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Dir(store(t, s, meta(), canary))
			first := filepath.Join(dir, "acme-new.okta.com_00oNew1"+s.ext)
			if actual := s.open(t, first); actual != string(canary)+"\n" {
				t.Errorf("content %q", actual)
			}
			// Again, in other cases of letters, and another token in between.
			upper := meta()
			upper.Domain = "ACME-new.Okta.com"
			if where := store(t, s, upper, canary); where != first {
				t.Errorf("the same token again: %s", where)
			}
			second := filepath.Join(dir, "acme-new.okta.com_00oNew1~2"+s.ext)
			if where := store(t, s, meta(), "another"); where != second || s.open(t, where) != "another\n" {
				t.Errorf("another token: %s", where)
			}
			if where := store(t, s, meta(), canary); where != first {
				t.Errorf("the same token again: %s", where)
			}
			other := meta()
			other.OrgID = ""
			third := filepath.Join(dir, "acme-new.okta.com"+s.ext)
			if where := store(t, s, other, canary); where != third {
				t.Errorf("no id: %s", where)
			}
			other.Domain = "acme-new.okta.com.au"
			store(t, s, other, canary)

			actual, err := s.Find("ACME-new.okta.com")
			must(t, err)
			desired := []Stored{{"", third, time.Time{}}, {"00oNew1", first, time.Time{}}, {"00oNew1", second, time.Time{}}}
			if diff := cmp.Diff(desired, actual, cmpopts.IgnoreFields(Stored{}, "At")); diff != "" {
				t.Error(diff)
			}
			for _, f := range actual {
				if age := time.Since(f.At); age < -time.Minute || age > time.Minute {
					t.Errorf("At is %v", f.At)
				}
			}
			if found, err := s.Find("other.okta.com"); len(found) > 0 || err != nil {
				t.Errorf("of another domain: %v, %v", found, err)
			}
			if len(names(t, dir)) != 4 {
				t.Errorf("files: %q", names(t, dir))
			}
			quiet(t, s.Sink, s.String(), actual)
		})
	}
}

func TestNoToken(t *testing.T) {
	s := Dir(t.TempDir())
	for _, tok := range []Token{nil, token("")} {
		_, err := s.Store(meta(), tok)
		wantError(t, err, `storing the token of "acme-new.okta.com": there is no token`, "")
	}
}

func TestFindNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "missing")
	if found, err := Dir(dir).Find("x.okta.com"); len(found) > 0 || err != nil {
		t.Errorf("%v, %v", found, err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("looking made the folder: %v", err)
	}
}

// TestFindEither: the config may have changed between the two.
func TestFindEither(t *testing.T) {
	dir := t.TempDir()
	key, err := age.GenerateX25519Identity()
	must(t, err)
	sealed, err := Age(dir, []string{key.Recipient().String()})
	must(t, err)
	plain := Dir(dir)
	desired := []string{store(t, plain, meta(), canary), store(t, sealed, meta(), canary)}
	for _, s := range []Sink{plain, sealed} {
		found, err := s.Find(meta().Domain)
		must(t, err)
		actual := []string{}
		for _, f := range found {
			actual = append(actual, f.Where)
		}
		if diff := cmp.Diff(desired, actual); diff != "" {
			t.Errorf("%s: %s", s, diff)
		}
	}
}

func TestModesWhateverTheUmask(t *testing.T) {
	for _, mask := range []int{0, 0o777, 0o027} {
		dir := t.TempDir()
		for _, s := range folders(t, dir) {
			old := syscall.Umask(mask)
			err := s.Probe(t.Context())
			where, storeErr := s.Store(meta(), canary)
			syscall.Umask(old)
			must(t, errors.Join(err, storeErr))
			if info, err := os.Stat(where); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("umask %o: %v, %v", mask, info.Mode(), err)
			}
			if info, err := os.Stat(filepath.Dir(where)); err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("umask %o: %v, %v", mask, info.Mode(), err)
			}
		}
	}
}

func TestProbe(t *testing.T) {
	for name, s := range folders(t, t.TempDir()) {
		must(t, s.Probe(t.Context()))
		dir := filepath.Dir(store(t, s, meta(), canary))
		must(t, s.Probe(t.Context()))
		if all := names(t, dir); len(all) != 1 {
			t.Errorf("%s: files: %q", name, all)
		}

		// Probes of processes that were killed, long ago and just now.
		old := time.Now().Add(-2 * time.Hour)
		for _, left := range []string{".probe-A", "..probe-B", ".probe-new", ".acme.okta.com.token.X.tmp"} {
			path := filepath.Join(dir, left+s.ext)
			must(t, os.WriteFile(path, nil, 0o600))
			if left != ".probe-new" {
				must(t, os.Chtimes(path, old, old))
			}
		}
		must(t, s.Probe(t.Context()))
		desired := []string{".acme.okta.com.token.X.tmp" + s.ext, ".probe-new" + s.ext, "acme-new.okta.com_00oNew1" + s.ext}
		if diff := cmp.Diff(desired, names(t, dir)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Probe(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: cancelled: %v", name, err)
		}
	}
}

func TestFoldersThatWontDo(t *testing.T) {
	base := t.TempDir()
	path := func(name string) string { return filepath.Join(base, name) }
	for _, name := range []string{"group", "world", "real"} {
		must(t, os.Mkdir(path(name), 0o700))
	}
	must(t, os.Chmod(path("group"), 0o720))
	must(t, os.Chmod(path("world"), 0o702))
	must(t, os.Symlink(path("real"), path("link")))
	must(t, os.WriteFile(path("file"), nil, 0o600))
	tests := []struct{ dir, words, hint string }{
		{path("group"), `"` + path("group") + `" may be written to by others (mode 0720)`, "chmod go-w"},
		{path("world"), "(mode 0702)", "chmod go-w"},
		{path("link"), "is a symbolic link", "name the folder that it points to"},
		{path("link") + "/", "is a symbolic link", "name the folder that it points to"},
		{path("file"), "is not a folder", ""},
		{"", "no folder is named", ""},
	}
	if os.Geteuid() == 0 {
		must(t, os.Mkdir(path("theirs"), 0o700))
		must(t, os.Chown(path("theirs"), 1234, 1234))
		tests = append(tests, struct{ dir, words, hint string }{path("theirs"), "belongs to user 1234", "chown"})
	}
	for _, tt := range tests {
		s := Dir(tt.dir)
		wantError(t, s.Probe(t.Context()), "keeping tokens: ", "")
		wantError(t, s.Probe(t.Context()), tt.words, tt.hint)
		_, err := s.Store(meta(), canary)
		wantError(t, err, `storing the token of "acme-new.okta.com": `, "")
		wantError(t, err, tt.words, tt.hint)
		_, err = s.Find(meta().Domain)
		wantError(t, err, tt.words, tt.hint)
	}
	if all := names(t, path("real")); len(all) > 0 {
		t.Errorf("written through a link: %q", all)
	}
}

// TestPlantedLinks: a symbolic link in the place of a token's file is neither
// followed nor replaced.
func TestPlantedLinks(t *testing.T) {
	dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "elsewhere")
	planted := filepath.Join(dir, "acme-new.okta.com_00oNew1.token")
	must(t, os.Symlink(elsewhere, planted))
	s := Dir(dir)
	where := store(t, s, meta(), canary)
	if content(t, where) != string(canary)+"\n" || where == planted {
		t.Errorf("stored at %s", where)
	}
	if _, err := os.Lstat(elsewhere); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the link was followed: %v", err)
	}
	if to, err := os.Readlink(planted); to != elsewhere || err != nil {
		t.Errorf("the link was replaced: %s, %v", to, err)
	}
	_, err := s.Find(meta().Domain)
	wantError(t, err, `"acme-new.okta.com_00oNew1.token" is no regular file`, "in its place")
}

func TestReadOnly(t *testing.T) {
	if !securedirtest.Unprivileged(t) {
		return
	}
	for name, s := range folders(t, t.TempDir()) {
		where := store(t, s, meta(), "first")
		dir := filepath.Dir(where)
		must(t, os.Chmod(dir, 0o500))
		wantError(t, s.Probe(t.Context()), "permission denied", "must be the owner of the folder")
		_, err := s.Store(meta(), canary)
		wantError(t, err, fmt.Sprintf(`storing the token of "acme-new.okta.com" in %q: creating a file: permission denied`, dir), "must be the owner")
		if found, err := s.Find(meta().Domain); len(found) != 1 || err != nil {
			t.Errorf("%s: %v, %v", name, found, err)
		}
		must(t, os.Chmod(dir, 0))
		_, err = s.Find(meta().Domain)
		wantError(t, err, "permission denied", "must be the owner")
		must(t, os.Chmod(dir, 0o700))
		must(t, s.Probe(t.Context()))
	}
	wantError(t, Dir("/proc/tokens").Probe(t.Context()), `creating the folder "/proc/tokens"`, "")
}

func TestFullDisk(t *testing.T) {
	disk := securedirtest.SmallDisk(t, "256k")
	for name, s := range folders(t, disk) {
		dir := filepath.Dir(store(t, s, meta(), "first"))
		ballast := securedirtest.FillUp(t, disk)
		wantError(t, s.Probe(t.Context()), "writing a file: no space left on device", "make room")
		_, err := s.Store(meta(), canary)
		wantError(t, err, "writing a file: no space left on device", "make room")
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: %v", name, err)
		}
		if all := names(t, dir); len(all) != 1 {
			t.Errorf("%s: left behind: %q", name, all)
		}
		must(t, os.Remove(ballast))
		if where := store(t, s, meta(), canary); s.open(t, where) != string(canary)+"\n" {
			t.Errorf("%s: %s", name, where)
		}
		if all := names(t, dir); len(all) != 2 {
			t.Errorf("%s: files: %q", name, all)
		}
	}
}

// TestLeftBehind: what a Store that was killed at any point leaves is a token if it was
// there in full. Find finds it and leaves it alone; Finish gives it its name.
func TestLeftBehind(t *testing.T) {
	for name, s := range folders(t, t.TempDir()) {
		dir := filepath.Dir(store(t, s, meta(), canary))
		final := filepath.Join(dir, "acme-new.okta.com_00oNew1"+s.ext)
		temp := filepath.Join(dir, ".acme-new.okta.com_00oNew1"+s.ext+".RANDOM.tmp")
		whole := content(t, final)
		find := func(desired ...string) {
			t.Helper()
			found, err := s.Find(meta().Domain)
			must(t, err)
			actual := []string{}
			for _, f := range found {
				actual = append(actual, f.Where)
				if s.open(t, f.Where) != string(canary)+"\n" {
					t.Errorf("%s: %s holds something else", name, f.Where)
				}
			}
			if diff := cmp.Diff(desired, actual, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}

		files := func(want ...string) {
			t.Helper()
			if diff := cmp.Diff(want, names(t, dir)); diff != "" {
				t.Errorf("%s: files: %s", name, diff)
			}
		}
		finish := func() { t.Helper(); must(t, s.Finish(meta().Domain)) }

		// It has two names.
		must(t, os.Link(final, temp))
		find(final)
		files(filepath.Base(temp), filepath.Base(final))
		finish()
		find(final)
		files(filepath.Base(final))
		// It has not got its name.
		must(t, os.Rename(final, temp))
		if found, err := s.Find("acme-ne.okta.com"); len(found) > 0 || err != nil {
			t.Errorf("%s: of another domain: %v, %v", name, found, err)
		}
		must(t, s.Finish("acme-ne.okta.com"))
		find(temp)
		files(filepath.Base(temp))
		secret, err := s.Sink.(Reader).Read(Stored{Where: temp})
		if want := s.ext == ageExt; errors.Is(err, errors.ErrUnsupported) != want || !want && secret != string(canary) {
			t.Errorf("%s: read %q, %v", name, secret, err)
		}
		finish()
		find(final)
		files(filepath.Base(final))
		// It is not whole.
		must(t, os.Remove(final))
		for _, part := range []string{"", whole[:1], whole[:len(whole)-1], "\n", strings.Repeat("\x00", len(whole))} {
			must(t, os.WriteFile(temp, []byte(part), 0o600))
			finish()
			find()
		}
		must(t, os.Remove(temp))
		if where := store(t, s, meta(), canary); where != final {
			t.Errorf("%s: %s", name, where)
		}
	}
}

// roles are what children do.
func roles() map[string]func(args []string) error {
	return map[string]func(args []string) error{"store": playStore, "keep": playKeep}
}

// playStore stores tokens of ever more domains in the folder args[0].
func playStore(args []string) error {
	s := Dir(args[0])
	for n := range 100000 {
		m := Meta{Domain: fmt.Sprintf("n%d.okta.com", n), OrgID: "00o1"}
		if _, err := s.Store(m, token(fmt.Sprintf("%s-%d", canary, n))); err != nil {
			return err
		}
		fmt.Println(n)
	}
	return errors.New("nobody killed it")
}

// TestKilled: what Store returned is there after a kill -9, and what it was at
// is there whole or not at all.
func TestKilled(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 4
	}
	exe, err := os.Executable()
	must(t, err)
	r := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	for range rounds {
		dir := filepath.Join(t.TempDir(), "tokens")
		cmd := exec.Command(exe, dir)
		cmd.Env = append(os.Environ(), roleVar+"=store")
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		done, stop, delay := 0, 1+r.IntN(5), time.Duration(r.IntN(2000))*time.Microsecond
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if done++; done == stop {
				time.Sleep(delay)
				must(t, cmd.Process.Kill())
			}
		}
		_ = cmd.Wait() // killed
		s := Dir(dir)
		for n := range done + 2 {
			found, err := s.Find(fmt.Sprintf("n%d.okta.com", n))
			must(t, err)
			if len(found) != 1 && n < done || len(found) > 1 {
				t.Errorf("token %d of %d: found %v", n, done, found)
			}
			for _, f := range found {
				if text := content(t, f.Where); text != fmt.Sprintf("%s-%d\n", canary, n) || f.OrgID != "00o1" {
					t.Errorf("token %d of %d: %q", n, done, text)
				}
			}
		}
	}
}

func TestTogether(t *testing.T) {
	for name, s := range folders(t, t.TempDir()) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		var places []string
		for n := range 20 {
			wg.Go(func() {
				m := meta()
				m.Domain = fmt.Sprintf("n%d.okta.com", n%10)
				if err := s.Probe(t.Context()); err != nil {
					t.Error(err)
				}
				where, err := s.Store(m, token(fmt.Sprintf("token-%d", n%10)))
				if err != nil {
					t.Error(err)
				}
				if found, err := s.Find(m.Domain); len(found) != 1 || err != nil {
					t.Errorf("%v, %v", found, err)
				}
				mu.Lock()
				defer mu.Unlock()
				places = append(places, where)
			})
		}
		wg.Wait()
		slices.Sort(places)
		if places = slices.Compact(places); len(places) != 10 {
			t.Errorf("%s: %q", name, places)
		}
	}
}

// TestManyTokens: even then nothing is lost or overwritten.
func TestManyTokens(t *testing.T) {
	dir := t.TempDir()
	s := Dir(dir)
	for n := range 12 {
		store(t, s, meta(), token(fmt.Sprint("t", n)))
	}
	found, err := s.Find(meta().Domain)
	must(t, err)
	if len(found) != 12 {
		t.Errorf("%d are there", len(found))
	}
}

func TestRelativeFolder(t *testing.T) {
	base := t.TempDir()
	t.Chdir(base)
	s := Dir("tokens")
	if where := store(t, s, meta(), canary); !filepath.IsAbs(where) {
		t.Errorf("stored at %s, which depends on who reads it", where)
	}
	if s.String() != fmt.Sprintf("folder %q", filepath.Join(base, "tokens")) {
		t.Error(s)
	}
}

// A token is read back as it was stored; an encrypted one isn't.
func TestRead(t *testing.T) {
	s := Dir(t.TempDir())
	store(t, s, meta(), canary)
	all, err := s.Find(meta().Domain)
	must(t, err)
	got, err := s.(Reader).Read(all[0])
	if err != nil || got != string(canary) {
		t.Errorf("%q, %v", got, err)
	}
	if err := os.WriteFile(all[0].Where, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = s.(Reader).Read(all[0])
	wantError(t, err, "is empty", "")
	_, err = s.(Reader).Read(Stored{Where: "a.token.age"})
	if !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	_, err = s.(Reader).Read(Stored{Where: "none.token"})
	wantError(t, err, "reading a token", "")
	if _, ok := Sink(&command{}).(Reader); ok {
		t.Error("a command can't return a token")
	}
}
