package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
)

// The exit codes. An error outranks a difference, whatever the output format.
const (
	exitOK          = 0
	exitError       = 1 // bad manifest, bad config, API, git
	exitDifferences = 2 // diff --detailed-exitcode: there are differences
	exitRefused     = 3 // refused by a guard; nothing was written
	exitPartly      = 4 // some orgs failed, the others converged
)

// exitCode ends a command with a code other than 0 after it has said all there
// is to say.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// refused is an error of a guard: exit code 3.
type refused struct{ error }

func (r refused) Unwrap() error { return r.error }

// finish prints err and returns the exit code that it stands for.
func finish(w io.Writer, err error) int {
	var code exitCode
	var no refused
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &no):
		printError(w, err)
		return exitRefused
	default:
		printError(w, err)
		return exitError
	}
}

// printError prints one line for each error, in which nothing acts on a terminal: errors
// name what was given to the program. Errors in files begin with their position, so that
// editors and CI can jump there; a hint follows on a line of its own.
func printError(w io.Writer, err error) {
	if errs, ok := strictyaml.AsErrors(err); ok {
		for _, e := range errs {
			fmt.Fprintln(w, e)
		}
		return
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(w, "reconciler: stopped")
		return
	}
	fmt.Fprintln(w, "reconciler: "+text.Visible(strings.ReplaceAll(err.Error(), "\n", "; ")))
	if hint := text.Hint(err); hint != "" {
		fmt.Fprintln(w, "hint: "+text.Visible(hint))
	}
}
