package main

import (
	"context"
	"path/filepath"
	"runtime"
	"slices"

	"reconciler/tools/release/packages"
)

// makePackages makes the packages for servers of the programs for Linux, unless they are
// not asked for.
func (r *release) makePackages(ctx context.Context) error {
	var servers []binary
	for _, b := range r.binaries {
		if b.os == "linux" {
			servers = append(servers, b)
		}
	}
	if !r.packages || len(servers) == 0 {
		return nil
	}
	documents := filepath.Join(r.work, "documents")
	program, err := r.program(ctx)
	if err != nil {
		return err
	}
	if err := packages.Documents(ctx, program, documents); err != nil {
		return err
	}
	for _, b := range servers {
		made, err := packages.Build(packages.Options{
			Version: r.version, Arch: b.arch, Program: filepath.Join(r.out, b.name),
			Root: r.source, Documents: documents, Time: r.time, Out: r.out,
		})
		if err != nil {
			return err
		}
		for _, file := range made {
			if err := r.add(filepath.Base(file)); err != nil {
				return err
			}
		}
	}
	return nil
}

// program returns the file of the program for this machine, which is built if it isn't
// part of the release.
func (r *release) program(ctx context.Context) (string, error) {
	here := platform{runtime.GOOS, runtime.GOARCH}
	if i := slices.IndexFunc(r.binaries, func(b binary) bool { return b.platform == here }); i >= 0 {
		return filepath.Join(r.out, r.binaries[i].name), nil
	}
	file := filepath.Join(r.work, r.binaryName(here))
	env := append(slices.Clone(r.env), "GOOS="+here.os, "GOARCH="+here.arch)
	_, err := command(ctx, r.source, env, "go", "build", "-trimpath", "-ldflags", r.ldflags(), "-o", file, "./cmd/reconciler")
	return file, err
}
