package source

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing"
)

// Repository is a repository on disk, whose revisions can be compared. It is
// read without a git program, a network or credentials, nothing in it is run or
// changed, and whose it is doesn't matter. It holds no file open.
type Repository struct {
	top    string // of the work tree, without symbolic links; "" for a bare one
	gitDir string
}

// OpenRepository finds the repository that a file or folder belongs to: one
// with a work tree, a bare one, a submodule, or a further work tree of another.
// It looks in the folder and in all above it, after symbolic links were
// resolved, and not at GIT_DIR. What doesn't exist (any more) belongs to the
// repository that it would be in. Errors are *Error.
func OpenRepository(path string) (*Repository, error) {
	place, err := physical(path)
	g := diskGit(path)
	if err != nil {
		return nil, g.unreachable(path, err)
	}
	for dir := place; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(filepath.Join(dir, ".git"))
		switch {
		case errors.Is(err, fs.ErrPermission):
			return nil, g.fail(ErrDenied, "the user that runs this program needs to enter the folders", "permission denied in %q", dir)
		case err == nil && (!info.IsDir() || isGitDir(filepath.Join(dir, ".git"))):
			gitDir, err := g.findGitDir(dir)
			if err != nil {
				return nil, err
			}
			return g.repository(dir, gitDir)
		case isBare(dir):
			return g.repository("", dir)
		case dir == filepath.Dir(dir):
			return nil, g.fail(ErrNotFound, "revisions can be compared in a clone only; an archive, or a container without .git, holds none",
				"this is not in a git repository")
		}
	}
}

// repository makes sure that it can be read.
func (g *Git) repository(top, gitDir string) (*Repository, error) {
	sto, err := g.openInsides(gitDir)
	if err != nil {
		return nil, err
	}
	return &Repository{top: top, gitDir: gitDir}, sto.Close()
}

// diskGit gives what reads repositories on disk.
func diskGit(name string) *Git {
	return &Git{opts: GitOptions{URL: name, Path: "."}, limits: defaultLimits(), log: slog.New(slog.DiscardHandler)}
}

// isBare says whether a folder is the inside of a repository, by the same marks
// as git does.
func isBare(dir string) bool {
	for _, name := range []string{"HEAD", "objects", "refs"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

// physical gives the absolute path without symbolic links, as far as there is
// anything.
func physical(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	rest := ""
	for {
		place, err := filepath.EvalSymlinks(path)
		switch up := filepath.Dir(path); {
		case err == nil:
			return filepath.Join(place, rest), nil
		case !errors.Is(err, fs.ErrNotExist) || up == path:
			return "", err
		default:
			path, rest = up, filepath.Join(filepath.Base(path), rest)
		}
	}
}

// unreachable says that a path can't be followed.
func (g *Git) unreachable(path string, err error) *Error {
	kind, hint := ErrNotFound, ""
	if errors.Is(err, fs.ErrPermission) {
		kind, hint = ErrDenied, "the user that runs this program needs to enter the folders"
	}
	var in *fs.PathError
	if errors.As(err, &in) {
		err = in.Err // it repeats the path
	}
	return g.fail(kind, hint, "the path %q can't be followed: %v", path, err)
}

// Top is the top folder of the work tree, as an absolute path without symbolic
// links; "" for a bare repository.
func (r *Repository) Top() string { return r.top }

// Rel gives the path from the top of the work tree, with slashes, of a file or
// folder, which need not exist (any more); "." for the top itself. Symbolic
// links on the way are resolved, those of the last element too. It is an error
// when the path is outside, or there is no work tree.
func (r *Repository) Rel(path string) (string, error) {
	if r.top == "" {
		return "", r.git("").fail(ErrNotFound, "run it in a clone with a work tree", "a bare repository has no files on disk, so %q is not in it", path)
	}
	place, err := physical(path)
	if err != nil {
		return "", r.git("").unreachable(path, err)
	}
	rel, err := filepath.Rel(r.top, place)
	if err != nil || !filepath.IsLocal(rel) {
		return "", r.git("").fail(ErrNotFound, "the manifests have to be in the repository whose revisions are compared", "%q is outside of it", path)
	}
	return filepath.ToSlash(rel), nil
}

// git gives what reads the repository, on behalf of a revision as people wrote
// it.
func (r *Repository) git(rev string) *Git {
	g := diskGit(cmp.Or(r.top, r.gitDir))
	g.rev = rev
	return g
}

// Snapshot gives the manifests below a path at a commit, which is a full hash
// as Resolve gives it. Files are shown under the name, which is the revision as
// people wrote it: as git does, "main:orgs/a.yaml". It fails with ErrNotFound
// only when there is no such path at the commit, and with ErrIncomplete when
// the clone lacks something of it.
func (r *Repository) Snapshot(ctx context.Context, commit, path, name string) (*Snapshot, error) {
	g := r.git(cmp.Or(name, commit))
	if !isFullHash(commit) {
		return nil, g.fail(nil, "", "the commit %q is not a full hash of 40 digits", commit)
	}
	g.opts.Path = path
	if err := g.setPath(); err != nil {
		return nil, err
	}
	sto, err := g.openInsides(r.gitDir)
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

// incomplete makes sure that an error isn't taken for one about a path: where
// there is none, nothing was declared, and that is no error to those who ask.
func incomplete(err error) error {
	var e *Error
	if !errors.As(err, &e) || e.kind != ErrNotFound {
		return err
	}
	other := *e
	other.kind = ErrIncomplete
	return &other
}
