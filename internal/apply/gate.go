package apply

import (
	"context"
	"errors"

	"reconciler/internal/diff"
)

// errAlready means that nothing is left to be written.
var errAlready = errors.New("it is so already")

// heldError is why a change is not made that the plan would have made.
type heldError struct{ reason string }

func (e *heldError) Error() string {
	return "writes have been held since the plan was made: " + e.reason
}

// mayWrite returns a *heldError if writes to the org are held now.
func (w *worker) mayWrite(org string) error {
	if w.held == nil {
		return nil
	}
	if reason := w.held(org); reason != "" {
		return &heldError{reason}
	}
	return nil
}

// gate is the last moment before each send of one write.
type gate struct {
	*worker
	change diff.Change
	// look looks whether the change may still be made; nil if there is nothing
	// to look at.
	look func(context.Context) error
	// record, where not nil, records that the write is sent now.
	record func() error
	// takeBack, where not nil, takes back that the org loses something.
	takeBack func()

	// refusal is why the write may not be sent, by the last time that it was
	// asked, and passed how often it was allowed.
	refusal error
	passed  int
}

func (w *worker) gate(c diff.Change, look func(context.Context) error) *gate {
	return &gate{worker: w, change: c, look: look}
}

// maySend returns why the write may not be sent now, or nil.
func (g *gate) maySend(ctx context.Context) error {
	if g.refusal = g.ask(ctx); g.refusal != nil {
		return g.refusal
	}
	if g.passed++; g.passed == 1 {
		attrs := []any{"org", g.change.Org, "orgID", g.orgID, "action", string(g.change.Action)}
		if g.change.Kind != "" {
			attrs = append(attrs, "kind", g.change.Kind, "object", g.change.Object)
		}
		g.log.Info("writing", attrs...)
	}
	return nil
}

// ask looks at the live state, which may take a while, and then at what is held.
// That the org loses something is recorded before, so that nothing but the reading of
// what is held lies between the look and the send.
func (g *gate) ask(ctx context.Context) error {
	if err := g.reserve(); err != nil {
		return err
	}
	if g.look != nil {
		if err := g.look(ctx); err != nil {
			return err
		}
	}
	if err := g.mayWrite(g.change.Org); err != nil {
		return err
	}
	if g.record != nil {
		return g.record()
	}
	return nil
}

// reserve records, once, that the org loses something if the change is destructive and
// not the way back of an earlier one.
func (g *gate) reserve() (err error) {
	if g.change.Destructive && g.change.TakesBack == "" && g.removals != nil && g.takeBack == nil {
		g.takeBack, err = g.removals.Begin(g.orgID, g.change.Org)
	}
	return err
}

// outcome returns the error of the write, given that of its call. Of a write that
// was never sent, it is the refusal alone.
func (g *gate) outcome(err error) error {
	if g.takeBack != nil && (g.passed == 0 || isRefused(err) && !uncertain(err)) {
		g.takeBack()
	}
	if g.refusal != nil && g.passed == 0 {
		return g.refusal
	}
	return err
}

// set completes a change that sets a value, given the error of its call: it reads
// the value back.
func (g *gate) set(ctx context.Context, err error, read reading) (string, error) {
	err = g.outcome(err)
	switch already := errors.Is(err, errAlready); {
	case already && !uncertain(err):
		return noteAlready, nil
	case err != nil && !already: // else an earlier attempt, whose answer was lost, has set it
		return "", err
	}
	return readBack(ctx, read)
}
