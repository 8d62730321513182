package aerial

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/state"
)

const orgsPath = "/" + testAccount + "/api/v1/orgs"

// page answers with these orgs and a link to the next page, if there is one.
func page(orgs, next string) http.HandlerFunc {
	if next == "" {
		return reply(200, orgs)
	}
	return reply(200, orgs, "Link", `<http://aerial.test`+orgsPath+`?limit=100>; rel="self"`,
		"Link", `<`+next+`>; rel="next"`)
}

func ids(orgs []state.Org) string {
	all := make([]string, len(orgs))
	for i, o := range orgs {
		all[i] = o.ID + o.Name
	}
	return strings.Join(all, " ")
}

func TestOrgs(t *testing.T) {
	const at = "http://aerial.test" + orgsPath
	// endless makes a page of its own for each call: new orgs, or always the same.
	endless := func(orgs func(n int) string) http.HandlerFunc {
		n := 0
		return func(w http.ResponseWriter, r *http.Request) {
			n++
			page(orgs(n), at+"?after="+strconv.Itoa(n))(w, r)
		}
	}
	for _, tt := range []struct {
		name  string
		steps []http.HandlerFunc
		pages []string
		calls int
		err   string // after "listing the orgs: "
	}{
		{name: "no orgs", steps: []http.HandlerFunc{page("[]", "")}, pages: []string{""}, calls: 1,
			err: "the list is not whole: the Aerial org is always on it, and is not among the 0 orgs that came"},
		{name: "no Aerial org", steps: []http.HandlerFunc{page(`[{"id":"a","domain":"a.okta.com"},{"id":"b"}]`, "")}, pages: []string{"a b"}, calls: 1,
			err: "the list is not whole: the Aerial org is always on it, and is not among the 2 orgs that came"},
		{name: "Aerial org by its domain", steps: []http.HandlerFunc{page(`[{"id":"a","domain":"Aerial.okta.com"},{"id":"b"}]`, "")}, pages: []string{"a b"}, calls: 1},
		{name: "an org of another account", steps: []http.HandlerFunc{page(`[{"id":"a","accountId":"0200other"}]`, "")}, calls: 1,
			err: `the org "a" is of the account "0200other", but "` + testAccount + `" is configured`},
		{name: "two orgs with one id", steps: []http.HandlerFunc{page(`[{"id":"a","domain":"a.okta.com"},{"id":"a","domain":"b.okta.com"}]`, "")}, calls: 1,
			err: `two orgs have the id "a": "a.okta.com" and "b.okta.com"`},
		{name: "two orgs with one id on two pages", steps: []http.HandlerFunc{page(`[{"id":"a","domain":"a.okta.com"}]`, at+"?after=1"), page(`[{"id":"a","domain":"b.okta.com"}]`, "")},
			pages: []string{"a"}, calls: 2, err: `page 2: two orgs have the id "a": "a.okta.com" and "b.okta.com"`},
		{name: "one page", steps: []http.HandlerFunc{page(`[{"id":"b"},{"id":"a","aerialOrg":true}]`, "")}, pages: []string{"b a"}, calls: 1},
		{name: "three pages", steps: []http.HandlerFunc{page(`[{"id":"a","aerialOrg":true},{"id":"b"}]`, at+"?after=1"), page(`[{"id":"c"},{"id":"d"}]`, at+"?after=2"), page(`[{"id":"e"}]`, "")},
			pages: []string{"a b", "c d", "e"}, calls: 3},
		{name: "empty last page", steps: []http.HandlerFunc{page(`[{"id":"a","aerialOrg":true},{"id":"b"},{"id":"c"}]`, at+"?after=1"), page(`[]`, ""),
			page(`[{"id":"a","aerialOrg":true},{"id":"b"}]`, at+"?after=3"), page(`[{"id":"c"}]`, "")},
			pages: []string{"a b c", ""}, calls: 4},
		{name: "empty last page in place of another", steps: []http.HandlerFunc{page(`[{"id":"a","aerialOrg":true},{"id":"b"},{"id":"c"}]`, at+"?after=1"), page(`[]`, ""),
			page(`[{"id":"a","aerialOrg":true},{"id":"b"}]`, at+"?after=3"), page(`[{"id":"c"},{"id":"d"}]`, at+"?after=4"), page(`[{"id":"e"}]`, "")},
			pages: []string{"a b c", ""}, calls: 5,
			err: "the list is not whole: it ended like one that lost its next page, after 3 orgs, and read again it had 5"},
		{name: "a page again in place of the next", steps: []http.HandlerFunc{page(`[{"id":"a","aerialOrg":true},{"id":"b"},{"id":"c"}]`, at+"?after=1"),
			page(`[{"id":"a","aerialOrg":true},{"id":"b"},{"id":"c"}]`, ""), page(`[{"id":"a","aerialOrg":true},{"id":"b"}]`, ""),
		}, pages: []string{"a b c", ""}, calls: 3,
			err: "the list is not whole: it ended like one that lost its next page, after 3 orgs, and read again it had 2"},
		{name: "page shift, the same", steps: []http.HandlerFunc{page(`[{"id":"a","aerialOrg":true},{"id":"b"},{"id":"x"}]`, at+"?after=1"), page(`[{"id":"b"},{"id":"c"}]`, "")},
			pages: []string{"a b x", "c"}, calls: 2},
		{name: "page shift, changed", steps: []http.HandlerFunc{page(`[{"id":"a","aerialOrg":true},{"id":"b"},{"id":"x"}]`, at+"?after=1"), page(`[{"id":"b","name":"2"},{"id":"c"}]`, "")},
			pages: []string{"a b x", "b2 c"}, calls: 2},
		{name: "a page that fails and then doesn't", steps: []http.HandlerFunc{page(`[{"id":"a","aerialOrg":true},{"id":"c"}]`, at+"?after=1"), reply(500, ""), page(`[{"id":"b"}]`, "")},
			pages: []string{"a c", "b"}, calls: 3},
		{name: "a page that is refused", steps: []http.HandlerFunc{page(`[{"id":"a","aerialOrg":true}]`, at+"?after=1"), reply(403, forbiddenBody)},
			pages: []string{"a"}, calls: 2, err: "page 2: 403 E0000006 You do not have permission to perform the requested action (errorId oaeF)"},
		{name: "null", steps: []http.HandlerFunc{page("null", "")}, calls: 1, err: "the answer is null instead of a list"},
		{name: "null org", steps: []http.HandlerFunc{page(`[{"id":"a","aerialOrg":true},null]`, "")}, calls: 1, err: "org 2 has neither id nor domain"},
		{name: "org without id", steps: []http.HandlerFunc{page(`[{"domain":"x.okta.com"}]`, "")}, calls: 1, err: `the org "x.okta.com" has no id`},
		{name: "foreign next page", steps: []http.HandlerFunc{page(`[{"id":"a","aerialOrg":true}]`, "https://evil.test"+orgsPath+"?after=1")}, calls: 1,
			err: `the next page is on "https://evil.test", not on "http://aerial.test", and is not followed`},
		{name: "redirected page", steps: []http.HandlerFunc{page(`[{"id":"a","aerialOrg":true}]`, at+"?after=1"), reply(302, "", "Location", "https://evil.test/x")},
			pages: []string{"a"}, calls: 2, err: `page 2: 302 redirected to "https://evil.test"`},
		{name: "malformed link", steps: []http.HandlerFunc{reply(200, "[]", "Link", `<x; rel="next"`)}, calls: 1,
			err: "malformed Link header: a URL has no closing >"},
		{name: "next page is this page", steps: []http.HandlerFunc{page(`[{"id":"a","aerialOrg":true}]`, at+"?limit=100")}, pages: []string{"a"}, calls: 1,
			err: "the pages go in circles: the next one was read before"},
		{name: "next page is an earlier page", steps: []http.HandlerFunc{page(`[{"id":"a","aerialOrg":true}]`, at+"?after=1"), page(`[{"id":"b"}]`, at+"?limit=100")},
			pages: []string{"a", "b"}, calls: 2, err: "page 2: the pages go in circles: the next one was read before"},
		{name: "always the same page behind new links", steps: []http.HandlerFunc{endless(func(int) string { return `[{"id":"a","aerialOrg":true}]` })},
			pages: []string{"a", "", "", ""}, calls: 4, err: "page 4: the pages go in circles: 3 in a row brought nothing new"},
		{name: "empty pages without end", steps: []http.HandlerFunc{endless(func(int) string { return `[]` })},
			pages: []string{"", "", ""}, calls: 3, err: "page 3: the pages go in circles: 3 in a row brought nothing new"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := play(tt.steps...)
				var pages []string
				err := newClient(t, s, func(o *Options) { o.AerialDomain = "aerial.okta.com" }).Orgs(t.Context(), func(p []state.Org) error {
					pages = append(pages, ids(p))
					return nil
				})
				if tt.err != "" {
					tt.err = "listing the orgs: " + tt.err
				}
				if fmt.Sprint(err) != tt.err && (err != nil || tt.err != "") {
					t.Errorf("error = %v\nwant    %s", err, tt.err)
				}
				if d := cmp.Diff(tt.pages, pages); d != "" {
					t.Errorf("pages:\n%s", d)
				}
				if s.count() != tt.calls || s.calls[0] != "GET "+orgsPath+"?limit=100" {
					t.Errorf("calls = %q, want %d", s.calls, tt.calls)
				}
			})
		})
	}
}

// TestEndlessOrgs: a list that always has new orgs and a next page ends too.
func TestEndlessOrgs(t *testing.T) {
	n := 0
	c := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		page(fmt.Sprintf(`[{"id":"%d"}]`, n), fmt.Sprintf("http://aerial.test/?after=%d", n))(w, r)
	}), nil)
	err := c.Orgs(t.Context(), func([]state.Org) error { return nil })
	if want := "listing the orgs: page 1000: there is no end to it: gave up after 1000 pages"; fmt.Sprint(err) != want || n != 1000 {
		t.Errorf("error = %v after %d pages, want %s", err, n, want)
	}
}

// TestBounds: a list ends by the number of its entries and by the length of its
// pages too, long before it fills the memory.
func TestBounds(t *testing.T) {
	for _, tt := range []struct {
		name    string
		entries int // of a page
		limit   int64
		pages   int
		err     string
	}{
		{"entries", maxEntries/4 + 1, maxList, 4, "more than 100000 entries"},
		{"bytes", 1, 40, maxFull + 1, "more than 1000 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, id := 0, 0
			c, err := New(Options{URL: mustURL("http://aerial.test"), AccountID: testAccount,
				Transport: inProcess{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					n++
					orgs := make([]string, tt.entries)
					for i := range orgs {
						id++
						orgs[i] = fmt.Sprintf(`{"id":"%010d"}`, id)
					}
					body := fmt.Sprintf("%-40s", "["+strings.Join(orgs, ",")+"]")
					page(body, fmt.Sprintf("http://aerial.test/?after=%d", n))(w, r)
				})}})
			if err != nil {
				t.Fatal(err)
			}
			taken := 0
			err = eachPage(t.Context(), c, c.get(c.path("orgs"), "orgs", tt.limit), func(orgs []wireOrg) (bool, error) {
				taken += len(orgs)
				return true, nil
			})
			want := fmt.Sprintf("page %d: there is no end to it: gave up at %s", tt.pages, tt.err)
			if fmt.Sprint(err) != want || n != tt.pages || taken != (n-1)*tt.entries {
				t.Errorf("error = %v after %d pages and %d orgs\nwant    %s", err, n, taken, want)
			}
		})
	}
}

// TestOpaqueNext: the next page's URL is used as it came.
func TestOpaqueNext(t *testing.T) {
	const next = "/else/where%2Fthere?x=%7e;&after=a+b%20c&limit=7"
	s := play(page(`[{"id":"a","aerialOrg":true},{"id":"b"}]`, "http://AERIAL.test:80"+next), page(`[{"id":"c"}]`, ""))
	if err := newClient(t, s, nil).Orgs(t.Context(), func([]state.Org) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if s.calls[1] != "GET "+next {
		t.Errorf("second page: %q, want %q", s.calls[1], next)
	}
}

func TestOrgsStops(t *testing.T) {
	stop := errors.New("enough")
	s := play(page(`[{"id":"a"}]`, "?after=1"))
	err := newClient(t, s, nil).Orgs(t.Context(), func([]state.Org) error { return stop })
	if err != stop || s.count() != 1 {
		t.Errorf("error = %v after %d calls, want %v itself after 1", err, s.count(), stop)
	}
}

func TestFindOrg(t *testing.T) {
	pages := []http.HandlerFunc{
		page(`[{"id":"a","domain":"a.okta.com","aerialOrg":true},{"id":"b"}]`, "?after=1"),
		page(`[{"id":"c","domain":"C.okta.com"}]`, "?after=2"),
		page(`[{"id":"d","domain":"d.okta.com"}]`, ""),
		page(`[{"id":"e","domain":"e.oktapreview.com"},{"id":"f","domain":"e.OKTA.com"}]`, ""), // by the filter
	}
	for _, tt := range []struct {
		id, domain string
		found      string
		calls      int
	}{
		{"b", "", "b", 1},
		{"", "c.OKTA.com", "c", 2},
		{"c", "a.okta.com", "c", 2}, // the id counts where there is one
		{"x", "a.okta.com", "", 3},
		{"", "x.okta.com", "", 4},
		{"", "e.okta.com", "f", 4},
	} {
		s := play(pages...)
		org, err := newClient(t, s, nil).FindOrg(t.Context(), tt.id, tt.domain)
		if err != nil {
			t.Fatal(err)
		}
		found := ""
		if org != nil {
			found = org.ID
		}
		if found != tt.found || s.count() != tt.calls {
			t.Errorf("%q %q: found %q with %d calls, want %q with %d", tt.id, tt.domain, found, s.count(), tt.found, tt.calls)
		}
	}
	s := play(append(slices.Clone(pages[:3]), reply(400, `{"errorCode":"E0000031"}`))...)
	if org, err := newClient(t, s, nil).FindOrg(t.Context(), "", "e.okta.com"); err != nil || org != nil {
		t.Errorf("found %v, %v where nothing can be filtered", org, err)
	}
	s = play(append(slices.Clone(pages[:3]), reply(403, forbiddenBody))...)
	if org, err := newClient(t, s, nil).FindOrg(t.Context(), "", "e.okta.com"); err == nil || org != nil {
		t.Errorf("found %v, %v where the search is refused, want an error", org, err)
	}
	if want := "GET " + orgsPath + "?filter=subdomain+eq+%22e%22&limit=100"; s.calls[3] != want {
		t.Errorf("searched by %s, want %s", s.calls[3], want)
	}
	s = play(pages[0], reply(403, forbiddenBody))
	if org, err := newClient(t, s, nil).FindOrg(t.Context(), "x", ""); err == nil || org != nil {
		t.Errorf("found %v, %v on half a list, want an error", org, err)
	}
	s = play(page(`[]`, ""))
	if org, err := newClient(t, s, nil).FindOrg(t.Context(), "x", ""); err == nil || org != nil {
		t.Errorf("found %v, %v on an empty list, want an error", org, err)
	}
}

// TestFullLastPage: a list whose last page is full may have lost the link to the
// next one, and is read again with pages of another size.
func TestFullLastPage(t *testing.T) {
	for _, tt := range []struct {
		name       string
		orgs, size int // size is what the server puts on a page at most
		cut        bool
		calls      int
		err        string
	}{
		{"one full page", 100, 100, false, 1 + 2, ""},
		{"Okta's default page", 25, 100, false, 1 + 2, ""},
		{"several", 9900, 100, false, 99 + 102, ""},
		{"smaller pages than asked for", 80, 40, false, 2 + 3, ""},
		{"small pages", 12, 2, false, 6 + 12, ""},
		{"not full", 101, 100, false, 2, ""},
		{"cut", 250, 100, true, 2, "after 100 orgs, and read again it had 99"},
		{"cut to the default", 250, 25, true, 2, "after 25 orgs, and read again it had 24"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFleet(tt.orgs)
			f.pageSize, f.cut = tt.size, tt.cut
			c, err := New(Options{URL: mustURL("http://aerial.test"), AccountID: testAccount, Transport: inProcess{f}})
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			err = c.Orgs(t.Context(), func(page []state.Org) error {
				n += len(page)
				return nil
			})
			if tt.err == "" && (err != nil || n != tt.orgs) || tt.err != "" && !strings.Contains(fmt.Sprint(err), tt.err) {
				t.Errorf("%d orgs, error = %v, want %q", n, err, tt.err)
			}
			if f.count() != tt.calls {
				t.Errorf("%d calls, want %d", f.count(), tt.calls)
			}
		})
	}
}
