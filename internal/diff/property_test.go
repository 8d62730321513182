package diff_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"reconciler/internal/diff"
	"reconciler/internal/state"
)

const account = "0200bs0617vvhv2v675mch1cukp"

var catalog = []state.Product{
	{ID: "P000052", Name: "IT Products - SSO"},
	{ID: "P000131", Name: "IT Products - MFA"},
	{ID: "P000139", Name: "IT Products - Lifecycle Management with 1 OIN App"},
	{ID: "P001113", Name: "IT Products - Identity Threat Protection"},
}

// wide guards refuse nothing, so that a property speaks of the plan alone.
var wide = diff.Guards{MaxDestructiveOrgs: 1000, MaxDestructivePercent: 100, MaxNewOrgs: 1000}

func productSet() *rapid.Generator[[]string] {
	return rapid.Custom(func(t *rapid.T) []string {
		ids := []string{}
		for _, p := range catalog {
			if rapid.Bool().Draw(t, p.ID) {
				ids = append(ids, p.ID)
			}
		}
		return ids
	})
}

func status() *rapid.Generator[state.Status] {
	return rapid.SampledFrom([]state.Status{state.Active, state.Inactive})
}

func domain(i int) string { return fmt.Sprintf("org-%02d.okta.com", i) }

func orgID(i int) string { return fmt.Sprintf("00oOrg%014d", i) }

// actualState draws a whole account.
func actualState() *rapid.Generator[*state.Actual] {
	return rapid.Custom(func(t *rapid.T) *state.Actual {
		a := &state.Actual{Account: state.Account{ID: account, Name: "Acme"}, Catalog: catalog}
		for i := range rapid.IntRange(1, 12).Draw(t, "orgs") {
			a.Orgs = append(a.Orgs, state.Org{
				ID:       orgID(i),
				Domain:   domain(i),
				Cell:     rapid.SampledFrom([]string{"ok1", "eu1"}).Draw(t, "cell"),
				Status:   status().Draw(t, "status"),
				Products: productSet().Draw(t, "products"),
			})
		}
		return a
	})
}

// desiredState draws manifests that speak of some of the account's orgs and of
// some that don't exist.
func desiredState(actual *state.Actual) *rapid.Generator[*state.Desired] {
	return rapid.Custom(func(t *rapid.T) *state.Desired {
		d := &state.Desired{Products: map[string]string{"sso": "P000052", "mfa": "P000131"}}
		if rapid.Bool().Draw(t, "rename") {
			d.Account.Name = "Acme Holdings"
		}
		for i := range rapid.IntRange(1, 15).Draw(t, "declared") {
			o := state.DesiredOrg{
				Domain:        domain(i),
				Cell:          "ok1",
				ProductPolicy: rapid.SampledFrom([]state.ProductPolicy{state.Exact, state.Additive, state.Ignore}).Draw(t, "policy"),
				Mode:          rapid.SampledFrom([]state.Mode{state.Apply, state.Apply, state.Apply, state.Report}).Draw(t, "mode"),
				Protected:     rapid.IntRange(0, 5).Draw(t, "protected") == 0,
			}
			if i < len(actual.Orgs) {
				o.Cell = actual.Orgs[i].Cell
			}
			if rapid.Bool().Draw(t, "managesProducts") {
				o.Products = productSet().Draw(t, "products")
			}
			if rapid.Bool().Draw(t, "managesStatus") {
				o.Status = status().Draw(t, "status")
			}
			d.Orgs = append(d.Orgs, o)
		}
		return d
	})
}

// mirror declares exactly what is there.
func mirror(actual *state.Actual) *state.Desired {
	d := &state.Desired{Account: state.DesiredAccount{ID: account, Name: actual.Account.Name}}
	for _, o := range actual.Orgs {
		d.Orgs = append(d.Orgs, state.DesiredOrg{
			Domain: o.Domain, ID: o.ID, Cell: o.Cell, Status: o.Status, Products: o.Products,
			ProductPolicy: state.Exact, Mode: state.Apply,
		})
	}
	return d
}

// carryOut does to a copy of actual what the plan's unblocked changes say, the
// way Okta would.
func carryOut(t *rapid.T, actual *state.Actual, plan *diff.Plan) *state.Actual {
	next := *actual
	next.Orgs = slices.Clone(actual.Orgs)
	find := func(domain string) *state.Org {
		for i := range next.Orgs {
			if next.Orgs[i].Domain == domain {
				return &next.Orgs[i]
			}
		}
		t.Fatalf("the plan writes %s before it is linked", domain)
		return nil
	}
	for _, c := range plan.Changes {
		if c.Blocked != "" {
			continue
		}
		switch c.Action {
		case diff.RenameAccount:
			next.Account.Name = c.After.Text()
		case diff.LinkOrg:
			next.Orgs = append(next.Orgs, state.Org{ID: "00oNew" + c.Org, Domain: c.Org, Cell: c.Cell, Status: state.Active, Products: []string{}})
		case diff.UpdateProducts:
			org := find(c.Org)
			if !slices.Equal(org.Products, c.Before.List()) {
				t.Fatalf("%s: the change rests on %v, but there is %v", c.Org, c.Before.List(), org.Products)
			}
			org.Products = c.After.List()
		case diff.SetStatus:
			find(c.Org).Status = state.Status(c.After.Text())
		default:
			t.Fatalf("unexpected %s", c.Action)
		}
	}
	return &next
}

func compute(t rapid.TB, desired *state.Desired, actual *state.Actual, guards diff.Guards) *diff.Plan {
	t.Helper()
	plan, err := diff.Compute(desired, actual, diff.Options{Account: account, Revision: "abc", Guards: guards})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestComputeOfEqualStatesIsEmpty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		actual := actualState().Draw(t, "actual")
		plan := compute(t, mirror(actual), actual, wide)
		if !plan.Empty() || plan.Summary.InSync != len(actual.Orgs) || len(plan.Unmanaged) != 0 {
			t.Fatalf("not empty: %+v", plan)
		}
	})
}

func TestApplyingAPlanReachesDesired(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		actual := actualState().Draw(t, "actual")
		desired := desiredState(actual).Draw(t, "desired")
		first := compute(t, desired, actual, wide)
		second := compute(t, desired, carryOut(t, actual, first), wide)
		for _, c := range second.Changes {
			if c.Blocked == "" {
				t.Fatalf("still to do after everything was done: %+v", c)
			}
		}
	})
}

func TestProtectedOrgsLoseNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		actual := actualState().Draw(t, "actual")
		desired := desiredState(actual).Draw(t, "desired")
		next := carryOut(t, actual, compute(t, desired, actual, wide))
		for _, o := range desired.Orgs {
			i := slices.IndexFunc(actual.Orgs, func(a state.Org) bool { return a.Domain == o.Domain })
			if i < 0 || !o.Protected && o.Mode != state.Report {
				continue
			}
			before, after := actual.Orgs[i], next.Orgs[i]
			if before.Status == state.Active && after.Status == state.Inactive {
				t.Fatalf("%s was deactivated", o.Domain)
			}
			for _, id := range before.Products {
				if !slices.Contains(after.Products, id) {
					t.Fatalf("%s lost %s", o.Domain, id)
				}
			}
		}
	})
}

func TestWhatIsNotManagedIsNotPlanned(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		actual := actualState().Draw(t, "actual")
		desired := desiredState(actual).Draw(t, "desired")
		plan := compute(t, desired, actual, wide)
		declared := map[string]state.DesiredOrg{}
		for _, o := range desired.Orgs {
			declared[o.Domain] = o
		}
		for _, c := range plan.Changes {
			o, ok := declared[c.Org]
			switch {
			case c.Org != "" && !ok:
				t.Fatalf("a change of an undeclared org: %+v", c)
			case c.Action == diff.UpdateProducts && !o.ManagesProducts():
				t.Fatalf("products are not managed: %+v", c)
			case c.Action == diff.SetStatus && o.Status == "":
				t.Fatalf("status is not managed: %+v", c)
			}
		}
	})
}

func TestOrderOfInputDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		actual := actualState().Draw(t, "actual")
		desired := desiredState(actual).Draw(t, "desired")
		first := encode(t, compute(t, desired, actual, diff.Guards{MaxDestructiveOrgs: 1, MaxDestructivePercent: 10}))

		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		r.Shuffle(len(actual.Orgs), func(i, j int) { actual.Orgs[i], actual.Orgs[j] = actual.Orgs[j], actual.Orgs[i] })
		r.Shuffle(len(desired.Orgs), func(i, j int) { desired.Orgs[i], desired.Orgs[j] = desired.Orgs[j], desired.Orgs[i] })
		second := encode(t, compute(t, desired, actual, diff.Guards{MaxDestructiveOrgs: 1, MaxDestructivePercent: 10}))
		if !bytes.Equal(first, second) {
			t.Fatal(cmp.Diff(string(first), string(second)))
		}
	})
}

func TestPlanSurvivesJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		actual := actualState().Draw(t, "actual")
		plan := compute(t, desiredState(actual).Draw(t, "desired"), actual, wide)
		data := encode(t, plan)
		var back diff.Plan
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatal(err)
		}
		if again := encode(t, &back); !bytes.Equal(data, again) {
			t.Fatal(cmp.Diff(string(data), string(again)))
		}
	})
}

func encode(t rapid.TB, v any) []byte {
	t.Helper()
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return data
}
