package reconcile

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"reconciler/internal/state"
	"reconciler/internal/store/history"
	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
)

// InventoryQuery selects of the inventory and of what happened. Zero fields select all.
type InventoryQuery struct {
	// Orgs are domains.
	Orgs []string
	// Text is a part of an org's domain, name or id, in any case; of objects and kinds
	// also of an object's name.
	Text string
	// States are those of orgs, and of objects where these are listed.
	States []SyncState
	// Cell and Owner are those of the orgs, in any case.
	Cell, Owner string
	// Product is a product's name or id.
	Product string
	// Labels are those of the orgs.
	Labels state.Selector
	// Declared has Product and Status mean what is declared, and not what is live.
	Declared bool
	Status   state.Status
	// Drifted selects orgs that differ, or those that don't; both if it is nil.
	Drifted *bool
	// Kind selects the objects of one kind, and of orgs those that have or declare some.
	Kind string
	// Since selects orgs that changed since, drift that began since, and runs, changes
	// and entries that began since; Until entries from before.
	Since, Until time.Time
	// Run selects the changes of one run, and Outcome those that ended so.
	Run, Outcome string
	// Types and Action select entries of the history, and By those of whoever's name has
	// this as a part, in any case.
	Types      []history.Type
	Action, By string
	// Sort is how orgs are sorted: one of OrgSorts, with a minus before it the other way
	// round; empty is by domain.
	Sort string
	// After is the Next of the page before, and Limit how many items a page has; 0 is
	// all.
	After string
	Limit int
}

// Page is a part of a list. Its JSON form is a public interface.
type Page[T any] struct {
	// Items is never null.
	Items []T `json:"items"`
	// Next is the After of the next page; empty if this is the last one.
	Next string `json:"next"`
	// Total is how many items the query selects on all pages; null of runs, changes and
	// entries of the history, which are not counted.
	Total *int `json:"total"`
	// Account is the id of the account, and AsOf when it was last compared with the
	// manifests; null if that is not known.
	Account string     `json:"account"`
	AsOf    *time.Time `json:"asOf"`
	// Unread is how many live orgs that the query selects, but for its product, there are
	// whose products are not read, as the manifests don't manage them.
	Unread int `json:"unread"`
	// ProductNames are the names of products by their ids.
	ProductNames map[string]string `json:"productNames"`
	// Quiet counts the runs in which nothing happened, of a list of runs.
	Quiet *history.Quiet `json:"quiet,omitempty"`
	// Warnings are about features that can't be matched without doubt.
	Warnings []string `json:"warnings,omitempty"`
}

// QueryError is a query that can't be answered, because it is wrong.
type QueryError struct{ Err error }

// Error returns what is wrong with the query.
func (e *QueryError) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e *QueryError) Unwrap() error { return e.Err }

// selects reports whether q selects an org, by all but its product and state.
func (q *InventoryQuery) selects(o *OrgItem) bool {
	status := o.Status
	if q.Declared {
		status = o.DeclaredStatus
	}
	return q.hasOrg(o.Domain) && q.Labels.Has(o.Labels) && (!q.Declared || o.Managed) &&
		(q.Status == "" || status == q.Status) && (q.Drifted == nil || *q.Drifted == (o.Drifted > 0)) && (q.Since.IsZero() || !o.Changed.Before(q.Since)) &&
		(q.Cell == "" || strings.EqualFold(q.Cell, o.Cell)) && (q.Owner == "" || strings.EqualFold(q.Owner, o.Owner)) &&
		(q.Text == "" || has(o.Domain, q.Text) || has(o.Name, q.Text) || has(o.ID, q.Text))
}

// has reports whether a text has another one in it, in any case.
func has(s, part string) bool { return strings.Contains(strings.ToLower(s), strings.ToLower(part)) }

// inState reports whether q selects a state.
func (q *InventoryQuery) inState(s SyncState) bool {
	return len(q.States) == 0 || slices.Contains(q.States, s)
}

func (q *InventoryQuery) hasOrg(domain string) bool {
	return len(q.Orgs) == 0 || slices.Contains(q.Orgs, domain)
}

// byOrg returns what reports whether q's orgs, labels, status and so on select an org; nil
// if they select all.
func (q *InventoryQuery) byOrg(inv *Inventory) func(domain string) bool {
	if q.anyOrg() {
		if len(q.Orgs) == 0 {
			return nil
		}
		return q.hasOrg
	}
	some := *q
	some.Since = time.Time{}
	selected := map[string]bool{}
	for i := range inv.Orgs {
		if o := &inv.Orgs[i]; some.selects(o) && q.inState(o.State) {
			selected[o.Domain] = true
		}
	}
	return func(domain string) bool { return selected[domain] }
}

// anyOrg reports whether q selects orgs by nothing but their domains, and a time.
func (q *InventoryQuery) anyOrg() bool {
	return q.Labels.IsZero() && q.Status == "" && q.Drifted == nil && !q.Declared && q.Text == "" && q.Cell == "" && q.Owner == "" && len(q.States) == 0
}

// ListOrgs returns the orgs that q selects.
func (inv *Inventory) ListOrgs(q *InventoryQuery) (*Page[OrgItem], error) {
	product, err := inv.product(q.Product)
	if err != nil {
		return nil, err
	}
	by, err := sorterOf(q.Sort)
	if err != nil {
		return nil, err
	}
	var all []*OrgItem
	for i := range inv.Orgs {
		o := &inv.Orgs[i]
		has := product == "" || slices.Contains(o.Products, product)
		if product != "" && q.Declared {
			has = o.wants(product)
		}
		if q.Kind != "" {
			has = has && slices.ContainsFunc(inv.known[o.Domain].objects, func(k *knownObject) bool { return k.kind == q.Kind })
		}
		if has && q.selects(o) && q.inState(o.State) {
			all = append(all, o)
		}
	}
	if by == nil {
		return pageOf(all, q, func(o *OrgItem) string { return o.Domain }), nil
	}
	return by.page(all, q)
}

// orgSorts return by what orgs can be sorted, as a text that sorts as the values do;
// false for an org that has none and comes last.
func orgSorts() map[string]func(*OrgItem) (string, bool) {
	return map[string]func(*OrgItem) (string, bool){
		"domain":  func(o *OrgItem) (string, bool) { return o.Domain, true },
		"name":    func(o *OrgItem) (string, bool) { return strings.ToLower(o.Name), o.Name != "" },
		"state":   func(o *OrgItem) (string, bool) { return fmt.Sprint(slices.Index(SyncStates(), o.State)), true },
		"drifted": func(o *OrgItem) (string, bool) { return fmt.Sprintf("%09d", o.Drifted), true },
		"since": func(o *OrgItem) (string, bool) {
			if o.Since == nil {
				return "", false
			}
			return sortable(*o.Since), true
		},
		"changed": func(o *OrgItem) (string, bool) { return sortable(o.Changed), true },
	}
}

// sortable returns a time as a text that sorts as times do.
func sortable(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000000") }

// OrgSorts returns by what orgs can be sorted.
func OrgSorts() []string { return slices.Sorted(maps.Keys(orgSorts())) }

// orgSorter sorts orgs by something else than their domains alone.
type orgSorter struct {
	value   func(*OrgItem) (string, bool)
	reverse bool
}

// place is where an org stands in a sorted list. Its fields are compared in their order;
// only the value may be reversed.
type place struct {
	none          bool
	value, domain string
}

// sorterOf returns the sorter that a query means; nil for that by domain.
func sorterOf(sort string) (*orgSorter, error) {
	name, reverse := strings.CutPrefix(sort, "-")
	if sort == "" || sort == "domain" {
		return nil, nil
	}
	value := orgSorts()[name]
	if value == nil {
		return nil, &QueryError{text.WithHint(fmt.Errorf("orgs can't be sorted by %q%s", text.OneLine(sort, 40), strictyaml.DidYouMean(name, OrgSorts())),
			"sort by "+strings.Join(OrgSorts(), ", ")+", or with - before it in descending order")}
	}
	return &orgSorter{value, reverse}, nil
}

func (s *orgSorter) place(o *OrgItem) place {
	value, ok := s.value(o)
	return place{none: !ok, value: value, domain: o.Domain}
}

func (s *orgSorter) compare(a, b place) int {
	if a.none != b.none {
		if b.none {
			return -1
		}
		return 1
	}
	by := strings.Compare(a.value, b.value)
	if s.reverse {
		by = -by
	}
	return cmp.Or(by, strings.Compare(a.domain, b.domain))
}

// page returns the page of a list of orgs that q asks for.
func (s *orgSorter) page(all []*OrgItem, q *InventoryQuery) (*Page[OrgItem], error) {
	type placed struct {
		place
		i int
	}
	order := make([]placed, len(all))
	for i := range all {
		order[i] = placed{s.place(all[i]), i}
	}
	slices.SortFunc(order, func(a, b placed) int { return s.compare(a.place, b.place) })
	total := len(all)
	if q.After != "" {
		after, err := parsePlace(q.After)
		if err != nil {
			return nil, err
		}
		order = order[cutAfter(len(order), func(i int) bool { return s.compare(order[i].place, after) > 0 }):]
	}
	page := &Page[OrgItem]{Items: []OrgItem{}, Total: &total}
	for i := range order {
		if q.Limit > 0 && i == q.Limit {
			page.Next = order[i-1].String()
			break
		}
		page.Items = append(page.Items, *all[order[i].i])
	}
	return page, nil
}

// cutAfter returns the first index of which is is true; it is of all that follow.
func cutAfter(n int, is func(i int) bool) int {
	low, high := 0, n
	for low < high {
		if mid := (low + high) / 2; is(mid) {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return low
}

// String returns the place as the end of a page.
func (p place) String() string {
	none := ""
	if p.none {
		none = "-"
	}
	return base64.RawURLEncoding.EncodeToString([]byte(none + "\x00" + p.value + "\x00" + p.domain))
}

func parsePlace(s string) (place, error) {
	data, err := base64.RawURLEncoding.DecodeString(s)
	parts := strings.Split(string(data), "\x00")
	if err != nil || len(parts) != 3 {
		return place{}, &QueryError{fmt.Errorf("%q is not the end of a page that is sorted so", text.OneLine(s, 40))}
	}
	return place{parts[0] != "", parts[1], parts[2]}, nil
}

// pageOf returns the page of a list that q asks for. The list is sorted by the key.
func pageOf[T any](all []*T, q *InventoryQuery, key func(*T) string) *Page[T] {
	total := len(all)
	if q.After != "" {
		all = all[cutAfter(len(all), func(i int) bool { return key(all[i]) > q.After }):]
	}
	page := &Page[T]{Total: &total}
	if q.Limit > 0 && len(all) > q.Limit {
		all = all[:q.Limit]
		page.Next = key(all[q.Limit-1])
	}
	page.Items = make([]T, len(all))
	for i, item := range all {
		page.Items[i] = *item
	}
	return page
}
