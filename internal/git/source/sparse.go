package source

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/index"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// checkSparse returns an error if a file or folder on disk is in a work tree that
// doesn't have all its manifests, because git was told to leave them out
// (https://git-scm.com/docs/git-sparse-checkout). They look deleted, and are not.
func checkSparse(name string) error {
	missing := leftOut(name)
	if len(missing) == 0 {
		return nil
	}
	what := fmt.Sprintf("%q", missing[0])
	if more := len(missing) - 1; more > 0 {
		what += fmt.Sprintf(" and %d more", more)
	}
	return fail(fmt.Sprintf("manifests %q: the sparse checkout leaves out %s", name, what),
		`"git sparse-checkout add FOLDER" checks out a folder, and "git sparse-checkout disable" all of them`, ErrIncomplete)
}

// leftOut returns the manifests below a file or folder, by their names in the
// repository, that the index has and the work tree by intention hasn't. What can't
// be read is git's to complain about.
func leftOut(name string) []string {
	place, err := filepath.Abs(name)
	if err != nil {
		return nil
	}
	if real, err := filepath.EvalSymlinks(place); err == nil {
		place = real
	}
	top, err := workTree(place)
	if err != nil || top == "" {
		return nil
	}
	g := diskGit(name)
	gitDir, err := g.findGitDir(top)
	if err != nil {
		return nil
	}
	rel, err := filepath.Rel(top, place)
	if err != nil {
		return nil
	}
	s := &sparse{g: g, gitDir: gitDir, top: top, rel: filepath.ToSlash(rel)}
	defer s.close()
	for _, e := range readIndex(filepath.Join(gitDir, "index")) {
		if e.SkipWorktree {
			s.entry(strings.TrimSuffix(e.Name, "/"), e)
		}
	}
	return s.missing
}

// readIndex returns the entries of an index, as far as it can be read; none of one
// that has no place for the mark that an entry is left out.
func readIndex(file string) []*index.Entry {
	f, err := os.Open(file)
	if err != nil {
		return nil // as in a bare repository
	}
	defer f.Close()
	in := bufio.NewReader(f)
	const firstWithMark = 3
	if head, err := in.Peek(8); err != nil || binary.BigEndian.Uint32(head[4:]) < firstWithMark {
		return nil
	}
	var idx index.Index
	// An extension that go-git doesn't know, such as that of a sparse index,
	// stands behind the entries.
	_ = index.NewDecoder(io.Reader(in)).Decode(&idx)
	return idx.Entries
}

// sparse looks for manifests that are left out of a work tree.
type sparse struct {
	g           *Git
	gitDir, top string
	rel         string // of the file or folder, from the top
	sto         *disk  // nil until it is needed
	seen        int
	missing     []string
}

func (s *sparse) close() {
	if s.sto != nil {
		_ = s.sto.Close() // read only
	}
}

// entry looks at one that is marked. A sparse index has one for a whole folder.
func (s *sparse) entry(name string, e *index.Entry) {
	inside := s.rel == "." || name == s.rel || strings.HasPrefix(name, s.rel+"/")
	around := strings.HasPrefix(s.rel, name+"/")
	if !inside && !around {
		return
	}
	if around {
		name = s.rel
	}
	if _, err := os.Lstat(filepath.Join(s.top, filepath.FromSlash(name))); err == nil {
		return // marked by hand, and there
	}
	switch {
	case around:
		s.missing = append(s.missing, name)
	case e.Mode == filemode.Dir:
		s.folder(name, e)
	default:
		s.file(name)
	}
}

// file notes a file that the loader would read.
func (s *sparse) file(name string) {
	below := strings.TrimPrefix(strings.TrimPrefix(name, s.rel), "/")
	if s.rel == "." {
		below = name
	}
	for part := range strings.SplitSeq(below, "/") {
		if strings.HasPrefix(part, ".") && part != "" {
			return
		}
	}
	if isManifest(name) || name == s.rel {
		s.missing = append(s.missing, name)
	}
}

// folder looks for manifests in a folder, and takes one that can't be read for one
// that has some.
func (s *sparse) folder(name string, e *index.Entry) {
	if s.sto == nil {
		sto, err := s.g.openGitDir(s.gitDir)
		if err != nil {
			s.missing = append(s.missing, name)
			return
		}
		s.sto = sto
	}
	tree, err := object.GetTree(s.sto, e.Hash)
	if s.seen++; err != nil || s.seen > s.g.limits.entries {
		s.missing = append(s.missing, name)
		return
	}
	for _, below := range tree.Entries {
		if below.Mode == filemode.Dir {
			s.folder(path.Join(name, below.Name), &index.Entry{Hash: below.Hash})
		} else {
			s.file(path.Join(name, below.Name))
		}
	}
}
