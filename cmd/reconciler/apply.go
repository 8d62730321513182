package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"reconciler/internal/apply"
	"reconciler/internal/config"
	"reconciler/internal/diff"
	"reconciler/internal/reconcile"
	"reconciler/internal/report"
	"reconciler/internal/store/journal"
	"reconciler/internal/text"
)

func (a *app) applyCommand() *cobra.Command {
	var flags planFlags
	var yes bool
	var digest string
	cmd := &cobra.Command{
		Use:   "apply [PLAN.json]",
		Short: "Apply the manifests to the account",
		Long: `Compute the plan, show it, ask, and apply it.

With PLAN.json, as written by "diff --out json=PLAN.json", apply exactly that
plan. It is refused if it was edited, if it is for another account, or if the
state that it is based on has changed. If the config requires signed commits
(` + config.KeyGitVerify + `), it must be a plan of the newest commit.

Exit codes: 0 done; 1 on errors, or if no org is as declared in the end; 3 refused
by a guard, or because the plan no longer fits, nothing was written; 4 some orgs
could not be read or written, others are as declared.`,
		Args: atMostOne("PLAN.json"),
		RunE: func(cmd *cobra.Command, args []string) error {
			mayAsk := func() error {
				if yes || isTerminal(a.in) {
					return nil
				}
				return withHint("apply asks before it writes, and stdin is not a terminal", "give --yes to apply without being asked")
			}
			if len(args) == 1 {
				return a.applySaved(cmd, args[0], &flags, yes, mayAsk)
			}
			if digest == "" { // otherwise the digest is the first thing to be right
				if err := mayAsk(); err != nil {
					return err
				}
			}
			p, err := a.prepare(&flags)
			if err != nil {
				return err
			}
			defer p.Close()
			if err := p.MayApply(); err != nil {
				return err
			}
			plan, data, err := p.plan(cmd.Context())
			if err != nil {
				return err
			}
			if digest != "" && digest != plan.Digest {
				return refused{withHint(fmt.Sprintf("the plan is now %s, not %s; nothing was written", plan.Digest, digest),
					"look at the new plan and, if you agree with it, pass its digest")}
			}
			if err := mayAsk(); err != nil {
				return err
			}
			return a.apply(cmd.Context(), p, data, yes)
		},
	}
	flags.add(cmd.Flags())
	cmd.Flags().StringVar(&digest, "plan-digest", "", "refuse the plan unless it has this `DIGEST`")
	cmd.Flags().BoolVar(&yes, "yes", false, "apply without asking; required without a terminal")
	return cmd
}

// applySaved applies a plan from a file. Its manifests were read when it was
// computed, so flags that select orgs or manifests are refused.
func (a *app) applySaved(cmd *cobra.Command, path string, flags *planFlags, yes bool, mayAsk func() error) error {
	for _, name := range []string{"manifests", "org", "exclude", "selector", "plan-digest"} {
		if cmd.Flags().Changed(name) {
			return fmt.Errorf("--%s does not go with a saved plan: it is applied as it is", name)
		}
	}
	saved, err := readPlan(path)
	if err != nil {
		return err
	}
	if err := mayAsk(); err != nil {
		return err
	}
	p, err := a.prepareWith(flags, reconcile.Options{NoManifests: true})
	if err != nil {
		return err
	}
	defer p.Close()
	plan, err := p.Recheck(cmd.Context(), saved)
	if err != nil {
		return a.refuseStale(err)
	}
	return a.apply(cmd.Context(), p, report.Data{Plan: plan, Saved: true}, yes)
}

// maxPlan is far more than the plan of the largest account needs.
const maxPlan = 256 << 20

func readPlan(path string) (*diff.Plan, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	plan, err := diff.ReadPlan(io.LimitReader(f, maxPlan))
	var no *diff.StaleError
	if errors.As(err, &no) {
		return nil, refused{fmt.Errorf("%s: %w", path, err)}
	}
	if errors.Is(err, text.ErrUTF16) {
		return nil, withHint(fmt.Sprintf("%s: %v", path, err), utf16Hint)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return plan, nil
}

// utf16Hint is the hint for what PowerShell's ">" made of a report.
const utf16Hint = "PowerShell's > writes UTF-16: let --out json=FILE, markdown=FILE and so on write the file"

// refuseStale prints all reasons why a saved plan is not applied.
func (a *app) refuseStale(err error) error {
	var no *diff.StaleError
	if !errors.As(err, &no) {
		return err
	}
	for _, reason := range no.Reasons {
		fmt.Fprintln(a.err, "reconciler: "+reason)
	}
	return refused{withHint("the saved plan no longer fits; nothing was written", no.Hint())}
}

// apply carries out the plan in data, after the user has confirmed it or with yes.
func (a *app) apply(ctx context.Context, p *planner, data report.Data, yes bool) error {
	plan := data.Plan
	if len(plan.Refusals) > 0 {
		if err := p.flags.write(a, data); err != nil {
			printError(a.err, err)
		}
		if err := p.recordRefused(plan); err != nil {
			printError(a.err, err)
		}
		if p.flags.stdout != report.Text { // which a person reads
			for _, r := range plan.Refusals {
				fmt.Fprintf(a.err, "reconciler: %s: %s\n", r.Guard, r.Message)
			}
		}
		return refused{errors.New("refused by a guard; nothing was written")}
	}
	if !yes && writes(plan) > 0 {
		if err := a.confirm(ctx, plan, data); err != nil {
			return err
		}
	}
	if err := p.note(plan); err != nil {
		return err
	}
	run, err := p.begin(plan)
	if err != nil {
		return fmt.Errorf("nothing was written, because the run could not be recorded: %w", err)
	}
	data.Result, err = p.Apply(ctx, plan, nil)
	data.Head = run.end(data.Result, err)
	if err != nil {
		return err
	}
	p.warnOfNewAlarms(&data)
	// The outcome of the changes outranks that of the report.
	reported := p.flags.write(a, data)
	if err := outcome(plan, data.Result); err != nil {
		if reported != nil {
			printError(a.err, reported)
		}
		return err
	}
	return reported
}

// note records in the journal what later runs need to know of the plan: the commit
// that came into force, and the deactivations that it announces. If that fails,
// nothing is written: a later run would accept an older commit, and would announce
// the deactivations again instead of making them.
func (p *planner) note(plan *diff.Plan) error {
	var err error
	if p.desired == nil {
		err = p.Accept(plan)
	} else {
		err = p.Note(plan, p.desired, p.flags.filter)
	}
	var no *journal.OvertakenError
	switch {
	case errors.As(err, &no):
		return refused{withHint(fmt.Sprintf("a newer commit (%.12s) came into force meanwhile; nothing was written", no.By), no.Hint())}
	case err != nil:
		return fmt.Errorf("nothing was written, because the journal could not record it: %w", err)
	}
	return nil
}

// warnOfNewAlarms warns of what this run lost.
func (p *planner) warnOfNewAlarms(data *report.Data) {
	alarms, err := p.Alarms()
	if err != nil {
		printError(p.app.err, err)
	}
	var lines []string
	for _, alarm := range alarms {
		if line := alarm.String(); !slices.Contains(data.Warnings, line) {
			lines = append(lines, line)
		}
	}
	data.Warnings = append(data.Warnings, lines...)
	p.app.warnFew(lines)
}

// outcome returns an error if an org could not be read or written, or the run was
// stopped: exit code 4, or 1 if no org at all agrees although it was not stopped.
func outcome(plan *diff.Plan, result *apply.Result) error {
	failed := result.Failures(plan)
	switch {
	case failed == 0:
		return nil
	case (result == nil || !result.Interrupted) && result.Agreeing(plan) == 0:
		return fmt.Errorf("none of the orgs (%d) is as declared", plan.Summary.Orgs)
	default:
		return exitCode(exitPartly)
	}
}

// writes counts the changes that apply would make.
func writes(plan *diff.Plan) int {
	return plan.Summary.Changes - plan.Summary.Blocked
}

// confirm shows the plan and asks whether to make it; anything but "yes" is an
// error. It is all on stderr, so that stdout holds the report and nothing else.
func (a *app) confirm(ctx context.Context, plan *diff.Plan, data report.Data) error {
	data.Color = a.color(a.err)
	if err := report.Write(a.err, report.Text, data); err != nil {
		return err
	}
	fmt.Fprintf(a.err, "\nMake these changes (%d)? Only \"yes\" is accepted: ", writes(plan))
	if unread(a.err) {
		return withHint("not applied: the plan and the question can't be shown, because nothing reads stderr any more", "give --yes to apply without being asked")
	}
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
