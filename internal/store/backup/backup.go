// Package backup copies the databases of a state folder into one file while a daemon
// uses them, puts them back into an empty folder, and checks them where they are.
//
// A backup is a tar file: first a manifest as JSON, with sizes and checksums, then
// history.db and journal.db, each as it was at one moment. The history is copied first,
// so that the journal is never older: what the history tells, the journal knows. Tokens
// of new orgs and keys are not in the state folder, and so not in a backup.
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
	"time"

	"reconciler/internal/store/history"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
	"reconciler/internal/store/securedir"
	"reconciler/internal/text"
)

// The files of a backup, in their order.
const (
	manifestFile = "manifest.json"
	historyFile  = "history.db"
	journalFile  = "journal.db"
)

// version is that of the form of backups.
const version = 1

// Manifest describes a backup.
type Manifest struct {
	Version int `json:"version"`
	// Program is the version of the program that made it.
	Program string    `json:"program"`
	Made    time.Time `json:"made"`
	Files   []File    `json:"files"`
	// Head is that of the history, and Entries how many it has; Problem is what was
	// wrong with its chain when the backup was made.
	Head    string `json:"head,omitempty"`
	Entries int64  `json:"entries"`
	Problem string `json:"problem,omitempty"`
}

// File is a file of a backup.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Make writes a backup of the state at a location to a new file, which can be restored to
// any location. program is the version of the program.
func Make(at location.Location, file, program string, now time.Time) (*Manifest, error) {
	m, err := makeBackup(at, file, program, now)
	if err != nil {
		return nil, text.WithHint(fmt.Errorf("backup of %s: %w", at, err), firstHint(err))
	}
	return m, nil
}

// firstHint returns the hint of an error, or what to do about what the system refused.
func firstHint(err error) string {
	if hint := text.Hint(err); hint != "" {
		return hint
	}
	return securedir.HintFor(err)
}

func makeBackup(at location.Location, file, program string, now time.Time) (*Manifest, error) {
	if _, err := os.Lstat(file); err == nil {
		return nil, text.WithHint(fmt.Errorf("%q exists already", file), "name a new file: backups are never overwritten")
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	// Beside the target, where there is room for it, and for this user alone.
	work, err := os.MkdirTemp(filepath.Dir(file), ".reconciler-backup-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	m := &Manifest{Version: version, Program: program, Made: now.UTC().Truncate(time.Second)}
	dir := at.Dir()
	if at.Postgres() != nil {
		dir = filepath.Join(work, "state")
		if err := fetch(at, dir); err != nil {
			return nil, err
		}
	}
	if err := m.copy(dir, work); err != nil {
		return nil, err
	}
	packed := filepath.Join(work, "backup.tar")
	if err := m.pack(work, packed); err != nil {
		return nil, err
	}
	// Not over a file that has come to be there meanwhile.
	if err := os.Link(packed, file); errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%q exists already", file)
	} else if err != nil { // a file system without links
		if err := os.Rename(packed, file); err != nil {
			return nil, err
		}
	}
	return m, syncFolder(filepath.Dir(file))
}

// fetch copies journal and history of a database to a new folder.
func fetch(at location.Location, dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	from, to := openStores(at), openStores(location.Folder(dir))
	_, err := copyStores([]store{from.history, from.journal}, []store{to.history, to.journal})
	return errors.Join(err, from.close(), to.close())
}

// copy copies the databases, and notes what they are.
func (m *Manifest) copy(dir, work string) error {
	h := history.New(location.Folder(dir), history.Options{})
	defer h.Close()
	if err := h.Backup(filepath.Join(work, historyFile)); err != nil {
		return err
	}
	j := journal.New(location.Folder(dir), journal.Options{})
	defer j.Close()
	if err := j.Backup(filepath.Join(work, journalFile)); err != nil {
		return err
	}
	for _, name := range []string{historyFile, journalFile} {
		if _, err := os.Lstat(filepath.Join(work, name)); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if name == historyFile {
			v, err := verify(work)
			if err != nil {
				return err
			}
			m.Head, m.Entries, m.Problem = v.Head, v.Entries, problemOf(v)
		}
		f, err := describe(work, name)
		if err != nil {
			return err
		}
		m.Files = append(m.Files, f)
	}
	if len(m.Files) == 0 {
		return errors.New("there is neither a journal nor a history in it yet")
	}
	return nil
}

// verify verifies the history in a folder, and leaves nothing beside it.
func verify(dir string) (*history.Verification, error) {
	h := history.New(location.Folder(dir), history.Options{})
	v, err := h.Verify("")
	return v, errors.Join(err, h.Close())
}

// problemOf returns what is wrong with a history; "" if nothing is.
func problemOf(v *history.Verification) string {
	if v.Problem == "" || v.Seq == 0 {
		return v.Problem
	}
	return fmt.Sprintf("entry %d: %s", v.Seq, v.Problem)
}

func describe(dir, name string) (File, error) {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	sum := sha256.New()
	size, err := io.Copy(sum, f)
	return File{name, size, hex.EncodeToString(sum.Sum(nil))}, err
}

// pack writes manifest and files to a tar file, and syncs it.
func (m *Manifest) pack(work, file string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	w := tar.NewWriter(f)
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Name: manifestFile, Mode: 0o600, Size: int64(len(data)), ModTime: m.Made}); err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return err
	}
	for _, part := range m.Files {
		if err := m.packFile(w, work, part); err != nil {
			return err
		}
	}
	return errors.Join(w.Close(), f.Sync(), f.Close())
}

func (m *Manifest) packFile(w *tar.Writer, work string, part File) error {
	f, err := os.Open(filepath.Join(work, part.Name))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := w.WriteHeader(&tar.Header{Name: part.Name, Mode: 0o600, Size: part.Size, ModTime: m.Made}); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}

func syncFolder(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return securedir.SyncRoot(root)
}
