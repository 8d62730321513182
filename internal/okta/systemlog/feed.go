package systemlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// Lateness is how late an event may be: an hour, and a bit.
	Lateness = 70 * time.Minute

	// maxPages is how many pages one update reads; the next goes on from there.
	maxPages = 20
	// maxEvents is how many events are kept. Of more, the oldest are forgotten.
	maxEvents = 50_000
)

// Feed is what is known of a log: the events of some types, since some time. It is used by
// one goroutine at a time.
type Feed struct {
	log    *Log
	filter string
	wanted func(*Event) bool

	// from is the time from which on the events are known, and seen that up to which they
	// are; both are zero if nothing was read.
	from, seen time.Time
	events     map[string]Event // by uuid
	ahead      time.Duration
}

// NewFeed returns a feed of the events that filter, an expression of Okta's, selects and
// wanted has: what the filter does is not relied on. It reads nothing.
func NewFeed(log *Log, filter string, wanted func(*Event) bool) *Feed {
	return &Feed{log: log, filter: filter, wanted: wanted, events: map[string]Event{}}
}

// Use makes the feed read the same log by other means, such as a new token.
func (f *Feed) Use(log *Log) { f.log = log }

// Update reads the events that were published since a time, as far as they aren't known;
// but those of the last hour before it was read last are read again, as events come late.
// whole reports whether these were all that the log had: if it is false, there was too
// much to read at once, and another Update goes on.
func (f *Feed) Update(ctx context.Context, since time.Time) (whole bool, err error) {
	if f.from.IsZero() || since.Before(f.from) {
		f.from, f.seen = since, time.Time{}
	}
	start := since
	if !f.seen.IsZero() && f.seen.After(start) {
		start = f.seen
	}
	began := time.Now()
	visited := map[string]bool{}
	newest := start
	for n, at := 1, f.log.first(start, f.filter); ; n++ {
		visited[at.String()] = true
		p, err := f.log.page(ctx, at)
		if err != nil {
			return false, fmt.Errorf("reading the System Log: %w", err)
		}
		f.ahead = p.ahead
		for i := range p.events {
			e := &p.events[i]
			if f.wanted(e) && !e.Published.Before(f.from) {
				f.events[e.UUID] = *e
			}
			if e.Published.After(newest) {
				newest = e.Published
			}
		}
		switch {
		case p.next == nil, p.read == 0:
			f.seen = began.Add(p.ahead - Lateness)
			f.forget()
			return true, nil
		case visited[p.next.String()]:
			return false, errors.New("reading the System Log: the pages go in circles: the next one was read before")
		case n == maxPages:
			f.seen = newest
			if late := began.Add(p.ahead - Lateness); start.Before(late) && late.Before(newest) {
				f.seen = late
			}
			f.forget()
			return false, nil
		}
		at = p.next
	}
}

// forget forgets the oldest events if there are too many.
func (f *Feed) forget() {
	if len(f.events) <= maxEvents {
		return
	}
	all := f.Events()
	f.Drop(all[len(all)-maxEvents/2].Published)
}

// Drop forgets the events before a time, which are not needed any more.
func (f *Feed) Drop(before time.Time) {
	if !before.After(f.from) {
		return
	}
	f.from = before
	for id, e := range f.events {
		if e.Published.Before(before) {
			delete(f.events, id)
		}
	}
}

// Events returns the events that are known, each once, in the order in which they
// happened.
func (f *Feed) Events() []Event {
	all := make([]Event, 0, len(f.events))
	for _, e := range f.events {
		all = append(all, e)
	}
	sortEvents(all)
	return all
}

// Ahead returns by how much Okta's clock is ahead of ours.
func (f *Feed) Ahead() time.Duration { return f.ahead }

func sortEvents(all []Event) { slices.SortFunc(all, func(a, b Event) int { return a.compare(&b) }) }
