package history

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"reconciler/internal/store/location"
	"reconciler/internal/text"
)

// roleVar makes the test binary play a part in another test, as a process that can be
// killed.
const roleVar = "HISTORY_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		if err := roles()[role](os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, role+":", err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// child returns a command that plays a role. The arguments follow the role.
func child(t *testing.T, role string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), roleVar+"="+role)
	cmd.Stderr = os.Stderr
	return cmd
}

// start is when the tests begin.
func start() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 123456789, time.UTC) }

// clock is a time that tests set.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: start()} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantError checks text and hint of an error.
func wantError(t testing.TB, err error, words, hint string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, but one that says %q was wanted", words)
	}
	if !strings.Contains(err.Error(), words) || !strings.Contains(text.Hint(err), hint) {
		t.Fatalf("error: %s\nhint:  %s\nwanted: %q and %q", err, text.Hint(err), words, hint)
	}
}

// newStore returns a store, closed with the test.
func newStore(t testing.TB, at location.Location, opts Options) *Store {
	t.Helper()
	s := New(at, opts)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// logged returns a logger and what it was told.
func logged() (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	return slog.New(slog.NewTextHandler(&b, nil)), &b
}

// begin begins a run.
func begin(t testing.TB, s *Store, id string) *Recorder {
	t.Helper()
	r, err := s.Begin(Run{ID: id, Command: "run", By: "ada@example"})
	must(t, err)
	return r
}

// finish finishes a run.
func finish(t testing.TB, r *Recorder, run Run) string {
	t.Helper()
	head, err := r.Finish(run)
	must(t, err)
	return head
}

// change is a change of an org's product.
func change(org, after string) Entry {
	return Entry{Org: org, OrgID: "00o" + org, Action: "set-products", Before: json.RawMessage(`["a"]`), After: json.RawMessage(after)}
}

// applied makes a change.
func applied(t testing.TB, r *Recorder, e Entry, request string) {
	t.Helper()
	p, err := r.Change(e)
	must(t, err)
	must(t, p.End(Entry{Outcome: "applied", RequestID: request}))
}

// all returns all entries, oldest first.
func all(t testing.TB, s *Store) []Entry {
	t.Helper()
	list, err := s.Entries(Query{})
	must(t, err)
	for i, k := 0, len(list)-1; i < k; i, k = i+1, k-1 {
		list[i], list[k] = list[k], list[i]
	}
	return list
}

// types returns the types of entries.
func types(list []Entry) string {
	var words []string
	for i := range list {
		words = append(words, string(list[i].Type))
	}
	return strings.Join(words, " ")
}
