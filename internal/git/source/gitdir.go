package source

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/config"
	"github.com/go-git/go-git/v5/plumbing/storer"
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
		ref, err := storer.ResolveReference(sto, g.ref)
		switch {
		case errors.Is(err, plumbing.ErrReferenceNotFound):
			return nil, g.noRef(refNames(sto))
		case err != nil:
			return nil, g.fail(ErrContent, "", "%s can't be read: %s", g.what(), oneLine(err.Error()))
		}
		if at = ref.Hash(); at.IsZero() {
			return nil, g.fail(ErrContent, fsck, "%s is damaged: it holds no hash", g.what())
		}
	}
	if g.last != nil && at == g.last.at {
		return g.last.snap, g.last.err
	}
	return g.read(ctx, sto, at)
}

// refNames gives what it can of the names of all refs; it is for hints only.
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

// open opens the repository in dir, to be closed: with a work tree, bare, or a work tree of
// another one. It does what go-git's PlainOpen does, save that it puts up with
// extensions that don't concern a reader: CI systems switch some of them on for
// sparse and partial checkouts.
func (g *Git) open(dir string) (*disk, error) {
	gitDir, err := g.findGitDir(dir)
	if err != nil {
		return nil, err
	}
	return g.openInsides(gitDir)
}

// openInsides opens the repository whose insides are in gitDir, to be closed.
func (g *Git) openInsides(gitDir string) (*disk, error) {
	repo := dotgit.NewRepositoryFilesystem(osfs.New(gitDir), nil)
	common := gitDir
	if data, err := os.ReadFile(filepath.Join(gitDir, "commondir")); err == nil {
		common = within(gitDir, strings.TrimSpace(string(data)))
		if _, err := os.Stat(common); err != nil {
			return nil, g.fail(ErrNotFound, "\"git worktree repair\" may help", "the repository of this work tree is gone from %q", common)
		}
		repo = dotgit.NewRepositoryFilesystem(osfs.New(gitDir), osfs.New(common))
	}
	if err := g.checkFormat(filepath.Join(common, "config")); err != nil {
		return nil, err
	}
	return openDisk(repo, gitDir, common, g.limits.file), nil
}

// findGitDir gives the folder with the repository's insides.
func (g *Git) findGitDir(dir string) (string, error) {
	dotGit := filepath.Join(dir, ".git")
	switch info, err := os.Stat(dotGit); {
	case err == nil && info.IsDir():
		return dotGit, nil
	case err == nil:
		data, err := os.ReadFile(dotGit)
		if err != nil {
			return "", g.unreadable("the file", dotGit, err)
		}
		to, ok := strings.CutPrefix(strings.TrimSpace(string(data)), "gitdir: ")
		if !ok {
			return "", g.fail(ErrNotFound, "", "the file %q does not name a repository", dotGit)
		}
		if to = within(dir, to); !isGitDir(to) {
			return "", g.fail(ErrNotFound, "\"git worktree repair\" may help", "the repository of this work tree is gone from %q", to)
		}
		return to, nil
	case isGitDir(dir):
		return dir, nil
	case errors.Is(err, fs.ErrPermission):
		return "", g.fail(ErrDenied, "the user that runs this program needs to read all of it", "permission denied")
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return "", g.fail(ErrNotFound, "", "there is no such folder")
	}
	return "", g.fail(ErrNotFound, "git.url is the repository's top folder; git.path is the folder within it", "this is not a git repository")
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

// checkFormat refuses repositories in formats that go-git would misread. A
// config that can't be parsed is git's to complain about: nothing else in it
// matters here.
func (g *Git) checkFormat(file string) error {
	cfg := readConfig(file)
	ext := cfg.Section("extensions")
	switch {
	case strings.EqualFold(ext.Option("objectformat"), "sha256"):
		return g.fail(ErrContent, "use one with SHA-1 hashes, git's default", "repositories with SHA-256 hashes can't be read")
	case strings.EqualFold(ext.Option("refstorage"), "reftable"):
		return g.fail(ErrContent, `"git refs migrate --ref-format=files" makes it readable`, "repositories with reftables can't be read on disk")
	}
	return nil
}

// readConfig reads a config file of git's, without those that it includes. It
// is empty if it can't be read.
func readConfig(file string) *config.Config {
	f, err := os.Open(file)
	if err != nil {
		return config.New()
	}
	defer f.Close()
	cfg := config.New()
	if err := config.NewDecoder(f).Decode(cfg); err != nil {
		return config.New()
	}
	return cfg
}
