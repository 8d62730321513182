//go:build !unix

package securedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// checkAccess has nothing to look at: owners and modes don't say here who may
// write.
func checkAccess(string, fs.FileInfo) error { return nil }

// HintFor says what to do when the system refuses a write; empty when there is
// nothing useful to say.
func HintFor(error) string { return "" }

// syncHandle does nothing: a folder can't be synced here.
func syncHandle(*os.File) error { return nil }

// Lock refuses: where no lock ends with its process, nothing may be written that
// needs one.
func Lock(*os.File) error {
	return fmt.Errorf("files can't be locked on this system: %w", errors.ErrUnsupported)
}
