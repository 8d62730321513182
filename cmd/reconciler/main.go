// Command reconciler keeps the orgs of an Okta Aerial account the way that
// manifests in git declare them. This package holds flags, environment,
// signals and exit codes, one file a command; what the commands do is in
// internal.
package main

import (
	"io"
	"os"
	_ "time/tzdata" // schedules name time zones, and an image from scratch has none

	_ "golang.org/x/crypto/x509roots/fallback" // nor root certificates

	"reconciler/internal/web"
)

func main() { os.Exit(mainCode()) }

// mainCode is main for tests that run the program in a process of its own.
func mainCode() int {
	web.Version = versionString()
	s := catchSignals()
	defer s.stop()
	a := &app{
		stdio:   stdio{os.Stdin, newStream(os.Stdout), newStream(os.Stderr)},
		environ: os.Environ(),
		hangups: s.takeHangups,
	}
	return a.run(s.ctx, os.Args[1:])
}

// stdio is the streams of a command. Data goes to out, everything else to err.
type stdio struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}
