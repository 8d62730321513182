package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"reconciler/internal/config"
	"reconciler/internal/daemon/notify"
	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
)

func (a *app) notifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "notify {test}",
		Short: "Try the receivers of notifications",
		Long:  `Try the receivers that the config's ` + config.KeyNotify + ` names. Okta is not contacted.`,
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.notifyTestCommand())
	return cmd
}

func (a *app) notifyTestCommand() *cobra.Command {
	var event string
	var types []string
	for _, t := range notify.Types() {
		types = append(types, string(t))
	}
	cmd := &cobra.Command{
		Use:   "test [--event TYPE]",
		Short: "Send a test message to each receiver now",
		Long: `Send a message to each receiver of the config's ` + config.KeyNotify + ` now, marked as a test, and
print one line for each: that it was delivered, or why not. Which events a receiver
is told of doesn't matter, and nothing is queued or tried again.

Exit codes: 0 all were delivered; 1 one was not.`,
		Example: `  reconciler notify test --event drift`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := oneOf("--event", event, types); err != nil {
				return err
			}
			return a.notifyTest(cmd.Context(), notify.Type(event))
		},
	}
	cmd.Flags().StringVar(&event, "event", string(notify.Drift), "`TYPE` of the event")
	setValues(cmd.Flags(), "event", types)
	return cmd
}

// oneOf rejects the value of a flag that is none of several.
func oneOf(flag, value string, values []string) error {
	for _, v := range values {
		if v == value {
			return nil
		}
	}
	return fmt.Errorf("%s %q: must be %s%s", flag, value, strictyaml.OneOf(values), strictyaml.DidYouMean(value, values))
}

func (a *app) notifyTest(ctx context.Context, t notify.Type) error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	if len(cfg.Notify) == 0 {
		return withHint("the config names no receivers", "add "+config.KeyNotify+"; see docs/notifications.md")
	}
	receivers, err := notify.Receivers(cfg.Notify)
	if err != nil {
		return err
	}
	bad := false
	for i, err := range notify.Test(ctx, receivers, cfg.Aerial.AccountID, t, notify.Options{}) {
		line := "ok"
		if err != nil {
			bad = true
			line = "not delivered: " + text.JoinLines(err.Error())
			if hint := text.Hint(err); hint != "" {
				line += " (" + hint + ")"
			}
		}
		if _, err := fmt.Fprintf(a.out, "%s: %s\n", text.Visible(receivers[i].Name()), line); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if bad {
		return exitCode(exitError)
	}
	return nil
}
