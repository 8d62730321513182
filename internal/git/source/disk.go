package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/format/config"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"
)

// readLocal reads a repository on disk: its refs, and the commit if it isn't
// the last one.
func (g *Git) readLocal(ctx context.Context) (*Snapshot, error) {
	sto, err := g.open(g.ep.Path)
	if err != nil {
		return nil, err
	}
	defer sto.Close()
	at := plumbing.NewHash(g.opts.Commit)
	if g.ref != "" {
		if at, err = g.resolveRef(sto, g.ref); err != nil {
			return nil, err
		}
		if at.IsZero() {
			return nil, g.noRef(refNames(sto))
		}
	}
	if g.last != nil && at == g.last.at {
		return g.last.snap, g.last.err
	}
	return g.read(ctx, sto, at)
}

// resolveRef returns what a ref points to, or no hash when there is none.
func (g *Git) resolveRef(sto *disk, name plumbing.ReferenceName) (plumbing.Hash, error) {
	ref, err := storer.ResolveReference(sto, name)
	switch {
	case errors.Is(err, plumbing.ErrReferenceNotFound):
		return plumbing.ZeroHash, nil
	case err != nil:
		return plumbing.ZeroHash, g.fail(ErrContent, fsck, "%q can't be read: %s", name, oneLine(err.Error()))
	case ref.Hash().IsZero():
		return plumbing.ZeroHash, g.fail(ErrContent, fsck, "%q is damaged: it holds no hash", name)
	}
	return ref.Hash(), nil
}

// refNames returns what it can of the names of all refs; it is for hints only.
func refNames(sto storer.ReferenceStorer) []string {
	refs, err := sto.IterReferences()
	if err != nil {
		return nil
	}
	var names []string
	_ = refs.ForEach(func(r *plumbing.Reference) error {
		names = append(names, r.Name().String())
		return nil
	})
	return names
}

// open opens the repository in dir, to be closed. It does what go-git's PlainOpen
// does, but accepts extensions that don't concern a reader: CI systems switch some
// of them on for sparse and partial checkouts.
func (g *Git) open(dir string) (*disk, error) {
	gitDir, err := g.findGitDir(dir)
	if err != nil {
		return nil, err
	}
	return g.openGitDir(gitDir)
}

// openGitDir opens the repository that gitDir is the inside of, to be closed.
func (g *Git) openGitDir(gitDir string) (*disk, error) {
	repo := dotgit.NewRepositoryFilesystem(osfs.New(gitDir), nil)
	common := gitDir
	if data, err := os.ReadFile(filepath.Join(gitDir, "commondir")); err == nil {
		common = within(gitDir, strings.TrimSpace(string(data)))
		if _, err := os.Stat(common); err != nil {
			return nil, g.fail(ErrNotFound, `"git worktree repair" may help`, "the repository of this work tree is gone from %q", common)
		}
		repo = dotgit.NewRepositoryFilesystem(osfs.New(gitDir), osfs.New(common))
	}
	// go-git would misread these. A config that can't be parsed is git's to
	// complain about: nothing else in it matters here.
	ext := readConfig(filepath.Join(common, "config")).Section("extensions")
	switch {
	case strings.EqualFold(ext.Option("objectformat"), "sha256"):
		return nil, g.sha256()
	case strings.EqualFold(ext.Option("refstorage"), "reftable"):
		return nil, g.fail(ErrContent, `"git refs migrate --ref-format=files" makes it readable`, "repositories with reftables can't be read on disk")
	}
	return openDisk(repo, gitDir, common, g.limits.file), nil
}

// sha256 is about a repository whose hashes have 64 digits.
func (g *Git) sha256() error {
	return g.fail(ErrContent, "use one with SHA-1 hashes, git's default", "repositories with SHA-256 hashes can't be read")
}

// findGitDir returns the folder with the inside of the repository in dir. A file
// of the name .git names it, in a submodule or a further work tree.
func (g *Git) findGitDir(dir string) (string, error) {
	dotGit := filepath.Join(dir, ".git")
	info, err := os.Stat(dotGit)
	switch {
	case err == nil && info.IsDir():
		return dotGit, nil
	case err == nil:
		var data []byte
		data, err = os.ReadFile(dotGit)
		to, ok := strings.CutPrefix(strings.TrimSpace(string(data)), "gitdir: ")
		if to = within(dir, to); ok && isGitDir(to) {
			return to, nil
		}
	case isGitDir(dir):
		return dir, nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return "", g.fail(ErrDenied, enterHint, "permission denied")
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return "", g.fail(ErrNotFound, "", "there is no such folder")
	}
	return "", g.fail(ErrNotFound, fmt.Sprintf(`%s is the repository's top folder; %s is the folder within it. "git worktree repair" may help in a work tree`, g.opts.Names.URL, g.opts.Names.Path),
		"this is not a git repository")
}

func isGitDir(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "HEAD"))
	return err == nil
}

// within resolves a path that may be relative to dir.
func within(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// readConfig reads a config file of git's, without those that it includes. It
// is empty if it can't be read.
func readConfig(file string) *config.Config {
	data, err := os.ReadFile(file)
	cfg := config.New()
	if err != nil || config.NewDecoder(bytes.NewReader(data)).Decode(cfg) != nil {
		return config.New()
	}
	return cfg
}

// disk is a repository on disk: its refs, and the objects in it and in those
// repositories that it borrows from. go-git can borrow too, but opens the lender
// anew for each object, and resolves relative paths wrongly.
type disk struct {
	*filesystem.Storage

	gitDir string // of this work tree
	common string // of all work trees
	limit  int64  // the size above which objects are not read
	stores []*filesystem.Storage
}

// openDisk opens what is in a repository, to be closed.
func openDisk(repo billy.Filesystem, gitDir, common string, limit int64) *disk {
	d := &disk{gitDir: gitDir, common: common, limit: limit}
	d.Storage = d.add(repo)
	d.borrow(filepath.Join(common, "objects"), map[string]bool{}, 0)
	return d
}

func (d *disk) add(repo billy.Filesystem) *filesystem.Storage {
	sto := filesystem.NewStorageWithOptions(repo, cache.NewObjectLRUDefault(), filesystem.Options{
		KeepDescriptors: true, // rather than open a pack for each object in it
		// Larger objects are streamed; reading their size loads nothing.
		LargeObjectThreshold: d.limit,
	})
	d.stores = append(d.stores, sto)
	return sto
}

// borrow opens the folders of objects that the one of a repository names, and
// those that they name, as deep as git goes:
// https://git-scm.com/docs/gitrepository-layout
func (d *disk) borrow(objects string, seen map[string]bool, depth int) {
	const maxDepth = 5
	seen[objects] = true
	data, err := os.ReadFile(filepath.Join(objects, "info/alternates"))
	if err != nil || depth > maxDepth {
		return // as a rule there is no such file
	}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		from := within(objects, line)
		// go-git finds objects in a folder of that name only, and git makes no
		// others.
		if seen[from] || filepath.Base(from) != "objects" {
			continue
		}
		d.add(osfs.New(filepath.Dir(from)))
		d.borrow(from, seen, depth+1)
	}
}

// Close closes all files.
func (d *disk) Close() error {
	var all error
	for _, s := range d.stores {
		all = errors.Join(all, s.Close())
	}
	return all
}

// EncodedObject returns an object whose content has the hash: neither git nor
// go-git makes sure of that when they read. For one over the limit it returns a
// *tooLarge.
func (d *disk) EncodedObject(t plumbing.ObjectType, h plumbing.Hash) (plumbing.EncodedObject, error) {
	for _, s := range d.stores {
		o, err := s.EncodedObject(t, h)
		switch {
		case errors.Is(err, plumbing.ErrObjectNotFound):
			continue
		case err != nil:
			return nil, err
		case o.Size() > d.limit:
			return nil, &tooLarge{o.Size()}
		}
		return o, checkHash(o, h)
	}
	return nil, plumbing.ErrObjectNotFound
}

func checkHash(o plumbing.EncodedObject, h plumbing.Hash) error {
	r, err := o.Reader()
	if err != nil {
		return err
	}
	defer r.Close()
	hasher := plumbing.NewHasher(o.Type(), o.Size())
	if _, err := io.Copy(hasher, r); err != nil {
		return err
	}
	if got := hasher.Sum(); got != h {
		return fmt.Errorf("its content has the hash %s", got)
	}
	return nil
}

// isShallow reports whether some commits lack their parents.
func (d *disk) isShallow() bool {
	list, _ := d.Shallow()
	return len(list) > 0
}
