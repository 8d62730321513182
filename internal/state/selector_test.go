package state_test

import (
	"strings"
	"testing"

	"reconciler/internal/state"
)

func TestSelector(t *testing.T) {
	labels := map[string]map[string]string{
		"a": {"tier": "production", "bu": "retail"},
		"b": {"tier": "staging", "bu": "retail", "acme.example/zone": "eu-1"},
		"c": {"tier": ""},
		"d": nil,
	}
	tests := []struct {
		selectors []string
		want      string
	}{
		{nil, "abcd"},
		{[]string{"tier=production"}, "a"},
		{[]string{"tier==production"}, "a"},
		{[]string{" tier = production "}, "a"},
		{[]string{"tier!=production"}, "bcd"},
		{[]string{"tier="}, "c"},
		{[]string{"tier"}, "abc"},
		{[]string{"!tier"}, "d"},
		{[]string{"! tier"}, "d"},
		{[]string{"tier in (production, staging)"}, "ab"},
		{[]string{"tier in (production,)"}, "ac"},
		{[]string{"tier notin (production,staging)"}, "cd"},
		{[]string{"tier in(staging)"}, "b"},
		{[]string{"bu=retail,tier!=production"}, "b"},
		{[]string{"bu=retail", "tier!=production"}, "b"},
		{[]string{"tier in (production, staging),acme.example/zone"}, "b"},
		{[]string{"acme.example/zone=eu-1"}, "b"},
		{[]string{"tier=Production"}, ""},
		{[]string{"tier=production,tier=staging"}, ""},
	}
	for _, tt := range tests {
		s, err := state.ParseSelector(tt.selectors...)
		if err != nil {
			t.Errorf("%q: %v", tt.selectors, err)
			continue
		}
		got := ""
		for _, org := range []string{"a", "b", "c", "d"} {
			if s.Has(labels[org]) {
				got += org
			}
		}
		if got != tt.want || s.IsZero() != (tt.selectors == nil) {
			t.Errorf("%q selects %q, want %q", tt.selectors, got, tt.want)
		}
	}
}

func TestSelectorRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                     "must be KEY=VALUE",
		",":                    "must be KEY=VALUE",
		"a=b,":                 "must be KEY=VALUE",
		"=b":                   "must be KEY=VALUE",
		"a b":                  `the key must have at most 317 letters`,
		"a>1":                  "must be KEY=VALUE",
		"a in b":               "must be KEY=VALUE",
		"a in (b":              "must be KEY=VALUE",
		"a in (b))":            "must be KEY=VALUE",
		"a IN (b)":             "must be KEY=VALUE",
		"!a=b":                 "must be KEY=VALUE",
		"a===b":                `"a===b": must be a label's value`,
		"a=b c":                `must be a label's value`,
		"a in (b, c d)":        `"a in (b, c d)": must be a label's value`,
		"a!=" + long(64):       "must be a label's value",
		"a=\x1b[2J":            `must be a label's value`,
		"bu=retail,tier!=x!=y": `"tier!=x!=y": must be a label's value`,
	} {
		if _, err := state.ParseSelector(text); err == nil || !strings.Contains(err.Error(), want) || strings.ContainsRune(err.Error(), 0x1b) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func long(n int) string { return strings.Repeat("a", n) }
