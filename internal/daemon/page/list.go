package page

import (
	"net/http"
	"net/url"
	"strings"

	"reconciler/internal/daemon/api"
	"reconciler/internal/reconcile"
)

// maxItems is how many items a page of a list has.
const maxItems = 100

// list is what all pages of lists have.
type list struct {
	// Path is that of the page, and Values its parameters, without empty ones.
	Path   string
	Values url.Values
	// Err is what is wrong with the parameters, and Hint what to do; empty if nothing is.
	Err, Hint string
	// Next is the page that follows; empty if there is none.
	Next string
	// Total is how many items the parameters select on all pages, and Shown how many this
	// page has.
	Total, Shown int
}

// Get returns the value of a parameter.
func (l *list) Get(name string) string { return l.Values.Get(name) }

// Filtered reports whether parameters select less than all.
func (l *list) Filtered() bool {
	for name := range l.Values {
		if name != "sort" && name != "after" {
			return true
		}
	}
	return false
}

// Later reports whether there are pages before this one.
func (l *list) Later() bool { return l.Values.Get("after") != "" }

// First returns the link to the first page.
func (l *list) First() string { return l.with("after", "") }

// with returns a link to the list with a parameter set, or left out if its value is empty.
// All other parameters stay, but for the page.
func (l *list) with(name, value string) string {
	values := url.Values{}
	for k, v := range l.Values {
		if k != "after" && k != name {
			values[k] = v
		}
	}
	if value != "" {
		values.Set(name, value)
	}
	return link{l.Path, values.Encode()}.url()
}

// url returns a path with a query, of which link has the two.
func (l link) url() string {
	if l.Text == "" {
		return l.Href
	}
	return l.Href + "?" + l.Text
}

// CSV returns the link to the list as CSV.
func (l *list) CSV() string {
	return strings.Replace(l.with("after", ""), l.Path, l.Path+".csv", 1)
}

// column is a column that a list can be sorted by.
type column struct {
	Name string
	// Sort is the value of aria-sort; empty if the list isn't sorted by the column.
	Sort string
	Href string
}

// Column returns a column by its name in the API. The first one is what the list is sorted
// by if nothing else is asked for.
func (l *list) Column(name, title string, first bool) column {
	c := column{Name: title}
	switch by := l.Values.Get("sort"); {
	case by == name || by == "" && first:
		c.Sort, c.Href = "ascending", l.with("sort", "-"+name)
	case by == "-"+name:
		c.Sort, c.Href = "descending", l.with("sort", name)
	default:
		c.Href = l.with("sort", name)
	}
	return c
}

// readList reads one of the API's lists for a page. What is wrong with the parameters is in the list, of
// which the page is nil then. It returns nil for both if it has answered the request with
// an error.
func readList[T any](p *Pages, w http.ResponseWriter, r *http.Request, name string, read func(*reconcile.InventoryQuery) (*reconcile.Page[T], error)) (*list, *reconcile.Page[T]) {
	l := &list{Path: r.URL.Path, Values: url.Values{}}
	given, err := url.ParseQuery(r.URL.RawQuery)
	for name, values := range given {
		for _, v := range values {
			if v = strings.TrimSpace(v); v != "" { // a field of a form that nobody filled in
				l.Values.Add(name, v)
			}
		}
	}
	var q *reconcile.InventoryQuery
	if err == nil {
		q, err = p.opts.Query(name, l.Values.Encode())
	}
	var page *reconcile.Page[T]
	if err == nil {
		q.Limit = min(q.Limit, maxItems)
		page, err = read(q)
	}
	if err != nil {
		code, problem, hint := p.opts.Failure(err)
		if code == http.StatusNotFound { // there is no history to list
			section := "/" + name
			p.show(w, r, http.StatusOK, "error.html", &view{Title: title(name), Section: section, Data: api.Error{Error: problem, Hint: hint}})
			return nil, nil
		}
		if code != http.StatusBadRequest {
			p.Error(w, r, code, problem, hint)
			return nil, nil
		}
		l.Err, l.Hint = problem, hint
		return l, nil
	}
	l.Shown = len(page.Items)
	if page.Total != nil {
		l.Total = *page.Total
	}
	if page.Next != "" {
		values := url.Values{}
		for k, v := range l.Values {
			values[k] = v
		}
		values.Set("after", page.Next)
		l.Next = link{l.Path, values.Encode()}.url()
	}
	return l, page
}

// code returns the status of the page of a list.
func (l *list) code() int {
	if l.Err != "" {
		return http.StatusBadRequest
	}
	return http.StatusOK
}
