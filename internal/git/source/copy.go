package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"

	"reconciler/internal/strictyaml"
)

// read makes a Snapshot of the commit that at leads to, and remembers what
// came of it if the same commit will always give the same. The Snapshot holds
// copies: the objects may go away.
func (g *Git) read(ctx context.Context, sto storer.EncodedObjectStorer, at plumbing.Hash) (*Snapshot, error) {
	start := time.Now()
	commit, tag, err := g.peel(sto, at)
	if err != nil {
		return nil, err
	}
	c := &copier{g: g, ctx: ctx, sto: sto, commit: commit, tag: tag, shared: map[plumbing.Hash][]byte{}, looked: map[plumbing.Hash]*object.Tree{}}
	snap, err := c.snapshot()
	var e *Error
	if err == nil || errors.As(err, &e) && e.lasting {
		g.last = &reading{at, snap, err}
	}
	if err == nil {
		g.log.InfoContext(ctx, "git: read a commit", "ref", snap.Ref, "commit", snap.Commit,
			"manifests", c.files, "took", time.Since(start))
	}
	return snap, err
}

// peel follows annotated tags to the commit. It gives the content of the first
// tag too, if there is one: it is what the ref points to, and vouches by hashes
// for all that it leads to.
func (g *Git) peel(sto storer.EncodedObjectStorer, at plumbing.Hash) (*object.Commit, []byte, error) {
	const maxTags = 10 // a tag of a tag of a tag
	var first []byte
	h := at
	for range maxTags {
		o, err := sto.EncodedObject(plumbing.AnyObject, h)
		switch {
		case errors.Is(err, plumbing.ErrObjectNotFound):
			return nil, nil, g.noCommit(h)
		case err != nil:
			return nil, nil, g.damaged(h, err)
		}
		switch o.Type() {
		case plumbing.CommitObject:
			commit, err := object.DecodeCommit(sto, o)
			if err != nil {
				return nil, nil, g.damaged(h, err)
			}
			return commit, first, nil
		case plumbing.TagObject:
			tag, err := object.DecodeTag(sto, o)
			if err == nil && first == nil {
				first, err = payload(o)
			}
			if err != nil {
				return nil, nil, g.damaged(h, err)
			}
			h = tag.Target
		default:
			return nil, nil, g.fail(ErrContent, "", "%s leads to a %s, not to a commit", g.what(), o.Type())
		}
	}
	return nil, nil, g.fail(ErrContent, "", "%s leads to more than %d tags one after another", g.what(), maxTags)
}

// payload gives an object's content, in memory of its own. That it has the object's
// hash was seen when the object was read.
func payload(o plumbing.EncodedObject) ([]byte, error) {
	r, err := o.Reader()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func (g *Git) noCommit(h plumbing.Hash) *Error {
	return g.fail(ErrNotFound, "was it pushed, and is it still on a branch or tag? What a rewritten branch leaves behind, servers need not give", "there is no commit %q", h.String())
}

// damaged is about an object on the way to the commit that can't be read.
func (g *Git) damaged(h plumbing.Hash, err error) *Error {
	return g.fail(ErrContent, fsck, "the object %s can't be read: %s", h, oneLine(err.Error()))
}

const fsck = `"git fsck" in the repository says more`

// copier copies the manifests of one commit.
type copier struct {
	g      *Git
	ctx    context.Context
	sto    storer.EncodedObjectStorer
	commit *object.Commit
	tag    []byte // content of the tag that led to it, or nil
	// shared holds the content of files by hash: each is kept once, however
	// often a tree names it.
	shared map[plumbing.Hash][]byte
	// looked holds the folders that links lead through or into.
	looked  map[plumbing.Hash]*object.Tree
	entries int   // seen, in looked too
	files   int   // copied
	bytes   int64 // of what is in shared
}

func (c *copier) snapshot() (*Snapshot, error) {
	content, err := c.sto.EncodedObject(plumbing.CommitObject, c.commit.Hash)
	if err != nil {
		return nil, c.g.damaged(c.commit.Hash, err)
	}
	snap := &Snapshot{
		Root:    ".",
		Commit:  c.commit.Hash.String(),
		Ref:     c.g.ref.String(),
		Author:  oneLine(fmt.Sprintf("%s <%s>", c.commit.Author.Name, c.commit.Author.Email)),
		Subject: oneLine(subject(c.commit.Message)),
		Time:    c.commit.Committer.When,
		Tag:     c.tag,
	}
	if c.g.rev != "" {
		snap.rev = c.g.rev + ":"
	}
	if snap.Raw, err = payload(content); err != nil {
		return nil, c.g.damaged(c.commit.Hash, err)
	}
	entry, err := c.find()
	if err != nil {
		return nil, err
	}
	if entry.Mode == filemode.Dir {
		root, err := c.folder(".", c.g.opts.Path, entry.Hash)
		if err != nil {
			return nil, err
		}
		snap.Name = snap.rev
		if c.g.opts.Path != "." {
			snap.Name += c.g.opts.Path
		}
		snap.FS = &treeFS{root}
		return snap, nil
	}
	file, err := c.file(entry, c.g.opts.Path)
	if err != nil {
		return nil, err
	}
	snap.FS, snap.Root, snap.Name = newTree(snap.Time, file), file.name, snap.rev+c.g.opts.Path
	return snap, nil
}

func subject(message string) string {
	line, _, _ := strings.Cut(strings.TrimLeft(message, "\n"), "\n")
	return line
}

// find walks from the top of the repository to the path.
func (c *copier) find() (object.TreeEntry, error) {
	at := object.TreeEntry{Mode: filemode.Dir, Hash: c.commit.TreeHash}
	if c.g.opts.Path == "." {
		return at, nil
	}
	walked := ""
	for part := range strings.SplitSeq(c.g.opts.Path, "/") {
		if at.Mode != filemode.Dir {
			return at, c.missing(walked+" is a file", nil, part)
		}
		tree, err := c.tree(walked, at.Hash)
		if err != nil {
			return at, err
		}
		var names []string
		found := false
		for _, e := range tree.Entries {
			if e.Name == part {
				at, found = e, true
			}
			names = append(names, e.Name)
		}
		if !found {
			return at, c.missing("", names, part)
		}
		walked = path.Join(walked, part)
		if err := c.refuse(at, walked); err != nil {
			return at, err
		}
		if at.Mode == filemode.Symlink {
			return at, c.refuseLink(walked, c.g.aim()+" what it leads to")
		}
	}
	return at, nil
}

func (c *copier) missing(why string, names []string, part string) error {
	return c.fail(ErrNotFound, why, "there is no %q at commit %s of %s%s",
		c.g.opts.Path, c.short(), c.g.what(), strictyaml.DidYouMean(part, names))
}

// fail is for what is wrong with the commit itself, and stays so.
func (c *copier) fail(kind error, hint, format string, args ...any) error {
	e := c.g.fail(kind, hint, format, args...)
	e.lasting = true
	return e
}

func (c *copier) short() string { return c.commit.Hash.String()[:12] }

// refuse gives an error for a submodule, whose content isn't there.
func (c *copier) refuse(e object.TreeEntry, name string) error {
	if e.Mode != filemode.Submodule {
		return nil
	}
	return c.fail(ErrContent, "keep the manifests in the repository itself, or "+c.g.aim()+" a folder without submodules",
		"%q at commit %s is a submodule, and these are not followed", name, c.short())
}

func (c *copier) tree(name string, h plumbing.Hash) (*object.Tree, error) {
	tree, err := object.GetTree(c.sto, h)
	switch {
	case errors.Is(err, plumbing.ErrObjectNotFound):
		return nil, c.absent(name, h)
	case err != nil:
		return nil, c.damaged(name, err)
	}
	return tree, nil
}

// absent is about an object that the repository should have. It is not the same
// as a path that isn't there: that would be an answer.
func (c *copier) absent(name string, h plumbing.Hash) error {
	return c.g.fail(ErrIncomplete,
		fmt.Sprintf("in a partial clone \"git archive -o /dev/null %s\" fetches what is missing; a damaged one has to be cloned again", c.short()),
		"the repository lacks the object %s for %q at commit %s", h, name, c.short())
}

// damaged is about an object of the commit that is there and can't be read.
func (c *copier) damaged(name string, err error) error {
	return c.g.fail(ErrContent, fsck, "%q at commit %s can't be read: %s", name, c.short(), oneLine(err.Error()))
}

// folder copies the manifests and folders below a tree. Other files are left
// out, because a repository may hold much else, and so are names that begin
// with a dot, as the loader passes them over.
func (c *copier) folder(base, name string, h plumbing.Hash) (*node, error) {
	if err := context.Cause(c.ctx); err != nil {
		return nil, err
	}
	tree, err := c.tree(name, h)
	if err != nil {
		return nil, err
	}
	// Hashes make loops impossible, but a few objects can name each other often
	// enough to unfold into billions of paths.
	if err := c.count(tree); err != nil {
		return nil, err
	}
	dir := &node{name: base, mode: fs.ModeDir, time: c.commit.Committer.When}
	for _, e := range tree.Entries {
		entry, err := c.entry(e, path.Join(name, e.Name))
		if err != nil {
			return nil, err
		}
		if entry != nil {
			dir.entries = append(dir.entries, entry)
		}
	}
	dir.sort()
	for i, e := range dir.entries {
		if i > 0 && e.name == dir.entries[i-1].name {
			return nil, c.fail(ErrContent, fsck, "%q at commit %s is there twice", path.Join(name, e.name), c.short())
		}
	}
	return dir, nil
}

// count adds the entries of a folder to those seen, and says when there are too
// many.
func (c *copier) count(tree *object.Tree) error {
	if c.entries += len(tree.Entries); c.entries > c.g.limits.entries {
		return c.fail(ErrContent, c.g.aim()+" the folder of the manifests",
			"commit %s holds more than %d files and folders", c.short(), c.g.limits.entries)
	}
	return nil
}

// entry copies one entry of a folder, and gives nil for what can't be a
// manifest.
func (c *copier) entry(e object.TreeEntry, name string) (*node, error) {
	if strings.HasPrefix(e.Name, ".") && e.Name != "." && e.Name != ".." {
		return nil, nil
	}
	if err := c.refuse(e, name); err != nil {
		return nil, err
	}
	wanted := e.Mode == filemode.Dir || e.Mode == filemode.Symlink || isManifest(e.Name)
	if !wanted {
		return nil, nil
	}
	if strings.ContainsRune(e.Name, '/') || !fs.ValidPath(e.Name) || e.Name == "." {
		reason := "no file can have that name"
		if !utf8.ValidString(e.Name) {
			reason = "its name is not UTF-8"
		}
		return nil, c.fail(ErrContent, "rename it", "%q at commit %s: %s", name, c.short(), reason)
	}
	switch e.Mode {
	case filemode.Dir:
		return c.folder(e.Name, name, e.Hash)
	case filemode.Symlink:
		return nil, c.link(name)
	default:
		return c.file(e, name)
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
	return c.refuseLink(name, "commit the files themselves in its place, or "+c.g.aim()+" a folder without it")
}

func (c *copier) refuseLink(name, hint string) error {
	return c.fail(ErrContent, hint, "%q at commit %s is a symbolic link, and these are not followed", name, c.short())
}

// leadsToFile walks from the top of the repository along a path, following
// links as an operating system does, and says whether it ends at a file.
func (c *copier) leadsToFile(name string) (bool, error) {
	if err := context.Cause(c.ctx); err != nil {
		return false, err
	}
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
		tree, err := c.look(name, dirs[len(dirs)-1])
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
			to, err := c.target(name, e.Hash)
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

// look is tree for a folder that many links may lead to.
func (c *copier) look(name string, h plumbing.Hash) (*object.Tree, error) {
	if tree, ok := c.looked[h]; ok {
		return tree, nil
	}
	tree, err := c.tree(name, h)
	if err != nil {
		return nil, err
	}
	c.looked[h] = tree
	return tree, c.count(tree)
}

// target gives what a link holds, or "" when that is longer than a path can be.
func (c *copier) target(name string, h plumbing.Hash) (string, error) {
	const maxPath = 4 << 10
	blob, err := object.GetBlob(c.sto, h)
	switch {
	case errors.As(err, new(*tooLarge)):
		return "", nil
	case errors.Is(err, plumbing.ErrObjectNotFound):
		return "", c.absent(name, h)
	case err != nil:
		return "", c.damaged(name, err)
	case blob.Size > maxPath:
		return "", nil
	}
	to, err := c.content(blob)
	if err != nil {
		return "", c.damaged(name, err)
	}
	return string(to), nil
}

// isManifest takes names in capitals too: the loader has a warning for them.
func isManifest(name string) bool {
	ext := strings.ToLower(path.Ext(name))
	return ext == ".yaml" || ext == ".yml"
}

// file copies a file, or only its size when that is more than a manifest may
// have.
func (c *copier) file(e object.TreeEntry, name string) (*node, error) {
	c.files++
	n := &node{name: e.Name, time: c.commit.Committer.When}
	// Neither storage loads a large object here. Asking go-git for the size
	// alone would leave a file open for each object.
	blob, err := object.GetBlob(c.sto, e.Hash)
	var large *tooLarge
	switch {
	case errors.As(err, &large):
		n.size = large.size
		return n, nil
	case errors.Is(err, plumbing.ErrObjectNotFound):
		return nil, c.absent(name, e.Hash)
	case err != nil:
		return nil, c.damaged(name, err)
	}
	if n.size = blob.Size; n.size > c.g.limits.file {
		return n, nil
	}
	if n.data, err = c.content(blob); err != nil {
		return nil, c.damaged(name, err)
	}
	if c.bytes > c.g.limits.manifests {
		return nil, c.fail(ErrContent, c.g.aim()+" the folder of the manifests",
			"the manifests at commit %s hold more than %d MB", c.short(), c.g.limits.manifests>>20)
	}
	// https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
	if bytes.HasPrefix(n.data, []byte("version https://git-lfs.github.com/spec/")) {
		return nil, c.fail(ErrContent, fmt.Sprintf("git lfs untrack %q, then commit the file itself", name),
			"%q at commit %s is a Git LFS pointer, not the file", name, c.short())
	}
	return n, nil
}

func (c *copier) content(blob *object.Blob) ([]byte, error) {
	if data, ok := c.shared[blob.Hash]; ok {
		return data, nil
	}
	r, err := blob.Reader()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	c.shared[blob.Hash] = data
	c.bytes += int64(len(data))
	return data, nil
}
