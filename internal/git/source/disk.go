package source

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// disk is a repository on disk: its refs, and the objects in it and in those
// repositories that it borrows from. go-git knows how to borrow too, but opens
// the lender anew for each object, and takes relative paths for others.
type disk struct {
	*filesystem.Storage

	gitDir  string // of this work tree
	common  string // of all work trees
	limit   int64  // the size from which files are not looked into
	lenders []*filesystem.Storage
}

// openDisk opens what is in a repository, to be closed.
func openDisk(repo billy.Filesystem, gitDir, common string, limit int64) *disk {
	d := &disk{gitDir: gitDir, common: common, limit: limit}
	d.Storage = d.storage(repo)
	seen := map[string]bool{}
	d.borrow(filepath.Join(common, "objects"), seen, 0)
	return d
}

func (d *disk) storage(repo billy.Filesystem) *filesystem.Storage {
	return filesystem.NewStorageWithOptions(repo, cache.NewObjectLRUDefault(), filesystem.Options{
		KeepDescriptors: true, // rather than open a pack for each object in it
		// Larger objects are streamed; reading their size loads nothing.
		LargeObjectThreshold: d.limit,
	})
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
		d.lenders = append(d.lenders, d.storage(osfs.New(filepath.Dir(from))))
		d.borrow(from, seen, depth+1)
	}
}

// Close closes all files.
func (d *disk) Close() error {
	err := d.Storage.Close()
	for _, l := range d.lenders {
		err = errors.Join(err, l.Close())
	}
	return err
}

// stores gives all places where objects are.
func (d *disk) stores() []*filesystem.Storage {
	return append([]*filesystem.Storage{d.Storage}, d.lenders...)
}

// EncodedObject gives an object whose content has the hash: neither git nor
// go-git makes sure of that when they read. A file over the limit is left
// alone, as nobody looks into it, and any other object of that size is
// refused.
func (d *disk) EncodedObject(t plumbing.ObjectType, h plumbing.Hash) (plumbing.EncodedObject, error) {
	for _, s := range d.stores() {
		o, err := s.EncodedObject(t, h)
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		switch {
		case o.Size() <= d.limit:
			return o, checkHash(o, h)
		case o.Type() != plumbing.BlobObject:
			return nil, &tooLarge{o.Size()}
		default:
			return o, nil
		}
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

// isShallow says whether some commits lack their parents.
func (d *disk) isShallow() bool {
	list, err := d.Shallow()
	return err == nil && len(list) > 0
}
