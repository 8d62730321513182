package main

import (
	"strings"
	"testing"

	"reconciler/internal/daemon"
	"reconciler/internal/daemon/api"
	"reconciler/internal/diff"
	"reconciler/internal/reconcile"
)

func TestHowARunEnded(t *testing.T) {
	left, none := &diff.Summary{Changes: 1}, &diff.Summary{}
	problem := &reconcile.Problem{Error: "boom", Hint: "run"}
	stale := &api.Stale{Problem: reconcile.Problem{Error: "it is not signed", Hint: "sign it"}, Refused: true, Commit: "abc"}
	tests := []struct {
		name     string
		record   api.RunRecord
		detailed bool
		code     int
		says     string
	}{
		{"in sync", api.RunRecord{Result: daemon.ResultInSync, Summary: none}, true, exitOK, ""},
		{"drift", api.RunRecord{Result: daemon.ResultDrift, Summary: left}, false, exitOK, ""},
		{"drift, in detail", api.RunRecord{Result: daemon.ResultDrift, Summary: left}, true, exitDifferences, ""},
		{"applied", api.RunRecord{Result: daemon.ResultApplied, Summary: left, Changes: api.Changes{Applied: 1}}, true, exitOK, ""},
		{"refused", api.RunRecord{Result: daemon.ResultRefused, Summary: left, Problem: problem}, true, exitRefused, "reconciler: boom\nhint: run\n"},
		{"partial", api.RunRecord{Result: daemon.ResultPartial, Summary: left, Agreeing: 1}, true, exitPartly, ""},
		{"partial, and nothing agrees", api.RunRecord{Result: daemon.ResultPartial, Summary: &diff.Summary{Orgs: 3, Changes: 1}}, true, exitError, "reconciler: none of the orgs (3) is as declared\n"},
		{"error", api.RunRecord{Result: daemon.ResultError, Problem: problem}, true, exitError, "reconciler: boom\nhint: run\n"},
		{"stopped", api.RunRecord{Result: daemon.ResultInterrupted}, true, exitError, "reconciler: the run was stopped before its end\n"},
		{"unverified", api.RunRecord{Result: daemon.ResultDrift, Summary: left, Stale: stale}, true, exitError,
			"reconciler: commit abc is refused, and the last verified one stays in force: it is not signed\nhint: sign it\n"},
	}
	for _, tc := range tests {
		var said strings.Builder
		if code := finish(&said, ended(&tc.record, tc.detailed)); code != tc.code || said.String() != tc.says {
			t.Errorf("%s: exit code %d, %q", tc.name, code, said.String())
		}
	}
}
