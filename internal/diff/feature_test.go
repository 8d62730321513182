package diff_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/diff"
	"reconciler/internal/okta/objects"
	"reconciler/internal/state"
)

// featureOrg returns an org that wants Report, which needs Logging, which needs Base; all
// are off.
func featureOrg(mode state.Mode, declared ...string) (*state.Desired, *state.Actual, *objects.Live) {
	desired, actual := fleet(1)
	var all []*objects.Object
	for _, name := range declared {
		all = append(all, declare("features", name, body{"status": "ENABLED"}))
	}
	desired.Orgs[0].Mode = mode
	withConfig(&desired.Orgs[0], all...)
	off := func(name string) *objects.LiveObject { return alive("features", name, body{"status": "DISABLED"}) }
	report, logging, base := off("A Report"), off("Logging"), off("Z Base")
	live := live1(report, logging, base)
	live.Needs = map[string][]*objects.LiveObject{report.ID: {logging}, logging.ID: {base}}
	return desired, actual, live
}

// blocked returns the changes in their order, each with why it is blocked.
func blocked(p *diff.Plan) []string {
	all := []string{}
	for i := range p.Changes {
		all = append(all, strings.TrimSuffix(p.Changes[i].Object+": "+p.Changes[i].Blocked, ": "))
	}
	return all
}

func TestFeaturesBlocked(t *testing.T) {
	const missing = `not possible: it needs "Z Base", which must be ENABLED first: declare that as well (nothing is switched that isn't declared)`
	for _, tt := range []struct {
		name      string
		mode      state.Mode
		declared  []string
		contested string
		want      []string
		failed    bool
	}{
		{"all declared", "", []string{"A Report", "Logging", "Z Base"}, "", []string{"Z Base", "Logging", "A Report"}, false},
		{"one missing", "", []string{"A Report", "Logging"}, "", []string{"Logging: " + missing, "A Report: " + missing}, true},
		{"only reported", state.Report, []string{"A Report", "Logging"}, "", []string{"Logging: mode: report", "A Report: mode: report"}, false},
		{"set back", "", []string{"A Report", "Logging", "Z Base"}, "Logging", []string{"Z Base", "Logging: set back", `A Report: waits for the feature "Logging", which is blocked`}, false},
		{
			"set back at the bottom", "", []string{"A Report", "Logging", "Z Base"}, "Z Base",
			[]string{"Z Base: set back", `Logging: waits for the feature "Z Base", which is blocked`, `A Report: waits for the feature "Logging", which is blocked`}, false,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			desired, actual, live := featureOrg(tt.mode, tt.declared...)
			plan := planOf(t, desired, actual, diff.Options{
				Account: account, Guards: wide,
				Configuration: read(t, nil, desired, map[string]*objects.Live{domain(0): live}),
				Contested: func(c *diff.Change) string {
					if c.Object == tt.contested {
						return "set back"
					}
					return ""
				},
			})
			if d := cmp.Diff(tt.want, blocked(plan)); d != "" {
				t.Error(d)
			}
			if failed := len(plan.Impossible()) > 0; failed != tt.failed {
				t.Errorf("counts as failed: %v", failed)
			}
			if _, err := diff.ReadPlan(bytes.NewReader(encode(t, plan))); err != nil {
				t.Error(err)
			}
		})
	}
}

// Kinds that no parent sets are never contested.
func TestNotPushed(t *testing.T) {
	desired, actual := fleet(1)
	withConfig(&desired.Orgs[0], declare("threatInsight", "threatInsight", body{"action": "block"}))
	live := live1(alive("threatInsight", "threatInsight", body{"action": "none"}))
	plan := planOf(t, desired, actual, diff.Options{
		Account: account, Guards: wide, Configuration: read(t, nil, desired, map[string]*objects.Live{domain(0): live}),
		Contested: func(*diff.Change) string { return "set back" },
	})
	if d := cmp.Diff([]string{"threatInsight"}, blocked(plan)); d != "" {
		t.Error(d)
	}
}

// A saved plan isn't applied once what it needs has changed, or what it sets was set
// back meanwhile.
func TestSavedFeatures(t *testing.T) {
	desired, actual, live := featureOrg("", "A Report", "Logging", "Z Base")
	plan := planOf(t, desired, actual, diff.Options{
		Account: account, Guards: wide, Configuration: read(t, nil, desired, map[string]*objects.Live{domain(0): live}),
	})
	other := alive("features", "Other", body{"status": "DISABLED"})
	for _, tt := range []struct {
		name      string
		edit      func(*objects.Live)
		contested func(*diff.Change) string
		want      string
	}{
		{"as it was", func(*objects.Live) {}, nil, ""},
		{
			"needs more", func(l *objects.Live) {
				l.Needs = map[string][]*objects.LiveObject{idOf("features", "Z Base"): {other}}
			}, nil,
			`org-00.okta.com: update-object features/Z Base: it needs "Other", which must be ENABLED first: declare that as well (nothing is switched that isn't declared)`,
		},
		{
			"set back", func(*objects.Live) {}, func(c *diff.Change) string { return strings.Repeat("set back", len(c.Object)/len("A Report")) },
			"org-00.okta.com: update-object features/A Report: set back",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := *live
			tt.edit(&now)
			opts := diff.Options{Account: account, Guards: wide, Contested: tt.contested, Configuration: func(string) *diff.Configuration {
				return diff.RecheckConfiguration(plan.Changes, &now, nil)
			}}
			fresh, err := diff.Revalidate(plan, actual, opts)
			var no *diff.StaleError
			switch {
			case errors.As(err, &no):
				if d := cmp.Diff([]string{tt.want}, no.Reasons); d != "" {
					t.Error(d)
				}
			case err != nil || tt.want != "":
				t.Error(err)
			default:
				if d := cmp.Diff([]string{"Z Base", "Logging", "A Report"}, blocked(fresh)); d != "" {
					t.Error(d)
				}
			}
		})
	}
}

// A change that a saved plan leaves out because it is set back keeps its reason as long
// as that holds.
func TestSavedContested(t *testing.T) {
	desired, actual, live := featureOrg("", "Z Base")
	opts := diff.Options{
		Account: account, Guards: wide, Configuration: read(t, nil, desired, map[string]*objects.Live{domain(0): live}),
		Contested: func(*diff.Change) string { return "set back" },
	}
	plan := planOf(t, desired, actual, opts)
	for why, contested := range map[string]func(*diff.Change) string{
		"Z Base: set back": opts.Contested,
		"Z Base: left out when this plan was made, for a reason that is over: make a new plan": nil,
	} {
		opts.Contested = contested
		fresh, err := diff.Revalidate(plan, actual, opts)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]string{why}, blocked(fresh)); d != "" {
			t.Error(d)
		}
	}
}
