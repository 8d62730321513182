package reconcile

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"reconciler/internal/config"
	"reconciler/internal/diff"
	"reconciler/internal/git/source"
	"reconciler/internal/state"
	"reconciler/internal/text"
)

// Revisions are the manifests of a repository on disk, at any of its revisions.
// Nothing is ever fetched.
type Revisions struct {
	cfg  *config.Config
	repo *source.Repository
	// path is the place of the manifests in the repository.
	path string
	// local is the same place in the work tree, as people would type it; empty
	// if it is not to be read.
	local string
	// head is the revision that is read instead.
	head string
}

// OpenRevisions opens the repository of the manifests: that of the given file or
// folder, or of the one that the config names, else the clone of the config's
// repository that is the working directory, else that repository itself, if it is
// on disk. flag is what hints call the argument manifests. allowed may reject the
// file or folder that is read.
func OpenRevisions(cfg *config.Config, manifests, flag string, allowed func(path string) error) (*Revisions, error) {
	v := &Revisions{cfg: cfg, local: cmp.Or(manifests, cfg.Manifests)}
	switch {
	case v.local != "":
		if err := v.open(v.local, allowed); err != nil {
			return nil, err
		}
		var err error
		v.path, err = v.repo.Rel(v.local)
		return v, err
	case cfg.Git == nil:
		return nil, text.WithHint(errors.New("nothing says where the manifests are"), "name their file or folder with "+flag)
	}
	v.path, v.head = cfg.Git.Path, "HEAD"
	var err error
	v.repo, err = source.OpenRepository(".")
	dir := source.LocalPath(cfg.Git.URL)
	if none := errors.Is(err, source.ErrNotFound) || err == nil && v.repo.Top() == ""; none && dir != "" {
		v.head = cfg.Git.Ref() // if it has no work tree
		if err := v.open(dir, allowed); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, text.WithHint(err, fmt.Sprintf("run this in a clone of %q, or name manifests in a clone with %s", cfg.Git.URL, flag))
	}
	top := v.repo.Top()
	if top == "" {
		return v, nil
	}
	place := filepath.Join(top, filepath.FromSlash(v.path))
	if err := allowed(place); err != nil {
		return nil, err
	}
	v.local = asTyped(place)
	_, err = v.repo.Rel(place) // git follows no links, so neither does the work tree
	return v, err
}

// open opens the repository of a file or folder.
func (v *Revisions) open(path string, allowed func(path string) error) (err error) {
	if err := allowed(path); err != nil {
		return err
	}
	v.repo, err = source.OpenRepository(path)
	return err
}

// asTyped returns a path as a user in the working directory would type it.
func asTyped(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	if wd, err = filepath.EvalSymlinks(wd); err != nil {
		return path
	}
	if rel, err := filepath.Rel(wd, path); err == nil {
		return rel
	}
	return path
}

// OpenFiles returns the manifests of a file or folder, or of the one that the config
// names, without a repository: only [Revisions.Present] can be used.
func OpenFiles(cfg *config.Config, manifests string) *Revisions {
	return &Revisions{cfg: cfg, local: cmp.Or(manifests, cfg.Manifests)}
}

// Place returns the file or folder of the manifests in the work tree, as people would
// type it; empty if there is none.
func (v *Revisions) Place() string { return v.local }

// Tracked returns the path of a file from the top of the work tree, as git has it; the
// file as it is without a repository.
func (v *Revisions) Tracked(file string) string {
	if v.repo != nil {
		if rel, err := v.repo.Rel(file); err == nil {
			return rel
		}
	}
	return file
}

// Present reads the manifests as they are in the work tree.
func (v *Revisions) Present(ctx context.Context) (*Desired, error) { return v.at(ctx, "", "") }

// At reads the manifests at a revision.
func (v *Revisions) At(ctx context.Context, rev string) (*Desired, error) {
	if v.repo == nil {
		return nil, source.ErrNotFound
	}
	commit, err := v.repo.Resolve(rev)
	if err != nil {
		return nil, err
	}
	return v.at(ctx, commit, rev)
}

// Uncommitted returns those of the files, by their names among the manifests, that are
// not as the last commit has them. How lines end doesn't count.
func (v *Revisions) Uncommitted(ctx context.Context, files []state.Source) ([]string, error) {
	commit, err := v.repo.Resolve("HEAD")
	if err != nil {
		return nil, err
	}
	snap, err := v.repo.Snapshot(ctx, commit, v.path, "HEAD")
	if err != nil && !errors.Is(err, source.ErrNotFound) {
		return nil, err
	}
	committed := map[string][]byte{}
	if err == nil {
		all, err := (&Desired{snap: snap}).Manifests()
		if err != nil {
			return nil, err
		}
		for _, f := range all {
			committed[f.Name] = f.Data
		}
	}
	var names []string
	unix := func(data []byte) []byte { return bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")) }
	for _, f := range files {
		if data, ok := committed[f.Name]; !ok || !bytes.Equal(unix(data), unix(f.Data)) {
			names = append(names, f.Name)
		}
	}
	return names, nil
}

// LoadManifests loads manifests that are not written yet.
func (v *Revisions) LoadManifests(all []state.Source) (*state.Desired, error) {
	return LoadManifests(all, v.loadOptions())
}

// Between names two revisions, in git's terms.
type Between struct {
	// Base and Head name them; without a Head it is the files as they are, or,
	// where there is no work tree, what the config follows.
	Base, Head string
	// MergeBase takes the place of Base by where the two parted.
	MergeBase bool
}

// Load returns the desired state at both revisions. A base without manifests
// declares nothing. A base whose manifests have mistakes is replaced by the last
// commit before it that has none, with a warning: that is what a daemon has kept
// in force. The error is a *RefusedError if manifests have mistakes.
func (v *Revisions) Load(ctx context.Context, q Between) (base, head *Desired, err error) {
	from, err := v.repo.Resolve(q.Base)
	if err != nil {
		return nil, nil, err
	}
	name := q.Head
	if name == "" && v.local == "" {
		name = v.head
	}
	var to string
	if name != "" {
		if to, err = v.repo.Resolve(name); err != nil {
			return nil, nil, err
		}
	}
	parted := q.Base
	if q.MergeBase {
		tip := to
		if tip == "" {
			if tip, err = v.repo.Resolve("HEAD"); err != nil {
				return nil, nil, err
			}
		}
		if from, err = v.repo.MergeBase(from, tip); err != nil {
			return nil, nil, err
		}
		parted = source.Short(from)
	}
	// The head first: its mistakes are the ones that can be fixed.
	if head, err = v.at(ctx, to, name); err != nil {
		return nil, nil, err
	}
	if base, err = v.base(ctx, from, parted); err != nil {
		return nil, nil, err
	}
	return base, head, nil
}

// lookBack is how many commits before a base with mistakes are read.
const lookBack = 50

// base reads the manifests of a base, or of the last good commit before it.
func (v *Revisions) base(ctx context.Context, commit, name string) (*Desired, error) {
	d, err := v.baseAt(ctx, commit, name)
	var mistakes *RefusedError
	if !errors.As(err, &mistakes) {
		return d, err
	}
	why := fmt.Sprintf("the manifests of %s have mistakes (%s)", name, ProblemOf(mistakes).Error)
	at := commit
	for range lookBack {
		at, err = v.repo.Resolve(at + "^")
		switch {
		case errors.Is(err, source.ErrNotFound): // that was the first commit
			return nothing(commit, why+", and so have those of every commit before it: taken to declare nothing"), nil
		case errors.Is(err, source.ErrIncomplete):
			return nil, text.WithHint(
				errors.New("nothing to compare with: "+why+", and no commit before it without any is in this clone"),
				`"git fetch --deepen=50" gets more of the history`,
			)
		case err != nil:
			return nil, err
		}
		d, err = v.baseAt(ctx, at, source.Short(at))
		if errors.As(err, new(*RefusedError)) {
			continue
		}
		if err == nil {
			d.Warnings = append(d.Warnings, fmt.Sprintf("%s: compared with %s, the last commit before it without any", why, source.Short(at)))
		}
		return d, err
	}
	return nil, text.WithHint(
		fmt.Errorf("nothing to compare with: %s, and so have those of the %d commits before it", why, lookBack),
		"name a base from before that",
	)
}

// baseAt reads the manifests at a commit, which need not have any. name is what
// the user called it.
func (v *Revisions) baseAt(ctx context.Context, commit, name string) (*Desired, error) {
	snap, err := v.repo.Snapshot(ctx, commit, v.path, name)
	if errors.Is(err, source.ErrNotFound) || err == nil && !holdsManifests(snap) {
		return nothing(commit, fmt.Sprintf("%s has no manifests at %q: all that is declared is taken for new", name, v.path)), nil
	}
	if err != nil {
		return nil, err
	}
	d, err := LoadDesired(snap, v.loadOptions())
	if err == nil {
		d.Warnings = nil // they were shown when it was reviewed
	}
	return d, err
}

// nothing is the desired state of a commit that declares none.
func nothing(commit, why string) *Desired {
	return &Desired{State: &state.Desired{}, Commit: commit, Warnings: []string{why}}
}

// holdsManifests reports whether there is any file that is read as one. A folder
// that is kept for later manifests is no mistake.
func holdsManifests(snap *source.Snapshot) bool {
	return snap.Files == nil || slices.ContainsFunc(snap.Files, func(name string) bool {
		return slices.Contains([]string{".yaml", ".yml"}, path.Ext(name))
	})
}

// at reads the manifests at a commit, which the user called name; without one, the
// files as they are.
func (v *Revisions) at(ctx context.Context, commit, name string) (*Desired, error) {
	var snap *source.Snapshot
	var err error
	if commit == "" {
		snap, err = source.Local(v.local)
	} else {
		snap, err = v.repo.Snapshot(ctx, commit, v.path, name)
	}
	if err != nil {
		return nil, err
	}
	return LoadDesired(snap, v.loadOptions())
}

// loadOptions returns what manifests may refer to of the config: anything, if
// there is none.
func (v *Revisions) loadOptions() state.LoadOptions {
	if len(v.cfg.Parents) == 0 && v.cfg.File == "" {
		return state.LoadOptions{}
	}
	return LoadOptions(v.cfg)
}

// CompareDeclared compares two desired states without the actual one; see
// diff.CompareDeclared.
func CompareDeclared(cfg *config.Config, base, head *Desired, f Filter) (*diff.Plan, error) {
	plan, err := diff.CompareDeclared(base.State, head.State, diff.Options{
		Account:  cfg.Aerial.AccountID,
		Base:     base.Commit,
		BaseNote: strings.Join(base.Warnings, "; "),
		Revision: head.Commit,
		Guards:   guardsOf(cfg),
		Filter:   f,
	})
	if err != nil {
		return nil, &RefusedError{head.Commit, err}
	}
	return plan, nil
}
