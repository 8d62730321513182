package source

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/google/go-cmp/cmp"

	"reconciler/internal/text"
)

func openRepository(t *testing.T, path string) *Repository {
	t.Helper()
	r, err := OpenRepository(path)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// real returns the path without symbolic links: the folder for temporary files
// may lie behind one.
func real(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpenRepository(t *testing.T) {
	r, hash := newRepo(t, map[string]string{"orgs/eu/a.yaml": "one"})
	top := real(t, r.Dir())
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Join(top, "orgs"), link); err != nil {
		t.Fatal(err)
	}
	// Neither a folder of that name nor a file HEAD makes a repository.
	write(t, filepath.Join(top, "orgs/.git/notes"), "x")
	write(t, filepath.Join(top, "orgs/HEAD"), "x")
	for path, rel := range map[string]string{
		top:                     ".",
		top + "/":               ".",
		top + "/orgs":           "orgs",
		top + "/orgs/eu/a.yaml": "orgs/eu/a.yaml",
		top + "/orgs/gone/b":    "orgs/gone/b",
		top + "/gone":           "gone",
		top + "/orgs/../x/./y/": "x/y",
		link:                    "orgs",
		link + "/eu":            "orgs/eu",
		link + "/gone.yaml":     "orgs/gone.yaml",
	} {
		repo := openRepository(t, path)
		if repo.Top() != top {
			t.Errorf("%q: got top %q", path, repo.Top())
		}
		if got, err := repo.Rel(path); err != nil || got != rel {
			t.Errorf("%q: got %q, %v, want %q", path, got, err, rel)
		}
		if got, err := repo.Resolve("HEAD"); err != nil || got != hash {
			t.Errorf("%q: got HEAD %q, %v", path, got, err)
		}
	}
	for _, path := range []string{filepath.Dir(top), t.TempDir(), "/"} {
		_, err := openRepository(t, top).Rel(path)
		wantError(t, err, ErrNotFound, "is outside of it", "in the repository whose revisions are compared")
	}
}

// The layouts that git itself makes.
func TestOpenRepositoryByGit(t *testing.T) {
	needGit(t)
	r, hash := newRepo(t, map[string]string{"orgs/a.yaml": "one"})
	git(t, r.Dir(), "branch", "base")
	tree := filepath.Join(t.TempDir(), "tree")
	git(t, r.Dir(), "worktree", "add", "-q", "-b", "other", tree)
	super := t.TempDir()
	git(t, super, "init", "-q", "-b", "main")
	git(t, super, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", r.Dir(), "sub")
	bare := clone(t, r.Dir(), "--bare")
	for _, tt := range []struct{ name, path, top string }{
		{"worktree", tree + "/orgs", tree},
		{"submodule", super + "/sub/orgs", super + "/sub"},
		{"bare", bare, ""},
		{"inside", r.Dir() + "/.git", ""},
		{"borrowing", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.name == "borrowing" {
				tt.top = clone(t, r.Dir(), "--shared")
				tt.path = tt.top
			}
			repo := openRepository(t, tt.path)
			if tt.top != "" {
				tt.top = real(t, tt.top)
			}
			if repo.Top() != tt.top {
				t.Errorf("got top %q, want %q", repo.Top(), tt.top)
			}
			for _, rev := range []string{"HEAD", hash[:7]} {
				if got, err := repo.Resolve(rev); err != nil || got != hash {
					t.Errorf("%s: got %q, %v", rev, got, err)
				}
			}
			snap, err := repo.Snapshot(t.Context(), hash, "orgs", "base")
			if err != nil {
				t.Fatal(err)
			}
			wantContents(t, snap, map[string]string{"base:orgs/a.yaml": "one"})
			if _, err := repo.Rel(tt.path); (err != nil) != (tt.top == "") {
				t.Errorf("got %v", err)
			}
		})
	}
	_, err := openRepository(t, bare).Rel("orgs")
	wantError(t, err, ErrNotFound, "a bare repository has no files on disk")
	_, err = OpenRepository(bare + "/refs")
	wantError(t, err, ErrNotFound, "this is not in a git repository")
}

// What a commit can put into a work tree never chooses the repository: neither
// the inside of another one, nor a symbolic link to another folder.
func TestOpenRepositoryCommitted(t *testing.T) {
	r, hash := newRepo(t, map[string]string{"fleet/orgs/a.yaml": "one", "decoy/a.yaml": "two"})
	top := real(t, r.Dir())
	other, _ := newRepo(t, map[string]string{"orgs/a.yaml": "other"})
	for _, dir := range []string{"fleet", "."} {
		if err := os.CopyFS(filepath.Join(top, dir), os.DirFS(filepath.Join(other.Dir(), ".git"))); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"", "fleet/orgs", "fleet/orgs/a.yaml", "fleet/refs", "decoy"} {
		repo := openRepository(t, filepath.Join(top, path))
		if got, err := repo.Resolve("HEAD"); err != nil || got != hash || repo.Top() != top {
			t.Errorf("%q: got %q of %q, %v, want %q", path, got, repo.Top(), err, hash)
		}
	}
	_, err := OpenRepository(filepath.Join(top, "fleet"))
	wantError(t, err, ErrContent, fmt.Sprintf("this looks like a bare repository, and lies in the work tree at %q", top), "take HEAD, objects and refs out of it")
	t.Chdir(filepath.Join(top, "fleet"))
	_, err = OpenRepository(".")
	wantError(t, err, ErrContent, "this looks like a bare repository")
}

func TestOpenRepositoryLinks(t *testing.T) {
	r, _ := newRepo(t, map[string]string{"orgs/a.yaml": "one", "decoy/orgs/a.yaml": "two", "decoy/sub/b.yaml": "three"})
	top := real(t, r.Dir())
	outside := real(t, t.TempDir())
	elsewhere, _ := newRepo(t, map[string]string{"orgs/a.yaml": "other"})
	for link, to := range map[string]string{
		top + "/link":             "decoy",
		top + "/twice":            "link",
		top + "/leaf":             "orgs/a.yaml",
		top + "/decoy/absolute":   top + "/orgs",
		top + "/elsewhere":        real(t, elsewhere.Dir()),
		top + "/dangling":         "nowhere",
		outside + "/top":          top,
		outside + "/into":         top + "/link",
		outside + "/through":      top + "/link/orgs",
		outside + "/relative":     "top/decoy",
		outside + "/circle":       "circle",
		outside + "/fine":         filepath.Join(top, "decoy"),
		outside + "/nowhere":      filepath.Join(top, "gone"),
		outside + "/fine-outside": ".",
	} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(top)
	repo := openRepository(t, ".")
	for path, rel := range map[string]string{
		"orgs":                                 "orgs",
		"./decoy/../orgs//a.yaml":              "orgs/a.yaml",
		outside + "/top/orgs":                  "orgs",
		outside + "/relative/orgs":             "decoy/orgs",
		outside + "/fine":                      "decoy",
		outside + "/fine/..":                   ".", // as the system has it, not by the letters
		outside + "/nowhere":                   "gone",
		outside + "/fine-outside/top/decoy/./": "decoy",
	} {
		got, err := repo.Rel(path)
		if err != nil || got != rel {
			t.Errorf("%q: got %q, %v, want %q", path, got, err, rel)
		}
		if found, err := OpenRepository(path); err != nil || found.Top() != top {
			t.Errorf("%q: got %v, %v", path, found, err)
		}
	}
	for path, link := range map[string]string{
		"link":                    "link",
		"link/":                   "link",
		"link/orgs/a.yaml":        "link",
		"link/../orgs":            "link",
		"twice/gone":              "twice",
		"leaf":                    "leaf",
		"decoy/absolute":          "decoy/absolute",
		"elsewhere/orgs":          "elsewhere",
		"dangling":                "dangling",
		outside + "/into":         "link",
		outside + "/top/link/sub": "link",
		outside + "/through":      "link",
	} {
		words := []string{fmt.Sprintf("%q is a symbolic link in the work tree at %q", filepath.Join(top, link), top), "name the folder that it leads to"}
		_, err := repo.Rel(path)
		wantError(t, err, ErrContent, words...)
		_, err = OpenRepository(path)
		wantError(t, err, ErrContent, words...)
	}
	_, err := OpenRepository(outside + "/circle")
	wantError(t, err, ErrNotFound, "too many symbolic links")

	// The way to the working directory counts as well, as far as it is known.
	t.Chdir("decoy")
	t.Setenv("PWD", filepath.Join(top, "link"))
	_, err = OpenRepository("sub")
	wantError(t, err, ErrContent, "is a symbolic link in the work tree")
}

func TestOpenRepositoryRefused(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, ".git"), "garbage\n")
	_, err := OpenRepository(filepath.Join(dir, "orgs"))
	wantError(t, err, ErrNotFound, "this is not a git repository")

	write(t, filepath.Join(dir, ".git"), "gitdir: /no/such/place\n")
	_, err = OpenRepository(dir)
	wantError(t, err, ErrNotFound, "this is not a git repository", "git worktree repair")

	_, err = OpenRepository(t.TempDir())
	wantError(t, err, ErrNotFound, "this is not in a git repository", "this needs a git clone")

	r, _ := newRepo(t, map[string]string{"a.yaml": "one"})
	_, err = OpenRepository(filepath.Join(r.Dir(), "a.yaml/b"))
	wantError(t, err, ErrNotFound, "can't be followed: not a directory")
	for format, words := range map[string]string{"objectFormat = sha256": "SHA-256", "refStorage = reftable": "git refs migrate"} {
		write(t, filepath.Join(r.Dir(), ".git/config"), "[core]\n\trepositoryformatversion = 1\n[extensions]\n\t"+format+"\n")
		_, err = OpenRepository(r.Dir())
		wantError(t, err, ErrContent, words)
	}
}

// Revisions mean what they mean to git.
func TestResolveLikeGit(t *testing.T) {
	needGit(t)
	d := newDAG(t, "a:", "b: a", "s: a", "t: a", "m: b s t", "n: m")
	tag := d.object(plumbing.TagObject, fmt.Sprintf("object %s\ntype commit\ntag v1\ntagger A <a@example.com> 0 +0000\n\nm\n", d.hash["m"]))
	d.point("refs/tags/v1", tag)
	d.point("refs/tags/both", d.hash["a"])
	d.point("refs/heads/both", d.hash["b"])
	d.point("refs/heads/deep/er", d.hash["s"])
	d.point("refs/heads/beef", d.hash["s"]) // a hash by its looks
	d.point("refs/remotes/origin/main", d.hash["t"])
	d.point("refs/remotes/origin/old", d.hash["a"])
	d.point("refs/pull/7/merge", d.hash["m"])
	git(t, d.dir, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
	git(t, d.dir, "pack-refs", "--all")
	d.point("refs/heads/loose", d.hash["b"])
	d.config("[remote \"origin\"]\n\turl = https://git.example/x\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n" +
		"[branch \"main\"]\n\tremote = origin\n\tmerge = refs/heads/main\n[branch \"deep/er\"]\n\tremote = .\n\tmerge = refs/heads/loose\n")
	write(t, filepath.Join(d.dir, ".git/FETCH_HEAD"), d.hash["s"].String()+"\t\tbranch 'main' of https://git.example/x\n"+d.hash["t"].String()+"\tnot-for-merge\tx\n")
	write(t, filepath.Join(d.dir, ".git/ORIG_HEAD"), d.hash["b"].String()+"\n")
	repo := openRepository(t, d.dir)
	revs := []string{
		"HEAD", "@", "main", "heads/main", "refs/heads/main", "v1", "tags/v1", "v1^{}", "v1^{commit}", "v1^0", "v1~0", "both", "heads/both",
		"deep/er", "beef", "loose", "origin/main", "origin", "remotes/origin/old", "refs/pull/7/merge", "pull/7/merge", "FETCH_HEAD", "ORIG_HEAD",
		"HEAD~", "HEAD~1", "HEAD^", "HEAD^^", "HEAD~1^2", "HEAD~^3", "HEAD~2", "v1^2~1", "@~2", "HEAD~0", "HEAD^0", "HEAD^{commit}~1",
		"@{u}", "@{upstream}", "main@{U}", "main@{upstream}~1", "deep/er@{u}", "HEAD@{u}",
	}
	for name, h := range d.hash {
		revs = append(revs, h.String(), h.String()[:39], h.String()[:12], strings.ToUpper(h.String()[:11]), h.String()+"~0")
		if name != "a" {
			revs = append(revs, h.String()[:9]+"^")
		}
	}
	revs = append(revs, tag.String(), tag.String()[:8])
	for _, rev := range revs {
		want := git(t, d.dir, "rev-parse", "--verify", "-q", rev+"^{commit}")
		if got, err := repo.Resolve(rev); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", rev, got, err, want)
		}
	}
	// What git has no such commit for, there is none for here.
	for _, rev := range []string{
		"nothing", "HEAD~4", "HEAD^2", "v1^4", "a b", "-q", "refs", "refs/", "/", "..", "../HEAD", "config", "objects", "HEAD~99999999999999999999",
		"abc", "HEAD^{tree", "main@{u", "both@{u}", "x@{u}", "zzzzzzzz", "HEAD~x", strings.Repeat("a", 41), "\x00", "é", "[", "main.lock",
	} {
		if got, err := repo.Resolve(rev); err == nil {
			t.Errorf("%q: got %s", rev, got)
		} else {
			wantError(t, err, ErrNotFound)
		}
	}
}

func TestResolveRefused(t *testing.T) {
	d := newDAG(t, "a:", "b: a")
	d.point("refs/heads/feature/new", d.hash["a"])
	d.point("refs/remotes/origin/release", d.hash["a"])
	d.point("refs/remotes/fork/trunk", d.hash["a"])
	d.point("refs/tags/blob", d.blob("x"))
	d.config("[remote \"fork\"]\n\turl = x\n[remote \"origin\"]\n\turl = x\n")
	write(t, filepath.Join(d.dir, ".git/refs/heads/bad"), "garbage\n")
	repo := openRepository(t, d.dir)
	for rev, words := range map[string][]string{
		"":                      {`"" is not one revision`},
		"main..x":               {`"main..x" is not one revision`, "each end of a range by itself"},
		"main...x":              {"is not one revision"},
		"^main":                 {"is not one revision"},
		"main:orgs":             {"is not one revision", "without a file"},
		"mian":                  {`there is no revision "mian": did you mean "main"?`, `available: "bad", "feature/new", "main"`, `"git fetch origin +refs/heads/*:refs/remotes/origin/*" gets all branches`},
		"release":               {`there is no revision "release": did you mean "origin/release"?`},
		"refs/heads/release":    {`did you mean "origin/release"?`},
		"trunk":                 {`did you mean "fork/trunk"?`},
		"relaese":               {`there is no revision "relaese": did you mean "origin/release"?`},
		"abcdef12":              {`there is no revision "abcdef12"`, "git fetch"},
		"a b":                   {`there is no revision "a b"`},
		unknown:                 {"the commit " + unknown + " is not in this repository", `"git fetch" gets what others have pushed`},
		strings.Repeat("0", 40): {"stands for no commit", "what a new branch was before"},
		"HEAD~2":                {`there is no "HEAD~2": ` + d.hash["a"].String() + " has no parent 1"},
		"HEAD^2":                {`there is no "HEAD^2": ` + d.hash["b"].String() + " has no parent 2"},
		"HEAD^{tree}":           {`in "HEAD^{tree}", "^{tree}" is not understood`, "git rev-parse 'HEAD^{tree}'"},
		"HEAD^@":                {`"^@" is not understood`},
		"HEAD^{/fix}":           {"is not understood"},
		"HEAD@{1}":              {`"HEAD@{1}" is not understood`, "@{upstream} are", "git rev-parse 'HEAD@{1}'"},
		"main@{yesterday}":      {"is not understood"},
		"@{-1}":                 {"is not understood"},
		"main@{u}":              {`"main" has no upstream`, "git branch --set-upstream-to="},
		"bad":                   {`"refs/heads/bad" is damaged: it holds no hash`, "git fsck"},
		"blob":                  {`"blob" leads to a blob, not to a commit`},
	} {
		_, err := repo.Resolve(rev)
		wantError(t, err, nil, append(words, fmt.Sprintf("git %q: ", repo.Top()))...)
	}
	r, err := OpenRepository(t.TempDir())
	if r != nil || err == nil {
		t.Errorf("got %v, %v", r, err)
	}
	empty, dir := newRaw(t)
	_, err = openRepository(t, dir).Resolve("HEAD")
	wantError(t, err, ErrNotFound, `there is no revision "HEAD"`, "commit something first")
	_, err = openRepository(t, dir).Resolve("main")
	wantError(t, err, ErrNotFound, "commit something first")
	empty.main(empty.tree())
	if err := os.WriteFile(filepath.Join(dir, ".git/HEAD"), []byte(fetch(t, newGit(t, GitOptions{URL: dir})).Commit+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = openRepository(t, dir).Resolve("@{u}")
	wantError(t, err, ErrNotFound, `"HEAD" has no upstream`)
}

// The start of a hash that several commits share is refused with all of them,
// and other objects don't count.
func TestResolveAmbiguous(t *testing.T) {
	d := newDAG(t, "a:")
	byStart := map[string][]string{}
	for i := range 700 {
		name := fmt.Sprint(i)
		d.commit(name, "a")
		h := d.hash[name].String()
		byStart[h[:4]] = append(byStart[h[:4]], h)
	}
	repo := openRepository(t, d.dir)
	var one, two string
	for start, hs := range byStart {
		switch len(hs) {
		case 1:
			one = start
		case 2:
			two = start
		}
	}
	if got, err := repo.Resolve(one); err != nil || got != byStart[one][0] {
		t.Errorf("%s: got %q, %v", one, got, err)
	}
	_, err := repo.Resolve(two)
	slices.Sort(byStart[two])
	wantError(t, err, ErrNotFound, fmt.Sprintf("%q is the start of several hashes: %q, %q", two, byStart[two][0], byStart[two][1]), "more digits")
}

// In clones that lack something, the hint says what to do, and that does it.
func TestResolveIncomplete(t *testing.T) {
	needGit(t)
	d := newDAG(t, "a:", "b: a", "c: b", "d: c")
	d.point("refs/heads/release/1", d.hash["b"])
	d.config("[uploadpack]\n\tallowFilter = true\n\tallowAnySHA1InWant = true\n")
	for _, tt := range []struct {
		name, rev, then string // what to resolve after the hint was followed
		args            []string
		want            string
		words           []string
	}{
		{"branch", "release/1", "origin/release/1", []string{"--depth=1"}, "b", []string{"this clone is shallow", "fetch-depth: 0"}},
		{"branch of the remote", "origin/release/1", "origin/release/1", []string{"--depth=2"}, "b", []string{"this clone is shallow"}},
		{"full name", "refs/remotes/origin/release/1", "origin/release/1", []string{"--depth=1"}, "b", nil},
		{"hash", d.hash["a"].String(), d.hash["a"].String(), []string{"--depth=1"}, "a", []string{"the commit " + d.hash["a"].String() + " is not in this clone"}},
		{"start of a hash", d.hash["a"].String()[:10], d.hash["a"].String()[:10], []string{"--depth=1"}, "a", []string{"--unshallow"}},
		{"ancestor", "HEAD~2", "HEAD~1", []string{"--depth=2"}, "c", []string{"the commit " + d.hash["b"].String() + " is not in this clone"}},
		{"single branch", "release/1", "origin/release/1", []string{"--single-branch"}, "b", []string{"available: "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := clone(t, "file://"+d.dir, tt.args...)
			repo := openRepository(t, dir)
			_, err := repo.Resolve(tt.rev)
			kind := ErrIncomplete
			if tt.name == "single branch" {
				kind = ErrNotFound
			}
			wantError(t, err, kind, tt.words...)
			follow(t, dir, err)
			if got, err := repo.Resolve(tt.then); err != nil || got != d.hash[tt.want].String() {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// follow does what the hint says: the first command in it.
func follow(t *testing.T, dir string, err error) {
	t.Helper()
	_, command, ok := strings.Cut(text.Hint(err), `"git `)
	command, _, closed := strings.Cut(command, `"`)
	if !ok || !closed {
		t.Fatalf("no command in hint %q", text.Hint(err))
	}
	git(t, dir, strings.Fields(command)...)
}

func TestRepositorySnapshot(t *testing.T) {
	r, first := newRepo(t, map[string]string{"orgs/a.yaml": "one", "orgs/eu/b.yaml": "two", "top.yaml": "three"})
	if err := os.RemoveAll(filepath.Join(r.Dir(), "orgs")); err != nil {
		t.Fatal(err)
	}
	second := commit(t, r, map[string]string{"top.yaml": "four"})
	repo := openRepository(t, r.Dir())
	for _, tt := range []struct {
		commit, path, name string
		want               map[string]string
		shown              string
	}{
		{first, "orgs", "main~1", map[string]string{"main~1:orgs/a.yaml": "one", "main~1:orgs/eu/b.yaml": "two"}, "main~1:orgs"},
		{first, "orgs/eu/b.yaml", "origin/main", map[string]string{"origin/main:orgs/eu/b.yaml": "two"}, "origin/main:orgs/eu/b.yaml"},
		{second, ".", "HEAD", map[string]string{"HEAD:top.yaml": "four"}, "HEAD:"},
		{second, "", second, map[string]string{second + ":top.yaml": "four"}, second + ":"},
		{second, "", "", map[string]string{second + ":top.yaml": "four"}, second + ":"},
	} {
		snap, err := repo.Snapshot(t.Context(), tt.commit, tt.path, tt.name)
		if err != nil {
			t.Fatal(err)
		}
		wantContents(t, snap, tt.want)
		if snap.Commit != tt.commit || snap.Name != tt.shown || snap.Ref != "" || len(snap.Raw) == 0 {
			t.Errorf("got %+v, want name %q", snap, tt.shown)
		}
		if _, err := fs.Stat(snap.FS, snap.Root); err != nil {
			t.Error(err)
		}
	}
	_, err := repo.Snapshot(t.Context(), second, "orgs", "main")
	wantError(t, err, ErrNotFound, `there is no "orgs" at commit `+second[:12]+` of "main"`)
	_, err = repo.Snapshot(t.Context(), second, "../x", "main")
	wantError(t, err, nil, "leads out of the repository")
	_, err = repo.Snapshot(t.Context(), "main", "orgs", "main")
	wantError(t, err, nil, "not a full hash")
	_, err = repo.Snapshot(t.Context(), unknown, "orgs", "main")
	wantError(t, err, ErrIncomplete, "is not in this repository")
	if err := os.Symlink("top.yaml", filepath.Join(r.Dir(), "link.yaml")); err != nil {
		t.Fatal(err)
	}
	_, err = repo.Snapshot(t.Context(), commit(t, r, nil), "", "HEAD")
	wantError(t, err, ErrContent, "is a symbolic link", "set the path to a folder without it")
}

// What a partial clone lacks is not the same as "no such path".
func TestRepositorySnapshotPartial(t *testing.T) {
	needGit(t)
	r, first := newRepo(t, map[string]string{"orgs/a.yaml": "one"})
	second := commit(t, r, map[string]string{"orgs/a.yaml": "two"})
	git(t, r.Dir(), "config", "uploadpack.allowFilter", "true")
	for _, filter := range []string{"blob:none", "tree:0"} {
		dir := clone(t, "file://"+r.Dir(), "--filter="+filter)
		repo := openRepository(t, dir)
		snap, err := repo.Snapshot(t.Context(), second, "orgs", "HEAD")
		if err != nil {
			t.Fatal(err)
		}
		wantContents(t, snap, map[string]string{"HEAD:orgs/a.yaml": "two"})
		base, err := repo.Resolve("HEAD~1")
		if err != nil || base != first {
			t.Fatalf("got %q, %v", base, err)
		}
		_, err = repo.Snapshot(t.Context(), base, "orgs", "HEAD~1")
		wantError(t, err, ErrIncomplete, "lacks the object", "partial clone")
		follow(t, dir, err)
		if snap, err = repo.Snapshot(t.Context(), base, "orgs", "HEAD~1"); err != nil {
			t.Fatal(err)
		}
		wantContents(t, snap, map[string]string{"HEAD~1:orgs/a.yaml": "one"})
	}
}

func TestMergeBase(t *testing.T) {
	d := newDAG(t, "a:", "b: a", "s: a", "t: s", "c: b", "m: c s", "x:")
	repo := openRepository(t, d.dir)
	for _, tt := range []struct{ a, b, want string }{
		{"c", "t", "a"}, {"m", "t", "s"}, {"c", "c", "c"}, {"a", "m", "a"}, {"m", "b", "b"},
	} {
		for range 2 {
			got, err := repo.MergeBase(d.hash[tt.a].String(), d.hash[tt.b].String())
			if err != nil || d.name[got] != tt.want {
				t.Errorf("%s and %s: got %q, %v, want %q", tt.a, tt.b, d.name[got], err, tt.want)
			}
			tt.a, tt.b = tt.b, tt.a
		}
	}
	_, err := repo.MergeBase(d.hash["m"].String(), d.hash["x"].String())
	wantError(t, err, ErrNotFound, "have no commit in common")
	_, err = repo.MergeBase(d.hash["m"].String(), unknown)
	wantError(t, err, ErrNotFound, "is not in this repository")
	_, err = repo.MergeBase("main", unknown)
	wantError(t, err, nil, "not a full hash")
}

// The best common ancestor is one of those that git finds, in any history and
// with any clocks.
func TestMergeBaseLikeGit(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	needGit(t)
	random := rand.New(rand.NewPCG(5, 6))
	for range 10 {
		r, dir := newRaw(t)
		tree := r.tree()
		var all []string
		for i := range 30 {
			content := fmt.Sprintf("tree %s\n", tree)
			for range min(i, random.IntN(4)) {
				content += "parent " + all[max(0, i-1-random.IntN(6))] + "\n"
			}
			when := 1_700_000_000 + random.IntN(1000)
			content += fmt.Sprintf("author A <a@example.com> %d +0000\ncommitter A <a@example.com> %d +0000\n\n%d\n", i, when, i)
			all = append(all, r.object(plumbing.CommitObject, content).String())
		}
		repo := openRepository(t, dir)
		for range 10 {
			a, b := all[random.IntN(30)], all[random.IntN(30)]
			got, err := repo.MergeBase(a, b)
			if err != nil {
				wantError(t, err, ErrNotFound, "have no commit in common")
			}
			// merge-base fails when there is none.
			want := git(t, dir, "-c", "alias.bases=!git merge-base --all "+a+" "+b+" || true", "bases")
			if (got == "") != (want == "") || !strings.Contains(want, got) {
				t.Errorf("%s and %s: got %q, want one of %q", a, b, got, want)
			}
			if back, _ := repo.MergeBase(b, a); back != got {
				t.Errorf("%s and %s: got %q, and %q the other way round", a, b, got, back)
			}
		}
	}
}

// A commit that can't be read is an error wherever it is, and not a common
// ancestor less.
func TestMergeBaseDamaged(t *testing.T) {
	d := newDAG(t, "a:", "b: a")
	d.hash["x"] = d.object(plumbing.CommitObject, "garbage")
	d.commit("c", "x", "a")
	repo := openRepository(t, d.dir)
	for _, pair := range [][2]string{{"b", "c"}, {"c", "b"}} {
		_, err := repo.MergeBase(d.hash[pair[0]].String(), d.hash[pair[1]].String())
		wantError(t, err, ErrContent, d.hash["x"].String()+" can't be read", "git fsck")
	}
}

func TestMergeBaseIncomplete(t *testing.T) {
	needGit(t)
	d := newDAG(t, "a:", "b: a", "c: b", "s: a", "t: s")
	d.point("refs/heads/main", d.hash["c"])
	d.point("refs/heads/side", d.hash["t"])
	dir := clone(t, "file://"+d.dir, "--depth=2", "--no-single-branch")
	repo := openRepository(t, dir)
	_, err := repo.MergeBase(d.hash["c"].String(), d.hash["t"].String())
	wantError(t, err, ErrIncomplete, "no commit in common as far as this clone reaches", "this clone is shallow", "fetch-depth: 0")
	// Bases that the clone reaches are found, also from another work tree of it.
	tree := filepath.Join(t.TempDir(), "tree")
	git(t, dir, "worktree", "add", "-q", "--detach", tree, "HEAD")
	if got, err := openRepository(t, tree).MergeBase(d.hash["c"].String(), d.hash["b"].String()); err != nil || d.name[got] != "b" {
		t.Errorf("got %q, %v", got, err)
	}
	_, err = openRepository(t, tree).MergeBase(d.hash["c"].String(), d.hash["t"].String())
	wantError(t, err, ErrIncomplete, "this clone is shallow")
	follow(t, dir, err)
	got, err := repo.MergeBase(d.hash["c"].String(), d.hash["t"].String())
	if diff := cmp.Diff("a", d.name[got]); diff != "" || err != nil {
		t.Errorf("%v, (-want +got):\n%s", err, diff)
	}
}
