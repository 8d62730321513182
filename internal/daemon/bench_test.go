package daemon

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/daemon/api"
	"reconciler/internal/daemon/signin"
	"reconciler/internal/diff"
	"reconciler/internal/reconcile"
	"reconciler/internal/store/history"
	"reconciler/internal/store/location"
)

// fleet5000 is a history of 5,000 orgs with products and labels, of which each tenth has
// a configuration of 60 objects, and each drifts as drifting says.
type fleet5000 struct {
	store  *history.Store
	states []history.OrgState
	drift  []history.Drift
	runs   int
}

const benchOrgs = 5000

func newFleet5000(b *testing.B) *fleet5000 {
	b.Helper()
	f := &fleet5000{store: history.New(location.Folder(b.TempDir()), history.Options{})}
	b.Cleanup(func() { f.store.Close() })
	f.states = append(f.states, history.OrgState{
		At: noon, Declared: json.RawMessage(`{"products": {"sso": "P000052", "mfa": "P000131", "lcm": "P000139"}}`),
		Live: json.RawMessage(`{"id": "0200", "products": {"P000052": "SSO", "P000131": "MFA", "P000139": "LCM"}}`),
	})
	var objects []string
	for i := range 60 {
		objects = append(objects, fmt.Sprintf(`"groups/Group %02d": {"profile": {"name": "Group %02d", "description": "of the benchmark"}}`, i, i))
	}
	configuration := `, "configuration": {` + strings.Join(objects, ", ") + "}"
	for i := range benchOrgs {
		more := ""
		if i%10 == 0 {
			more = configuration
		}
		domain := fmt.Sprintf("org-%04d.okta.com", i)
		f.states = append(f.states, history.OrgState{
			At: noon, Org: domain, OrgID: fmt.Sprintf("00o%017d", i),
			Declared: json.RawMessage(fmt.Sprintf(`{"products": ["P000052", "P000131"], "labels": {"tier": "t%d", "bu": "b%d"}, "owner": "ada@acme.example"%s}`, i%3, i%7, more)),
			Live:     json.RawMessage(fmt.Sprintf(`{"id": "00o%017d", "name": "Org %d", "cell": "ok%d", "products": ["P000052"], "status": "ACTIVE"%s}`, i, i, i%5, more)),
		})
		f.drift = append(f.drift, history.Drift{
			Org: domain, OrgID: fmt.Sprintf("00o%017d", i), Field: "products",
			Desired: json.RawMessage(`["P000052","P000131"]`), Actual: json.RawMessage(`["P000052"]`),
		})
	}
	f.run(b)
	return f
}

// run records a run that finds the same again.
func (f *fleet5000) run(b *testing.B) {
	f.runs++
	id := fmt.Sprintf("r%d", f.runs)
	rec, err := f.store.Begin(history.Run{ID: id, Command: "run", By: "ada@ops1", Started: time.Now()})
	if err != nil {
		b.Error(err)
		return
	}
	if _, err = rec.Drift(f.drift, func(*history.Drift) bool { return true }); err == nil && f.runs == 1 {
		err = rec.States(f.states)
	}
	if err == nil {
		_, err = rec.Finish(history.Run{ID: id, Command: "run", By: "ada@ops1", Started: time.Now(), Result: "drift", Quiet: f.runs > 1})
	}
	if err != nil {
		b.Error(err)
	}
}

func (f *fleet5000) handler(b *testing.B) (*reconcile.InventoryReader, http.Handler) {
	b.Helper()
	u, err := url.Parse("http://localhost")
	if err != nil {
		b.Fatal(err)
	}
	gate, err := signin.New(signin.Options{
		HTTP: &config.HTTP{Address: "127.0.0.1:8080", Auth: config.HTTPAuth{None: true}, URL: u}, Memory: signin.NewMemory(), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	inventory := reconcile.NewInventoryReader(f.store, "0200")
	h, err := newHandler(handlerOptions{
		reader:  &reader{InventoryReader: inventory, tracker: newStatusTracker(api.Status{}, every10), requests: newRequests(), kept: &keptRuns{}, now: time.Now},
		metrics: newMetrics("v1"), log: slog.New(slog.DiscardHandler), gate: gate,
	})
	if err != nil {
		b.Fatal(err)
	}
	return inventory, h
}

// BenchmarkLists is the first page of each list with 5,000 orgs that all drift, once the
// inventory was read; "first" is that reading, and "again" another one after a run in
// which nothing was new.
func BenchmarkLists(b *testing.B) {
	f := newFleet5000(b)
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			if _, err := reconcile.NewInventoryReader(f.store, "0200").Read(); err != nil {
				b.Fatal(err)
			}
		}
	})
	inventory, h := f.handler(b)
	if _, err := inventory.Read(); err != nil {
		b.Fatal(err)
	}
	b.Run("again", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			f.run(b)
			inventory.Changed()
			b.StartTimer()
			if _, err := inventory.Read(); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, path := range []string{
		"orgs", "orgs?sort=-since", "orgs?q=org-49", "orgs?label=tier%3Dt1&state=drifted", "orgs/org-0010.okta.com", "products", "drift", "objects?kind=groups", "kinds",
		"features", "runs", "changes", "history", "status",
	} {
		b.Run(path, func(b *testing.B) {
			for b.Loop() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost"+apiPath+path, nil))
				if w.Code != http.StatusOK {
					b.Fatalf("%d %s", w.Code, w.Body)
				}
			}
		})
	}
}

// BenchmarkReaders is how long it takes to record a run of 5,000 orgs while nobody reads,
// and while 50 readers ask for lists, each every 100 ms.
func BenchmarkReaders(b *testing.B) {
	f := newFleet5000(b)
	_, h := f.handler(b)
	for _, readers := range []int{0, 50} {
		b.Run(fmt.Sprintf("%d readers", readers), func(b *testing.B) {
			stop := make(chan struct{})
			var all sync.WaitGroup
			for i := range readers {
				all.Go(func() {
					path := []string{"orgs?sort=state", "drift", "products", "status", "objects?kind=groups"}[i%5]
					tick := time.NewTicker(100 * time.Millisecond)
					defer tick.Stop()
					for {
						select {
						case <-stop:
							return
						case <-tick.C:
							h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "http://localhost"+apiPath+path, nil))
						}
					}
				})
			}
			for b.Loop() {
				f.run(b)
			}
			close(stop)
			all.Wait()
		})
	}
}

// BenchmarkKeptRuns is what a run costs whose plan with 5,000 changes is another one each
// time, and how much memory is kept of the last 20.
func BenchmarkKeptRuns(b *testing.B) {
	k := &keptRuns{}
	n := 0
	for b.Loop() {
		n++
		plan := &diff.Plan{Digest: fmt.Sprint(n)}
		for i := range benchOrgs {
			plan.Changes = append(plan.Changes, diff.Change{
				Org: fmt.Sprintf("org-%04d.okta.com", i), OrgID: fmt.Sprintf("00o%017d", i*n), Action: diff.UpdateProducts,
				Before: diff.List([]string{"P000052"}), After: diff.List([]string{"P000052", "P000131"}), Enable: []string{"P000131"}, Disable: []string{},
			})
		}
		id := fmt.Sprint("r", n)
		k.begin(id)
		if err := k.planned(id, plan); err != nil {
			b.Fatal(err)
		}
		for i := range 600 {
			k.line(id, api.LogLine{Message: "change applied", Attributes: map[string]string{"org": plan.Changes[i].Org, "orgID": plan.Changes[i].OrgID}})
		}
	}
	size := 0
	for _, r := range k.runs {
		size += len(r.plan.data) + r.log.size
	}
	b.ReportMetric(float64(size)/1e6, "MB-kept")
}
