package lease

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"reconciler/internal/store/location"
	"reconciler/internal/store/postgres"
	"reconciler/internal/store/postgres/postgrestest"
)

// database is a Database of tests.
type database struct{ db *sql.DB }

func (d database) Open(context.Context) (*sql.DB, error) { return d.db, nil }
func (d database) Explain(err error) error               { return err }

// openDatabase opens the database at a URL, whose steps may have been done.
func openDatabase(url location.URL) database {
	db := postgres.Open(url, 5)
	for _, step := range Schema() {
		_, _ = db.Exec(step)
	}
	return database{db}
}

// sessionLock is a lock of a database of the test.
func sessionLock(t *testing.T, url location.URL) *SessionLock {
	d := openDatabase(url)
	t.Cleanup(func() { d.db.Close() })
	return NewSession(d, "x", sessionTiming(), time.Now)
}

// sessionTiming is a timing for tests.
func sessionTiming() Timing {
	return Timing{Beat: 200 * time.Millisecond, Stale: 1200 * time.Millisecond, Poll: 20 * time.Millisecond}
}

func TestOneSessionHolds(t *testing.T) {
	t.Parallel()
	url := postgrestest.NewFile(t)
	a, b := sessionLock(t, url), sessionLock(t, url)
	if h, ok := b.Last(); ok {
		t.Errorf("before: %v", h)
	}
	held, err := a.Try("apply")
	if err != nil {
		t.Fatal(err)
	}
	var no *HeldError
	// A holder that goes on is never taken for frozen.
	for began := time.Now(); time.Since(began) < 2*sessionTiming().Stale; time.Sleep(b.Poll()) {
		if _, err := b.Try("run"); !errors.As(err, &no) || no.Holder.PID != os.Getpid() || no.Holder.Command != "apply" || no.Holder.Started.IsZero() {
			t.Fatalf("%v", err)
		}
	}
	if err := held.Check(); err != nil {
		t.Error(err)
	}
	// A lock of another name, and one of another schema, are others.
	for _, other := range []*SessionLock{NewSession(a.db, "y", a.timing, time.Now), sessionLock(t, postgrestest.NewFile(t))} {
		h, err := other.Try("")
		if err != nil {
			t.Fatal(err)
		}
		_ = h.Release()
	}
	for range 2 {
		if err := held.Release(); err != nil {
			t.Error(err)
		}
	}
	if err := held.Check(); err == nil {
		t.Error("it is released, and holds")
	}
	again, err := b.Try("taking over")
	if err != nil {
		t.Fatal(err)
	}
	defer again.Release()
	if h, ok := a.Last(); !ok || h.Command != "taking over" {
		t.Errorf("afterwards: %v", h)
	}
}

// startSession starts a process that holds the lock.
func startSession(t *testing.T, url postgrestest.File) *holder {
	return startHolder(t, urlPrefix+string(url))
}

// A process that ended, however, is replaced at once.
func TestKilledSessionIsReplacedAtOnce(t *testing.T) {
	t.Parallel()
	url := postgrestest.NewFile(t)
	l := sessionLock(t, url)
	p := startSession(t, url)
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait()
	if _, took := until(t, l); took >= sessionTiming().Stale {
		t.Errorf("it took %v", took)
	}
}

// A process that is frozen is replaced, and knows when it goes on, also when the one
// that replaced it has ended since.
func TestFrozenSessionIsReplaced(t *testing.T) {
	t.Parallel()
	url := postgrestest.NewFile(t)
	l := sessionLock(t, url)
	p := startSession(t, url)
	if said := p.ask(); said != "<nil>" {
		t.Fatal(said)
	}
	signal(t, p, syscall.SIGSTOP)
	h, took := until(t, l)
	if limit := sessionTiming().Stale + 2*time.Second; took > limit || took < sessionTiming().Stale/2 {
		t.Errorf("it took %v", took)
	}
	_ = h.Release()
	again, _ := until(t, l)
	signal(t, p, syscall.SIGCONT)
	for range 2 {
		if said := p.ask(); !strings.Contains(said, fmt.Sprintf("process %d on ", os.Getpid())) || !strings.Contains(said, "took over at") {
			t.Error(said)
		}
	}
	if err := again.Check(); err != nil {
		t.Error(err)
	}
}

// A transaction of an older epoch is refused, one that is under way is waited for, and a
// lock that is lost says so at once.
func TestFence(t *testing.T) {
	t.Parallel()
	url := postgrestest.NewFile(t)
	a, b := sessionLock(t, url), sessionLock(t, url)
	a.timing = Timing{Beat: time.Minute, Stale: 2 * time.Minute} // it doesn't look by itself
	held, err := a.Try("a")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	other, err := b.db.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	begin := func() *sql.Tx {
		t.Helper()
		tx, err := other.Begin()
		if err != nil {
			t.Fatal(err)
		}
		return tx
	}
	tx := begin()
	if err := held.Fence(tx); err != nil {
		t.Fatal(err)
	}
	// The session is ended, as by an administrator or with the server.
	if _, err := other.Exec(`SELECT pg_terminate_backend($1)`, held.(*sessionHold).backend); err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	taken := make(chan struct{})
	wait.Go(func() {
		defer close(taken)
		h, _ := until(t, b)
		if err := h.Check(); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-taken:
		t.Error("a transaction under the lock goes on, and it is taken over")
	case <-time.After(300 * time.Millisecond):
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	wait.Wait()
	tx = begin()
	defer tx.Rollback()
	var lost *LostError
	if err := held.Fence(tx); !errors.As(err, &lost) || lost.By.Command != "taking over" {
		t.Errorf("%v", err)
	}
	select {
	case <-held.Lost():
	default:
		t.Error("Lost says nothing")
	}
	if err := held.Check(); !errors.As(err, &lost) {
		t.Errorf("%v", err)
	}
}

// A holder whose session ends without being asked learns it within a beat.
func TestEndedSessionIsNoticed(t *testing.T) {
	t.Parallel()
	url := postgrestest.NewFile(t)
	l := sessionLock(t, url)
	held, err := l.Try("")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	db, _ := l.db.Open(t.Context())
	if _, err := db.Exec(`SELECT pg_terminate_backend($1)`, held.(*sessionHold).backend); err != nil {
		t.Fatal(err)
	}
	select {
	case <-held.Lost():
	case <-time.After(5 * time.Second):
		t.Fatal("nobody notices")
	}
	var lost *LostError
	if err := held.Check(); !errors.As(err, &lost) || lost.By.PID != 0 || !strings.Contains(err.Error(), "its session with the database has ended") {
		t.Errorf("%v", err)
	}
}

// wire is a proxy of a server that can be cut, so that nobody hears anything any more.
type wire struct {
	net.Listener
	server string
	cut    chan struct{}
	// delay is by how much answers are late.
	delay atomic.Int64
}

func newWire(t *testing.T, server string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{Listener: l, server: server, cut: make(chan struct{})}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { w.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return w
}

func (w *wire) serve(c net.Conn) {
	defer c.Close()
	s, err := net.Dial("unix", w.server)
	if err != nil {
		return
	}
	defer s.Close()
	var both sync.WaitGroup
	pass := func(from, to net.Conn) {
		defer from.Close()
		defer to.Close()
		b := make([]byte, 4096)
		for {
			n, err := from.Read(b)
			if from == s {
				time.Sleep(time.Duration(w.delay.Load()))
			}
			select {
			case <-w.cut: // what was read is lost
				continueUntilClosed(from)
				return
			default:
			}
			if _, wrong := to.Write(b[:n]); err != nil || wrong != nil {
				return
			}
		}
	}
	both.Go(func() { pass(c, s) })
	both.Go(func() { pass(s, c) })
	both.Wait()
}

// continueUntilClosed swallows what comes.
func continueUntilClosed(c net.Conn) {
	b := make([]byte, 4096)
	for {
		if _, err := c.Read(b); err != nil {
			return
		}
	}
}

// A holder that hears nothing more of the server gives up before another one can hold.
func TestCutSession(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	url := server.File(t)
	w := newWire(t, server.Socket)
	direct := sessionLock(t, url)
	address := w.Addr().(*net.TCPAddr)
	far := sessionLock(t, plain(fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable&search_path=%s", address.Port, schemaOf(t, direct))))
	held, err := far.Try("far")
	if err != nil {
		t.Fatal(err)
	}
	close(w.cut)
	gaveUp := make(chan time.Time, 1)
	go func() {
		<-held.Lost()
		gaveUp <- time.Now()
	}()
	h, took := until(t, direct)
	at := time.Now()
	if took > sessionTiming().Stale+2*time.Second {
		t.Errorf("it took %v", took)
	}
	select {
	case gave := <-gaveUp:
		if gave.After(at) {
			t.Errorf("it gave up %v after it was replaced", gave.Sub(at))
		}
	case <-time.After(5 * time.Second):
		t.Error("it never gives up")
	}
	if err := held.Check(); err == nil {
		t.Error("it holds")
	}
	_ = h.Release()
	_ = held.Release()
}

// An answer that is read when another process may hold the lock already doesn't count.
func TestLateAnswer(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	url := server.File(t)
	w := newWire(t, server.Socket)
	port := w.Addr().(*net.TCPAddr).Port
	far := sessionLock(t, plain(fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable&search_path=%s", port, schemaOf(t, sessionLock(t, url)))))
	far.timing.Beat, far.timing.Stale = 10*time.Second, 11*time.Second // it asks only when it is told to
	held, err := far.Try("far")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	if err := held.Check(); err != nil {
		t.Fatal(err)
	}
	h := held.(*sessionHold)
	h.mu.Lock()
	h.at = time.Now().Add(time.Hour) // as if the clock of the deadline had stood still as well
	h.mu.Unlock()
	w.delay.Store(int64(1500 * time.Millisecond))
	var lost *LostError
	if err := held.Check(); !errors.As(err, &lost) || !strings.Contains(err.Error(), errStood.Error()) {
		t.Errorf("%v", err)
	}
}

// Wall clocks that jump change nothing, of whichever process.
func TestClocksJump(t *testing.T) {
	t.Parallel()
	url := postgrestest.NewFile(t)
	a, b := sessionLock(t, url), sessionLock(t, url)
	var jumps atomic.Int64
	jump := func() time.Time { return time.Now().Add(time.Duration(jumps.Add(1)%2*200-100) * 24 * time.Hour) }
	a.now, b.now = jump, jump
	held, err := a.Try("a")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	for began := time.Now(); time.Since(began) < 2*sessionTiming().Stale; time.Sleep(b.Poll()) {
		var no *HeldError
		if _, err := b.Try("b"); !errors.As(err, &no) {
			t.Fatalf("%v", err)
		}
		if err := held.Check(); err != nil {
			t.Fatal(err)
		}
	}
}

// plain is a URL as it is.
type plain string

func (u plain) Read(context.Context) ([]byte, error) { return []byte(u), nil }
func (u plain) String() string                       { return "the URL" }

func schemaOf(t *testing.T, l *SessionLock) (schema string) {
	t.Helper()
	db, err := l.db.Open(t.Context())
	if err == nil {
		err = db.QueryRow(`SELECT current_schema()`).Scan(&schema)
	}
	if err != nil {
		t.Fatal(err)
	}
	return schema
}
