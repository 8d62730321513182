package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"reconciler/internal/config"
	"reconciler/internal/daemon"
	"reconciler/internal/demo"
)

func (a *app) demoCommand() *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole workflow on the simulator; needs no credentials or network",
		Long: `Show the whole workflow on the built-in simulator and a git repository in a
temporary folder: a review, a plan, applying it, drift, its repair, a guard that
refuses a dangerous commit, a new org whose creation is interrupted, and a baseline
that configures ten orgs. The exit code is 0 only if all of it happened.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demo.Run(cmd.Context(), demo.Options{
				Out: a.out, Environ: a.environ, Command: a.demoRun, Daemon: a.demoDaemon, Keep: keep,
			})
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "keep simulator and daemon running afterwards, and print their URLs")
	return cmd
}

// demoRun runs a command for the demo.
func (a *app) demoRun(ctx context.Context, out io.Writer, args ...string) (exitCode int) {
	return run(ctx, append(args, "--log-level", "error"), stdio{strings.NewReader(""), out, a.err}, a.environ)
}

// demoDaemon runs a daemon for the demo.
func (a *app) demoDaemon(ctx context.Context, path, mode string, listening func(address string)) error {
	cfg, _, err := config.Load(path, append(slices.Clone(a.environ), "RECONCILER_MODE="+mode))
	if err != nil {
		return err
	}
	return daemon.Run(ctx, cfg, daemon.RunOptions{
		Version:   versionString(),
		Commands:  journalCommands,
		Logger:    slog.New(slog.DiscardHandler),
		Listening: func(address net.Addr) { listening(address.String()) },
	})
}
