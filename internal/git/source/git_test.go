package source

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/google/go-cmp/cmp"

	"reconciler/internal/text"
)

// remote is a repository on disk, reached in one of the ways there are.
type remote struct {
	opts  GitOptions
	packs *atomic.Int32 // fetches of objects; nil where that isn't known
}

// remotes are all the ways to reach a repository.
func remotes() map[string]func(t *testing.T, dir string) remote {
	web := func(byGit bool) func(*testing.T, string) remote {
		return func(t *testing.T, dir string) remote {
			s := serveWeb(t, dir, byGit)
			return remote{GitOptions{URL: s.url()}, &s.packs}
		}
	}
	shell := func(byGit bool) func(*testing.T, string) remote {
		return func(t *testing.T, dir string) remote {
			s := serveSSH(t, dir, byGit)
			return remote{GitOptions{URL: s.url(), Auth: s.auth(t)}, &s.packs}
		}
	}
	return map[string]func(t *testing.T, dir string) remote{
		"path":     func(_ *testing.T, dir string) remote { return remote{opts: GitOptions{URL: dir}} },
		"file":     func(_ *testing.T, dir string) remote { return remote{opts: GitOptions{URL: "file://" + dir}} },
		"http":     web(false),
		"http git": web(true),
		"ssh":      shell(false),
		"ssh git":  shell(true),
	}
}

// everywhere runs the test for each way to reach a repository.
func everywhere(t *testing.T, test func(t *testing.T, reach func(t *testing.T, dir string) remote)) {
	for name, reach := range remotes() {
		t.Run(name, func(t *testing.T) { test(t, reach) })
	}
}

// contents returns all files below the root by the names that people see.
func contents(t *testing.T, s *Snapshot) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(s.FS, s.Root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(s.FS, name)
		files[s.Display(name)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func wantContents(t *testing.T, s *Snapshot, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, contents(t, s)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestFetchFollowsBranch(t *testing.T) {
	everywhere(t, func(t *testing.T, reach func(*testing.T, string) remote) {
		r, first := newRepo(t, map[string]string{
			"orgs/a.yaml": "one", "orgs/eu/b.yml": "two", "orgs/README.md": "no manifest", "other/c.yaml": "elsewhere",
		})
		at := reach(t, r.Dir())
		at.opts.Path = "orgs"
		g := newGit(t, at.opts)
		fetched := func(want int32) {
			t.Helper()
			if at.packs != nil && at.packs.Load() != want {
				t.Errorf("objects were fetched %d times, want %d", at.packs.Load(), want)
			}
		}

		one := fetch(t, g)
		wantOne := map[string]string{"orgs/a.yaml": "one", "orgs/eu/b.yml": "two"}
		wantContents(t, one, wantOne)
		if one.Commit != first || one.Ref != "refs/heads/main" || one.Subject != "a change" ||
			one.Author != "Ada Admin <ada@example.com>" || one.Time.IsZero() {
			t.Errorf("got commit %+v, want the first", one)
		}
		fetched(1)

		if again := fetch(t, g); again != one {
			t.Error("got another snapshot of a branch that hasn't moved")
		}
		fetched(1)

		if err := os.Remove(filepath.Join(r.Dir(), "orgs/eu/b.yml")); err != nil {
			t.Fatal(err)
		}
		second := commit(t, r, map[string]string{"orgs/a.yaml": "three"})
		two := fetch(t, g)
		wantContents(t, two, map[string]string{"orgs/a.yaml": "three"})
		if two.Commit != second {
			t.Errorf("got commit %s, want %s", two.Commit, second)
		}
		fetched(2)
		wantContents(t, one, wantOne)

		// A branch that goes back has moved, like any other.
		makeBranch(t, r, "main", first)
		if back := fetch(t, g); back.Commit != first {
			t.Errorf("got commit %s, want %s", back.Commit, first)
		}
		fetched(3)
	})
}

func TestFetchTagAndCommit(t *testing.T) {
	everywhere(t, func(t *testing.T, reach func(*testing.T, string) remote) {
		r, first := newRepo(t, map[string]string{"a.yaml": "one"})
		for name, message := range map[string]string{"plain": "", "annotated": "a release\n"} {
			makeTag(t, r, name, first, message)
		}
		second := commit(t, r, map[string]string{"a.yaml": "two"})
		makeBranch(t, r, "side", second)
		third := commit(t, r, map[string]string{"a.yaml": "three"})
		for _, tt := range []struct {
			name   string
			opts   GitOptions
			commit string
			text   string
		}{
			{"default", GitOptions{}, third, "three"},
			{"branch", GitOptions{Branch: "side"}, second, "two"},
			{"plain tag", GitOptions{Tag: "plain"}, first, "one"},
			{"annotated tag", GitOptions{Tag: "annotated"}, first, "one"},
			{"commit with a ref", GitOptions{Commit: second}, second, "two"},
			{"commit in the history", GitOptions{Commit: first}, first, "one"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				at := reach(t, r.Dir())
				tt.opts.URL, tt.opts.Auth = at.opts.URL, at.opts.Auth
				g := newGit(t, tt.opts)
				snap := fetch(t, g)
				wantContents(t, snap, map[string]string{"a.yaml": tt.text})
				if snap.Commit != tt.commit {
					t.Errorf("got commit %s, want %s", snap.Commit, tt.commit)
				}
				if h := plumbing.ComputeHash(plumbing.CommitObject, snap.Raw); h.String() != tt.commit {
					t.Errorf("the content has the hash %s, want %s", h, tt.commit)
				}
				if annotated := tt.name == "annotated tag"; annotated != (snap.Tag != nil) ||
					annotated && !strings.HasPrefix(string(snap.Tag), "object "+first+"\ntype commit\ntag annotated\n") {
					t.Errorf("got tag %q", snap.Tag)
				}
				if again := fetch(t, g); again != snap {
					t.Error("got another snapshot of the same commit")
				}
				if at.packs != nil && at.packs.Load() != 1 {
					t.Errorf("objects were fetched %d times", at.packs.Load())
				}
			})
		}
	})
}

// A commit whose only ref has moved on is fetched by its hash where the server
// allows that, and from the history of the refs elsewhere.
func TestFetchCommitNotOffered(t *testing.T) {
	everywhere(t, func(t *testing.T, reach func(*testing.T, string) remote) {
		r, _ := newRepo(t, map[string]string{"a.yaml": "one"})
		at := reach(t, r.Dir())
		at.opts.Commit = "0123456789abcdef0123456789abcdef01234567"
		_, err := newGit(t, at.opts).Fetch(t.Context())
		wantError(t, err, ErrNotFound, `there is no commit "0123456789abcdef0123456789abcdef01234567"`, "pushed")
	})
}

func TestFetchNotFound(t *testing.T) {
	everywhere(t, func(t *testing.T, reach func(*testing.T, string) remote) {
		r, first := newRepo(t, map[string]string{"orgs/emea/a.yaml": "one", "file.yaml": ""})
		makeBranch(t, r, "develop", first)
		makeTag(t, r, "v1", first, "")
		at := reach(t, r.Dir())
		for _, tt := range []struct {
			name  string
			opts  GitOptions
			words []string
		}{
			{"branch", GitOptions{Branch: "devleop"}, []string{`there is no branch "devleop": did you mean "develop"?`, `branches: "develop", "main"; tags: "v1"`}},
			{"branch that is a tag", GitOptions{Branch: "v1"}, []string{`there is no branch "v1"`, `tags: "v1"`}},
			{"tag", GitOptions{Tag: "v2"}, []string{`there is no tag "v2"`, `tags: "v1"`}},
			{"path", GitOptions{Path: "orgs/emae"}, []string{`there is no "orgs/emae" at commit ` + first[:12] + ` of branch "main": did you mean "emea"?`}},
			{"path below a file", GitOptions{Path: "file.yaml/x"}, []string{`there is no "file.yaml/x"`}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				tt.opts.URL, tt.opts.Auth = at.opts.URL, at.opts.Auth
				_, err := newGit(t, tt.opts).Fetch(t.Context())
				wantError(t, err, ErrNotFound, tt.words...)
			})
		}
	})
}

func TestFetchEmptyRepository(t *testing.T) {
	everywhere(t, func(t *testing.T, reach func(*testing.T, string) remote) {
		r, _ := newRepo(t, nil)
		if err := storage(r.Dir()).RemoveReference("refs/heads/main"); err != nil {
			t.Fatal(err)
		}
		g := newGit(t, reach(t, r.Dir()).opts)
		_, err := g.Fetch(t.Context())
		wantError(t, err, ErrNotFound, "the repository is empty", "push")
		commit(t, r, map[string]string{"a.yaml": "one"})
		wantContents(t, fetch(t, g), map[string]string{"a.yaml": "one"})
	})
}

// What was given stays good when the repository goes away, and Git goes on when
// it is back.
func TestFetchRepositoryGone(t *testing.T) {
	everywhere(t, func(t *testing.T, reach func(*testing.T, string) remote) {
		want := map[string]string{"a.yaml": "one"}
		r, _ := newRepo(t, want)
		g := newGit(t, reach(t, r.Dir()).opts)
		snap := fetch(t, g)
		dotGit, aside := filepath.Join(r.Dir(), ".git"), filepath.Join(t.TempDir(), "aside")
		if err := os.Rename(dotGit, aside); err != nil {
			t.Fatal(err)
		}
		_, err := g.Fetch(t.Context())
		wantError(t, err, nil)
		wantContents(t, snap, want)
		if err := os.Rename(aside, dotGit); err != nil {
			t.Fatal(err)
		}
		if again := fetch(t, g); again != snap {
			t.Error("got another snapshot though nothing moved")
		}
	})
}

func TestFetchPathIsFile(t *testing.T) {
	r, _ := newRepo(t, map[string]string{"orgs/a.yaml": "one", "orgs/b.yaml": "two", "top": "any name"})
	for path, want := range map[string]string{"orgs/a.yaml": "one", "top": "any name", "/orgs/b.yaml/": "two"} {
		snap := fetch(t, newGit(t, GitOptions{URL: r.Dir(), Path: path}))
		got, err := fs.ReadFile(snap.FS, snap.Root)
		if err != nil || string(got) != want {
			t.Errorf("path %q: got %q, %v", path, got, err)
		}
		if list, err := fs.ReadDir(snap.FS, "."); err != nil || len(list) != 1 {
			t.Errorf("path %q: got %v, %v beside it", path, list, err)
		}
	}
	snap := fetch(t, newGit(t, GitOptions{URL: r.Dir(), Path: "orgs/a.yaml"}))
	if got := snap.Display(snap.Root); got != "orgs/a.yaml" {
		t.Errorf("got it shown as %q", got)
	}
	if err := fstest.TestFS(snap.FS, "a.yaml"); err != nil {
		t.Error(err)
	}
}

func TestFetchManyAtOnce(t *testing.T) {
	r, _ := newRepo(t, map[string]string{"a.yaml": "one"})
	s := serveWeb(t, r.Dir(), false)
	g := newGit(t, GitOptions{URL: s.url()})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			snap, err := g.Fetch(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := fs.ReadFile(snap.FS, "a.yaml"); err != nil || string(got) != "one" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	wg.Wait()
	if n := s.packs.Load(); n != 1 {
		t.Errorf("objects were fetched %d times", n)
	}
}

func TestNewGitRefuses(t *testing.T) {
	known := Auth{SSHKeyFile: "key", KnownHostsFile: "hosts"}
	for _, tt := range []struct {
		name  string
		opts  GitOptions
		words []string
	}{
		{"no URL", GitOptions{}, []string{"the URL is missing"}},
		{"password in the URL", GitOptions{URL: "https://me:s3cret@git.example/r"}, []string{"holds credentials", "git.auth.passwordFile"}},
		{"token in the URL", GitOptions{URL: "https://s3cret@git.example/r"}, []string{"holds credentials"}},
		{"password in an ssh URL", GitOptions{URL: "ssh://git:s3cret@git.example/r", Auth: known}, []string{"holds credentials"}},
		{"unreadable with a password", GitOptions{URL: "https://me:s3cret@git.example:port/r"}, []string{"can't be read"}},
		{"line break", GitOptions{URL: "https://git.example/\nr"}, []string{"can't be read"}},
		{"plain http", GitOptions{URL: "http://git.example/r"}, []string{"plain http", "https://HOST"}},
		{"plain http to an address", GitOptions{URL: "http://192.0.2.1/r"}, []string{"plain http"}},
		{"git protocol", GitOptions{URL: "git://git.example/r"}, []string{`the scheme "git" is not supported`}},
		{"other scheme", GitOptions{URL: "ftp://git.example/r"}, []string{`the scheme "ftp" is not supported`, "git@HOST:PATH.git"}},
		{"no host", GitOptions{URL: "https:///r"}, []string{"lacks a host"}},
		{"no path", GitOptions{URL: "https://git.example/"}, []string{"lacks a host or a path"}},
		{"file on a host", GitOptions{URL: "file://srv/r"}, []string{"file:///PATH"}},
		{"short commit", GitOptions{URL: "/r", Commit: "abc1234"}, []string{`"abc1234" is not a full hash`, "rev-parse"}},
		{"no hash", GitOptions{URL: "/r", Commit: "z123456789abcdef0123456789abcdef01234567"}, []string{"not a full hash"}},
		{"impossible branch", GitOptions{URL: "/r", Branch: "a..b"}, []string{`no branch "a..b" can have that name`}},
		{"path upwards", GitOptions{URL: "/r", Path: "orgs/../../etc"}, []string{"leads out of the repository"}},
		{"ssh without a key", GitOptions{URL: "git@git.example:r", Auth: Auth{KnownHostsFile: "f"}}, []string{"needs a private key", "git.auth.sshKeyFile"}},
		{"ssh without known hosts", GitOptions{URL: "git@git.example:r", Auth: Auth{SSHKeyFile: "f"}}, []string{`pose as "git.example"`, "git.auth.knownHostsFile"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.opts.Names = settings
			_, err := NewGit(tt.opts)
			wantError(t, err, nil, tt.words...)
			if s := err.Error() + text.Hint(err); containsAny(s, "s3cret") {
				t.Errorf("the error holds the secret: %s", s)
			}
		})
	}
}

// Without names, hints are worded plainly.
func TestPlainNames(t *testing.T) {
	_, err := NewGit(GitOptions{URL: "git@git.example:r"})
	wantError(t, err, nil, "set the SSH key and the file of known hosts")
}

func TestNewGitTakes(t *testing.T) {
	known := Auth{SSHKeyFile: "key", KnownHostsFile: "hosts"}
	for _, tt := range []struct {
		opts           GitOptions
		protocol, path string
	}{
		{GitOptions{URL: "https://git.example/team/r.git"}, "https", "/team/r.git"},
		{GitOptions{URL: "http://localhost:8080/r"}, "http", "/r"},
		{GitOptions{URL: "http://127.0.0.1/r"}, "http", "/r"},
		{GitOptions{URL: "http://[::1]:1/r"}, "http", "/r"},
		{GitOptions{URL: "ssh://git@git.example:2222/r", Auth: known}, "ssh", "/r"},
		{GitOptions{URL: "git@git.example:team/r.git", Auth: known}, "ssh", "team/r.git"},
		{GitOptions{URL: "git.example:r", Auth: known}, "ssh", "r"},
		{GitOptions{URL: "file:///srv/r"}, "file", "/srv/r"},
		{GitOptions{URL: "/srv/r:1"}, "file", "/srv/r:1"},
		{GitOptions{URL: "/r", Commit: "0123456789ABCDEF0123456789abcdef01234567", Path: "./a//b/"}, "file", "/r"},
	} {
		g, err := NewGit(tt.opts)
		if err != nil {
			t.Errorf("%q: %v", tt.opts.URL, err)
			continue
		}
		if g.ep.Protocol != tt.protocol || g.ep.Path != tt.path {
			t.Errorf("%q: got %s and %s", tt.opts.URL, g.ep.Protocol, g.ep.Path)
		}
	}
}

func TestErrorUnwraps(t *testing.T) {
	_, err := Local("")
	if !errors.Is(err, ErrNotFound) || errors.Is(err, ErrDenied) {
		t.Errorf("got kind of %v wrong", err)
	}
}
