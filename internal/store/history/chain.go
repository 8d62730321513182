package history

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"reconciler/internal/store/sqlitefile"
	"reconciler/internal/store/transfer"
)

// hashOf is a hash of the chain, or the digest of an entry.
type hashOf = [sha256.Size]byte

// genesis returns what the hash of the first entry is chained to.
func genesis() hashOf { return sha256.Sum256([]byte("reconciler history 1")) }

// chained returns the hash of an entry, from that of the one before and its own digest.
func chained(before, digest hashOf) hashOf {
	return sha256.Sum256(append(before[:], digest[:]...))
}

// hashEnd is how the JSON of an entry without a hash ends.
const hashEnd = `,"hash":""}`

// encode returns the canonical form of an entry, of which its digest is taken: its JSON
// without the hash.
func encode(e *Entry) ([]byte, error) {
	copied := *e
	copied.Time, copied.Hash = e.Time.Round(0).UTC(), ""
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(&copied); err != nil {
		return nil, fmt.Errorf("an entry of type %s can't be kept: %w", e.Type, err)
	}
	content, ok := bytes.CutSuffix(b.Bytes(), []byte(hashEnd+"\n"))
	if !ok {
		return nil, fmt.Errorf("an entry of type %s doesn't end with its hash", e.Type)
	}
	return append(content, '}'), nil
}

// withHash returns the JSON of an entry, from its canonical form and its hash.
func withHash(content []byte, hash string) []byte {
	line := append([]byte{}, content[:max(0, len(content)-1)]...)
	return append(line, `,"hash":"`+hash+`"}`...)
}

// decode returns the entry with this canonical form.
func decode(content []byte) (e Entry, err error) {
	if err := json.Unmarshal(content, &e); err != nil {
		return Entry{}, fmt.Errorf("%w: an entry is no JSON: %w", sqlitefile.ErrDamaged, err)
	}
	for _, v := range []*json.RawMessage{&e.Before, &e.After} {
		if string(*v) == "null" {
			*v = nil
		}
	}
	return e, nil
}

// requestsOf returns the ids of the requests of an entry, sorted.
func requestsOf(e *Entry) []string {
	all := slices.Clone(e.RequestIDs)
	if e.RequestID != "" {
		all = append(all, e.RequestID)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// link is the end of the chain.
type link struct {
	seq  int64
	hash hashOf
}

// lastLink returns the newest entry; the genesis if there is none.
func lastLink(q sqlitefile.Querier) (link, error) {
	var l link
	var hash []byte
	err := q.QueryRow(`SELECT seq, hash FROM chain`).Scan(&l.seq, &hash)
	if err == nil && len(hash) != len(l.hash) {
		err = fmt.Errorf("%w: the newest hash has %d bytes", sqlitefile.ErrDamaged, len(hash))
	}
	copy(l.hash[:], hash)
	return l, err
}

// add adds entries to the chain, sets their Seq and Hash, and returns the head.
func add(tx *sql.Tx, now time.Time, entries ...Entry) (head string, err error) {
	a, err := newAdder(tx, now)
	if err != nil {
		return "", err
	}
	for i := range entries {
		if err := a.add(&entries[i]); err != nil {
			return "", err
		}
	}
	return a.flush()
}

// adder adds entries to the chain. They are there after flush, and nothing else adds any
// meanwhile.
type adder struct {
	tx                *sql.Tx
	now               time.Time
	last              link
	entries, requests *transfer.Inserter
}

func newAdder(tx *sql.Tx, now time.Time) (*adder, error) {
	last, err := lastLink(tx)
	return &adder{
		tx: tx, now: now, last: last,
		entries:  transfer.NewInserter(tx, "entries", []string{"seq", "time", "type", "run", "org", "action", "about", "content", "hash"}, ""),
		requests: transfer.NewInserter(tx, "requests", []string{"seq", "id"}, ""),
	}, err
}

// add adds an entry, and sets its Seq and Hash.
func (a *adder) add(e *Entry) error {
	e.Seq = a.last.seq + 1
	if e.Time.IsZero() {
		e.Time = a.now
	}
	content, err := encode(e)
	if err != nil {
		return err
	}
	// The columns are what is read back, such as without bytes that aren't UTF-8.
	if *e, err = decode(content); err != nil {
		return err
	}
	a.last = link{e.Seq, chained(a.last.hash, sha256.Sum256(content))}
	e.Hash = hex.EncodeToString(a.last.hash[:])
	hash := a.last.hash
	if err := a.entries.Add(e.Seq, sqlitefile.Stamp(e.Time), string(e.Type), e.Run, e.Org, e.Action, e.About, string(content), hash[:]); err != nil {
		return err
	}
	for _, id := range requestsOf(e) {
		if err := a.requests.Add(e.Seq, id); err != nil {
			return err
		}
	}
	return nil
}

// flush writes what was added, and returns the head.
func (a *adder) flush() (head string, err error) {
	if err := a.entries.Flush(); err != nil {
		return "", err
	}
	if err := a.requests.Flush(); err != nil {
		return "", err
	}
	if _, err := a.tx.Exec(`UPDATE chain SET seq = ?, hash = ?`, a.last.seq, a.last.hash[:]); err != nil {
		return "", err
	}
	return a.last.head(), nil
}

// head returns the hash as others see it; "" of the genesis.
func (l link) head() string {
	if l.seq == 0 {
		return ""
	}
	return hex.EncodeToString(l.hash[:])
}
