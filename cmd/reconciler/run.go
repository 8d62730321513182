package main

import (
	"github.com/spf13/cobra"

	"reconciler/internal/daemon"
)

func (a *app) runCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Watch for drift on a schedule, and with mode: apply repair it",
		Long: `Run as a daemon: at the start and then on the config's schedule, read the
manifests, compare them with the live account, and report the difference or,
with mode: apply, apply it. Serves /healthz, /readyz, /metrics, /api/v1/status
and a status page on http.address. SIGTERM and SIGINT stop it in good order.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			logger, err := a.logger()
			if err != nil {
				return err
			}
			cfg, err := a.loadConfig()
			if err != nil {
				return err
			}
			return daemon.Run(cmd.Context(), cfg, daemon.RunOptions{Logger: logger, Version: versionString(), Environ: a.environ})
		},
	}
}
