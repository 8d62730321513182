package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"reconciler/internal/config"
	"reconciler/internal/daemon/api"
	"reconciler/internal/doctor"
	"reconciler/internal/strictyaml"
)

func (a *app) doctorCommand() *cobra.Command {
	var format string
	var timeout time.Duration
	var all bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check config, credentials, account, git and folders, with hints",
		Long: `Check everything that the program depends on, and print one line for each check:
ok, warning or failure with a hint, or skipped because another check failed.
Nothing is changed at Okta or the git server. Folders that the program writes to
are tested with a probe, which is removed.

Exit codes: 0 nothing failed; 1 something did.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "text" && format != "json" {
				return fmt.Errorf("-o %q: must be %s", format, strictyaml.OneOf([]string{"text", "json"}))
			}
			if timeout < time.Second {
				return fmt.Errorf("--timeout %v: must be 1s or more", timeout)
			}
			return a.examine(cmd.Context(), format, timeout, all)
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", "text", "`FORMAT` of the report: text or json")
	setValues(cmd.Flags(), "output", []string{"text", "json"})
	cmd.Flags().DurationVar(&timeout, "timeout", doctor.DefaultTimeout, "maximum `DURATION` of one check")
	cmd.Flags().BoolVar(&all, "orgs", false, "read the configuration of all orgs that declare any, not of three")
	return cmd
}

func (a *app) examine(ctx context.Context, format string, timeout time.Duration, all bool) error {
	logger, err := a.logger()
	if err != nil {
		return err
	}
	opts := doctor.Options{
		Load:     func() (*config.Config, []config.Warning, error) { return config.Load(a.configPath, a.environ) },
		Environ:  a.environ,
		Commands: journalCommands,
		Daemon:   a.askDaemon,
		Timeout:  timeout,
		AllOrgs:  all,
		Logger:   logger,
	}
	if format == "text" {
		color := a.color(a.out)
		opts.Done = func(c doctor.Check) { fmt.Fprintln(a.out, c.Line(color)) }
	}
	report := doctor.Run(ctx, opts)
	if format == "json" {
		if err := report.WriteJSON(a.out); err != nil {
			return fmt.Errorf("writing to stdout: %w", err)
		}
	} else {
		fmt.Fprintf(a.out, "\n%s\n", report.Summary)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case !report.OK:
		return exitCode(exitError)
	}
	return nil
}

func (a *app) askDaemon(ctx context.Context, address string) (*doctor.Daemon, error) {
	ctx, err := a.asUser(ctx, "", address)
	if err != nil {
		return nil, err
	}
	s, err := api.FetchStatus(ctx, address)
	if errors.As(err, new(*api.UnauthorizedError)) {
		return &doctor.Daemon{Unknown: true}, nil
	}
	if err != nil {
		return nil, err
	}
	return &doctor.Daemon{Version: s.Reconciler, Account: s.Account, NotReady: s.NotReady}, nil
}
