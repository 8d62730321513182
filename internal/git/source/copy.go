package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"

	"reconciler/internal/strictyaml"
)

// read makes a Snapshot of the commit that at leads to, and remembers it, or the
// error if each try would fail like that. The Snapshot holds copies: the objects
// may go away.
func (g *Git) read(ctx context.Context, sto storer.EncodedObjectStorer, at plumbing.Hash) (*Snapshot, error) {
	start := time.Now()
	t, err := g.peel(sto, at)
	if err != nil {
		return nil, err
	}
	c := &copier{
		g: g, ctx: ctx, sto: sto, commit: t.commit,
		files: memoryFS{}, names: []string{}, contents: map[plumbing.Hash][]byte{}, trees: map[plumbing.Hash]*object.Tree{},
	}
	snap, err := c.snapshot()
	if err == nil {
		snap.Raw, snap.Tag = t.raw, t.tag
		g.log.InfoContext(ctx, "git: read a commit", "ref", snap.Ref, "commit", snap.Commit,
			"manifests", len(c.names), "took", time.Since(start))
	}
	if err == nil || errors.Is(err, errPermanent) {
		g.last = &reading{at, snap, err}
	}
	return snap, err
}

// target is what a ref or a hash leads to: a commit, its content, and that of the
// first annotated tag on the way there, or nil. The tag is what a ref points to,
// and vouches by hashes for all that it leads to.
type target struct {
	commit   *object.Commit
	raw, tag []byte
}

// peel follows annotated tags to the commit.
func (g *Git) peel(sto storer.EncodedObjectStorer, at plumbing.Hash) (*target, error) {
	const maxTags = 10 // a tag of a tag of a tag
	t := &target{}
	h := at
	for range maxTags {
		o, err := sto.EncodedObject(plumbing.AnyObject, h)
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			return nil, g.noCommit(h)
		}
		var raw []byte
		var decoded object.Object
		if err == nil {
			raw, err = payload(o)
		}
		if err == nil {
			decoded, err = object.DecodeObject(sto, o)
		}
		if err != nil {
			return nil, g.damaged(h, err)
		}
		switch o := decoded.(type) {
		case *object.Commit:
			t.commit, t.raw = o, raw
			return t, nil
		case *object.Tag:
			if t.tag == nil {
				t.tag = raw
			}
			h = o.Target
		default:
			return nil, g.fail(ErrContent, "", "%s leads to a %s, not to a commit", g.what(), o.Type())
		}
	}
	return nil, g.fail(ErrContent, "", "%s leads to more than %d tags one after another", g.what(), maxTags)
}

// payload returns an object's content, in memory of its own. That it has the
// object's hash was seen when the object was read.
func payload(o plumbing.EncodedObject) ([]byte, error) {
	r, err := o.Reader()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func (g *Git) noCommit(h plumbing.Hash) error {
	return g.fail(ErrNotFound, "was it pushed, and is it still on a branch or tag? Servers may not serve commits that a force-push removed", "there is no commit %q", h.String())
}

// damaged is about an object on the way to the commit that can't be read.
func (g *Git) damaged(h plumbing.Hash, err error) error {
	return g.fail(ErrContent, fsck, "the object %s can't be read: %s", h, oneLine(err.Error()))
}

const fsck = `"git fsck" in the repository says more`

// copier copies the manifests of one commit.
type copier struct {
	g      *Git
	ctx    context.Context
	sto    storer.EncodedObjectStorer
	commit *object.Commit
	// files are the copies, and names those that are no folders.
	files memoryFS
	names []string
	// contents are those of files by hash: each is kept once, however often a
	// tree names it.
	contents map[plumbing.Hash][]byte
	// trees are the folders that links lead through or into.
	trees   map[plumbing.Hash]*object.Tree
	entries int   // seen, in trees too
	bytes   int64 // of what is in contents
}

func (c *copier) snapshot() (*Snapshot, error) {
	subject, _, _ := strings.Cut(strings.TrimLeft(c.commit.Message, "\n"), "\n")
	snap := &Snapshot{
		FS:      c.files,
		Root:    ".",
		Commit:  c.commit.Hash.String(),
		Ref:     c.g.ref.String(),
		Author:  oneLine(fmt.Sprintf("%s <%s>", c.commit.Author.Name, c.commit.Author.Email)),
		Subject: oneLine(subject),
		Time:    c.commit.Committer.When,
	}
	if c.g.rev != "" {
		snap.rev = c.g.rev + ":"
	}
	snap.Name = snap.rev
	if c.g.opts.Path != "." {
		snap.Name += c.g.opts.Path
	}
	entry, err := c.find()
	if err != nil {
		return nil, err
	}
	c.files["."] = newFolder(snap.Time)
	if entry.Mode == filemode.Dir {
		err = c.folder(".", entry.Hash)
		slices.Sort(c.names)
		snap.Files = c.names
	} else {
		snap.Root = entry.Name
		err = c.file(entry.Name, c.g.opts.Path, entry.Hash)
	}
	if err != nil {
		return nil, err
	}
	return snap, nil
}

// find walks from the top of the repository to the path.
func (c *copier) find() (object.TreeEntry, error) {
	at := object.TreeEntry{Mode: filemode.Dir, Hash: c.commit.TreeHash}
	if c.g.opts.Path == "." {
		return at, nil
	}
	walked := ""
	for part := range strings.SplitSeq(c.g.opts.Path, "/") {
		tree := &object.Tree{} // of a file
		if at.Mode == filemode.Dir {
			var err error
			if tree, err = c.tree(walked, at.Hash); err != nil {
				return at, err
			}
		}
		var names []string
		for _, e := range tree.Entries {
			names = append(names, e.Name)
		}
		i := slices.Index(names, part)
		if i < 0 {
			return at, c.fail(ErrNotFound, "", "there is no %q at commit %s of %s%s", c.g.opts.Path, c.short(), c.g.what(), strictyaml.DidYouMean(part, names))
		}
		at, walked = tree.Entries[i], path.Join(walked, part)
		switch at.Mode {
		case filemode.Submodule:
			return at, c.refuse(walked, isSubmodule, c.setPath("a folder without submodules"))
		case filemode.Symlink:
			return at, c.refuse(walked, isLink, c.setPath("what it leads to"))
		}
	}
	return at, nil
}

// What can't be manifests, for refuse.
const (
	isSubmodule = "is a submodule, and these are not followed"
	isLink      = "is a symbolic link, and these are not followed"
)

// fail is for what is wrong with the commit itself, and stays so.
func (c *copier) fail(kind error, hint, format string, args ...any) error {
	return reclassify(c.g.fail(nil, hint, format, args...), kind, errPermanent)
}

// refuse is fail for an entry that can't be a manifest.
func (c *copier) refuse(name, what, hint string) error {
	return c.fail(ErrContent, hint, "%q at commit %s %s", name, c.short(), what)
}

// setPath is the hint to look at another part of the repository.
func (c *copier) setPath(to string) string {
	return fmt.Sprintf("set %s to %s", c.g.opts.Names.Path, to)
}

func (c *copier) short() string { return Short(c.commit.Hash.String()) }

func (c *copier) tree(name string, h plumbing.Hash) (*object.Tree, error) {
	tree, err := object.GetTree(c.sto, h)
	if err != nil {
		return nil, c.unreadable(name, h, err)
	}
	return tree, nil
}

// unreadable is about an object of the commit that can't be read. One that isn't
// there is not the same as a path that isn't there: that would be an answer.
func (c *copier) unreadable(name string, h plumbing.Hash, err error) error {
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return c.g.fail(ErrIncomplete,
			fmt.Sprintf("in a partial clone \"git archive -o /dev/null %s\" fetches what is missing; a damaged one has to be cloned again", c.short()),
			"the repository lacks the object %s for %q at commit %s", h, name, c.short())
	}
	if errors.As(err, new(*overLimit)) {
		return c.g.explain(err)
	}
	return c.g.fail(ErrContent, fsck, "%q at commit %s can't be read: %s", name, c.short(), oneLine(err.Error()))
}

// folder copies the manifests and folders below a tree, which is at that place
// below the path. Other files are left out, because a repository may hold much
// else, and so are names that begin with a dot, as the loader passes them over.
func (c *copier) folder(dir string, h plumbing.Hash) error {
	tree, err := c.tree(path.Join(c.g.opts.Path, dir), h)
	if err != nil {
		return err
	}
	// Hashes make loops impossible, but a few objects can name each other often
	// enough to unfold into billions of paths.
	if err := c.count(tree); err != nil {
		return err
	}
	for _, e := range tree.Entries {
		if err := context.Cause(c.ctx); err != nil {
			return err
		}
		if err := c.entry(dir, e); err != nil {
			return err
		}
	}
	return nil
}

// count adds the entries of a folder to those seen, and fails when there are too
// many.
func (c *copier) count(tree *object.Tree) error {
	if c.entries += len(tree.Entries); c.entries > c.g.limits.entries {
		return c.fail(ErrContent, c.setPath("the folder of the manifests"),
			"commit %s holds more than %d files and folders", c.short(), c.g.limits.entries)
	}
	return nil
}

// entry copies one entry of a folder, unless it can't be a manifest.
func (c *copier) entry(dir string, e object.TreeEntry) error {
	key := path.Join(dir, e.Name)
	name := path.Join(c.g.opts.Path, key) // in the repository
	switch {
	case strings.HasPrefix(e.Name, ".") && e.Name != "." && e.Name != "..":
		return nil
	case e.Mode == filemode.Submodule:
		return c.refuse(name, isSubmodule, "keep the manifests in the repository itself, or "+c.setPath("a folder without submodules"))
	case e.Mode != filemode.Dir && e.Mode != filemode.Symlink && !isManifest(e.Name):
		return nil
	case !utf8.ValidString(e.Name):
		return c.refuse(name, "has a name that is not UTF-8", "rename it")
	case strings.ContainsRune(e.Name, '/') || !fs.ValidPath(e.Name) || e.Name == ".":
		return c.refuse(name, "has a name that no file can have", "rename it")
	case c.files[key] != nil:
		return c.refuse(name, "is there twice", fsck)
	case e.Mode == filemode.Dir:
		c.files[key] = newFolder(c.commit.Committer.When)
		return c.folder(key, e.Hash)
	case e.Mode == filemode.Symlink:
		return c.link(name)
	default:
		return c.file(key, name, e.Hash)
	}
}

// link refuses a link, unless it leads to a file of the repository under a name
// that no manifest has: README, say. In a folder on disk, the loader warns of
// the same links, and of those to files outside the folder, where it can't look.
func (c *copier) link(name string) error {
	if !isManifest(name) {
		harmless, err := c.leadsToFile(name)
		if err != nil || harmless {
			return err
		}
	}
	return c.refuse(name, isLink, "commit the files themselves in its place, or "+c.setPath("a folder without it"))
}

// leadsToFile walks from the top of the repository along a path, following
// links as an operating system does, and reports whether it ends at a file.
func (c *copier) leadsToFile(name string) (bool, error) {
	const maxSteps = 255 // ends loops
	dirs := []plumbing.Hash{c.commit.TreeHash}
	rest := strings.Split(name, "/")
	for step := 0; step < maxSteps && len(rest) > 0; step++ {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if len(dirs) == 1 {
				return false, nil // out of the repository
			}
			dirs = dirs[:len(dirs)-1]
			continue
		}
		tree, err := c.countedTree(name, dirs[len(dirs)-1])
		if err != nil {
			return false, err
		}
		e, err := tree.FindEntry(part)
		if err != nil {
			return false, nil // nowhere
		}
		switch e.Mode {
		case filemode.Dir:
			dirs = append(dirs, e.Hash)
		case filemode.Symlink:
			to, err := c.linkTarget(name, e.Hash)
			if err != nil || to == "" || path.IsAbs(to) {
				return false, err
			}
			rest = append(strings.Split(to, "/"), rest...)
		default:
			return e.Mode.IsFile() && len(rest) == 0, nil
		}
	}
	return false, nil
}

// countedTree is tree for a folder that many links may lead to.
func (c *copier) countedTree(name string, h plumbing.Hash) (*object.Tree, error) {
	if tree, ok := c.trees[h]; ok {
		return tree, nil
	}
	tree, err := c.tree(name, h)
	if err != nil {
		return nil, err
	}
	c.trees[h] = tree
	return tree, c.count(tree)
}

// linkTarget returns what a link holds, or "" when that is longer than a path
// can be.
func (c *copier) linkTarget(name string, h plumbing.Hash) (string, error) {
	const maxPath = 4 << 10
	to, err := c.content(h)
	if errors.As(err, new(*tooLarge)) || len(to) > maxPath {
		return "", nil
	}
	if err != nil {
		return "", c.unreadable(name, h, err)
	}
	return string(to), nil
}

// isManifest accepts names in capitals too: the loader has a warning for them.
func isManifest(name string) bool {
	ext := strings.ToLower(path.Ext(name))
	return ext == ".yaml" || ext == ".yml"
}

// file copies a file, or only its size when that is more than a manifest may
// have. The key is its place in files, and the name that in the repository.
func (c *copier) file(key, name string, h plumbing.Hash) error {
	data, err := c.content(h)
	f := newFile(data, c.commit.Committer.When)
	var large *tooLarge
	switch {
	case errors.As(err, &large):
		f.Sys = large
	case err != nil:
		return c.unreadable(name, h, err)
	case c.bytes > c.g.limits.manifests:
		return c.fail(ErrContent, c.setPath("the folder of the manifests"),
			"the manifests at commit %s hold more than %d MB", c.short(), c.g.limits.manifests>>20)
	case bytes.HasPrefix(data, []byte("version https://git-lfs.github.com/spec/")): // https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
		return c.refuse(name, "is a Git LFS pointer, not the file", fmt.Sprintf("git lfs untrack %q, then commit the file itself", name))
	}
	c.files[key] = f
	c.names = append(c.names, key)
	return nil
}

// content returns the content of a file.
func (c *copier) content(h plumbing.Hash) ([]byte, error) {
	if data, ok := c.contents[h]; ok {
		return data, nil
	}
	o, err := c.sto.EncodedObject(plumbing.BlobObject, h)
	if err != nil {
		return nil, err
	}
	data, err := payload(o)
	if err != nil {
		return nil, err
	}
	c.contents[h] = data
	c.bytes += int64(len(data))
	return data, nil
}
