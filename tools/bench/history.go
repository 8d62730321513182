package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"reconciler/internal/store/history"
	"reconciler/internal/store/location"
)

const (
	historyRuns = 10_000
	historyOrgs = 200
	// historyEvery is the time between two runs: all of them lie within the retention,
	// so that nothing is pruned.
	historyEvery     = 10 * time.Minute
	historyRetention = 90 * 24 * time.Hour
)

// keeping measures a state folder over many runs, in a process of its own.
func keeping(dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "-history", filepath.Join(dir, "history"))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	peak, err := runProgram(cmd)
	if err != nil {
		return err
	}
	fmt.Printf("  memory           %8d MB at most, of the whole process\n", peak)
	return nil
}

// keptFleet is what the runs look at.
type keptFleet struct {
	store *history.Store
	now   time.Time
	// states are those of the orgs; drifting is the org that somebody changed, or -1.
	states   []history.OrgState
	drifting int
	// changes is how many were applied, and drifts how many there were.
	changes, drifts int
}

// keepRuns records many runs in a folder, and prints size, time and memory as they grow.
func keepRuns(folder string) error {
	f := &keptFleet{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), drifting: -1}
	f.store = history.New(location.Folder(folder), history.Options{Now: func() time.Time { return f.now }, Retention: historyRetention})
	defer f.store.Close()
	for i := range historyOrgs {
		f.states = append(f.states, history.OrgState{Org: domain(i), OrgID: fmt.Sprintf("00o%017d", i), Declared: orgState(i, 0), Live: orgState(i, 0)})
	}
	fmt.Printf("\nHistory of %d runs over %d orgs, one each %v, with drift in each twentieth\n", historyRuns, historyOrgs, historyEvery)
	fmt.Println("      runs   ms a run   folder MB   heap MB")
	const step = historyRuns / 5
	begun := time.Now()
	for i := range historyRuns {
		if err := f.run(i); err != nil {
			return err
		}
		f.now = f.now.Add(historyEvery)
		if (i+1)%step == 0 {
			size, err := folderSize(folder)
			if err != nil {
				return err
			}
			fmt.Printf("  %8d   %8.2f   %9.1f   %7.1f\n", i+1, time.Since(begun).Seconds()*1000/step, float64(size)/1e6, heap())
			begun = time.Now()
			if size > 200e6 {
				return errors.New("the folder should stay below 200 MB")
			}
		}
	}
	return f.check()
}

// run is one run: it notes what it sees, and puts right what drifts.
func (f *keptFleet) run(i int) error {
	id := fmt.Sprintf("run-%05d", i)
	r, err := f.store.Begin(history.Run{ID: id, Command: "run", Trigger: "schedule", Mode: "apply", By: "bench@example", Started: f.now})
	if err != nil {
		return err
	}
	if err := r.Planned("c0ffee", "", "sha256:0"); err != nil {
		return err
	}
	var drift []history.Drift
	quiet := true
	switch {
	case f.drifting >= 0: // seen by the run before
		if err := f.repair(r); err != nil {
			return err
		}
		quiet = false
	case i%20 == 0:
		f.drifting = i / 20 % historyOrgs
		f.drifts++
		o := &f.states[f.drifting]
		o.Live = orgState(f.drifting, i)
		drift = []history.Drift{{Org: o.Org, OrgID: o.OrgID, Field: "products", Desired: json.RawMessage(`["P000100"]`), Actual: json.RawMessage(`[]`)}}
	}
	if _, err := r.Drift(drift, func(*history.Drift) bool { return true }); err != nil {
		return err
	}
	if err := r.States(f.states); err != nil {
		return err
	}
	_, err = r.Finish(history.Run{Result: "in-sync", Quiet: quiet, Record: json.RawMessage(`{"orgs":200,"changes":0}`)})
	return err
}

// repair applies the change that puts the drift right.
func (f *keptFleet) repair(r *history.Recorder) error {
	o := &f.states[f.drifting]
	p, err := r.Change(history.Entry{Org: o.Org, OrgID: o.OrgID, Action: "set-products", Before: json.RawMessage(`[]`), After: json.RawMessage(`["P000100"]`)})
	if err != nil {
		return err
	}
	f.changes++
	o.Live, f.drifting = o.Declared, -1
	return p.End(history.Entry{Outcome: "applied", RequestID: fmt.Sprintf("request-%d", f.changes)})
}

// check looks whether all is there and the chain is whole.
func (f *keptFleet) check() error {
	changes, err := f.store.Entries(history.Query{Types: []history.Type{history.TypeChange}})
	if err != nil {
		return err
	}
	drifts, err := f.store.Entries(history.Query{Types: []history.Type{history.TypeDriftEnded}})
	if err != nil {
		return err
	}
	begun := time.Now()
	v, err := f.store.Verify("")
	if err != nil {
		return err
	}
	fmt.Printf("  verify           %8.3f s   %d entries\n", time.Since(begun).Seconds(), v.Entries)
	begun = time.Now()
	page, err := f.store.Entries(history.Query{Org: domain(7), Limit: 100})
	if err != nil {
		return err
	}
	fmt.Printf("  history --org    %8.3f s   %d entries\n", time.Since(begun).Seconds(), len(page))
	fmt.Printf("  kept             %d changes of %d, %d drifts of %d\n", len(changes), f.changes, len(drifts), f.drifts)
	if v.Problem != "" || len(changes) != f.changes || len(drifts) != f.drifts {
		return fmt.Errorf("the history is not what happened: %+v", v)
	}
	return nil
}

// orgState is what is declared or live in an org: some 10 KB, as with configuration.
func orgState(i, variant int) json.RawMessage {
	var zones []string
	for n := range 40 {
		zones = append(zones, fmt.Sprintf(`{"name":"Zone %d of %d","type":"IP","status":"ACTIVE","gateways":[{"type":"CIDR","value":"198.51.%d.0/24"},{"type":"CIDR","value":"203.0.%d.0/24"}],"proxies":[]}`,
			n, i, n, (n+variant)%256))
	}
	return json.RawMessage(fmt.Sprintf(`{"status":"ACTIVE","products":["P000100"],"variant":%d,"configuration":{"networkZones":[%s]}}`, variant, strings.Join(zones, ",")))
}

func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / 1e6
}

func folderSize(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}
