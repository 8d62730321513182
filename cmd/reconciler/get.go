package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"reconciler/internal/config"
	"reconciler/internal/diff"
	"reconciler/internal/okta/objects"
	"reconciler/internal/reconcile"
	"reconciler/internal/report"
	"reconciler/internal/state"
	"reconciler/internal/strictyaml"
)

func (a *app) getCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "get NOUN",
		Short: "List orgs, products, drift, runs, changes or features",
		Long:  "List what there is, what differs and what happened. Never writes.",
		Args:  oneNoun,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.getOrgsCommand(), a.getProductsCommand(), a.getDriftCommand(), a.getRunsCommand(), a.getChangesCommand(), a.getFeaturesCommand())
	return cmd
}

// oneNoun refuses arguments of get itself, which can only be mistyped nouns.
func oneNoun(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var nouns []string
	for _, c := range cmd.Commands() {
		nouns = append(nouns, c.Name())
	}
	return fmt.Errorf("get %q: %s", args[0], cmp.Or(strings.TrimPrefix(strictyaml.DidYouMean(args[0], nouns), ": "), "must be "+strictyaml.OneOf(nouns)))
}

// featureFlags are the flags of get features.
type featureFlags struct {
	manifests, output string
	orgs              []string
}

// featureFormats are the formats of get features, the default one first.
func featureFormats() map[string]func(io.Writer, *report.Features) error {
	return map[string]func(io.Writer, *report.Features) error{
		"table": report.WriteFeatures, "json": report.WriteFeaturesJSON, "csv": report.WriteFeaturesCSV,
	}
}

func (a *app) getFeaturesCommand() *cobra.Command {
	var flags featureFlags
	cmd := &cobra.Command{
		Use:   "features",
		Short: "Show the features of each org beside those of its parent",
		Long: `Read the self-service features (early access and beta) of the declared orgs and
of the parents that "create" names, and show of each org:

  same         switched as in the parent
  behind       on in the parent, off in the org
  ahead        off in the parent, on in the org
  not offered  the parent has the feature, and the org doesn't
  gone         the parent doesn't have it: there it became generally available, or
               was withdrawn; or the manifests declare it, and neither has it

Of an org without a known parent the status is shown. Scopes for reading alone are
requested.

Exit codes: 0 done; 1 on errors, or if no org could be read; 4 some orgs could not be
read, and are named.`,
		Example: `  reconciler get features
  reconciler get features -o csv > features.csv`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.getFeatures(cmd.Context(), &flags) },
	}
	f := cmd.Flags()
	f.StringVar(&flags.manifests, "manifests", "", "read manifests from the file or folder `PATH` instead of the config's")
	f.StringArrayVar(&flags.orgs, "org", nil, "only the org with this `DOMAIN`; may be repeated")
	f.StringVarP(&flags.output, "output", "o", "table", "`FORMAT`: table, json, csv")
	setValues(f, "output", []string{"table", "json", "csv"})
	return cmd
}

func (a *app) getFeatures(ctx context.Context, flags *featureFlags) error {
	write := featureFormats()[flags.output]
	if write == nil {
		names := []string{"table", "json", "csv"}
		return fmt.Errorf("-o %q: must be %s%s", flags.output, strictyaml.OneOf(names), strictyaml.DidYouMean(flags.output, names))
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
	a.warnFew(desired.Warnings)
	orgs, err := declaredOrgs(desired.State, flags.orgs)
	if err != nil {
		return err
	}
	k := &kinship{desired: desired.State, parents: parentsOf(cfg)}
	found, err := r.ReadOrgs(ctx, k.with(orgs), []*objects.Kind{objects.ByName("features")})
	if err != nil {
		return err
	}
	features := report.CompareFeatures(k.columns(orgs, found))
	a.warnFew(features.Warnings)
	if err := write(a.out, features); err != nil {
		return fmt.Errorf("writing to stdout: %w", err)
	}
	return readPartly(found)
}

// readPartly returns how a command ends that reads orgs: an org that runs would read
// and that couldn't be read is an exit code, and an error if it is each of them.
func readPartly(found []reconcile.OrgObjects) error {
	var read, unread int
	var first *reconcile.OrgObjects
	for i := range found {
		switch f := &found[i]; {
		case f.Live != nil:
			read++
		case !f.Skipped:
			unread++
			first = cmp.Or(first, f)
		}
	}
	switch {
	case unread == 0 && read == 0:
		return errors.New("there is no org to read")
	case unread > 0 && read == 0:
		return withHint(fmt.Sprintf("no org (%d) could be read; %s: %s", unread, first.Domain, first.Unknown), first.Hint)
	case unread > 0:
		return exitCode(exitPartly)
	}
	return nil
}

// kinship is whose child each org is.
type kinship struct {
	desired *state.Desired
	// parents are the domains of parents by their names in the config.
	parents map[string]string
}

// parentsOf returns the domains of the config's parents by their names.
func parentsOf(cfg *config.Config) map[string]string {
	all := map[string]string{}
	for i := range cfg.Parents {
		all[cfg.Parents[i].Name] = cfg.Parents[i].Domain
	}
	return all
}

// parent returns the domain of an org's parent; empty if it isn't known.
func (k *kinship) parent(o *state.DesiredOrg) string {
	if o.Create == nil {
		return ""
	}
	return k.parents[o.Create.Parent]
}

// with returns the orgs and, behind them, those of their parents that are not among
// them.
func (k *kinship) with(orgs []*state.DesiredOrg) []*state.DesiredOrg {
	more := map[string]*state.DesiredOrg{}
	for _, o := range orgs {
		if domain := k.parent(o); domain != "" {
			more[domain] = &state.DesiredOrg{Domain: domain}
		}
	}
	for i := range k.desired.Orgs {
		if o := &k.desired.Orgs[i]; more[o.Domain] != nil {
			more[o.Domain] = o // with its way in
		}
	}
	for _, o := range orgs {
		delete(more, o.Domain)
	}
	all := slices.Clone(orgs)
	for _, domain := range slices.Sorted(maps.Keys(more)) {
		all = append(all, more[domain])
	}
	return all
}

// columns returns the orgs, and further parents, with what was read of them.
func (k *kinship) columns(orgs []*state.DesiredOrg, found []reconcile.OrgObjects) (own, parents []report.FeatureOrg) {
	for i := range found {
		f := &found[i]
		c := report.FeatureOrg{Domain: f.Domain, Unknown: f.Unknown}
		if f.Live != nil {
			c.Features = diff.FeaturesOf(f.Live)
			for _, l := range f.Live.Lacks {
				c.Unknown = l.Reason
			}
		}
		if i >= len(orgs) {
			parents = append(parents, c)
			continue
		}
		c.Parent = k.parent(orgs[i])
		if config := orgs[i].Config; config != nil {
			for _, o := range config.Objects {
				if o.Ref.Kind.Name == "features" && !o.Absent {
					c.Declared = append(c.Declared, o.Ref.Name)
				}
			}
		}
		own = append(own, c)
	}
	return own, parents
}
