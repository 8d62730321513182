package page

import (
	"fmt"
	"html/template"
	"net/http"
	"time"

	"reconciler/internal/daemon/api"
	"reconciler/internal/daemon/signin"
	"reconciler/internal/reconcile"
)

// Options are what pages are made of.
type Options struct {
	Source Source
	Now    func() time.Time
	// Query reads the parameters of one of the API's lists, as the API does.
	Query func(list, raw string) (*reconcile.InventoryQuery, error)
	// Failure returns how an error of Source or Query is answered.
	Failure func(error) (code int, problem, hint string)
}

// Policy is the Content-Security-Policy of the pages: nothing but what this server has.
const Policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Pages serves the pages.
type Pages struct {
	opts      Options
	templates map[string]*template.Template
	static    *staticFiles
}

// New returns the pages.
func New(opts Options) (*Pages, error) {
	files, err := newStatic()
	if err != nil {
		return nil, err
	}
	p := &Pages{opts: opts, static: files}
	if p.templates, err = parse(files); err != nil {
		return nil, err
	}
	return p, nil
}

// Register adds the pages to mux.
func (p *Pages) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", p.overview)
	mux.HandleFunc("GET /problems", p.problems)
	mux.HandleFunc("GET /orgs", p.orgs)
	mux.HandleFunc("GET /orgs.csv", p.orgsCSV)
	mux.HandleFunc("GET /drift", p.drift)
	mux.HandleFunc("GET /products", p.productList)
	mux.HandleFunc("GET /runs", p.runs)
	mux.HandleFunc("GET /history", p.history)
	mux.HandleFunc("GET /orgs/{domain}", p.org)
	mux.HandleFunc("GET /runs/{id}", p.run)
	mux.HandleFunc("GET /matrix/products", p.productMatrix)
	mux.HandleFunc("GET /matrix/{kind}", p.objectMatrix)
	mux.HandleFunc("GET /features", p.features)
	mux.Handle("GET "+staticRoot+"{name}", p.static)
}

// Sections of the navigation.
const (
	sectionOverview = "/"
	sectionOrgs     = "/orgs"
	sectionDrift    = "/drift"
	sectionProducts = "/products"
	sectionRuns     = "/runs"
	sectionHistory  = "/history"
	sectionFeatures = "/features"
)

// link is a link of the navigation.
type link struct{ Href, Text string }

// view is what the template of a page is executed with.
type view struct {
	Title string
	// Section is that of the page in the navigation.
	Section string
	Nav     []link
	// Path is the page itself, for the link that loads it again.
	Path    string
	Now     time.Time
	Account string
	Version string
	// Headline is the worst that is to be said of the daemon.
	Headline headline
	// User is nil on the pages of people who are not known.
	User *signin.User
	// Operator reports whether the user is shown the operators' forms, which have the
	// token CSRF in the field CSRFField.
	Operator        bool
	CSRF, CSRFField string
	// Fresh reports whether the script keeps the page up to date.
	Fresh bool
	// Done is what an operator has just done.
	Done string
	// Data is what the page is about.
	Data any
}

// show sends a page. status may be nil, where the page doesn't need it.
func (p *Pages) show(w http.ResponseWriter, r *http.Request, code int, name string, v *view) {
	status := p.opts.Source.Status()
	p.showWith(w, r, code, name, v, &status)
}

func (p *Pages) showWith(w http.ResponseWriter, r *http.Request, code int, name string, v *view, status *api.Status) {
	v.Now, v.Path = p.opts.Now().UTC(), signin.LocalPath(r.URL.RequestURI())
	v.Account, v.Version, v.Headline = status.Account, status.Reconciler, headlineOf(status)
	if user := signin.UserOf(r.Context()); user != nil {
		v.User, v.CSRF, v.Done = user, signin.CSRF(r.Context()), done(r)
	}
	v.Operator, v.CSRFField = v.User.May(signin.Operator) && v.CSRF != "", signin.CSRFField
	v.Fresh = v.User != nil && code == http.StatusOK
	v.Nav = []link{
		{sectionOverview, "Overview"}, {sectionOrgs, "Orgs"}, {sectionDrift, "Drift"}, {sectionProducts, "Products"},
		{sectionRuns, "Runs"}, {sectionHistory, "History"}, {sectionFeatures, "Features"},
	}
	err := p.render(name, v, func(body []byte) { sendPage(w, r, code, body, v.CSRF) })
	if err != nil {
		http.Error(w, "the page can't be shown: "+err.Error(), http.StatusInternalServerError)
	}
}

// done returns what an operator has just done: a link from elsewhere can't say that.
func done(r *http.Request) string {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		return ""
	}
	return api.Done(r.URL.Query())
}

// Error sends a page about what went wrong.
func (p *Pages) Error(w http.ResponseWriter, r *http.Request, code int, problem, hint string) {
	p.show(w, r, code, "error.html", &view{Title: http.StatusText(code), Data: api.Error{Error: problem, Hint: hint}})
}

// NotFound sends a page about a page that there isn't.
func (p *Pages) NotFound(w http.ResponseWriter, r *http.Request) {
	p.Error(w, r, http.StatusNotFound, "there is no page "+brief(r.URL.Path), "")
}

// Notice sends a page about signing in, or why somebody may not do what they asked for.
func (p *Pages) Notice(w http.ResponseWriter, r *http.Request, n *signin.Notice) {
	v := &view{Title: n.Title, User: n.User, CSRF: n.CSRF, Data: n}
	p.showWith(w, r, n.Code, "notice.html", v, &api.Status{State: api.StateStarting})
}

// Or has next answer a request, or sends a page that there is no such page.
func (p *Pages) Or(next *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, pattern := next.Handler(r)
		if pattern == "" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			if signin.UserOf(r.Context()) == nil { // who isn't known is shown nothing
				http.NotFound(w, r)
				return
			}
			p.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// item is one item of a list, with the page that it is on.
type item struct {
	*view
	Of any
}

// With returns an item with the page, for templates of items.
func (v *view) With(of any) item { return item{v, of} }

// At returns a time as the page shows it.
func (v *view) At(t any) (template.HTML, error) {
	switch t := t.(type) {
	case time.Time:
		return timeHTML(t, v.Now), nil
	case *time.Time:
		if t == nil {
			return "", nil
		}
		return timeHTML(*t, v.Now), nil
	}
	return "", fmt.Errorf("%T is no time", t)
}

// AsOf returns the time of the page.
func (v *view) AsOf() string { return utc(v.Now) }

// Exact and Clock return a time of a log: for machines, and that of the day.
func (v *view) Exact(t time.Time) string { return t.UTC().Format(time.RFC3339) }
func (v *view) Clock(t time.Time) string { return t.UTC().Format("15:04:05") }
