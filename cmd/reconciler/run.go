package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"reconciler/internal/config"
	"reconciler/internal/daemon"
	"reconciler/internal/daemon/api"
)

func (a *app) runCommand() *cobra.Command {
	var once, detailed bool
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run as a daemon that reports drift, and with mode: apply repairs it",
		Long: `Run as a daemon: at the start, on the config's schedule and when a webhook reports
a push, read the manifests, compare them with the account, and report the
differences or, with mode: apply, apply the plan. The daemon serves /healthz,
/readyz, /metrics, /api/v1/status, a page and the webhook on ` + config.KeyHTTPAddress + `.
While another daemon uses the same state folder, this one stands by, and takes over
when that one ends. SIGTERM and SIGINT stop it gracefully. SIGHUP makes it read its config again, after
the run that goes on; a config with a mistake is refused, and the old one stays.

With --once, do a single run and exit, for an external scheduler. The config's
schedule and ` + config.KeyHTTPAddress + ` are not used then. Exit codes of --once: 0 done; 1 on
errors, if another process writes for longer than --wait, if the newest manifests could not be used, or if no org is as declared; 2 with --detailed-exitcode,
if differences are left; 3 refused by a guard, nothing was written; 4 some orgs
could not be read or written.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if detailed && !once {
				return errors.New("--detailed-exitcode requires --once")
			}
			if cmd.Flags().Changed("wait") && !once {
				return errors.New("--wait requires --once: the daemon waits for as long as it has to")
			}
			waiting, err := a.waitOptions(wait)
			if err != nil {
				return err
			}
			logger, err := a.logger()
			if err != nil {
				return err
			}
			opts := daemon.RunOptions{
				Logger: logger, Version: versionString(), Environ: a.environ, Commands: commandsOf(cmd.Name()), Wait: waiting,
				By: a.invoker(), Command: "run",
			}
			if once {
				opts.Command = "run --once"
			}
			if !once && a.hangups != nil {
				opts.Reload, opts.Load = a.hangups(), func() (*config.Config, error) {
					a.warned = nil // what is still wrong is said again
					return a.loadConfig()
				}
			}
			cfg, err := a.loadConfig()
			if err != nil {
				return err
			}
			if !once {
				daemon.SaveMemory(a.environ)
				return daemon.Run(cmd.Context(), cfg, opts)
			}
			record, err := daemon.Once(cmd.Context(), cfg, opts)
			if err != nil {
				return err
			}
			return ended(record, detailed)
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "do one run and exit")
	addWait(cmd.Flags(), &wait)
	cmd.Flags().Lookup("wait").Usage = "with --once: " + cmd.Flags().Lookup("wait").Usage
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "with --once: exit with 2 if differences are left")
	return cmd
}

// ended returns how a single run ends. All but the reason of an error is in the log
// already.
func ended(r *api.RunRecord, detailed bool) error {
	switch {
	case r.Stale != nil:
		// A process that has just started has no other state than the last verified one.
		return withHint(fmt.Sprintf("commit %s is refused, and the last verified one stays in force: %s", r.Stale.Commit, r.Stale.Error), r.Stale.Hint)
	case r.Result == daemon.ResultRefused:
		return refused{withHint(r.Problem.Error, r.Problem.Hint)}
	case r.Result == daemon.ResultPartial && r.Agreeing == 0:
		return fmt.Errorf("none of the orgs (%d) is as declared", r.Summary.Orgs)
	case r.Result == daemon.ResultPartial:
		return exitCode(exitPartly)
	case r.Problem != nil:
		return withHint(r.Problem.Error, r.Problem.Hint)
	case r.Result == daemon.ResultInterrupted && r.Changes.Applied+r.Changes.Failed+r.Changes.Skipped > 0:
		return exitCode(exitPartly)
	case !r.Result.Success():
		return errors.New("the run was stopped before its end")
	case detailed && r.Left():
		return exitCode(exitDifferences)
	}
	return nil
}
