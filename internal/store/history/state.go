package history

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"reconciler/internal/store/sqlitefile"
)

// stateRecord is the record of an entry of type state: the digests of what is declared
// and live; "" is nothing.
type stateRecord struct {
	Declared string `json:"declared"`
	Live     string `json:"live"`
}

// States adds an entry for each org whose declared or live state differs from what was
// recorded last.
func (r *Recorder) States(states []OrgState) error {
	s := r.store
	sorted := slices.Clone(states)
	slices.SortStableFunc(sorted, func(a, b OrgState) int { return strings.Compare(a.Org, b.Org) })
	wrote := false
	err := s.write("noting the states of orgs", func(tx *sql.Tx) error {
		wrote = false
		for i := range sorted {
			is, err := r.putState(tx, &sorted[i])
			if err != nil {
				return err
			}
			wrote = wrote || is
		}
		return nil
	})
	if wrote && err == nil {
		r.hasEntries()
	}
	return err
}

// putState adds an entry for an org, unless it is as it was recorded last.
func (r *Recorder) putState(tx *sql.Tx, o *OrgState) (wrote bool, err error) {
	declared, live := compact(o.Declared), compact(o.Live)
	now := stateRecord{digestOf(declared), digestOf(live)}
	last, err := stateAt(tx, o.Org, time.Time{})
	if err != nil {
		return false, err
	}
	if last != nil {
		var before stateRecord
		if err := unmarshal(last.Record, &before); err != nil {
			return false, err
		}
		if before == now {
			return false, nil
		}
	}
	for digest, data := range map[string]json.RawMessage{now.Declared: declared, now.Live: live} {
		if err := keepState(tx, digest, data); err != nil {
			return false, err
		}
	}
	record, err := json.Marshal(now)
	if err != nil {
		return false, err
	}
	e := Entry{Type: TypeState, Action: string(TypeState), Time: o.At, Org: o.Org, OrgID: o.OrgID, Commit: o.Commit, Record: record}
	r.complete(&e)
	_, err = add(tx, r.store.now(), e)
	return true, err
}

// digestOf returns the digest of a value; "" of nothing.
func digestOf(v json.RawMessage) string {
	if len(v) == 0 || string(v) == "null" {
		return ""
	}
	sum := sha256.Sum256(v)
	return hex.EncodeToString(sum[:])
}

func keepState(tx *sql.Tx, digest string, data json.RawMessage) error {
	if digest == "" {
		return nil
	}
	if !json.Valid(data) {
		return errors.New("what is declared or live in an org is no JSON")
	}
	var there int
	if err := tx.QueryRow(`SELECT count(*) FROM states WHERE digest = ?`, digest).Scan(&there); err != nil || there > 0 {
		return err
	}
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.DefaultCompression)
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO states (digest, data) VALUES (?, ?)`, digest, b.Bytes())
	return err
}

// loadState returns the value with a digest, nil of "".
func loadState(q sqlitefile.Querier, digest string) (json.RawMessage, error) {
	if digest == "" {
		return nil, nil
	}
	var data []byte
	err := q.QueryRow(`SELECT data FROM states WHERE digest = ?`, digest).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%w: a state that an entry names is missing", ErrDamaged)
	}
	if err != nil {
		return nil, err
	}
	return inflate(digest, data)
}

// inflate returns a value from its compressed form, if it has the digest.
func inflate(digest string, data []byte) (json.RawMessage, error) {
	value, err := io.ReadAll(flate.NewReader(bytes.NewReader(data)))
	if err != nil || digestOf(value) != digest {
		return nil, fmt.Errorf("%w: a state has another digest than it had", ErrDamaged)
	}
	return value, nil
}

// stateAt returns the newest entry of type state of an org, up to a time if that isn't
// zero; nil if there is none.
func stateAt(tx *sql.Tx, org string, at time.Time) (*Entry, error) {
	until := "9" // which is after all times
	if !at.IsZero() {
		until = sqlitefile.Stamp(at)
	}
	for _, table := range []string{"entries", "kept"} {
		var content []byte
		err := tx.QueryRow(`SELECT content FROM `+table+` WHERE type = ? AND org = ? AND time <= ? ORDER BY seq DESC LIMIT 1`,
			string(TypeState), org, until).Scan(&content)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, err
		}
		e, err := decode(content)
		return &e, err
	}
	return nil, nil
}

// stateOf returns the state that an entry is about.
func stateOf(tx *sql.Tx, e *Entry) (*OrgState, error) {
	var record stateRecord
	if err := unmarshal(e.Record, &record); err != nil {
		return nil, err
	}
	declared, err := loadState(tx, record.Declared)
	if err != nil {
		return nil, err
	}
	live, err := loadState(tx, record.Live)
	return &OrgState{Org: e.Org, OrgID: e.OrgID, At: e.Time, Declared: declared, Live: live, Commit: e.Commit}, err
}

// At returns what was declared and live in an org at a time, and in its At since when
// it was so; nil if nothing is known of it then.
func (s *Store) At(org string, at time.Time) (state *OrgState, err error) {
	err = s.read("reading the state of an org", func(tx *sql.Tx) error {
		e, err := stateAt(tx, org, at)
		if err != nil || e == nil {
			return err
		}
		state, err = stateOf(tx, e)
		return err
	})
	return state, err
}

// LastStates returns what was declared and live in each org when it was recorded last,
// sorted by org.
func (s *Store) LastStates() (all []OrgState, err error) {
	err = s.read("reading the states of orgs", func(tx *sql.Tx) error {
		orgs, err := texts(tx, `SELECT org FROM entries WHERE type = ? UNION SELECT org FROM kept WHERE type = ? ORDER BY 1`, string(TypeState), string(TypeState))
		if err != nil {
			return err
		}
		for _, org := range orgs {
			e, err := stateAt(tx, org, time.Time{})
			if err != nil || e == nil {
				return err
			}
			o, err := stateOf(tx, e)
			if err != nil {
				return err
			}
			all = append(all, *o)
		}
		return nil
	})
	return all, err
}

// texts returns the only column of a query.
func texts(tx *sql.Tx, query string, args ...any) ([]string, error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, rows.Err()
}
