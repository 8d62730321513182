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
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"reconciler/internal/store/sqlitefile"
	"reconciler/internal/store/transfer"
)

// stateRecord is the record of an entry of type state: the digests of what is declared
// and live; "" is nothing. DeclaredData and LiveData are those of the same as it is kept,
// compressed: many compressed forms have the same value.
type stateRecord struct {
	Declared     string `json:"declared"`
	Live         string `json:"live"`
	DeclaredData string `json:"declaredData,omitempty"`
	LiveData     string `json:"liveData,omitempty"`
}

// states returns the digests of the compressed forms by those of the values.
func (r *stateRecord) states() map[string]string {
	all := map[string]string{r.Declared: r.DeclaredData, r.Live: r.LiveData}
	delete(all, "")
	return all
}

// States adds an entry for each org whose declared or live state differs from what was
// recorded last. Values are the same if their bytes are.
func (r *Recorder) States(states []OrgState) error {
	s := r.store
	if s.place == nil {
		return nil
	}
	sorted := slices.Clone(states)
	slices.SortStableFunc(sorted, func(a, b OrgState) int { return strings.Compare(a.Org, b.Org) })
	digests := make([]stateRecord, len(sorted)) // before others have to wait
	for i := range sorted {
		digests[i] = stateRecord{Declared: digestOf(sorted[i].Declared), Live: digestOf(sorted[i].Live)}
	}
	wrote := false
	err := s.write("noting the states of orgs", func(tx *sql.Tx) (err error) {
		wrote, err = r.putStates(tx, sorted, digests)
		return err
	})
	if wrote && err == nil {
		r.hasEntries()
	}
	return err
}

// putStates adds an entry for each org that isn't as it was recorded last.
func (r *Recorder) putStates(tx *sql.Tx, states []OrgState, now []stateRecord) (wrote bool, err error) {
	last, err := lastRecords(tx, states)
	if err != nil {
		return false, err
	}
	var changed []int
	values := map[string]json.RawMessage{}
	for i := range states {
		o := &states[i]
		if before, known := last[keepable(o.Org)]; known && before.Declared == now[i].Declared && before.Live == now[i].Live {
			continue
		}
		last[keepable(o.Org)] = now[i]
		changed = append(changed, i)
		values[now[i].Declared], values[now[i].Live] = o.Declared, o.Live
	}
	if len(changed) == 0 {
		return false, nil
	}
	kept, err := keepStates(tx, values)
	if err != nil {
		return false, err
	}
	entries, err := newAdder(tx, r.store.now())
	if err != nil {
		return false, err
	}
	for _, i := range changed {
		o, record := &states[i], now[i]
		record.DeclaredData, record.LiveData = kept[record.Declared], kept[record.Live]
		data, err := json.Marshal(record)
		if err != nil {
			return false, err
		}
		e := Entry{Type: TypeState, Action: string(TypeState), Time: o.At, Org: o.Org, OrgID: o.OrgID, Commit: o.Commit, Record: data}
		r.complete(&e)
		if err := entries.add(&e); err != nil {
			return false, err
		}
	}
	_, err = entries.flush()
	return true, err
}

// rowsAtOnce is how many rows one statement selects or deletes by their keys.
const rowsAtOnce = 500

// repeated returns n times the same, with commas between.
func repeated(s string, n int) string { return s + strings.Repeat(", "+s, n-1) }

// lastRecords returns what was recorded last of orgs, of those that are known.
func lastRecords(tx *sql.Tx, states []OrgState) (map[string]stateRecord, error) {
	all := make(map[string]stateRecord, len(states))
	for some := range slices.Chunk(states, rowsAtOnce) {
		orgs := make([]any, len(some))
		for i := range some {
			orgs[i] = some[i].Org
		}
		// What is kept is older than all entries.
		err := eachRow(tx, func(org string, content []byte) error {
			if content == nil {
				return nil
			}
			e, err := decode(content)
			if err != nil {
				return err
			}
			var record stateRecord
			err = unmarshal(e.Record, &record)
			all[keepable(org)] = record
			return err
		}, `WITH wanted(name) AS (VALUES `+repeated("(?)", len(some))+`) SELECT name, coalesce(
			(SELECT content FROM entries WHERE type = 'state' AND org = name ORDER BY seq DESC LIMIT 1),
			(SELECT content FROM kept WHERE type = 'state' AND org = name ORDER BY seq DESC LIMIT 1)) FROM wanted`, orgs...)
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// eachRow calls f with each row of a query, which has two columns.
func eachRow(tx *sql.Tx, f func(key string, data []byte) error, query string, args ...any) error {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var key string
		var data []byte
		if err := rows.Scan(&key, &data); err != nil {
			return err
		}
		if err := f(key, data); err != nil {
			return err
		}
	}
	return rows.Err()
}

// digestOf returns the digest of a value; "" of nothing.
func digestOf(v json.RawMessage) string {
	if len(v) == 0 || string(v) == "null" {
		return ""
	}
	sum := sha256.Sum256(v)
	return hex.EncodeToString(sum[:])
}

// keepStates keeps values by their digests, and returns the digests of their compressed
// forms by the same.
func keepStates(tx *sql.Tx, values map[string]json.RawMessage) (map[string]string, error) {
	delete(values, "")
	digests := slices.Sorted(maps.Keys(values))
	for _, digest := range digests {
		if !json.Valid(values[digest]) {
			return nil, errors.New("what is declared or live in an org is no JSON")
		}
	}
	kept := make(map[string]string, len(digests))
	for some := range slices.Chunk(digests, rowsAtOnce) {
		args := make([]any, len(some))
		for i := range some {
			args[i] = some[i]
		}
		err := eachRow(tx, func(digest string, data []byte) error {
			kept[digest] = digestOf(data)
			return nil
		}, `SELECT digest, data FROM states WHERE digest IN (`+repeated("?", len(some))+`)`, args...)
		if err != nil {
			return nil, err
		}
	}
	in := transfer.NewInserter(tx, "states", []string{"digest", "data"}, "")
	for _, digest := range digests {
		if _, is := kept[digest]; is {
			continue
		}
		data, err := deflate(values[digest])
		if err != nil {
			return nil, err
		}
		kept[digest] = digestOf(data)
		if err := in.Add(digest, data); err != nil {
			return nil, err
		}
	}
	return kept, in.Flush()
}

// deflaters and inflaters are used again: one takes far more memory than most values.
var (
	deflaters = sync.Pool{New: func() any {
		w, _ := flate.NewWriter(nil, flate.DefaultCompression) // the level is a valid one
		return w
	}}
	inflaters = sync.Pool{New: func() any { return flate.NewReader(nil) }}
)

func deflate(value []byte) ([]byte, error) {
	var b bytes.Buffer
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	w.Reset(&b)
	if _, err := w.Write(value); err != nil {
		return nil, err
	}
	err := w.Close()
	return b.Bytes(), err
}

// loadQuery finds the compressed form of a value.
const loadQuery = `SELECT data FROM states WHERE digest = ?`

// loadState returns the value with a digest, nil of "". query is loadQuery.
func loadState(query *sql.Stmt, digest string) (json.RawMessage, error) {
	if digest == "" {
		return nil, nil
	}
	var data []byte
	err := query.QueryRow(digest).Scan(&data)
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
	r := inflaters.Get().(io.ReadCloser)
	defer inflaters.Put(r)
	err := r.(flate.Resetter).Reset(bytes.NewReader(data), nil)
	var value bytes.Buffer
	if err == nil {
		_, err = value.ReadFrom(r)
	}
	if err != nil || digestOf(value.Bytes()) != digest {
		return nil, fmt.Errorf("%w: a state has another digest than it had", ErrDamaged)
	}
	return value.Bytes(), nil
}

// stateQuery finds the newest entry of type state of an org, up to a time.
const stateQuery = `SELECT content FROM (
	SELECT * FROM (SELECT seq, content FROM entries WHERE type = 'state' AND org = ?1 AND time <= ?2 ORDER BY seq DESC LIMIT 1) e
	UNION ALL
	SELECT * FROM (SELECT seq, content FROM kept WHERE type = 'state' AND org = ?1 AND time <= ?2 ORDER BY seq DESC LIMIT 1) k
) states ORDER BY seq DESC LIMIT 1`

// stateAt returns the newest entry of type state of an org, up to a time if that isn't
// zero; nil if there is none. query is stateQuery.
func stateAt(query *sql.Stmt, org string, at time.Time) (*Entry, error) {
	until := "9" // which is after all times
	if !at.IsZero() {
		until = sqlitefile.Stamp(at)
	}
	var content []byte
	err := query.QueryRow(org, until).Scan(&content)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	e, err := decode(content)
	return &e, err
}

// stateReader reads states in one transaction.
type stateReader struct{ newest, load *sql.Stmt }

func newStateReader(tx *sql.Tx) (*stateReader, error) {
	newest, err := tx.Prepare(stateQuery)
	if err != nil {
		return nil, err
	}
	load, err := tx.Prepare(loadQuery)
	if err != nil {
		return nil, errors.Join(err, newest.Close())
	}
	return &stateReader{newest, load}, nil
}

func (r *stateReader) close() {
	r.newest.Close()
	r.load.Close()
}

// stateOf returns the state that an entry is about.
func (r *stateReader) stateOf(e *Entry) (*OrgState, error) {
	var record stateRecord
	if err := unmarshal(e.Record, &record); err != nil {
		return nil, err
	}
	declared, err := loadState(r.load, record.Declared)
	if err != nil {
		return nil, err
	}
	live, err := loadState(r.load, record.Live)
	return &OrgState{Org: e.Org, OrgID: e.OrgID, At: e.Time, Declared: declared, Live: live, Commit: e.Commit}, err
}

// At returns what was declared and live in an org at a time, and in its At since when
// it was so; nil if nothing is known of it then.
func (s *Store) At(org string, at time.Time) (state *OrgState, err error) {
	err = s.read("reading the state of an org", func(tx *sql.Tx) error {
		r, err := newStateReader(tx)
		if err != nil {
			return err
		}
		defer r.close()
		state, err = r.at(org, at)
		return err
	})
	return state, err
}

// at returns what was declared and live in an org up to a time; nil if nothing is known
// of it then.
func (r *stateReader) at(org string, at time.Time) (*OrgState, error) {
	e, err := stateAt(r.newest, org, at)
	if err != nil || e == nil {
		return nil, err
	}
	return r.stateOf(e)
}

// LastStates returns what was declared and live in each org when it was recorded last,
// sorted by org.
func (s *Store) LastStates() (all []OrgState, err error) {
	err = s.EachLastState(func(o *OrgState) error {
		all = append(all, *o)
		return nil
	})
	return all, err
}

// EachLastState calls f with what LastStates returns, one after the other: with the
// configuration of each org, all of them may be large.
func (s *Store) EachLastState(f func(*OrgState) error) error {
	_, _, err := s.EachStateSince(Position{}, f)
	return err
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
