package history

import (
	"cmp"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"reconciler/internal/store/sqlitefile"
)

// pruneEvery is how often Finish prunes.
const pruneEvery = 24 * time.Hour

// Checkpoint is the record of an entry of type checkpoint: which entries were pruned.
type Checkpoint struct {
	// First and Last are the seqs of the entries.
	First int64 `json:"first"`
	Last  int64 `json:"last"`
	// Newest is the newest time of them that was not still to come, and Retention how old
	// they had to be.
	Newest    time.Time `json:"newest"`
	Retention string    `json:"retention"`
	// Hash is that of the entry Last: whoever has only the entries after it can go on
	// from there.
	Hash string `json:"hash"`
	// Kept are the seqs of pruned entries whose content is kept, as something within
	// the retention depends on it: since when an org was as it is, or what drifts.
	Kept []int64 `json:"kept,omitempty"`
}

// Prune removes entries that are older than the retention from the beginning of the
// chain, and adds an entry of type checkpoint if there were any. Entries that were
// altered are not removed, so that they can be looked at; that is an error.
func (s *Store) Prune() error {
	_, err := s.prune()
	return err
}

// pruneDaily is Prune, if that is due, and returns the head if there is a new one.
func (s *Store) pruneDaily() (head string, err error) {
	if s.retention <= 0 {
		return "", nil
	}
	var last time.Time
	err = s.read("reading when it was pruned", func(tx *sql.Tx) error {
		err := tx.QueryRow(`SELECT at FROM pruned`).Scan(sqlitefile.Moment(&last))
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	// A clock that was set back must not stop it.
	if since := s.now().Sub(last); err != nil || since >= 0 && since < pruneEvery {
		return "", err
	}
	return s.prune()
}

func (s *Store) prune() (head string, err error) {
	if s.retention <= 0 {
		return "", nil
	}
	now := s.now()
	var c *Checkpoint
	err = s.write("pruning", func(tx *sql.Tx) error {
		if _, err := tx.Exec(`INSERT INTO pruned (id, at) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET at = excluded.at`, sqlitefile.Stamp(now)); err != nil {
			return err
		}
		if c, err = checkpoint(tx, now, s.retention); err != nil || c == nil {
			return err
		}
		record, err := json.Marshal(c)
		if err != nil {
			return err
		}
		head, err = add(tx, now, Entry{Type: TypeCheckpoint, Action: string(TypeCheckpoint), Record: record})
		return err
	})
	if err == nil && c != nil {
		s.log.Info("pruned the history", "first", c.First, "last", c.Last, "newest", c.Newest, "retention", c.Retention)
	}
	return head, err
}

// checkpoint removes what is older than the retention, and returns what that was; nil if
// nothing is.
func checkpoint(tx *sql.Tx, now time.Time, retention time.Duration) (*Checkpoint, error) {
	cutoff := now.Add(-retention)
	if _, err := tx.Exec(`DELETE FROM quiet WHERE day < ?`, cutoff.UTC().Format(time.DateOnly)); err != nil {
		return nil, err
	}
	c := &Checkpoint{Retention: retention.String()}
	// Up to the first entry that is young enough, whatever came after it: the chain
	// has no holes. One of a time that is still to come, when the clock was ahead, is as
	// old as what came after it.
	if err := tx.QueryRow(`SELECT coalesce((SELECT min(seq) FROM entries), 1),
		coalesce((SELECT min(seq) FROM entries WHERE time >= ?1 AND (time <= ?2 OR seq > coalesce((SELECT max(seq) FROM entries WHERE time < ?1), 0))),
			(SELECT max(seq) + 1 FROM entries), 1) - 1`, sqlitefile.Stamp(cutoff), sqlitefile.Stamp(now)).
		Scan(&c.First, &c.Last); err != nil || c.Last < c.First {
		return nil, err
	}
	digests, err := c.read(tx, now)
	if err != nil {
		return nil, err
	}
	if err := c.keep(tx); err != nil {
		return nil, err
	}
	if _, err := tx.Exec(`INSERT INTO checkpoints (first, digests) VALUES (?, ?)`, c.First, digests); err != nil {
		return nil, err
	}
	for _, query := range []string{`DELETE FROM entries WHERE seq <= ?`, `DELETE FROM requests WHERE seq <= ?`} {
		if _, err := tx.Exec(query, c.Last); err != nil {
			return nil, err
		}
	}
	return c, dropStates(tx)
}

// read returns the digests of the entries that are to be removed, and sets Newest and
// Hash. It rejects what was altered.
func (c *Checkpoint) read(tx *sql.Tx, now time.Time) (digests []byte, err error) {
	before, err := hashBefore(tx, c.First)
	if err != nil {
		return nil, err
	}
	rows, err := tx.Query(`SELECT seq, content, hash FROM entries WHERE seq <= ? ORDER BY seq`, c.Last)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for next := c.First; rows.Next(); next++ {
		var seq int64
		var content, hash []byte
		if err := rows.Scan(&seq, &content, &hash); err != nil {
			return nil, err
		}
		digest := sha256.Sum256(content)
		before = chained(before, digest)
		if seq != next || string(hash) != string(before[:]) {
			return nil, fmt.Errorf("entry %d was altered, removed or moved: nothing is pruned, so that it can be looked at", next)
		}
		e, err := decode(content)
		if err != nil {
			return nil, err
		}
		if e.Time.After(c.Newest) && !e.Time.After(now) {
			c.Newest = e.Time
		}
		digests = append(digests, digest[:]...)
	}
	c.Hash = hex.EncodeToString(before[:])
	return digests, rows.Err()
}

// hashBefore returns the hash of the last entry that was pruned, and checks that the
// next one is first.
func hashBefore(tx *sql.Tx, first int64) (hashOf, error) {
	hash, next := genesis(), int64(1)
	err := eachCheckpoint(tx, func(from int64, digests []hashOf) error {
		for _, digest := range digests {
			hash = chained(hash, digest)
		}
		next = from + int64(len(digests))
		return nil
	})
	if err == nil && next != first {
		err = fmt.Errorf("entry %d was removed: nothing is pruned, so that it can be looked at", next)
	}
	return hash, err
}

// eachCheckpoint calls f with the digests of pruned entries and the seq of the first.
func eachCheckpoint(tx *sql.Tx, f func(first int64, digests []hashOf) error) error {
	rows, err := tx.Query(`SELECT first, digests FROM checkpoints ORDER BY first`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var first int64
		var data []byte
		if err := rows.Scan(&first, &data); err != nil {
			return err
		}
		var digests []hashOf
		for part := range slices.Chunk(data, sha256.Size) {
			var digest hashOf
			copy(digest[:], part) // a part that is too short breaks the chain
			digests = append(digests, digest)
		}
		if err := f(first, digests); err != nil {
			return err
		}
	}
	return rows.Err()
}

// keep moves aside the entries up to Last that something depends on: the newest state of
// each org, and drift that is open with who caused it.
func (c *Checkpoint) keep(tx *sql.Tx) error {
	const old = `(SELECT seq, type, org, about FROM entries WHERE seq <= ?1 UNION ALL SELECT seq, type, org, about FROM kept) old`
	seqs, err := numbers(tx, `SELECT max(seq) FROM `+old+` WHERE type = 'state' GROUP BY org
		UNION SELECT seq FROM drifts WHERE seq <= ?1
		UNION SELECT max(seq) FROM `+old+` WHERE type = 'cause' AND about IN (SELECT seq FROM drifts WHERE seq <= ?1) GROUP BY about
		ORDER BY 1`, c.Last)
	if err != nil {
		return err
	}
	c.Kept = seqs
	list := "(0" // which none has
	for _, seq := range seqs {
		list += ", " + strconv.FormatInt(seq, 10)
	}
	list += ")"
	if _, err := tx.Exec(`DELETE FROM kept WHERE seq NOT IN ` + list); err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO kept (seq, time, type, org, about, content)
		SELECT seq, time, type, org, about, content FROM entries WHERE seq <= ? AND seq IN `+list, c.Last)
	return err
}

// numbers returns the only column of a query.
func numbers(tx *sql.Tx, query string, args ...any) ([]int64, error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []int64
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, rows.Err()
}

// dropStates removes states that no entry names any more.
func dropStates(tx *sql.Tx) error {
	named, err := namedStates(tx)
	if err != nil {
		return err
	}
	kept, err := texts(tx, `SELECT digest FROM states ORDER BY digest`)
	if err != nil {
		return err
	}
	for _, digest := range kept {
		if named[digest] {
			continue
		}
		if _, err := tx.Exec(`DELETE FROM states WHERE digest = ?`, digest); err != nil {
			return err
		}
	}
	return nil
}

// namedStates returns the digests of the states that entries name.
func namedStates(tx *sql.Tx) (map[string]bool, error) {
	rows, err := tx.Query(`SELECT content FROM entries WHERE type = 'state' UNION ALL SELECT content FROM kept WHERE type = 'state'`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	named := map[string]bool{}
	for rows.Next() {
		var content sql.RawBytes
		if err := rows.Scan(&content); err != nil {
			return nil, err
		}
		e, err := decode(content)
		if err != nil {
			return nil, err
		}
		var r stateRecord
		if err := unmarshal(e.Record, &r); err != nil {
			return nil, err
		}
		named[r.Declared], named[r.Live] = true, true
	}
	return named, rows.Err()
}

// retentionOf returns the retention that a checkpoint names.
func (c *Checkpoint) retentionOf() (time.Duration, error) {
	return time.ParseDuration(cmp.Or(c.Retention, "?"))
}
