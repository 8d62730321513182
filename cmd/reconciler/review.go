package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/spf13/pflag"

	"reconciler/internal/config"
	"reconciler/internal/diff"
	"reconciler/internal/reconcile"
	"reconciler/internal/report"
	"reconciler/internal/text"
)

// reviewFlags make diff a review of the change between two revisions.
type reviewFlags struct {
	reconcile.Between
	offline  bool
	confined bool
}

func (r *reviewFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&r.Base, "base", "", "review the change since the git revision `REV`")
	flags.StringVar(&r.Head, "head", "", "with --base: compare to `REV` instead of the working tree")
	flags.BoolVar(&r.MergeBase, "merge-base", false, "with --base: start where the two revisions diverged, as git diff --merge-base does")
	flags.BoolVar(&r.offline, "offline", false, "with --base: compare manifests only, even with credentials")
	flags.BoolVar(&r.confined, "confined", false, "with --base: "+confinedUsage)
}

// check refuses flags that don't go together.
func (r *reviewFlags) check(set func(name string) bool) error {
	for _, name := range []string{"head", "merge-base", "offline", "confined"} {
		if set(name) && !set("base") {
			return fmt.Errorf("--%s requires --base", name)
		}
	}
	return nil
}

// review shows what a change between two revisions means. With credentials it
// separates what the change does from existing drift.
func (a *app) review(ctx context.Context, flags *planFlags, r *reviewFlags, detailed bool) error {
	if err := flags.parse(); err != nil {
		return err
	}
	logger, err := a.logger()
	if err != nil {
		return err
	}
	in, err := a.confine(r.confined)
	if err != nil {
		return err
	}
	cfg, err := a.optionalConfig()
	if err != nil {
		return err
	}
	revisions, err := reconcile.OpenRevisions(cfg, flags.manifests, "--manifests", in.manifests)
	if err != nil {
		return err
	}
	if err := flags.open(); err != nil {
		return err
	}
	defer flags.close()
	base, head, err := revisions.Load(ctx, r.Between)
	if err != nil {
		return err
	}
	declared, err := reconcile.CompareDeclared(cfg, base, head, flags.filter)
	if err != nil {
		return err
	}
	plan := declared
	if !r.offline {
		if err := in.programs(cfg); err != nil {
			return err
		}
	}
	if !r.offline && a.credentials(ctx, cfg) {
		live, err := reconcile.New(cfg, reconcile.Options{NoManifests: true, Commands: journalCommands, Environ: a.environ, Logger: logger})
		if err != nil {
			return err
		}
		defer live.Close()
		if plan, err = live.Review(ctx, base, head, flags.filter); err != nil {
			return offlineHint(err)
		}
	}
	warnings := slices.Concat(base.Warnings, head.Warnings)
	a.warnFew(warnings)
	if err := flags.write(a, report.Data{Plan: plan, Warnings: warnings}); err != nil {
		return err
	}
	return reviewed(plan, declared, detailed)
}

// optionalConfig returns the config, or the defaults if there is none.
func (a *app) optionalConfig() (*config.Config, error) {
	cfg, err := a.loadConfig()
	if errors.Is(err, fs.ErrNotExist) && a.configPath == defaultConfig {
		return config.Default(), nil
	}
	return cfg, err
}

// credentials reports whether the config has what is needed to read the account.
// A key file that doesn't exist is normal in CI for a change from a fork, and is a
// warning.
func (a *app) credentials(ctx context.Context, cfg *config.Config) bool {
	err := cfg.NeedAerial()
	switch {
	case err != nil && cfg.Aerial.URL == nil:
		return false // the config has none
	case err == nil:
		if _, err = reconcile.ReadKey(ctx, cfg.Aerial.Auth.PrivateKey); !errors.Is(err, fs.ErrNotExist) {
			return true // a bad key is reported when it is used
		}
	}
	a.warn("no credentials, so only the manifests are compared: " + err.Error())
	return false
}

// offlineHint adds --offline to the hint of an error of reading the account.
func offlineHint(err error) error {
	if errors.As(err, new(*reconcile.RefusedError)) {
		return err // of the manifests, which --offline would compare as well
	}
	hint := "--offline compares the manifests alone"
	if first := text.Hint(err); first != "" {
		hint = first + "; " + hint
	}
	return text.WithHint(err, hint)
}

// reviewed returns how a review ends. Only what the change does counts: existing
// drift is no difference, and an org that can't be read is no error unless the change
// is about it.
func reviewed(plan, declared *diff.Plan, detailed bool) error {
	if plan.NothingRead() {
		return differences(plan, detailed)
	}
	if !detailed {
		return nil
	}
	touched := map[string]bool{}
	for i := range declared.Changes {
		touched[declared.Changes[i].Org] = true
	}
	for _, u := range plan.Unknown {
		if touched[u.Org] {
			return fmt.Errorf("%s is changed, and could not be read: %s", u.Org, u.Reason())
		}
	}
	if plan.ReviewDiffers() {
		return exitCode(exitDifferences)
	}
	return nil
}
