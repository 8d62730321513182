package lease

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"reconciler/internal/store/postgres/postgrestest"

	"go.uber.org/goleak"
)

// roleVar makes the test binary hold a lock, as a process that can be stopped.
const roleVar = "LEASE_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(roleVar); dir != "" {
		hold(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// quick is a timing for tests.
func quick() Timing {
	return Timing{Beat: 40 * time.Millisecond, Stale: 600 * time.Millisecond, Poll: 20 * time.Millisecond}
}

// urlPrefix begins the name of a place that is no folder, but a file with the URL of a
// database.
const urlPrefix = "url "

func newLock(dir string) *FileLock { return NewFile(dir, "x.lock", quick(), time.Now) }

// hold takes the lock and says what comes of each check that is asked for.
func hold(dir string) {
	var l Lock = newLock(dir)
	if url, ok := strings.CutPrefix(dir, urlPrefix); ok {
		l = NewSession(openDatabase(postgrestest.File(url)), "x", sessionTiming(), time.Now)
	}
	h, err := l.Try("holding")
	fmt.Println(err)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		fmt.Println(h.Check())
	}
}

// holder is a process that holds the lock.
type holder struct {
	*exec.Cmd
	ask func() string
}

func startHolder(t *testing.T, dir string) *holder {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVar+"="+dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	line := func() string {
		if !lines.Scan() {
			t.Fatalf("the holder ended: %v", lines.Err())
		}
		return lines.Text()
	}
	if said := line(); said != "<nil>" {
		t.Fatal(said)
	}
	return &holder{cmd, func() string {
		_, _ = in.Write([]byte("?\n"))
		return line()
	}}
}

// until tries the lock until it is taken, and returns how long that took.
func until(t *testing.T, l Lock) (Hold, time.Duration) {
	t.Helper()
	began := time.Now()
	for time.Since(began) < 20*time.Second {
		h, err := l.Try("taking over")
		if err == nil {
			t.Cleanup(func() { _ = h.Release() })
			return h, time.Since(began)
		}
		var held *HeldError
		if !errors.As(err, &held) {
			t.Fatal(err)
		}
		time.Sleep(l.Poll())
	}
	t.Fatal("nobody took over")
	return nil, 0
}

func TestOneHolds(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	a, b := newLock(dir), newLock(dir)
	if h, ok := b.Last(); ok {
		t.Errorf("before: %v", h)
	}
	held, err := a.Try("apply")
	if err != nil {
		t.Fatal(err)
	}
	var no *HeldError
	if _, err := b.Try("run"); !errors.As(err, &no) || no.Holder.PID != os.Getpid() || no.Holder.Command != "apply" {
		t.Fatalf("%v", err)
	}
	// Who goes on is never taken for frozen.
	for began := time.Now(); time.Since(began) < 2*quick().Stale; time.Sleep(b.Poll()) {
		if _, err := b.Try("run"); !errors.As(err, &no) {
			t.Fatal(err)
		}
	}
	if err := held.Check(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := held.Release(); err != nil {
			t.Error(err)
		}
	}
	if err := held.Check(); err == nil {
		t.Error("it is released, and holds")
	}
	until(t, b)
	if h, ok := b.Last(); !ok || h.Command != "taking over" {
		t.Errorf("afterwards: %v", h)
	}
}

func TestKilledHolderIsReplacedAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := startHolder(t, chmod(t, dir))
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait()
	if _, took := until(t, newLock(dir)); took >= quick().Stale {
		t.Errorf("it took %v", took)
	}
}

// A process that is frozen is replaced, and knows when it goes on, also when the one
// that replaced it has ended since.
func TestFrozenHolderIsReplaced(t *testing.T) {
	t.Parallel()
	dir := chmod(t, t.TempDir())
	p := startHolder(t, dir)
	if said := p.ask(); said != "<nil>" {
		t.Fatal(said)
	}
	signal(t, p, syscall.SIGSTOP)
	h, took := until(t, newLock(dir))
	if took < quick().Stale/2 {
		t.Errorf("it took %v", took)
	}
	if err := h.Check(); err != nil {
		t.Error(err)
	}
	var no *HeldError
	if _, err := newLock(dir).Try(""); !errors.As(err, &no) || no.Holder.PID != os.Getpid() {
		t.Errorf("%v", err)
	}
	_ = h.Release()
	again, _ := until(t, newLock(dir))
	signal(t, p, syscall.SIGCONT)
	for range 2 {
		if said := p.ask(); !strings.Contains(said, "because this one had stood still") {
			t.Error(said)
		}
	}
	if err := again.Check(); err != nil {
		t.Error(err)
	}
}

// A process that was frozen and that nobody has replaced goes on.
func TestFrozenAndNotReplaced(t *testing.T) {
	t.Parallel()
	dir := chmod(t, t.TempDir())
	p := startHolder(t, dir)
	l := newLock(dir)
	if _, err := l.Try(""); err == nil {
		t.Fatal("two hold")
	}
	signal(t, p, syscall.SIGSTOP)
	time.Sleep(2 * quick().Stale)
	// A long pause between two looks counts no more than twice the usual one: who looks
	// was frozen as well, perhaps.
	if _, err := l.Try(""); err == nil {
		t.Fatal("taken over by who hasn't looked")
	}
	signal(t, p, syscall.SIGCONT)
	if said := p.ask(); said != "<nil>" {
		t.Error(said)
	}
}

func TestLostFileIsLost(t *testing.T) {
	t.Parallel()
	dir := chmod(t, t.TempDir())
	h, err := newLock(dir).Try("")
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	if err := os.Remove(filepath.Join(dir, "x.lock")); err != nil {
		t.Fatal(err)
	}
	var lost *LostError
	if err := h.Check(); !errors.As(err, &lost) || lost.By.PID != 0 {
		t.Errorf("%v", err)
	}
	select {
	case <-h.Lost():
	default:
		t.Error("Lost says nothing")
	}
}

// A holder that writes no number, as one of an earlier version, is never replaced.
func TestHolderWithoutNumber(t *testing.T) {
	t.Parallel()
	dir := chmod(t, t.TempDir())
	h, err := newLock(dir).Try("")
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	h.(*fileHold).timer.Stop()
	if err := os.WriteFile(filepath.Join(dir, "x.lock"), []byte(`{"pid":12,"host":"h","started":"2026-01-02T03:04:05Z"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := newLock(dir)
	for began := time.Now(); time.Since(began) < 2*quick().Stale; time.Sleep(l.Poll()) {
		var no *HeldError
		if _, err := l.Try(""); !errors.As(err, &no) || no.Holder.PID != 12 {
			t.Fatalf("%v", err)
		}
	}
}

func chmod(t *testing.T, dir string) string {
	t.Helper()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func signal(t *testing.T, p *holder, s syscall.Signal) {
	t.Helper()
	if err := p.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}
