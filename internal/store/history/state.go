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
	"sync"
	"time"

	"reconciler/internal/store/sqlitefile"
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
	err := s.write("noting the states of orgs", func(tx *sql.Tx) error {
		wrote = false
		last, err := tx.Prepare(stateQuery)
		if err != nil {
			return err
		}
		defer last.Close()
		for i := range sorted {
			is, err := r.putState(tx, last, &sorted[i], digests[i])
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
func (r *Recorder) putState(tx *sql.Tx, last *sql.Stmt, o *OrgState, now stateRecord) (wrote bool, err error) {
	old, err := stateAt(last, o.Org, time.Time{})
	if err != nil {
		return false, err
	}
	if old != nil {
		var before stateRecord
		if err := unmarshal(old.Record, &before); err != nil || before.Declared == now.Declared && before.Live == now.Live {
			return false, err
		}
	}
	if now.DeclaredData, err = keepState(tx, now.Declared, o.Declared); err != nil {
		return false, err
	}
	if now.LiveData, err = keepState(tx, now.Live, o.Live); err != nil {
		return false, err
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

// keepState keeps a value, and returns the digest of its compressed form.
func keepState(tx *sql.Tx, digest string, value json.RawMessage) (string, error) {
	if digest == "" {
		return "", nil
	}
	if !json.Valid(value) {
		return "", errors.New("what is declared or live in an org is no JSON")
	}
	var data []byte
	err := tx.QueryRow(`SELECT data FROM states WHERE digest = ?`, digest).Scan(&data)
	if err == nil {
		return digestOf(data), nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return "", err
	}
	if data, err = deflate(value); err != nil {
		return "", err
	}
	_, err = tx.Exec(`INSERT INTO states (digest, data) VALUES (?, ?)`, digest, data)
	return digestOf(data), err
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
