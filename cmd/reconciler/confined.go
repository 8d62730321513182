package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"reconciler/internal/config"
	"reconciler/internal/git/source"
)

// confinement restricts what is read to the clone around the working directory. In
// CI the clone is a change by anyone, and the output may be published: a symbolic
// link in it, or a path in its config, could make the program read any file of the
// machine. The zero confinement restricts nothing.
type confinement struct{ repo *source.Repository }

// confinedUsage describes the flag that asks for it.
const confinedUsage = "reject manifests and a config that resolve to outside of the clone around the working directory"

// confine returns the confinement, if confined is set, and refuses a config behind a
// symbolic link in the clone. One outside of the clone was chosen by who runs the
// program, and not by the change.
func (a *app) confine(confined bool) (confinement, error) {
	if !confined {
		return confinement{}, nil
	}
	repo, err := source.OpenRepository(".")
	if err != nil {
		return confinement{}, err
	}
	if _, err := repo.Rel(a.configPath); err != nil && !errors.Is(err, source.ErrNotFound) {
		return confinement{}, err
	}
	return confinement{repo}, nil
}

// programs refuses a config that has a program run which the change could have brought.
func (c confinement) programs(cfg *config.Config) error {
	if c.repo == nil {
		return nil
	}
	return cfg.CheckPrograms(func(path string) error {
		rel, err := c.repo.Rel(path)
		switch {
		case errors.Is(err, source.ErrNotFound):
			return nil
		case err != nil:
			return err
		}
		return withHint(fmt.Sprintf("%q is in the clone, and so what a change makes of it", rel), "keep programs outside of the clone, or compare the manifests alone (--offline)")
	})
}

// manifests refuses a file or folder that is not in the work tree, or belongs to
// git, which keeps tokens there.
func (c confinement) manifests(path string) error {
	if c.repo == nil {
		return nil
	}
	rel, err := c.repo.Rel(path)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(strings.Split(rel, "/"), func(name string) bool { return strings.EqualFold(name, ".git") }) {
		return withHint(fmt.Sprintf("%q belongs to git, and holds no manifests", path), "name the folder with the manifests")
	}
	return nil
}
