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

// Snapshot is one reading of the manifests.
type Snapshot struct {
	// FS holds the manifests (*.yaml, *.yml), the folders that lead to them,
	// and symbolic links as links. A Snapshot from git is immutable and safe
	// for concurrent use; one from a folder shows the folder as it is.
	FS fs.FS
	// Root is what to load, a folder or a file within FS.
	Root string
	// Name stands before paths within FS when a file is named to people; it is
	// empty for the top folder of a repository. See Display.
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
}

// Display gives the name of a file within FS that people can follow: its path
// in the repository, or on disk as they spelt it.
func (s *Snapshot) Display(name string) string { return path.Join(s.Name, name) }

// maxFile is the size from which a file's content is not taken along. It lies
// above what the loader accepts as a manifest, so what is left out would have
// been refused anyway; its size is still shown, so that the loader can say so.
const maxFile = 16 << 20

// Local gives the file or folder of that name on disk, relative to the working
// directory. The name itself may be that of a symbolic link; links within the
// folder never lead out of it. A folder is pinned when Local is called: when
// the link to it is pointed elsewhere (as Kubernetes does to update a mounted
// ConfigMap), the Snapshot stays with the old one.
func Local(name string) (*Snapshot, error) {
	if name == "" {
		return nil, &Error{kind: ErrNotFound, msg: "manifests: no file or folder was named"}
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, localError(name, err)
	}
	if info.IsDir() {
		return localFolder(name)
	}
	return localFile(name)
}

func localFolder(name string) (*Snapshot, error) {
	dir, err := filepath.EvalSymlinks(name)
	if err != nil {
		return nil, localError(name, err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, localError(name, err)
	}
	shown := filepath.ToSlash(filepath.Clean(name))
	if shown == "." {
		shown = ""
	}
	return &Snapshot{FS: dirFS(dir), Root: ".", Name: shown}, nil
}

// localFile reads the file at once, so that a pipe can stand in for it.
func localFile(name string) (*Snapshot, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, localError(name, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, localError(name, err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, localError(name, err)
	}
	file := &node{
		name: filepath.Base(name),
		size: max(info.Size(), int64(len(data))),
		time: info.ModTime(),
		data: data,
	}
	if file.size > maxFile {
		file.data = nil
	}
	shown := filepath.ToSlash(filepath.Dir(name))
	if shown == "." {
		shown = ""
	}
	return &Snapshot{FS: newTree(info.ModTime(), file), Root: file.name, Name: shown}, nil
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
	return root.Open(name)
}
