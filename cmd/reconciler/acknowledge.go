package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"reconciler/internal/config"
	"reconciler/internal/store/journal"
)

func (a *app) acknowledgeCommand() *cobra.Command {
	var lost, forget bool
	cmd := &cobra.Command{
		Use:   "acknowledge {DOMAIN [--forget] | --journal}",
		Short: "End the alarm that a new org's token was lost",
		Long: `End the alarm that the token of a new org was lost, after you created another
token; see docs/recovery.md. With --journal, end the alarm that the journal was
damaged and set aside. With --forget, make the journal forget that it created an
org that was deleted since, so that the org can be created again. The journal
records who ran this.`,
		Args: atMostOne("DOMAIN"),
		RunE: func(_ *cobra.Command, args []string) error {
			if (len(args) == 1) == lost || lost && forget {
				return errors.New("name either the DOMAIN of an org or --journal")
			}
			cfg, err := a.loadConfig()
			if err != nil {
				return err
			}
			if cfg.State.Dir == "" {
				return withHint("the config has no state.dir, so nothing was ever noted", "see docs/config.md")
			}
			switch by := a.getenv("USER", a.getenv("LOGNAME", "unknown")); {
			case lost:
				return a.acknowledgeAmnesia(cfg, by)
			case forget:
				return a.forgetCreation(cfg, args[0], by)
			default:
				return a.acknowledgeToken(cfg, args[0], by)
			}
		},
	}
	cmd.Flags().BoolVar(&lost, "journal", false, "end the alarm that the journal was damaged and set aside")
	cmd.Flags().BoolVar(&forget, "forget", false, "forget that the org was created, because it was deleted since")
	return cmd
}

func creationKey(cfg *config.Config, domain string) journal.Key {
	return journal.Key{Account: cfg.Aerial.AccountID, Domain: strings.ToLower(domain)}
}

// acknowledgeAmnesia sets a damaged journal aside first: where signed commits are
// asked for, nothing is applied before this, which would do that.
func (a *app) acknowledgeAmnesia(cfg *config.Config, by string) error {
	var books interface {
		AcknowledgeAmnesia(by string) error
		Close() error
	}
	books, err := journal.Look(cfg.State.Dir, journal.Options{})
	if errors.Is(err, journal.ErrDamaged) {
		books, err = journal.Open(cfg.State.Dir, journal.Options{})
	}
	if err != nil {
		return err
	}
	defer books.Close()
	if err := books.AcknowledgeAmnesia(by); err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.out, "acknowledged: the journal was set aside")
	return err
}

func (a *app) acknowledgeToken(cfg *config.Config, domain, by string) error {
	view, err := journal.Look(cfg.State.Dir, journal.Options{})
	if err != nil {
		return err
	}
	defer view.Close()
	key := creationKey(cfg, domain)
	if err := view.Acknowledge(key, by); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "acknowledged: the lost token of %s\n", key.Domain)
	return err
}

// forgetCreation holds the journal meanwhile: the org must not be on its way.
func (a *app) forgetCreation(cfg *config.Config, domain, by string) error {
	books, err := journal.Open(cfg.State.Dir, journal.Options{})
	if err != nil {
		return err
	}
	defer books.Close()
	key := creationKey(cfg, domain)
	if err := books.Forget(key, by); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "forgotten: the creation of %s\n", key.Domain)
	return err
}
