package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"reconciler/internal/config"
	"reconciler/internal/diff"
	"reconciler/internal/git/source"
	"reconciler/internal/reconcile"
	"reconciler/internal/report"
	"reconciler/internal/state"
	"reconciler/internal/state/edit"
	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
)

// editFlags are those of the commands that edit manifests.
type editFlags struct {
	manifests string
	out       string
	format    string
}

func (f *editFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.manifests, "manifests", "", "edit the manifests in the file or folder `PATH` instead of the config's")
	flags.StringVar(&f.out, "out", "", "write the changed files into this `FOLDER` instead")
	flags.StringVarP(&f.format, "output", "o", "text", "`FORMAT` on stdout: text, json")
	setValues(flags, "output", []string{"text", "json"})
}

func (f *editFlags) check() error {
	if names := []string{"text", "json"}; f.format != names[0] && f.format != names[1] {
		return fmt.Errorf("-o %q: must be %s%s", f.format, strictyaml.OneOf(names), strictyaml.DidYouMean(f.format, names))
	}
	if info, err := os.Stat(f.out); f.out != "" && err == nil && !info.IsDir() {
		return fmt.Errorf("--out %q: this is a file, and must be a folder", f.out)
	}
	return nil
}

// manifestFiles are the manifests that a command edits.
type manifestFiles struct {
	*reconcile.Revisions
	app     *app
	cfg     *config.Config
	flags   *editFlags
	desired *reconcile.Desired
	sources []state.Source
}

// openManifests reads the manifests of the clone that the command stands in.
func (a *app) openManifests(ctx context.Context, cfg *config.Config, f *editFlags) (*manifestFiles, error) {
	anything := func(string) error { return nil }
	revisions, err := reconcile.OpenRevisions(cfg, f.manifests, "--manifests", anything)
	switch {
	case errors.Is(err, source.ErrNotFound) && f.out != "" && cmp.Or(f.manifests, cfg.Manifests) != "":
		revisions = reconcile.OpenFiles(cfg, f.manifests) // nothing there is changed
	case errors.Is(err, source.ErrNotFound) && cmp.Or(f.manifests, cfg.Manifests) != "":
		return nil, text.WithHint(err, "manifests are edited in a git clone, so that the edit can be looked at and taken back; with --out FOLDER, the changed files are written there")
	case err != nil:
		return nil, err
	case revisions.Place() == "":
		return nil, withHint("this repository has no work tree, so there are no files to edit", "run this in a clone")
	}
	m := &manifestFiles{Revisions: revisions, app: a, cfg: cfg, flags: f}
	if m.desired, err = revisions.Present(ctx); err != nil {
		return nil, err
	}
	m.sources, err = m.desired.Manifests()
	return m, err
}

// edited is what a command has edited.
type edited struct {
	*edit.Result
	// notes are all notes, those of the task too.
	notes   []string
	plan    *diff.Plan
	message string
}

// edit carries out a task, and returns what would be written.
func (m *manifestFiles) edit(task *edit.Task) (*edited, error) {
	result, err := edit.Apply(m.sources, task.Changes, m.LoadManifests)
	if err != nil {
		return nil, err
	}
	edit.Locate(task.Left, result.After)
	result.Left = append(result.Left, task.Left...)
	for i := range result.Left {
		result.Left[i].Pos.File = m.shown(result.Left[i].Pos.File)
	}
	r := &edited{Result: result, notes: task.Notes}
	for _, n := range result.Notes {
		n.Pos.File = m.shown(n.Pos.File)
		r.notes = append(r.notes, n.String())
	}
	r.plan, err = reconcile.CompareDeclared(m.cfg, &reconcile.Desired{State: result.Before}, &reconcile.Desired{State: result.After}, reconcile.Filter{})
	if err == nil {
		// What guards say depends on what is live: what is adopted is live already, and the
		// way back of a run is not counted.
		r.plan.Refusals = nil
	}
	return r, err
}

// place returns the path of one of the manifests on disk.
func (m *manifestFiles) place(name string) string {
	if info, err := os.Stat(m.Place()); err == nil && !info.IsDir() {
		return m.Place()
	}
	return filepath.Join(m.Place(), filepath.FromSlash(name))
}

// shown returns what messages call one of the manifests.
func (m *manifestFiles) shown(name string) string {
	if name == "" {
		return ""
	}
	return filepath.ToSlash(m.place(name))
}

// before returns a file as it is.
func (m *manifestFiles) before(name string) state.Source {
	for _, s := range m.sources {
		if s.Name == name {
			return s
		}
	}
	return state.Source{Name: name}
}

// finish writes the changed files, and the report.
func (m *manifestFiles) finish(ctx context.Context, r *edited) error {
	if err := m.write(ctx, r.Files); err != nil {
		return err
	}
	var err error
	if m.flags.format == "json" {
		err = m.writeJSON(r)
	} else {
		err = m.writeText(r)
	}
	if err != nil {
		return fmt.Errorf("writing to stdout: %w", err)
	}
	return nil
}

// write writes the changed files: into the folder of --out, or in place, if they are as
// the last commit has them.
func (m *manifestFiles) write(ctx context.Context, files []state.Source) error {
	if len(files) == 0 {
		return nil
	}
	var old []state.Source
	for _, f := range files {
		old = append(old, m.before(f.Name))
	}
	if m.flags.out == "" {
		names, err := m.Uncommitted(ctx, old)
		if err != nil {
			return err
		}
		if len(names) > 0 {
			for i := range names {
				names[i] = fmt.Sprintf("%q", m.shown(names[i]))
			}
			return withHint("nothing was edited: there are uncommitted changes in "+strings.Join(names, ", "), "commit or stash them first; with --out FOLDER, the changed files are written there")
		}
	}
	all := make([]replacement, len(files))
	for i, f := range files {
		var err error
		if all[i], err = m.replacement(&f, old[i].Data); err != nil {
			return err
		}
	}
	if err := replaceAll(all); err != nil {
		return err
	}
	for i := range all {
		fmt.Fprintf(m.app.err, "edited %s\n", all[i].path)
	}
	return nil
}

// replacement is a file that is to be written in the place of another one.
type replacement struct {
	path      string
	mode      fs.FileMode
	old, data []byte
	// new is set if there is nothing to put back.
	new bool
}

// replacement returns where a changed file is to be written, in place only if it is still
// as it was read.
func (m *manifestFiles) replacement(f *state.Source, read []byte) (replacement, error) {
	if m.flags.out != "" {
		path := filepath.Join(m.flags.out, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return replacement{}, fmt.Errorf("--out: %w", err)
		}
		return replacement{path: path, mode: 0o644, data: f.Data, new: true}, nil
	}
	path, err := filepath.EvalSymlinks(m.place(f.Name)) // a link must stay one
	if err != nil {
		return replacement{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return replacement{}, err
	}
	now, err := os.ReadFile(path)
	if err != nil {
		return replacement{}, err
	}
	if !bytes.Equal(now, read) {
		return replacement{}, withHint(fmt.Sprintf("%q has changed while it was being edited", path), "run the command again")
	}
	return replacement{path: path, mode: info.Mode().Perm(), old: now, data: f.Data}, nil
}

// replaceAll replaces all files, or leaves them as they were.
func replaceAll(all []replacement) error {
	for i := range all {
		err := replaceWith(all[i].path, all[i].data, all[i].mode)
		if err == nil {
			continue
		}
		for _, done := range all[:i] {
			if !done.new {
				err = errors.Join(err, replaceWith(done.path, done.old, done.mode))
			}
		}
		return err
	}
	return nil
}

func (m *manifestFiles) writeText(r *edited) error {
	w := &bytes.Buffer{}
	for _, f := range r.Files {
		io.WriteString(w, edit.Unified(m.Tracked(m.place(f.Name)), m.before(f.Name).Data, f.Data))
	}
	section := func(title string, lines []string) {
		if len(lines) == 0 {
			return
		}
		fmt.Fprintf(w, "\n%s\n", title)
		for _, l := range lines {
			fmt.Fprintf(w, "  %s\n", text.Visible(l))
		}
	}
	section("Worth knowing:", r.notes)
	var left []string
	for _, l := range r.Left {
		left = append(left, l.String())
	}
	section("Left as it is:", left)
	if len(r.Files) > 0 {
		fmt.Fprintf(w, "\nWhat the edit means:\n\n")
		if err := report.Write(w, report.Text, report.Data{Plan: r.plan, Color: m.app.color(m.app.out)}); err != nil {
			return err
		}
		section("Suggested commit message:", strings.Split(strings.TrimSpace(r.message), "\n"))
	}
	_, err := m.app.out.Write(bytes.TrimPrefix(w.Bytes(), []byte("\n")))
	return err
}

// editedJSON is the JSON of what a command has edited.
type editedJSON struct {
	Files   []editedFile `json:"files"`
	Notes   []string     `json:"notes"`
	Left    []leftJSON   `json:"left"`
	Plan    *diff.Plan   `json:"plan"`
	Message string       `json:"message"`
}

type editedFile struct {
	File string `json:"file"`
	Diff string `json:"diff"`
}

type leftJSON struct {
	Org    string `json:"org"`
	What   string `json:"what"`
	Reason string `json:"reason"`
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

func (m *manifestFiles) writeJSON(r *edited) error {
	out := editedJSON{Files: []editedFile{}, Notes: append([]string{}, r.notes...), Left: []leftJSON{}, Plan: r.plan, Message: r.message}
	for _, f := range r.Files {
		out.Files = append(out.Files, editedFile{m.shown(f.Name), edit.Unified(m.Tracked(m.place(f.Name)), m.before(f.Name).Data, f.Data)})
	}
	for _, l := range r.Left {
		out.Left = append(out.Left, leftJSON{l.Org, l.What, l.Reason, l.Pos.File, l.Pos.Line, l.Pos.Column})
	}
	return writeJSONValue(m.app.out, out)
}

// productName returns the name that manifests have for a product, or its id.
func productName(d *state.Desired) func(id string) string {
	names := state.ProductNames(d.Products)
	return func(id string) string { return cmp.Or(names[id], id) }
}
