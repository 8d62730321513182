package source

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// Repository is a repository on disk, whose revisions can be compared. It is
// read without a git program, a network or credentials, nothing in it is run or
// changed, and whose it is doesn't matter. It holds no file open. Errors are in
// this package's words, of one of its kinds.
type Repository struct {
	top    string // of the work tree, without symbolic links; "" for a bare one
	gitDir string
}

// OpenRepository finds the repository that a file or folder belongs to, or would
// belong to: one with a work tree, a submodule, or a further work tree of another.
// It looks in the folder and in all above it, after symbolic links were resolved,
// and not at GIT_DIR.
//
// What a commit holds must not choose the repository that is read. HEAD, objects
// and refs can be committed, while .git can't. So a bare repository is found only
// if it is the very folder that was named, and not in the work tree of another. A
// symbolic link in a work tree is refused too: git doesn't follow it.
func OpenRepository(path string) (*Repository, error) {
	g := diskGit(path)
	place, err := g.follow(path)
	if err != nil {
		return nil, err
	}
	top, err := workTree(place)
	bare := isBare(place)
	switch {
	case err != nil:
		return nil, g.fail(ErrDenied, enterHint, "permission denied in %q", top)
	case bare && (top == "" || place == filepath.Join(top, ".git")):
		return g.repository("", place)
	case top == "":
		return nil, g.fail(ErrNotFound, "this needs a git clone (an archive, or a container without .git, has none)",
			"this is not in a git repository")
	case bare && top != place:
		return nil, g.fail(ErrContent, "if it is a folder of manifests, take HEAD, objects and refs out of it; else name a repository that is in no other",
			"this looks like a bare repository, and lies in the work tree at %q", top)
	}
	gitDir, err := g.findGitDir(top)
	if err != nil {
		return nil, err
	}
	return g.repository(top, gitDir)
}

// workTree returns the top of the work tree that a place without symbolic links
// is in, "" when it is in none. With an error, of permissions, it is the folder
// that can't be entered.
func workTree(place string) (top string, err error) {
	for dir := place; ; dir = filepath.Dir(dir) {
		dotGit := filepath.Join(dir, ".git")
		switch info, err := os.Stat(dotGit); {
		case errors.Is(err, fs.ErrPermission):
			return dir, err
		case err == nil && (!info.IsDir() || isGitDir(dotGit)):
			return dir, nil
		case dir == filepath.Dir(dir):
			return "", nil
		}
	}
}

// repository makes sure that it can be read.
func (g *Git) repository(top, gitDir string) (*Repository, error) {
	sto, err := g.openGitDir(gitDir)
	if err != nil {
		return nil, err
	}
	return &Repository{top: top, gitDir: gitDir}, sto.Close()
}

// diskGit returns what reads repositories on disk.
func diskGit(name string) *Git {
	return &Git{opts: GitOptions{URL: name, Path: ".", Names: plainNames}, limits: defaultLimits(), log: slog.New(slog.DiscardHandler)}
}

// isBare reports whether a folder is the inside of a repository, by the same
// marks as git does.
func isBare(dir string) bool {
	for _, name := range []string{"HEAD", "objects", "refs"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

// follow returns the absolute path without symbolic links, as far as there is
// anything. It refuses links in work trees, all that the way leads through: a
// commit can make one of what was a folder, and what is compared would then be
// another folder on both sides.
func (g *Git) follow(path string) (string, error) {
	const maxLinks = 255 // as package filepath has it
	whole := path
	if !filepath.IsAbs(path) {
		wd, err := os.Getwd()
		if err != nil {
			return "", g.unreachable(path, err)
		}
		whole = wd + string(filepath.Separator) + path // ".." is for below: Join would take out the link before it
	}
	place, rest := root(whole)
	for links := 0; rest != ""; {
		var name string
		name, rest, _ = strings.Cut(rest, string(filepath.Separator))
		if name == ".." {
			place = filepath.Dir(place)
			continue
		}
		next := filepath.Join(place, name)
		info, err := os.Lstat(next)
		switch {
		case errors.Is(err, fs.ErrNotExist), err == nil && info.Mode()&fs.ModeSymlink == 0:
			place = next
			continue
		case err != nil:
			return "", g.unreachable(path, err)
		}
		switch top, err := workTree(place); {
		case err != nil:
			return "", g.unreachable(path, err)
		case top != "":
			return "", g.fail(ErrContent, "git follows no links in a repository: name the folder that it leads to, or make it a folder again",
				"%q is a symbolic link in the work tree at %q", next, top)
		}
		if links++; links > maxLinks {
			return "", g.unreachable(path, errors.New("too many symbolic links"))
		}
		to, err := os.Readlink(next)
		if err != nil {
			return "", g.unreachable(path, err)
		}
		if filepath.IsAbs(to) {
			place, to = root(to)
		}
		rest = to + string(filepath.Separator) + rest
	}
	return place, nil
}

// root returns the root of an absolute path, and the rest.
func root(path string) (root, rest string) {
	path = filepath.FromSlash(path)
	root = filepath.VolumeName(path) + string(filepath.Separator)
	return root, strings.TrimLeft(path[len(root)-1:], string(filepath.Separator))
}

// unreachable returns the error for a path that can't be followed.
func (g *Git) unreachable(path string, err error) error {
	kind, hint := ErrNotFound, ""
	if errors.Is(err, fs.ErrPermission) {
		kind, hint = ErrDenied, enterHint
	}
	return g.fail(kind, hint, "the path %q can't be followed: %v", path, pathless(err))
}

// Top is the top folder of the work tree, as an absolute path without symbolic
// links; "" for a bare repository.
func (r *Repository) Top() string { return r.top }

// Rel returns the path from the top of the work tree, with slashes, of a file or
// folder, which need not exist (any more); "." for the top itself. Symbolic
// links on the way are resolved, those of the last element too, and refused in a
// work tree. It is an error when the path is outside, or there is no work tree.
func (r *Repository) Rel(path string) (string, error) {
	g := r.git("")
	if r.top == "" {
		return "", g.fail(ErrNotFound, "run it in a clone with a work tree", "a bare repository has no files on disk, so %q is not in it", path)
	}
	place, err := g.follow(path)
	if err != nil {
		return "", err
	}
	rel, err := filepath.Rel(r.top, place)
	if err != nil || !filepath.IsLocal(rel) {
		return "", g.fail(ErrNotFound, "the manifests have to be in the repository whose revisions are compared", "%q is outside of it", path)
	}
	return filepath.ToSlash(rel), nil
}

// git returns what reads the repository, for a revision as people wrote it.
func (r *Repository) git(rev string) *Git {
	g := diskGit(cmp.Or(r.top, r.gitDir))
	g.rev = rev
	return g
}

// Snapshot returns the manifests below a path at a commit, which is a full hash
// as Resolve returns it. Files are shown under the name, which is the revision
// as people wrote it: as git does, "main:orgs/a.yaml". It fails with ErrNotFound
// only when there is no such path at the commit, and with ErrIncomplete when the
// clone lacks something of it.
func (r *Repository) Snapshot(ctx context.Context, commit, path, name string) (*Snapshot, error) {
	g := r.git(cmp.Or(name, commit))
	if err := g.checkHash(commit); err != nil {
		return nil, err
	}
	g.opts.Path = path
	if err := g.setPath(); err != nil {
		return nil, err
	}
	sto, err := g.openGitDir(r.gitDir)
	if err != nil {
		return nil, incomplete(err)
	}
	defer sto.Close()
	h := plumbing.NewHash(commit)
	if _, err := sto.EncodedObject(plumbing.CommitObject, h); errors.Is(err, plumbing.ErrObjectNotFound) {
		return nil, incomplete((&revision{g: g, sto: sto}).absent(h))
	}
	return g.read(ctx, sto, h)
}

// incomplete makes sure that an error can't be confused with one about a path:
// where there is none, nothing was declared, and callers accept that.
func incomplete(err error) error {
	if errors.Is(err, ErrNotFound) {
		return reclassify(err, ErrIncomplete)
	}
	return err
}
