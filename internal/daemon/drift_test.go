package daemon

import (
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"reconciler/internal/apply"
	"reconciler/internal/daemon/api"
	"reconciler/internal/diff"
	"reconciler/internal/okta/objects"
	"reconciler/internal/reconcile"
)

var compareValues = cmp.Comparer(func(a, b diff.Value) bool { return a.Equal(b) })

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
	fixed.OrgID, fixed.Blocked = "", "no call of the API can change it"
	order := d("PASSWORD", "", list("B", "A"), list("A", "B"))
	order.Kind, order.Field = "policies", "policies/PASSWORD: order"
	want := []Drift{
		d("Dead", "Dead", text("yes"), text("no")), fixed,
		d("Offices", "Offices: gateways", list("y"), text("x")), d("Offices", "Offices: status", list("y"), text("x")),
		d("Old", "Old", text("no"), text("yes")), order,
	}
	if d := cmp.Diff(want, reconcile.DriftOf(plan, nil), compareValues); d != "" {
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
			all := reconcile.DriftOf(&diff.Plan{Unfixable: changes}, nil)
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
	if got, want := fleetOf(plan, drift), (api.Fleet{InSync: 6, Drifted: 2, Unknown: 2, Unmanaged: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
