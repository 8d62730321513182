package replicas

import (
	"bytes"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"reconciler/internal/store/postgres"
	"reconciler/internal/store/postgres/postgrestest"
	"reconciler/internal/text"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// two returns two replicas of one database.
func two(t *testing.T) (a, b *Store) {
	file := postgrestest.NewFile(t)
	a, b = New(file), New(file)
	t.Cleanup(func() { must(t, a.Close()); must(t, b.Close()) })
	return a, b
}

// What is asked for many times at once is one request.
func TestAsk(t *testing.T) {
	a, b := two(t)
	var all sync.WaitGroup
	ids := make([]string, 8)
	for i := range ids {
		all.Go(func() {
			store := a
			if i%2 == 1 {
				store = b
			}
			r, err := store.Ask(Request{Run, fmt.Sprint("run", i), fmt.Sprint("who", i)})
			if err != nil {
				t.Error(err)
			}
			ids[i] = r.ID
		})
	}
	all.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("several requests: %q", ids)
		}
	}
	_, err := a.Ask(Request{Kind: Push, ID: "push1"})
	must(t, err)
	got, err := b.Requests()
	if err != nil || len(got) != 2 || got[0].ID != ids[0] || got[0].By != "who"+ids[0][len("run"):] || got[1].Kind != Push {
		t.Fatalf("%+v, %v", got, err)
	}
	must(t, b.Answered("another"))
	must(t, b.Answered(ids[0]))
	if got, err := a.Requests(); err != nil || len(got) != 1 || got[0].ID != "push1" {
		t.Fatalf("%+v, %v", got, err)
	}
	if r, err := a.Ask(Request{Run, "later", "ada"}); err != nil || r.ID != "later" {
		t.Fatalf("%+v, %v", r, err)
	}
}

func TestStatus(t *testing.T) {
	a, b := two(t)
	if s, err := b.Status(""); err != nil || s.Digest != "" || s.Content != nil {
		t.Fatalf("%+v, %v", s, err)
	}
	must(t, a.Publish([]byte("one")))
	first, err := b.Status("")
	if err != nil || string(first.Content) != "one" || first.Age > 10*time.Second {
		t.Fatalf("%+v, %v", first, err)
	}
	if s, err := b.Status(first.Digest); err != nil || len(s.Content) > 0 || s.Digest != first.Digest {
		t.Fatalf("%+v, %v", s, err)
	}
	_, err = a.tables.DB().Exec(`UPDATE replica_status SET seen_at = now() - interval '1 minute'`)
	must(t, err)
	if s, err := b.Status(""); err != nil || s.Age < time.Minute || s.Age > 2*time.Minute {
		t.Fatalf("%+v, %v", s, err)
	}
	must(t, a.Confirm())
	if s, err := b.Status(""); err != nil || s.Age > 10*time.Second {
		t.Fatalf("%+v, %v", s, err)
	}
	must(t, a.Publish([]byte("two")))
	if s, err := b.Status(first.Digest); err != nil || string(s.Content) != "two" {
		t.Fatalf("%+v, %v", s, err)
	}
}

func TestRuns(t *testing.T) {
	a, b := two(t)
	for i := range keptRuns + 5 {
		must(t, a.KeepRun(fmt.Sprint("r", i), []byte{byte(i)}))
	}
	for id, want := range map[string][]byte{"r4": nil, "r5": {5}, "r24": {24}, "none": nil} {
		if got, err := b.RunKept(id); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v, %v", id, got, err)
		}
	}
}

func TestSessions(t *testing.T) {
	a, b := two(t)
	key, err := a.Key([]byte("first"))
	if err != nil || string(key) != "first" {
		t.Fatalf("%q, %v", key, err)
	}
	if key, err := b.Key([]byte("other")); err != nil || string(key) != "first" {
		t.Fatalf("%q, %v", key, err)
	}
	_, err = a.tables.DB().Exec(`UPDATE replica_key SET key = ''`)
	must(t, err)
	if key, err := b.Key([]byte("other")); err == nil || key != nil || !strings.Contains(err.Error(), "the key of sessions is damaged") {
		t.Errorf("an empty key: %q, %v", key, err)
	}
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	must(t, a.Revoke("s1", until))
	must(t, a.Revoke("s1", until))
	behind := time.Now().Add(time.Minute - keepRevoked).UTC().Truncate(time.Second) // holds where the clock is a day behind
	must(t, a.Revoke("behind", behind))
	must(t, a.Revoke("old", time.Now().Add(-keepRevoked-time.Second)))
	if got, err := b.Revoked(); err != nil || len(got) != 2 || !got["s1"].Equal(until) || !got["behind"].Equal(behind) {
		t.Fatalf("%v, %v", got, err)
	}
}

// Clocks that agree to a minute are not worth a word.
func TestSkew(t *testing.T) {
	a, _ := two(t)
	for by, want := range map[time.Duration]string{
		0: "", 50 * time.Second: "", -50 * time.Second: "",
		2 * time.Hour: "this machine's clock is 2h0m0s ahead of the database's", -2 * time.Hour: "this machine's clock is 2h0m0s behind the database's",
	} {
		got, err := a.Skew(func() time.Time { return time.Now().Add(by) })
		if got != want || err != nil {
			t.Errorf("%v: %q, %v", by, got, err)
		}
	}
}

// Where orgs are declared is read once, until it is another place.
func TestPlaces(t *testing.T) {
	a, b := two(t)
	content, digest, err := b.Places("")
	if content != nil || digest != "" || err != nil {
		t.Errorf("before: %q, %q, %v", content, digest, err)
	}
	must(t, a.PublishPlaces([]byte("one")))
	content, first, err := b.Places(digest)
	if string(content) != "one" || first == "" || err != nil {
		t.Errorf("%q, %q, %v", content, first, err)
	}
	content, digest, err = b.Places(first)
	if len(content) > 0 || digest != first || err != nil {
		t.Errorf("known: %q, %q, %v", content, digest, err)
	}
	must(t, a.PublishPlaces([]byte("two")))
	content, digest, err = b.Places(first)
	if string(content) != "two" || digest == first || err != nil {
		t.Errorf("%q, %q, %v", content, digest, err)
	}
}

// Tables of each older schema are migrated with what is in them, and those of a newer one
// are refused.
func TestSchemas(t *testing.T) {
	for from := 1; from <= len(schema()); from++ {
		file := postgrestest.NewFile(t)
		old := (&postgres.Kind{Store: "replicas", Steps: schema()[:from], Connections: 1}).Open(file)
		defer old.Close()
		must(t, old.Create(func(tx *sql.Tx) error {
			_, err := tx.Exec(`INSERT INTO replica_status (id, digest, content, seen_at) VALUES (1, 'x', 'old', now())`)
			return err
		}))
		s := New(file)
		defer s.Close()
		must(t, s.Check())
		must(t, old.Check()) // which has changed nothing
		if got, err := s.Status(""); err != nil || string(got.Content) != "old" {
			t.Errorf("schema %d: %+v, %v", from, got, err)
		}
		must(t, s.PublishPlaces([]byte("places")))
		if err := old.Check(); (err != nil) != (from < len(schema())) {
			t.Errorf("schema %d afterwards: %v", from, err)
		}
	}
	file := postgrestest.NewFile(t)
	first := New(file)
	defer first.Close()
	must(t, first.Check()) // where there is nothing
	must(t, first.Confirm())
	_, err := first.tables.DB().Exec(`UPDATE reconciler_stores SET version = 99`)
	must(t, err)
	s := New(file)
	defer s.Close()
	_, asked := s.Status("")
	for _, err := range []error{s.Check(), asked} {
		if err == nil || !strings.Contains(err.Error(), "it has schema 99, and this version of the program knows no more than 2") || !strings.Contains(text.Hint(err), "a newer version has used this database") {
			t.Errorf("%v", err)
		}
	}
}
