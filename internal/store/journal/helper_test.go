package journal

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"reconciler/internal/store/location"
	"reconciler/internal/store/postgres/postgrestest"

	"go.uber.org/goleak"
)

// roleVar makes the test binary play a part in another test, as a process that
// can be killed.
const roleVar = "JOURNAL_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		play(role)
		return
	}
	goleak.VerifyTestMain(m)
}

// child gives a command that plays a role. The arguments follow the role.
func child(t *testing.T, role string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
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

// place returns a place for a journal, which the test has for itself: a folder, and in the
// suite on PostgreSQL a database.
func place(t *testing.T) string { return postgrestest.Argument(postgrestest.Place(t)) }

// locate returns the location of a place.
func locate(place string) location.Location { return postgrestest.FromArgument(place) }

// db returns the open database.
func (j *Journal) db() *sql.DB {
	if f, ok := j.home.(*folder); ok {
		return f.db
	}
	return j.home.(*tables).open().DB()
}

// setDatabaseClock sets the clock of the database, where there is one.
func (j *Journal) setDatabaseClock(clock func() time.Time) {
	if t, ok := j.home.(*tables); ok {
		t.compare = func(_ func(string, ...any) *sql.Row, now func() time.Time) (time.Duration, error) {
			return now().Sub(clock()), nil
		}
	}
}

// lockJournal returns the locked journal in dir, and closes it where that fails.
func lockJournal(dir string, opts Options) (*Writer, error) {
	j := New(locate(dir), opts)
	w, err := j.Lock()
	if err != nil {
		return nil, errors.Join(err, j.Close())
	}
	return w, nil
}

// openJournal opens the journal in dir, closed with the test.
func openJournal(t *testing.T, dir string, opts Options) *Writer {
	t.Helper()
	j, err := lockJournal(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

// logged gives a logger and what it was told.
func logged() (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	return slog.New(slog.NewTextHandler(&b, nil)), &b
}

const account = "0200acc"

// acme is the creation that tests work on.
func acme() Creation {
	return Creation{Key: acmeKey(), Parent: "acme", Cell: "ok1", Subdomain: "acme-new"}
}

func acmeKey() Key { return Key{account, "acme-new.okta.com"} }

func tenAMinute() Rate { return Rate{10, time.Minute} }

// must fails the test for an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// send sends without waiting.
func send(t testing.TB, j *Writer, k Key) {
	t.Helper()
	wait, err := j.Send(k, Rate{1000, time.Nanosecond})
	must(t, err)
	if wait != 0 {
		t.Fatalf("Send: wait %v", wait)
	}
}

// reach brings a creation of its own to a step, on the shortest way.
func reach(t testing.TB, j *Writer, c Creation, step Step) {
	t.Helper()
	k := c.Key
	must(t, j.Begin(c))
	if step == Intent {
		return
	}
	send(t, j, k)
	switch step {
	case Sent:
		return
	case Refused:
		must(t, j.MarkRefused(k, "E0000001"))
		return
	}
	must(t, j.MarkCreated(k, "00o1", start().Add(time.Second)))
	if step == Created {
		return
	}
	must(t, j.MarkTokenStored(k, "/tokens/acme"))
	must(t, j.MarkLinked(k, "00o1"))
	if step == Done {
		must(t, j.MarkDone(k))
	}
}

// creation reads back what must be there.
func creation(t testing.TB, v *Journal, k Key) Creation {
	t.Helper()
	c, err := v.Creation(k)
	must(t, err)
	if c == nil {
		t.Fatalf("no creation of %q", k.Domain)
	}
	return *c
}

// wantError checks an error and its hint for words, and that both are one line.
func wantError(t testing.TB, err error, words, hint string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, but one that says %q was wanted", words)
	}
	var got string
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		got = h.Hint()
	}
	if !strings.Contains(err.Error(), words) || !strings.Contains(got, hint) || strings.Contains(err.Error()+got, "\n") {
		t.Fatalf("error: %s\nhint:  %s\nwanted: %q and %q", err, got, words, hint)
	}
}

// copyDir copies a folder as a crash would leave it.
func copyDir(t testing.TB, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	must(t, os.Mkdir(to, 0o700))
	entries, err := os.ReadDir(from)
	must(t, err)
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(from, e.Name()))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(to, e.Name()), data, 0o600))
	}
	return to
}

// play is the main function of a child.
func play(role string) {
	if err := roles()[role](os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, role+":", err)
		os.Exit(1)
	}
}
