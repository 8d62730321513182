package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"reconciler/internal/config"
	"reconciler/internal/journal"
)

func (a *app) acknowledgeCommand() *cobra.Command {
	var lost bool
	cmd := &cobra.Command{
		Use:   "acknowledge DOMAIN",
		Short: "Take note that a new org's token was lost, and end the alarm",
		Long: `End the alarm that the token of a new org was lost, after another one was made
by hand; see docs/recovery.md. With --journal, take note that the journal was
damaged and set aside. The journal remembers who did so.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if (len(args) == 1) == lost {
				return errors.New("name either the DOMAIN of an org or --journal")
			}
			cfg, err := a.loadConfig()
			if err != nil {
				return err
			}
			if cfg.State.Dir == "" {
				return withHint("the config has no state.dir, so nothing was ever noted", "see docs/config.md")
			}
			return a.acknowledge(cfg, args)
		},
	}
	cmd.Flags().BoolVar(&lost, "journal", false, "take note that the journal itself was lost")
	return cmd
}

func (a *app) acknowledge(cfg *config.Config, domain []string) error {
	view, err := journal.Look(cfg.State.Dir, journal.Options{})
	if err != nil {
		return err
	}
	defer view.Close()
	by := a.getenv("USER", a.getenv("LOGNAME", "unknown"))
	if len(domain) == 0 {
		if err := view.AcknowledgeAmnesia(by); err != nil {
			return err
		}
		_, err = fmt.Fprintln(a.out, "acknowledged: the journal was set aside")
		return err
	}
	key := journal.Key{Account: cfg.Aerial.AccountID, Domain: strings.ToLower(domain[0])}
	if err := view.Acknowledge(key, by); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "acknowledged: the lost token of %s\n", key.Domain)
	return err
}
