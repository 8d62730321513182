package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"reconciler/internal/config"
	"reconciler/internal/git/source"
	"reconciler/internal/reconcile"
	"reconciler/internal/report/findings"
	"reconciler/internal/state"
	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
)

func (a *app) validateCommand() *cobra.Command {
	var out outputs[findings.Format]
	var confined bool
	var explain string
	cmd := &cobra.Command{
		Use:   "validate [PATH...]",
		Short: "Check manifests, and print all mistakes; needs no credentials",
		Long: `Check the manifests in the given files and folders, together as one desired
state. Without a PATH, check those that the config names; if they are in git,
check that path in the clone around the working directory. If there is a config,
it is checked too, and the names of parents against it. No connection is made.

All mistakes and warnings are printed, and a mistake makes the exit code 1. With
-o github they are annotations of a pull request, with -o sarif a report for code
scanning; paths in both are relative to the repository.

With --explain, print what an org ends up with, where there is no mistake: defaults
and baselines laid over each other, each value with the file and line that it comes
from.`,
		RunE: func(_ *cobra.Command, args []string) error { return a.validate(args, confined, explain, &out) },
	}
	cmd.Flags().BoolVar(&confined, "confined", false, confinedUsage)
	cmd.Flags().StringVar(&explain, "explain", "", "print what the org with this `DOMAIN` ends up with, and from where")
	out.add(cmd.Flags(), findings.Formats(), findings.ParseFormat)
	return cmd
}

func (a *app) validate(paths []string, confined bool, explain string, out *outputs[findings.Format]) error {
	if err := out.parse(); err != nil {
		return err
	}
	if explain != "" && out.stdout != findings.Text {
		return withHint("--explain prints text", "leave out -o, or print the findings with another call")
	}
	defer out.close()
	if err := out.open(); err != nil {
		return err
	}
	c := &checked{config: a.configPath}
	if in, err := a.confine(confined); err != nil {
		c.fail(err, findings.ConfigError, findings.ConfigUnreadable)
	} else {
		a.check(c, paths, in)
	}
	if explain != "" {
		c.explain = func(w io.Writer) error { return state.Explain(w, c.desired, explain) }
	}
	return a.writeFindings(c, out)
}

// checked is the result of a check.
type checked struct {
	config   string
	errs     []error
	warnings []string
	report   findings.Report
	// desired is nil if there are mistakes.
	desired *state.Desired
	// explain, where not nil, writes what takes the place of the report's summary.
	explain func(io.Writer) error
}

// fail adds an error of manifests or config. Errors with a position become one
// finding each.
func (c *checked) fail(err error, mistake, unreadable findings.Rule) {
	c.errs = append(c.errs, err)
	errs, ok := strictyaml.AsErrors(err)
	if !ok {
		c.report.Findings = append(c.report.Findings, findings.Finding{
			Level: findings.Error, Rule: findings.InputError, Message: err.Error(), Hint: text.Hint(err),
		})
	}
	for _, e := range errs {
		rule := mistake
		if e.Cut {
			rule = unreadable
		}
		c.report.Findings = append(c.report.Findings, c.finding(findings.Error, rule, e.Pos, e.Msg))
	}
}

// finding returns a finding at a position. Positions of the config may name an
// environment variable instead of a file.
func (c *checked) finding(l findings.Level, rule findings.Rule, pos strictyaml.Pos, msg string) findings.Finding {
	inConfig := rule == findings.ConfigError || rule == findings.ConfigUnreadable || rule == findings.ConfigWarning
	if inConfig && pos.File != c.config {
		return findings.Finding{Level: l, Rule: rule, Message: pos.File + ": " + msg}
	}
	return findings.Finding{Level: l, Rule: rule, File: pos.File, Line: pos.Line, Column: pos.Column, Message: msg}
}

// check checks config and manifests. Manifests are checked even if the config has
// errors; but what the config says of them isn't known then.
func (a *app) check(c *checked, paths []string, in confinement) {
	var opts state.LoadOptions
	cfg, failed := a.checkConfig(c)
	if cfg != nil {
		opts = reconcile.LoadOptions(cfg)
	}
	if len(paths) == 0 {
		if failed {
			return
		}
		path, err := a.declaredPath(cfg)
		if err != nil {
			c.fail(err, findings.ManifestError, findings.ManifestUnreadable)
			return
		}
		paths = []string{path}
	}
	inputs, ok := c.inputs(paths, in)
	if !ok {
		return
	}
	desired, warnings, err := state.Load(inputs, opts)
	for _, w := range warnings {
		c.warnings = append(c.warnings, w.String())
		c.report.Findings = append(c.report.Findings, findings.Finding{
			Level: findings.Warning, Rule: findings.ManifestWarning, File: w.File, Line: w.Line, Column: w.Column, Message: w.Msg,
		})
	}
	if err != nil {
		c.fail(err, findings.ManifestError, findings.ManifestUnreadable)
		return
	}
	c.desired = desired
	c.report.Orgs, c.report.Products = len(desired.Orgs), len(desired.Products)
}

// checkConfig reads the config, if there is one, and reports whether it is bad.
func (a *app) checkConfig(c *checked) (cfg *config.Config, failed bool) {
	if _, err := os.Stat(a.configPath); err != nil {
		if a.configPath == defaultConfig && errors.Is(err, os.ErrNotExist) {
			return nil, false
		}
	}
	cfg, warnings, err := config.Load(a.configPath, a.environ)
	for _, w := range warnings {
		c.warnings = append(c.warnings, w.String())
		c.report.Findings = append(c.report.Findings, c.finding(findings.Warning, findings.ConfigWarning, w.Pos, w.Msg))
	}
	if err != nil {
		c.fail(err, findings.ConfigError, findings.ConfigUnreadable)
		return nil, true
	}
	return cfg, false
}

// inputs opens the files and folders, and reports whether all are there: without
// one, what it declares would seem to be missing from the others.
func (c *checked) inputs(paths []string, in confinement) ([]state.Input, bool) {
	var inputs []state.Input
	for _, path := range paths {
		var snapshot *source.Snapshot
		err := in.manifests(path)
		if err == nil {
			snapshot, err = source.Local(path)
		}
		if err != nil {
			c.fail(err, findings.ManifestError, findings.ManifestUnreadable)
			continue
		}
		inputs = append(inputs, state.Input{FS: snapshot.FS, Root: snapshot.Root, Name: snapshot.Name})
	}
	return inputs, len(inputs) == len(paths)
}

// declaredPath returns the file or folder that the config names, of which there
// may be none. A path in git is looked for in the clone around the working
// directory: what a pull request changes is checked where it is checked out.
func (a *app) declaredPath(cfg *config.Config) (string, error) {
	const missing, hint = "no manifests to check", "name a file or a folder: reconciler validate orgs/"
	switch {
	case cfg == nil || cfg.Manifests == "" && cfg.Git == nil:
		return "", withHint(missing, hint)
	case cfg.Manifests != "":
		return cfg.Manifests, nil
	}
	dir, top := clone()
	if top == "" {
		return "", withHint(missing+": the config takes them from git, and the working directory is in no clone", hint)
	}
	in := cfg.Git.Path
	if in == "" {
		in = "."
	}
	path := filepath.Join(top, filepath.FromSlash(in))
	if _, err := os.Stat(path); err != nil {
		if _, err := source.Local(path); errors.Is(err, source.ErrIncomplete) {
			return "", err
		}
		return "", withHint(fmt.Sprintf("%s: the config takes them from %q in git, which the clone at %q doesn't have", missing, in, top), hint)
	}
	if linked(top, in) {
		return "", withHint(fmt.Sprintf("%q in the clone at %q is behind a symbolic link", in, top),
			"git follows no links in a repository: make it a folder again")
	}
	if rel, err := filepath.Rel(dir, path); err == nil {
		path = rel
	}
	fmt.Fprintf(a.err, "checking %q of the clone at %q, as "+config.KeyGitPath+" says\n", in, top)
	return path, nil
}

// linked reports whether a symbolic link in the clone leads to the path, which git
// would not follow. Links that lead to the clone itself are fine.
func linked(top, path string) bool {
	top, err := filepath.EvalSymlinks(top)
	if err != nil {
		return true
	}
	path = filepath.Join(top, filepath.FromSlash(path))
	place, err := filepath.EvalSymlinks(path)
	return err != nil || place != path
}

// clone returns the working directory and the top of the clone that it is in;
// each is empty if it is unknown. In a linked worktree or a submodule, .git is a
// file.
func clone() (dir, top string) {
	dir, err := os.Getwd()
	if err != nil {
		return "", ""
	}
	for top = dir; ; top = filepath.Dir(top) {
		if _, err := os.Lstat(filepath.Join(top, ".git")); err == nil {
			return dir, top
		}
		if top == filepath.Dir(top) {
			return dir, ""
		}
	}
}

// writeFindings writes the findings in all formats, and returns the error that stands
// for the exit code.
func (a *app) writeFindings(c *checked, out *outputs[findings.Format]) error {
	r := c.report
	r.Version = versionString()
	// Outside of a clone, the workspace of a GitHub job is what paths start at.
	if r.Dir, r.Top = clone(); r.Top == "" {
		r.Top = a.getenv("GITHUB_WORKSPACE", r.Dir)
	}
	failed := out.writeFiles(func(w io.Writer, f findings.Format) error { return findings.Write(w, f, r) })

	// In the log of a GitHub job stdout and stderr are one, and its workflow
	// commands contain all that the text would.
	if out.stdout != findings.GitHub {
		for _, w := range c.warnings {
			a.warn(w)
		}
		for _, err := range c.errs {
			printError(a.err, err)
		}
	}
	var err error
	switch {
	case out.stdout != findings.Text:
		err = findings.Write(a.out, out.stdout, r)
	case r.Valid() && c.explain != nil:
		err = c.explain(a.out)
	case r.Valid():
		_, err = fmt.Fprintln(a.out, r.Summary())
	}
	switch {
	case err != nil && c.explain != nil:
		return err
	case err != nil:
		return fmt.Errorf("writing to stdout: %w", err)
	case failed != nil:
		return failed
	case !r.Valid():
		return exitCode(exitError)
	}
	return nil
}
