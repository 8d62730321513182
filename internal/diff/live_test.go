package diff_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/diff"
	"reconciler/internal/state"
)

// load returns the desired state that a manifest declares.
func load(t *testing.T, manifest string) *state.Desired {
	t.Helper()
	d, _, err := state.Load([]state.Input{{FS: fstest.MapFS{"orgs.yaml": {Data: []byte(manifest)}}, Root: "orgs.yaml"}}, state.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// live is an account that subscribes to P000052, with these orgs.
func live(orgs ...state.Org) *state.Actual {
	return &state.Actual{Account: state.Account{ID: account}, Catalog: []state.Product{{ID: "P000052", Name: "SSO"}}, Orgs: orgs}
}

func planOf(t *testing.T, desired *state.Desired, actual *state.Actual, opts diff.Options) *diff.Plan {
	t.Helper()
	opts.Account = account
	plan, err := diff.Compute(desired, actual, opts)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

const newOrg = `version: 1
orgs:
  - domain: acme-new.okta.com
    cell: ok2
    create: {parent: acme, name: New, admin: {firstName: A, lastName: B, email: a@acme.example, login: a@acme.example}}
`

// TestEmptyCatalogue: an account subscribes to something, so that an empty
// catalogue says nothing about any product.
func TestEmptyCatalogue(t *testing.T) {
	actual := live()
	actual.Catalog = nil
	_, err := diff.Compute(load(t, "version: 1\norgs: [{domain: a.okta.com, products: [P000052]}]\n"), actual, diff.Options{Account: account})
	if err == nil || !strings.HasPrefix(err.Error(), `orgs.yaml:2:40: product "P000052" is wanted by a.okta.com`) {
		t.Errorf("error = %v", err)
	}
}

// TestProductOfAReview: a product to which the account doesn't subscribe is an
// error in the change that brings it, and a difference where it was wanted before.
func TestProductOfAReview(t *testing.T) {
	base := load(t, "version: 1\norgs: [{domain: a.okta.com, products: [P000052]}]\n")
	head := load(t, "version: 1\norgs: [{domain: a.okta.com, products: [P000052, P000131]}]\n")
	actual := live(state.Org{ID: "00o1", Domain: "a.okta.com", Status: state.Active, Products: []string{"P000052"}})
	if _, err := diff.CompareThreeWay(base, head, actual, diff.Options{Account: account}); err == nil || !strings.Contains(err.Error(), `"P000131" is wanted by a.okta.com`) {
		t.Errorf("a new product: error = %v", err)
	}
	plan, err := diff.CompareThreeWay(head, head, actual, diff.Options{Account: account})
	if err != nil {
		t.Fatal(err)
	}
	if u := plan.Unfixable; len(u) != 1 || u[0].Origin != diff.ExistingDrift || u[0].Field != diff.FieldProducts {
		t.Errorf("an old product: %+v", u)
	}
	if d := cmp.Diff([]string{"a.okta.com"}, plan.Impossible()); d != "" {
		t.Error(d)
	}
	head.Orgs[0].Mode = state.Report
	if plan := planOf(t, head, actual, diff.Options{}); len(plan.Unfixable) != 1 || len(plan.Impossible()) > 0 {
		t.Errorf("an org that is only reported: %+v, failed %v", plan.Unfixable, plan.Impossible())
	}
}

// TestRenamed: an org that the journal has as created is that org by whatever name
// it has now.
func TestRenamed(t *testing.T) {
	desired := load(t, newOrg)
	actual := live(state.Org{ID: "00o9", Domain: "acme-other.okta.com", Cell: "ok2", Status: state.Active})
	created := func(domain string) string { return map[string]string{"acme-new.okta.com": "00o9"}[domain] }
	plan := planOf(t, desired, actual, diff.Options{Created: created})
	want := []diff.Unfixable{{
		Org: "acme-new.okta.com", Field: diff.FieldDomain, Desired: "acme-new.okta.com", Actual: "acme-other.okta.com",
		Reason: "renamed: change the domain in the manifest (orgs.yaml:3:5), and add `id: 00o9`",
	}}
	if d := cmp.Diff(want, plan.Unfixable); d != "" || len(plan.Changes)+len(plan.Unmanaged) > 0 {
		t.Errorf("changes %v, unmanaged %v\n%s", plan.Changes, plan.Unmanaged, d)
	}

	saved := planOf(t, desired, live(), diff.Options{})
	_, err := diff.Revalidate(saved, actual, diff.Options{Account: account, Created: created})
	if err == nil || !strings.Contains(err.Error(), "the org was created before") {
		t.Errorf("a saved plan that creates it: %v", err)
	}
}

// TestAsksForID: the id is asked for until it is in the manifest.
func TestAsksForID(t *testing.T) {
	actual := live(state.Org{ID: "00o9", Domain: "acme-new.okta.com", Cell: "ok2", Status: state.Active})
	plan := planOf(t, load(t, newOrg), actual, diff.Options{})
	if n := plan.Notes; len(n) != 1 || !strings.Contains(n[0].Message, "put `id: 00o9` into its manifest (orgs.yaml:3:5)") || !plan.Empty() {
		t.Errorf("notes = %+v", n)
	}
	plan = planOf(t, load(t, strings.Replace(newOrg, "cell:", "id: 00o9\n    cell:", 1)), actual, diff.Options{})
	if len(plan.Notes) > 0 {
		t.Errorf("notes = %+v, and the id is there", plan.Notes)
	}
}

// TestWhereParentsCreate: an org that its parent would create elsewhere than is
// declared is refused, as long as it isn't there.
func TestWhereParentsCreate(t *testing.T) {
	parent := state.Org{ID: "00op", Domain: "acme.okta.com", Cell: "ok1", Status: state.Active}
	for _, tt := range []struct {
		name, domain, cell, parent string
		there                      bool
		want                       string
	}{
		{"as its parent", "acme-new.okta.com", "ok1", "acme.okta.com", false, ""},
		{"another cell", "acme-new.okta.com", "ok2", "acme.okta.com", false,
			"orgs.yaml:3:5: acme-new.okta.com is to be created in the cell ok2, but its parent acme.okta.com is in ok1, and a new org lives in its parent's cell: correct the cell"},
		{"another cell, there already", "acme-new.okta.com", "ok2", "acme.okta.com", true, ""},
		{"another domain", "acme-new.oktapreview.com", "ok1", "acme.okta.com", false,
			"orgs.yaml:3:5: acme-new.oktapreview.com can't be created by its parent acme.okta.com, which makes orgs under okta.com only: declare a domain under okta.com, or another parent"},
		{"a deeper domain", "a.b.okta.com", "ok1", "", false,
			"orgs.yaml:3:13: no parent can create a.b.okta.com: a new org has one name before okta.com"},
		{"an unknown parent", "acme-new.oktapreview.com", "op1", "", false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			manifest := strings.Replace(strings.Replace(newOrg, "acme-new.okta.com", tt.domain, 1), "ok2", tt.cell, 1)
			if strings.Contains(tt.want, "no parent") { // which the loader says first
				desired, _, err := state.Load([]state.Input{{FS: fstest.MapFS{"orgs.yaml": {Data: []byte(manifest)}}, Root: "orgs.yaml"}}, state.LoadOptions{})
				if desired != nil || err == nil || err.Error() != tt.want {
					t.Errorf("error = %v\nwant    %s", err, tt.want)
				}
				return
			}
			desired := load(t, manifest)
			orgs := []state.Org{parent}
			if tt.there {
				orgs = append(orgs, state.Org{ID: "00o9", Domain: tt.domain, Cell: tt.cell, Status: state.Active})
			}
			_, err := diff.Compute(desired, live(orgs...), diff.Options{Account: account, Parents: map[string]string{"acme": tt.parent}})
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("error = %s\nwant    %s", got, tt.want)
			}
		})
	}
}

// TestParentNotListed: where the parent isn't in the account, the plan notes that the
// cell of the new org can't be checked.
func TestParentNotListed(t *testing.T) {
	parent := state.Org{ID: "00op", Domain: "acme.okta.com", Cell: "ok2", Status: state.Active}
	const note = "check by hand that `cell: ok2` is right (orgs.yaml:3:5): a new org gets the cell of its parent, and the account's list of orgs doesn't show the parent \"acme\""
	for _, tt := range []struct {
		name     string
		manifest string
		orgs     []state.Org
		want     string
	}{
		{"listed", newOrg, []state.Org{parent}, ""},
		{"not listed", newOrg, nil, note},
		{"there already", newOrg, []state.Org{{ID: "00o9", Domain: "acme-new.okta.com", Cell: "ok2", Status: state.Active}}, "it exists: put `id: 00o9` into its manifest (orgs.yaml:3:5), so that it isn't created again if it is renamed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plan := planOf(t, load(t, tt.manifest), live(tt.orgs...), diff.Options{Parents: map[string]string{"acme": "acme.okta.com"}})
			got := ""
			for _, n := range plan.Notes {
				got += n.Message
			}
			if got != tt.want {
				t.Errorf("notes = %s\nwant    %s", got, tt.want)
			}
		})
	}
}

// TestNoDeletions: where deletions can't be recorded, none is requested.
func TestNoDeletions(t *testing.T) {
	desired := load(t, "version: 1\norgs: [{domain: a.okta.com, status: INACTIVE, requestDeletion: true}]\n")
	actual := live(state.Org{ID: "00o1", Domain: "a.okta.com", Status: state.Inactive})
	plan := planOf(t, desired, actual, diff.Options{NoDeletions: "there is no journal"})
	if c := plan.Changes; len(c) != 1 || c[0].Blocked != "no deletion is requested: there is no journal" || !c[0].Impossible() || !c[0].Barred() {
		t.Errorf("changes = %+v", c)
	}
}

// TestErrorID: the id that Okta gives each answer is no part of the plan.
func TestErrorID(t *testing.T) {
	digest := func(id string) string {
		desired := load(t, "version: 1\norgs: [{domain: a.okta.com, products: [P000052]}]\n")
		plan := planOf(t, desired, live(state.Org{ID: "00o1", Domain: "a.okta.com", Unknown: "403 E0000006 no", ErrorID: id}), diff.Options{})
		if got, want := plan.Unknown[0].Reason(), "403 E0000006 no ("+id+")"; got != want {
			t.Errorf("reason = %s, want %s", got, want)
		}
		return plan.Digest
	}
	if digest("errorId oae1") != digest("errorId oae2") {
		t.Error("the digest depends on the errorId")
	}
}

// TestHeldWhenSaved: a saved plan that was made during a freeze doesn't say that
// it still holds.
func TestHeldWhenSaved(t *testing.T) {
	desired := load(t, "version: 1\norgs: [{domain: a.okta.com, products: [P000052]}]\n")
	actual := live(state.Org{ID: "00o1", Domain: "a.okta.com", Status: state.Active, Products: []string{}})
	suspended := func(string) string { return "suspended by ada" }
	saved := planOf(t, desired, actual, diff.Options{Held: suspended})
	for _, tt := range []struct {
		held func(string) string
		want string
	}{
		{suspended, "suspended by ada"},
		{nil, "left out when this plan was made, for a reason that is over: make a new plan"},
	} {
		plan, err := diff.Revalidate(saved, actual, diff.Options{Account: account, Held: tt.held})
		if err != nil {
			t.Fatal(err)
		}
		if got := plan.Changes[0].Blocked; got != tt.want || saved.Changes[0].Blocked != "suspended by ada" {
			t.Errorf("blocked = %q, want %q", got, tt.want)
		}
	}
}
