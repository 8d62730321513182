package page

import (
	"cmp"
	"net/http"
	"strings"

	"reconciler/internal/reconcile"
	"reconciler/internal/report"
	"reconciler/internal/store/history"
)

// entry is an entry of the history as pages show it.
type entry struct {
	*history.Entry
	// About is what it is about where there are no Lines, which are what changed or
	// differs. Who is who did it.
	About string
	Lines []report.Line
	Who   string
	// From is where they did it, and Doubt what speaks against it, or why it isn't known.
	From, Doubt string
}

// Ended returns how it ended; empty for what operators do, of which the history has an id
// there.
func (e entry) Ended() string {
	if e.Type == history.TypeOperator {
		return ""
	}
	return e.Outcome
}

// notYet is why it isn't known who caused drift while the history doesn't say.
const notYet = "no event was found yet"

// entryOf returns how pages show an entry. names are those of products, by id.
func entryOf(e *history.Entry, names map[string]string) entry {
	shown := entry{Entry: e, Who: e.By}
	shown.Lines = reconcile.EntryLines(e, names)
	if e.Type == history.TypeDrift || e.Type == history.TypeDriftEnded {
		shown.About, shown.Who, shown.Doubt = strings.ReplaceAll(string(e.Type), "-", " "), "", cmp.Or(e.Unknown, notYet)
		if c := e.Cause; c != nil {
			shown.Who, shown.From, shown.Doubt = c.Who(), c.Address, c.Doubt
		}
	}
	if len(shown.Lines) == 0 {
		shown.About = strings.TrimSpace(strings.ReplaceAll(e.Action, "-", " ") + " " + e.Field)
	}
	return shown
}

// entries is the page of what happened.
type entries struct {
	*list
	Types   []history.Type
	Entries []entry
}

func (p *Pages) history(w http.ResponseWriter, r *http.Request) {
	l, page := readList(p, w, r, "history", p.opts.Source.History)
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
