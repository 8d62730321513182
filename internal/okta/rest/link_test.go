package rest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

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
