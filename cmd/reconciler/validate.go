package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"reconciler/internal/source"
	"reconciler/internal/state"
)

func (a *app) validateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "validate [PATH...]",
		Short: "Check manifests, and print every mistake; needs no credentials",
		Long: `Check the manifests in the given files and folders, all together as one desired
state. Without a PATH it takes the folder that the config names. It talks to
nobody. Where there is a config, the names of parents are checked against it.`,
		RunE: func(_ *cobra.Command, args []string) error { return a.validate(args) },
	}
}

func (a *app) validate(paths []string) error {
	var opts state.LoadOptions
	switch _, err := os.Stat(a.configPath); {
	case err == nil:
		cfg, err := a.loadConfig()
		if err != nil {
			return err
		}
		opts.Parents = []string{} // known to be none, which is not "not known"
		for _, p := range cfg.Parents {
			opts.Parents = append(opts.Parents, p.Name)
		}
		if len(paths) == 0 && cfg.Manifests != "" {
			paths = []string{cfg.Manifests}
		}
	case a.configPath != defaultConfig:
		return err
	}
	if len(paths) == 0 {
		return withHint("no manifests to check", "name a file or a folder: reconciler validate orgs/")
	}

	var inputs []state.Input
	var failed error
	for _, path := range paths {
		snapshot, err := source.Local(path)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		inputs = append(inputs, state.Input{FS: snapshot.FS, Root: snapshot.Root, Name: snapshot.Name})
	}
	if failed != nil {
		return failed
	}
	desired, warnings, err := state.Load(inputs, opts)
	for _, w := range warnings {
		a.warn(w.String())
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "valid: %d orgs, %d products\n", len(desired.Orgs), len(desired.Products))
	return nil
}
