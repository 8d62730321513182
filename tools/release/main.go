// Release builds what a release of reconciler consists of, from a commit: programs for
// each platform, a bill of materials of each, packages, an image, the integrations
// pinned to them, notes, a statement of provenance, checksums and signatures. The same
// commit, version and Go always make the same bytes, so that anybody can build a release
// again and compare.
//
//	go -C tools/release run . [flags] VERSION
//
// It is a module of its own, so that the program doesn't depend on what only releases
// need. docs/releases.md describes it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// run makes a release as args say, and lists its files on stdout.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	r, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if err := r.make(ctx); err != nil {
		return err
	}
	for _, f := range r.files {
		fmt.Fprintf(stdout, "%s  %s\n", f.sha256, f.name)
	}
	return nil
}

// parse returns the release that args ask for.
func parse(args []string, stderr io.Writer) (*release, error) {
	r := &release{log: stderr}
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: release [flags] VERSION")
		flags.PrintDefaults()
	}
	flags.StringVar(&r.repository, "repository", "", "the clone to release from (the one that this runs in); its HEAD is released")
	flags.StringVar(&r.out, "out", "", "the folder to be made (dist/VERSION in the clone)")
	flags.StringVar(&r.url, "url", "", "where the project is, such as https://github.com/acme/reconciler (the clone's remote origin)")
	flags.StringVar(&r.download, "download", "", "where released files will be, with {version} (URL/releases/download/v{version}, as on GitHub)")
	flags.StringVar(&r.builder, "builder", "", "who builds, as the URI of the provenance (URL/local-build, which claims nothing)")
	flags.StringVar(&r.image, "image", "", "the name of the image, such as ghcr.io/acme/reconciler; without it none is made. Takes buildah")
	flags.StringVar(&r.sshKey, "sign", "", "the ssh key to sign the checksums with; one that an agent holds is named by its public half")
	flags.StringVar(&r.cosign, "cosign", "", `sign the checksums with cosign too: a key as it takes it, or "keyless"`)
	flags.BoolVar(&r.packages, "packages", true, "make deb and rpm packages, which takes a program that runs here")
	flags.BoolVar(&r.trial, "trial", false, "neither tag nor section of the changelog are needed: it is not to be published")
	platforms := flags.String("platforms", "", "build for these alone, such as linux/amd64,linux/arm64")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() != 1 {
		return nil, errors.New("one argument is needed: the version, such as 1.2.3")
	}
	r.version = strings.TrimPrefix(flags.Arg(0), "v")
	if !isVersion(r.version) {
		return nil, fmt.Errorf("%q is no version: must be as 1.2.3 or 1.2.3-rc.1", flags.Arg(0))
	}
	var err error
	if r.platforms, err = choose(*platforms); err != nil {
		return nil, err
	}
	if r.sshKey != "" {
		r.sshKey, err = filepath.Abs(r.sshKey)
	}
	return r, err
}
