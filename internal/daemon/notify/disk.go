package notify

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"reconciler/internal/store/outbox"
	"reconciler/internal/text"
)

// Told returns what Add was given last, also by an earlier process; nil if that was never
// called.
func (s *Sender) Told() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store == nil || s.unsaved.Keep != nil {
		return s.told, nil
	}
	kept, err := s.store.Kept()
	if errors.Is(err, outbox.ErrDamaged) { // set aside by the next Add
		return nil, nil
	}
	return kept, err
}

// save writes to disk what it doesn't know yet. After a failure it is tried again with
// a later change, and every pollEvery, but no sooner than saveEvery allows. s.mu is held.
func (s *Sender) save() {
	s.publish()
	if s.store == nil || s.unsaved.IsZero() {
		s.unsaved = outbox.Change{}
		return
	}
	if time.Now().Before(s.saveAgain) {
		return
	}
	if err := s.store.Change(s.unsaved); err != nil {
		s.saveAgain = time.Now().Add(saveEvery)
		if s.saveError != err.Error() {
			s.saveError = err.Error()
			s.log.Warn("notifications are queued in memory alone, and would be lost or sent twice after a restart", "error", err.Error(), "hint", text.Hint(err))
		}
		return
	}
	if s.saveError != "" {
		s.saveError = ""
		s.log.Info("notifications are queued on disk again")
	}
	s.unsaved, s.saveAgain = outbox.Change{}, time.Time{}
}

// load takes up what other processes have queued on disk, and with all also what is there
// already, of which it drops what is for receivers that the config doesn't have.
func (s *Sender) load(all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store == nil {
		return
	}
	defer s.save()
	after := s.loaded
	if all {
		after = 0
	}
	messages, err := s.store.Load(after)
	if err != nil {
		if s.loadError != err.Error() {
			s.loadError = err.Error()
			s.log.Warn("what is queued can't be read, and is sent once it can", "error", err.Error(), "hint", text.Hint(err))
		}
		return
	}
	s.loadError = ""
	strangers := s.takeUp(messages)
	if !all {
		return
	}
	for receiver, ids := range strangers {
		s.unsaved.Remove = append(s.unsaved.Remove, ids...)
		s.log.Warn("queued notifications are dropped: the config has no such receiver any more", "receiver", text.Visible(receiver), "messages", len(ids))
	}
}

// takeUp queues messages that are on disk, and returns the ids of those whose receivers
// the config doesn't have, by receiver.
func (s *Sender) takeUp(messages []outbox.Message) (strangers map[string][]string) {
	strangers = map[string][]string{}
	delivered := map[string]bool{}
	for _, id := range s.unsaved.Remove {
		delivered[id] = true
	}
	queues, entries := map[string]*queue{}, map[string]*entry{}
	for _, q := range s.queues {
		queues[q.receiver.key] = q
		for _, e := range q.entries {
			entries[e.ID] = e
		}
	}
	for _, m := range messages {
		s.loaded = max(s.loaded, m.Seq)
		q, e := queues[m.Receiver], entries[m.ID]
		switch {
		case delivered[m.ID]:
		case q == nil:
			strangers[m.Receiver] = append(strangers[m.Receiver], m.ID)
		case e != nil:
			e.Seq = m.Seq
		default:
			s.takeUpOne(q, m)
		}
	}
	for _, q := range s.queues {
		slices.SortStableFunc(q.entries, func(a, b *entry) int { return cmp.Compare(a.place(), b.place()) })
	}
	s.limit()
	return strangers
}

func (s *Sender) takeUpOne(q *queue, m outbox.Message) {
	var content Message
	if err := json.Unmarshal(m.Content, &content); err != nil {
		s.log.Error("a queued notification can't be read and is dropped", "receiver", m.Receiver, "id", m.ID, "error", err.Error())
		s.unsaved.Remove = append(s.unsaved.Remove, m.ID)
		return
	}
	q.entries = append(q.entries, &entry{Message: m, urgent: content.urgent()})
	q.signal()
}
