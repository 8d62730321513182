package source

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"reconciler/internal/text"
)

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The layouts of repositories on disk.
func TestRepositoryLayouts(t *testing.T) {
	want := map[string]string{"a.yaml": "one"}
	for name, lay := range map[string]func(t *testing.T, dir, hash string) string{
		"bare": func(t *testing.T, dir, _ string) string { return filepath.Join(dir, ".git") },
		"link": func(t *testing.T, dir, _ string) string {
			link := filepath.Join(t.TempDir(), "link")
			if err := os.Symlink(dir, link); err != nil {
				t.Fatal(err)
			}
			return link
		},
		"packed refs": func(t *testing.T, dir, hash string) string {
			if err := os.Remove(filepath.Join(dir, ".git/refs/heads/main")); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, ".git/packed-refs"), "# pack-refs with: peeled fully-peeled sorted \n"+hash+" refs/heads/main\n")
			return dir
		},
		"symbolic branch": func(t *testing.T, dir, hash string) string {
			write(t, filepath.Join(dir, ".git/refs/heads/trunk"), hash+"\n")
			write(t, filepath.Join(dir, ".git/refs/heads/main"), "ref: refs/heads/trunk\n")
			return dir
		},
		"work tree of another": func(t *testing.T, dir, _ string) string {
			tree := t.TempDir()
			insides := filepath.Join(dir, ".git/worktrees/tree")
			write(t, filepath.Join(insides, "HEAD"), "ref: refs/heads/other\n")
			write(t, filepath.Join(insides, "commondir"), "../..\n")
			write(t, filepath.Join(tree, ".git"), "gitdir: "+insides+"\n")
			return tree
		},
		"borrowed objects": func(t *testing.T, dir, hash string) string {
			own := t.TempDir()
			write(t, filepath.Join(own, "HEAD"), "ref: refs/heads/main\n")
			write(t, filepath.Join(own, "refs/heads/main"), hash+"\n")
			write(t, filepath.Join(own, "objects/info/alternates"), filepath.Join(dir, ".git/objects")+"\n")
			return own
		},
		"extensions of CI checkouts": func(t *testing.T, dir, _ string) string {
			write(t, filepath.Join(dir, ".git/config"),
				"[core]\n\trepositoryformatversion = 1\n[extensions]\n\tworktreeConfig = true\n\tpartialClone = origin\n")
			return dir
		},
		"config that can't be parsed": func(t *testing.T, dir, _ string) string {
			write(t, filepath.Join(dir, ".git/config"), "[core\n")
			return dir
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, hash := newRepo(t, want)
			wantContents(t, fetch(t, newGit(t, GitOptions{URL: lay(t, r.Dir(), hash)})), want)
		})
	}
}

// The same, made by git itself.
func TestRepositoryByGit(t *testing.T) {
	want := map[string]string{"a.yaml": "one"}
	for name, lay := range map[string]func(t *testing.T, dir string) string{
		"packed": func(t *testing.T, dir string) string { git(t, dir, "gc", "-q"); return dir },
		"worktree": func(t *testing.T, dir string) string {
			tree := filepath.Join(t.TempDir(), "tree")
			git(t, dir, "worktree", "add", "-q", "-b", "other", tree)
			return tree
		},
		"sparse": func(t *testing.T, dir string) string {
			git(t, dir, "sparse-checkout", "set", "nothing")
			return dir
		},
		"mirror": func(t *testing.T, dir string) string { return clone(t, dir, "--mirror") },
		"shared": func(t *testing.T, dir string) string { return clone(t, dir, "--shared") },
		"shallow": func(t *testing.T, dir string) string {
			git(t, dir, "commit", "-q", "--allow-empty", "-m", "second")
			return clone(t, "file://"+dir, "--depth=1")
		},
		"submodule": func(t *testing.T, dir string) string {
			super := t.TempDir()
			git(t, super, "init", "-q", "-b", "main")
			git(t, super, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "-b", "main", dir, "sub")
			return filepath.Join(super, "sub")
		},
	} {
		t.Run(name, func(t *testing.T) {
			needGit(t)
			r, _ := newRepo(t, want)
			wantContents(t, fetch(t, newGit(t, GitOptions{URL: lay(t, r.Dir())})), want)
		})
	}
}

func clone(t *testing.T, from string, args ...string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "clone")
	git(t, t.TempDir(), append(append([]string{"clone", "-q"}, args...), from, to)...)
	return to
}

// A partial clone lacks what nobody has looked at yet.
func TestRepositoryPartial(t *testing.T) {
	needGit(t)
	r, _ := newRepo(t, map[string]string{"a.yaml": "one"})
	git(t, r.Dir(), "config", "uploadpack.allowFilter", "true")
	dir := clone(t, "file://"+r.Dir(), "--filter=blob:none", "--no-checkout")
	g := newGit(t, GitOptions{URL: dir})
	_, err := g.Fetch(t.Context())
	wantError(t, err, ErrIncomplete, "lacks the object", `for "a.yaml"`, "partial clone")
	git(t, dir, "checkout", "-q", "main")
	wantContents(t, fetch(t, g), map[string]string{"a.yaml": "one"})
}

func TestRepositoryRefused(t *testing.T) {
	gone := filepath.Join(t.TempDir(), "gone")
	for _, tt := range []struct {
		name  string
		lay   func(t *testing.T) string
		kind  error
		words []string
	}{
		{"no folder", func(*testing.T) string { return gone }, ErrNotFound, []string{"there is no such folder"}},
		{"no repository", func(t *testing.T) string { return t.TempDir() }, ErrNotFound, []string{"this is not a git repository", "git.path"}},
		{"a file", func(t *testing.T) string { return tempFile(t, "x") }, ErrNotFound, []string{"this is not a git repository"}},
		{"a folder of one", func(t *testing.T) string {
			r, _ := newRepo(t, map[string]string{"orgs/a.yaml": "one"})
			return filepath.Join(r.Dir(), "orgs")
		}, ErrNotFound, []string{"this is not a git repository", "git.path"}},
		{"garbage .git", func(t *testing.T) string {
			dir := t.TempDir()
			write(t, filepath.Join(dir, ".git"), "garbage\n")
			return dir
		}, ErrNotFound, []string{"this is not a git repository"}},
		{".git leads nowhere", func(t *testing.T) string {
			dir := t.TempDir()
			write(t, filepath.Join(dir, ".git"), "gitdir: ../nowhere\n")
			return dir
		}, ErrNotFound, []string{"this is not a git repository", "git worktree repair"}},
		{"commondir leads nowhere", func(t *testing.T) string {
			dir := t.TempDir()
			write(t, filepath.Join(dir, ".git/HEAD"), "ref: refs/heads/main\n")
			write(t, filepath.Join(dir, ".git/commondir"), gone)
			return dir
		}, ErrNotFound, []string{"the repository of this work tree is gone"}},
		{"SHA-256", func(t *testing.T) string {
			r, _ := newRepo(t, nil)
			write(t, filepath.Join(r.Dir(), ".git/config"), "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectFormat = sha256\n")
			return r.Dir()
		}, ErrContent, []string{"SHA-256"}},
		{"reftables", func(t *testing.T) string {
			r, _ := newRepo(t, nil)
			write(t, filepath.Join(r.Dir(), ".git/config"), "[core]\n\trepositoryformatversion = 1\n[extensions]\n\trefStorage = reftable\n")
			return r.Dir()
		}, ErrContent, []string{"reftables", "git refs migrate"}},
		{"damaged ref", func(t *testing.T) string {
			r, _ := newRepo(t, nil)
			write(t, filepath.Join(r.Dir(), ".git/refs/heads/main"), "garbage\n")
			return r.Dir()
		}, ErrContent, []string{`"refs/heads/main" is damaged`, "git fsck"}},
		{"damaged objects", func(t *testing.T) string {
			r, hash := newRepo(t, map[string]string{"a.yaml": "one"})
			object := filepath.Join(r.Dir(), ".git/objects", hash[:2], hash[2:])
			if err := os.Remove(object); err != nil {
				t.Fatal(err)
			}
			write(t, object, "garbage")
			return r.Dir()
		}, ErrContent, []string{"can't be read", "git fsck"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := tt.lay(t)
			_, err := newGit(t, GitOptions{URL: dir}).Fetch(t.Context())
			wantError(t, err, tt.kind, append(tt.words, fmt.Sprintf("git %q: ", dir))...)
		})
	}
}

// Reading leaves no file open, be the objects loose or packed.
func TestRepositoryIsClosed(t *testing.T) {
	count := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("there is no /proc/self/fd")
		}
		return len(list)
	}
	files := map[string]string{}
	for i := range 100 {
		files[fmt.Sprintf("%d.yaml", i)] = strings.Repeat(fmt.Sprintln(i), 1000*(i%20))
	}
	r, _ := newRepo(t, files)
	for _, layout := range []string{"loose", "packed"} {
		if layout == "packed" {
			git(t, r.Dir(), "gc", "-q")
		}
		g := newGit(t, GitOptions{URL: r.Dir()})
		g.limits.file = 50_000
		before := count()
		snap := fetch(t, g)
		if after := count(); after > before {
			t.Errorf("%s: %d files stayed open", layout, after-before)
		}
		for name, content := range files {
			info, err := fs.Stat(snap.FS, name)
			if err != nil || info.Size() != int64(len(content)) {
				t.Errorf("%s: got %v, %v for %q", layout, info, err, name)
			}
			data, err := fs.ReadFile(snap.FS, name)
			if large := len(content) > 50_000; large != (err != nil) || !large && string(data) != content {
				t.Errorf("%s: got %d bytes, %v for %q", layout, len(data), err, name)
			}
		}
	}
}

// The hint for a partial clone does what it says.
func TestRepositoryPartialHint(t *testing.T) {
	r, _ := newRepo(t, map[string]string{"orgs/a.yaml": "one"})
	git(t, r.Dir(), "config", "uploadpack.allowFilter", "true")
	for _, filter := range []string{"blob:none", "tree:0"} {
		dir := clone(t, "file://"+r.Dir(), "--filter="+filter, "--no-checkout")
		g := newGit(t, GitOptions{URL: dir})
		_, err := g.Fetch(t.Context())
		wantError(t, err, ErrIncomplete, "lacks the object")
		_, command, _ := strings.Cut(text.Hint(err), `"git `)
		command, _, _ = strings.Cut(command, `"`)
		git(t, dir, strings.Fields(command)...)
		wantContents(t, fetch(t, g), map[string]string{"orgs/a.yaml": "one"})
	}
}

// Repositories borrow objects from others in all the ways that git knows.
func TestRepositoryBorrows(t *testing.T) {
	r, hash := newRepo(t, map[string]string{"a.yaml": "one"})
	borrower := func(from string) string {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "HEAD"), "ref: refs/heads/main\n")
		write(t, filepath.Join(dir, "refs/heads/main"), hash+"\n")
		write(t, filepath.Join(dir, "objects/info/alternates"), from)
		return dir
	}
	lender := filepath.Join(r.Dir(), ".git/objects")
	second := borrower(lender + "\n")
	relative := func(to string) string { // from where the next borrower will be
		rel, err := filepath.Rel(filepath.Join(t.TempDir(), "../000/objects"), to)
		if err != nil {
			t.Fatal(err)
		}
		return rel
	}
	loop := borrower("")
	write(t, filepath.Join(loop, "objects/info/alternates"), loop+"/objects\n"+lender+"\n")
	for name, dir := range map[string]string{
		"comments":          borrower("# where from\n\n" + lender + "\r\n"),
		"without a newline": borrower(lender),
		"of a borrower":     borrower(second + "/objects\n"),
		"relative":          borrower(relative(lender) + "\n"),
		"gone":              borrower("/no/such/objects\n" + lender + "\n"),
		"loop":              loop,
	} {
		t.Run(name, func(t *testing.T) {
			wantContents(t, fetch(t, newGit(t, GitOptions{URL: dir})), map[string]string{"a.yaml": "one"})
		})
	}
}

// What stands under a hash has that hash, or is refused: neither git nor
// go-git checks that when they read.
func TestRepositoryForgedObjects(t *testing.T) {
	for _, tt := range []struct{ name, words string }{
		{"commit", "can't be read: its content has the hash"},
		{"tree", `"." at commit`},
		{"blob", `"a.yaml" at commit`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			good, first := newRepo(t, map[string]string{"a.yaml": "one"})
			sto := storage(good.Dir())
			c, err := object.GetCommit(sto, plumbing.NewHash(first))
			if err != nil {
				t.Fatal(err)
			}
			blob, err := c.File("a.yaml")
			if err != nil {
				t.Fatal(err)
			}
			bad, second := newRepo(t, map[string]string{"a.yaml": "forged"})
			forged, err := object.GetCommit(storage(bad.Dir()), plumbing.NewHash(second))
			if err != nil {
				t.Fatal(err)
			}
			forgedBlob, err := forged.File("a.yaml")
			if err != nil {
				t.Fatal(err)
			}
			from, to := map[string]plumbing.Hash{"commit": forged.Hash, "tree": forged.TreeHash, "blob": forgedBlob.Hash},
				map[string]plumbing.Hash{"commit": c.Hash, "tree": c.TreeHash, "blob": blob.Hash}
			place := func(dir string, h plumbing.Hash) string {
				return filepath.Join(dir, ".git/objects", h.String()[:2], h.String()[2:])
			}
			data, err := os.ReadFile(place(bad.Dir(), from[tt.name]))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(place(good.Dir(), to[tt.name])); err != nil {
				t.Fatal(err)
			}
			write(t, place(good.Dir(), to[tt.name]), string(data))
			_, err = newGit(t, GitOptions{URL: good.Dir()}).Fetch(t.Context())
			wantError(t, err, ErrContent, tt.words, "its content has the hash "+from[tt.name].String(), "git fsck")
		})
	}
}
