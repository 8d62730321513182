package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"reconciler/internal/config"
	"reconciler/internal/daemon/api"
	"reconciler/internal/text"
	"reconciler/internal/web"
)

// followEvery is how often reconcile --wait asks how far the run is.
const followEvery = 500 * time.Millisecond

func (a *app) reconcileCommand() *cobra.Command {
	var wait, detailed bool
	var address, tokenFile, reason string
	cmd := &cobra.Command{
		Use:   "reconcile",
		Short: "Tell a running daemon to run now",
		Long: `Tell a running daemon to run now, and print the id of that run. While a run is going
on, the next one follows it at once; who asks before it begins gets the same one. The
daemon's address is the config's ` + config.KeyHTTPAddress + ` (default: 127.0.0.1:8080), or --address.
Where people sign in to it, a token with the role operator is needed.

With --wait, wait until that run has ended. Exit codes: 0 the daemon took it; 1 no
daemon answers, or it refuses. With --wait they are those of run --once: 0 done; 1 on
errors, if the newest manifests could not be used, or if no org is as declared; 2 with
--detailed-exitcode, if differences are left; 3 refused by a guard, nothing was
written; 4 some orgs could not be read or written.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if detailed && !wait {
				return errors.New("--detailed-exitcode requires --wait")
			}
			if address == "" {
				var err error
				if address, err = a.daemonAddress(); err != nil {
					return err
				}
			}
			ctx, err := a.asUser(cmd.Context(), tokenFile, address)
			if err != nil {
				return err
			}
			id, err := api.RequestRun(ctx, address, a.invoker(), reason)
			if err != nil {
				return withTokenHint(err)
			}
			if _, err := fmt.Fprintln(a.out, id); err != nil || !wait {
				return err
			}
			record, err := a.follow(ctx, address, id)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.err, "reconciler: run %s ended: %s\n", id, record.Result)
			return ended(record, detailed)
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until the run has ended")
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "with --wait: exit with 2 if differences are left")
	cmd.Flags().StringVar(&reason, "reason", "", "one-line reason, as `TEXT`, for the history")
	cmd.Flags().StringVar(&address, "address", "", "`ADDRESS` of the daemon, HOST:PORT or a URL, instead of the config's")
	addDaemonToken(cmd.Flags(), &tokenFile)
	return cmd
}

// follow waits until a run of a daemon has ended, and returns its record.
func (a *app) follow(ctx context.Context, address, id string) (*api.RunRecord, error) {
	var last api.RunState
	for {
		info, err := api.FetchRun(ctx, address, id)
		if err != nil {
			return nil, text.WithHint(fmt.Errorf("the daemon took the run %s, and how it ended is not known: %w", id, err), text.Hint(err))
		}
		if info.State == api.RunEnded {
			return info.RunRecord, nil
		}
		if info.State != last {
			fmt.Fprintf(a.err, "reconciler: run %s is %s\n", id, info.State)
		}
		last = info.State
		if err := web.Sleep(ctx, followEvery); err != nil {
			return nil, err
		}
	}
}
