package aerial

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestNextLink(t *testing.T) {
	const a = "https://a.test/orgs?after=x&limit=100"
	for _, tt := range []struct {
		name    string
		headers []string
		next    string
		err     string
	}{
		{name: "no header"},
		{name: "empty header", headers: []string{""}},
		{name: "only commas", headers: []string{" , ,, "}},
		{name: "next", headers: []string{`<` + a + `>; rel="next"`}, next: a},
		{name: "several headers", headers: []string{`<s>; rel="self"`, `<` + a + `>; rel="next"`}, next: a},
		{name: "one header with commas", headers: []string{`<s>; rel="self", <p>; rel="prev",<` + a + `>;rel="next"`}, next: a},
		{name: "comma and semicolon inside the URL", headers: []string{`<https://a.test/?q=a,b;c>; rel="next", <s>; rel="self"`}, next: "https://a.test/?q=a,b;c"},
		{name: "comma, > and quote inside a quoted parameter", headers: []string{`<s>; title="a, <b>; rel=\"next\""; rel="self", <n>; rel="next"`}, next: "n"},
		{name: "several relations", headers: []string{`<n>; rel="last  next"`}, next: "n"},
		{name: "relation without quotes", headers: []string{`<n>; rel=next`}, next: "n"},
		{name: "case means nothing", headers: []string{`<n>; REL="NeXt"`}, next: "n"},
		{name: "rel after other parameters", headers: []string{`<n>; title*=UTF-8''x; crossorigin; type="text/html";rel="next"`}, next: "n"},
		{name: "spaces and tabs wherever they may be", headers: []string{"  <n>\t; rel =\t\"next\" ; x  , <s> ; rel=self"}, next: "n"},
		{name: "empty parameters", headers: []string{`<n>;; rel=next;`}, next: "n"},
		{name: "only the first rel counts", headers: []string{`<n>; rel="self"; rel="next"`}},
		{name: "a link about something else", headers: []string{`<n>; rel="next"; anchor="/other"`}},
		{name: "next is a whole word", headers: []string{`<n>; rel="nextish", <m>; rel="x-next"`}},
		{name: "the same twice", headers: []string{`<n>; rel=next`, `<n>; rel=next`}, next: "n"},
		{name: "two different ones", headers: []string{`<n>; rel=next, <m>; rel=next`}, err: "the Link headers name two different next pages"},
		{name: "empty URL", headers: []string{`<>; rel=next`}, err: "the Link header names an empty next page"},
		{name: "no brackets", headers: []string{`https://a.test/; rel=next`}, err: `malformed Link header: expected a URL in <> at "https://a.test/; rel…"`},
		{name: "URL without end", headers: []string{`<https://a.test/; rel="next"`}, err: "malformed Link header: a URL has no closing >"},
		{name: "quote without end", headers: []string{`<n>; rel="next`}, err: "malformed Link header: a quote is not closed"},
		{name: "quote that ends in a backslash", headers: []string{`<n>; rel="next\`}, err: "malformed Link header: a quote is not closed"},
		{name: "no comma between links", headers: []string{`<n>; rel="next" <m>; rel="self"`}, err: `malformed Link header: expected a comma before "<m>; rel=\"self\""`},
		{name: "rubbish after a quote", headers: []string{`<n>; rel="next"x`}, err: `malformed Link header: expected a comma before "x"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			next, err := nextLink(&url.URL{Path: "/acc/api/v1/orgs"}, http.Header{"Link": tt.headers})
			if got := fmt.Sprint(err); err != nil && got != tt.err || err == nil && tt.err != "" {
				t.Fatalf("error = %v, want %q", err, tt.err)
			}
			if next != tt.next {
				t.Errorf("next = %q, want %q", next, tt.next)
			}
		})
	}
}

func TestFollow(t *testing.T) {
	from, _ := url.Parse("https://Aerial.test/acc/api/v1/orgs?limit=100")
	c := &Client{base: from.JoinPath("../..")}
	for _, tt := range []struct {
		target string
		next   string // empty: refused
	}{
		{"https://aerial.test/acc/api/v1/orgs?after=a%2Fb+c%20d&limit=100", "https://aerial.test/acc/api/v1/orgs?after=a%2Fb+c%20d&limit=100"},
		{"https://aerial.test/a%2Fb/orgs?after=1#frag", "https://aerial.test/a%2Fb/orgs?after=1"},
		{"HTTPS://AERIAL.TEST:443/x", "https://AERIAL.TEST:443/x"},
		{"/elsewhere?after=1", "https://Aerial.test/elsewhere?after=1"},
		{"?after=1", "https://Aerial.test/acc/api/v1/orgs?after=1"},
		{"https://evil.test/acc/api/v1/orgs", ""},
		{"https://aerial.test.evil.test/", ""},
		{"//evil.test/acc", ""},
		{"http://aerial.test/acc", ""},
		{"https://aerial.test:8443/acc", ""},
		{"https://user:pw@aerial.test/acc", ""},
		{"https://aerial.test@evil.test/acc", ""},
		{"https:opaque", ""},
		{"javascript:alert(1)", ""},
		{"https://[::1", ""},
		{"https://aerial.test/%zz", ""},
		{"\x7f", ""},
	} {
		u, err := c.follow(from, tt.target)
		switch {
		case err != nil && tt.next != "":
			t.Errorf("%q: %v", tt.target, err)
		case err == nil && u.String() != tt.next:
			t.Errorf("%q: followed to %q, want %q", tt.target, u, tt.next)
		case err != nil && strings.Contains(err.Error(), "pw"):
			t.Errorf("%q: the error tells the password: %v", tt.target, err)
		}
	}
}
