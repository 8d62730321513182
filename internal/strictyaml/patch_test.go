package strictyaml

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"
)

// at returns the value at a path of keys and indices.
func (p *Patch) at(path ...any) *Node {
	n := p.docs[0]
	for _, step := range path {
		switch s := step.(type) {
		case string:
			n = n.Get(s)
		case int:
			n = n.Items()[s]
		}
	}
	return n
}

// only returns for each of n items whether it is not among the others.
func only(n int, removed ...int) []bool {
	keep := make([]bool, n)
	for i := range keep {
		keep[i] = true
	}
	for _, i := range removed {
		keep[i] = false
	}
	return keep
}

func TestPatch(t *testing.T) {
	items := func(n int, removed []int, add ...string) func(*Patch) {
		return func(p *Patch) { p.at("list").SetItems(only(n, removed...), add) }
	}
	tests := []struct {
		name, in, out string
		change        func(*Patch)
	}{
		{"an item of brackets", "list: [a, b, c] # of\n", "list: [a, c] # of\n", items(3, []int{1})},
		{"the first", "list: [a, b, c]\n", "list: [b, c]\n", items(3, []int{0})},
		{"the last", "list: [ a, b,  c ]\n", "list: [ a, b ]\n", items(3, []int{2})},
		{"the last two, and one more", "list: [a, b, c]\n", "list: [a, x]\n", items(3, []int{1, 2}, "x")},
		{"all", "list: [a, b]\n", "list: []\n", items(2, []int{0, 1})},
		{"all for another", "list: [a, b]\n", "list: [x]\n", items(2, []int{0, 1}, "x")},
		{"a comma at the end", "list: [a, b,]\n", "list: [a, x,]\n", items(2, []int{1}, "x")},
		{"into empty brackets", "list: []\n", "list: [x, z]\n", items(0, nil, "x", "z")},
		{"quoted as the others", "list: ['a', 'b']\n", "list: ['a', 'b', 'x']\n", items(2, nil, "x")},
		{
			"brackets of several lines", "list: [\n  a, # one\n  b, # two\n  c  # three\n]\n", "list: [\n  a, # one\n  # two\n  c  # three\n]\n",
			items(3, []int{1}),
		},
		{
			"the last of several lines", "list: [\n  a, # one\n  b, # two\n  c  # three\n]\n", "list: [\n  a, # one\n  b, x # two\n  # three\n]\n",
			items(3, []int{2}, "x"),
		},
		{"an item of a block", "list:\n  - a\n\n  - b # why\n  - c\n", "list:\n  - a\n\n  # why\n  - c\n", items(3, []int{1})},
		{"added to a block", "list:\n- a\n- b # why\n# of c\nc: 1\n", "list:\n- a\n- b # why\n- x\n# of c\nc: 1\n", items(2, nil, "x")},
		{"a block to nothing", "list: # of\n  - a # one\n  - b\nc: 1\n", "list: [] # of\n  # one\nc: 1\n", items(2, []int{0, 1})},
		{"a block to others", "list:\n  - a # one\n  - b\nc: 1\n", "list:\n  - x\n  # one\nc: 1\n", items(2, []int{0, 1}, "x")},
		{"no line break at the end", "list:\n  - a\n  - b", "list:\n  - a\n  - b\n  - x", items(2, nil, "x")},
		{"line breaks of Windows", "list:\r\n  - a # 1\r\n  - b\r\n", "list:\r\n  # 1\r\n  - b\r\n  - x\r\n", items(2, []int{0}, "x")},
		{"a byte order mark", "\ufefflist: [ä, b]\n", "\ufefflist: [b]\n", items(2, []int{0})},
		{"an alias", "a: &x [ä]\nlist: [*x , b]\n", "a: &x [ä]\nlist: [b]\n", items(2, []int{0})},
		{"a value", "a: 'x' # of\nb: 1\n", "a: 'y' # of\nb: 1\n", func(p *Patch) { p.at("a").Replace("y") }},
		{"a value with an anchor", "a: &x old\nb: *x\n", "a: &x new\nb: *x\n", func(p *Patch) { p.at("a").Replace("new") }},
		{"an alias for a value", "a: &x old\nb: *x # of\n", "a: &x old\nb: new # of\n", func(p *Patch) { p.at("b").Replace("new") }},
		{"a text of several lines", "a: | # of\n  x\n    # no comment\n\nb: 1\n", "# of\na: z\n\nb: 1\n", func(p *Patch) { p.at("a").Replace("z") }},
		{"a text over several lines", "a: x y\n  z # of\nb: 1\n", "a: 1 # of\nb: 1\n", func(p *Patch) { p.at("a").Replace(1.0) }},
		{"a block for a list", "a:\n  # in\n  - x # of\n  - y\nb: 1\n", "a: [1]\n  # in\n  # of\nb: 1\n", func(p *Patch) { p.at("a").Replace([]any{1.0}) }},
		{"a key", "o:\n- a: 1 # of\n  b: 2\n", "o:\n- a: 1 # of\n  x: new\n  b: 2\n", func(p *Patch) { p.at("o", 0).Add("x", "new", "z", "a") }},
		{"a key at the end", "o:\n- a: 1\n  b: |\n    x\n\n# of c\nc: 1\n", "o:\n- a: 1\n  b: |\n    x\n  x: new\n\n# of c\nc: 1\n", func(p *Patch) { p.at("o", 0).Add("x", "new") }},
		{"a key in braces", "o: [{a: 1, b: 2}]\n", "o: [{a: 1, x: [z], b: 2}]\n", func(p *Patch) { p.at("o", 0).Add("x", "[z]", "a") }},
		{"a key removed", "a: 1\nb: # of\n  - x # why\nc: 1\n", "a: 1\n# of\n# why\nc: 1\n", func(p *Patch) { p.at().Remove("b") }},
		{"a key behind a dash removed", "o:\n- a: 1 # of\n  b: 2\n", "o:\n- # of\n  b: 2\n", func(p *Patch) { p.at("o", 0).Remove("a") }},
		{"a key in braces removed", "o: {a: 1, b: {c: 2}, d: 3}\n", "o: {a: 1, d: 3}\n", func(p *Patch) { p.at("o").Remove("b") }},
		{"an item of several lines", "o:\n  - a: 1\n", "o:\n  - a: 1\n  - b: 2\n    c: 3\n", func(p *Patch) { p.at("o").AddItem([]string{"b: 2", "c: 3"}) }},
		{"another document", "a: 1\n---\nb: [x]\n", "a: 1\n---\nb: []\n", func(p *Patch) { p.docs[1].Get("b").SetItems([]bool{false}, nil) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := NewPatch("f.yaml", []byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			tt.change(p)
			got, err := p.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.out, string(got)); diff != "" {
				t.Errorf("(-wanted +got):\n%s", diff)
			}
			if _, err := parse("f.yaml", got); err != nil {
				t.Error(err)
			}
		})
	}
}

// Two changes of one place are an error, and nothing is lost by it.
func TestPatchOverlap(t *testing.T) {
	p, err := NewPatch("f.yaml", []byte("a: 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	p.at("a").Replace("x")
	p.at("a").Replace("y")
	if got, err := p.Bytes(); err == nil {
		t.Errorf("%q", got)
	}
	if p.Reset(); p.Changed() {
		t.Error("still changed")
	}
}

// The parts of a text are found where they are: each value that is cut out reads as it
// did in its place.
func TestPatchSpans(t *testing.T) {
	texts := map[string]string{"odd": "a: &x !!str é # c\nb: [ 'it''s', \"q\\\"#\", it's, {a: b, c}, [ ] , ü: 1 ]\nc: >-\n  folded\n  text\n\nd:\n- |2\n    more\n   text\n- plain text\n  over lines\n\n  and more\ne: {}\n\"f\": *x\n"}
	files, err := filepath.Glob("../../examples/*/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, "../../examples/orgs.yaml")
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		texts[f] = string(data)
	}
	for name, text := range texts {
		for _, data := range []string{text, strings.ReplaceAll(text, "\n", "\r\n"), "\ufeff" + text} {
			p, err := NewPatch(name, []byte(data))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, doc := range p.docs {
				checkSpans(t, p, doc.node)
			}
		}
	}
}

func checkSpans(t *testing.T, p *Patch, n *yaml.Node) {
	t.Helper()
	from, to := p.begin(n), p.end(n)
	if from > to || to > len(p.data) {
		t.Fatalf("%s:%d:%d: from %d to %d", p.file, n.Line, n.Column, from, to)
	}
	part := string(p.data[from:to])
	if n.Kind == yaml.AliasNode {
		if part != "*"+n.Value {
			t.Errorf("%s:%d:%d: %q", p.file, n.Line, n.Column, part)
		}
		return
	}
	for _, c := range n.Content {
		checkSpans(t, p, c)
	}
	if strings.Contains(part, "*") || n.Kind != yaml.ScalarNode && !p.inBrackets(n) || n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 || n.Value == "" && n.Kind == yaml.ScalarNode && n.Style == 0 {
		return
	}
	var got yaml.Node
	if err := yaml.Unmarshal([]byte("- "+part), &got); err != nil {
		t.Errorf("%s:%d:%d: %q: %v", p.file, n.Line, n.Column, part, err)
		return
	}
	if a, b := shape(got.Content[0].Content[0]), shape(n); a != b {
		t.Errorf("%s:%d:%d: %q reads as %s, not %s", p.file, n.Line, n.Column, part, a, b)
	}
}

func shape(n *yaml.Node) string {
	s := fmt.Sprintf("%d%q(", n.Kind, n.Value)
	for _, c := range n.Content {
		s += shape(c)
	}
	return s + ")"
}

// Whatever items are taken from lists in any style, and put there, the result has just
// these, and all comments.
func TestPatchItemsProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 5).Draw(t, "items")
		text, eol := "before: 1\nlist:", "\n"
		comments := 0
		comment := func() string {
			if !rapid.Bool().Draw(t, "comment") {
				return ""
			}
			comments++
			return fmt.Sprintf(" # c%d.", comments)
		}
		block := n > 0 && rapid.Bool().Draw(t, "block")
		lines := rapid.Bool().Draw(t, "lines")
		if !block {
			text += " ["
		}
		for i := range n {
			item := rapid.SampledFrom([]string{"w%d", "'w%d'", `"w%d"`, "{a: w%d}", "w %d", "[w%d, x]"}).Draw(t, "item")
			item = fmt.Sprintf(item, i)
			switch {
			case block:
				if rapid.Bool().Draw(t, "gap") {
					text += "\n   " + comment()
				}
				text += "\n  - " + item + comment()
			case lines:
				text += comment() + "\n    " + item
				if i < n-1 {
					text += "," + comment()
				}
			case i > 0:
				text += ", " + item
			default:
				text += item
			}
		}
		if !block {
			if lines {
				text += comment() + "\n  "
			}
			text += "]" + comment()
		}
		text += "\n\n# last\nafter: 2\n"
		if rapid.Bool().Draw(t, "crlf") {
			eol = "\r\n"
			text = strings.ReplaceAll(text, "\n", eol)
		}
		p, err := NewPatch("f.yaml", []byte(text))
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		list := p.at("list")
		keep := make([]bool, n)
		var wanted []string
		for i, item := range list.Items() {
			if keep[i] = rapid.Bool().Draw(t, "keep"); keep[i] {
				wanted = append(wanted, shape(item.node))
			}
		}
		add := rapid.SampledFrom([][]string{nil, {"new"}, {"new 1", "2"}}).Draw(t, "add")
		for _, s := range add {
			wanted = append(wanted, shape(&yaml.Node{Kind: yaml.ScalarNode, Value: s}))
		}
		list.SetItems(keep, add)
		got, err := p.Bytes()
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		q, err := NewPatch("f.yaml", got)
		if err != nil {
			t.Fatalf("%v\n%q\n%q", err, text, got)
		}
		var have []string
		for _, item := range q.at("list").Items() {
			have = append(have, shape(item.node))
		}
		if diff := cmp.Diff(wanted, have); diff != "" {
			t.Fatalf("%s\n%q\n%q", diff, text, got)
		}
		for i := range comments {
			if !strings.Contains(string(got), fmt.Sprintf("# c%d.", i+1)) {
				t.Fatalf("comment %d is lost:\n%q\n%q", i+1, text, got)
			}
		}
		if strings.Count(string(got), "\n") != strings.Count(string(got), eol) || q.at("after").Text() != "2" || !strings.Contains(string(got), eol+"# last"+eol) {
			t.Fatalf("%q\n%q", text, got)
		}
	})
}
