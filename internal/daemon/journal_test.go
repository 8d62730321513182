package daemon

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"reconciler/internal/daemon/api"
	"reconciler/internal/reconcile"
	"reconciler/internal/store/history"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
)

func stateIn(dir string) worldOptions { return worldOptions{extra: "state: {dir: " + dir + "}\n"} }

// What happened is known to the next process: the runs in which something did, and since
// when what drifts, which it doesn't log again.
func TestHistoryOutlivesTheProcess(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, stateIn(filepath.Join(t.TempDir(), "state")))
		w.commit(manifest(t, "products: [sso, mfa]", "products: [sso]"))
		since := w.expect(ResultDrift).Drift[0].Since
		w.expect(ResultDrift)
		w.restart()
		time.Sleep(time.Hour)
		w.log.reset()
		s := w.expect(ResultDrift)
		if len(s.Drift) != 1 || !s.Drift[0].Since.Equal(since) {
			t.Errorf("drift %+v, want since %v", s.Drift, since)
		}
		if lines := w.log.lines(t, "drift"); len(lines) > 0 {
			t.Errorf("drift is logged again: %v", lines)
		}
		runs, err := w.runner.r.History().Runs("", 0)
		if err != nil || len(runs) != 1 || runs[0].Result != string(ResultDrift) || runs[0].Commit == "" {
			t.Errorf("runs %+v, %v", runs, err)
		}
		if quiet, err := w.runner.r.History().QuietRuns(); err != nil || quiet.Runs != 2 {
			t.Errorf("%+v, %v", quiet, err)
		}
		if past := s.RecentRuns; len(past) != 2 {
			t.Errorf("recent runs %+v", past)
		}
	})
}

// Who caused drift stands in the status after the run that found it, and in the history
// once it is repaired.
func TestDriftNamesWhoCausedIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, stateIn(filepath.Join(t.TempDir(), "state")))
		w.expect(ResultInSync)
		time.Sleep(10 * time.Minute)
		w.tamper(emea, sso)
		time.Sleep(10 * time.Minute)
		s := w.expect(ResultDrift)
		if len(s.Drift) != 1 || s.Drift[0].Cause == nil || s.Drift[0].Cause.Actor != "mallory@acme.example" {
			t.Fatalf("drift %+v\n%s", s.Drift, w.log)
		}
		w.expectMetrics(map[string]string{`reconciler_drift_caused_total{by="person"}`: "1"})
		w.tamper(emea, sso, mfa)
		if s := w.expect(ResultInSync); len(s.Drift) != 0 {
			t.Errorf("drift %+v", s.Drift)
		}
		entries, err := w.runner.r.History().Entries(history.Query{Types: []history.Type{history.TypeDrift, history.TypeDriftEnded}})
		if err != nil || len(entries) != 2 || entries[0].Cause == nil || entries[0].Cause.Actor != "mallory@acme.example" {
			t.Errorf("%+v, %v", entries, err)
		}
	})
}

func TestRunsWithoutAStateFolderLeaveNoTrace(t *testing.T) {
	w := newWorld(t, worldOptions{})
	w.expect(ResultInSync)
	if past, err := pastRuns(w.runner.r); past != nil || err != nil {
		t.Errorf("%v, %v", past, err)
	}
	if alarms, err := w.runner.r.Alarms(); alarms != nil || err != nil {
		t.Errorf("%v, %v", alarms, err)
	}
}

func TestLostTokensAreAnAlarmUntilAcknowledged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	j, err := journal.New(location.Folder(dir), journal.Options{}).Lock()
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

// A daemon that can't know whether another one leads reads and reports, and writes
// nothing until it knows.
func TestLeadUnknown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		state := filepath.Join(t.TempDir(), "state")
		o := stateIn(state)
		o.mode = "apply"
		w := newWorld(t, o)
		w.expect(ResultInSync)
		leader := filepath.Join(state, "leader.lock")
		if err := os.Mkdir(leader, 0o700); err != nil {
			t.Fatal(err)
		}
		w.tamper(emea, sso)
		w.writes()
		w.takeTurn(t.Context(), api.TriggerSchedule)
		s := w.tracker.read(time.Now())
		if s.LastRun.Result != ResultError || len(s.Drift) != 1 || len(w.writes()) > 0 {
			t.Errorf("%s, drift %+v, writes %q", s.LastRun.Result, s.Drift, w.writes())
		}
		if err := os.Remove(leader); err != nil {
			t.Fatal(err)
		}
		w.takeTurn(t.Context(), api.TriggerSchedule)
		if s := w.tracker.read(time.Now()); s.LastRun.Result != ResultApplied || len(w.writes()) == 0 {
			t.Errorf("%s, %+v", s.LastRun.Result, s.LastRun.Problem)
		}
		if err := w.leads.End(); err != nil {
			t.Error(err)
		}
	})
}
