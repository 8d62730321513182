package freeze

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"reconciler/internal/store/securedir"
	"reconciler/internal/text"
)

const (
	storeFile = "suspensions.json"
	tempFile  = ".suspensions.json.new"
	// lockFile is never deleted: a process could then hold a lock on a file
	// that has lost its name, beside one that holds the new file.
	lockFile = "suspensions.lock"
	// version is that of the file.
	version = 1
	// mend says what to do about a file that is damaged or gone.
	mend = `if nothing is to be suspended, write {"version":1,"suspensions":[]} into it`

	maxFile   = 1 << 20
	maxID     = 100
	maxGlobs  = 100
	idLength  = 8
	lockTries = 50
	lockPause = 100 * time.Millisecond
)

// Error says what is wrong with the file of suspensions, or with one that is to
// be added: one line, and apart from it, as the Hint, what to do.
type Error struct {
	msg  string
	hint string
	err  error
}

// Error gives the line without the hint.
func (e *Error) Error() string { return e.msg }

// Hint says what to do about it; empty when there is nothing useful to say.
func (e *Error) Hint() string { return e.hint }

// Unwrap gives the system's error, if there is one.
func (e *Error) Unwrap() error { return e.err }

// Store keeps the suspensions that were made while the program runs, in a file
// of the state folder that only this user may read. Several processes may use it
// at the same time: each change is made under a lock, and readers see the file
// before it or after it. Many goroutines may use a Store.
type Store struct {
	dir string
	// folder and file say that they were there once.
	folder, file atomic.Bool
}

// OpenStore gives the store in the state folder. It opens nothing yet.
func OpenStore(dir string) *Store { return &Store{dir: dir} }

// contents is the file.
type contents struct {
	Version     int          `json:"version"`
	Suspensions []Suspension `json:"suspensions"`
}

// Load gives the suspensions, sorted by when they were made; some may have
// expired. There are none where there is no file yet. Where there is one that
// can't be read or understood, that is an error, of type *Error, and whoever
// gets it must take it that everything is suspended (Rules.Unreadable). So it is
// when this Store has seen the file, or just the folder, and it is gone: a volume
// that isn't mounted any more takes no suspension back.
func (s *Store) Load() ([]Suspension, error) {
	root, err := securedir.Existing(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, s.absent(&s.folder)
	}
	if err != nil {
		return nil, s.failed("reading", err)
	}
	defer root.Close()
	return s.load(root)
}

// load is Load in the open folder.
func (s *Store) load(root *os.Root) ([]Suspension, error) {
	s.folder.Store(true)
	data, err := read(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, s.absent(&s.file)
	}
	s.file.Store(true)
	if err != nil {
		return nil, s.failed("reading", err)
	}
	all, err := parse(data)
	if err != nil {
		return nil, &Error{
			msg:  fmt.Sprintf("the suspensions in %q can't be understood: %v", s.path(), err),
			hint: "everything is held until then: mend the file; " + mend,
			err:  err,
		}
	}
	return all, nil
}

// absent says what it means that there is no file: nothing, unless it, or its
// folder, was there before.
func (s *Store) absent(before *atomic.Bool) error {
	if !before.Load() {
		return nil
	}
	return &Error{
		msg:  fmt.Sprintf("the suspensions in %q are gone", s.path()),
		hint: "everything is held until the file is back: is the volume mounted? " + mend,
	}
}

// read gives the file's content, and follows no link.
func read(root *os.Root) ([]byte, error) {
	info, err := root.Lstat(storeFile)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	f, err := root.Open(storeFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("it has more than %d bytes", maxFile)
	}
	return data, err
}

// parse reads the file strictly: what isn't understood may hold something.
func parse(data []byte) ([]Suspension, error) {
	var v struct {
		Version int `json:"version"`
	}
	if json.Unmarshal(data, &v) == nil && v.Version != version {
		return nil, fmt.Errorf("its version is %d, and this program knows %d", v.Version, version)
	}
	var c contents
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	switch err := dec.Decode(&c); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errors.New("it is empty or cut off")
	case err != nil:
		return nil, errors.New(oneLine(strings.TrimPrefix(err.Error(), "json: ")))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more behind its end")
	}
	if c.Suspensions == nil {
		return nil, errors.New(`it has no "suspensions"`)
	}
	ids := map[string]bool{}
	for i := range c.Suspensions {
		s := &c.Suspensions[i]
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("suspension %d: %w", i+1, err)
		}
		if s.ID == "" || len(s.ID) > maxID || !printable(s.ID) || ids[s.ID] || s.Since.IsZero() {
			return nil, fmt.Errorf("suspension %d: its id or time is missing, or the id is another's as well", i+1)
		}
		ids[s.ID] = true
		if len(s.Orgs) == 0 {
			s.Orgs = nil // as it was added
		}
	}
	sortSuspensions(c.Suspensions)
	return c.Suspensions, nil
}

// check refuses what people couldn't read, or what means nothing.
func (s *Suspension) check() error {
	for _, text := range []struct {
		name, value string
		most        int
	}{{"reason", s.Reason, MaxReason}, {"owner", s.Owner, MaxOwner}} {
		switch {
		case strings.TrimSpace(text.value) == "":
			return fmt.Errorf("the %s is missing", text.name)
		case utf8.RuneCountInString(text.value) > text.most:
			return fmt.Errorf("the %s has more than %d characters", text.name, text.most)
		case !printable(text.value):
			return fmt.Errorf("the %s has line breaks or other characters that can't be printed", text.name)
		}
	}
	if len(s.Orgs) > maxGlobs {
		return fmt.Errorf("there are more than %d patterns for orgs", maxGlobs)
	}
	for _, glob := range s.Orgs {
		if err := CheckGlob(glob); err != nil {
			return fmt.Errorf("the orgs %w", err)
		}
	}
	return nil
}

// Add keeps a suspension and gives it back with its ID; Since is now, to the
// second, where it is not set. It refuses one without reason or owner, and one
// that has expired. What has expired of the others is dropped. When it returns
// without an error, the suspension outlasts a loss of power. Adding the same
// twice makes two. All errors are of type *Error.
func (s *Store) Add(n Suspension) (Suspension, error) {
	now := time.Now().UTC().Truncate(time.Second)
	if n.Since.IsZero() {
		n.Since = now
	}
	n.Orgs = slices.Clone(n.Orgs)
	slices.Sort(n.Orgs)
	n.Orgs = slices.Compact(n.Orgs)
	n.Since, n.Until = n.Since.UTC(), n.Until.UTC()
	n.ID = strings.ToLower(rand.Text()[:idLength])
	err := n.check()
	if err == nil && n.Expired(now) {
		err = fmt.Errorf("it would have expired already, at %s", stamp(n.Until))
	}
	if err != nil {
		return Suspension{}, &Error{msg: "can't suspend: " + err.Error(), err: err}
	}
	err = s.change(func(all []Suspension) ([]Suspension, bool) { return append(all, n), true })
	if err != nil {
		return Suspension{}, err
	}
	return n, nil
}

// Remove takes back the suspensions for which match says so and gives them,
// sorted by when they were made. Those that have expired are not asked about.
// Nothing is written when there are none; when the last is taken back, a file
// without any is left, which tells them from suspensions that are gone.
func (s *Store) Remove(match func(Suspension) bool) ([]Suspension, error) {
	var removed []Suspension
	err := s.change(func(all []Suspension) (kept []Suspension, changed bool) {
		for _, one := range all {
			if match(one) {
				removed = append(removed, one)
			} else {
				kept = append(kept, one)
			}
		}
		return kept, len(removed) > 0
	})
	if err != nil {
		return nil, err
	}
	return removed, nil
}

// change gives what has not expired to f and writes what it makes of it.
func (s *Store) change(f func([]Suspension) ([]Suspension, bool)) error {
	root, err := securedir.Dir(s.dir)
	if err != nil {
		return s.failed("writing", err)
	}
	defer root.Close()
	lock, err := acquire(root)
	if err != nil {
		return s.failed("locking", err)
	}
	defer lock.Close() // ends the lock
	all, err := s.load(root)
	if err != nil {
		return err
	}
	all, changed := f(Active(all, time.Now()))
	if !changed {
		return nil
	}
	sortSuspensions(all)
	if err := write(root, all); err != nil {
		return s.failed("writing", err)
	}
	s.file.Store(true)
	return nil
}

// acquire takes the lock, which ends with the file or the process. Others hold
// it for a moment only, so it is waited for.
func acquire(root *os.Root) (*os.File, error) {
	f, err := root.OpenFile(lockFile, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for range lockTries {
		if err = securedir.Lock(f); !errors.Is(err, securedir.ErrLocked) {
			break
		}
		time.Sleep(lockPause)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// write puts a new file in the place of the old one, at once.
func write(root *os.Root, all []Suspension) error {
	if all == nil {
		all = []Suspension{}
	}
	var data bytes.Buffer
	enc := json.NewEncoder(&data)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(contents{version, all}); err != nil {
		return err
	}
	if data.Len() > maxFile {
		return errors.New("there are too many of them: take some back first")
	}
	// One may have been left behind by a process that was killed.
	if err := root.Remove(tempFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeNew(root, data.Bytes()); err != nil {
		_ = root.Remove(tempFile)
		return err
	}
	if err := root.Rename(tempFile, storeFile); err != nil {
		return err
	}
	return securedir.SyncRoot(root)
}

func writeNew(root *os.Root, data []byte) (err error) {
	f, err := root.OpenFile(tempFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
}

func (s *Store) path() string { return filepath.Join(s.dir, storeFile) }

// failed makes an Error of what the system refused.
func (s *Store) failed(doing string, err error) error {
	e := &Error{
		msg:  fmt.Sprintf("%s the suspensions in %q: %s", doing, s.path(), oneLine(securedir.Reason(err))),
		hint: cmp.Or(text.Hint(err), securedir.HintFor(err)),
		err:  err,
	}
	if errors.Is(err, securedir.ErrLocked) {
		e.hint = "try again"
	}
	return e
}

// sortSuspensions sorts by when they were made; those of one second stay as they
// are in the file, where new ones come last.
func sortSuspensions(all []Suspension) {
	slices.SortStableFunc(all, func(a, b Suspension) int { return a.Since.Compare(b.Since) })
}
