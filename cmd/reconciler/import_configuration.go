package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"reconciler/internal/config"
	"reconciler/internal/importer"
	"reconciler/internal/okta/objects"
	"reconciler/internal/reconcile"
	"reconciler/internal/state"
	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
)

// configurationFlags are the flags of import --configuration alone.
type configurationFlags struct {
	manifests string
	kinds     []string
	orgs      []string
}

func (c *configurationFlags) add(f *pflag.FlagSet) {
	f.StringVar(&c.manifests, "manifests", "", "with --configuration: read manifests from the file or folder `PATH` instead of the config's")
	f.StringArrayVar(&c.kinds, "kind", nil, "with --configuration: only objects of this `KIND`, such as networkZones or threatInsight; may be repeated")
	f.StringArrayVar(&c.orgs, "org", nil, "with --configuration: only the org with this `DOMAIN`; may be repeated")
	setValues(f, "kind", kindNames())
}

// kindNames are the values of --kind.
func kindNames() []string {
	var names []string
	for _, k := range objects.Kinds() {
		if k.Parent == nil {
			names = append(names, k.Name)
		}
	}
	return append(names, objects.Settings)
}

// kindsOf returns the kinds that --kind names; all without it.
func kindsOf(names []string) ([]*objects.Kind, error) {
	for _, name := range names {
		if known := kindNames(); !slices.Contains(known, name) {
			return nil, fmt.Errorf("--kind %q: %s", name,
				cmp.Or(strings.TrimPrefix(strictyaml.DidYouMean(name, known), ": "), "must be "+strictyaml.OneOf(known)))
		}
	}
	var kinds []*objects.Kind
	for _, k := range objects.Kinds() {
		named := len(names) == 0 || slices.Contains(names, k.Name) || k.Setting && slices.Contains(names, objects.Settings)
		if k.Parent == nil && named {
			kinds = append(kinds, k)
		}
	}
	return kinds, nil
}

func (f *importFlags) checkConfiguration(changed func(name string) bool) error {
	if f.configuration {
		if changed("split") {
			return withHint("--split and --configuration exclude each other", "with --configuration, the files are those of the manifests")
		}
		_, err := kindsOf(f.kinds)
		return err
	}
	for _, name := range []string{"manifests", "kind", "org"} {
		if changed(name) {
			return fmt.Errorf("--%s needs --configuration", name)
		}
	}
	return nil
}

// importConfiguration adds the configuration of the orgs to their manifests.
func (a *app) importConfiguration(ctx context.Context, flags *importFlags) error {
	kinds, err := kindsOf(flags.kinds)
	if err != nil {
		return err
	}
	r, cfg, err := a.openReader(flags.manifests)
	if err != nil {
		return err
	}
	defer r.Close()
	desired, err := r.Desired(ctx)
	if err != nil {
		return err
	}
	sources, err := desired.Manifests()
	if err != nil {
		return err
	}
	files := make([]importer.File, len(sources))
	for i, s := range sources {
		files[i] = importer.File(s)
	}
	if flags.out == "" && len(files) > 1 {
		return withHint(fmt.Sprintf("the manifests are %d files, which can't all be printed", len(files)), "name a folder for them: --out FOLDER")
	}
	orgs, err := declaredOrgs(desired.State, flags.orgs)
	if err != nil {
		return err
	}
	found, err := r.ReadOrgs(ctx, orgs, kinds)
	if err != nil {
		return err
	}
	read, unread, err := a.wasRead(found)
	if err != nil {
		return err
	}
	result, err := importer.Configuration(files, read, importer.ConfigurationOptions{
		Kinds: kinds,
		Load: func(files []importer.File) (*state.Desired, error) {
			all := make([]state.Source, len(files))
			for i, f := range files {
				all[i] = state.Source(f)
			}
			return reconcile.LoadManifests(all, reconcile.LoadOptions(cfg))
		},
	})
	if err != nil {
		return err
	}
	a.warnOf(result.Warnings)
	if err := a.writeConfiguration(cfg, result, flags); err != nil {
		return err
	}
	if unread > 0 {
		return exitCode(exitPartly)
	}
	return nil
}

// openReader opens what reads manifests and orgs.
func (a *app) openReader(manifests string) (*reconcile.Reconciler, *config.Config, error) {
	logger, err := a.logger()
	if err != nil {
		return nil, nil, err
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return nil, nil, err
	}
	r, err := reconcile.New(cfg, reconcile.Options{Manifests: manifests, Environ: a.environ, Logger: logger, Commands: journalCommands})
	return r, cfg, err
}

// declaredOrgs returns the declared orgs with these domains; all without domains.
func declaredOrgs(desired *state.Desired, domains []string) ([]*state.DesiredOrg, error) {
	var orgs []*state.DesiredOrg
	var known []string
	left := map[string]bool{}
	for _, d := range domains {
		left[strings.ToLower(d)] = true
	}
	for i := range desired.Orgs {
		o := &desired.Orgs[i]
		known = append(known, o.Domain)
		if len(domains) == 0 || left[o.Domain] {
			orgs = append(orgs, o)
		}
		delete(left, o.Domain)
	}
	for _, d := range domains {
		if left[strings.ToLower(d)] {
			return nil, fmt.Errorf("--org %q: the manifests declare no such org%s", d, strictyaml.DidYouMean(strings.ToLower(d), known))
		}
	}
	return orgs, nil
}

// wasRead returns the orgs that runs would read, with what came of reading them, and how
// many couldn't be read. It is an error if no org could.
func (a *app) wasRead(found []reconcile.OrgObjects) (orgs []importer.OrgConfiguration, unread int, err error) {
	var skipped []string
	var first *reconcile.OrgObjects
	for i := range found {
		f := &found[i]
		if f.Skipped {
			skipped = append(skipped, fmt.Sprintf("%s: left as it is: %s", f.Domain, f.Unknown))
			continue
		}
		if f.Live == nil {
			unread++
			if first == nil {
				first = f
			}
			if f.ErrorID != "" {
				a.warn(fmt.Sprintf("%s can't be read: %s (%s)", f.Domain, f.Unknown, f.ErrorID))
			}
		}
		orgs = append(orgs, importer.OrgConfiguration{Domain: f.Domain, Live: f.Live, Unread: f.Unknown})
	}
	a.warnFew(skipped)
	switch {
	case len(orgs) == 0:
		return nil, 0, errors.New("nothing was written: there is no org to read")
	case unread == len(orgs):
		return nil, 0, withHint(fmt.Sprintf("nothing was written: no org (%d) could be read; %s: %s", unread, first.Domain, first.Unknown), first.Hint)
	}
	return orgs, unread, nil
}

// writeConfiguration prints the manifest, or writes the files that are different from
// what is there.
func (a *app) writeConfiguration(cfg *config.Config, result *importer.ConfigurationResult, flags *importFlags) error {
	if flags.out == "" {
		if _, err := a.out.Write(result.Files[0].Data); err != nil {
			return fmt.Errorf("writing to stdout: %w", err)
		}
		return nil
	}
	files := slices.DeleteFunc(slices.Clone(result.Files), func(f importer.File) bool {
		data, err := os.ReadFile(filepath.Join(flags.out, f.Name))
		return err == nil && bytes.Equal(data, f.Data)
	})
	if err := a.writeManifests(files, flags); err != nil {
		return err
	}
	fmt.Fprintf(a.err, "imported the configuration of %s: %s, %s\n",
		text.Plural(result.Orgs, "org"), text.Plural(result.Objects, "object"), text.Plural(len(result.Baselines), "new baseline"))
	return a.checkTogether(cfg, flags.out)
}
