package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reconciler/internal/store/journal"
)

// journalCommands are the command lines that hints about the journal name.
var journalCommands = journal.Commands{
	Acknowledge:     "reconciler acknowledge --journal",
	Forget:          "reconciler acknowledge --forget",
	ListSuspensions: "reconciler suspend --list",
}

func (a *app) acknowledgeCommand() *cobra.Command {
	var lost, forget bool
	var reason string
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "acknowledge {DOMAIN [--forget] | --journal} [--reason TEXT]",
		Short: "End the alarm that a new org's token was lost",
		Long: `End the alarm that the token of a new org was lost, after you created another
token; see docs/recovery.md. With --journal, end the alarm that the journal was
damaged and set aside. With --forget, make the journal forget that it created an
org that was deleted since, so that the org can be created again. The journal
records who ran this, and the history also the --reason.`,
		Args: atMostOne("DOMAIN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if forget && (lost || len(args) == 0) {
				return errors.New("--forget needs a DOMAIN and can't be combined with --journal")
			}
			if (len(args) == 1) == lost {
				return errors.New("name either the DOMAIN of an org or --journal")
			}
			if err := checkReason(cmd, reason); err != nil {
				return err
			}
			cfg, j, err := a.openJournal("so nothing was ever noted", "see docs/config.md")
			if err != nil {
				return err
			}
			defer j.Close()
			by := a.getenv("USER", a.getenv("LOGNAME", "unknown"))
			o := a.operator(cfg, j, by)
			if lost {
				return o.AcknowledgeLoss(reason, func() (bool, error) { return a.acknowledgeLoss(cmd.Context(), j, by, wait) })
			}
			key := journal.Key{Account: cfg.Aerial.AccountID, Domain: strings.ToLower(args[0])}
			if forget {
				return o.Forget(key.Domain, reason, func() error { return a.forgetCreation(cmd.Context(), j, key, by, wait) })
			}
			if err := o.Acknowledge(key.Domain, reason); err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.out, "acknowledged: the lost token of %s\n", key.Domain)
			return err
		},
	}
	cmd.Flags().BoolVar(&lost, "journal", false, "end the alarm that the journal was damaged and set aside")
	cmd.Flags().BoolVar(&forget, "forget", false, "forget that the org was created, because it was deleted since")
	addReason(cmd, &reason)
	addWait(cmd.Flags(), &wait)
	return cmd
}

// acknowledgeLoss begins a new journal where there is none that can be used: a
// damaged one is set aside first. Runs would do that, but where signed commits are
// wanted, they wait for the acknowledgment. It reports whether there was anything to
// acknowledge.
func (a *app) acknowledgeLoss(ctx context.Context, j *journal.Journal, by string, wait time.Duration) (ended bool, err error) {
	exists, err := j.Exists()
	if err == nil && exists {
		loss, err := j.Loss()
		if err == nil && loss == nil {
			_, err = fmt.Fprintln(a.out, "nothing to acknowledge: the journal is not damaged, and none was set aside")
			return false, err
		}
	}
	damaged := false
	err = j.AcknowledgeLoss(by)
	if errors.Is(err, journal.ErrDamaged) {
		damaged = true
		err = a.locked(ctx, j, wait, func(context.Context, *journal.Writer) error { return j.AcknowledgeLoss(by) })
	}
	if err != nil {
		return false, err
	}
	done := "acknowledged: the journal was set aside"
	if !exists && !damaged {
		done = "there was no journal: a new one begins"
	}
	_, err = fmt.Fprintln(a.out, done)
	return true, err
}

// forgetCreation locks the journal: no process must be creating the org.
func (a *app) forgetCreation(ctx context.Context, j *journal.Journal, key journal.Key, by string, wait time.Duration) error {
	if err := a.locked(ctx, j, wait, func(_ context.Context, w *journal.Writer) error { return w.Forget(key, by) }); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.out, "forgotten: the creation of %s\n", key.Domain)
	return err
}
