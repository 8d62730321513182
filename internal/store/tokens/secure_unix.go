//go:build unix

package tokens

import (
	"errors"
	"os"

	"reconciler/internal/text"
)

// secure makes sure that nobody else may read the file, whatever the umask.
func secure(f *os.File) error {
	if err := f.Chmod(0o600); err != nil {
		return systemError("setting the mode of a file", err)
	}
	info, err := f.Stat()
	if err != nil {
		return systemError("reading the mode of a file", err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		return text.WithHint(errors.New("the file system lets others read files"),
			"name a folder on a file system that keeps modes (not vfat, and not every network file system)")
	}
	return nil
}
