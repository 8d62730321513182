package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// Snapshot is one reading of the manifests.
type Snapshot struct {
	// FS holds the manifests (*.yaml, *.yml) and the folders that lead to them.
	// A Snapshot from git is immutable, safe for concurrent use and without
	// symbolic links; one from a folder shows the folder as it is, with its
	// links as links.
	FS fs.FS
	// Root is what to load, a folder or a file within FS.
	Root string
	// Name is how Root is shown to people: its path in the repository, or on
	// disk as they spelt it, or REV:PATH for a revision that they named. It is
	// empty for the top folder of a repository and for the working directory.
	Name string
	// Commit is the full hash of the commit; empty for files on disk, as are
	// the fields below.
	Commit string
	// Ref is where the commit was found, as in "refs/heads/main"; empty when
	// the commit itself was asked for.
	Ref string
	// Author is "Name <address>" and Subject the first line of the message,
	// both as the commit claims, without control characters.
	Author  string
	Subject string
	// Time is when the commit was made, as the commit claims.
	Time time.Time
	// Raw is the content of the commit object, signature and all: what Commit
	// is the hash of. It must not be changed.
	Raw []byte
	// Tag is the content of the annotated tag that Ref points to, nil when it
	// points to the commit itself. Of a tag of a tag it is the outer one: it
	// names the inner one by hash, and that one the commit. It must not be
	// changed.
	Tag []byte

	// rev stands before the names of files, as in "main:", when people named
	// the commit.
	rev string
}

// Display gives the name by which people find a file within FS that is Root or
// below it.
func (s *Snapshot) Display(name string) string {
	if name == s.Root && name != "." {
		return s.Name
	}
	return s.rev + path.Join(strings.TrimPrefix(s.Name, s.rev), name)
}

// maxFile is the size from which a file's content is not taken along. It lies
// above what the loader accepts as a manifest, so what is left out would have
// been refused anyway; its size is still shown, so that the loader can say so.
const maxFile = 16 << 20

// Local gives the file or folder of that name on disk, relative to the working
// directory. The name itself may be that of a symbolic link; links within a
// folder never lead out of it. What a link leads to is settled when Local is
// called: when it is pointed elsewhere (as Kubernetes does to update a mounted
// ConfigMap), the Snapshot stays with the old place. A pipe is read at once.
// Reading a file fails with ErrChanging when it is written to meanwhile.
func Local(name string) (*Snapshot, error) {
	if name == "" {
		return nil, &Error{kind: ErrNotFound, msg: "manifests: no file or folder was named"}
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, localError(name, err)
	}
	snap := &Snapshot{Name: filepath.ToSlash(filepath.Clean(name))}
	if snap.Name == "." {
		snap.Name = ""
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		snap.Root = path.Base(snap.Name)
		snap.FS, err = pipe(name, snap.Root)
		if err != nil {
			return nil, localError(name, err)
		}
		return snap, nil
	}
	place, err := filepath.EvalSymlinks(name)
	if err != nil {
		return nil, localError(name, err)
	}
	if place, err = filepath.Abs(place); err != nil {
		return nil, localError(name, err)
	}
	if info.IsDir() {
		snap.FS, snap.Root = dirFS(place), "."
	} else {
		snap.FS, snap.Root = dirFS(filepath.Dir(place)), filepath.Base(place)
	}
	return snap, nil
}

// pipe reads what can be read only once into a file in memory.
func pipe(name, base string) (fs.FS, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only: nothing can be lost
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	file := &node{name: base, size: int64(len(data)), time: time.Now(), data: data}
	if file.size > maxFile {
		file.data = nil
	}
	return newTree(file.time, file), nil
}

func localError(name string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e := &Error{kind: ErrNotFound, msg: fmt.Sprintf("manifests %q: there is no such file or folder", name)}
		if dir, wdErr := os.Getwd(); wdErr == nil && !filepath.IsAbs(name) {
			e.hint = fmt.Sprintf("the path is relative to %q", dir)
		}
		return e
	case errors.Is(err, fs.ErrPermission):
		return &Error{
			kind: ErrDenied,
			msg:  fmt.Sprintf("manifests %q: permission denied", name),
			hint: "the user that runs this program needs to read the files and enter the folders",
		}
	default:
		var in *fs.PathError
		if errors.As(err, &in) {
			err = in.Err // it repeats the path
		}
		return fmt.Errorf("manifests %q: %w", name, err)
	}
}

// dirFS is a folder on disk out of which no link leads. It opens the folder
// anew for each file, rather than holding on to it, because nobody closes a
// Snapshot.
type dirFS string

// Open opens a file or folder. Pipes, sockets and devices are refused: opening
// one can block for ever.
func (d dirFS) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	root, err := os.OpenRoot(string(d))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	info, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("neither a file nor a folder")}
	}
	f, err := root.Open(name)
	if err != nil || info.IsDir() {
		return f, err
	}
	if info, err = f.Stat(); err != nil {
		f.Close()
		return nil, err
	}
	return &steadyFile{file: f, name: name, before: info}, nil
}

// steadyFile is a file on disk that must not change while it is read. The first
// half of a list of products is a list of products too: what an editor or rsync
// has written so far would be taken for what is desired. A writer that pauses
// just then is not noticed.
type steadyFile struct {
	file   *os.File
	name   string
	before fs.FileInfo
	read   int64
}

func (f *steadyFile) Stat() (fs.FileInfo, error) { return f.before, nil }
func (f *steadyFile) Close() error               { return f.file.Close() }

func (f *steadyFile) Read(p []byte) (int, error) {
	n, err := f.file.Read(p)
	f.read += int64(n)
	if err != io.EOF {
		return n, err
	}
	after, err := f.file.Stat()
	if err != nil {
		return n, err
	}
	size := f.before.Size()
	if f.read != size || after.Size() != size || !after.ModTime().Equal(f.before.ModTime()) {
		return n, &fs.PathError{Op: "read", Path: f.name, Err: &Error{
			kind: ErrChanging,
			// The advice stands in the line: a loader that gathers the errors
			// of many files has no room for hints.
			msg: "read while it was being written: run again, and replace files atomically or use git",
		}}
	}
	return n, io.EOF
}

// LocalPath gives the path on disk that a repository's URL stands for; empty for
// a URL of a server, and for one that stands for nothing.
func LocalPath(url string) string {
	ep, err := parseURL(url)
	if err != nil || ep.Protocol != "file" {
		return ""
	}
	return ep.Path
}
