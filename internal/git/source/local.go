package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"
)

// Local returns the file or folder of that name on disk, relative to the working
// directory. The name may be that of a symbolic link, which is resolved here: when
// it is pointed elsewhere (as Kubernetes does to update a mounted ConfigMap), the
// Snapshot stays with the old place. Links within a folder never lead out of it. A
// pipe is read at once. It fails with ErrIncomplete if a sparse checkout leaves out
// manifests. Reading a file that is written to fails with ErrChanging.
func Local(name string) (*Snapshot, error) {
	if name == "" {
		return nil, fail("manifests: no file or folder was named", "", ErrNotFound)
	}
	info, err := os.Stat(name)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		if err := checkSparse(name); err != nil {
			return nil, err
		}
	}
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
	if err == nil {
		place, err = filepath.Abs(place)
	}
	if err != nil {
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
	file := newFile(data, time.Now())
	if size := int64(len(data)); size > maxFile {
		file.Data, file.Sys = nil, &tooLarge{size}
	}
	return memoryFS{base: file}, nil
}

func localError(name string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		hint := ""
		if dir, wdErr := os.Getwd(); wdErr == nil && !filepath.IsAbs(name) {
			hint = fmt.Sprintf("the path is relative to %q", dir)
		}
		return fail(fmt.Sprintf("manifests %q: there is no such file or folder", name), hint, ErrNotFound)
	case errors.Is(err, fs.ErrPermission):
		return fail(fmt.Sprintf("manifests %q: permission denied", name), enterHint, ErrDenied)
	default:
		return fmt.Errorf("manifests %q: %w", name, pathless(err))
	}
}

// enterHint is the hint for files that the system doesn't let us read.
const enterHint = "the user that runs this program needs to read the files and enter the folders"

// pathless returns what is within an fs.PathError, for messages that name the
// path already.
func pathless(err error) error {
	var in *fs.PathError
	if errors.As(err, &in) {
		return in.Err
	}
	return err
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
	return &checkedFile{file: f, name: name, before: info}, nil
}

// checkedFile is a file on disk that must not change while it is read. The first
// half of a list of products is a list of products too: what an editor or rsync
// has written so far would be read as the desired state. A writer that pauses
// just then is not noticed.
type checkedFile struct {
	file   *os.File
	name   string
	before fs.FileInfo
	read   int64
}

func (f *checkedFile) Stat() (fs.FileInfo, error) { return f.before, nil }
func (f *checkedFile) Close() error               { return f.file.Close() }

func (f *checkedFile) Read(p []byte) (int, error) {
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
		// The advice stands in the line: a loader that gathers the errors of
		// many files has no room for hints.
		return n, &fs.PathError{Op: "read", Path: f.name, Err: fail(
			"read while it was being written: run again, and replace files atomically or use git", "", ErrChanging)}
	}
	return n, io.EOF
}

// LocalPath returns the path on disk that a repository's URL stands for; empty
// for a URL of a server, and for one that stands for nothing.
func LocalPath(url string) string {
	ep, err := parseURL(url, Names{})
	if err != nil || ep.Protocol != "file" {
		return ""
	}
	return ep.Path
}
