package history

import (
	"database/sql"
	"time"
)

// Outcomes of drift, in what Told returns.
const (
	OutcomeOpen  = "open"
	OutcomeEnded = "ended"
)

// Happened returns the types of entries that tell what happened. How drift ended is an
// outcome of the entry with which it began.
func Happened() []Type { return []Type{TypeChange, TypeOperator, TypeDrift} }

// Told returns what Entries does, and of drift whether it is open, when it was seen last
// and how often.
func (s *Store) Told(q Query) ([]Entry, error) {
	entries, err := s.Entries(q)
	if err != nil {
		return nil, err
	}
	var drifted []int64
	for i := range entries {
		if entries[i].Type == TypeDrift {
			drifted = append(drifted, entries[i].Seq)
		}
	}
	if len(drifted) == 0 {
		return entries, nil
	}
	ends, err := s.Entries(Query{Types: []Type{TypeDriftEnded}, About: drifted})
	if err != nil {
		return nil, err
	}
	var open []Drift
	err = s.read("reading drift", func(tx *sql.Tx) error {
		marks, seqs := list(drifted)
		open, err = driftsWhere(tx, &DriftCache{}, "WHERE seq IN "+marks, seqs...)
		return err
	})
	if err != nil {
		return nil, err
	}
	tellDrift(entries, ends, open)
	return entries, nil
}

// tellDrift sets of entries about drift whether it is open, when it was seen last and how
// often. What is open has one entry, the newest: one before it told of another value.
func tellDrift(entries, ends []Entry, open []Drift) {
	type seen struct {
		outcome string
		last    *time.Time
		times   int
	}
	known := map[int64]seen{}
	for i := range ends {
		known[ends[i].About] = seen{OutcomeEnded, ends[i].LastSeen, ends[i].Times}
	}
	for i := range open {
		known[open[i].Seq] = seen{OutcomeOpen, &open[i].LastSeen, open[i].Times}
	}
	for i := range entries {
		e := &entries[i]
		if e.Type != TypeDrift {
			continue
		}
		e.Outcome = OutcomeEnded
		if s, ok := known[e.Seq]; ok {
			e.Outcome, e.LastSeen, e.Times = s.outcome, s.last, s.times
		}
	}
}
