//go:build !unix

package hold

import (
	"errors"
	"fmt"
	"os"
)

// lockHandle refuses: without a lock, of two changes at the same time one would
// be lost.
func lockHandle(*os.File) error {
	return fmt.Errorf("files can't be locked on this system: %w", errors.ErrUnsupported)
}
