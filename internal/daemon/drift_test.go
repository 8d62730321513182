package daemon

import (
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/okta/objects"
)

var compareValues = cmp.Comparer(func(a, b diff.Value) bool { return a.Equal(b) })

func change(org string, action diff.Action, edit func(*diff.Change)) diff.Change {
	c := diff.Change{Org: org, OrgID: "00o" + org, Action: action}
	if edit != nil {
		edit(&c)
	}
	return c
}

func products(before, after []string) func(*diff.Change) {
	return func(c *diff.Change) { c.Before, c.After = diff.List(before), diff.List(after) }
}

func TestDriftOf(t *testing.T) {
	plan := &diff.Plan{
		Changes: []diff.Change{
			change("", diff.RenameAccount, func(c *diff.Change) { c.OrgID, c.Before, c.After = "", diff.Text("Acme"), diff.Text("Acme Ltd") }),
			change("b", diff.UpdateProducts, products([]string{"P1"}, []string{"P1", "P2"})),
			change("b", diff.UpdateProducts, func(c *diff.Change) {
				products([]string{"P1", "P2"}, []string{"P2"})(c)
				c.Destructive, c.Blocked = true, "protected"
			}),
			change("b", diff.SetStatus, func(c *diff.Change) { c.Before, c.After = diff.Text("INACTIVE"), diff.Text("ACTIVE") }),
			change("c", diff.CreateOrg, func(c *diff.Change) { c.OrgID = "" }),
			change("c", diff.LinkOrg, func(c *diff.Change) { c.OrgID = "" }),
			change("d", diff.RequestDeletion, func(c *diff.Change) { c.Destructive = true }),
		},
		Unfixable: []diff.Unfixable{{Org: "b", Field: "cell", Desired: "ok1", Actual: "ok2"}},
	}
	account := Drift{Field: "account.name", Desired: diff.Text("Acme Ltd"), Actual: diff.Text("Acme")}
	cell := Drift{Org: "b", Field: "cell", Desired: diff.Text("ok1"), Actual: diff.Text("ok2"), Blocked: unfixable}
	both := Drift{
		Org: "b", OrgID: "00ob", Field: "products", Desired: diff.List([]string{"P2"}), Actual: diff.List([]string{"P1"}),
		Destructive: true, Blocked: "protected",
	}
	status := Drift{Org: "b", OrgID: "00ob", Field: "status", Desired: diff.Text("ACTIVE"), Actual: diff.Text("INACTIVE")}
	exists := Drift{Org: "c", Field: "exists", Desired: diff.Text("yes"), Actual: diff.Text("no")}
	linked := Drift{Org: "c", Field: "linked", Desired: diff.Text("yes"), Actual: diff.Text("no")}
	deletion := Drift{Org: "d", OrgID: "00od", Field: "requestDeletion", Desired: diff.Text("requested"), Actual: diff.Text("not requested"), Destructive: true}

	loss := both
	loss.Actual = diff.List([]string{"P1", "P2"})
	failed := exists
	failed.Error, failed.Hint = "no", "do"
	skipped := linked
	skipped.Error = "create-org failed before it"

	outcome := func(r apply.Status) apply.Outcome { return apply.Outcome{Result: r} }
	tests := []struct {
		name   string
		result *apply.Result
		want   []Drift
	}{
		{"nothing applied", nil, []Drift{account, cell, both, status, exists, linked, deletion}},
		{
			"what was applied is no drift any more",
			&apply.Result{Outcomes: []apply.Outcome{
				outcome(apply.Applied), outcome(apply.Applied), outcome(apply.Blocked), outcome(apply.Applied),
				{Result: apply.Failed, Error: "no", Hint: "do"},
				{Result: apply.Skipped, Error: "create-org failed before it"},
				outcome(apply.Applied),
			}},
			[]Drift{cell, loss, failed, skipped},
		},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			if d := cmp.Diff(tc.want, driftOf(plan, tc.result), compareValues); d != "" {
				t.Errorf("drift (-want +got):\n%s", d)
			}
		})
	}
}

// An object that is deleted and created counts as one that isn't there, as one object.
func TestDriftOfObjects(t *testing.T) {
	object := func(action diff.Action, name string, fields ...string) diff.Change {
		c := diff.Change{Org: "a", OrgID: "00oa", Action: action, Kind: "networkZones", Object: name}
		for _, path := range fields {
			c.Fields = append(c.Fields, diff.Field{FieldChange: objects.FieldChange{Path: path, Before: "x", After: []any{"y"}}})
		}
		return c
	}
	policies := diff.Change{Org: "a", OrgID: "00oa", Action: diff.ReorderObjects, Kind: "policies", Type: "PASSWORD", Object: "PASSWORD",
		Fields: []diff.Field{{FieldChange: objects.FieldChange{Path: "order", Before: []any{"A", "B"}, After: []any{"B", "A"}}}}}
	plan := &diff.Plan{
		Changes: []diff.Change{
			object(diff.DeleteObject, "Dead"), object(diff.CreateObject, "Dead", "name"),
			object(diff.UpdateObject, "Offices", "gateways", "status"), object(diff.DeleteObject, "Old"), policies,
		},
		Unfixable: []diff.Unfixable{{Org: "a", Field: "networkZones/Fixed: type", Desired: "IP", Actual: "DYNAMIC", Kind: "networkZones", Object: "Fixed"}},
		Objects:   map[string]diff.ObjectSummary{"networkZones": {Declared: 5, InSync: 1, Unmanaged: 7}, "policies": {Declared: 2, InSync: 2}, "groups": {Declared: 3, Unknown: 3}},
	}
	text, list := diff.Text, func(words ...string) diff.Value { return diff.List(words) }
	d := func(object, field string, desired, actual diff.Value) Drift {
		return Drift{Org: "a", OrgID: "00oa", Field: "networkZones/" + field, Kind: "networkZones", Object: object, Desired: desired, Actual: actual}
	}
	fixed := d("Fixed", "Fixed: type", text("IP"), text("DYNAMIC"))
	fixed.OrgID, fixed.Blocked = "", unfixable
	order := d("PASSWORD", "", list("B", "A"), list("A", "B"))
	order.Kind, order.Field = "policies", "policies/PASSWORD: order"
	want := []Drift{
		d("Dead", "Dead", text("yes"), text("no")), fixed,
		d("Offices", "Offices: gateways", list("y"), text("x")), d("Offices", "Offices: status", list("y"), text("x")),
		d("Old", "Old", text("no"), text("yes")), order,
	}
	if d := cmp.Diff(want, driftOf(plan, nil), compareValues); d != "" {
		t.Errorf("drift (-want +got):\n%s", d)
	}
	counts := func(networkZones objectCount) map[string]objectCount {
		return map[string]objectCount{"networkZones": networkZones, "policies": {inSync: 2}, "groups": {unknown: 3}}
	}
	if got, want := objectsOf(plan, nil), counts(objectCount{inSync: 1, drifted: 4, unmanaged: 7}); !maps.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	result := &apply.Result{Outcomes: []apply.Outcome{
		{Result: apply.Applied}, {Result: apply.Failed}, {Result: apply.Applied}, {Result: apply.Applied}, {Result: apply.Applied},
	}}
	if got, want := objectsOf(plan, result), counts(objectCount{inSync: 3, drifted: 2, unmanaged: 7}); !maps.Equal(got, want) {
		t.Errorf("after applying: %+v, want %+v", got, want)
	}
}

func TestDriftOfNothing(t *testing.T) {
	if got := driftOf(&diff.Plan{}, nil); got == nil || len(got) != 0 {
		t.Errorf("got %v, want an empty list that isn't nil", got)
	}
}

// A linked org tells its id in the outcome; the drift that is left has it.
func TestDriftOfKnowsNewID(t *testing.T) {
	plan := &diff.Plan{Changes: []diff.Change{{Org: "a", Action: diff.SetStatus}}}
	result := &apply.Result{Outcomes: []apply.Outcome{{OrgID: "00o1", Result: apply.Failed}}}
	if got := driftOf(plan, result)[0].OrgID; got != "00o1" {
		t.Errorf("OrgID = %q, want %q", got, "00o1")
	}
}

func TestCompareRuns(t *testing.T) {
	old, now := time.Unix(1, 0), time.Unix(2, 0)
	d := func(org, field, actual string, since time.Time) Drift {
		return Drift{Org: org, Field: field, Actual: diff.Text(actual), Since: since}
	}
	before := []Drift{d("a", "status", "x", old), d("b", "products", "x", old), d("b", "status", "x", old), d("d", "status", "x", old)}
	drift := []Drift{d("a", "cell", "x", time.Time{}), d("b", "products", "y", time.Time{}), d("b", "status", "x", time.Time{}), d("c", "status", "x", time.Time{})}
	news, gone := compareRuns(before, drift, now)

	if diff := cmp.Diff([]Drift{d("a", "cell", "x", now), d("b", "products", "y", old), d("c", "status", "x", now)}, news, compareValues); diff != "" {
		t.Errorf("news (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Drift{d("a", "status", "x", old), d("d", "status", "x", old)}, gone, compareValues); diff != "" {
		t.Errorf("gone (-want +got):\n%s", diff)
	}
	if !drift[2].Since.Equal(old) {
		t.Errorf("drift that was there before is dated %v, want %v", drift[2].Since, old)
	}
}

// Whatever two runs found: what is gone was there before and isn't now; what
// is in both keeps its time.
func TestCompareRunsProperties(t *testing.T) {
	type key struct{ org, field string }
	rapid.Check(t, func(t *rapid.T) {
		side := func(label string, since time.Time) []Drift {
			keys := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) key {
				return key{rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "org"), rapid.SampledFrom([]string{"p", "s"}).Draw(t, "field")}
			}), 0, 6, rapid.ID).Draw(t, label)
			changes := make([]diff.Unfixable, len(keys))
			for i, k := range keys {
				changes[i] = diff.Unfixable{Org: k.org, Field: k.field}
			}
			all := driftOf(&diff.Plan{Unfixable: changes}, nil)
			for i := range all {
				all[i].Since = since
			}
			return all
		}
		old, now := time.Unix(1, 0), time.Unix(2, 0)
		before, drift := side("before", old), side("drift", time.Time{})
		news, gone := compareRuns(before, drift, now)

		left := map[key]bool{}
		for _, d := range before {
			left[key{d.Org, d.Field}] = true
		}
		for _, d := range drift {
			k := key{d.Org, d.Field}
			want := now
			if left[k] {
				want = old
			}
			if !d.Since.Equal(want) {
				t.Errorf("%v: since %v, want %v", k, d.Since, want)
			}
		}
		for _, d := range gone {
			k := key{d.Org, d.Field}
			if !left[k] {
				t.Errorf("%v is gone, but wasn't there", k)
			}
			delete(left, k)
		}
		for _, d := range news {
			left[key{d.Org, d.Field}] = true
		}
		if len(left) != len(drift) {
			t.Errorf("before without gone, with news, has %d; the run found %d", len(left), len(drift))
		}
	})
}

func TestFleetOf(t *testing.T) {
	plan := &diff.Plan{
		Summary:   diff.Summary{Orgs: 10},
		Unknown:   []diff.Unknown{{Org: "u"}, {Org: "both"}},
		Unmanaged: []diff.Unmanaged{{Org: "x"}},
	}
	drift := []Drift{{Field: "account.name"}, {Org: "a", Field: "products"}, {Org: "a", Field: "status"}, {Org: "b"}, {Org: "both"}}
	if got, want := fleetOf(plan, drift), (fleet{inSync: 6, drifted: 2, unknown: 2, unmanaged: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
