package main

import (
	"strings"
	"testing"

	"reconciler/internal/daemon"
	"reconciler/internal/diff"
	"reconciler/internal/reconcile"
)

func TestHowARunEnded(t *testing.T) {
	left, none := &diff.Summary{Changes: 1}, &diff.Summary{}
	problem := &reconcile.Problem{Error: "boom", Hint: "run"}
	stale := &daemon.Stale{Problem: reconcile.Problem{Error: "it is not signed", Hint: "sign it"}, Refused: true, Commit: "abc"}
	tests := []struct {
		name     string
		record   daemon.RunRecord
		detailed bool
		code     int
		says     string
	}{
		{"in sync", daemon.RunRecord{Result: daemon.ResultInSync, Summary: none}, true, exitOK, ""},
		{"drift", daemon.RunRecord{Result: daemon.ResultDrift, Summary: left}, false, exitOK, ""},
		{"drift, in detail", daemon.RunRecord{Result: daemon.ResultDrift, Summary: left}, true, exitDifferences, ""},
		{"applied", daemon.RunRecord{Result: daemon.ResultApplied, Summary: left, Changes: daemon.Changes{Applied: 1}}, true, exitOK, ""},
		{"refused", daemon.RunRecord{Result: daemon.ResultRefused, Summary: left, Problem: problem}, true, exitRefused, "reconciler: boom\nhint: run\n"},
		{"partial", daemon.RunRecord{Result: daemon.ResultPartial, Summary: left, Agreeing: 1}, true, exitPartly, ""},
		{"partial, and nothing agrees", daemon.RunRecord{Result: daemon.ResultPartial, Summary: &diff.Summary{Orgs: 3, Changes: 1}}, true, exitError, "reconciler: none of the orgs (3) is as declared\n"},
		{"error", daemon.RunRecord{Result: daemon.ResultError, Problem: problem}, true, exitError, "reconciler: boom\nhint: run\n"},
		{"stopped", daemon.RunRecord{Result: daemon.ResultInterrupted}, true, exitError, "reconciler: the run was stopped before its end\n"},
		{"unverified", daemon.RunRecord{Result: daemon.ResultDrift, Summary: left, Stale: stale}, true, exitError,
			"reconciler: commit abc is refused, and the last verified one stays in force: it is not signed\nhint: sign it\n"},
	}
	for _, tc := range tests {
		var said strings.Builder
		if code := finish(&said, ended(&tc.record, tc.detailed)); code != tc.code || said.String() != tc.says {
			t.Errorf("%s: exit code %d, %q", tc.name, code, said.String())
		}
	}
}
