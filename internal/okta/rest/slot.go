package rest

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// slot is what a call needs to be in flight. A call that is made while another
// one is about to be sent, by its MaySend, uses the slot of that one.
type slot struct {
	of   *semaphore.Weighted
	held bool
}

// slotOf is the key of a slot in the context that MaySend is given.
type slotOf struct{ *semaphore.Weighted }

// slot returns the slot that was lent with ctx, or else a new one.
func (c *Caller) slot(ctx context.Context) (_ *slot, lent bool) {
	if s, ok := ctx.Value(slotOf{c.slots}).(*slot); ok {
		return s, true
	}
	return &slot{of: c.slots}, false
}

// take waits for the slot, unless it is held.
func (s *slot) take(ctx context.Context) error {
	if s.held {
		return ctx.Err()
	}
	err := s.of.Acquire(ctx, 1)
	s.held = err == nil
	return err
}

// giveBack lets others have the slot, if it is held.
func (s *slot) giveBack() {
	if s.held {
		s.held = false
		s.of.Release(1)
	}
}

// lend returns a context with the slot.
func (s *slot) lend(ctx context.Context) context.Context {
	return context.WithValue(ctx, slotOf{s.of}, s)
}
