package onboard_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"reconciler/internal/okta/simulator"
	"reconciler/internal/store/journal"
)

// envProgram, when it is set, makes TestProgram the program.
const envProgram = "ONBOARD_TEST_PROGRAM"

// TestProgram is the program, when another test runs it as a process of its own
// with a setup on its standard input.
func TestProgram(t *testing.T) {
	if os.Getenv(envProgram) == "" {
		t.Skip("is run by other tests")
	}
	var s setup
	if err := json.NewDecoder(os.Stdin).Decode(&s); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) { os.Exit(s.main(t)) })
}

// process starts the program as a process of its own, under the command that
// may be given.
func (w *world) process(t testing.TB, under ...string) *exec.Cmd {
	t.Helper()
	w.Start = w.now()
	text, err := json.Marshal(w.setup)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := append(under, exe, "-test.run=^TestProgram$")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), envProgram+"=1", "GORACE=atexit_sleep_ms=0")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(text), w, w
	forking.Lock()
	defer forking.Unlock()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// exit returns the exit code of a process, or -1 if it was killed.
func exit(t testing.TB, err error) int {
	t.Helper()
	var e *exec.ExitError
	switch {
	case err == nil:
		return exitDone
	case !errors.As(err, &e):
		t.Fatal(err)
	}
	if ws := e.Sys().(syscall.WaitStatus); ws.Signaled() && ws.Signal() == syscall.SIGKILL {
		return -1
	}
	return e.ExitCode()
}

// finish runs the program until nothing is left to be done, and once more for
// what a killed process left in the journal.
func (w *world) finish(t *testing.T) {
	t.Helper()
	w.Kill, w.Record = "", ""
	for n := 1; !done(w.once(t)); n++ {
		if n == 6 {
			t.Fatalf("after %d runs, not all is done:\n%s", n, w.said())
		}
	}
	if !done(w.once(t)) {
		t.Fatalf("something was left for the last run:\n%s", w.said())
	}
}

// scenario is a story to kill the process in, over and over at another point.
type scenario struct {
	name string
	// before is done before the process starts that is killed.
	before func(*testing.T, *world)
	// lost says that the token is lost whatever happens.
	lost bool
}

var scenarios = []scenario{
	{name: "plain", before: func(*testing.T, *world) {}},
	{name: "answer lost", lost: true, before: func(t *testing.T, w *world) {
		w.fault(t, creations(simulator.Fault{Cut: true, After: true, Times: 1}))
		w.once(t)
	}},
	{name: "call lost", before: func(t *testing.T, w *world) {
		w.fault(t, creations(simulator.Fault{Cut: true, Times: 1}))
		w.once(t)
	}},
	{name: "no token in the answer", lost: true, before: func(t *testing.T, w *world) {
		w.fault(t, creations(simulator.Fault{CutBody: true, Times: 1}))
	}},
	{name: "refused at first", before: func(t *testing.T, w *world) {
		w.fault(t, creations(simulator.Fault{Status: 400, Times: 1}))
		w.once(t)
	}},
	{name: "answer lost in this run", lost: true, before: func(t *testing.T, w *world) {
		w.fault(t, creations(simulator.Fault{Status: 502, After: true, Times: 1}))
	}},
	{name: "journal damaged, token stored", before: func(t *testing.T, w *world) {
		w.fault(t, links(simulator.Fault{Status: 403, Times: 1}))
		w.once(t)
		w.damage(t)
	}},
	{name: "journal damaged, answer lost", lost: true, before: func(t *testing.T, w *world) {
		w.fault(t, creations(simulator.Fault{Cut: true, After: true, Times: 1}))
		w.once(t)
		w.damage(t)
	}},
}

// TestKilled kills the program at every point that it passes, once each, with a
// signal that can't be caught, and lets it run again. In the end there is one
// org, linked once, and its token is stored, or lost and told so; and lost only
// if it had not reached the sink.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts hundreds of processes")
	}
	distinct := map[string]bool{}
	total := 0
	for _, sc := range scenarios {
		points := sc.points(t)
		total += len(points)
		for _, p := range points {
			distinct[p] = true
		}
		for _, point := range points {
			t.Run(sc.name+"/"+point, func(t *testing.T) {
				t.Parallel()
				sc.killAt(t, point)
			})
		}
	}
	t.Logf("%d kills at %d distinct points", total, len(distinct))
	if len(distinct) < 30 {
		t.Errorf("only %d points", len(distinct))
	}
}

// points lists the points that a process passes which is not killed.
func (sc *scenario) points(t *testing.T) []string {
	t.Helper()
	w := newWorld(t, nil, fresh)
	sc.before(t, w)
	w.Record = filepath.Join(w.Dir, "points")
	if code := exit(t, w.process(t).Wait()); code != exitDone && code != exitPartial {
		t.Fatalf("ended with %d:\n%s", code, w.said())
	}
	data, err := os.ReadFile(w.Record)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(strings.ReplaceAll(string(data), " ", "_"))
}

func (sc *scenario) killAt(t *testing.T, point string) {
	w := newWorld(t, nil, fresh)
	sc.before(t, w)
	w.Kill = strings.ReplaceAll(point, "_", " ")
	if code := exit(t, w.process(t).Wait()); code != -1 {
		t.Fatalf("not killed, but ended with %d:\n%s", code, w.said())
	}
	_, there := w.Org(fresh)
	stored := w.tokenOnDisk(t, fresh)
	w.finish(t)
	w.wantComplete(t, fresh, sc.lost || there && !stored)
	w.wantOrgs(t, 1)
}

// TestKilledAnytime kills the program after random times, again and again,
// until it is through.
func TestKilledAnytime(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	for round := range 12 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			domains := []string{"acme-one.okta.com", "acme-two.okta.com", "acme-three.okta.com"}
			w := newWorld(t, nil, domains...)
			for n := range 5 {
				cmd := w.process(t)
				time.Sleep(time.Duration(20+(round*37+n*53)%120) * time.Millisecond)
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
			}
			w.finish(t)
			w.wantOrgs(t, len(domains))
			for _, d := range domains {
				w.wantComplete(t, d, w.creation(t, d).Token == journal.TokenLost)
			}
		})
	}
}

// TestNoTokenIsTold greps all that processes printed, and all that they stored
// but in the sink, for tokens.
func TestNoTokenIsTold(t *testing.T) {
	domains := []string{"acme-one.okta.com", "acme-two.okta.com", "acme-three.okta.com", "acme-four.okta.com"}
	w := newWorld(t, nil, domains...)
	w.fault(t, creations(simulator.Fault{CutBody: true, Nth: 2}))
	w.fault(t, creations(simulator.Fault{Cut: true, After: true, Nth: 3}))
	w.fault(t, creations(simulator.Fault{Garbage: true, Nth: 4}))
	w.finish(t)

	var stored []byte
	err := filepath.WalkDir(w.Dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(path, w.tokenDir()) {
			return err
		}
		data, err := os.ReadFile(path)
		stored = append(stored, data...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	tokens := 0
	for _, o := range w.Orgs() {
		for _, token := range o.Tokens {
			tokens++
			// Neither whole nor in good part.
			for _, part := range []string{token, token[:20], token[len(token)-20:]} {
				if strings.Contains(w.said(), part) || bytes.Contains(stored, []byte(part)) {
					t.Errorf("a token of %s was told", o.Domain)
				}
			}
		}
	}
	if tokens != len(domains)+1 || len(stored) == 0 || !slices.ContainsFunc(domains, func(d string) bool { _, has := w.stored(t, d); return has }) {
		t.Errorf("%d tokens, %d bytes: this test looks at nothing", tokens, len(stored))
	}
}
