package notify

import (
	"context"
	mathrand "math/rand/v2"
	"time"

	"reconciler/internal/web"
)

// serve sends what is in a queue, until ctx ends or the receiver is gone.
func (s *Sender) serve(ctx context.Context, q *queue) {
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		q.served = false
	}()
	for ctx.Err() == nil {
		e, wait, gone := s.next(q)
		if gone {
			return
		}
		if e != nil {
			s.try(ctx, q, e)
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-q.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// next returns the message to be sent now, or else how long to wait for one.
func (s *Sender) next(q *queue) (e *entry, wait time.Duration, gone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.gone {
		return nil, 0, true
	}
	now := time.Now()
	s.expire(q, now)
	s.collect(q, now)
	wait = pollEvery
	if until := q.retry.Sub(now); until > 0 {
		return nil, min(wait, until), false
	}
	for _, e := range q.entries {
		at := e.retry
		if e.Collected {
			at = e.Ready
		}
		until := at.Sub(now)
		if !e.Collected && until <= 0 {
			e.sending = true
			return e, 0, false
		}
		wait = min(wait, max(until, time.Millisecond))
	}
	return nil, wait, false
}

// try sends a message once, notes what came of it, and reports whether it was delivered.
func (s *Sender) try(ctx context.Context, q *queue, e *entry) bool {
	s.mu.Lock()
	receiver, m := q.receiver, s.message(e)
	s.mu.Unlock()
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	// What is in flight when we are stopped might have been delivered, and be sent again.
	defer context.AfterFunc(ctx, func() { time.AfterFunc(stopWithin, stop) })()
	if m.Run != "" {
		sending = web.WithRun(sending, m.Run)
	}
	err := receiver.send(sending, s.client, m)

	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.save()
	e.sending = false
	if err != nil {
		s.failed(q, e, err)
		return false
	}
	s.remove(q, e)
	s.observe(q, ResultSent)
	if q.problem != "" {
		s.log.Info("notifications are delivered again", "receiver", q.receiver.Name(), "failingSince", q.since.UTC().Format(time.RFC3339))
	}
	q.works()
	q.sentAt = time.Now().UTC()
	return true
}

// failed notes that a try failed. A failure of the same kind again is not logged.
func (s *Sender) failed(q *queue, e *entry, err *sendError) {
	s.observe(q, ResultFailed)
	now := time.Now()
	if q.since.IsZero() {
		q.since = now
	}
	if err.message {
		if e.failures == 0 {
			e.since = now
		}
		e.failures++
		e.retry = now.Add(pause(e.failures, err.wait))
	} else {
		q.failures++
		q.retry = now.Add(pause(q.failures, err.wait))
	}
	q.problem = err.Error()
	if q.logged != err.kind {
		q.logged = err.kind
		s.log.Warn("a notification was not delivered; it is tried again for a day", "receiver", q.receiver.Name(), "id", e.ID, "error", err.Error(), "hint", err.hint)
	}
}

// works notes that the receiver takes messages, as far as is known.
func (q *queue) works() {
	q.retry, q.failures, q.problem, q.logged, q.since = time.Time{}, 0, "", "", time.Time{}
}

// pause returns how long to wait after so many failures in a row, of which the last
// asked for a time; somewhat longer each, so that many senders don't come back together.
func pause(failures int, asked time.Duration) time.Duration {
	d := lastRetry
	if failures < 7 {
		d = min(d, firstRetry<<(failures-1))
	}
	d = max(d, min(asked, longestWait))
	return d + mathrand.N(d/5)
}

// expire drops what was tried for too long.
func (s *Sender) expire(q *queue, now time.Time) {
	var old []*entry
	for _, e := range q.entries {
		if !e.Collected && !e.sending && now.Sub(e.Ready) >= giveUpAfter && s.tried(q, e, now) {
			old = append(old, e)
		}
	}
	if len(old) == 0 {
		return
	}
	s.remove(q, old...)
	q.lost += len(old)
	for _, e := range old {
		s.observe(q, ResultGivenUp)
		m := s.message(e)
		s.log.Error("a notification is given up: it was tried for a day", "receiver", q.receiver.Name(), "id", e.ID, "run", m.Run, "events", len(m.Events), "error", q.problem)
	}
	s.save()
}

// tried reports whether this process has tried a message for long enough, or others that
// the receiver has to get before it. A message may be old because nobody was here to send
// it, or because the clock was set.
func (s *Sender) tried(q *queue, e *entry, now time.Time) bool {
	return q.failures > 0 && now.Sub(q.since) >= s.patience || e.failures > 0 && now.Sub(e.since) >= s.patience
}
