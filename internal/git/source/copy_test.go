package source

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"reconciler/internal/git/gitrepo"
)

// raw writes objects that no git program would, but that a server may send.
type raw struct {
	t   *testing.T
	sto *filesystem.Storage
}

func newRaw(t *testing.T) (raw, string) {
	t.Helper()
	r, err := gitrepo.Init(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return raw{t, storage(r.Dir())}, r.Dir()
}

func (r raw) object(typ plumbing.ObjectType, content string) plumbing.Hash {
	r.t.Helper()
	o := &plumbing.MemoryObject{}
	o.SetType(typ)
	if _, err := o.Write([]byte(content)); err != nil {
		r.t.Fatal(err)
	}
	h, err := r.sto.SetEncodedObject(o)
	if err != nil {
		r.t.Fatal(err)
	}
	return h
}

func (r raw) blob(content string) plumbing.Hash { return r.object(plumbing.BlobObject, content) }

// tree writes a tree of the entries as they are.
func (r raw) tree(entries ...object.TreeEntry) plumbing.Hash {
	r.t.Helper()
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "%o %s\x00%s", e.Mode, e.Name, e.Hash[:])
	}
	return r.object(plumbing.TreeObject, b.String())
}

// main makes a commit of the tree and points main to it.
func (r raw) main(tree plumbing.Hash) {
	r.t.Helper()
	r.point("refs/heads/main", r.object(plumbing.CommitObject, fmt.Sprintf(
		"tree %s\nauthor A \x1b[31m\xff <a@example.com> 0 +0000\ncommitter A <a@example.com> 86400 +0000\n\n\n\x1b[2Jsubject\r\nbody\n", tree)))
}

func (r raw) point(ref plumbing.ReferenceName, h plumbing.Hash) {
	r.t.Helper()
	if err := r.sto.SetReference(plumbing.NewHashReference(ref, h)); err != nil {
		r.t.Fatal(err)
	}
}

func TestCommitContents(t *testing.T) {
	const lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
	file := func(name string, h plumbing.Hash) object.TreeEntry {
		return object.TreeEntry{Name: name, Mode: filemode.Regular, Hash: h}
	}
	dir := func(name string, h plumbing.Hash) object.TreeEntry {
		return object.TreeEntry{Name: name, Mode: filemode.Dir, Hash: h}
	}
	submodule := object.TreeEntry{Name: "vendor", Mode: filemode.Submodule, Hash: plumbing.NewHash("0123456789abcdef0123456789abcdef01234567")}
	link := func(name string, r raw, to string) object.TreeEntry {
		return object.TreeEntry{Name: name, Mode: filemode.Symlink, Hash: r.blob(to)}
	}
	absent := plumbing.NewHash("0123456789abcdef0123456789abcdef01234567")
	for _, tt := range []struct {
		name  string
		path  string
		tree  func(r raw) plumbing.Hash
		want  map[string]string // nil for an error
		kind  error
		words []string
	}{
		{
			name: "modes",
			tree: func(r raw) plumbing.Hash {
				h := r.blob("x")
				return r.tree(
					object.TreeEntry{Name: "a.yaml", Mode: filemode.Executable, Hash: h},
					object.TreeEntry{Name: "b.YML", Mode: filemode.Deprecated, Hash: h},
					file("c.json", h),
				)
			},
			want: map[string]string{"a.yaml": "x", "b.YML": "x"},
		},
		{
			name: "links to files", path: "orgs",
			tree: func(r raw) plumbing.Hash {
				readme := file("README", r.blob("read me"))
				return r.tree(
					readme,
					dir("docs", r.tree(readme, link("up", r, ".."))),
					dir("orgs", r.tree(
						link(".hidden.yaml", r, "nowhere"), link("0up", r, "../README"), link("1across", r, "../docs/README"),
						link("2link", r, "./1across"), link("3through", r, "../docs/up/docs//up/README"), link("4manifest", r, "a.yaml"),
						file("a.yaml", r.blob("a")),
						dir("eu", r.tree(link("0up", r, "../0up"))),
					)),
				)
			},
			want: map[string]string{"orgs/a.yaml": "a"},
		},
		{
			name: "hidden", path: ".okta",
			tree: func(r raw) plumbing.Hash {
				h := r.blob(lfs)
				return r.tree(dir(".okta", r.tree(
					dir(".github", r.tree(submodule)), file(".hidden.yaml", h), object.TreeEntry{Name: ".sub", Mode: filemode.Submodule, Hash: absent},
					file("a.yaml", r.blob("a")),
				)))
			},
			want: map[string]string{".okta/a.yaml": "a"},
		},
		{
			name: "junk",
			tree: func(r raw) plumbing.Hash { return r.tree(file("a.yaml", r.blob("\x00\xff\xfe{[!"))) },
			want: map[string]string{"a.yaml": "\x00\xff\xfe{[!"},
		},
		{
			name: "order",
			tree: func(r raw) plumbing.Hash {
				h := r.blob("x")
				sub := r.tree(file("z.yaml", h))
				// Git sorts the folder "a" as "a/", behind "a.yaml".
				return r.tree(file("a.yaml", h), dir("a", sub), file("a0.yaml", h))
			},
			want: map[string]string{"a.yaml": "x", "a/z.yaml": "x", "a0.yaml": "x"},
		},
		{
			name: "submodule elsewhere", path: "orgs",
			tree: func(r raw) plumbing.Hash {
				return r.tree(dir("orgs", r.tree(file("a.yaml", r.blob("a")))), submodule)
			},
			want: map[string]string{"orgs/a.yaml": "a"},
		},
		{
			name: "pointer elsewhere", path: "orgs",
			tree: func(r raw) plumbing.Hash {
				return r.tree(file("big.yaml", r.blob(lfs)), dir("orgs", r.tree(file("a.yaml", r.blob("a")), file("logo.png", r.blob(lfs)))))
			},
			want: map[string]string{"orgs/a.yaml": "a"},
		},
		{
			name: "no manifests", path: "orgs",
			tree: func(r raw) plumbing.Hash { return r.tree(dir("orgs", r.tree())) },
			want: map[string]string{},
		},
		{
			name: "submodule",
			tree: func(r raw) plumbing.Hash { return r.tree(dir("orgs", r.tree(submodule))) },
			kind: ErrContent, words: []string{`"orgs/vendor" at commit `, "is a submodule", "git.path"},
		},
		{
			name: "path into a submodule", path: "vendor/orgs",
			tree: func(r raw) plumbing.Hash { return r.tree(submodule) },
			kind: ErrContent, words: []string{`"vendor" at commit `, "is a submodule"},
		},
		{
			name: "path through a link", path: "orgs/emea",
			tree: func(r raw) plumbing.Hash { return r.tree(link("orgs", r, "other")) },
			kind: ErrContent, words: []string{`"orgs" at commit `, "is a symbolic link", "set git.path"},
		},
		{
			name: "pointer", path: "orgs",
			tree: func(r raw) plumbing.Hash { return r.tree(dir("orgs", r.tree(file("big.yml", r.blob(lfs))))) },
			kind: ErrContent, words: []string{`"orgs/big.yml" at commit `, "is a Git LFS pointer", `git lfs untrack "orgs/big.yml"`},
		},
		{
			name: "same name twice",
			tree: func(r raw) plumbing.Hash {
				return r.tree(file("a.yaml", r.blob("1")), file("a.yaml", r.blob("2")))
			},
			kind: ErrContent, words: []string{`"a.yaml" at commit `, "is there twice"},
		},
		{
			name: "name with a slash",
			tree: func(r raw) plumbing.Hash { return r.tree(file("x/../../a.yaml", r.blob("1"))) },
			kind: ErrContent, words: []string{"has a name that no file can have"},
		},
		{
			name: "name upwards",
			tree: func(r raw) plumbing.Hash { return r.tree(dir("..", r.tree(file("a.yaml", r.blob("1"))))) },
			kind: ErrContent, words: []string{"has a name that no file can have"},
		},
		{
			name: "name not UTF-8",
			tree: func(r raw) plumbing.Hash { return r.tree(file("caf\xe9.yaml", r.blob("1"))) },
			kind: ErrContent, words: []string{`"caf\xe9.yaml" at commit `, "has a name that is not UTF-8", "rename it"},
		},
		{
			name: "file that isn't there",
			tree: func(r raw) plumbing.Hash { return r.tree(file("a.yaml", absent)) },
			kind: ErrIncomplete, words: []string{"lacks the object " + absent.String(), `for "a.yaml"`, "partial clone"},
		},
		{
			name: "folder that isn't there",
			tree: func(r raw) plumbing.Hash { return r.tree(dir("orgs", absent)) },
			kind: ErrIncomplete, words: []string{"lacks the object " + absent.String(), `for "orgs"`},
		},
		{
			name: "file that is a folder",
			tree: func(r raw) plumbing.Hash { return r.tree(file("a.yaml", r.tree())) },
			kind: ErrIncomplete, words: []string{"lacks the object", `for "a.yaml"`},
		},
		{
			name: "more paths than there are atoms",
			tree: func(r raw) plumbing.Hash {
				h := r.tree(file("a.yaml", r.blob("boom")))
				for range 100 {
					var entries []object.TreeEntry
					for i := range 10 {
						entries = append(entries, dir(fmt.Sprintf("d%d", i), h))
					}
					h = r.tree(entries...)
				}
				return h
			},
			kind: ErrContent, words: []string{"holds more than 1000 files and folders", "set git.path"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, repo := newRaw(t)
			r.main(tt.tree(r))
			g := newGit(t, GitOptions{URL: repo, Path: tt.path})
			g.limits.entries = 1000
			snap, err := g.Fetch(t.Context())
			if tt.want == nil {
				wantError(t, err, tt.kind, tt.words...)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			wantContents(t, snap, tt.want)
			var names []string
			for name := range tt.want {
				names = append(names, strings.TrimPrefix(name, tt.path+"/"))
			}
			if err := fstest.TestFS(snap.FS, names...); err != nil {
				t.Error(err)
			}
			if snap.Subject != "[2Jsubject" || snap.Author != "A [31m? <a@example.com>" || !snap.Time.Equal(time.Unix(86400, 0)) {
				t.Errorf("got %q by %q at %v", snap.Subject, snap.Author, snap.Time)
			}
			info, err := fs.Stat(snap.FS, ".")
			if err != nil || !info.IsDir() || !info.ModTime().Equal(snap.Time) {
				t.Errorf("got root %v, %v", info, err)
			}
		})
	}
}

// A link that stands for orgs, or may, is an error that names it.
func TestCommitLinks(t *testing.T) {
	absent := plumbing.NewHash("0123456789abcdef0123456789abcdef01234567")
	lost := []string{"lacks the object"}
	for _, tt := range []struct {
		name, link, to string
		hash           plumbing.Hash // of the link, if it isn't that of to
		kind           error         // ErrContent when nil
		words          []string
	}{
		{name: "to a manifest", link: "b.yaml", to: "a.yaml"},
		{name: "named like a manifest", link: "README.YML", to: "README"},
		{name: "to a folder", link: "team", to: "../other"},
		{name: "to a folder, with a slash", link: "team", to: "../other/"},
		{name: "to the folder it is in", link: "self", to: "."},
		{name: "to the top", link: "top", to: ".."},
		{name: "to a link to a folder", link: "team", to: "../link"},
		{name: "through a link to a folder", link: "team", to: "../link/eu"},
		{name: "to itself", link: "loop", to: "loop"},
		{name: "nowhere", link: "lost", to: "nowhere"},
		{name: "below a file", link: "lost", to: "README/x"},
		{name: "to a file, with a slash", link: "lost", to: "README/"},
		{name: "into a submodule", link: "lost", to: "../vendor/README"},
		{name: "to a submodule", link: "lost", to: "../vendor"},
		{name: "out of the repository", link: "out", to: "../../README"},
		{name: "to the root", link: "abs", to: "/README"},
		{name: "without a target", link: "empty", to: ""},
		{name: "with a NUL", link: "nul", to: "README\x00"},
		{name: "longer than a path", link: "long", to: strings.Repeat("/", 5000)},
		{name: "larger than a file", link: "huge", to: strings.Repeat("x", 200_000)},
		{name: "with many steps", link: "steps", to: strings.Repeat("./", 255) + "README"},
		{name: "that isn't there", link: "gone", hash: absent, kind: ErrIncomplete, words: lost},
		{name: "through a folder that isn't there", link: "gone", to: "../gone/README", kind: ErrIncomplete, words: lost},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, repo := newRaw(t)
			h := tt.hash
			if h.IsZero() {
				h = r.blob(tt.to)
			}
			readme := object.TreeEntry{Name: "README", Mode: filemode.Regular, Hash: r.blob("read me")}
			other := r.tree(readme, object.TreeEntry{Name: "eu", Mode: filemode.Dir, Hash: r.tree()})
			r.main(r.tree(
				object.TreeEntry{Name: "gone", Mode: filemode.Dir, Hash: absent},
				object.TreeEntry{Name: "link", Mode: filemode.Symlink, Hash: r.blob("other")},
				object.TreeEntry{Name: "orgs", Mode: filemode.Dir, Hash: r.tree(
					readme,
					object.TreeEntry{Name: "a.yaml", Mode: filemode.Regular, Hash: r.blob("a")},
					object.TreeEntry{Name: tt.link, Mode: filemode.Symlink, Hash: h},
				)},
				object.TreeEntry{Name: "other", Mode: filemode.Dir, Hash: other},
				object.TreeEntry{Name: "vendor", Mode: filemode.Submodule, Hash: absent},
			))
			g := newGit(t, GitOptions{URL: repo, Path: "orgs"})
			g.limits.file = 100_000
			_, err := g.Fetch(t.Context())
			kind, words := tt.kind, tt.words
			if kind == nil {
				kind, words = ErrContent, []string{" at commit ", "is a symbolic link", "commit the files themselves", "git.path"}
			}
			wantError(t, err, kind, append(words, strconv.Quote("orgs/"+tt.link))...)
		})
	}
}

// The folders that links lead to count too.
func TestCommitLinksAreCounted(t *testing.T) {
	r, repo := newRaw(t)
	var files, links []object.TreeEntry
	for i := range 50 {
		files = append(files, object.TreeEntry{Name: fmt.Sprintf("f%02d", i), Mode: filemode.Regular, Hash: r.blob("")})
		to := r.blob(fmt.Sprintf("../many/f%02d", i))
		links = append(links, object.TreeEntry{Name: fmt.Sprintf("l%02d", i), Mode: filemode.Symlink, Hash: to})
	}
	r.main(r.tree(
		object.TreeEntry{Name: "many", Mode: filemode.Dir, Hash: r.tree(files...)},
		object.TreeEntry{Name: "orgs", Mode: filemode.Dir, Hash: r.tree(links...)},
	))
	const seen = 50 + 2 + 50 + 50 // below the path; then at the top, in orgs and in many, once
	for _, limit := range []int{seen - 1, seen} {
		g := newGit(t, GitOptions{URL: repo, Path: "orgs"})
		g.limits.entries = limit
		_, err := g.Fetch(t.Context())
		if limit < seen {
			wantError(t, err, ErrContent, "files and folders", "set git.path")
		} else if err != nil {
			t.Error(err)
		}
	}
}

func TestRefLeadsElsewhere(t *testing.T) {
	r, dir := newRaw(t)
	r.main(r.tree())
	r.point("refs/tags/blob", r.blob("x"))
	tag := r.object(plumbing.TagObject, fmt.Sprintf("object %s\ntype tree\ntag t\ntagger A <a@example.com> 0 +0000\n\nm\n", r.tree()))
	r.point("refs/tags/tree", tag)
	for range 20 {
		tag = r.object(plumbing.TagObject, fmt.Sprintf("object %s\ntype tag\ntag t\ntagger A <a@example.com> 0 +0000\n\nm\n", tag))
	}
	r.point("refs/tags/tags", tag)
	for name, words := range map[string]string{
		"blob": `tag "blob" leads to a blob, not to a commit`,
		"tree": `tag "tree" leads to a tree, not to a commit`,
		"tags": `tag "tags" leads to more than 10 tags one after another`,
	} {
		_, err := newGit(t, GitOptions{URL: dir, Tag: name}).Fetch(t.Context())
		wantError(t, err, ErrContent, words)
	}
}

// Of a tag of a tag, the outer one is what the ref vouches for.
func TestTagOfTag(t *testing.T) {
	r, dir := newRaw(t)
	r.main(r.tree(object.TreeEntry{Name: "a.yaml", Mode: filemode.Regular, Hash: r.blob("one")}))
	head := fetch(t, newGit(t, GitOptions{URL: dir})).Commit
	const words = "object %s\ntype %s\ntag %s\ntagger A <a@example.com> 0 +0000\n\nm\n"
	inner := r.object(plumbing.TagObject, fmt.Sprintf(words, head, "commit", "inner"))
	outer := fmt.Sprintf(words, inner, "tag", "outer")
	r.point("refs/tags/outer", r.object(plumbing.TagObject, outer))
	snap := fetch(t, newGit(t, GitOptions{URL: dir, Tag: "outer"}))
	if snap.Commit != head || string(snap.Tag) != outer {
		t.Errorf("got commit %s, tag %q", snap.Commit, snap.Tag)
	}
}

func TestDamagedCommit(t *testing.T) {
	r, dir := newRaw(t)
	r.point("refs/heads/main", r.object(plumbing.CommitObject, "garbage"))
	_, err := newGit(t, GitOptions{URL: dir}).Fetch(t.Context())
	wantError(t, err, ErrContent, "can't be read", "git fsck")
}

// A commit that can't be used is fetched once, not on each schedule, and
// the one after it is taken.
func TestUnusableCommitIsRemembered(t *testing.T) {
	r, _ := newRepo(t, map[string]string{"orgs/a.yaml": "one"})
	s := serveWeb(t, r.Dir(), false)
	g := newGit(t, GitOptions{URL: s.url(), Path: "orgs"})
	good := fetch(t, g)
	commit(t, r, map[string]string{"orgs/b.yaml": "version https://git-lfs.github.com/spec/v1\n"})
	_, first := g.Fetch(t.Context())
	wantError(t, first, ErrContent, `"orgs/b.yaml"`)
	_, second := g.Fetch(t.Context())
	if !errors.Is(second, ErrContent) || second.Error() != first.Error() {
		t.Errorf("got %v, then %v", first, second)
	}
	if n := s.packs.Load(); n != 2 {
		t.Errorf("objects were fetched %d times", n)
	}
	wantContents(t, good, map[string]string{"orgs/a.yaml": "one"})
	commit(t, r, map[string]string{"orgs/b.yaml": "two"})
	wantContents(t, fetch(t, g), map[string]string{"orgs/a.yaml": "one", "orgs/b.yaml": "two"})
}

// What readers do with what they read changes nothing for others.
func TestSnapshotIsImmutable(t *testing.T) {
	r, _ := newRepo(t, map[string]string{"a.yaml": "one", "b.yaml": "one"})
	snap := fetch(t, newGit(t, GitOptions{URL: r.Dir()}))
	data, err := fs.ReadFile(snap.FS, "a.yaml")
	if err != nil {
		t.Fatal(err)
	}
	copy(data, "XXX")
	entries, err := fs.ReadDir(snap.FS, ".")
	if err != nil {
		t.Fatal(err)
	}
	entries[0] = nil
	wantContents(t, snap, map[string]string{"a.yaml": "one", "b.yaml": "one"})
}
