package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"reconciler/internal/store/journal"
)

// defaultWait is for how long commands that write wait for their turn.
const defaultWait = 5 * time.Minute

// addWait adds the flag of commands that write.
func addWait(flags *pflag.FlagSet, wait *time.Duration) {
	flags.DurationVar(wait, "wait", defaultWait, "wait for up to `DURATION` while another process writes; 0s doesn't wait")
}

// waitOptions is how a command waits for its turn: it says on stderr for whom.
func (a *app) waitOptions(wait time.Duration) (journal.WaitOptions, error) {
	if wait < 0 {
		return journal.WaitOptions{}, fmt.Errorf("--wait %v: must not be negative", wait)
	}
	return journal.WaitOptions{Limit: wait, Waiting: func(h journal.Holder) {
		fmt.Fprintf(a.err, "reconciler: waiting for %v, for up to %v (Ctrl-C ends the wait)\n", h, wait)
	}}, nil
}

// turns are what a command waits with for its turn to write: a Reconciler or a journal.
type turns interface {
	Turn(context.Context, journal.WaitOptions) (*journal.Turn, error)
	MayWrite() error
}

// takeTurn waits for the turn to write, and returns a context that ends when the turn is
// lost, and what ends the turn.
func (a *app) takeTurn(ctx context.Context, t turns, wait time.Duration) (context.Context, func(), error) {
	opts, err := a.waitOptions(wait)
	if err != nil {
		return nil, nil, err
	}
	turn, err := t.Turn(ctx, opts)
	if err != nil {
		return nil, nil, err
	}
	during, stop := turn.While(ctx)
	return during, func() {
		stop()
		if err := t.MayWrite(); err != nil {
			printError(a.err, err)
		}
		if err := turn.End(); err != nil {
			printError(a.err, err)
		}
	}, nil
}

// locked calls f with the locked journal, once it is this process' turn to write.
func (a *app) locked(ctx context.Context, j *journal.Journal, wait time.Duration, f func(context.Context, *journal.Writer) error) error {
	ctx, done, err := a.takeTurn(ctx, j, wait)
	if err != nil {
		return err
	}
	defer done()
	w, err := j.Lock()
	if err != nil {
		return err
	}
	defer w.Unlock()
	return f(ctx, w)
}

// commandsOf returns the command lines that hints name in one command.
func commandsOf(this string) journal.Commands {
	c := journalCommands
	c.This = this
	return c
}
