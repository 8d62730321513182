package notify

import (
	"slices"
	"time"
)

// Status is how one receiver does.
type Status struct {
	// Receiver is its name, and Type its type.
	Receiver, Type string
	// Queued are the messages that it has not got yet.
	Queued int
	// Problem is why the last try failed, and Since when failures began; empty if it
	// didn't.
	Problem string
	Since   time.Time
	// Sent is when it got a message last; zero if it did not since the start.
	Sent time.Time
	// Lost is how many messages were given up or dropped since the start.
	Lost int
}

// Status returns how the receivers do, in the order of the config. It doesn't wait for
// the disk.
func (s *Sender) Status() []Status {
	if all := s.status.Load(); all != nil {
		return slices.Clone(*all)
	}
	return []Status{}
}

// publish sets what Status returns, and counts what is queued. s.mu is held.
func (s *Sender) publish() {
	all, n := []Status{}, 0
	for _, q := range s.queues {
		n += len(q.entries)
		all = append(all, Status{
			Receiver: q.receiver.Name(), Type: q.receiver.Type(), Queued: len(q.entries),
			Problem: q.problem, Since: q.since, Sent: q.sentAt, Lost: q.lost,
		})
	}
	s.status.Store(&all)
	if s.opts.Observer != nil {
		s.opts.Observer.Queued(n)
	}
}

// observe counts a message.
func (s *Sender) observe(q *queue, result string) {
	if s.opts.Observer != nil {
		s.opts.Observer.Notified(q.receiver.Type(), result)
	}
}
