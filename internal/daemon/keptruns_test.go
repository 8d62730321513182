package daemon

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"reconciler/internal/daemon/api"
	"reconciler/internal/diff"
)

// Of each of the last runs a bounded part of plan and log is kept, whatever level is
// logged.
func TestKeptRuns(t *testing.T) {
	k := &keptRuns{}
	var out strings.Builder
	h := newRunHandler(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelError}), k)
	log := slog.New(h).With("part", "one").WithGroup("g")
	log.Info("before any run")
	for i := range recentRuns + 1 {
		id := fmt.Sprint("r", i)
		k.begin(id)
		h.begin(id, "")
		text := "a\nb\u202e"
		if i == recentRuns-1 {
			text += strings.Repeat("x", 3000)
		}
		for line := range 600 {
			log.Info("line", "n", line, "text", text)
		}
		log.Debug("not kept")
		log.Error("last", "at", noon)
		h.end()
		plan := &diff.Plan{Digest: fmt.Sprint(i % 2)}
		before := diff.List([]string{strings.Repeat("y", 10_000*(i%2))})
		for c := range maxKeptChanges + 5 {
			plan.Changes = append(plan.Changes, diff.Change{Org: fmt.Sprint("org", c), Action: diff.UpdateProducts, Before: before})
		}
		if err := k.planned(id, plan); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(out.String(), "\n"); n != recentRuns+1 {
		t.Errorf("%d lines logged, want those of level error alone", n)
	}
	gone := &api.RunInfo{ID: "r0"}
	if err := k.add(gone); err != nil || gone.Plan != nil || gone.Log != nil {
		t.Errorf("the first run is still kept: %v", err)
	}
	small, large := &api.RunInfo{ID: "r20"}, &api.RunInfo{ID: "r19"}
	for _, info := range []*api.RunInfo{small, large} {
		if err := k.add(info); err != nil {
			t.Fatal(err)
		}
		last := info.Log[len(info.Log)-1]
		if last.Message != "last" || last.Level != "error" || last.Attributes["g.at"] != noon.Format(time.RFC3339) || last.Attributes["part"] != "one" ||
			info.Log[0].Attributes["g.n"] != "0" || len(info.Log)+info.LogOmitted != 601 {
			t.Errorf("%d lines, %d omitted, %+v", len(info.Log), info.LogOmitted, last)
		}
		if len(info.Plan.Changes)+info.PlanOmitted != maxKeptChanges+5 {
			t.Errorf("%d changes, %d omitted", len(info.Plan.Changes), info.PlanOmitted)
		}
	}
	if len(small.Log) != firstLines+lastLines || small.PlanOmitted != 5 || small.Log[1].Attributes["g.text"] != "a b" {
		t.Errorf("%d lines, %d changes omitted, %q", len(small.Log), small.PlanOmitted, small.Log[1].Attributes["g.text"])
	}
	if n := len(large.Log); n >= firstLines || n < 50 || len(large.Plan.Changes) > maxKeptPlan/10_000 {
		t.Errorf("%d long lines, %d large changes", n, len(large.Plan.Changes))
	}
	if k.runs[0].plan != k.runs[2].plan || k.runs[0].plan == k.runs[1].plan {
		t.Error("the same plan is kept twice")
	}
}
