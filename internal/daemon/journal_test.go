package daemon

import (
	"path/filepath"
	"testing"
	"time"

	"reconciler/internal/reconcile"
	"reconciler/internal/state"
	"reconciler/internal/store/journal"
	"reconciler/internal/web"
)

func stateIn(dir string) worldOptions { return worldOptions{extra: "state: {dir: " + dir + "}\n"} }

func TestRunsOutliveTheProcess(t *testing.T) {
	w := newWorld(t, stateIn(filepath.Join(t.TempDir(), "state")))
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, result := range []Result{ResultDrift, ResultInSync, ResultApplied} {
		rec := &RunRecord{ID: web.NewRunID(start.Add(time.Duration(i) * time.Hour)), Started: start, Finished: start, Mode: state.Apply, Result: result}
		if err := w.runner.save(rec); err != nil {
			t.Fatal(err)
		}
		w.restart()
	}
	past, err := pastRuns(w.runner.r)
	if err != nil || len(past) != 2 || past[0].Result != ResultApplied || past[1].Result != ResultDrift {
		t.Errorf("%+v, %v", past, err)
	}
}

func TestRunsWithoutAJournalLeaveNoTrace(t *testing.T) {
	w := newWorld(t, worldOptions{})
	if err := w.runner.save(&RunRecord{ID: "x", Result: ResultDrift}); err != nil {
		t.Error(err)
	}
	if past, err := pastRuns(w.runner.r); past != nil || err != nil {
		t.Errorf("%v, %v", past, err)
	}
	if alarms, err := w.runner.r.Alarms(); alarms != nil || err != nil {
		t.Errorf("%v, %v", alarms, err)
	}
}

func TestRunsAreNotNotedWhileAnotherProcessHoldsTheJournal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	held, err := journal.New(dir, journal.Options{}).Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := newWorld(t, stateIn(dir)).runner.save(&RunRecord{ID: "x", Started: time.Now(), Result: ResultDrift}); err != nil {
		t.Error(err)
	}
}

func TestLostTokensAreAnAlarmUntilAcknowledged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	j, err := journal.New(dir, journal.Options{}).Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	key := journal.Key{Account: "0200", Domain: "acme-new.okta.com"}
	if err := j.Begin(journal.Creation{Key: key, Parent: "acme", Cell: "ok1", Subdomain: "acme-new"}); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Send(key, journal.Rate{Limit: 10, Per: time.Minute}); err != nil {
		t.Fatal(err)
	}
	if err := j.MarkCreated(key, "00o1", time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := j.MarkTokenLost(key, "the answer was cut off"); err != nil {
		t.Fatal(err)
	}
	alarms, err := reconcile.Alarms(j.Journal, "0200")
	if err != nil || len(alarms) != 1 || alarms[0].Org != key.Domain || alarms[0].Hint == "" {
		t.Fatalf("%+v, %v", alarms, err)
	}
	if err := j.Acknowledge(key, "ada"); err != nil {
		t.Fatal(err)
	}
	if alarms, err := reconcile.Alarms(j.Journal, "0200"); err != nil || len(alarms) != 0 {
		t.Errorf("%+v, %v", alarms, err)
	}
}
