package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"reconciler/internal/config"
	"reconciler/internal/git/source"
	"reconciler/internal/importer"
	"reconciler/internal/reconcile"
	"reconciler/internal/state"
	"reconciler/internal/strictyaml"
)

type importFlags struct {
	out   string
	split string
	force bool

	configuration bool
	configurationFlags
}

func (a *app) importCommand() *cobra.Command {
	var flags importFlags
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Write manifests that describe the account",
		Long: `Read the account and write manifests that describe it, to stdout or into a
folder. What many orgs share is written once. Afterwards "reconciler diff" finds
no difference.

A token for okta.accounts.read is requested, which can't write.

With --configuration, read what the orgs of the manifests are configured with, by
the way in that "access" says, and write the manifests once more: what several
orgs share is added as baselines, and the rest becomes their configuration. Existing
baselines stay, and so does all else. What a manifest can't declare is left out,
with a comment. Scopes for reading alone are requested.

Exit codes: 0 done; 1 on errors, or if the products of no org could be read (with
--configuration: no org), nothing was written; 4 the products of some orgs could not
be read: the manifests say so, don't manage them, and overwrite no others (with
--configuration: some orgs, whose lines stay as they were).`,
		Example: `  reconciler import > orgs.yaml
  reconciler import --out orgs --split cell
  reconciler import --configuration --manifests orgs --out orgs --force`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := flags.check(cmd.Flags().Changed); err != nil {
				return err
			}
			if flags.configuration {
				return a.importConfiguration(cmd.Context(), &flags)
			}
			return a.importAccount(cmd.Context(), &flags)
		},
	}
	f := cmd.Flags()
	f.StringVar(&flags.out, "out", "", "write into this `FOLDER`, which is created if it is missing")
	f.StringVar(&flags.split, "split", "", "with --out: one file for each `cell|status`, and one with what they share")
	setValues(f, "split", []string{"cell", "status"})
	f.BoolVar(&flags.force, "force", false, "with --out: overwrite existing files")
	f.BoolVar(&flags.configuration, "configuration", false, "add the configuration of the orgs to the manifests")
	flags.configurationFlags.add(f)
	return cmd
}

func (f *importFlags) check(changed func(name string) bool) error {
	if err := f.checkConfiguration(changed); err != nil {
		return err
	}
	splits := []string{string(importer.ByCell), string(importer.ByStatus)}
	switch f.split {
	case "", splits[0], splits[1]:
	default:
		return fmt.Errorf("--split %q: must be %s", f.split, strictyaml.OneOf(splits))
	}
	if f.out == "" && f.split != "" {
		return withHint("--split needs --out", "several files need a folder: --out orgs")
	}
	if f.out == "" && f.force {
		return errors.New("--force needs --out: nothing is overwritten without it")
	}
	if info, err := os.Stat(f.out); err == nil && !info.IsDir() {
		return fmt.Errorf("--out %q: this is a file, and must be a folder", f.out)
	}
	return nil
}

func (a *app) importAccount(ctx context.Context, flags *importFlags) error {
	logger, err := a.logger()
	if err != nil {
		return err
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	r, err := reconcile.New(cfg, reconcile.Options{Logger: logger, NoManifests: true, Commands: journalCommands})
	if err != nil {
		return err
	}
	defer r.Close()
	actual, err := r.Actual(ctx)
	if err != nil {
		return err
	}
	result, err := importer.Manifests(actual, importOptions(cfg, flags))
	if err != nil {
		return err
	}
	a.warnOf(result.Warnings)
	if result.Unread > 0 && result.Unread == result.Orgs {
		return withHint(fmt.Sprintf("nothing was written: the products of no org (%d) could be read, and manifests without them would manage none", result.Orgs),
			"see what the service app may do in Okta: it needs an admin role that covers the orgs")
	}
	if flags.out == "" {
		if _, err := a.out.Write(result.Files[0].Data); err != nil {
			return fmt.Errorf("writing to stdout: %w", err)
		}
		return whole(result)
	}
	if result.Unread > 0 {
		// What is there may manage the products that could not be read now.
		if err := noneThere(result.Files, flags.out); err != nil {
			return withHint(fmt.Sprintf("%v: the products of %d of %d orgs could not be read, and would not be managed any more", err, result.Unread, result.Orgs),
				"name another folder, or import again when they can be read")
		}
	}
	if err := a.writeManifests(result.Files, flags); err != nil {
		return err
	}
	fmt.Fprintf(a.err, "imported %d orgs and %d products\n", result.Orgs, result.Products)
	if err := a.checkTogether(cfg, flags.out); err != nil {
		return err
	}
	return whole(result)
}

// whole returns exit code 4 as an error if the products of some orgs are missing.
func whole(r *importer.Result) error {
	if r.Unread > 0 {
		return exitCode(exitPartly)
	}
	return nil
}

func importOptions(cfg *config.Config, flags *importFlags) importer.Options {
	opts := importer.Options{
		Split:        importer.Split(flags.split),
		AerialDomain: config.OktaDomain(cfg.Aerial.Auth.OrgURL),
	}
	for i := range cfg.Parents {
		if domain := cfg.Parents[i].Domain; domain != "" {
			opts.ParentDomains = append(opts.ParentDomains, domain)
		}
	}
	return opts
}

// maxWarnings is how many warnings are printed. All of them are in the manifests.
const maxWarnings = 20

func (a *app) warnOf(warnings []string) {
	shown := warnings
	if len(warnings) > maxWarnings {
		shown = warnings[:maxWarnings]
	}
	for _, w := range shown {
		fmt.Fprintf(a.err, "warning: %s\n", w)
	}
	if more := len(warnings) - len(shown); more > 0 {
		fmt.Fprintf(a.err, "warning: and %d more, which stand in the manifests as comments\n", more)
	}
}

// writeManifests writes the files and prints their paths on stdout. Nothing is
// written when one of them is there already.
func (a *app) writeManifests(files []importer.File, flags *importFlags) error {
	if !flags.force {
		if err := noneThere(files, flags.out); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(flags.out, 0o755); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	for _, f := range files {
		path := filepath.Join(flags.out, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("--out: %w", err)
		}
		if err := replaceFile(path, f.Data); err != nil {
			return fmt.Errorf("--out: %w", err)
		}
		fmt.Fprintln(a.out, path)
	}
	return nil
}

func noneThere(files []importer.File, dir string) error {
	var there []string
	for _, f := range files {
		path := filepath.Join(dir, f.Name)
		switch _, err := os.Lstat(path); {
		case err == nil:
			there = append(there, fmt.Sprintf("%q", path))
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("--out: %w", err)
		}
	}
	if len(there) == 0 {
		return nil
	}
	return withHint("not overwritten: "+strings.Join(there, ", "), "name another folder, or give --force to overwrite them")
}

// replaceFile replaces a file as a whole, or leaves it as it was.
func replaceFile(path string, data []byte) error { return replaceWith(path, data, 0o644) }

// replaceWith is replaceFile with the permissions of the file.
func replaceWith(path string, data []byte, mode fs.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// checkTogether loads the folder. The imported files load by themselves; others
// that were there before may contradict them.
func (a *app) checkTogether(cfg *config.Config, dir string) error {
	snapshot, err := source.Local(dir)
	if err != nil {
		return err
	}
	in := state.Input{FS: snapshot.FS, Root: snapshot.Root, Name: snapshot.Name}
	_, warnings, err := state.Load([]state.Input{in}, reconcile.LoadOptions(cfg))
	for _, w := range warnings {
		fmt.Fprintf(a.err, "warning: %s\n", w)
	}
	if err != nil {
		fmt.Fprintf(a.err, "warning: other manifests in %q contradict the imported ones:\n", dir)
	}
	return err
}
