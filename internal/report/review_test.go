package report

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"reconciler/internal/diff"
	"reconciler/internal/state"
)

var leftOut = regexp.MustCompile(`(?m)^\*\*(\d+) more in (\d+) orgs? not shown:\*\*`)

// What the comment shows of a review and what it says it doesn't show is all of
// it, and drift is what goes first.
func TestMarkdownOfReviewsIsHonest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		origins := []diff.Origin{diff.ThisChange, diff.Conflict, diff.ExistingDrift}
		pad := strings.Repeat("x", rapid.IntRange(0, 150).Draw(t, "length of a name"))
		p := diff.Plan{Review: &diff.Review{Kind: diff.ThreeWay, Settings: []diff.Setting{}, Settled: []diff.Settled{}}}
		drift := 0
		for i := range rapid.IntRange(1, 800).Draw(t, "changes") {
			c := blocked(status(fmt.Sprintf("org-%04d%s", i, pad), "00o", state.Inactive, state.Active), strconv.Itoa(i)) // all different
			c.Origin = rapid.SampledFrom(origins).Draw(t, "origin")
			if c.Origin == diff.ExistingDrift {
				drift++
			}
			p.Changes = append(p.Changes, c)
		}
		md := markdown(Data{Plan: newPlan(1000, 0, p)}, rapid.IntRange(1, 70_000).Draw(t, "limit"))
		front, back, _ := strings.Cut(md, "<summary><b>Existing drift</b>")
		count := func(s string) (shown, left int) {
			shown = strings.Count(s, "\n! status INACTIVE → ACTIVE")
			for _, m := range leftOut.FindAllStringSubmatch(s, -1) {
				n, _ := strconv.Atoi(m[1])
				left += n
			}
			return shown, left
		}
		shown, left := count(front)
		driftShown, driftLeft := count(back)
		if shown+left != len(p.Changes)-drift || driftShown+driftLeft != drift {
			t.Fatalf("%d shown and %d not, of %d; drift: %d and %d of %d", shown, left, len(p.Changes)-drift, driftShown, driftLeft, drift)
		}
		if left > 0 && driftShown > 0 {
			t.Fatalf("%d differences of drift are shown while %d others are not", driftShown, left)
		}
	})
}

// All orgs of an entry are named somewhere in every format, as long as there is
// room for them.
func TestReviewsNameAllOrgs(t *testing.T) {
	p := declaredFleet(t, 300)
	for _, name := range Formats() {
		got := render(t, Format(name), Data{Plan: p})
		for i := range 300 {
			if org := fmt.Sprintf("acme-%05d.okta.com", i); !strings.Contains(got, org) {
				t.Fatalf("%s does not name %s", name, org)
			}
		}
	}
}

func TestReviewSummary(t *testing.T) {
	review := func(r diff.Review, p diff.Plan) *diff.Plan {
		p.Review = &r
		return newPlan(4, 2, p)
	}
	by := func(o diff.Origin, c diff.Change) diff.Change {
		c.Origin = o
		return c
	}
	gain := update("acme.okta.com", "00o", []string{"P000052"}, nil)
	tests := []struct {
		name   string
		plan   *diff.Plan
		wanted string
	}{
		{"nothing declared", review(diff.Review{Kind: diff.Declared}, diff.Plan{}), "This change: nothing. 2 orgs not affected."},
		{"only drift", review(diff.Review{Kind: diff.ThreeWay, ExistingDrift: 1}, diff.Plan{Changes: []diff.Change{by(diff.ExistingDrift, gain)}}),
			"This change: nothing. Existing drift: 1 difference. 2 orgs in sync."},
		{"drift is not this change's", review(diff.Review{Kind: diff.ThreeWay, ThisChange: 1, ExistingDrift: 1, Settings: make([]diff.Setting, 1)},
			diff.Plan{Changes: []diff.Change{
				by(diff.ThisChange, gain),
				by(diff.ExistingDrift, status("acme.okta.com", "00o", state.Active, state.Inactive)),
			}}),
			"This change: 1 change in 1 org, 1 setting. Existing drift: 1 difference. 2 orgs in sync."},
		{"only settled", review(diff.Review{Kind: diff.ThreeWay, Settled: make([]diff.Settled, 1)}, diff.Plan{}),
			"This change: 1 settled. 2 orgs in sync."},
		{"unfixable", review(diff.Review{Kind: diff.ThreeWay, ThisChange: 1}, diff.Plan{Unfixable: []diff.Unfixable{{Origin: diff.ThisChange}}}),
			"This change: 1 unfixable. 2 orgs in sync."},
		{"account", review(diff.Review{Kind: diff.ThreeWay, ThisChange: 1}, diff.Plan{Changes: []diff.Change{by(diff.ThisChange, rename("a", "b"))}}),
			"This change: 1 change in the account. 2 orgs in sync."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := newView(Data{Plan: tt.plan}).Summary; got != tt.wanted {
				t.Errorf("got  %s\nwanted %s", got, tt.wanted)
			}
		})
	}
}

func TestWrap(t *testing.T) {
	for _, tt := range []struct {
		names  []string
		wanted string
	}{
		{nil, ""},
		{[]string{"a"}, "a"},
		{[]string{"aaaa", "bbbb", "c"}, "aaaa,|bbbb, c"},
		{[]string{"a", "bbbbbbbbbbbbbbbb", "c"}, "a,|bbbbbbbbbbbbbbbb,|c"},
	} {
		if got := strings.Join(wrap(tt.names, 8), "|"); got != tt.wanted {
			t.Errorf("wrap(%q) = %q, wanted %q", tt.names, got, tt.wanted)
		}
	}
}
