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
	"sync"

	"reconciler/internal/strictyaml"
)

// file is one manifest file and what was read from it.
type file struct {
	fsys fs.FS
	path string // within fsys
	name string // as it is shown to people
	docs []*At[manifest]
	errs strictyaml.Errors
	// misspelt says that a key near to products or productSets was refused, so
	// that names which nobody defines are likely to be defined under it.
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

// fileKey and fileSize identify a file: surely, and as a first guess.
type (
	fileKey struct {
		fsys any
		path string
	}
	fileSize struct {
		name string
		size int64
	}
)

// found is a file that was collected, and the number of its input.
type found struct {
	info  fs.FileInfo
	input int
}

func newFinder() *finder {
	return &finder{seen: map[fileKey]bool{}, sizes: map[fileSize][]found{}}
}

// input collects the files of one more input.
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

// folder collects the manifests below dir and says whether there are any, or
// may be.
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
			// .git, .github and the like hold no manifests.
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

// link warns of a symbolic link, unless it surely leads to a file that would not
// have been read anyway. Where a link out of the folder leads, the file system
// may not tell.
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

// add takes a file unless it was taken before: under the same path of the same
// file system, or because the operating system says that it is the same.
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

// identity gives something to tell file systems apart by; nil when there is
// nothing.
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

// unreadable notes that a file or folder can't be read, so that nobody knows
// what it declares.
func (f *finder) unreadable(name string, err error) {
	f.errs = append(f.errs, unreadable(name, err))
}

func unreadable(name string, err error) *strictyaml.Error {
	return &strictyaml.Error{Pos: Pos{File: name, Line: 1, Column: 1}, Msg: reason(err), Cut: true}
}

// reason takes out of an error what the message says already: operation and path.
func reason(err error) string {
	var perr *fs.PathError
	if errors.As(err, &perr) {
		err = perr.Err
	}
	return strings.Join(strings.Fields(fmt.Sprintf("can't be read: %v", err)), " ")
}

// readAll reads and decodes the files, as many at a time as there are processors.
func readAll(files []*file) {
	var wg sync.WaitGroup
	next := make(chan *file)
	for range min(runtime.GOMAXPROCS(0), len(files)) {
		wg.Go(func() {
			for f := range next {
				f.read()
			}
		})
	}
	for _, f := range files {
		next <- f
	}
	close(next)
	wg.Wait()
}

func (f *file) read() {
	data, err := readFile(f.fsys, f.path)
	if err != nil {
		f.errs = strictyaml.Errors{unreadable(f.name, err)}
		return
	}
	f.docs, err = strictyaml.Decode[At[manifest]](f.name, data)
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
		f.errs.Add(f.top(), "this looks like a config file (key %q), not like a manifest: name it with --config", k)
		return
	}
	f.misspelt = slices.ContainsFunc(keys, func(k string) bool {
		near := strictyaml.Nearest(k, []string{"products", "productSets", "orgs", "defaults"})
		return near != k && strings.HasPrefix(near, "product")
	})
}

// isCut says whether something of a file was not read, so that nobody knows what
// stands there.
func isCut(all strictyaml.Errors) bool {
	return slices.ContainsFunc(all, func(e *strictyaml.Error) bool { return e.Cut })
}

// maxTopKeys is how many keys of a file with mistakes are looked at to tell
// what it was meant to be.
const maxTopKeys = 100

// top is the place of what is wrong with the file as a whole.
func (f *file) top() Pos { return Pos{File: f.name, Line: 1, Column: 1} }

// readFile reads a file, and no more of it than shows that it is too large.
func readFile(fsys fs.FS, name string) ([]byte, error) {
	r, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close() // read only: nothing can be lost
	return io.ReadAll(io.LimitReader(r, strictyaml.MaxSize+1))
}

// configKey gives the key by which a file is known as the program's config, fed
// here by mistake; "" when it isn't.
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
