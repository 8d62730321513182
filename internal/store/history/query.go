package history

import (
	"cmp"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"reconciler/internal/store/sqlitefile"
)

// Head returns the hash of the newest entry; empty if there is none.
func (s *Store) Head() (head string, err error) {
	err = s.read("reading the head", func(tx *sql.Tx) error {
		last, err := lastLink(tx)
		head = last.head()
		return err
	})
	return head, err
}

// Entries returns the entries that q selects, newest first. Causes that came later are
// set in the entries that they are about. Changes that are under way in a process that
// is gone are among them, with the outcome unknown and without a seq.
func (s *Store) Entries(q Query) (all []Entry, err error) {
	err = s.read("reading entries", func(tx *sql.Tx) error {
		if all, err = s.unfinished(tx, &q); err != nil {
			return err
		}
		if q.Limit > 0 {
			all = all[:min(len(all), q.Limit)]
			if q.Limit -= len(all); q.Limit == 0 {
				return nil
			}
		}
		kept, err := entries(tx, &q)
		all = append(all, kept...)
		return err
	})
	return all, err
}

// unfinished returns the changes that are under way in processes that are gone, as far
// as q selects them, newest first.
func (s *Store) unfinished(tx *sql.Tx, q *Query) ([]Entry, error) {
	if q.Before > 0 || len(q.RequestIDs) > 0 || len(q.About) > 0 || len(q.Types) > 0 && !slices.Contains(q.Types, TypeChange) {
		return nil, nil
	}
	runs, err := running(tx)
	if err != nil {
		return nil, err
	}
	var all []Entry
	for i := range runs {
		if !s.place.gone(tx, runs[i].process) {
			continue
		}
		entries, err := pendingOf(tx, runs[i].ID)
		if err != nil {
			return nil, err
		}
		for k := range entries {
			if q.selects(&entries[k]) {
				all = append(all, entries[k])
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Entry) int { return b.Time.Compare(a.Time) })
	return all, nil
}

// selects reports whether org, action, run and time of an entry are those of q.
func (q *Query) selects(e *Entry) bool {
	return (q.Org == "" || q.Org == e.Org) && (q.Action == "" || q.Action == e.Action) && (q.Run == "" || q.Run == e.Run) &&
		(q.Since.IsZero() || !e.Time.Before(q.Since)) && (q.Until.IsZero() || e.Time.Before(q.Until))
}

// condition returns what q selects as SQL, without its types.
func (q *Query) condition() (where []string, args []any) {
	add := func(condition string, values ...any) {
		where, args = append(where, condition), append(args, values...)
	}
	if q.Org != "" {
		add("org = ?", q.Org)
	}
	if q.Action != "" {
		add("action = ?", q.Action)
	}
	if q.Run != "" {
		add("run = ?", q.Run)
	}
	if !q.Since.IsZero() {
		add("time >= ?", sqlitefile.Stamp(q.Since))
	}
	if !q.Since.IsZero() && q.Org == "" && q.Run == "" {
		// Or all entries of a type would be looked at. A clock may have been set back, so
		// that the first of them need not be the oldest. The sign has it found by its time.
		add("seq >= (SELECT min(+seq) FROM entries WHERE time >= ?)", sqlitefile.Stamp(q.Since))
	}
	if !q.Until.IsZero() {
		add("time < ?", sqlitefile.Stamp(q.Until))
	}
	if q.Before > 0 {
		add("seq < ?", q.Before)
	}
	if len(q.About) > 0 {
		marks, seqs := list(q.About)
		add("about > 0 AND about IN "+marks, seqs...)
	}
	if len(q.RequestIDs) > 0 {
		marks, ids := list(q.RequestIDs)
		add("seq IN (SELECT seq FROM requests WHERE id IN "+marks+")", ids...)
	}
	return where, args
}

// list returns values as a list in SQL; there must be some.
func list[T any](values []T) (marks string, args []any) {
	for _, v := range values {
		args = append(args, v)
	}
	return "(?" + strings.Repeat(", ?", len(values)-1) + ")", args
}

// noLimit is the limit where there is none.
const noLimit = math.MaxInt64

// query returns SQL that finds the seqs of what q selects, newest first. Each type is
// looked for by itself, in the order of its index, so that a page costs no more than
// what is on it.
func (q *Query) query() (string, []any) {
	limit := noLimit
	if q.Limit > 0 {
		limit = q.Limit
	}
	where, args := q.condition()
	one := func(where []string) string {
		if len(where) == 0 {
			where = []string{"true"}
		}
		return "SELECT seq FROM entries WHERE " + strings.Join(where, " AND ") + " ORDER BY seq DESC LIMIT ?"
	}
	if len(q.Types) == 0 {
		return one(where), append(args, limit)
	}
	types := slices.Clone(q.Types)
	slices.Sort(types)
	var parts []string
	var all []any
	for _, t := range slices.Compact(types) {
		parts = append(parts, "SELECT seq FROM ("+one(append([]string{"type = ?"}, where...))+") one")
		all = append(append(append(all, string(t)), args...), limit)
	}
	return strings.Join(parts, " UNION ALL ") + " ORDER BY seq DESC LIMIT ?", append(all, limit)
}

// entries returns the entries of the chain that q selects, newest first.
func entries(tx *sql.Tx, q *Query) ([]Entry, error) {
	query, args := q.query()
	rows, err := tx.Query(`SELECT e.content, e.hash, c.content FROM entries e LEFT JOIN entries c ON c.seq = (
			SELECT max(seq) FROM entries WHERE about > 0 AND type = 'cause'
			AND about = CASE e.type WHEN 'drift-ended' THEN e.about WHEN 'drift' THEN e.seq WHEN 'change' THEN e.seq END)
		WHERE e.seq IN (`+query+`) ORDER BY e.seq DESC`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Entry
	for rows.Next() {
		var content, hash, cause []byte
		if err := rows.Scan(&content, &hash, &cause); err != nil {
			return nil, err
		}
		e, err := decode(content)
		if err != nil {
			return nil, err
		}
		e.Hash = hex.EncodeToString(hash)
		if cause != nil {
			c, err := decode(cause)
			if err != nil {
				return nil, err
			}
			e.Cause, e.Unknown = c.Cause, c.Unknown
		}
		all = append(all, e)
	}
	return all, rows.Err()
}

// find returns an entry, with the cause that came later, also one that was pruned and is
// kept; nil if there is none.
func find(tx *sql.Tx, seq int64) (*Entry, error) {
	var e *Entry
	for _, query := range []string{
		`SELECT content FROM entries WHERE seq = ?1 UNION ALL SELECT content FROM kept WHERE seq = ?1`,
		`SELECT content FROM (SELECT seq, content FROM entries WHERE about > 0 AND about = ?1 AND type = 'cause'
			UNION ALL SELECT seq, content FROM kept WHERE about > 0 AND about = ?1 AND type = 'cause') causes ORDER BY seq DESC LIMIT 1`,
	} {
		var content []byte
		err := tx.QueryRow(query, seq).Scan(&content)
		if errors.Is(err, sql.ErrNoRows) {
			return e, nil
		}
		if err != nil {
			return nil, err
		}
		found, err := decode(content)
		if err != nil {
			return nil, err
		}
		if e != nil {
			e.Cause, e.Unknown = found.Cause, found.Unknown
			return e, nil
		}
		e = &found
	}
	return e, nil
}

// Runs returns runs that were kept and runs that go on, newest first; those of processes
// that are gone are interrupted. Before, where not empty, is the id of the run before
// which to begin. A limit of 0 is none.
func (s *Store) Runs(before string, limit int) (all []Run, err error) {
	err = s.read("reading runs", func(tx *sql.Tx) error {
		all, err = s.runs(tx, before, cmp.Or(max(0, limit), noLimit))
		return err
	})
	return all, err
}

func (s *Store) runs(tx *sql.Tx, before string, limit int) ([]Run, error) {
	unfinished, err := s.unfinishedRuns(tx)
	if err != nil {
		return nil, err
	}
	from, args := fmt.Sprint(noLimit), []any(nil)
	if before != "" {
		at := slices.IndexFunc(unfinished, func(r Run) bool { return r.ID == before })
		unfinished = unfinished[at+1:]
		if at < 0 {
			unfinished = nil
			from, args = `coalesce((SELECT max(seq) FROM entries WHERE run = ? AND type = 'run'), 0)`, []any{before}
		}
	}
	all := unfinished
	if all = all[:min(len(all), limit)]; len(all) == limit {
		return all, nil
	}
	limit -= len(all)
	rows, err := tx.Query(`SELECT content FROM entries WHERE type = 'run' AND seq < `+from+` ORDER BY seq DESC LIMIT ?`, append(args, limit)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var content []byte
		if err := rows.Scan(&content); err != nil {
			return nil, err
		}
		r, err := runOf(content)
		if err != nil {
			return nil, err
		}
		all = append(all, *r)
	}
	return all, rows.Err()
}

// runOf returns the run that an entry is about.
func runOf(content []byte) (*Run, error) {
	e, err := decode(content)
	if err != nil {
		return nil, err
	}
	var r Run
	return &r, unmarshal(e.Record, &r)
}

// unfinishedRuns returns the runs that go on or were interrupted, newest first.
func (s *Store) unfinishedRuns(tx *sql.Tx) ([]Run, error) {
	rows, err := running(tx)
	if err != nil {
		return nil, err
	}
	var all []Run
	for i := range rows {
		if s.place.gone(tx, rows[i].process) {
			rows[i].interrupt()
		}
		all = append(all, rows[i].Run)
	}
	return all, nil
}

// FindRun returns a run; nil if there is none.
func (s *Store) FindRun(id string) (run *Run, err error) {
	err = s.read("reading a run", func(tx *sql.Tx) error {
		unfinished, err := s.unfinishedRuns(tx)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(unfinished, func(r Run) bool { return r.ID == id }); i >= 0 {
			run = &unfinished[i]
			return nil
		}
		var content []byte
		err = tx.QueryRow(`SELECT content FROM entries WHERE run = ? AND type = 'run' ORDER BY seq DESC LIMIT 1`, id).Scan(&content)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		run, err = runOf(content)
		return err
	})
	return run, err
}

// QuietRuns returns how many runs of the retention were only counted.
func (s *Store) QuietRuns() (quiet Quiet, err error) {
	err = s.read("counting runs", func(tx *sql.Tx) error {
		since := ""
		if s.retention > 0 {
			since = s.now().Add(-s.retention).UTC().Format(time.DateOnly)
		}
		return tx.QueryRow(`SELECT coalesce(sum(runs), 0), coalesce(min(first), ''), coalesce(max(last), '') FROM quiet WHERE day >= ?`, since).
			Scan(&quiet.Runs, sqlitefile.Moment(&quiet.Since), sqlitefile.Moment(&quiet.Last))
	})
	return quiet, err
}
