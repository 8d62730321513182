package daemon

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
)

func TestProblemOf(t *testing.T) {
	mistake := func(line int, msg string) *strictyaml.Error {
		return &strictyaml.Error{Pos: strictyaml.Pos{File: "orgs.yaml", Line: line, Column: 5}, Msg: msg}
	}
	tests := []struct {
		name string
		err  error
		want *Problem
	}{
		{"none", nil, nil},
		{"plain", errors.New("boom"), &Problem{Error: "boom"}},
		{"of many lines", errors.New("boom\r\nbang\n"), &Problem{Error: "boom; bang"}},
		{
			"with a hint, however deep",
			fmt.Errorf("git: %w", text.WithHint(errors.New("boom"), "do this")),
			&Problem{Error: "git: boom", Hint: "do this"},
		},
		{
			"one mistake in a manifest", mistake(3, "unknown key"),
			&Problem{Error: "orgs.yaml:3:5: unknown key", Manifests: []string{"orgs.yaml:3:5: unknown key"}},
		},
		{
			"many mistakes", fmt.Errorf("loading: %w", strictyaml.Errors{mistake(3, "a"), mistake(4, "b"), mistake(5, "c")}),
			&Problem{
				Error:     "orgs.yaml:3:5: a (and 2 more)",
				Manifests: []string{"orgs.yaml:3:5: a", "orgs.yaml:4:5: b", "orgs.yaml:5:5: c"},
			},
		},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			if d := cmp.Diff(tc.want, problemOf(tc.err)); d != "" {
				t.Errorf("problem (-want +got):\n%s", d)
			}
		})
	}
}

func TestProblemOfCountsWhatItLeavesOut(t *testing.T) {
	var all strictyaml.Errors
	for i := range 5000 {
		all.Add(strictyaml.Pos{File: "f", Line: i + 1}, "bad")
	}
	p := problemOf(all)
	if len(p.Manifests) != maxListed || !strings.HasSuffix(p.Error, "(and 4999 more)") {
		t.Errorf("%d listed, error %q", len(p.Manifests), p.Error)
	}
}

func TestNewRunID(t *testing.T) {
	at := time.Date(2026, 11, 21, 10, 15, 0, 0, time.FixedZone("", 3600))
	form := regexp.MustCompile(`^20261121T091500Z-[a-z2-7]{6}$`)
	seen := map[string]bool{}
	for range 100 {
		id := newRunID(at)
		if !form.MatchString(id) || seen[id] {
			t.Fatalf("id %q is malformed or was given before", id)
		}
		seen[id] = true
	}
}

// A result that is not counted would have no series from the start.
func TestResults(t *testing.T) {
	good := map[Result]bool{
		ResultInSync: true, ResultDrift: true, ResultApplied: true, ResultPartial: true, ResultRefused: true,
		ResultError: false, ResultInterrupted: false,
	}
	for _, r := range results() {
		want, known := good[r]
		if !known || r.Success() != want {
			t.Errorf("%s: success %v, want %v", r, r.Success(), want)
		}
		delete(good, r)
	}
	if len(good) > 0 {
		t.Errorf("results() lacks %v", good)
	}
}
