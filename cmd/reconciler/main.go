// Command reconciler keeps the orgs of an Okta Aerial account the way that
// manifests in git declare them. This package holds flags, environment,
// signals and exit codes, one file a command; what the commands do is in
// internal.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // schedules name time zones, and an image from scratch has none

	_ "golang.org/x/crypto/x509roots/fallback" // nor root certificates

	"reconciler/internal/web"
)

func main() { os.Exit(mainCode()) }

// mainCode is main for tests that run the program in a process of its own.
func mainCode() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks for an orderly end. From then on signals have their
	// usual effect again, so that a second one ends the process at once.
	context.AfterFunc(ctx, stop)

	web.Version = versionString()
	return run(ctx, os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr}, os.Environ())
}

// stdio is the streams of a command. Data goes to out, everything else to err.
type stdio struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}
