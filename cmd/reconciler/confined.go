package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

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
