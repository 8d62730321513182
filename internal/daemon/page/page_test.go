package page

import (
	"bytes"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"reconciler/internal/daemon/api"
	"reconciler/internal/daemon/signin"
	"reconciler/internal/diff"
	"reconciler/internal/freeze"
	"reconciler/internal/reconcile"
	"reconciler/internal/text/hostile"
)

var update = flag.Bool("update", false, "write the goldens anew")

var errWrong = errors.New("label=x: must be KEY=VALUE")

// testQuery stands in for the API's reading of parameters, which has tests of its own.
func testQuery(_, raw string) (*reconcile.InventoryQuery, error) {
	values, err := url.ParseQuery(raw)
	if err == nil && values.Get("label") == "x" {
		err = errWrong
	}
	return &reconcile.InventoryQuery{Limit: 1000, After: values.Get("after")}, err
}

func testFailure(err error) (int, string, string) {
	if errors.Is(err, errWrong) {
		return http.StatusBadRequest, err.Error(), "the hint"
	}
	return http.StatusInternalServerError, err.Error(), ""
}

// site serves the pages of a source to a user; to nobody if the role is empty.
func site(t testing.TB, f *fake, role signin.Role) http.Handler {
	return siteOf(t, f, &signin.User{Name: "ada@acme.example", Role: role, Via: signin.ViaOIDC, Session: true})
}

func siteOf(t testing.TB, f *fake, user *signin.User) http.Handler {
	t.Helper()
	p, err := New(Options{Source: f, Now: func() time.Time { return noon }, Query: testQuery, Failure: testFailure})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	p.Register(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user.Role != "" {
			r = r.WithContext(signin.WithCSRF(signin.WithUser(r.Context(), user), "t0ken"))
		}
		p.Or(mux).ServeHTTP(w, r)
	})
}

func get(t testing.TB, h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// paths are those of the pages.
var paths = []string{"/", "/orgs", "/drift", "/products", "/runs", "/history", "/problems"}

// hashes are those in the names of static files, which change with these.
var hashes = regexp.MustCompile(`(/static/[a-z]+)\.[0-9a-f]{12}\.`)

func TestGoldens(t *testing.T) {
	for name, f := range map[string]*fake{"calm": calm(), "troubled": troubled()} {
		for _, path := range paths {
			file := filepath.Join("testdata", name+strings.ReplaceAll(strings.TrimSuffix(path, "/"), "/", "-")+".html")
			w := get(t, site(t, f, signin.Operator), path)
			if w.Code != http.StatusOK {
				t.Errorf("%s %s: %d %s", name, path, w.Code, w.Body)
			}
			body := hashes.ReplaceAllString(w.Body.String(), "$1.")
			if *update {
				if err := os.WriteFile(file, []byte(body), 0o644); err != nil {
					t.Fatal(err)
				}
				continue
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), body); d != "" {
				t.Errorf("%s (-want +got):\n%s", file, d)
			}
		}
	}
}

// elements without an end tag.
var void = []string{"meta", "link", "input", "br", "img", "wbr", "hr", "rect"}

// checkHTML checks that a page is well formed, and returns its links.
func checkHTML(t *testing.T, name string, page []byte) (links []string) {
	t.Helper()
	var open []string
	ids := map[string]bool{}
	labelled := map[string]bool{}
	for z := html.NewTokenizer(bytes.NewReader(page)); ; {
		kind := z.Next()
		token := z.Token()
		switch kind {
		case html.ErrorToken:
			if len(open) > 0 {
				t.Errorf("%s: not closed: %v", name, open)
			}
			for id := range labelled {
				if !ids[id] {
					t.Errorf("%s: nothing has the id %q, which labels something", name, id)
				}
			}
			return links
		case html.StartTagToken, html.SelfClosingTagToken:
			for _, a := range token.Attr {
				switch {
				case a.Key == "id" && ids[a.Val]:
					t.Errorf("%s: the id %q is there twice", name, a.Val)
				case a.Key == "id":
					ids[a.Val] = true
				case a.Key == "aria-labelledby" || a.Key == "for":
					labelled[a.Val] = true
				case a.Key == "style" || strings.HasPrefix(a.Key, "on"):
					t.Errorf("%s: %s has %s, which the policy forbids", name, token.Data, a.Key)
				case a.Key == "href" || a.Key == "src" || a.Key == "action":
					links = append(links, a.Val)
				}
			}
			if token.Data == "style" || token.Data == "script" && !slices.ContainsFunc(token.Attr, func(a html.Attribute) bool { return a.Key == "src" }) {
				t.Errorf("%s: %s in the page, which the policy forbids", name, token.Data)
			}
			if kind == html.StartTagToken && !slices.Contains(void, token.Data) {
				open = append(open, token.Data)
			}
		case html.EndTagToken:
			if len(open) == 0 || open[len(open)-1] != token.Data {
				t.Fatalf("%s: </%s> closes %v", name, token.Data, open)
			}
			open = open[:len(open)-1]
		}
	}
}

// elsewhere are the links to pages of others' tests, and to what isn't a page.
var elsewhere = []string{"/orgs/", "/runs/", "/features", "/matrix/", "/actions/", "/signout", "/signin", "#"}

func TestPagesAreWellFormed(t *testing.T) {
	for name, f := range map[string]*fake{"calm": calm(), "troubled": troubled(), "large": large(120)} {
		for _, role := range []signin.Role{signin.Operator, signin.Viewer} {
			h := site(t, f, role)
			followed := map[string]bool{}
			for _, path := range append(paths, "/orgs?q=x&sort=-drifted&label=a%3Db", "/orgs?label=x", "/nothing") {
				page := get(t, h, path)
				for _, link := range checkHTML(t, name+" "+path, page.Body.Bytes()) {
					if followed[link] || slices.ContainsFunc(elsewhere, func(prefix string) bool { return strings.HasPrefix(link, prefix) }) {
						continue
					}
					followed[link] = true
					if !strings.HasPrefix(link, "/") || strings.HasPrefix(link, "//") {
						t.Errorf("%s %s: a link to %q", name, path, link)
					}
					if code := get(t, h, link).Code; code != http.StatusOK && path != "/orgs?label=x" && path != "/nothing" {
						t.Errorf("%s %s: the link to %s is answered with %d", name, path, link, code)
					}
				}
			}
		}
	}
}

// Of an account in which all of 5,000 orgs drift and can't be read, each page is small.
func TestSizes(t *testing.T) {
	const most = 300_000
	h := site(t, large(5000), signin.Operator)
	for _, path := range paths {
		w := get(t, h, path)
		if n := w.Body.Len(); w.Code != http.StatusOK || n > most {
			t.Errorf("%s: %d, %d bytes", path, w.Code, n)
		}
	}
	if body := get(t, h, "/").Body.String(); !strings.Contains(body, "All 5,000 differences") || !strings.Contains(body, `<a href="/problems">and`) {
		t.Error("the overview doesn't say how much more there is")
	}
	if body := get(t, site(t, large(1), signin.Operator), "/").Body.String(); !strings.Contains(body, `<a href="/drift">The difference</a>`) {
		t.Error("the overview doesn't lead to the only difference")
	}
	f := large(1000)
	f.status.Desired.Stale = &api.Stale{Refused: true, Commit: "def"}
	if body := get(t, site(t, f, signin.Operator), "/").Body.String(); !strings.Contains(body, `<li class="bad">the desired state in force is not the newest`) {
		t.Error("alarms hide that HEAD is refused")
	}
	// All of a list can be reached.
	seen, next := 0, "/orgs"
	for next != "" && seen < 10_000 {
		body := get(t, h, next).Body.String()
		seen += strings.Count(body, `<th scope="row"`)
		next = ""
		if _, after, found := strings.Cut(body, `<a rel="next" href="`); found {
			next, _, _ = strings.Cut(after, `"`)
			next = html.UnescapeString(next)
		}
	}
	if seen != 5000 {
		t.Errorf("%d orgs on all pages", seen)
	}
}

// What Okta, git or a person wrote is shown as text, with control and direction characters
// visible.
func TestForeignText(t *testing.T) {
	for _, evil := range hostile.Texts() {
		f := troubled()
		s := &f.status
		s.Account, s.Source, s.Desired.Signer, s.LastRun.RequestedBy = evil, evil, evil, evil
		s.Alarms[0] = reconcile.Alarm{Org: evil, Message: evil, Hint: evil}
		s.Notes = []diff.Note{{Org: evil, Message: evil}}
		s.Unknown[0] = diff.Unknown{Org: evil, Error: evil}
		s.Suspensions = []freeze.Suspension{{ID: evil, Orgs: []string{evil}, Reason: evil, Owner: evil}}
		s.Drift[0].Org, s.Drift[0].Field, s.Drift[0].Blocked, s.Drift[0].Desired, s.Drift[0].Actual = evil, evil, evil, diff.Text(evil), diff.List([]string{evil})
		cause := *s.Drift[0].Cause
		cause.Actor, cause.Address, cause.Doubt = evil, evil, evil
		s.Drift[0].Cause = &cause
		s.Desired.Commit, s.LastRun.Commit = evil, evil
		o := &f.orgs[0]
		o.Domain, o.ID, o.Name, o.Cell, o.Owner, o.Products, o.Labels = evil, evil, evil, evil, evil, []string{evil}, map[string]string{evil: evil}
		f.products[0].ID, f.products[0].Name = evil, evil
		f.runs[0].ID, f.runs[0].By, f.runs[0].Error, f.runs[0].Command = evil, evil, evil, evil
		e := &f.changes[0]
		e.Org, e.By, e.Error, e.Run, e.Action, e.Reason = evil, evil, evil, evil, evil, evil
		f.fill()
		h := site(t, f, signin.Operator)
		for _, path := range append(paths, "/orgs?q="+url.QueryEscape(evil), "/"+url.PathEscape(evil)) {
			body := get(t, h, path).Body.Bytes()
			checkHTML(t, fmt.Sprintf("%s with %q", path, evil), body)
			for _, banned := range []string{"<script>alert", "<img src=x", `href="javascript`, "\x1b", "\x00", "\xff", "\u202e", "\u200b", "<b>\n", "ZgotmplZ", "' onmouseover='"} {
				if bytes.Contains(body, []byte(banned)) {
					t.Errorf("%s with %q has %q", path, evil, banned)
				}
			}
		}
		rows, err := csv.NewReader(get(t, h, "/orgs.csv").Body).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			for _, cell := range row {
				if cell != "" && strings.ContainsAny(cell[:1], "=+-@") || strings.ContainsAny(cell, "\x00\x1b\u202e") {
					t.Errorf("a cell of the CSV is %q", cell)
				}
			}
		}
	}
}

// The name of whoever signed in is what the provider says.
func TestForeignUser(t *testing.T) {
	for _, name := range hostile.Valid(hostile.Texts()) {
		body := get(t, siteOf(t, calm(), &signin.User{Name: name, Role: signin.Operator, Via: signin.ViaOIDC, Session: true}), "/").Body.Bytes()
		if found := hostile.HTML(body, false); len(found) > 0 {
			t.Errorf("%q: %q", name, found)
		}
	}
}

func TestHeadline(t *testing.T) {
	stale := &api.Stale{Refused: true, Commit: "def"}
	for name, test := range map[string]struct {
		change      func(s *api.Status)
		word, level string
	}{
		"all is well":      {func(*api.Status) {}, "In sync", "good"},
		"no run yet":       {func(s *api.Status) { s.LastRun, s.Compared, s.Ready, s.NotReady = nil, nil, false, "x" }, "Starting", "calm"},
		"HEAD is refused":  {func(s *api.Status) { s.Desired.Stale = stale }, "Stale", "bad"},
		"an alarm":         {func(s *api.Status) { s.Alarms = []reconcile.Alarm{{Message: "lost"}} }, "Alarm", "bad"},
		"alarm over stale": {func(s *api.Status) { s.Alarms, s.Desired.Stale = []reconcile.Alarm{{Message: "lost"}}, stale }, "Alarm", "bad"},
		"not ready":        {func(s *api.Status) { s.Ready, s.NotReady = false, "long ago" }, "Not ready", "bad"},
		"locked out":       {func(s *api.Status) { s.Totals.Unknown, s.LastRun.Result = 1, reconcile.ResultPartial }, "Partial", "warn"},
		"suspended":        {func(s *api.Status) { s.Suspensions = []freeze.Suspension{{Owner: "bob"}} }, "In sync", "warn"},
		"old":              {func(s *api.Status) { old := noon.Add(-3 * time.Hour); s.Compared = &old }, "In sync", "warn"},
	} {
		f := calm()
		test.change(&f.status)
		s := f.Status()
		if h := headlineOf(&s); h.Word != test.word || h.Level != test.level {
			t.Errorf("%s: %+v", name, h)
		}
		if body := get(t, site(t, f, signin.Viewer), "/").Body.String(); !strings.Contains(body, `<section class="headline `+test.level+`"`) {
			t.Errorf("%s: the page has another level than %s", name, test.level)
		}
	}
}

// Only operators are shown what only they may do, and nobody else a token.
func TestForms(t *testing.T) {
	for role, want := range map[signin.Role]bool{signin.Operator: true, signin.Viewer: false, "": false} {
		body := get(t, site(t, troubled(), role), "/").Body.String()
		for _, action := range []string{api.ActionRun, api.ActionSuspend, api.ActionResume, api.ActionAcknowledge} {
			if got := strings.Contains(body, `action="`+action+`"><input type="hidden" name="csrf" value="t0ken">`); got != want {
				t.Errorf("%q is shown %s: %v", role, action, got)
			}
		}
	}
	// A suspension of the config has no id, and can only be ended there.
	if n := strings.Count(get(t, site(t, troubled(), signin.Operator), "/").Body.String(), `action="/actions/resume"`); n != 1 {
		t.Errorf("%d forms end one of two suspensions, of which one is the config's", n)
	}
	if body := get(t, site(t, calm(), signin.Viewer), "/?done=/actions/run&id=r1").Body.String(); !strings.Contains(body, `<p class="done" role="status">A run was asked for: r1</p>`) {
		t.Error("the page doesn't say what was done")
	}
}

// The tag of a page changes with what it shows, and not with the time.
func TestETag(t *testing.T) {
	f, now := calm(), noon
	p, err := New(Options{Source: f, Now: func() time.Time { return now }, Query: testQuery, Failure: testFailure})
	if err != nil {
		t.Fatal(err)
	}
	h := http.HandlerFunc(p.overview)
	tag := get(t, h, "/").Header().Get("ETag")
	now = now.Add(time.Hour)
	if w := get(t, h, "/", "If-None-Match", tag); w.Code != http.StatusNotModified || w.Body.Len() > 0 {
		t.Errorf("an hour later: %d, %d bytes", w.Code, w.Body.Len())
	}
	f.status.Mode = "report"
	if w := get(t, h, "/", "If-None-Match", tag); w.Code != http.StatusOK || w.Header().Get("ETag") == tag {
		t.Errorf("in another mode: %d", w.Code)
	}
}

func TestStatic(t *testing.T) {
	h := site(t, calm(), "")
	body := get(t, h, "/").Body.String()
	for _, name := range []string{"page", "icon"} {
		_, rest, _ := strings.Cut(body, `"/static/`+name+".")
		path, _, _ := strings.Cut("/static/"+name+"."+rest, `"`)
		w := get(t, h, path)
		if w.Code != http.StatusOK || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || w.Header().Get("Content-Type") == "" {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
	}
	if w := get(t, h, "/static/page.000000000000.css"); w.Code != http.StatusNotFound || strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
		t.Errorf("a file that there isn't: %d %v", w.Code, w.Header())
	}
	script, err := staticFS.ReadFile("static/page.js")
	if err != nil || len(script) > 10_000 {
		t.Errorf("the script has %d bytes, %v", len(script), err)
	}
}

// What is wrong with parameters is said on the page; what else fails is a page of its own.
func TestErrors(t *testing.T) {
	f := calm()
	h := site(t, f, signin.Viewer)
	if w := get(t, h, "/orgs?label=x"); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "must be KEY=VALUE <span class=\"hint\">the hint</span>") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := get(t, h, "/orgs.csv?label=x"); w.Code != http.StatusBadRequest || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if w := get(t, h, "/orgs?label=&q="); w.Code != http.StatusOK {
		t.Errorf("empty fields of the form: %d", w.Code)
	}
	f.err = errors.New("the disk is gone")
	for _, path := range []string{"/orgs", "/drift", "/products", "/runs", "/history", "/orgs.csv"} {
		if w := get(t, h, path); w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "the disk is gone") || !strings.Contains(w.Body.String(), "<nav") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if w := get(t, h, "/nothing"); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "there is no page /nothing") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestNotice(t *testing.T) {
	p, err := New(Options{Source: calm(), Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	p.Notice(w, httptest.NewRequest("GET", "/signin", nil), &signin.Notice{
		Code: 200, Title: "Sign in", Provider: "acme.okta.com", StartURL: "/signin/start?return=%2Forgs", TokenForm: true, Return: "/orgs",
	})
	body := w.Body.String()
	checkHTML(t, "sign-in", w.Body.Bytes())
	for _, want := range []string{`href="/signin/start?return=%2Forgs">Sign in with acme.okta.com</a>`, `type="password"`, `name="return" value="/orgs"`} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in:\n%s", want, body)
		}
	}
	for _, banned := range []string{"<nav", "0200bs", "data-fresh", "As of"} {
		if strings.Contains(body, banned) {
			t.Errorf("people who are not known are shown %q", banned)
		}
	}
}

// On a narrow screen the rows of tables are cards: each cell repeats what its column is
// called, and columns have headers that screen readers know.
func TestTablesBecomeCards(t *testing.T) {
	h := site(t, troubled(), signin.Viewer)
	for _, path := range paths {
		body := get(t, h, path).Body.String()
		for i, table := range strings.Split(body, "<table")[1:] {
			table, _, _ = strings.Cut(table, "</table>")
			head, rows, _ := strings.Cut(table, "</thead>")
			columns := strings.Count(head, `<th scope="col"`)
			if columns == 0 || !strings.HasPrefix(table, ` class="cards"`) || columns != strings.Count(head, "<th ") {
				t.Errorf("%s, table %d: %d columns: %.80s", path, i, columns, table)
			}
			for _, row := range strings.Split(rows, "<tr>")[1:] {
				if n := strings.Count(row, `data-label="`); n != columns && !strings.Contains(row, "colspan") {
					t.Errorf("%s, table %d: %d labels in %d columns: %s", path, i, n, columns, row)
				}
			}
		}
	}
}

func TestAgo(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "now", 59 * time.Second: "59 s ago", time.Minute: "1 min ago", 90 * time.Minute: "1 h ago", 24 * time.Hour: "1 day ago", 72 * time.Hour: "3 days ago",
		-5 * time.Minute: "in 5 min", -25 * time.Hour: "in 1 day",
	} {
		if got := ago(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestSortLinks(t *testing.T) {
	body := get(t, site(t, calm(), signin.Viewer), "/orgs?sort=-drifted&q=acme&after=acme-emea.okta.com").Body.String()
	for _, want := range []string{
		`aria-sort="descending"><a href="/orgs?q=acme&amp;sort=drifted">Drift</a>`, `<th scope="col"><a href="/orgs?q=acme&amp;sort=domain">Org</a>`,
		`href="/orgs.csv?q=acme&amp;sort=-drifted"`, `<input type="hidden" name="sort" value="-drifted">`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in:\n%s", want, body)
		}
	}
}

func BenchmarkFirstByte(b *testing.B) {
	h := site(b, large(5000), signin.Operator)
	for _, path := range paths {
		b.Run(path, func(b *testing.B) {
			for b.Loop() {
				get(b, h, path)
			}
		})
	}
}
