package backup

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"reconciler/internal/store/history"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
	"reconciler/internal/store/securedir"
	"reconciler/internal/text"
)

// ActionRestored is the action of the entry that a restored history goes on with.
const ActionRestored = "restore"

// workFolder is where a backup is unpacked and checked, in the folder that it is for.
const workFolder = "restoring"

// restoring is why nothing is written to Okta until a restore has ended.
const restoring = "a backup is being restored here"

// maxManifest bounds the manifest of a backup.
const maxManifest = 1 << 20

// Restore puts a backup into a location: a folder that is missing or empty, or a database
// without a state, that is not in use. All of it is checked before any of it gets its
// place, and the journal gets it last: nothing is decided by a history alone. by is who
// does it.
func Restore(file string, at location.Location, by string, now time.Time) (*Manifest, error) {
	m, err := restore(file, at, by, now)
	if err != nil {
		return nil, text.WithHint(fmt.Errorf("restoring %q into %s: %w", file, at, err), firstHint(err))
	}
	return m, nil
}

// restore restores, and leaves nothing behind if it fails.
func restore(file string, at location.Location, by string, now time.Time) (*Manifest, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, securedir.Cause(err)
	}
	defer f.Close()
	was, err := look(at)
	if err != nil {
		return nil, err
	}
	put := restoreFolder
	if at.Postgres() != nil {
		put = restoreDatabase
	}
	m, err := put(f, at, by, now)
	if err != nil {
		return nil, was.undo(err)
	}
	return m, nil
}

// restoreDatabase restores into a database, from a temporary folder.
func restoreDatabase(f io.Reader, at location.Location, by string, now time.Time) (*Manifest, error) {
	work, err := os.MkdirTemp("", "reconciler-restore-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	m, err := unpack(f, work)
	if err != nil {
		return nil, err
	}
	if err := m.check(work); err != nil {
		return nil, err
	}
	from, to := openStores(location.Folder(work)), openStores(at)
	defer from.close()
	defer to.close()
	held, err := to.journal.Hold()
	if err != nil {
		return nil, err
	}
	defer held.Close()
	if err := to.checkNew(); err != nil {
		return nil, err
	}
	if m.has(journalFile) {
		if err := to.begin(unfinished(restoring, by)); err != nil {
			return nil, err
		}
	}
	if _, err := copyStore(from.history, to.history.Fill); err != nil {
		return nil, err
	}
	if err := m.note(at, by, now); err != nil {
		return nil, err
	}
	_, err = copyStore(from.journal, to.journal.Fill)
	return m, err
}

// restoreFolder restores into a folder.
func restoreFolder(f io.Reader, at location.Location, by string, now time.Time) (*Manifest, error) {
	dir := at.Dir()
	root, err := securedir.Dir(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	to := openStores(at)
	held, err := to.journal.Hold()
	if err != nil {
		return nil, err
	}
	defer held.Close()
	if err := checkEmpty(root); err != nil {
		return nil, err
	}
	work := filepath.Join(dir, workFolder)
	if err := os.Mkdir(work, 0o700); err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	m, err := unpack(f, work)
	if err != nil {
		return nil, err
	}
	if err := m.check(work); err != nil {
		return nil, err
	}
	if m.has(journalFile) {
		if err := errors.Join(to.begin(unfinished(restoring, by)), to.close()); err != nil {
			return nil, err
		}
	}
	if err := m.place(root, historyFile); err != nil {
		return nil, err
	}
	if err := m.note(at, by, now); err != nil {
		return nil, err
	}
	return m, m.place(root, journalFile)
}

// place gives a file that was unpacked its place, if the backup has it.
func (m *Manifest) place(root *os.Root, name string) error {
	if !m.has(name) {
		return nil
	}
	if err := root.Rename(filepath.Join(workFolder, name), name); err != nil {
		return err
	}
	return securedir.SyncRoot(root)
}

// checkEmpty rejects a folder with anything in it but the lock that is held, and what a
// file system has in its top folder.
func checkEmpty(root *os.Root) error {
	names, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return err
	}
	for _, name := range names {
		if !journal.IsLock(name.Name()) && name.Name() != "lost+found" {
			return text.WithHint(fmt.Errorf("the folder is not empty: there is %q", name.Name()),
				"name an empty folder in the config, or move what is there to another place")
		}
	}
	return nil
}

// unpack writes the files of a backup to a folder, if they are those of its manifest.
func unpack(r io.Reader, work string) (*Manifest, error) {
	t := tar.NewReader(r)
	m, err := readManifest(t)
	if err != nil {
		return nil, err
	}
	for _, part := range m.Files {
		header, err := t.Next()
		if err != nil {
			return nil, fmt.Errorf("the backup is cut off: %s is missing from it", part.Name)
		}
		if header.Name != part.Name || header.Typeflag != tar.TypeReg || header.Size != part.Size {
			return nil, fmt.Errorf("the backup is not what its manifest says: there is %q in the place of %s", text.OneLine(header.Name, 80), part.Name)
		}
		if err := unpackFile(t, work, part); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func readManifest(t *tar.Reader) (*Manifest, error) {
	header, err := t.Next()
	if err != nil || header.Name != manifestFile || header.Size > maxManifest {
		return nil, text.WithHint(errors.New("it is no backup of this program"), `name a file that "reconciler state backup" has written`)
	}
	var m Manifest
	if err := json.NewDecoder(io.LimitReader(t, maxManifest)).Decode(&m); err != nil {
		return nil, fmt.Errorf("its manifest can't be read: %w", err)
	}
	if m.Version != version {
		return nil, text.WithHint(fmt.Errorf("it has form %d, and this version of the program knows form %d", m.Version, version), "use the version of the program that made it")
	}
	if len(m.Files) == 0 {
		return nil, errors.New("its manifest names no files")
	}
	known := []string{historyFile, journalFile}
	for i, part := range m.Files {
		if !slices.Contains(known, part.Name) || slices.ContainsFunc(m.Files[:i], func(f File) bool { return f.Name == part.Name }) {
			return nil, fmt.Errorf("its manifest names the file %q, which is not part of a backup", text.OneLine(part.Name, 80))
		}
	}
	return &m, nil
}

func unpackFile(r io.Reader, work string, part File) error {
	f, err := os.OpenFile(filepath.Join(work, part.Name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	size, err := io.Copy(io.MultiWriter(f, sum), r)
	if errors.Is(err, io.ErrUnexpectedEOF) || err == nil && size != part.Size {
		return fmt.Errorf("the backup is cut off within %s", part.Name)
	}
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != part.SHA256 {
		return fmt.Errorf("%s in the backup was altered: its checksum is %s, and the manifest says %s", part.Name, got, text.OneLine(part.SHA256, 64))
	}
	return errors.Join(f.Sync(), f.Close())
}

// has reports whether a file is in the backup.
func (m *Manifest) has(name string) bool {
	return slices.ContainsFunc(m.Files, func(f File) bool { return f.Name == name })
}

// check opens what was unpacked.
func (m *Manifest) check(work string) error {
	j := journal.New(location.Folder(work), journal.Options{})
	if err := errors.Join(j.Check(), j.Close()); err != nil {
		return err
	}
	h := history.New(location.Folder(work), history.Options{})
	if err := errors.Join(h.Check(), h.Close()); err != nil {
		return err
	}
	v, err := verify(work)
	if err != nil {
		return err
	}
	if problem := problemOf(v); problem != m.Problem {
		return fmt.Errorf("the history in the backup was altered: %s", problem)
	}
	if v.Head != m.Head {
		return fmt.Errorf("the history in the backup ends with the head %s, and the manifest says %s", v.Head, text.OneLine(m.Head, 64))
	}
	return nil
}

// note adds to the history that it was restored.
func (m *Manifest) note(at location.Location, by string, now time.Time) error {
	h := history.New(at, history.Options{Now: func() time.Time { return now }})
	_, err := h.Add(history.Entry{
		Type: history.TypeOperator, Action: ActionRestored, By: by,
		Reason: "from a backup of " + m.Made.Format(time.RFC3339),
	})
	return errors.Join(err, h.Close())
}
