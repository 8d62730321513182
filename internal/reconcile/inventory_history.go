package reconcile

import (
	"fmt"
	"slices"
	"strconv"

	"reconciler/internal/store/history"
	"reconciler/internal/text"
)

// Changes returns the changes that q selects, newest first.
func (r *InventoryReader) Changes(q *InventoryQuery) (*Page[history.Entry], error) {
	changes := *q
	changes.Types = []history.Type{history.TypeChange}
	return r.History(&changes)
}

// History returns what happened, as q selects it, newest first: of all types, unless q
// names some, changes, drift with how it ended, and what operators did.
func (r *InventoryReader) History(q *InventoryQuery) (*Page[history.Entry], error) {
	if r.memory != nil {
		return nil, ErrNoHistory
	}
	return read(r, q, func(now *moment) (*Page[history.Entry], error) { return r.entries(now.inv, q) })
}

// entrySelector selects entries by what the history can't be asked for.
type entrySelector struct {
	q       *InventoryQuery
	product string
	// byOrg is nil if all orgs are selected.
	byOrg func(domain string) bool
}

// all reports whether the selector selects all.
func (s *entrySelector) all() bool {
	return s.byOrg == nil && s.product == "" && s.q.Outcome == "" && s.q.By == ""
}

func (s *entrySelector) has(e *history.Entry) bool {
	return (s.byOrg == nil || s.byOrg(e.Org)) && (s.product == "" || concerns(e, s.product)) &&
		(s.q.Outcome == "" || e.Outcome == s.q.Outcome) && (s.q.By == "" || has(whoOf(e), s.q.By))
}

// whoOf returns who did what an entry is about: of drift who caused it, which may not be
// known.
func whoOf(e *history.Entry) string {
	switch {
	case e.Type != history.TypeDrift && e.Type != history.TypeDriftEnded:
		return e.By
	case e.Cause != nil:
		return e.Cause.Who()
	}
	return ""
}

// entries returns a page of what happened.
func (r *InventoryReader) entries(inv *Inventory, q *InventoryQuery) (*Page[history.Entry], error) {
	product, err := inv.product(q.Product)
	if err != nil {
		return nil, err
	}
	find := history.Query{Types: q.Types, Action: q.Action, Since: q.Since, Until: q.Until, Run: q.Run}
	if len(find.Types) == 0 {
		find.Types = history.Happened()
		if q.Action == string(history.TypeDriftEnded) {
			find.Types = []history.Type{history.TypeDriftEnded}
		}
	}
	if len(q.Orgs) == 1 {
		find.Org = q.Orgs[0]
	}
	if q.After != "" {
		if find.Before, err = strconv.ParseInt(q.After, 10, 64); err != nil || find.Before < 1 {
			what := "the history"
			if slices.Equal(q.Types, []history.Type{history.TypeChange}) {
				what = "changes"
			}
			return nil, &QueryError{fmt.Errorf("%q is not the end of a page of %s", text.OneLine(q.After, 40), what)}
		}
	}
	selected := entrySelector{q: q, product: product, byOrg: q.byOrg(inv)}
	find.Limit = q.batch(!selected.all())
	page := &Page[history.Entry]{Items: []history.Entry{}}
	for {
		entries, err := r.history.Told(find)
		if err != nil {
			return nil, err
		}
		for i := range entries {
			e := &entries[i]
			if !selected.has(e) {
				continue
			}
			// Changes in flight of a run that was killed have no seq, and come on the first page.
			if n := len(page.Items); q.Limit > 0 && n >= q.Limit && page.Items[n-1].Seq > 0 {
				page.Next = strconv.FormatInt(page.Items[n-1].Seq, 10)
				return page, nil
			}
			page.Items = append(page.Items, *e)
		}
		if len(entries) < find.Limit || entries[len(entries)-1].Seq == 0 {
			return page, nil
		}
		find.Before = entries[len(entries)-1].Seq
	}
}
