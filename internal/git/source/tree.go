package source

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// treeFS is a file system in memory. It never changes once it is made.
type treeFS struct{ root *node }

// newTree gives a file system of the entries, which it takes over.
func newTree(t time.Time, entries ...*node) *treeFS {
	root := &node{name: ".", mode: fs.ModeDir, time: t, entries: entries}
	root.sort()
	return &treeFS{root}
}

// node is a file or a folder, and describes itself.
type node struct {
	name string
	mode fs.FileMode // its type; nothing in git says more that matters here
	size int64
	time time.Time
	// data is a file's content; nil when it is larger than maxFile.
	data []byte
	// entries are a folder's, by name.
	entries []*node
}

func (n *node) Name() string               { return n.name }
func (n *node) Size() int64                { return n.size }
func (n *node) ModTime() time.Time         { return n.time }
func (n *node) IsDir() bool                { return n.mode.IsDir() }
func (n *node) Sys() any                   { return nil }
func (n *node) Type() fs.FileMode          { return n.mode.Type() }
func (n *node) Info() (fs.FileInfo, error) { return n, nil }

// Mode gives the type and the permissions that everything here has: to be
// read.
func (n *node) Mode() fs.FileMode {
	if n.IsDir() {
		return n.mode | 0o555
	}
	return n.mode | 0o444
}

// sort puts the entries in the order in which find looks for them. Git's own
// order is another one: there a folder sorts as if its name ended in a slash.
func (n *node) sort() {
	slices.SortFunc(n.entries, func(a, b *node) int { return cmp.Compare(a.name, b.name) })
}

func (n *node) entry(name string) (*node, bool) {
	i, ok := slices.BinarySearchFunc(n.entries, name, func(e *node, name string) int {
		return cmp.Compare(e.name, name)
	})
	if !ok {
		return nil, false
	}
	return n.entries[i], true
}

func (t *treeFS) find(op, name string) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	n := t.root
	if name == "." {
		return n, nil
	}
	for part := range strings.SplitSeq(name, "/") {
		e, ok := n.entry(part)
		if !ok {
			return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
		}
		n = e
	}
	return n, nil
}

// Open opens a file or folder.
func (t *treeFS) Open(name string) (fs.File, error) {
	n, err := t.find("open", name)
	if err != nil {
		return nil, err
	}
	if n.IsDir() {
		return &openDir{node: n, path: name}, nil
	}
	if err := n.unreadable(); err != nil {
		return &openFile{n, failing{&fs.PathError{Op: "read", Path: name, Err: err}}}, nil
	}
	return &openFile{n, bytes.NewReader(n.data)}, nil
}

// Stat describes a file or folder without opening it.
func (t *treeFS) Stat(name string) (fs.FileInfo, error) {
	return t.find("stat", name)
}

// ReadDir lists a folder by name.
func (t *treeFS) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := t.find("readdir", name)
	if err != nil {
		return nil, err
	}
	if !n.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errors.New("not a folder")}
	}
	return n.list(0, len(n.entries)), nil
}

// ReadFile gives a copy of a file's content.
func (t *treeFS) ReadFile(name string) ([]byte, error) {
	n, err := t.find("read", name)
	if err != nil {
		return nil, err
	}
	if err := n.unreadable(); err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return append([]byte{}, n.data...), nil
}

// unreadable says why n has no content to read, or nil.
func (n *node) unreadable() error {
	switch {
	case n.IsDir():
		return errors.New("is a folder")
	case n.data == nil && n.size > 0:
		return errors.New("the file is too large for a manifest")
	default:
		return nil
	}
}

func (n *node) list(from, to int) []fs.DirEntry {
	list := make([]fs.DirEntry, 0, to-from)
	for _, e := range n.entries[from:to] {
		list = append(list, e)
	}
	return list
}

// openFile is a file that was opened.
type openFile struct {
	node   *node
	reader io.Reader
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.node, nil }
func (f *openFile) Read(p []byte) (int, error) { return f.reader.Read(p) }
func (f *openFile) Close() error               { return nil }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// openDir is a folder that was opened.
type openDir struct {
	node *node
	path string
	next int
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.node, nil }
func (d *openDir) Close() error               { return nil }

func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.path, Err: d.node.unreadable()}
}

// ReadDir gives the next max entries, or all that are left when max is not
// positive.
func (d *openDir) ReadDir(max int) ([]fs.DirEntry, error) {
	left := len(d.node.entries) - d.next
	if max > 0 && left == 0 {
		return nil, io.EOF
	}
	if max <= 0 || max > left {
		max = left
	}
	list := d.node.list(d.next, d.next+max)
	d.next += max
	return list, nil
}
