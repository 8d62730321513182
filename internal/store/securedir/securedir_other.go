//go:build !unix

package securedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// checkAccess does nothing: owners and modes don't decide here who may write.
func checkAccess(string, fs.FileInfo) error { return nil }

// HintFor returns what to do when the system refuses a write, or "".
func HintFor(error) string { return "" }

// syncHandle does nothing: a folder can't be synced here.
func syncHandle(*os.File) error { return nil }

// Lock fails: no lock ends with its process here.
func Lock(*os.File) error {
	return fmt.Errorf("files can't be locked on this system: %w", errors.ErrUnsupported)
}

// LockShared fails: no lock ends with its process here.
func LockShared(f *os.File) error { return Lock(f) }
