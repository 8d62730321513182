package history

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"reconciler/internal/store/sqlitefile"
	"reconciler/internal/text"
)

// Verify computes the whole chain anew, from its beginning, and holds against it all
// that is kept beside it: the columns by which entries are found, the digests of pruned
// entries, those that are kept, states, and which drift is open. With a head, or the
// first 12 digits or more of one, it also looks for that head.
func (s *Store) Verify(head string) (*Verification, error) {
	v := &verifier{want: strings.ToLower(strings.TrimSpace(head))}
	if v.want != "" && !headForm.MatchString(v.want) {
		return nil, text.WithHint(fmt.Errorf("%q is no head: it must be 12 to 64 hexadecimal digits", text.OneLine(head, 80)),
			"a head is in the log line of each run, in the status, at the end of what apply reports, and in the commit status")
	}
	if err := s.read("verifying", v.verify); err != nil {
		return nil, err
	}
	if err := v.find(); err != nil {
		return nil, err
	}
	if s.place == nil {
		return &v.Verification, nil
	}
	var err error
	v.SetAside, err = s.place.setAside()
	return &v.Verification, err
}

// find sets HeadAt, or returns an error if several heads begin as the wanted one.
func (v *verifier) find() error {
	if len(v.heads) > 1 {
		return text.WithHint(fmt.Errorf("%q is how several heads begin, such as those of the entries %d and %d", v.want, v.heads[0], v.heads[1]),
			"give more digits of it")
	}
	if len(v.heads) == 1 {
		v.HeadAt = v.heads[0]
	}
	return nil
}

var headForm = regexp.MustCompile(`^[0-9a-f]{12,64}$`)

// verifier is one verification.
type verifier struct {
	Verification
	tx *sql.Tx
	// want is how the head that is looked for begins, and heads are the entries that
	// have such a head.
	want  string
	heads []int64

	hash hashOf // of the entry that was checked last
	next int64  // the seq after it

	checkpoint    *Checkpoint // the newest
	checkpointSeq int64
	// states are the digests of states that entries name, with the first that does.
	states map[string]namedState
	open   map[driftKey]int64
	// keptSeqs are the entries that were pruned and are kept.
	keptSeqs []int64
}

// namedState is the first entry that names a state, and the digest of the compressed form.
type namedState struct {
	seq  int64
	data string
}

// problem notes what is wrong with an entry, or 0 if it is about none. The one about the
// first entry counts.
func (v *verifier) problem(seq int64, format string, args ...any) {
	if v.Problem == "" || seq > 0 && (v.Seq == 0 || seq < v.Seq) {
		v.Seq, v.Problem = seq, fmt.Sprintf(format, args...)
	}
}

func (v *verifier) verify(tx *sql.Tx) error {
	v.tx, v.hash, v.next = tx, genesis(), 1
	v.states, v.open = map[string]namedState{}, map[driftKey]int64{}
	for _, step := range []func() error{v.pruned, v.kept, v.entries, v.end, v.pruning, v.requests, v.blobs, v.drifts} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// link chains a digest, and looks whether that is the head that is looked for.
func (v *verifier) link(digest hashOf) {
	v.hash = chained(v.hash, digest)
	if head := hex.EncodeToString(v.hash[:]); v.want != "" && strings.HasPrefix(head, v.want) {
		v.heads = append(v.heads, v.next)
	}
	v.next++
}

// pruned chains the digests of pruned entries.
func (v *verifier) pruned() error {
	err := eachCheckpoint(v.tx, func(first int64, digests []hashOf) error {
		if first != v.next || len(digests) == 0 {
			v.problem(v.next, "what is kept of pruned entries was altered: digests from entry %d on are missing", v.next)
		}
		for _, digest := range digests {
			v.link(digest)
		}
		return nil
	})
	v.Pruned = v.next - 1
	return err
}

// contentRow is a row of an entry as it is, to be held against its content.
type contentRow struct {
	seq, about                   int64
	time, kind, run, org, action string
	content                      []byte
	// requests are the ids of its requests, sorted, one on each line.
	requests string
}

// check returns the entry, and what is wrong with the row.
func (r *contentRow) check(all bool) (e Entry, problem string) {
	e, err := decode(r.content)
	if err != nil {
		return e, "its content can't be read"
	}
	if e.Seq != r.seq {
		return e, fmt.Sprintf("it was moved: it was recorded as entry %d", e.Seq)
	}
	for _, c := range []struct {
		name, is, should string
		always           bool
	}{
		{"time", r.time, sqlitefile.Stamp(e.Time), true}, {"type", r.kind, string(e.Type), true}, {"org", r.org, e.Org, true},
		{"about", fmt.Sprint(r.about), fmt.Sprint(e.About), true}, {"run", r.run, e.Run, all}, {"action", r.action, e.Action, all},
	} {
		if c.always && c.is != c.should {
			return e, fmt.Sprintf("its column %s was altered", c.name)
		}
	}
	return e, ""
}

// kept checks the entries that were pruned and are kept against their digests.
func (v *verifier) kept() error {
	rows, err := v.tx.Query(`SELECT k.seq, k.time, k.type, k.org, k.about, k.content,
		(SELECT substr(digests, CAST((k.seq - first) * 32 + 1 AS INTEGER), 32) FROM checkpoints WHERE first <= k.seq ORDER BY first DESC LIMIT 1)
		FROM kept k ORDER BY k.seq`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var r contentRow
		var digest []byte
		if err := rows.Scan(&r.seq, &r.time, &r.kind, &r.org, &r.about, &r.content, &digest); err != nil {
			return err
		}
		v.keptSeqs = append(v.keptSeqs, r.seq)
		if sum := sha256.Sum256(r.content); !bytes.Equal(digest, sum[:]) {
			v.problem(r.seq, "it was pruned, and what is kept of it was altered")
			continue
		}
		e, problem := r.check(false)
		if problem != "" {
			v.problem(r.seq, "it was pruned, and what is kept of it was altered: %s", problem)
		}
		v.know(&e)
	}
	return rows.Err()
}

// entries checks the chain.
func (v *verifier) entries() error {
	rows, err := v.tx.Query(`SELECT seq, time, type, run, org, action, about, content, hash,
		coalesce((SELECT string_agg(r.id, '
' ORDER BY r.id) FROM requests r WHERE r.seq = e.seq), '') FROM entries e ORDER BY seq`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var r contentRow
		var hash []byte
		if err := rows.Scan(&r.seq, &r.time, &r.kind, &r.run, &r.org, &r.action, &r.about, &r.content, &hash, &r.requests); err != nil {
			return err
		}
		v.Entries++
		v.entry(&r, hash)
	}
	return rows.Err()
}

func (v *verifier) entry(r *contentRow, hash []byte) {
	switch {
	case r.seq < v.next:
		v.problem(r.seq, "it was inserted: entry %d had been pruned", r.seq)
		return
	case r.seq > v.next:
		v.problem(v.next, "%s", missing(v.next, r.seq-1))
		v.next = r.seq
	}
	v.link(sha256.Sum256(r.content))
	e, problem := r.check(true)
	if problem != "" {
		v.problem(r.seq, "%s", problem)
	}
	if strings.Join(requestsOf(&e), "\n") != r.requests {
		v.problem(r.seq, "%s", wrongRequests)
	}
	if !bytes.Equal(hash, v.hash[:]) {
		v.problem(r.seq, "it was altered: its hash doesn't follow from its content and the entries before it")
	}
	v.Head = hex.EncodeToString(v.hash[:])
	v.know(&e)
}

// missing describes entries that aren't there.
func missing(first, last int64) string {
	if first == last {
		return "it is missing"
	}
	return fmt.Sprintf("it is missing, and all up to entry %d", last)
}

// know notes of an entry what others depend on.
func (v *verifier) know(e *Entry) {
	key := driftKey{e.Org, e.Kind, e.Object, e.Field}
	switch e.Type {
	case TypeDrift:
		v.open[key] = e.Seq
	case TypeDriftEnded:
		delete(v.open, key)
	case TypeState:
		var r stateRecord
		if unmarshal(e.Record, &r) != nil {
			v.problem(e.Seq, "its content can't be read")
		}
		for digest, data := range r.states() {
			if _, known := v.states[digest]; !known {
				v.states[digest] = namedState{e.Seq, data}
			}
		}
	case TypeCheckpoint:
		c := &Checkpoint{}
		if unmarshal(e.Record, c) != nil {
			v.problem(e.Seq, "its content can't be read")
			return
		}
		v.checkpoint, v.checkpointSeq = c, e.Seq
		// A second of tolerance for times that are cut off.
		if retention, err := c.retentionOf(); err != nil || c.Newest.Add(retention).After(e.Time.Add(time.Second)) {
			v.problem(e.Seq, "it says that entries were pruned that were not older than %s", text.OneLine(c.Retention, 40))
		}
	}
}

// end checks that the newest entry is there.
func (v *verifier) end() error {
	last, err := lastLink(v.tx)
	if errors.Is(err, sql.ErrNoRows) || errors.Is(err, ErrDamaged) {
		v.problem(0, "the row that names the newest entry was removed or altered")
		return nil
	}
	switch {
	case err != nil:
	case last.seq >= v.next:
		v.problem(v.next, "%s", missing(v.next, last.seq))
	case last.seq < v.next-1:
		v.problem(last.seq+1, "it was added by another program: the newest entry is %d", last.seq)
	case last.hash != v.hash && v.Problem == "":
		v.problem(0, "the row that names the newest entry was altered")
	}
	return err
}

// pruning checks that entries are missing from the beginning because they were pruned.
func (v *verifier) pruning() error {
	switch c := v.checkpoint; {
	case c == nil && v.Pruned > 0:
		v.problem(1, "%s, and no checkpoint says that they were pruned", missing(1, v.Pruned))
	case c == nil:
		if len(v.keptSeqs) > 0 {
			v.problem(v.keptSeqs[0], "it is kept as if it had been pruned, and nothing was")
		}
	case c.Last != v.Pruned:
		v.problem(min(c.Last, v.Pruned)+1, "it was pruned without a checkpoint, or its digest is missing: the newest checkpoint, entry %d, says that entries were pruned up to %d",
			v.checkpointSeq, c.Last)
	case !slices.Equal(c.Kept, v.keptSeqs):
		v.problem(firstDifference(c.Kept, v.keptSeqs), "it was pruned, and what is kept of it was removed or inserted")
	}
	return nil
}

// firstDifference returns the lowest number that only one of two sorted lists has.
func firstDifference(a, b []int64) int64 {
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a):
			return b[i]
		case i >= len(b):
			return a[i]
		case a[i] != b[i]:
			return min(a[i], b[i])
		}
	}
	return 0
}

// wrongRequests is what is wrong with an entry that is found by other requests than those
// of its content.
const wrongRequests = "the ids of requests by which it is found were altered"

// requests checks that all requests are those of an entry.
func (v *verifier) requests() error {
	seqs, err := numbers(v.tx, `SELECT DISTINCT seq FROM requests WHERE seq NOT IN (SELECT seq FROM entries) ORDER BY seq`)
	for _, seq := range seqs {
		v.problem(max(0, seq), "%s", wrongRequests)
	}
	return err
}

// blobs checks the states.
func (v *verifier) blobs() error {
	rows, err := v.tx.Query(`SELECT digest, data FROM states`)
	if err != nil {
		return err
	}
	defer rows.Close()
	missing := maps.Clone(v.states)
	for rows.Next() {
		var digest string
		var data []byte
		if err := rows.Scan(&digest, &data); err != nil {
			return err
		}
		state, named := v.states[digest]
		delete(missing, digest)
		if !named {
			v.problem(0, "a state of an org was inserted or altered: no entry names its digest %s", text.OneLine(digest, 64))
		}
		if _, err := inflate(digest, data); named && (err != nil || digestOf(data) != state.data) {
			v.problem(state.seq, "the state of the org that it names was altered")
		}
	}
	for _, state := range missing {
		v.problem(state.seq, "the state of the org that it names is missing")
	}
	return rows.Err()
}

// drifts checks that the open drift is what entries began and none ended.
func (v *verifier) drifts() error {
	open, err := drifts(v.tx)
	if errors.Is(err, ErrDamaged) {
		v.problem(0, "a row of the open drift was altered: %s", text.OneLine(err.Error(), 200))
		return nil
	}
	if err != nil {
		return err
	}
	missing := maps.Clone(v.open)
	for i := range open {
		d := &open[i]
		if v.open[d.key()] != d.Seq {
			v.problem(max(0, d.Seq), "the open drift of %s of %s was inserted or altered", text.OneLine(d.Field, 80), text.OneLine(d.Org, 80))
			continue
		}
		delete(missing, d.key())
		e, err := find(v.tx, d.Seq)
		if err != nil && !errors.Is(err, ErrDamaged) {
			return err
		}
		if err != nil || e == nil || !fits(d, e) {
			v.problem(d.Seq, "the row of this drift, which is open, was altered")
		}
	}
	for _, seq := range missing {
		v.problem(seq, "this drift has not ended, and is missing from the open ones")
	}
	return nil
}

// fits reports whether an open drift is as its entry has it.
func fits(d *Drift, e *Entry) bool {
	return e.Since != nil && d.OrgID == e.OrgID && sameJSON(d.Desired, e.After) && sameJSON(d.Actual, e.Before) && d.Since.Equal(*e.Since) &&
		same(d.Cause, e.Cause) && d.Unknown == e.Unknown && d.Times >= e.Times && e.LastSeen != nil && !d.LastSeen.Before(*e.LastSeen)
}
