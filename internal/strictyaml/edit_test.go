package strictyaml

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// orgs are the paths of the mappings that the tests change.
var orgs = [][]string{{"orgs", "*", "config", "settings"}, {"shared"}}

func TestEdit(t *testing.T) {
	set := func(key string, lines ...string) func(Block) { return func(b Block) { b.Set(key, lines) } }
	remove := func(key string) func(Block) { return func(b Block) { b.Remove(key) } }
	tests := []struct {
		name, in, out string
		change        func(first Block)
	}{
		{
			"a new key stands last, before what follows",
			"orgs:\n  - domain: a # first\n    list:\n    - x\n    # last\n\n  # of b\n  - domain: b\n",
			"orgs:\n  - domain: a # first\n    list:\n    - x\n    # last\n    new:\n      - 1\n\n  # of b\n  - domain: b\n",
			set("new", "new:", "  - 1"),
		},
		{
			"behind a text of several lines",
			"orgs:\n- domain: a\n  text: |\n    # no comment\n\n    more\n- domain: b\n",
			"orgs:\n- domain: a\n  text: |\n    # no comment\n\n    more\n  new: 1\n- domain: b\n",
			set("new", "new: 1"),
		},
		{
			"behind brackets that end at the margin",
			"orgs:\n- domain: a\n  list: [\n    x\n  ]\n- domain: b\n",
			"orgs:\n- domain: a\n  list: [\n    x\n  ]\n  new: 1\n- domain: b\n",
			set("new", "new: 1"),
		},
		{
			"no line break at the end",
			"orgs:\n- domain: a",
			"orgs:\n- domain: a\n  new: 1\n",
			set("new", "new: 1"),
		},
		{
			"a value is replaced with the comments in it",
			"orgs:\n- domain: a\n  old:\n    # inside\n    x: 1\n  # behind\n  z: 2\n",
			"orgs:\n- domain: a\n  old: 3\n  # behind\n  z: 2\n",
			set("old", "old: 3"),
		},
		{
			"a value behind a dash is replaced",
			"orgs:\n  - old: {x: 1}\n    domain: a\n",
			"orgs:\n  - old: 3\n    domain: a\n",
			set("old", "old: 3"),
		},
		{"a key is removed", "orgs:\n- domain: a\n  old:\n  - 1\n  z: 2\n", "orgs:\n- domain: a\n  z: 2\n", remove("old")},
		{"a key behind a dash is removed", "orgs:\n  - old:\n      x: 1\n\n    domain: a\n    z: 2\n", "orgs:\n  - domain: a\n    z: 2\n", remove("old")},
		{"a key that isn't there is removed", "orgs:\n- domain: a\n", "orgs:\n- domain: a\n", remove("old")},
		{
			"line breaks of Windows",
			"orgs:\r\n- domain: a\r\n  z: 1\r\n",
			"orgs:\r\n- domain: a\r\n  z: 1\r\n  new: 1\r\n",
			set("new", "new: 1"),
		},
		{
			"flow style is written anew",
			"# top\nversion: 1\norgs: [{domain: a, z: [1, 2]}]\n",
			"# top\nversion: 1\norgs:\n  - domain: a\n    z: [1, 2]\n    new: 1\n",
			set("new", "new: 1"),
		},
		{
			"comments are removed but for those in a value",
			"orgs:\n- domain: a\n  # mine: x\n  config:\n    # mine: y\n    z: 1\n  # mine: z\n",
			"orgs:\n- domain: a\n  config:\n    # mine: y\n    z: 1\n",
			func(b Block) { b.RemoveComments("mine: ", "config") },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := NewEdit("f.yaml", []byte(tt.in), orgs...)
			if err != nil {
				t.Fatal(err)
			}
			tt.change(e.Documents()[0].Items("orgs")[0])
			got, err := e.Bytes()
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

// Several changes of one text don't disturb each other, and what isn't changed stays
// byte for byte.
func TestEditTogether(t *testing.T) {
	in := "a: 1\norgs:\n  - domain: a\n    config:\n      x: 1\n      y: 2\n  - domain: b\n    config:\n      x: 3\n---\nb: 1\n"
	e, err := NewEdit("f.yaml", []byte(in), orgs...)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := e.Bytes(); err != nil || string(got) != in {
		t.Errorf("without a change: %v\n%s", err, got)
	}
	docs := e.Documents()
	items := docs[0].Items("orgs")
	config, ok := items[0].Child("config")
	if !ok {
		t.Fatal("no config")
	}
	config.Remove("y")
	config.Append([]string{"z: 4"})
	items[0].Append([]string{"# end"})
	items[1].Remove("config")
	docs[1].Append([]string{"c:", "  - 1"})
	got, err := e.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	wanted := "a: 1\norgs:\n  - domain: a\n    config:\n      x: 1\n      z: 4\n    # end\n  - domain: b\n---\nb: 1\nc:\n  - 1\n"
	if diff := cmp.Diff(wanted, string(got)); diff != "" {
		t.Errorf("(-wanted +got):\n%s", diff)
	}
	config.Set("x", []string{"x: 5"})
	config.Remove("x")
	if _, err := e.Bytes(); err == nil {
		t.Error("two changes of one line are no error")
	}
}

// Texts are found in the mapping itself and in those that are merged into it.
func TestEditTexts(t *testing.T) {
	in := "base: &base {domain: a, list: [x, y]}\norgs:\n- <<: *base\n- <<: [{z: 1}, *base]\n  domain: b\n- domain: [c]\n"
	e, err := NewEdit("f.yaml", []byte(in), orgs...)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range e.Documents()[0].Items("orgs") {
		list, ok := b.Texts("list")
		got = append(got, b.Text("domain")+":"+strings.Join(list, ","))
		if ok != (list != nil) {
			t.Error(ok, list)
		}
	}
	if diff := cmp.Diff([]string{"a:x,y", "b:x,y", ":"}, got); diff != "" {
		t.Errorf("(-wanted +got):\n%s", diff)
	}
	for in, wanted := range map[string][]string{
		"defaults:\n  list: [x]\n":                         {"x"},
		"defaults: {list: [x, y]}\n":                       {"x", "y"},
		"base: &base {list: [x]}\ndefaults: *base\n":       {"x"},
		"base: &base {list: [x]}\ndefaults: {<<: *base}\n": {"x"},
		"defaults: {list: x}\n":                            nil,
		"defaults: [x]\n":                                  nil,
		"defaults: {}\n":                                   nil,
		"other: {list: [x]}\n":                             nil,
	} {
		e, err := NewEdit("f.yaml", []byte(in), orgs...)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := e.Documents()[0].Texts("defaults", "list"); !slices.Equal(got, wanted) || ok != (wanted != nil) {
			t.Errorf("%q: %q, %v", in, got, ok)
		}
	}
}
