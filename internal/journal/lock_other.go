//go:build !unix

package journal

import (
	"errors"
	"fmt"
	"os"
)

// lockHandle refuses: without a lock that ends with its process there must be
// no journal to write to.
func lockHandle(*os.File) error {
	return fmt.Errorf("files can't be locked on this system: %w", errors.ErrUnsupported)
}
