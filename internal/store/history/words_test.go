package history

import (
	"os"
	"path/filepath"
	"testing"

	"reconciler/internal/store/location"
)

// A folder that can't be opened isn't said to be a database that is away: what the system
// says of files has the methods of an error of the network.
func TestFolderErrorsAreOfFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	s := New(location.Folder(filepath.Join(file, "state")), Options{})
	_, err := s.Entries(Query{})
	wantError(t, err, "reading entries: state folder: ", "")
	_, err = s.Add(Entry{Type: TypeOperator, Action: "start"})
	wantError(t, err, "not a directory", "")
}
