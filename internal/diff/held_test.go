package diff_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/diff"
	"reconciler/internal/state"
)

const (
	frozen = "freeze window until 2026-11-23T06:00:00Z"
	cool   = "first wanted at 2026-11-21T09:00:00Z, not before 2026-11-22T09:00:00Z"
)

// only returns an answer for one domain, and none for others.
func only(domain, why string) func(string) string {
	return func(d string) string {
		if d == domain {
			return why
		}
		return ""
	}
}

// Of several reasons, that counts which waiting doesn't remove.
func TestBlockedForTheStrongestReason(t *testing.T) {
	for _, tt := range []struct {
		name   string
		edit   func(*state.DesiredOrg)
		guards diff.Guards
		held   func(string) string
		gain   string // what blocks the product that the org gains
		loss   string // what blocks its deactivation, and its deletion
	}{
		{"free", func(*state.DesiredOrg) {}, wide, nil, "", ""},
		{"cooling off", func(*state.DesiredOrg) {}, wide, only("other", frozen), "", cool},
		{"held", func(*state.DesiredOrg) {}, wide, only(domain(0), frozen), frozen, frozen},
		{"a parent", func(*state.DesiredOrg) {}, diff.Guards{MaxDestructiveOrgs: 9, MaxDestructivePercent: 100, MaxNewOrgs: 100, ParentDomains: []string{domain(0)}},
			only(domain(0), frozen), frozen, "a parent org is never deactivated"},
		{"protected", func(o *state.DesiredOrg) { o.Protected = true }, wide, only(domain(0), frozen), frozen, "protected"},
		{"reported", func(o *state.DesiredOrg) { o.Protected, o.Mode = true, state.Report }, wide, only(domain(0), frozen), "mode: report", "mode: report"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			desired, actual := fleet(2)
			o := &desired.Orgs[0]
			o.Products = []string{"P000052", "P000131"}
			o.Status, o.RequestDeletion = state.Inactive, true
			tt.edit(o)
			opts := diff.Options{Account: account, Guards: tt.guards, Held: tt.held}
			if tt.loss != "" {
				opts.CoolingOff = func(c *diff.Change) string {
					if c.OrgID != orgID(0) || c.Org != domain(0) || !c.Deactivates() {
						t.Errorf("asked for %+v", c)
					}
					return cool
				}
			}
			plan, err := diff.Compute(desired, actual, opts)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range plan.Changes {
				got = append(got, string(c.Action)+": "+c.Blocked)
			}
			wanted := []string{"update-products: " + tt.gain, "set-status: " + tt.loss, "request-deletion: " + tt.loss}
			if d := cmp.Diff(wanted, got); d != "" {
				t.Errorf("(-wanted +got):\n%s", d)
			}
		})
	}
}

func TestAccountIsHeldToo(t *testing.T) {
	desired, actual := fleet(1)
	desired.Account.Name = "Acme Holdings"
	plan, err := diff.Compute(desired, actual, diff.Options{Account: account, Held: only("", frozen)})
	if err != nil || len(plan.Changes) != 1 || plan.Changes[0].Blocked != frozen || plan.Summary.Blocked != 1 {
		t.Errorf("%+v, %v", plan, err)
	}
}

// An activation never waits.
func TestActivationDoesNotCoolOff(t *testing.T) {
	desired, actual := fleet(1)
	actual.Orgs[0].Status = state.Inactive
	plan, err := diff.Compute(desired, actual, diff.Options{
		Account: account, CoolingOff: func(*diff.Change) string { return cool },
	})
	if err != nil || len(plan.Changes) != 1 || plan.Changes[0].Blocked != "" {
		t.Errorf("%+v, %v", plan, err)
	}
}

// A deletion waits for the deactivation before it, and for itself.
func TestDeletionCoolsOffLongest(t *testing.T) {
	for _, tt := range []struct {
		name            string
		status, removal string // what each waits for by itself
		blocked         []string
	}{
		{"both", cool, "later", []string{cool, "later"}},
		{"the deactivation", cool, "", []string{cool, cool}},
		{"the deletion", "", cool, []string{"", cool}},
		{"neither", "", "", []string{"", ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			desired, actual := fleet(2)
			desired.Orgs[0].Status, desired.Orgs[0].RequestDeletion = state.Inactive, true
			plan, err := diff.Compute(desired, actual, diff.Options{Account: account, Guards: wide, CoolingOff: func(c *diff.Change) string {
				return map[diff.Action]string{diff.SetStatus: tt.status, diff.RequestDeletion: tt.removal}[c.Action]
			}})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range plan.Changes {
				got = append(got, c.Blocked)
			}
			if d := cmp.Diff(tt.blocked, got); d != "" {
				t.Errorf("(-wanted +got):\n%s", d)
			}
		})
	}
}

// Barred is what only another declaration lets through.
func TestBarred(t *testing.T) {
	for _, tt := range []struct {
		name   string
		edit   func(*state.DesiredOrg, *diff.Options)
		barred bool
	}{
		{"free", func(*state.DesiredOrg, *diff.Options) {}, false},
		{"protected", func(o *state.DesiredOrg, _ *diff.Options) { o.Protected = true }, true},
		{"only reported", func(o *state.DesiredOrg, _ *diff.Options) { o.Mode = state.Report }, true},
		{"a parent", func(o *state.DesiredOrg, opts *diff.Options) { opts.Guards.ParentDomains = []string{o.Domain} }, true},
		{"the Aerial org", func(o *state.DesiredOrg, opts *diff.Options) { opts.Guards.AerialDomain = o.Domain }, true},
		{"held", func(_ *state.DesiredOrg, opts *diff.Options) {
			opts.Held = func(string) string { return "suspended by \"ada\": a parent org is never deactivated" }
		}, false},
		{"cooling off", func(_ *state.DesiredOrg, opts *diff.Options) {
			opts.CoolingOff = func(*diff.Change) string { return cool }
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			desired, actual := fleet(2)
			desired.Orgs[0].Status = state.Inactive
			opts := diff.Options{Account: account, Guards: wide}
			tt.edit(&desired.Orgs[0], &opts)
			plan, err := diff.Compute(desired, actual, opts)
			if err != nil || len(plan.Changes) != 1 {
				t.Fatalf("%+v, %v", plan, err)
			}
			if c := &plan.Changes[0]; c.Barred() != tt.barred || !c.Deactivates() {
				t.Errorf("%+v", c)
			}
		})
	}
}

func TestGuardsDoNotCountWhatIsHeld(t *testing.T) {
	desired, actual := fleet(4)
	for i := range desired.Orgs {
		desired.Orgs[i].Status = state.Inactive
	}
	plan, err := diff.Compute(desired, actual, diff.Options{
		Account: account, Guards: diff.Guards{MaxDestructiveOrgs: 1, MaxDestructivePercent: 100, MaxNewOrgs: 100},
		Held:       func(d string) string { return map[string]string{domain(0): frozen, domain(1): frozen}[d] },
		CoolingOff: func(c *diff.Change) string { return map[string]string{domain(2): cool}[c.Org] },
	})
	if err != nil || len(plan.Refusals) != 0 || plan.Summary.Blocked != 3 {
		t.Errorf("%+v, %v", plan, err)
	}
}

func TestSignerIsPartOfThePlan(t *testing.T) {
	desired, actual := fleet(1)
	digests := map[string]bool{}
	for _, signer := range []string{"", "ada@acme.example", "eve@acme.example"} {
		plan, err := diff.Compute(desired, actual, diff.Options{Account: account, Signer: signer})
		if err != nil {
			t.Fatal(err)
		}
		if has := strings.Contains(string(encode(t, plan)), `"signer"`); plan.Signer != signer || has != (signer != "") {
			t.Errorf("%q: %s", signer, encode(t, plan))
		}
		digests[plan.Digest] = true
	}
	if len(digests) != 3 {
		t.Error("the digest does not cover the signer")
	}
}

// A plan that was saved while all was free is refused as a whole when some part
// of it may not be written now.
func TestRevalidateRefusesWhatIsUntimely(t *testing.T) {
	plan, actual := savedPlan(t) // loses and gains a product, deactivates, links
	for _, tt := range []struct {
		name     string
		held     func(string) string
		cooling  func(string) string
		refusals []diff.Refusal
	}{
		{"free", nil, nil, []diff.Refusal{}},
		{"others are held", only("other.okta.com", frozen), only("other.okta.com", cool), []diff.Refusal{}},
		{"held", only(domain(4), frozen), nil, []diff.Refusal{{Guard: "held", Message: "nothing may be written to org-04.okta.com now (" + frozen +
			"): apply this plan when that is over, or make a new one, which leaves them out until then"}}},
		{"all held", func(string) string { return frozen }, func(string) string { return cool }, []diff.Refusal{{Guard: "held", Message: "nothing may be written to org-00.okta.com, org-01.okta.com and org-04.okta.com now (" + frozen +
			"): apply this plan when that is over, or make a new one, which leaves them out until then"}}},
		{"cooling off", nil, func(string) string { return cool }, []diff.Refusal{{Guard: "deactivationCooloff", Message: "it is too early to deactivate or delete org-01.okta.com (" + cool +
			"): apply this plan when that is over, or make a new one, which leaves them out until then"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := diff.Options{Account: account, Guards: wide, Held: tt.held}
			if tt.cooling != nil {
				opts.CoolingOff = func(c *diff.Change) string { return tt.cooling(c.Org) }
			}
			fresh, err := diff.Revalidate(plan, actual, opts)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.refusals, fresh.Refusals); d != "" {
				t.Errorf("(-wanted +got):\n%s", d)
			}
		})
	}
	t.Run("the account", func(t *testing.T) {
		desired, actual := fleet(1)
		desired.Account.Name = "Acme Holdings"
		fresh, err := diff.Revalidate(compute(t, desired, actual, wide), actual, diff.Options{Account: account, Held: only("", frozen)})
		if err != nil || guardNames(fresh) != "held" || !strings.Contains(fresh.Refusals[0].Message, "to the account now") {
			t.Errorf("%+v, %v", fresh, err)
		}
	})
	t.Run("what was blocked already", func(t *testing.T) {
		desired, actual := fleet(2)
		desired.Orgs[0].Mode, desired.Orgs[0].Status = state.Report, state.Inactive
		fresh, err := diff.Revalidate(compute(t, desired, actual, wide), actual, diff.Options{Account: account, Held: only(domain(0), frozen)})
		if err != nil || len(fresh.Refusals) != 0 {
			t.Errorf("%+v, %v", fresh, err)
		}
	})
}

func TestDeclaredChangesAreNoPlanToApply(t *testing.T) {
	desired, actual := fleet(2)
	base := *desired
	base.Orgs = base.Orgs[:1]
	plan, err := diff.CompareDeclared(&base, desired, diff.Options{Account: account, Guards: wide})
	if err != nil {
		t.Fatal(err)
	}
	forged := *plan
	forged.Review = &diff.Review{Kind: "applicable"}
	if err := forged.Seal(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		plan *diff.Plan
		err  string
	}{
		{plan, "a declared change between two revisions is no plan to apply: "},
		{&forged, `there is no review of the kind "applicable"`},
	} {
		_, readErr := diff.ReadPlan(strings.NewReader(string(encode(t, tt.plan))))
		_, checkErr := diff.Revalidate(tt.plan, actual, diff.Options{Account: account, Guards: wide})
		for _, err := range []error{readErr, checkErr} {
			var no *diff.StaleError
			if !errors.As(err, &no) || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %v, wanted %q", err, tt.err)
			}
		}
	}
}

func TestReviewFilters(t *testing.T) {
	desired, actual := fleet(4)
	desired.Account.Name = "Acme"
	actual.Account.Name = "Acme"
	base := *desired
	base.Account.Name = "Acme Holdings"
	base.Orgs = append([]state.DesiredOrg{{Domain: "gone.okta.com", ProductPolicy: state.Exact, Mode: state.Apply}}, base.Orgs[1:]...)
	for _, tt := range []struct {
		name          string
		only, exclude []string
		orgs          int
		err           string
	}{
		{"all", nil, nil, 5, ""},
		{"only what is gone", []string{"GONE.okta.com"}, nil, 1, ""},
		{"only what is new", []string{domain(0)}, nil, 1, ""},
		{"without what is gone", nil, []string{"gone.okta.com"}, 4, ""},
		{"mistyped", []string{"org-1.okta.com"}, nil, 0, `org "org-1.okta.com" is not declared in the manifests: did you mean "org-01.okta.com"?`},
		{"mistyped exclusion", nil, []string{"gone.okta.co"}, 0, `excluded org "gone.okta.co" is n`},
		{"nothing left", []string{domain(1)}, []string{domain(1)}, 0, "no declared org is left"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := diff.Options{Account: account, Filter: diff.Filter{Only: tt.only, Exclude: tt.exclude}, Guards: wide}
			declared, err := diff.CompareDeclared(&base, desired, opts)
			_, liveErr := diff.CompareThreeWay(&base, desired, actual, opts)
			if tt.err != "" {
				for _, err := range []error{err, liveErr} {
					if err == nil || !strings.HasPrefix(err.Error(), tt.err) {
						t.Errorf("got %v", err)
					}
				}
				return
			}
			if err != nil || liveErr != nil {
				t.Fatal(err, liveErr)
			}
			account := false
			for _, c := range declared.Changes {
				account = account || c.Org == ""
			}
			if declared.Summary.Orgs != tt.orgs || account != (tt.only == nil) {
				t.Errorf("looked at %d orgs, the account: %v", declared.Summary.Orgs, account)
			}
		})
	}
}
