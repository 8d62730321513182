package source

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"testing/fstest"
	"time"
)

// Snapshot is one reading of the manifests.
type Snapshot struct {
	// FS holds the manifests (*.yaml, *.yml) and the folders that lead to them;
	// Root, a folder or a file, is what to load. A Snapshot from git is
	// immutable, safe for concurrent use and without symbolic links; one from a
	// folder shows the folder as it is, with its links as links.
	FS   fs.FS
	Root string
	// Files are the names of all files below Root, sorted, if that is a folder
	// of a commit: nobody has to walk FS again. Else it is nil.
	Files []string
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
	// Author is "Name <address>", Subject the first line of the message and Time
	// when the commit was made: all as it claims, without control characters.
	Author, Subject string
	Time            time.Time
	// Raw is the content of the commit object, signature and all: what Commit
	// is the hash of. It must not be changed, nor must Tag.
	Raw []byte
	// Tag is the content of the annotated tag that Ref points to, nil when it
	// points to the commit itself. Of a tag of a tag it is the outer one.
	Tag []byte

	// rev stands before the names of files, as in "main:", when people named
	// the commit.
	rev string
}

// Display returns the name by which people find a file within FS that is Root
// or below it.
func (s *Snapshot) Display(name string) string {
	if name == s.Root && name != "." {
		return s.Name
	}
	return s.rev + path.Join(strings.TrimPrefix(s.Name, s.rev), name)
}

// maxFile is the size above which a file's content is not read. It lies above
// what the loader accepts as a manifest, so what is left out would have been
// refused anyway; its size is still shown, so that the loader can name it.
const maxFile = 16 << 20

// memoryFS is a file system in memory. A file whose Sys is a *tooLarge has no
// content, and shows its size all the same, which MapFS can't.
type memoryFS fstest.MapFS

func newFile(data []byte, at time.Time) *fstest.MapFile {
	return &fstest.MapFile{Data: data, Mode: 0o444, ModTime: at}
}

func newFolder(at time.Time) *fstest.MapFile {
	return &fstest.MapFile{Mode: fs.ModeDir | 0o555, ModTime: at}
}

// Open opens a file or folder.
func (m memoryFS) Open(name string) (fs.File, error) {
	f, err := fstest.MapFS(m).Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if large, ok := info.Sys().(*tooLarge); ok {
		return &largeFile{f, info, large.size}, nil
	}
	return f, nil
}

// Stat describes a file or folder. For a folder, Open would list it first.
func (m memoryFS) Stat(name string) (fs.FileInfo, error) {
	if f := m[name]; f != nil && f.Mode.IsDir() {
		return fs.Stat(fstest.MapFS{name: f}, name)
	}
	f, err := m.Open(name)
	if err != nil {
		return nil, err
	}
	return f.Stat()
}

// largeFile is a file without content, and describes itself.
type largeFile struct {
	fs.File
	fs.FileInfo
	size int64
}

func (f *largeFile) Stat() (fs.FileInfo, error) { return f, nil }
func (f *largeFile) Size() int64                { return f.size }

func (f *largeFile) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: f.Name(), Err: errors.New("the file is too large for a manifest")}
}

// tooLarge is the error for something that is not read because of its size, in
// bytes; where that isn't known, it is just over the limit.
type tooLarge struct{ size int64 }

func (e *tooLarge) Error() string { return fmt.Sprintf("it is too large (%d bytes or more)", e.size) }
