package diff_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"reconciler/internal/diff"
	"reconciler/internal/state"
)

func TestSavedPlanAppliesWhereItWasMade(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		actual := actualState().Draw(t, "actual")
		plan := compute(t, desiredState(actual).Draw(t, "desired"), actual, wide)
		saved, err := diff.ReadPlan(bytes.NewReader(encode(t, plan)))
		if err != nil {
			t.Fatal(err)
		}
		fresh, err := diff.Revalidate(saved, actual, diff.Options{Account: account, Guards: wide})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(encode(t, fresh), encode(t, plan)) {
			t.Fatal("the plan became another one")
		}
	})
}

// A plan that has been applied can't be applied again, unless it did nothing.
func TestSavedPlanAppliesOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		actual := actualState().Draw(t, "actual")
		plan := compute(t, desiredState(actual).Draw(t, "desired"), actual, wide)
		next := carryOut(t, actual, plan)
		_, err := diff.Revalidate(plan, next, diff.Options{Account: account, Guards: wide})
		did := slices.ContainsFunc(plan.Changes, func(c diff.Change) bool { return c.Blocked == "" })
		if (err != nil) != did {
			t.Fatalf("changes %+v: %v", plan.Changes, err)
		}
	})
}

// savedPlan is one with a change of each common kind.
func savedPlan(t *testing.T) (*diff.Plan, *state.Actual) {
	t.Helper()
	desired, actual := fleet(5)
	desired.Orgs[0].Products = []string{"P000131"}
	desired.Orgs[1].Status = state.Inactive
	actual.Orgs = actual.Orgs[:4]
	return compute(t, desired, actual, wide), actual
}

// A plan that was saved does what the manifests still want done, in whole or in
// part, and nothing else.
func TestSavedPlanWithin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		actual := actualState().Draw(t, "actual")
		desired := desiredState(actual).Draw(t, "desired")
		whole := compute(t, desired, actual, wide)
		saved, err := diff.ReadPlan(bytes.NewReader(encode(t, whole)))
		if err != nil {
			t.Fatal(err)
		}
		if err := saved.Within(whole); err != nil {
			t.Fatal(err)
		}
		saved.Changes = saved.Changes[:rapid.IntRange(0, len(saved.Changes)).Draw(t, "some")]
		if err := saved.Within(whole); err != nil {
			t.Fatal(err)
		}
		for i := range whole.Changes {
			missing := *whole
			missing.Changes = slices.Delete(slices.Clone(whole.Changes), i, i+1)
			if err := whole.Within(&missing); (err != nil) != (whole.Changes[i].Blocked == "") {
				t.Fatalf("%+v: %v", whole.Changes[i], err)
			}
		}
	})
}

func TestSavedPlanBeyond(t *testing.T) {
	plan, _ := savedPlan(t)
	for name, edit := range map[string]func(whole *diff.Plan, i int){
		"another value": func(p *diff.Plan, i int) { p.Changes[i].After = diff.Text("SUSPENDED") },
		"another org":   func(p *diff.Plan, i int) { p.Changes[i].OrgID = "00oElse" },
		"barred":        func(p *diff.Plan, i int) { p.Changes[i].Blocked = "protected" },
	} {
		t.Run(name, func(t *testing.T) {
			whole := *plan
			whole.Changes = slices.Clone(plan.Changes)
			i := slices.IndexFunc(whole.Changes, func(c diff.Change) bool { return c.Action == diff.SetStatus })
			edit(&whole, i)
			var no *diff.StaleError
			err := plan.Within(&whole)
			if !errors.As(err, &no) || len(no.Reasons) != 1 || no.Reasons[0] != "org-01.okta.com: set-status: the manifests don't ask for it" {
				t.Errorf("%v", err)
			}
		})
	}
	whole := *plan
	whole.Changes = slices.Clone(plan.Changes)
	for i := range whole.Changes { // for the time being, and said of a review
		whole.Changes[i].Blocked, whole.Changes[i].Origin, whole.Changes[i].Base = frozen, diff.Conflict, diff.Text("x")
	}
	if err := plan.Within(&whole); err != nil {
		t.Error(err)
	}
}

func TestReadPlanWithByteOrderMark(t *testing.T) {
	plan, _ := savedPlan(t)
	got, err := diff.ReadPlan(strings.NewReader("\ufeff" + string(encode(t, plan))))
	if err != nil || got.Digest != plan.Digest {
		t.Errorf("got %v", err)
	}
}

func TestReadPlanRefuses(t *testing.T) {
	plan, _ := savedPlan(t)
	good := string(encode(t, plan))
	redigest := func(edit func(*diff.Plan)) string {
		p := *plan
		p.Changes = slices.Clone(plan.Changes)
		edit(&p)
		if err := p.Seal(); err != nil {
			t.Fatal(err)
		}
		return string(encode(t, &p))
	}
	for _, tt := range []struct {
		name, text, err string
		stale           bool
	}{
		{"empty", "", "not a plan: EOF", false},
		{"manifest", "version: 1\norgs: []\n", "not a plan: invalid character", false},
		{"other JSON", `{"version": 1, "plans": []}`, `not a plan: json: unknown field "plans"`, false},
		{"UTF-16", "\xff\xfe{\x00", "not a plan: it is UTF-16; save it as UTF-8", false},
		{"two", good + good, "more after its end", false},
		{"later version", strings.Replace(good, `"version": 1`, `"version": 2`, 1), "version 2", false},
		{"edited org", strings.Replace(good, "org-01.okta.com", "org-02.okta.com", 1), "was edited", true},
		{"edited block", strings.Replace(good, `"blocked": ""`, `"blocked": "x"`, 1), "was edited", true},
		{"no digest", strings.Replace(good, plan.Digest, "", 1), "was edited", true},
		{"hidden loss", redigest(func(p *diff.Plan) { p.Changes[0].Disable = []string{} }), "contradicts itself", true},
		{"not called destructive", redigest(func(p *diff.Plan) { p.Changes[1].Destructive = false }), "destructive is false", true},
		{"unknown action", redigest(func(p *diff.Plan) { p.Changes[1].Action = "drop-org" }), "no such action", true},
		{"unknown status", redigest(func(p *diff.Plan) { p.Changes[1].After = diff.Text("DELETED") }), `status "DELETED"`, true},
		{"no org", redigest(func(p *diff.Plan) { p.Changes[0].Org = "" }), "names no org", true},
		{"out of order", redigest(func(p *diff.Plan) { slices.Reverse(p.Changes) }), "not in order", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := diff.ReadPlan(strings.NewReader(tt.text))
			var no *diff.StaleError
			if err == nil || !strings.Contains(err.Error(), tt.err) || errors.As(err, &no) != tt.stale {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestRevalidateRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		tamper func(*state.Actual)
		err    string
	}{
		{"another account", func(a *state.Actual) { a.Account.ID = "0200other" }, "answered for account"},
		{"products moved", func(a *state.Actual) { a.Orgs[0].Products = []string{} }, "org-00.okta.com: update-products: live is [], but the plan was made for [P000052]"},
		{"products unreadable", func(a *state.Actual) { a.Orgs[0].Products, a.Orgs[0].Unknown = nil, "403" }, "could not be read: 403"},
		{"status moved", func(a *state.Actual) { a.Orgs[1].Status = state.Inactive }, `org-01.okta.com: set-status: live is "INACTIVE"`},
		{"org gone", func(a *state.Actual) { a.Orgs = a.Orgs[1:] }, "manages no org with this id and domain"},
		{"org renamed", func(a *state.Actual) { a.Orgs[0].Domain = "other.okta.com" }, "manages no org with this id and domain"},
		{"linked meanwhile", func(a *state.Actual) {
			a.Orgs = append(a.Orgs, state.Org{ID: orgID(4), Domain: domain(4), Status: state.Active})
		}, "org-04.okta.com: link-org: the org is in the account already"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plan, actual := savedPlan(t)
			tt.tamper(actual)
			_, err := diff.Revalidate(plan, actual, diff.Options{Account: account, Guards: wide})
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("guards of now", func(t *testing.T) {
		plan, actual := savedPlan(t)
		fresh, err := diff.Revalidate(plan, actual, diff.Options{Account: account, Guards: diff.Guards{MaxDestructiveOrgs: 1, MaxDestructivePercent: 100, MaxNewOrgs: 100}})
		if err != nil || guardNames(fresh) != "maxDestructiveOrgs" {
			t.Errorf("%v, %v", fresh, err)
		}
	})
	t.Run("the Aerial org, whatever the plan says", func(t *testing.T) {
		plan, actual := savedPlan(t)
		actual.Orgs[1].AerialOrg = true
		fresh, err := diff.Revalidate(plan, actual, diff.Options{Account: account, Guards: wide})
		if err != nil || guardNames(fresh) != "aerialOrg" {
			t.Errorf("%v, %v", fresh, err)
		}
	})
}

func FuzzReadPlan(f *testing.F) {
	desired, actual := fleet(3)
	desired.Orgs[0].Products = []string{}
	plan, err := diff.Compute(desired, actual, diff.Options{Account: account, Guards: wide})
	if err != nil {
		f.Fatal(err)
	}
	data, err := json.Marshal(plan)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	base := *desired
	base.Orgs = base.Orgs[1:]
	if plan, err = diff.CompareThreeWay(&base, desired, actual, diff.Options{Account: account, Guards: wide}); err != nil {
		f.Fatal(err)
	}
	f.Add(encodePlan(f, plan))
	f.Add([]byte(`{"version":1,"changes":[{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := diff.ReadPlan(bytes.NewReader(data))
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
			return
		}
		again, err := diff.ReadPlan(bytes.NewReader(encodePlan(t, p)))
		if err != nil || again.Digest != p.Digest {
			t.Errorf("what was read can't be read again: %v", err)
		}
		if p.Review != nil && p.Review.Kind != diff.ThreeWay {
			t.Errorf("a review that is no plan: %+v", p.Review)
		}
		for _, c := range p.Changes {
			if c.Action == diff.UpdateProducts && c.Destructive != (len(c.Disable) > 0) {
				t.Errorf("a hidden loss: %+v", c)
			}
		}
	})
}

func encodePlan(t testing.TB, p *diff.Plan) []byte {
	t.Helper()
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
