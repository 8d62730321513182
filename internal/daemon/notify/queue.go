package notify

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"reconciler/internal/store/outbox"
)

// queue is what one receiver has to get. Its fields belong to Sender.mu.
type queue struct {
	receiver *Receiver
	entries  []*entry
	wake     chan struct{}
	// served is set while a goroutine sends, and gone once the config no longer has the
	// receiver.
	served, gone bool

	// retry is when the receiver is tried again, after failures in a row, problem what the
	// last one said, and logged the kind of the one that was logged last.
	retry           time.Time
	failures        int
	problem, logged string
	since           time.Time // of the failures
	sentAt          time.Time
	lost            int // messages that were given up or dropped
}

// entry is a message in a queue.
type entry struct {
	outbox.Message
	urgent  bool
	sending bool
	// retry, failures and since are about this message alone, which the receiver refuses.
	retry    time.Time
	failures int
	since    time.Time
}

// place returns the entry's place in the order: what is not on disk yet comes last.
func (e *entry) place() int64 { return cmp.Or(e.Seq, math.MaxInt64) }

// signal wakes the goroutine that sends.
func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Add queues what the receivers are told of a report: one message for each at most, and
// one more of what is collected for its digest; none without events. told is what they
// know then, for whoever finds out what is new to them: it is kept together with the
// messages, both or nothing. Add waits for no receiver. If the queue on disk can't be
// written, all of it is in memory until it can.
func (s *Sender) Add(r Report, told []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	added := map[*queue][]*entry{}
	for _, q := range s.queues {
		entries, err := q.entriesFor(&r)
		if err != nil {
			return err
		}
		added[q] = entries
	}
	for q, entries := range added {
		s.append(q, entries...)
	}
	s.told, s.unsaved.Keep = told, told
	s.limit()
	s.save()
	for _, q := range s.queues {
		q.signal()
	}
	return nil
}

// entriesFor returns what a queue gets of a report.
func (q *queue) entriesFor(r *Report) (entries []*entry, err error) {
	var now, later []Event
	for i := range r.Events {
		switch e := &r.Events[i]; {
		case !q.receiver.wants(e):
		case q.receiver.cfg.Digest.IsZero() || e.Type.Urgent():
			now = append(now, *e)
		default:
			later = append(later, *e)
		}
	}
	at := time.Now()
	for _, part := range []struct {
		events    []Event
		ready     time.Time
		collected bool
	}{{now, at, false}, {later, q.collectedUntil(at), true}} {
		if len(part.events) == 0 {
			continue
		}
		m := &Message{Version: messageVersion, ID: newID(), Account: r.Account, Time: r.Time.UTC(), Run: r.Run, Link: r.Link, Events: part.events}
		e, err := q.entry(m, part.ready, part.collected)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// entry returns the entry of a message.
func (q *queue) entry(m *Message, ready time.Time, collected bool) (*entry, error) {
	content, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("a notification can't be written as JSON: %w", err)
	}
	return &entry{urgent: m.urgent(), Message: outbox.Message{
		ID: m.ID, Receiver: q.receiver.key, Made: wall(time.Now()), Ready: wall(ready), Collected: collected, Content: content,
	}}, nil
}

// message returns what is in an entry.
func (s *Sender) message(e *entry) *Message {
	var m Message
	if err := json.Unmarshal(e.Content, &m); err != nil {
		s.log.Error("a queued notification can't be read", "id", e.ID, "error", err.Error())
	}
	return &m
}

// wall returns a time without its monotonic reading, which stops while a machine sleeps.
func wall(t time.Time) time.Time { return t.UTC().Round(0) }

// newID returns the id of a message.
func newID() string { return strings.ToLower(rand.Text()) }

// append appends entries to a queue.
func (s *Sender) append(q *queue, entries ...*entry) {
	q.entries = append(q.entries, entries...)
	for _, e := range entries {
		s.unsaved.Add = append(s.unsaved.Add, e.Message)
	}
}

// remove takes entries out of a queue.
func (s *Sender) remove(q *queue, entries ...*entry) {
	if len(entries) == 0 {
		return
	}
	ids := make(map[string]bool, len(entries))
	for _, e := range entries {
		ids[e.ID] = true
		s.unsaved.Remove = append(s.unsaved.Remove, e.ID)
	}
	q.entries = slices.DeleteFunc(q.entries, func(e *entry) bool { return ids[e.ID] })
	s.unsaved.Add = slices.DeleteFunc(s.unsaved.Add, func(m outbox.Message) bool { return ids[m.ID] })
}

// drop removes messages that will not be delivered, and logs that.
func (s *Sender) drop(q *queue, entries []*entry, why string) {
	n := len(entries) // which may be those of the queue
	if n == 0 {
		return
	}
	s.remove(q, entries...)
	q.lost += n
	s.log.Error("notifications were dropped: "+why, "receiver", q.receiver.Name(), "messages", n)
	for range n {
		s.observe(q, ResultDropped)
	}
}

// limit drops messages while there are too many: the oldest that are not urgent, and
// others only if there are no such ones.
func (s *Sender) limit() {
	count, size := 0, 0
	for _, q := range s.queues {
		for _, e := range q.entries {
			count++
			size += len(e.Content)
		}
	}
	if count <= maxMessages && size <= maxBytes {
		return
	}
	dropped := map[string]bool{}
	for _, e := range s.expendable() {
		if count <= maxMessages && size <= maxBytes {
			break
		}
		dropped[e.ID] = true
		count--
		size -= len(e.Content)
	}
	for _, q := range s.queues {
		var entries []*entry
		for _, e := range q.entries {
			if dropped[e.ID] {
				entries = append(entries, e)
			}
		}
		s.drop(q, entries, fmt.Sprintf("more than %d, or %d MB, wait to be delivered", maxMessages, maxBytes>>20))
	}
}

// expendable returns the messages that may be dropped, in the order in which they are.
func (s *Sender) expendable() (all []*entry) {
	for _, q := range s.queues {
		for _, e := range q.entries {
			if !e.sending {
				all = append(all, e)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b *entry) int {
		if a.urgent != b.urgent {
			if b.urgent {
				return -1
			}
			return 1
		}
		return a.Made.Compare(b.Made)
	})
	return all
}

// collectedUntil returns until when what is collected from now on has to wait: as long
// as what is collected already.
func (q *queue) collectedUntil(now time.Time) time.Time {
	for _, e := range q.entries {
		if e.Collected && e.Ready.After(now) {
			return e.Ready
		}
	}
	return q.digestAfter(now)
}

// digestAfter returns when what is collected at a time is sent, as the config is.
func (q *queue) digestAfter(t time.Time) time.Time {
	digest := q.receiver.cfg.Digest
	if digest.IsZero() {
		return t
	}
	if next := digest.Next(t); !next.IsZero() {
		return next
	}
	return t // a schedule without further times
}

// collect makes one message of those that were collected until now. Where the config or
// the clock was set back since, they don't wait for longer than new ones would.
func (s *Sender) collect(q *queue, now time.Time) {
	var due []*entry
	var all []*Message
	for _, e := range q.entries {
		if !e.Collected {
			continue
		}
		if e.Ready.After(now) {
			if latest := wall(q.digestAfter(now)); e.Ready.After(latest) {
				e.Ready = latest
			}
		}
		if !e.Ready.After(now) {
			due = append(due, e)
			all = append(all, s.message(e))
		}
	}
	if len(due) == 0 {
		return
	}
	e, err := q.entry(merge(newID(), all), now, false)
	if err != nil {
		s.log.Error("a digest can't be made: this is a bug, please report it", "error", err.Error())
		s.drop(q, due, "they can't be written as one")
		return
	}
	s.remove(q, due...)
	s.append(q, e)
	s.save()
}
