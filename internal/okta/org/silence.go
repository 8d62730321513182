package org

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"reconciler/internal/text"
)

// silence ends the reading of an org from which nothing comes. Each call gives up by
// itself, but after as many attempts as a passing fault is worth, and one call waits for
// another: an org that takes connections and never answers would hold a run for minutes.
// Waits for rate limits don't count, as nothing is sent then.
type silence struct {
	most time.Duration
	end  context.CancelCauseFunc

	mu sync.Mutex
	// timer runs from the first request after the last answer; nil if none was sent.
	timer *time.Timer
}

type silenceKey struct{}

// listen returns a context that ends when requests with it got no answer for as long as
// two attempts may take. stop releases it, and makes the error of what was done with it
// say so.
func (c *Client) listen(ctx context.Context) (_ context.Context, stop func(error) error) {
	ctx, end := context.WithCancelCause(ctx)
	s := &silence{most: 2 * c.opts.Timeout, end: end}
	return context.WithValue(ctx, silenceKey{}, s), func(err error) error {
		s.answered()
		var silent *silentError
		if err != nil && errors.As(context.Cause(ctx), &silent) {
			var what *during
			if errors.As(err, &what) {
				err = wrap(silent, "%s", what.what)
			} else {
				err = silent
			}
			err = text.WithHint(err, "check "+c.opts.Keys.URL+", the org's status at Okta, firewall and proxy")
		}
		end(nil)
		return err
	}
}

// silentError reports that an org didn't answer.
type silentError struct{ after time.Duration }

func (e *silentError) Error() string {
	return fmt.Sprintf("no answer for %v", e.after)
}

// sent notes that a request is sent.
func (s *silence) sent() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer == nil {
		s.timer = time.AfterFunc(s.most, func() { s.end(&silentError{s.most}) })
	}
}

// answered notes that something came, or that no answer is waited for any more.
func (s *silence) answered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

// heard notes how a request with this context ended. One that was refused on the way is as
// good as an answer.
func (s *silence) heard(ctx context.Context, err error) {
	var network net.Error
	if err == nil || ctx.Err() == nil && !(errors.As(err, &network) && network.Timeout()) {
		s.answered()
	}
}
