package aerial

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
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

// format writes a link as RFC 8288 has it, all values quoted.
func (l link) format(before, after string) string {
	rel := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(strings.Join(l.rels, " "))
	return "<" + l.target + ">" + before + `; rel="` + rel + `"` + after
}

func TestLinkRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		links := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) link {
			return link{
				target: rapid.StringMatching(`[!-=?-~]{0,30}`).Draw(t, "target"),
				rels:   rapid.SliceOfN(rapid.StringMatching(`[!-@\[-~]{1,8}`), 1, 3).Draw(t, "rels"),
			}
		}), 0, 4).Draw(t, "links")
		noise := rapid.SampledFrom([]string{"", " ", "\t;", "; x", `; title="a, \"b\" <c>; rel=next"`, "; y = z "})
		gap := rapid.SampledFrom([]string{",", ", ", " ,\t", ",,"})
		var b strings.Builder
		for i, l := range links {
			if i > 0 {
				b.WriteString(gap.Draw(t, "gap"))
			}
			b.WriteString(l.format(noise.Draw(t, "before"), noise.Draw(t, "after")))
		}
		parsed, err := parseLinks(b.String())
		if err != nil {
			t.Fatalf("%q: %v", b.String(), err)
		}
		if len(links) == 0 {
			links = nil
		}
		if d := cmp.Diff(links, parsed, cmp.AllowUnexported(link{})); d != "" {
			t.Fatalf("%q:\n%s", b.String(), d)
		}
	})
}

func FuzzParseLinks(f *testing.F) {
	for _, s := range []string{
		"", ",", `<https://a.test/?after=x,y>; rel="next", <s>; rel=self`, `<n>; rel="a b"; anchor="x"`,
		`<n>; rel="next\"`, `<n`, `<n>x`, `<n>; title*=UTF-8''%e2%82%ac; rel=next`, "<\x00>;=\";rel=\xff",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		links, err := parseLinks(s)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("the error has more than one line: %q", err)
			}
			return
		}
		again := make([]string, len(links))
		for i, l := range links {
			if !strings.Contains(s, "<"+l.target+">") {
				t.Errorf("%q: made up the target %q", s, l.target)
			}
			again[i] = l.format("", "")
		}
		// What was understood is understood again when written properly, and
		// cutting a header in two between links changes nothing.
		var twice []link
		for _, a := range again {
			one, err := parseLinks(a)
			if err != nil {
				t.Fatalf("%q, rewritten %q: %v", s, a, err)
			}
			twice = append(twice, one...)
		}
		opt := cmp.AllowUnexported(link{})
		if d := cmp.Diff(normal(links), normal(twice), opt); d != "" {
			t.Errorf("%q, rewritten one by one:\n%s", s, d)
		}
		joined, err := parseLinks(strings.Join(again, ", "))
		if err != nil {
			t.Fatalf("%q, rewritten: %v", s, err)
		}
		if d := cmp.Diff(normal(links), normal(joined), opt); d != "" {
			t.Errorf("%q, rewritten:\n%s", s, d)
		}
	})
}

// normal makes nil and empty lists of relations the same.
func normal(links []link) []link {
	out := make([]link, 0, len(links))
	for _, l := range links {
		if l.rels == nil {
			l.rels = []string{}
		}
		out = append(out, l)
	}
	return out
}
