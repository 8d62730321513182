package page

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/diff"
	"reconciler/internal/reconcile"
	"reconciler/internal/state"
	"reconciler/internal/store/history"
)

func serve(t testing.TB, source Source) http.Handler {
	t.Helper()
	p, err := New(Options{Source: source, Now: func() time.Time { return noon }, Query: testQuery, Failure: testFailure})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	p.Register(mux)
	return mux
}

func fetch(t testing.TB, h http.Handler, path string, code int) string {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	if w.Code != code {
		t.Fatalf("%s: status %d, want %d: %.500s", path, w.Code, code, w.Body)
	}
	return w.Body.String()
}

var details = map[string]string{
	"org-drifted":     "/orgs/acme-emea.okta.com",
	"org-unknown":     "/orgs/ACME-labs.okta.com",
	"org-unmanaged":   "/orgs/sso.example.com",
	"org-missing":     "/orgs/acme-new.okta.com",
	"org-in-sync":     "/orgs/acme-apac.okta.com",
	"run-partial":     "/runs/20261121T104655Z-bbbbbb",
	"run-failed":      "/runs/20261121T100000Z-failed",
	"run-queued":      "/runs/20261121T120000Z-queued",
	"run-running":     "/runs/20261121T120000Z-running",
	"matrix-products": "/matrix/products",
	"matrix-objects":  "/matrix/networkZones",
	"features":        "/features",
}

// mainOf returns what a page is about, without the frame.
func mainOf(t testing.TB, page string) string {
	t.Helper()
	_, main, found := strings.Cut(page, `<main id="main"`)
	main, _, end := strings.Cut(main, "</main>")
	if !found || !end {
		t.Fatalf("the page has no main element: %.1000s", page)
	}
	_, main, _ = strings.Cut(main, ">")
	return strings.TrimSpace(main) + "\n"
}

func TestDetails(t *testing.T) {
	h := serve(t, anAccount())
	for name, path := range details {
		t.Run(name, func(t *testing.T) {
			page := fetch(t, h, path, http.StatusOK)
			checkHTML(t, name, []byte(page))
			got := mainOf(t, page)
			file := filepath.Join("testdata", name+".html")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

var hrefs = regexp.MustCompile(`(?:href|action)="(/[^"]*)"`)

// Each link to a page of the daemon leads to one.
func TestDetailLinks(t *testing.T) {
	h := serve(t, anAccount())
	seen := map[string]bool{}
	for _, path := range details {
		for _, m := range hrefs.FindAllStringSubmatch(fetch(t, h, path, http.StatusOK), -1) {
			to := strings.ReplaceAll(strings.ReplaceAll(m[1], "&amp;", "&"), "&#43;", "+")
			if seen[to] {
				continue
			}
			seen[to] = true
			if u, err := url.Parse(to); err != nil || u.Path == "/orgs/acme-parent.okta.com" || strings.HasPrefix(u.Path, "/runs/2026112") && u.Path != details["run-partial"] {
				continue // an org and runs that this account doesn't have
			}
			fetch(t, h, to, http.StatusOK)
		}
	}
	if len(seen) < 30 {
		t.Errorf("only %d links", len(seen))
	}
}

func TestDetailsMissing(t *testing.T) {
	f := anAccount()
	h := serve(t, f)
	for path, want := range map[string]string{
		"/orgs/nobody.okta.com":        "no org nobody.okta.com is declared",
		"/orgs/%3Cscript%3Ex.okta.com": "no org &lt;script&gt;x.okta.com is declared",
		"/runs/none":                   "no run none is known",
		"/matrix/none":                 "no org has objects of a kind none",
	} {
		if page := fetch(t, h, path, http.StatusNotFound); !strings.Contains(page, want) {
			t.Errorf("%s: no %q", path, want)
		}
	}
	f.err = errors.New("the history is damaged")
	for name, path := range details {
		if page := fetch(t, h, path, http.StatusInternalServerError); !strings.Contains(page, "the history is damaged") {
			t.Errorf("%s doesn't say what is wrong", name)
		}
	}
}

// However large the fleet is, no page is.
func TestDetailSizes(t *testing.T) {
	const most = 300 << 10
	f := aFleet(5000, 30)
	h := serve(t, f)
	for _, path := range []string{
		"/matrix/products", "/matrix/products?column=26", "/matrix/products?column=999", "/matrix/networkZones", "/features", "/runs/large", "/orgs/acme-0000.okta.com",
	} {
		began := time.Now()
		page := fetch(t, h, path, http.StatusOK)
		t.Logf("%s: %d KB, %v", path, len(page)>>10, time.Since(began).Round(time.Millisecond))
		if len(page) > most {
			t.Errorf("%s has %d bytes", path, len(page))
		}
	}
	page := fetch(t, h, "/matrix/products?column=26", http.StatusOK)
	for _, want := range []string{"columns 26 to 30 of 30", `<a rel="prev" href="/matrix/products?column=1">`, `href="/matrix/products?after=acme-0099.okta.com"`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q", want)
		}
	}
	if n := strings.Count(page, `<th scope="row"><a href="/orgs/`); n != 100 {
		t.Errorf("%d orgs", n)
	}
}

// What others wrote is shown and does nothing.
func TestDetailInjection(t *testing.T) {
	const bad = "<script>alert(1)</script>\"'\u202e\x1b[31m"
	f := anAccount()
	d := f.details["acme-emea.okta.com"]
	d.Name, d.Owner, d.Cell, d.ID, d.Labels = bad, bad, bad, bad, map[string]string{bad: bad}
	d.DeclaredAt, d.CommitLink = &reconcile.Place{File: bad, Line: 1, Link: "javascript:alert(1)"}, "javascript:alert(1)"
	d.Suspensions[0].Reason, d.Suspensions[0].Owner = bad, bad
	for i := range d.Drift {
		d.Drift[i].Field, d.Drift[i].Blocked, d.Drift[i].Error, d.Drift[i].Hint = bad, bad, bad, bad
		d.Drift[i].Cause = &history.Cause{Actor: bad, Address: bad, Doubt: bad}
	}
	for i := range d.Objects {
		d.Objects[i].Object, d.Objects[i].Type, d.Objects[i].Kind = bad, bad, bad
	}
	for i := range d.History {
		e := &d.History[i]
		e.Action, e.Reason, e.By, e.Run, e.Error, e.Field, e.Commit, e.Outcome = bad, bad, bad, bad, bad, bad, bad, bad
	}
	run := f.infos["20261121T104655Z-bbbbbb"]
	rec := run.RunRecord
	rec.RequestedBy, rec.Signer, rec.Commit, rec.Head, rec.Digest = bad, bad, bad, bad, bad
	rec.Problem = &reconcile.Problem{Error: bad, Hint: bad}
	run.By, run.Command = bad, bad
	for i := range run.Entries {
		e := &run.Entries[i]
		e.Org, e.Error, e.ErrorID, e.RequestID, e.RequestIDs, e.Object = bad, bad, bad, bad, []string{bad}, bad
	}
	for i := range run.Log {
		run.Log[i].Message, run.Log[i].Attributes = bad, map[string]string{bad: bad}
	}
	for i := range run.Plan.Changes {
		run.Plan.Changes[i].Org, run.Plan.Changes[i].Blocked = bad, bad
	}
	for i := range f.orgs {
		f.orgs[i].Domain = bad
	}
	for i := range f.products {
		f.products[i].Name = bad
	}
	for i := range f.features {
		f.features[i].Features, f.features[i].Unknown = append(f.features[i].Features, f.features[0].Features[0]), bad
		f.features[i].Parent = bad
	}
	f.features[1].Unknown = ""
	f.features[1].Features[0].Feature = bad
	h := serve(t, f)
	for name, path := range details {
		page := fetch(t, h, path, http.StatusOK)
		checkHTML(t, name, []byte(page))
		if strings.Contains(page, "<script>alert") || strings.ContainsAny(page, "\u202e\x1b") || strings.Contains(page, `="javascript:`) {
			t.Errorf("%s has it live", name)
		}
		if name == "org-drifted" || name == "run-partial" || name == "matrix-products" || name == "features" {
			if !strings.Contains(page, "&lt;script&gt;") || !strings.Contains(page, `\u202e`) {
				t.Errorf("%s hides it", name)
			}
		}
	}
}

func TestProductCell(t *testing.T) {
	o := func(policy state.ProductPolicy, declared, live []string) reconcile.OrgItem {
		return reconcile.OrgItem{Managed: true, Status: state.Active, State: reconcile.InSync, ProductPolicy: policy, DeclaredProducts: declared, Products: live}
	}
	some, none := []string{"P1"}, []string{}
	unread, unmanaged := o(state.Exact, some, some), reconcile.OrgItem{Status: state.Active, State: reconcile.Unmanaged, Products: some}
	unread.State = reconcile.Unknown
	for name, test := range map[string]struct {
		org  reconcile.OrgItem
		want cell
	}{
		"as declared":     {o(state.Exact, some, some), cellSame},
		"missing":         {o(state.Exact, some, none), cellAdd},
		"too much":        {o(state.Exact, none, some), cellRemove},
		"additive":        {o(state.Additive, none, some), cellUnmanaged},
		"ignored":         {o(state.Ignore, nil, some), cellUnmanaged},
		"neither":         {o(state.Exact, none, none), cellNone},
		"not read":        {o(state.Ignore, nil, nil), cellUnknown},
		"unreadable":      {unread, cellUnknown},
		"of nobody's org": {unmanaged, cellUnmanaged},
	} {
		if got := productCell(&test.org, "P1"); got != test.want {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
}

func TestConsole(t *testing.T) {
	for domain, want := range map[string]string{
		"acme.okta.com":          "https://acme-admin.okta.com",
		"acme-x.oktapreview.com": "https://acme-x-admin.oktapreview.com",
		"acme.okta-emea.com":     "https://acme-admin.okta-emea.com",
		"login.acme.example":     "",
		"a.b.okta.com":           "",
		"okta.com":               "",
		"x@evil.okta.com":        "",
	} {
		if got := console(domain); got != want {
			t.Errorf("%s: %q, want %q", domain, got, want)
		}
	}
}

func TestNextStep(t *testing.T) {
	f := anAccount()
	s := f.Status()
	s.Mode = state.Report
	for want, d := range map[string]reconcile.Drift{
		"try again":              {Hint: "try again", Blocked: "protected"},
		"take it away in Okta":   {Blocked: "protected"},
		"wait for the end":       {Blocked: `suspended by "bob" (no end given): audit`},
		"":                       {Blocked: "freeze window until 2026-11-22T06:00:00Z"},
		"see why the org":        {Old: true},
		"take the change back":   {},
		"buy the product":        {Blocked: "not subscribed: P1"},
		"declare the org ACTIVE": {Blocked: "the Aerial org is never deactivated"},
		"set mode: apply":        {Blocked: "mode: report"},
	} {
		if got := nextStep(&s, &d); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%+v: %q, want %q", d, got, want)
		}
	}
	s.Mode, s.Refusals = state.Apply, []diff.Refusal{{Guard: "maxDestructiveOrgs", Message: "too many"}}
	if got := nextStep(&s, &reconcile.Drift{}); got != "too many" {
		t.Errorf("a refusal: %q", got)
	}
}
