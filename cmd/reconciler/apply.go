package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/report"
)

func (a *app) applyCommand() *cobra.Command {
	var flags planFlags
	var yes bool
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Make the live account agree with the manifests",
		Long: `Compute the plan, show it, ask, and carry it out.

Exit codes: 0 done; 1 on errors; 3 refused by a guard, nothing was written;
4 some orgs could not be read or written, the others agree now.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !yes && !isTerminal(a.in) {
				return withHint("apply asks before it writes, and stdin is not a terminal", "give --yes to apply without being asked")
			}
			p, err := a.prepare(&flags)
			if err != nil {
				return err
			}
			defer p.Close()
			return a.apply(cmd.Context(), p, yes)
		},
	}
	flags.add(cmd.Flags())
	cmd.Flags().BoolVar(&yes, "yes", false, "apply without asking")
	return cmd
}

func (a *app) apply(ctx context.Context, p *planner, yes bool) error {
	plan, data, err := p.plan(ctx)
	if err != nil {
		return err
	}
	if len(plan.Refusals) > 0 {
		if err := p.flags.write(a, data); err != nil {
			return err
		}
		return refused{errors.New("refused by a guard; nothing was written")}
	}
	if !yes && writes(plan) > 0 {
		if err := a.ask(ctx, plan, data); err != nil {
			return err
		}
	}
	if data.Result, err = p.Apply(ctx, plan, nil); err != nil {
		return err
	}
	if err := p.flags.write(a, data); err != nil {
		return err
	}
	return outcome(plan, data.Result)
}

// outcome says how an apply ended: partly, when an org could not be read or
// written.
func outcome(plan *diff.Plan, result *apply.Result) error {
	c := result.Counts()
	if c.Failed+c.Skipped+len(plan.Unknown) > 0 {
		return exitCode(exitPartly)
	}
	return nil
}

// writes counts the changes that apply would make.
func writes(plan *diff.Plan) int {
	return plan.Summary.Changes - plan.Summary.Blocked
}

// ask shows the plan and lets only the whole word through. It is all on
// stderr, so that stdout holds the report and nothing else.
func (a *app) ask(ctx context.Context, plan *diff.Plan, data report.Data) error {
	data.Color = a.color(a.err)
	if err := report.Write(a.err, report.Text, data); err != nil {
		return err
	}
	fmt.Fprintf(a.err, "\nMake these changes (%d)? Only \"yes\" is taken for an answer: ", writes(plan))
	answer := make(chan string, 1)
	go func() { // a read of a terminal can't be cancelled
		line, err := bufio.NewReader(a.in).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			line = ""
		}
		answer <- strings.TrimSpace(line)
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(a.err)
		return ctx.Err()
	case word := <-answer:
		if word != "yes" {
			return errors.New("not applied: the answer was not \"yes\"")
		}
		return nil
	}
}
