package page

import (
	"net/http"
	"strconv"

	"reconciler/internal/daemon/api"
	"reconciler/internal/report"
)

// problems is the page of all problems and notes, of which the overview shows the first.
type problems struct {
	Items []api.Trouble
	// From is the number of the first of Items, Total how many there are, and Next the
	// page that follows; empty if there is none.
	From, Total int
	Next        string
}

func (p *Pages) problems(w http.ResponseWriter, r *http.Request) {
	s := p.opts.Source.Status()
	all := s.Problems
	for _, n := range s.Notes {
		all = append(all, api.Trouble{Message: "note: " + report.Org(n.Org) + ": " + n.Message})
	}
	from, err := strconv.Atoi(r.URL.Query().Get("from"))
	if err != nil || from < 1 || from > len(all) {
		from = 1
	}
	d := &problems{From: from, Total: len(all), Items: all[min(from-1, len(all)):min(from-1+maxItems, len(all))]}
	if next := from + maxItems; next <= len(all) {
		d.Next = "/problems?from=" + strconv.Itoa(next)
	}
	p.showWith(w, r, http.StatusOK, "problems.html", &view{Title: "Problems", Section: sectionOverview, Data: d}, &s)
}
