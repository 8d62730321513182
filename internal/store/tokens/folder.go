package tokens

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"reconciler/internal/store/securedir"
	"reconciler/internal/text"
)

const (
	// staleProbe is when a probe must be a leftover of a process that was
	// killed.
	staleProbe = time.Hour
	// probePrefix begins the names of probes, which hides them from people and
	// from Find.
	probePrefix = ".probe-"
)

// Dir returns a sink that keeps each token in a file of its own in the folder at
// path, readable by this user only. The folder is created when it is missing.
func Dir(path string) Sink {
	return newFolder(path, plainExt, "", func(secret string) ([]byte, error) { return []byte(secret + "\n"), nil })
}

func newFolder(path, ext, how string, seal func(secret string) ([]byte, error)) *folder {
	if abs, err := filepath.Abs(path); err == nil && path != "" {
		path = abs // for messages
	}
	return &folder{path: path, ext: ext, how: how, seal: seal, sealed: map[[sha256.Size]byte][]byte{}}
}

// folder is a sink of files.
type folder struct {
	path string
	ext  string
	// how is shown behind the name of the folder.
	how string
	// seal returns the content of a token's file.
	seal func(secret string) ([]byte, error)

	// mu keeps Find and Finish from taking the file that Store is writing for one that
	// a killed process left behind.
	mu sync.Mutex
	// sealed keeps what seal returned, which may be another text each time: a token
	// that is stored again after an error is the same file and not a second one.
	sealed map[[sha256.Size]byte][]byte
}

// String names the folder.
func (f *folder) String() string { return fmt.Sprintf("folder %q%s", f.path, f.how) }

// Probe does for a random word what Store does for a token, reads it back and
// removes it. It also removes the probes of killed processes.
func (f *folder) Probe(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return f.within("keeping tokens", securedir.Dir, f.probe)
}

// within opens the folder, and says in errors what was to be done.
func (f *folder) within(doing string, open func(path string) (*os.Root, error), do func(*os.Root) error) error {
	root, err := open(f.path)
	if err != nil {
		return systemError(doing, err)
	}
	defer root.Close()
	if err := do(root); err != nil {
		return systemError(fmt.Sprintf("%s in %q", doing, f.path), err)
	}
	return nil
}

func (f *folder) probe(root *os.Root) error {
	if err := removeStale(root, time.Now().Add(-staleProbe)); err != nil {
		return systemError("removing old probes", err)
	}
	data, err := f.seal("probe-" + rand.Text())
	if err != nil {
		return err
	}
	name, err := put(root, probePrefix+rand.Text(), f.ext, data)
	if err != nil {
		return err
	}
	actual, err := read(root, name)
	if err == nil && !bytes.Equal(actual, data) {
		err = text.WithHint(errors.New("a probe reads back as something else"), "the disk or the file system is broken: name another folder")
	}
	if removeErr := root.Remove(name); err == nil && removeErr != nil {
		err = systemError("removing a probe", removeErr)
	}
	return err
}

// Store writes the token's file.
func (f *folder) Store(m Meta, t Token) (where string, err error) {
	secret, err := secretOf(m, t)
	if err != nil {
		return "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	err = f.within(fmt.Sprintf("storing the token of %q", m.Domain), securedir.Dir, func(root *os.Root) error {
		data, err := f.sealOnce(secret)
		if err != nil {
			return err
		}
		name, err := put(root, baseName(m.Domain, m.OrgID), f.ext, data)
		where = filepath.Join(f.path, name)
		return err
	})
	if err != nil {
		return "", err
	}
	return where, nil
}

// sealOnce returns the same for the same secret.
func (f *folder) sealOnce(secret string) ([]byte, error) {
	sum := sha256.Sum256([]byte(secret))
	if data := f.sealed[sum]; data != nil {
		return data, nil
	}
	data, err := f.seal(secret)
	if err == nil {
		f.sealed[sum] = data
	}
	return data, err
}

// Find looks for the files of a domain, encrypted or not: the config may have
// changed since. Files that a killed Store had written in full, but not yet renamed,
// are among them.
func (f *folder) Find(domain string) (all []Stored, err error) {
	err = f.existing("looking for the token of", domain, func(root *os.Root) (err error) {
		all, err = f.list(root, domain)
		return err
	})
	return all, err
}

// Finish renames the files that a killed Store had written in full, but not yet renamed.
func (f *folder) Finish(domain string) error {
	return f.existing("finishing the token of", domain, func(root *os.Root) error { return adopt(root, domain) })
}

// existing opens the folder, if there is one, while no token is being stored.
func (f *folder) existing(doing, domain string, do func(*os.Root) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := os.Lstat(f.path); f.path != "" && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return f.within(fmt.Sprintf("%s %q", doing, domain), securedir.Existing, do)
}

// Read returns a token that Find has found.
func (f *folder) Read(s Stored) (secret string, err error) {
	name := filepath.Base(s.Where)
	if _, ext, ok := parseTemp(name); strings.HasSuffix(name, ageExt) || ok && ext == ageExt {
		return "", text.WithHint(fmt.Errorf("the token %q is encrypted: %w", s.Where, errors.ErrUnsupported), "only a holder of the key can decrypt it: age -d -i KEY FILE")
	}
	err = f.within("reading a token", securedir.Existing, func(root *os.Root) error {
		data, err := read(root, name)
		if err == nil && len(bytes.TrimSpace(data)) == 0 {
			err = fmt.Errorf("%q is empty", name)
		}
		secret = string(bytes.TrimSpace(data))
		return err
	})
	return secret, err
}

func (f *folder) list(root *os.Root, domain string) ([]Stored, error) {
	files, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, err
	}
	var all []Stored
	for _, file := range files {
		orgID, ok := parseName(file.Name(), domain)
		if !ok {
			continue
		}
		info, err := file.Info()
		if err != nil {
			return nil, err
		}
		if !info.Mode().IsRegular() {
			return nil, text.WithHint(fmt.Errorf("%q is no regular file", file.Name()), "put the token's file in its place, or remove it if there is none")
		}
		all = append(all, f.stored(orgID, file.Name(), info))
	}
	left, err := leftBehind(root, domain)
	if err != nil {
		return nil, err
	}
	for _, l := range left {
		if !l.named(root, all) {
			orgID, _ := parseName(l.base+l.ext, domain)
			all = append(all, f.stored(orgID, l.temp, l.info))
		}
	}
	slices.SortFunc(all, func(a, b Stored) int {
		return cmp.Or(strings.Compare(a.OrgID, b.OrgID), strings.Compare(a.Where, b.Where))
	})
	return all, nil
}

func (f *folder) stored(orgID, name string, info fs.FileInfo) Stored {
	return Stored{OrgID: orgID, Where: filepath.Join(f.path, name), At: info.ModTime().UTC()}
}

// leftover is a file that was written in full, but still has the name that it was
// written under.
type leftover struct {
	temp, base, ext string
	info            fs.FileInfo
	data            []byte
}

// leftBehind returns the files of a domain that a Store left behind in full.
func leftBehind(root *os.Root, domain string) ([]leftover, error) {
	files, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, err
	}
	var all []leftover
	for _, file := range files {
		base, ext, ok := parseTemp(file.Name())
		if !ok {
			continue
		}
		if _, ok := parseName(base+ext, domain); !ok {
			continue
		}
		info, err := file.Info()
		var data []byte
		if err == nil {
			data, err = read(root, file.Name())
		}
		if errors.Is(err, fs.ErrNotExist) { // another process has just renamed it
			continue
		}
		if err != nil {
			return nil, err
		}
		if whole(ext, data) {
			all = append(all, leftover{file.Name(), base, ext, info, data})
		}
	}
	return all, nil
}

// named reports whether one of the stored tokens is the same.
func (l *leftover) named(root *os.Root, all []Stored) bool {
	return slices.ContainsFunc(all, func(s Stored) bool {
		data, err := read(root, filepath.Base(s.Where))
		return err == nil && bytes.Equal(data, l.data)
	})
}

// adopt renames files that were written in full to their names.
func adopt(root *os.Root, domain string) error {
	left, err := leftBehind(root, domain)
	if err != nil {
		return err
	}
	for _, l := range left {
		// It may have been killed before it was synced.
		if err := syncFile(root, l.temp); err != nil {
			return err
		}
		if _, err := settle(root, l.temp, l.base, l.ext, l.data); err != nil {
			return err
		}
	}
	return nil
}

// put writes data into a new file and syncs it. The file has no name until it
// is whole. If there is a file with the same content, that one is used; one with
// another content is left alone, and the new one gets a number.
func put(root *os.Root, base, ext string, data []byte) (name string, err error) {
	temp := tempName(base, ext)
	if err := write(root, temp, data); err != nil {
		_ = root.Remove(temp) // it is not whole
		return "", err
	}
	return settle(root, temp, base, ext, data)
}

// settle renames the file temp, which holds data, to its final name.
func settle(root *os.Root, temp, base, ext string, data []byte) (string, error) {
	const most = 1000
	for n := 1; n <= most; n++ {
		name := numbered(base, n) + ext
		// A link, unlike a renaming, never takes the place of another file.
		err := root.Link(temp, name)
		if errors.Is(err, fs.ErrExist) {
			if actual, err := read(root, name); err != nil || !bytes.Equal(actual, data) {
				continue // another token, or not ours
			}
			err = nil
		}
		if err != nil {
			err = systemError(fmt.Sprintf("naming the file %q", name), err)
			return "", text.WithHint(err, cmp.Or(text.Hint(err), "tokens need a file system with hard links: name a folder on another one"))
		}
		if err := securedir.SyncRoot(root); err != nil {
			return "", systemError("syncing the folder", err)
		}
		// From here on the token is safe; at worst it has two names until the next
		// Finish.
		_ = root.Remove(temp)
		return name, nil
	}
	return "", text.WithHint(fmt.Errorf("there are %d files for %q", most, base), "move them somewhere else")
}

// write creates a file that only this user may read, and syncs it.
func write(root *os.Root, name string, data []byte) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return systemError("creating a file", err)
	}
	defer f.Close()
	// Before there is anything to read in it.
	if err := secure(f); err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return systemError("writing a file", err)
	}
	if err := f.Sync(); err != nil {
		return systemError("syncing a file", err)
	}
	return nil
}

func syncFile(root *os.Root, name string) error {
	f, err := root.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// read returns the content of a regular file, and follows no link.
func read(root *os.Root, name string) ([]byte, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%q is no regular file", name)
	}
	return root.ReadFile(name)
}

// removeStale removes probes from before a time, whole or not.
func removeStale(root *os.Root, before time.Time) error {
	files, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return err
	}
	for _, file := range files {
		if !strings.HasPrefix(file.Name(), probePrefix) && !strings.HasPrefix(file.Name(), "."+probePrefix) {
			continue
		}
		info, err := file.Info()
		if err == nil && info.ModTime().Before(before) {
			err = root.Remove(file.Name())
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
