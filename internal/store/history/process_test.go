package history

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"reconciler/internal/store/postgres/postgrestest"
)

// roles returns the parts that the test binary plays.
func roles() map[string]func(args []string) error {
	return map[string]func([]string) error{"killed": playKilled, "adding": playAdding}
}

// playKilled begins a run and a change, says so, and waits to be killed.
func playKilled(args []string) error {
	r, err := New(postgrestest.FromArgument(args[0]), Options{}).Begin(Run{ID: "killed", Command: "apply", By: "eve@example"})
	if err != nil {
		return err
	}
	if _, err := r.Change(change("acme.okta.com", `["b"]`)); err != nil {
		return err
	}
	fmt.Println("begun")
	time.Sleep(time.Minute)
	return nil
}

// A run that was killed is there at once, and in the chain once another begins.
func TestKilled(t *testing.T) {
	at := postgrestest.Place(t)
	dir := at.Dir()
	s := newStore(t, at, Options{})
	finish(t, begin(t, s, "first"), Run{Result: "applied"})
	cmd := child(t, "killed", postgrestest.Argument(at))
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "begun\n" {
		t.Fatal(line, err)
	}
	check := func(when, result string, changes int) {
		t.Helper()
		run, err := s.FindRun("killed")
		must(t, err)
		if run == nil || run.Result != result {
			t.Errorf("%s: %+v", when, run)
		}
		list, err := s.Entries(Query{Run: "killed", Types: []Type{TypeChange}})
		must(t, err)
		if len(list) != changes || changes > 0 && (list[0].Outcome != OutcomeUnknown || list[0].By != "eve@example") {
			t.Errorf("%s: %+v", when, list)
		}
	}
	check("while it goes on", "", 0)
	other := begin(t, s, "beside it") // which doesn't take it for dead
	check("while both go on", "", 0)
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	// PostgreSQL has to notice that the connection was closed.
	for end := time.Now().Add(20 * time.Second); dir == "" && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if run, err := s.FindRun("killed"); err != nil || run == nil || run.Result != "" {
			break
		}
	}
	check("killed", ResultInterrupted, 1)
	if list, err := s.Entries(Query{Org: "acme.okta.com", Limit: 1}); err != nil || len(list) != 1 || list[0].Seq != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err := s.Entries(Query{Org: "other"}); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	finish(t, begin(t, s, "next"), Run{Result: "applied"})
	finish(t, other, Run{Result: "applied"})
	check("turned into entries", ResultInterrupted, 1)
	if got := types(all(t, s)); got != "run change run run run" {
		t.Error(got)
	}
	if dir == "" {
		return
	}
	// Its lock file is removed once it is old enough.
	left, err := filepath.Glob(filepath.Join(dir, processPrefix+"*"))
	must(t, err)
	if len(left) != 2 {
		t.Errorf("%q", left)
	}
	old := time.Now().Add(-time.Hour)
	for _, name := range left {
		must(t, os.Chtimes(name, old, old))
	}
	finish(t, begin(t, newStore(t, at, Options{}), "last"), Run{Result: "applied"})
	if left, err = filepath.Glob(filepath.Join(dir, processPrefix+"*")); err != nil || len(left) != 2 {
		t.Errorf("%q, %v", left, err)
	}
	must(t, s.Close())
	if left, err = filepath.Glob(filepath.Join(dir, processPrefix+"*")); err != nil || len(left) != 1 {
		t.Errorf("%q, %v", left, err)
	}
}
