package reconcile

import (
	"slices"
	"strings"
	"testing"
	"time"

	"reconciler/internal/store/history"
)

// Whatever orgs are sorted by, the pages have each of them once, in that order, and
// descending is the other way round but for those without a value.
func TestSortedPages(t *testing.T) {
	day := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	drift := []history.Drift{
		{Org: "b.okta.com", Field: "status", Since: day}, {Org: "a.okta.com", Field: "products", Since: day.Add(time.Hour)}, {Org: "a.okta.com", Field: "status", Since: day.Add(time.Hour)},
	}
	inv, err := InventoryOf(each(fleetStates(t)), drift, nil)
	if err != nil {
		t.Fatal(err)
	}
	list := func(q InventoryQuery) string {
		t.Helper()
		var all []string
		for {
			page, err := inv.ListOrgs(&q)
			if err != nil {
				t.Fatal(err)
			}
			if *page.Total != 5 {
				t.Errorf("total %d", *page.Total)
			}
			all = append(all, domains(page))
			if q.After = page.Next; q.After == "" {
				return strings.Join(all, " ")
			}
		}
	}
	for sort, want := range map[string]string{
		"": "a b c new other", "domain": "a b c new other", "-domain": "other new c b a", "since": "b a c new other", "-since": "a b c new other",
		"drifted": "c new other b a", "-drifted": "a b c new other", "state": "a b new other c", "-state": "c other new a b",
	} {
		whole := list(InventoryQuery{Sort: sort})
		if whole != want {
			t.Errorf("%s: %q, want %q", sort, whole, want)
		}
		for limit := 1; limit < 6; limit++ {
			if got := list(InventoryQuery{Sort: sort, Limit: limit}); got != whole {
				t.Errorf("%s by %d: %q", sort, limit, got)
			}
		}
	}
	for _, q := range []InventoryQuery{{Sort: "drft"}, {Sort: "since", After: "a.okta.com"}} {
		if _, err := inv.ListOrgs(&q); err == nil {
			t.Errorf("%+v is no error", q)
		}
	}
	for want, q := range map[string]InventoryQuery{
		"a b": {States: []SyncState{Drifted}}, "c new": {States: []SyncState{InSync, Missing}}, "new": {Text: "NEW"}, "a b c": {Owner: "ADA", States: []SyncState{InSync, Drifted}},
	} {
		page, err := inv.ListOrgs(&q)
		if err != nil || domains(page) != want {
			t.Errorf("%+v: %q, want %q, %v", q, domains(page), want, err)
		}
	}
	if !slices.IsSorted(OrgSorts()) {
		t.Errorf("%q", OrgSorts())
	}
}
