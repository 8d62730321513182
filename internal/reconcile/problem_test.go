package reconcile

import (
	"errors"
	"fmt"
	"strings"
	"testing"

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
			if d := cmp.Diff(tc.want, ProblemOf(tc.err)); d != "" {
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
	p := ProblemOf(all)
	if len(p.Manifests) != maxListed || !strings.HasSuffix(p.Error, "(and 4999 more)") {
		t.Errorf("%d listed, error %q", len(p.Manifests), p.Error)
	}
}
