package main

import (
	"errors"

	"github.com/spf13/cobra"

	"reconciler/internal/web/trace"
	"reconciler/internal/web/trace/otlp"
)

// tracing has the traces that a command begins recorded and sent, if the environment
// has a place to send them to.
func (a *app) tracing(cmd *cobra.Command) *cobra.Command {
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		logger, err := a.logger()
		if err != nil {
			return err
		}
		getenv := func(name string) string { return a.getenv(name, "") }
		ctx, stop := otlp.Open(cmd.Context(), getenv, versionString(), logger.With("run", a.runID))
		defer stop()
		cmd.SetContext(ctx)
		return run(cmd, args)
	}
	return cmd
}

// traced is tracing for a command that is a trace of its own, as a whole.
func (a *app) traced(cmd *cobra.Command) *cobra.Command {
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, span := trace.Root(cmd.Context(), cmd.Name())
		span.Set("reconciler.run.id", a.runID)
		cmd.SetContext(ctx)
		err := run(cmd, args)
		failed := err
		if code := exitCode(0); errors.As(err, &code) && code == exitDifferences {
			failed = nil
		}
		span.End(failed)
		return err
	}
	return a.tracing(cmd)
}
