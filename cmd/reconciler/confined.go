package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"reconciler/internal/git/source"
)

// confinement keeps what is read to the clone around the working directory. In
// CI that is somebody's change, and what is said of it may be published: a
// symbolic link in it, or a path in its config, would have any file of the
// machine read. The zero confinement lets everything pass.
type confinement struct{ repo *source.Repository }

// confinedUsage describes the flag that asks for it.
const confinedUsage = "refuse what a link or the config takes from outside of the clone around the working directory"

// confine gives the confinement, if it is asked for, and refuses a config behind
// a symbolic link in a clone. One that lies elsewhere was chosen by who runs the
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
