// Release builds what a release of reconciler consists of: programs, packages, an image,
// checksums, a bill of materials and a statement of provenance. It is a module of its
// own, so that the program doesn't depend on what only releases need.
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("name the version: release VERSION")
	}
	return nil
}
