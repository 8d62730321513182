package history

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"reconciler/internal/store/location"
	"reconciler/internal/store/postgres/postgrestest"

	"pgregory.net/rapid"
)

const day = 24 * time.Hour

// fleet is a history of some weeks, of which a part is pruned, with all types of
// entries. It returns the heads that it ever had, by seq.
func fleet(t testing.TB, s *Store, now *clock) (heads map[int64]string) {
	t.Helper()
	heads = map[int64]string{}
	note := func() {
		list, err := s.Entries(Query{})
		must(t, err)
		for i := range list {
			heads[list[i].Seq] = list[i].Hash
		}
	}
	for i := range 12 {
		r := begin(t, s, fmt.Sprint("r", i))
		applied(t, r, change(fmt.Sprintf("org%d", i%3), fmt.Sprint(i)), fmt.Sprint("q", i))
		p, err := r.Change(change("org0", `"many"`))
		must(t, err)
		must(t, p.End(Entry{Outcome: "failed", ErrorID: "oae", RequestIDs: []string{fmt.Sprint("x", i), fmt.Sprint("y", i)}}))
		drift := []Drift{drifted("org1", "products", `["old"]`)}
		if i%3 == 1 {
			drift = append(drift, drifted("org2", "status", fmt.Sprint(i)))
		}
		open, err := r.Drift(drift, everything)
		must(t, err)
		must(t, s.Caused(open[0].Seq, &Cause{Actor: "eve", EventID: "e1", Time: start()}, ""))
		must(t, r.States([]OrgState{
			{Org: "org0", Declared: json.RawMessage(`{"products":["a"]}`), Live: json.RawMessage(fmt.Sprintf(`{"products":[%d]}`, i/2))},
			{Org: "org1", Declared: json.RawMessage(`{"products":[]}`), Live: json.RawMessage("null")},
		}))
		note()
		now.add(2 * day)
		finish(t, r, Run{Result: "applied"})
		note()
	}
	_, err := s.Add(Entry{Type: TypeOperator, Action: "suspend", Reason: "audit"})
	must(t, err)
	note()
	return heads
}

// whole verifies a history in which nothing is wrong.
func whole(t testing.TB, s *Store, head string) *Verification {
	t.Helper()
	v, err := s.Verify(head)
	must(t, err)
	if v.Problem != "" || v.Seq != 0 {
		t.Fatalf("%+v", v)
	}
	return v
}

// made is the history of fleet, which takes many syncs to make; tests get a copy.
var made struct {
	once  sync.Once
	data  []byte
	heads map[int64]string
}

func prunedFleet(t testing.TB) (*Store, map[int64]string) {
	t.Helper()
	if at := postgrestest.Place(t); at.Dir() == "" {
		now := newClock()
		s := newStore(t, at, Options{Now: now.now, Retention: 10 * day})
		return s, fleet(t, s, now)
	}
	made.once.Do(func() {
		now, dir := newClock(), t.TempDir()
		s := New(location.Folder(dir), Options{Now: now.now, Retention: 10 * day})
		made.heads = fleet(t, s, now)
		must(t, s.Close())
		var err error
		made.data, err = os.ReadFile(filepath.Join(dir, dbFile))
		must(t, err)
	})
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, dbFile), made.data, 0o600))
	return newStore(t, location.Folder(dir), Options{Retention: 10 * day}), made.heads
}

// A head that the chain ever had is recognised, in full or in part, also of entries
// that were pruned.
func TestHeads(t *testing.T) {
	s, heads := prunedFleet(t)
	v := whole(t, s, "")
	if v.Pruned < 20 || v.Entries < 20 || v.Head != heads[v.Pruned+v.Entries] || int64(len(heads)) != v.Pruned+v.Entries {
		t.Errorf("%+v, %d heads", v, len(heads))
	}
	for seq, head := range heads {
		if seq%9 != 0 && testing.Short() {
			continue
		}
		for _, form := range []string{head, head[:12], " " + strings.ToUpper(head[:20]) + "\n"} {
			if v := whole(t, s, form); v.HeadAt != seq {
				t.Errorf("head %q of entry %d: %+v", form, seq, v)
			}
		}
	}
	if v := whole(t, s, strings.Repeat("0", 64)); v.HeadAt != 0 {
		t.Errorf("a head that it never had: %+v", v)
	}
	for _, bad := range []string{"0123456789a", strings.Repeat("0", 65), "head-of-nothing", "0123456789ag"} {
		_, err := s.Verify(bad)
		wantError(t, err, "is no head: it must be 12 to 64 hexadecimal digits", "log line")
	}
}

// A short form that two heads share is refused.
func TestAmbiguousHead(t *testing.T) {
	v := &verifier{want: "0"} // of which one can be found in short time
	for len(v.heads) < 2 {
		v.link(sha256.Sum256([]byte(fmt.Sprint(v.next))))
	}
	wantError(t, v.find(), fmt.Sprintf(`"0" is how several heads begin, such as those of the entries %d and %d`, v.heads[0], v.heads[1]), "give more digits")
}

// What is pruned within the retention is still known.
func TestPruned(t *testing.T) {
	now := newClock()
	s := newStore(t, postgrestest.Place(t), Options{Now: now.now, Retention: 10 * day})
	r := begin(t, s, "old")
	must(t, r.States([]OrgState{{Org: "a", OrgID: "00o", Commit: "c1", Declared: json.RawMessage(`{"products":[1]}`), Live: json.RawMessage(`{"products":[2]}`)}}))
	_, err := r.Drift([]Drift{drifted("a", "products", `[2]`)}, everything)
	must(t, err)
	must(t, s.Caused(2, &Cause{Actor: "eve", EventID: "e1"}, ""))
	finish(t, r, Run{Result: "drift"})
	old, err := s.Drifts()
	must(t, err)
	now.add(15 * day)
	for i := range 3 {
		finish(t, begin(t, s, fmt.Sprint("quiet", i)), Run{Quiet: true})
		now.add(day)
	}
	r = begin(t, s, "new")
	must(t, r.States([]OrgState{{Org: "a", Declared: json.RawMessage(`{"products":[1]}`), Live: json.RawMessage(`{"products":[3]}`)}}))
	finish(t, r, Run{Result: "applied"})
	v := whole(t, s, "")
	if v.Pruned < 4 || v.Entries > 4 {
		t.Errorf("%+v", v)
	}
	at, err := s.At("a", now.now().Add(-5*day))
	must(t, err)
	if at == nil || string(at.Live) != `{"products":[2]}` || at.Commit != "c1" || at.OrgID != "00o" {
		t.Errorf("%+v", at)
	}
	if at, err = s.At("a", now.now()); err != nil || string(at.Live) != `{"products":[3]}` {
		t.Errorf("%+v, %v", at, err)
	}
	if at, err = s.At("b", now.now()); err != nil || at != nil {
		t.Errorf("%+v, %v", at, err)
	}
	open, err := s.Drifts()
	must(t, err)
	if len(open) != 1 || !open[0].Since.Equal(old[0].Since) || open[0].Cause == nil {
		t.Errorf("%+v", open)
	}
	// Its cause can still be set, although its entry was pruned.
	must(t, s.Caused(open[0].Seq, &Cause{Actor: "mallory", EventID: "e2"}, ""))
	must(t, s.Caused(open[0].Seq, &Cause{Actor: "mallory", EventID: "e2"}, ""))
	whole(t, s, "")
	// A state that nothing needs goes.
	now.add(15 * day)
	must(t, s.Prune())
	whole(t, s, "")
	must(t, s.read("counting", func(tx *sql.Tx) error {
		if left, err := texts(tx, `SELECT digest FROM states`); err != nil || len(left) != 2 {
			t.Errorf("states: %q, %v", left, err)
		}
		return nil
	}))
	if list, err := s.LastStates(); err != nil || len(list) != 1 || string(list[0].Live) != `{"products":[3]}` {
		t.Errorf("%+v, %v", list, err)
	}
	if quiet, err := s.QuietRuns(); err != nil || quiet.Runs != 0 {
		t.Errorf("%+v, %v", quiet, err)
	}
}

// Entries of a time when the clock was ahead neither keep all others from being pruned
// nor take any with them that are young.
func TestPrunedWithAWrongClock(t *testing.T) {
	now := newClock()
	s := newStore(t, postgrestest.Place(t), Options{Now: now.now, Retention: 10 * day})
	add := func(ahead time.Duration) {
		t.Helper()
		now.add(ahead)
		_, err := s.Add(Entry{Type: TypeOperator, Action: "suspend"})
		must(t, err)
		now.add(-ahead)
	}
	left := func(want int64) {
		t.Helper()
		must(t, s.Prune())
		if v := whole(t, s, ""); v.Pruned != want {
			t.Errorf("%d are pruned, not %d", v.Pruned, want)
		}
	}
	add(3650 * day)
	add(0)
	left(0)
	now.add(5 * day)
	add(3650 * day)
	add(0)
	left(0)
	now.add(6 * day) // the first two are old
	left(2)
	now.add(5 * day)
	add(3650 * day) // and these are young
	left(4)
}

// What was altered is not pruned away.
func TestAlteredIsNotPruned(t *testing.T) {
	now := newClock()
	log, told := logged()
	s := newStore(t, postgrestest.Place(t), Options{Now: now.now, Retention: day, Logger: log})
	_, err := s.Add(Entry{Type: TypeOperator, Action: "suspend"}, Entry{Type: TypeOperator, Action: "resume"})
	must(t, err)
	must(t, s.write("tampering", func(tx *sql.Tx) error {
		_, err := tx.Exec(`UPDATE entries SET content = replace(content, 'suspend', 'nothing'), action = 'nothing' WHERE seq = 1`)
		return err
	}))
	now.add(3 * day)
	wantError(t, s.Prune(), "entry 1 was altered, removed or moved: nothing is pruned", "")
	finish(t, begin(t, s, "r1"), Run{Result: "applied"})
	if v, err := s.Verify(""); err != nil || v.Seq != 1 || v.Pruned != 0 {
		t.Errorf("%+v, %v", v, err)
	}
	if !strings.Contains(told.String(), "pruning the history failed") {
		t.Error(told)
	}
}

// covered are the tables and columns that Verify holds against the chain.
func covered() map[string][]string {
	return map[string][]string{
		"entries":     {"seq", "time", "type", "run", "org", "action", "about", "content", "hash"},
		"requests":    {"seq", "id"},
		"chain":       {"seq", "hash"},
		"checkpoints": {"first", "digests"},
		"kept":        {"seq", "time", "type", "org", "about", "content"},
		"states":      {"digest", "data"},
		"drifts":      {"org", "kind", "object", "field", "seq", "since"},
	}
}

// TestTampering alters, deletes, swaps and inserts rows, and takes that back.
func TestTampering(t *testing.T) {
	s, _ := prunedFleet(t)
	times := 25
	if testing.Short() {
		times = 3
	}
	done, tried := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		for i := range times {
			tried++
			if tampered(rt, s, fmt.Sprint(i)) {
				done++
			}
		}
	})
	if done < tried/2 {
		t.Errorf("only %d alterations of %d", done, tried)
	}
	whole(t, s, "")
}

// tampered alters something, checks that this is found, and takes it back. It reports
// whether something was altered.
func tampered(rt *rapid.T, s *Store, label string) bool {
	tx, err := s.place.write()
	if err != nil {
		rt.Fatal(err)
	}
	defer tx.Rollback()
	what, err := tamperWith(rt, tx, label)
	if errors.Is(err, errNothing) {
		return false
	}
	v := &verifier{}
	if err == nil {
		err = v.verify(tx)
	}
	if err != nil {
		rt.Errorf("%s: %v", what, err)
	} else if v.Problem == "" {
		rt.Errorf("not found: %s", what)
	}
	return true
}

// errNothing is the error of an alteration that altered nothing.
var errNothing = errors.New("nothing is altered")

// tamperWith alters something at random, and returns a description.
func tamperWith(rt *rapid.T, tx *sql.Tx, label string) (what string, err error) {
	tables := []string{"entries", "entries", "entries", "requests", "chain", "checkpoints", "kept", "states", "drifts"}
	table := rapid.SampledFrom(tables).Draw(rt, "table"+label)
	keys := map[string][]string{"entries": {"seq"}, "requests": {"seq", "id"}, "chain": {"id"}, "checkpoints": {"first"}, "kept": {"seq"}, "states": {"digest"},
		"drifts": {"org", "kind", "object", "field"}}[table]
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM ` + table).Scan(&n); err != nil {
		return table, err
	}
	row := func(name string) string {
		return fmt.Sprintf("(%s) = (SELECT %s FROM %s ORDER BY %s LIMIT 1 OFFSET %d)", strings.Join(keys, ", "), strings.Join(keys, ", "), table,
			strings.Join(keys, ", "), rapid.IntRange(0, n-1).Draw(rt, name+label))
	}
	column := rapid.SampledFrom(covered()[table]).Draw(rt, "column"+label)
	var query string
	var args []any
	switch how := rapid.SampledFrom([]string{"alter", "alter", "alter", "delete", "swap", "insert"}).Draw(rt, "how"+label); how {
	case "alter":
		where := row("row")
		var old any
		if err := tx.QueryRow(`SELECT ` + column + ` FROM ` + table + ` WHERE ` + where).Scan(&old); err != nil {
			return where, err
		}
		query, args = `UPDATE `+table+` SET `+column+` = ? WHERE `+where, []any{another(rt, old, label)}
	case "delete":
		query = `DELETE FROM ` + table + ` WHERE ` + row("row")
	case "swap":
		a, b := row("row"), row("other")
		value := func(where string) string { return `(SELECT ` + column + ` FROM ` + table + ` WHERE ` + where + `)` }
		if strings.Contains(" seq first digest org kind object field id ", " "+column+" ") {
			return table, errNothing // which can't be swapped in one step
		}
		query = fmt.Sprintf(`UPDATE %s SET %s = CASE WHEN %s THEN %s ELSE %s END WHERE (%s OR %s) AND %s IS DISTINCT FROM %s`,
			table, column, a, value(b), value(a), a, b, value(a), value(b))
	case "insert":
		if table == "chain" {
			return table, errNothing // it has one row
		}
		var list []string
		names, err := columns(tx, table)
		if err != nil {
			return table, err
		}
		for _, name := range names {
			switch {
			case name != keys[0]:
				list = append(list, name)
			case name == "seq" || name == "first":
				list = append(list, fmt.Sprintf("%s + %d", name, rapid.SampledFrom([]int{-500, -1, 1, 2, 1000}).Draw(rt, "shift"+label)))
			default:
				list = append(list, name+" || 'x'")
			}
		}
		query = fmt.Sprintf(`INSERT INTO %s SELECT %s FROM %s WHERE %s ON CONFLICT DO NOTHING`, table, strings.Join(list, ", "), table, row("row"))
	}
	res, err := tx.Exec(query, args...)
	if err != nil && strings.Contains(err.Error(), "constraint") {
		return query, errNothing
	}
	if err != nil {
		return query, err
	}
	if count, err := res.RowsAffected(); err != nil || count == 0 {
		return query, errors.Join(err, errNothing)
	}
	return fmt.Sprintf("%s %v", query, args), nil
}

// columns returns the names of a table's columns.
func columns(tx *sql.Tx, table string) ([]string, error) {
	rows, err := tx.Query(`SELECT * FROM ` + table + ` LIMIT 0`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return rows.Columns()
}

// another returns another value of the same type.
func another(rt *rapid.T, old any, label string) any {
	switch v := old.(type) {
	case int64:
		return v + rapid.SampledFrom([]int64{-1000, -1, 1, 2, 1000}).Draw(rt, "delta"+label)
	case string:
		if v == "" {
			return "x"
		}
		b := []byte(v)
		i := rapid.IntRange(0, len(b)-1).Draw(rt, "at"+label)
		switch rapid.IntRange(0, 2).Draw(rt, "edit"+label) {
		case 0:
			b[i] ^= 1
		case 1:
			b = append(b[:i], b[i+1:]...)
		default:
			b = append(b, ' ')
		}
		return string(b)
	case []byte:
		b := bytes.Clone(v)
		i := rapid.IntRange(0, len(b)-1).Draw(rt, "at"+label)
		if rapid.Bool().Draw(rt, "cut"+label) {
			return append(b[:i], b[i+1:]...)
		}
		b[i] ^= byte(rapid.IntRange(1, 255).Draw(rt, "bits"+label))
		return b
	}
	return old
}

// Whoever removes entries and says nothing, or says that they were pruned although they
// were young, is found.
func TestFalsePruning(t *testing.T) {
	for name, falsify := range map[string]func(tx *sql.Tx, now time.Time) error{
		"no checkpoint": func(tx *sql.Tx, now time.Time) error {
			_, err := checkpoint(tx, now.Add(2*time.Hour), time.Hour)
			return err
		},
		"too young": func(tx *sql.Tx, now time.Time) error {
			c, err := checkpoint(tx, now.Add(11*day), 10*day)
			if err != nil {
				return err
			}
			record, err := json.Marshal(c)
			if err != nil {
				return err
			}
			_, err = add(tx, now, Entry{Type: TypeCheckpoint, Record: record})
			return err
		},
	} {
		now := newClock()
		s := newStore(t, postgrestest.Place(t), Options{Now: now.now})
		_, err := s.Add(Entry{Type: TypeOperator, Action: "a"}, Entry{Type: TypeOperator, Action: "b"})
		must(t, err)
		must(t, s.write("falsifying", func(tx *sql.Tx) error { return falsify(tx, now.now()) }))
		if v, err := s.Verify(""); err != nil || v.Problem == "" {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
}

// The first entry that is wrong is named.
func TestFirstProblem(t *testing.T) {
	for query, want := range map[string]struct {
		seq     int64
		problem string
	}{
		`UPDATE entries SET content = replace(content, 'op5', 'xx5') WHERE seq IN (5, 8)`: {5, "its column action was altered"},
		`UPDATE entries SET hash = substr(hash, 2) WHERE seq = 4`:                         {4, "its hash doesn't follow"},
		`DELETE FROM entries WHERE seq = 3`:                                               {3, "it is missing"},
		`DELETE FROM entries WHERE seq BETWEEN 3 AND 5`:                                   {3, "it is missing, and all up to entry 5"},
		`DELETE FROM entries WHERE seq = 9`:                                               {9, "it is missing"},
		`DELETE FROM entries WHERE seq = 1`:                                               {1, "it is missing"},
		`UPDATE entries SET run = 'other' WHERE seq = 6`:                                  {6, "its column run was altered"},
		`INSERT INTO requests (seq, id) VALUES (7, 'mine')`:                               {7, "the ids of requests by which it is found were altered"},
		`UPDATE entries SET content = 'x' WHERE seq = 2`:                                  {2, "can't be read"},
		`UPDATE entries SET seq = CASE seq WHEN 4 THEN 50 ELSE seq END`:                   {4, "it is missing"},
	} {
		s := newStore(t, postgrestest.Place(t), Options{})
		var list []Entry
		for i := range 9 {
			list = append(list, Entry{Type: TypeOperator, Action: fmt.Sprint("op", i+1)})
		}
		_, err := s.Add(list...)
		must(t, err)
		must(t, s.write("tampering", func(tx *sql.Tx) error {
			_, err := tx.Exec(query)
			return err
		}))
		v, err := s.Verify("")
		must(t, err)
		if v.Seq != want.seq || !strings.Contains(v.Problem, want.problem) {
			t.Errorf("%s: %+v", query, v)
		}
	}
}

// Whoever has an export can compute the chain without this program.
func TestExport(t *testing.T) {
	s, _ := prunedFleet(t)
	var b bytes.Buffer
	must(t, s.Export(&b))
	v := whole(t, s, "")
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if int64(len(lines)) != v.Entries {
		t.Fatalf("%d lines, %d entries", len(lines), v.Entries)
	}
	var checkpoint Checkpoint
	for _, line := range lines {
		var e Entry
		must(t, json.Unmarshal([]byte(line), &e))
		if e.Type == TypeCheckpoint {
			checkpoint = Checkpoint{}
			must(t, json.Unmarshal(e.Record, &checkpoint))
		}
	}
	hash, err := hex.DecodeString(checkpoint.Hash)
	must(t, err)
	for i, line := range lines {
		var e Entry
		must(t, json.Unmarshal([]byte(line), &e))
		if e.Seq != checkpoint.Last+int64(i)+1 {
			t.Fatalf("line %d is entry %d", i, e.Seq)
		}
		digest := sha256.Sum256([]byte(strings.Replace(line, `,"hash":"`+e.Hash+`"}`, "}", 1)))
		sum := sha256.Sum256(append(hash, digest[:]...))
		if hash = sum[:]; hex.EncodeToString(hash) != e.Hash {
			t.Fatalf("entry %d: the hash is another", e.Seq)
		}
	}
	must(t, newStore(t, postgrestest.Place(t), Options{}).Export(io.Discard))
}
