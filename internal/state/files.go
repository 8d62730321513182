package state

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"reflect"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"reconciler/internal/strictyaml"
)

// file is one manifest file and what was read from it.
type file struct {
	fsys fs.FS
	path string // within fsys
	name string // as it is shown to people
	docs []*At[manifest]
	errs strictyaml.Errors
	// misspelt means that an unknown key resembles products, productSets or
	// baselines, so that undefined names are probably defined under it.
	misspelt bool
}

// finder collects the files of all inputs.
type finder struct {
	files    []*file
	warnings []Warning
	errs     strictyaml.Errors
	// seen and sizes find files that were collected before.
	seen  map[fileKey]bool
	sizes map[fileSize][]found
	// inputs counts the inputs so far.
	inputs int
}

type (
	// fileKey identifies a file.
	fileKey struct {
		fsys any
		path string
	}
	// fileSize is the same for files that may be the same.
	fileSize struct {
		name string
		size int64
	}
	// found is a file that was collected, and the number of its input.
	found struct {
		info  fs.FileInfo
		input int
	}
)

func newFinder() *finder {
	return &finder{seen: map[fileKey]bool{}, sizes: map[fileSize][]found{}}
}

func (f *finder) input(in Input) {
	f.inputs++
	root := cmp.Or(in.Root, ".")
	name := cmp.Or(in.Name, root)
	info, err := fs.Stat(in.FS, root)
	if err != nil {
		f.unreadable(name, err)
		return
	}
	if !info.IsDir() {
		f.add(in.FS, root, name, info)
		return
	}
	prefix := strings.TrimRight(name, "/") + "/"
	if name == "." {
		prefix = ""
	}
	before := len(f.files)
	some := false
	if in.Files == nil {
		some = f.folder(in.FS, root, prefix)
	}
	for _, p := range in.Files {
		stat := func() (fs.FileInfo, error) { return fs.Stat(in.FS, p) }
		some = f.file(in.FS, p, prefix+strings.TrimPrefix(p, root+"/"), stat) || some
	}
	slices.SortFunc(f.files[before:], func(a, b *file) int { return strings.Compare(a.name, b.name) })
	if !some {
		f.warn(name, "there are no manifests (*.yaml, *.yml) in this folder")
	}
}

// folder collects the manifests below dir and reports whether there are, or may
// be, any.
func (f *finder) folder(fsys fs.FS, dir, prefix string) (some bool) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		some = true
		f.unreadable(cmp.Or(strings.TrimSuffix(prefix, "/"), "."), err)
	}
	for _, e := range entries {
		p, name := path.Join(dir, e.Name()), prefix+e.Name()
		switch mode := e.Type(); {
		case strings.HasPrefix(e.Name(), "."):
			// .git, .github and the like contain no manifests.
		case mode.IsDir():
			some = f.folder(fsys, p, name+"/") || some
		case mode&fs.ModeSymlink != 0:
			f.link(fsys, p, name)
		case isManifest(e.Name()) && !mode.IsRegular():
			f.warn(name, "not read: not a regular file")
		default:
			some = f.file(fsys, p, name, e.Info) || some
		}
	}
	return some
}

// file takes a file if it is a manifest, and reports whether it is.
func (f *finder) file(fsys fs.FS, p, name string, stat func() (fs.FileInfo, error)) bool {
	if !isManifest(p) {
		if isManifest(strings.ToLower(p)) {
			f.warn(name, "not read: the name must end in .yaml or .yml, in lower case")
		}
		return false
	}
	if info, err := stat(); err != nil {
		f.unreadable(name, err)
	} else {
		f.add(fsys, p, name, info)
	}
	return true
}

// link warns of a symbolic link, unless its target certainly is a file that would
// not have been read. A file system may not resolve links out of the folder.
func (f *finder) link(fsys fs.FS, p, name string) {
	info, err := fs.Stat(fsys, p)
	if err != nil || !info.Mode().IsRegular() || isManifest(strings.ToLower(p)) {
		f.warn(name, "not read: symbolic links are not followed")
	}
}

func isManifest(name string) bool {
	ext := path.Ext(name)
	return ext == ".yaml" || ext == ".yml"
}

// add collects a file unless it was collected before: under the same path of the
// same file system, or under another path if os.SameFile finds it the same.
func (f *finder) add(fsys fs.FS, p, name string, info fs.FileInfo) {
	key := fileKey{identity(fsys), path.Clean(p)}
	if key.fsys != nil && f.seen[key] {
		return
	}
	f.seen[key] = true
	size := fileSize{info.Name(), info.Size()}
	for _, other := range f.sizes[size] {
		// Within one input no path is reached twice.
		if other.input != f.inputs && os.SameFile(info, other.info) {
			return
		}
	}
	f.sizes[size] = append(f.sizes[size], found{info, f.inputs})
	f.files = append(f.files, &file{fsys: fsys, path: p, name: name})
}

// identity returns a comparable value that identifies fsys, or nil.
func identity(fsys fs.FS) any {
	v := reflect.ValueOf(fsys)
	switch {
	case v.Comparable():
		return fsys
	case v.Kind() == reflect.Map:
		return v.Pointer()
	default:
		return nil
	}
}

func (f *finder) warn(name, msg string) {
	f.warnings = append(f.warnings, Warning{File: name, Msg: msg})
}

// unreadable adds an error about a file or folder that can't be read: what it
// declares is unknown.
func (f *finder) unreadable(name string, err error) {
	f.errs = append(f.errs, unreadable(name, err))
}

func unreadable(name string, err error) *strictyaml.Error {
	return &strictyaml.Error{Pos: Pos{File: name, Line: 1, Column: 1}, Msg: reason(err), Cut: true}
}

// reason returns the text of an error without operation and path.
func reason(err error) string {
	var perr *fs.PathError
	if errors.As(err, &perr) {
		err = perr.Err
	}
	return strings.Join(strings.Fields(fmt.Sprintf("can't be read: %v", err)), " ")
}

// maxOrgs is how many orgs a desired state may have. Aliases can make millions of a
// small file.
const maxOrgs = 100_000

// readAll reads and decodes the files, as many at a time as there are processors. If
// there are more than maxOrgs, it returns an error with the position of the first
// that is too many, and the files are not to be used.
func readAll(files []*file) *strictyaml.Error {
	limit := strictyaml.NewBudget("orgs", maxOrgs)
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, f := range files {
		g.Go(func() error {
			if !limit.Exceeded() {
				f.read(limit)
			}
			return nil
		})
	}
	_ = g.Wait() // read keeps the errors of its file
	if !limit.Exceeded() {
		return nil
	}
	return tooMany(files)
}

// tooMany finds the first org that is too many by reading the files once more, one
// after the other and keeping none of them: which of them passed the limit when they
// were read at the same time is a matter of chance.
func tooMany(files []*file) *strictyaml.Error {
	limit := strictyaml.NewBudget("orgs", maxOrgs)
	for _, f := range files {
		f.docs, f.errs = nil, nil
	}
	for _, f := range files {
		again := &file{fsys: f.fsys, path: f.path, name: f.name}
		again.read(limit)
		if limit.Exceeded() {
			pos := f.top()
			for _, e := range again.errs {
				if e.Cut {
					pos = e.Pos
				}
			}
			return &strictyaml.Error{Pos: pos, Cut: true, Msg: fmt.Sprintf(
				"more than %d orgs are declared, up to and including this one: a desired state has no more; look for aliases (*name) that repeat lists", maxOrgs)}
		}
	}
	return nil // they have changed meanwhile
}

func (f *file) read(limit *strictyaml.Budget) {
	data, err := readFile(f.fsys, f.path)
	if err != nil {
		f.errs = strictyaml.Errors{unreadable(f.name, err)}
		return
	}
	f.docs, err = strictyaml.DecodeWithin[At[manifest]](f.name, data, limit)
	if err == nil {
		return
	}
	f.errs, _ = strictyaml.AsErrors(err)
	if isCut(f.errs) {
		return
	}
	keys := strictyaml.TopKeys(data)
	keys = keys[:min(len(keys), maxTopKeys)]
	if k := configKey(keys); k != "" {
		f.docs, f.errs = nil, nil
		f.errs.Add(f.top(), "this looks like a config file (key %q), not like a manifest: name it as the config", k)
		return
	}
	f.misspelt = slices.ContainsFunc(keys, func(k string) bool {
		near := strictyaml.Nearest(k, []string{"products", "productSets", "baselines", "orgs", "defaults"})
		return near != k && (strings.HasPrefix(near, "product") || near == "baselines")
	})
}

// isCut reports whether a part of a file was not read.
func isCut(all strictyaml.Errors) bool {
	return slices.ContainsFunc(all, func(e *strictyaml.Error) bool { return e.Cut })
}

// maxTopKeys is how many keys of a file with mistakes are used to find out what
// kind of file it is.
const maxTopKeys = 100

// top returns the position of mistakes of the file as a whole.
func (f *file) top() Pos { return Pos{File: f.name, Line: 1, Column: 1} }

// readFile reads a file, but no more than needed to see that it is too large.
func readFile(fsys fs.FS, name string) ([]byte, error) {
	r, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close() // read only: nothing can be lost
	return io.ReadAll(io.LimitReader(r, strictyaml.MaxSize+1))
}

// configKey returns the key which shows that a file is the program's config and
// was named by mistake; "" if it isn't.
func configKey(keys []string) string {
	if slices.Contains(keys, "version") || slices.Contains(keys, "orgs") {
		return ""
	}
	for _, k := range []string{"aerial", "parents", "git", "schedule", "guards", "manifests"} {
		if slices.Contains(keys, k) {
			return k
		}
	}
	return ""
}
