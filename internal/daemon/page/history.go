package page

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"reconciler/internal/diff"
	"reconciler/internal/report"
	"reconciler/internal/store/history"
)

// entry is an entry of the history as pages show it.
type entry struct {
	*history.Entry
	// About says what it is about where Lines, what changed or differs, don't. Who is who
	// did it.
	About string
	Lines []report.Line
	Who   string
}

// entryOf returns how pages show an entry. names are those of products, by id.
func entryOf(e *history.Entry, names map[string]string) entry {
	shown := entry{Entry: e, Who: e.By}
	switch e.Type {
	case history.TypeChange:
		if c, ok := changeOf(e); ok {
			shown.Lines = report.Describe(&c, names)
		}
	case history.TypeDrift:
		d := report.Difference{Field: e.Field, Kind: e.Kind, Object: e.Object}
		if json.Unmarshal(e.After, &d.Desired) == nil && json.Unmarshal(e.Before, &d.Actual) == nil {
			shown.Lines = d.Lines(names)
		}
		shown.Who, shown.About = causeOf(e), "drift"
	case history.TypeDriftEnded, history.TypeCause:
		shown.Who = causeOf(e)
	}
	if len(shown.Lines) == 0 {
		shown.About = strings.TrimSpace(strings.ReplaceAll(e.Action, "-", " ") + " " + e.Field)
	}
	return shown
}

// causeOf returns who caused drift, in words; empty if nobody knows.
func causeOf(e *history.Entry) string {
	if e.Cause != nil {
		return e.Cause.Who()
	}
	return ""
}

// changeOf returns the change that an entry is about; false if it can't be read.
func changeOf(e *history.Entry) (diff.Change, bool) {
	c := diff.Change{
		Org: e.Org, OrgID: e.OrgID, Action: diff.Action(e.Action), Kind: e.Kind, Object: e.Object, Type: e.ObjectType, Parent: e.Parent,
	}
	for raw, v := range map[*json.RawMessage]any{&e.Before: &c.Before, &e.After: &c.After, &e.Fields: &c.Fields} {
		if len(*raw) > 0 && json.Unmarshal(*raw, v) != nil {
			return c, false
		}
	}
	if c.Action == diff.UpdateProducts {
		has := func(list diff.Value) func(string) bool {
			return func(id string) bool { return slices.Contains(list.List(), id) }
		}
		c.Enable = slices.DeleteFunc(slices.Clone(c.After.List()), has(c.Before))
		c.Disable = slices.DeleteFunc(slices.Clone(c.Before.List()), has(c.After))
		c.Destructive = len(c.Disable) > 0
	}
	return c, true
}

// entries is the page of what happened.
type entries struct {
	*list
	Types   []history.Type
	Entries []entry
}

func (p *Pages) history(w http.ResponseWriter, r *http.Request) {
	l, page := readList(p, w, r, p.opts.Source.History)
	if l == nil {
		return
	}
	d := &entries{list: l, Types: history.Happened()}
	if page != nil {
		for i := range page.Items {
			d.Entries = append(d.Entries, entryOf(&page.Items[i], page.ProductNames))
		}
	}
	p.show(w, r, l.code(), "history.html", &view{Title: "History", Section: sectionHistory, Data: d})
}
