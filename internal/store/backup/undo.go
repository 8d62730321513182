package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
	"reconciler/internal/store/postgres"
	"reconciler/internal/store/securedir"
	"reconciler/internal/text"
)

// before is what was at a place before a state is put there, so that what was made can be
// removed if that fails.
type before struct {
	at location.Location
	// folders are those of the path of a folder that weren't there, the innermost first,
	// and names what was in it.
	folders, names []string
	// stores are those that have tables in a database.
	stores []string
}

// look returns what is at a place.
func look(at location.Location) (*before, error) {
	b := &before{at: at}
	var err error
	if at.Postgres() != nil {
		b.stores, err = postgres.Stores(at.Postgres())
		return b, err
	}
	for dir := filepath.Clean(at.Dir()); ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			break // what else is wrong with it, is found by who opens it
		}
		b.folders = append(b.folders, dir)
	}
	if len(b.folders) == 0 {
		b.names, err = namesIn(at.Dir())
	}
	return b, err
}

func namesIn(dir string) (names []string, err error) {
	root, err := securedir.Existing(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	all, err := fs.ReadDir(root.FS(), ".")
	for _, one := range all {
		names = append(names, one.Name())
	}
	return names, err
}

// undo removes what was made since, because of an error, which it returns with what to do
// about what can't be removed. This process doesn't hold the place any more. If another
// one does, all of it may be of that one.
func (b *before) undo(why error) error {
	if errors.As(why, new(*journal.HeldError)) {
		return why
	}
	remove := b.undoFolder
	if b.at.Postgres() != nil {
		remove = b.undoTables
	}
	if remove() == nil { // mostly it fails for the same reason, as with a server that is gone
		return why
	}
	hint := fmt.Sprintf("empty %s before you try again", b.at)
	if first := firstHint(why); first != "" {
		hint = first + "; " + hint
	}
	return text.WithHint(fmt.Errorf("%w; what was copied before may be left there", why), hint)
}

func (b *before) undoFolder() error { return errors.Join(b.undoFiles(), b.undoFolders()) }

func (b *before) undoFiles() error {
	names, err := namesIn(b.at.Dir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, name := range names {
		if isOurs(name) && !slices.Contains(b.names, name) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(b.at.Dir(), name)))
		}
	}
	return err
}

// undoFolders removes the folders, unless somebody else has put something there.
func (b *before) undoFolders() error {
	for _, dir := range b.folders {
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// isOurs reports whether a file has a name that only a state has.
func isOurs(name string) bool {
	for _, store := range []string{historyFile, journalFile, outboxFile} {
		if strings.HasPrefix(name, strings.TrimSuffix(store, "db")) {
			return true
		}
	}
	return name == workFolder || journal.IsLock(name)
}

// undoTables removes the tables, those of the journal last: until then it suspends all
// writes.
func (b *before) undoTables() error {
	s := openStores(b.at)
	defer s.close()
	for _, one := range []struct {
		name string
		drop func() error
	}{{"history", s.history.Drop}, {"outbox", s.outbox.Drop}, {"journal", s.journal.Drop}, {"lease", s.journal.DropLocks}} {
		if slices.Contains(b.stores, one.name) {
			continue
		}
		if err := one.drop(); err != nil {
			return err
		}
	}
	return nil
}
