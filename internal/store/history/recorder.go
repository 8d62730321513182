package history

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"reconciler/internal/store/sqlitefile"
)

// Recorder records one run. Its methods may be called by several goroutines.
type Recorder struct {
	store *Store

	mu  sync.Mutex
	run Run
	// wrote reports whether the run has entries, with which it isn't quiet.
	wrote bool
}

// Begin begins a run: from now on it is in the history, as one that goes on, or as
// interrupted once its process is gone. Runs of processes that are gone become entries.
func (s *Store) Begin(r Run) (*Recorder, error) {
	if r.Started.IsZero() {
		r.Started = s.now()
	}
	rec := &Recorder{store: s, run: r}
	if s.place == nil {
		return rec, nil
	}
	const doing = "beginning a run"
	if r.ID == "" {
		return nil, s.failed(doing, errors.New("it has no id"))
	}
	data, err := json.Marshal(&r)
	if err != nil {
		return nil, s.failed(doing, err)
	}
	err = s.write(doing, func(tx *sql.Tx) error {
		// Once there is a folder.
		name, err := s.place.enter()
		if err != nil {
			return err
		}
		if err := recoverRuns(tx, s.now(), s.place.gone); err != nil {
			return err
		}
		if err := checkNew(tx, r.ID); err != nil {
			return err
		}
		_, err = tx.Exec(`INSERT INTO running (id, process, begun, run) VALUES (?, ?, ?, ?)`, r.ID, name, sqlitefile.Stamp(r.Started), string(data))
		return err
	})
	if err != nil {
		return nil, err
	}
	return rec, nil
}

// checkNew rejects an id that another run has.
func checkNew(tx *sql.Tx, id string) error {
	var n int
	err := tx.QueryRow(`SELECT (SELECT count(*) FROM running WHERE id = ?) + (SELECT count(*) FROM entries WHERE run = ? AND type = ?)`, id, id, string(TypeRun)).Scan(&n)
	if err == nil && n > 0 {
		err = fmt.Errorf("there is a run with the id %q already", id)
	}
	return err
}

// Planned sets what is known of the run once it has a plan.
func (r *Recorder) Planned(commit, signer, digest string) error {
	r.mu.Lock()
	r.run.Commit, r.run.Signer, r.run.Digest = commit, signer, digest
	data, err := json.Marshal(&r.run)
	id := r.run.ID
	r.mu.Unlock()
	const doing = "noting the plan of a run"
	if err != nil {
		return r.store.failed(doing, err)
	}
	return r.store.write(doing, func(tx *sql.Tx) error {
		_, err := tx.Exec(`UPDATE running SET run = ? WHERE id = ?`, string(data), id)
		return err
	})
}

// complete sets in an entry what the run has.
func (r *Recorder) complete(e *Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.Run = r.run.ID
	e.Commit, e.Signer, e.Digest = cmp.Or(e.Commit, r.run.Commit), cmp.Or(e.Signer, r.run.Signer), cmp.Or(e.Digest, r.run.Digest)
	e.By = cmp.Or(e.By, r.run.By)
}

// hasEntries notes that the run isn't quiet.
func (r *Recorder) hasEntries() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wrote = true
}

// Pending is a change under way.
type Pending struct {
	recorder *Recorder
	id       int64
	entry    Entry
}

// Change records that a change is about to be made; it has synced that when it returns.
// After an error the change must not be made. If the process ends before End, the
// change is in the history with the outcome unknown. Calls at the same time are synced
// together.
func (r *Recorder) Change(e Entry) (*Pending, error) {
	e.Type = TypeChange
	if e.Time.IsZero() {
		e.Time = r.store.now()
	}
	r.complete(&e)
	p := &Pending{recorder: r, entry: e}
	const doing = "noting a change that is about to be made"
	data, err := json.Marshal(&e)
	if err != nil {
		return nil, r.store.failed(doing, err)
	}
	r.hasEntries()
	err = r.store.write(doing, func(tx *sql.Tx) error {
		return tx.QueryRow(`INSERT INTO pending (run, begun, entry) VALUES (?, ?, ?) RETURNING id`, e.Run, sqlitefile.Stamp(e.Time), string(data)).Scan(&p.id)
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// End adds the entry of the change, with its outcome: what is set in it overrides what
// Change was given. Time is when it ended, now if zero; Seconds, if zero, is how long
// that is after the time that Change was given.
func (p *Pending) End(outcome Entry) error {
	s := p.recorder.store
	ended := outcome.Time
	if ended.IsZero() {
		ended = s.now()
	}
	e := overlay(p.entry, outcome)
	e.Time = ended
	e.Seconds = cmp.Or(outcome.Seconds, max(0, ended.Sub(p.entry.Time).Round(time.Millisecond).Seconds()))
	return s.write("noting the outcome of a change", func(tx *sql.Tx) error {
		if _, err := tx.Exec(`DELETE FROM pending WHERE id = ? AND run = ?`, p.id, e.Run); err != nil {
			return err
		}
		_, err := add(tx, s.now(), e)
		return err
	})
}

// overlay returns e with what outcome sets.
func overlay(e, outcome Entry) Entry {
	e.Outcome = cmp.Or(outcome.Outcome, e.Outcome)
	e.RequestID = cmp.Or(outcome.RequestID, e.RequestID)
	e.ErrorID, e.Error = cmp.Or(outcome.ErrorID, e.ErrorID), cmp.Or(outcome.Error, e.Error)
	e.OrgID = cmp.Or(outcome.OrgID, e.OrgID)
	e.Reason = cmp.Or(outcome.Reason, e.Reason)
	if outcome.RequestIDs != nil {
		e.RequestIDs = outcome.RequestIDs
	}
	if outcome.Cause != nil {
		e.Cause = outcome.Cause
	}
	for _, v := range []struct{ to, from *json.RawMessage }{
		{&e.Before, &outcome.Before}, {&e.After, &outcome.After}, {&e.Fields, &outcome.Fields}, {&e.Record, &outcome.Record},
	} {
		if *v.from != nil {
			*v.to = *v.from
		}
	}
	return e
}

// Finish ends the run, and returns the head. A quiet run is only counted, unless it has
// entries. Once a day it also prunes. Changes that were not ended have the outcome
// unknown.
func (r *Recorder) Finish(run Run) (head string, err error) {
	s := r.store
	r.mu.Lock()
	run.ID = r.run.ID
	run.Started = cmpTime(run.Started, r.run.Started)
	run.Finished = cmpTime(run.Finished, s.now())
	run.Command, run.Trigger, run.Mode = cmp.Or(run.Command, r.run.Command), cmp.Or(run.Trigger, r.run.Trigger), cmp.Or(run.Mode, r.run.Mode)
	run.By, run.Commit = cmp.Or(run.By, r.run.By), cmp.Or(run.Commit, r.run.Commit)
	run.Signer, run.Digest = cmp.Or(run.Signer, r.run.Signer), cmp.Or(run.Digest, r.run.Digest)
	quiet := run.Quiet && !r.wrote
	r.mu.Unlock()
	err = s.write("keeping a run", func(tx *sql.Tx) error {
		if err := endRun(tx, s.now(), &run, quiet); err != nil {
			return err
		}
		last, err := lastLink(tx)
		head = last.head()
		return err
	})
	if err != nil || s.place == nil {
		return "", err
	}
	if pruned, err := s.pruneDaily(); err != nil {
		s.log.Warn("pruning the history failed; it is tried again in the next run", "error", err)
	} else if pruned != "" {
		head = pruned
	}
	return head, nil
}

func endRun(tx *sql.Tx, now time.Time, run *Run, quiet bool) error {
	if !quiet {
		return closeRun(tx, now, run)
	}
	at := sqlitefile.Stamp(run.Finished)
	if _, err := tx.Exec(`INSERT INTO quiet (day, runs, first, last) VALUES (?, 1, ?, ?)
		ON CONFLICT (day) DO UPDATE SET runs = quiet.runs + 1,
			first = CASE WHEN excluded.first < quiet.first THEN excluded.first ELSE quiet.first END,
			last = CASE WHEN excluded.last > quiet.last THEN excluded.last ELSE quiet.last END`,
		at[:len("2006-01-02")], at, at); err != nil {
		return err
	}
	return forgetRunning(tx, run.ID)
}

// cmpTime returns the first of two times that isn't zero.
func cmpTime(a, b time.Time) time.Time {
	if a.IsZero() {
		return b
	}
	return a
}

// runEntry returns the entry of a run that has ended.
func runEntry(r *Run) (Entry, error) {
	record, err := json.Marshal(r)
	if err != nil {
		return Entry{}, fmt.Errorf("the run %q can't be kept: %w", r.ID, err)
	}
	e := Entry{
		Type: TypeRun, Action: string(TypeRun), Time: r.Finished, Run: r.ID, Commit: r.Commit, Signer: r.Signer, Digest: r.Digest, By: r.By,
		Outcome: r.Result, Error: r.Error, Record: record,
	}
	if !r.Finished.IsZero() {
		e.Seconds = max(0, r.Finished.Sub(r.Started).Round(time.Millisecond).Seconds())
	}
	return e, nil
}

// Add adds entries of what happened outside of runs, in one transaction, and returns
// the head. Seq, Hash and a zero Time are set.
func (s *Store) Add(entries ...Entry) (head string, err error) {
	err = s.write("adding to the history", func(tx *sql.Tx) error {
		copied := append([]Entry{}, entries...)
		head, err = add(tx, s.now(), copied...)
		return err
	})
	if err != nil {
		return "", err
	}
	return head, nil
}
