package strictyaml

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// color is an Enum.
type color string

func (color) Values() []string { return []string{"red", "green"} }

// shade is a Checker.
type shade string

func (s shade) Check() error {
	if strings.HasPrefix(string(s), "dark") {
		return nil
	}
	return fmt.Errorf("must be dark, not %q", string(s))
}

// serial is Verbatim.
type serial string

func (serial) Verbatim() {}

// paint has a field of each type that can be decoded.
type paint struct {
	Name   string            `yaml:"name"`
	Count  int               `yaml:"count"`
	Small  int8              `yaml:"small"`
	On     bool              `yaml:"on"`
	Every  time.Duration     `yaml:"every"`
	Color  At[color]         `yaml:"color"`
	Shade  shade             `yaml:"shade"`
	Serial At[serial]        `yaml:"serial"`
	Tags   []string          `yaml:"tags"`
	Places At[[]At[string]]  `yaml:"places"`
	Env    map[string]string `yaml:"env"`
	Sets   Map[[]string]     `yaml:"sets"`
	Sub    *paint            `yaml:"sub"`
	Inner  struct {
		Deep At[int] `yaml:"deep"`
	} `yaml:"inner"`
	Unread string
}

func TestDecodeValues(t *testing.T) {
	const text = `
name: yes
count: -12
on: true
every: 1m30s
color: green
shade: dark red
tags: [a, "017", '2024-01-01']
places:
  - x
env: {A: b}
sets:
  z: [1st]
  a: []
sub:
  name: >-
    folded
    text
  tags: []
inner: {deep: 3}
`
	pos := func(line, col int) Pos { return Pos{"f.yaml", line, col} }
	desired := &paint{
		Name: "yes", Count: -12, On: true, Every: 90 * time.Second,
		Color:  At[color]{V: "green", Pos: pos(6, 8), Set: true},
		Shade:  "dark red",
		Tags:   []string{"a", "017", "2024-01-01"},
		Places: At[[]At[string]]{V: []At[string]{{V: "x", Pos: pos(10, 5), Set: true}}, Pos: pos(10, 3), Set: true},
		Env:    map[string]string{"A": "b"},
		Sets: Map[[]string]{
			{Key: "z", Pos: pos(13, 3), V: []string{"1st"}},
			{Key: "a", Pos: pos(14, 3), V: []string{}},
		},
		Sub: &paint{Name: "folded text", Tags: []string{}},
	}
	desired.Inner.Deep = At[int]{V: 3, Pos: pos(20, 15), Set: true}
	got, err := Decode[paint]("f.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]*paint{desired}, got); diff != "" {
		t.Errorf("decoded values differ (-wanted +got):\n%s", diff)
	}
}

// Dates are text, with quotes or without, as for editors.
func TestDecodeDates(t *testing.T) {
	type sheet struct {
		Name At[string]       `yaml:"name"`
		List At[[]At[string]] `yaml:"list"`
	}
	got, err := Decode[sheet]("x.yaml", []byte("name: 2024-01-01\nlist: [2024-01-01T10:00:00Z]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got[0].Name.V != "2024-01-01" || got[0].List.V[0].V != "2024-01-01T10:00:00Z" {
		t.Errorf("got %+v", got[0])
	}
}

func TestDecodeErrors(t *testing.T) {
	tests := []struct{ name, text, wanted string }{
		{"unknown key", "nmae: x", `1:1: unknown key "nmae": did you mean "name"?`},
		{"duplicate", "name: x\nname: y", `2:1: duplicate key "name": it is already at f:1:1`},
		{"duplicate in flow", "env: {a: x, b: y, a: z}", `1:19: duplicate key "a": it is already at f:1:7`},
		{"null", "tags:", `1:1: "tags" has no value: write [] for none, or remove the key`},
		{"null At", "places: ~", `1:1: "places" has no value: write [] for none, or remove the key`},
		{"null map", "sets:", `1:1: "sets" has no value: write {} for none, or remove the key`},
		{"null string", "name:", `1:1: "name" has no value: give it one, or remove the key`},
		{"null item", "tags: [a, ~]", `1:11: an item of "tags" has no value`},
		{"octal", "name: 017", `1:7: "name" must be a string, not the number 017: quote it, '017'`},
		{"float", "name: 1.0", `1:7: "name" must be a string, not the number 1.0: quote it, '1.0'`},
		{"bool for string", "name: true", `1:7: "name" must be a string, not true: quote it, 'true'`},
		{"bool for verbatim text", "serial: true", `1:9: "serial" must be a string, not true: quote it, 'true'`},
		{"null for verbatim text", "serial:", `1:1: "serial" has no value: give it one, or remove the key`},
		{"list for verbatim text", "serial: [1]", `1:9: "serial" must be a string, not a list`},
		{"yes for bool", "on: yes", `1:5: "on" must be true or false, not "yes"`},
		{"octal for int", "count: 017", `1:8: "count" must be a plain decimal number, not 017`},
		{"string for int", "count: '1'", `1:8: "count" must be a whole number, not "1"`},
		{"float for int", "count: 1.0", `1:8: "count" must be a whole number, not the number 1.0`},
		{"overflow", "small: 300", `1:8: "small" is too large a number: 300`},
		{"duration", "every: 30", `1:8: "every" must be a duration with a unit, such as 30s or 5m, not the number 30`},
		{"enum", "color: gren", `1:8: "color" must be "red" or "green", not "gren": did you mean "green"?`},
		{"own rule", "shade: light", `1:8: "shade" must be dark, not "light"`},
		{"string for list", "tags: a", `1:7: "tags" must be a list, not "a"`},
		{"mapping for list", "tags: {a: b}", `1:7: "tags" must be a list, not a mapping`},
		{"list for string", "name: [a]", `1:7: "name" must be a string, not a list`},
		{"list for mapping", "sub: [a]", `1:6: "sub" must be a mapping (key: value), not a list`},
		{"item", "tags: [[a]]", `1:8: an item of "tags" must be a string, not a list`},
		{"root", "[a]", `1:1: the document must be a mapping (key: value), not a list`},
		{"custom tag", "name: !env HOME", `1:7: tag "!env" is not supported: remove it`},
		{"binary", "name: !!binary aGk=", `1:7: tag "!!binary" is not supported: remove it`},
		{"int key", "env: {1: a}", `1:7: a key must be a string, not the number 1: quote it, "1"`},
		{"list key", "env: {[a]: a}", `1:7: a key must be a string, not a list`},
		{"null key", "env: {~: a}", `1:7: a key must be a string, and this one is empty`},
		{"merge of a string", "sub: {<<: a}", `1:11: "<<" must be a mapping or a list of mappings`},
		{"two merge keys", "sub:\n  <<: {name: a}\n  <<: {name: b}", `3:3: duplicate key "<<": it is already at f:2:3`},
		{"mistake in a merged mapping", "sub: {<<: {nmae: a}}", `1:12: unknown key "nmae": did you mean "name"?`},
		{"merge panic of yaml.v3", "sub: {<<: {? [x] : 1}, ? [x] : 2}", "1:14: a key must be a string, not a list\nf:1:26: a key must be a string, not a list"},
		{"alias in itself", "sub: &a {sub: *a}", `1:15: alias *a is inside its own anchor`},
		{"merge of itself", "sub: &a {<<: *a}", `1:14: alias *a is inside its own anchor`},
		{"all at once", "tags: a\nnmae: b\non: 1", "1:7: \"tags\" must be a list, not \"a\"\nf:2:1: unknown key \"nmae\": did you mean \"name\"?\nf:3:5: \"on\" must be true or false, not the number 1"},
		{"second document", "name: a\n---\nnmae: b", `3:1: unknown key "nmae": did you mean "name"?`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Decode[paint]("f", []byte(tt.text))
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff("f:"+tt.wanted, err.Error()); diff != "" {
				t.Errorf("error differs (-wanted +got):\n%s", diff)
			}
		})
	}
}

func TestVerbatim(t *testing.T) {
	for text, wanted := range map[string]string{
		"12345": "12345", "0017": "0017", "1_0": "1_0", "0x1F": "0x1F", "1.50": "1.50", "12345678901234567890123": "12345678901234567890123",
		"2026-12-01": "2026-12-01", "2026-12-01T00:00:00Z": "2026-12-01T00:00:00Z", "2026-12-01 0:00:00 +1": "2026-12-01 0:00:00 +1",
		"word": "word", "'017'": "017", `"2026-12-01"`: "2026-12-01",
	} {
		docs, err := Decode[paint]("f", []byte("serial: "+text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := docs[0].Serial; got.V != serial(wanted) || got.Pos != (Pos{"f", 1, 9}) || !got.OK() {
			t.Errorf("%s was read as %+v", text, got)
		}
	}
}

func TestMergeKeys(t *testing.T) {
	const text = `
env: &base {a: base, b: base, c: base}
sub:
  env:
    <<: [{a: first, b: first}, *base]
    a: own
`
	got, err := Decode[paint]("f", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	desired := map[string]string{"a": "own", "b": "first", "c": "base"}
	if diff := cmp.Diff(desired, got[0].Sub.Env); diff != "" {
		t.Errorf("merged mapping differs (-wanted +got):\n%s", diff)
	}
}

func TestDecodeDocuments(t *testing.T) {
	tests := []struct {
		name, text string
		wanted     []string
	}{
		{"nothing", "", nil},
		{"comments", "# a\n---\n# b\n---\n", nil},
		{"some empty", "# a\n---\nname: x\n---\n---\nname: y\n...\n", []string{"x", "y"}},
		{"byte order mark", "\uFEFFname: x", []string{"x"}},
		{"YAML 1.2", "\uFEFF# a\n%YAML 1.2 # b\n---\nname: x\n...\n%YAML\t1.2\r\n%TAG ! tag:a\n---\nname: y\n", []string{"x", "y"}},
		{"YAML 1.1", "%YAML 1.1\n---\nname: x\n", []string{"x"}},
		{"no directive", "name: |2\n  \n  %YAML 1.2\n", []string{"\n%YAML 1.2\n"}},
		{"no directive either", "# a\n\nname: \"a\n%YAML 1.2\n\"", []string{"a %YAML 1.2 "}},
		{"windows lines", "name: x\r\ntags: [a]\r\n", []string{"x"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Decode[paint]("f", []byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, p := range got {
				names = append(names, p.Name)
			}
			if diff := cmp.Diff(tt.wanted, names); diff != "" {
				t.Errorf("documents differ (-wanted +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeInto(t *testing.T) {
	p := paint{Name: "kept", Count: 1}
	if err := DecodeInto("f", []byte("count: 2"), &p); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(paint{Name: "kept", Count: 2}, p); diff != "" {
		t.Errorf("struct differs (-wanted +got):\n%s", diff)
	}
	var list []string
	if err := DecodeInto("$PAINT_TAGS", []byte("[a, b]"), &list); err != nil || len(list) != 2 {
		t.Errorf("DecodeInto a list = %q, %v", list, err)
	}
	err := DecodeInto("f", []byte("name: a\n---\nname: b"), &p)
	if err == nil || err.Error() != "f:3:1: a second document: only one is allowed here" {
		t.Errorf("two documents: %v", err)
	}
	if err := DecodeInto("f", nil, &p); err != nil || p.Name != "a" {
		t.Errorf("empty text: %q, %v", p.Name, err)
	}
}

// DecodeInto names keys by their paths.
func TestDecodeIntoPaths(t *testing.T) {
	type part struct {
		Size At[int]          `yaml:"size"`
		Tags At[[]At[string]] `yaml:"tags"`
	}
	type sheet struct {
		Main  At[part]           `yaml:"main"`
		Parts []At[part]         `yaml:"parts"`
		Named Map[At[part]]      `yaml:"named"`
		Go    map[string]At[int] `yaml:"go"`
	}
	var got sheet
	err := DecodeInto("f", []byte("main: {size: x, sizes: 1, other: 2}\nparts:\n  - size: 1\n    size: 2\n  - {tags: [true], size: }\n  - 1\n"+
		"named: {a: {size: y}}\ngo: {b: z}\nmani: 1\n"), &got)
	wanted := `f:1:14: "main.size" must be a whole number, not "x"
f:1:17: unknown key "main.sizes": did you mean "main.size"?
f:1:27: unknown key "main.other": allowed here are size, tags
f:4:5: duplicate key "parts.0.size": it is already at f:3:5
f:5:13: an item of "parts.1.tags" must be a string, not true: quote it, 'true'
f:5:20: "parts.1.size" has no value: give it one, or remove the key
f:6:5: an item of "parts" must be a mapping (key: value), not the number 1
f:7:19: "named.a.size" must be a whole number, not "y"
f:8:9: "go.b" must be a whole number, not "z"
f:9:1: unknown key "mani": did you mean "main"?`
	if diff := cmp.Diff(wanted, fmt.Sprint(err)); diff != "" {
		t.Errorf("errors differ (-wanted +got):\n%s", diff)
	}
}

func TestNearest(t *testing.T) {
	candidates := []string{"products", "productSets", "productPolicy", "status", "cell", "id", "gov"}
	tests := []struct{ word, wanted string }{
		{"prodcuts", "products"},
		{"product", "products"},
		{"Status", "status"},
		{"product_sets", "productSets"},
		{"sell", "cell"},
		{"xx", ""},
		{"ID", "id"},
		{"ix", ""}, // many short words are alike
		{"di", ""},
		{"idd", ""},
		{"gvo", "gov"},
		{"vgo", ""},
		{"gob", ""},
		{"cel", "cell"},
		{"call", "cell"},
		{"cxxl", ""},
		{"statsu", "status"},
		{"statute", ""},
		{"stadium", ""},
		{"something", ""},
		{"", ""},
		{strings.Repeat("x", 1000), ""},
	}
	for _, tt := range tests {
		if got := Nearest(tt.word, candidates); got != tt.wanted {
			t.Errorf("Nearest(%.20q) = %q, want %q", tt.word, got, tt.wanted)
		}
	}
}

// Fields whose value is bad say that they are there, so that nobody complains
// about a missing key on top.
func TestBadValues(t *testing.T) {
	type sheet struct {
		Color At[color]        `yaml:"color"`
		Sizes Map[At[int]]     `yaml:"sizes"`
		Tags  At[[]At[string]] `yaml:"tags"`
	}
	var got sheet
	err := DecodeInto("f", []byte("color: blue\nsizes: {a: x, b: 2, c: }\ntags: [a, 1]\n"), &got)
	if all, _ := AsErrors(err); len(all) != 4 {
		t.Errorf("error = %v, want 4 mistakes", err)
	}
	if got.Color.OK() || !got.Color.Set || got.Color.V != "" {
		t.Errorf("color = %+v, want it set and bad", got.Color)
	}
	if len(got.Sizes) != 3 || got.Sizes[0].V.OK() || !got.Sizes[1].V.OK() || got.Sizes[2].V.OK() {
		t.Errorf("sizes = %+v, want all three, of which b is good", got.Sizes)
	}
	if len(got.Tags.V) != 1 {
		t.Errorf("tags = %+v, want the good one", got.Tags)
	}
}

func TestTopKeys(t *testing.T) {
	got := TopKeys([]byte("a: {b: c}\n---\n[x]\n---\nd: e\n---\n[\n"))
	if diff := cmp.Diff([]string{"a", "d"}, got); diff != "" {
		t.Errorf("keys differ (-wanted +got):\n%s", diff)
	}
}

// A file of nothing but marks is rejected before the parser multiplies it.
func TestTooManyMarks(t *testing.T) {
	for _, unit := range []string{"?\n", "- \n", "- - - - \n", "[", "{", "a,", "a: b\n"} {
		_, err := Decode[struct{}]("f.yaml", []byte(strings.Repeat(unit, MaxSize/len(unit))))
		if err == nil || !strings.Contains(err.Error(), "more than 1000000 lines and values") {
			t.Errorf("%q: %v", unit, err)
		}
	}
}

// part is written as the value of its id alone, or as a mapping.
type part struct {
	ID    At[string] `yaml:"id"`
	Count At[int]    `yaml:"count"`
}

func (part) ShortKey() string { return "id" }

func TestShort(t *testing.T) {
	type list struct {
		Parts At[Map[At[part]]] `yaml:"parts"`
	}
	docs, err := Decode[list]("f.yaml", []byte("parts:\n  a: x\n  b: {id: y, count: 2}\n  c: &anchor z\n  d: *anchor\n"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range docs[0].Parts.V {
		got = append(got, fmt.Sprintf("%s=%s/%d at %v", e.Key, e.V.V.ID.V, e.V.V.Count.V, e.V.V.ID.Pos))
	}
	want := []string{"a=x/0 at f.yaml:2:6", "b=y/2 at f.yaml:3:11", "c=z/0 at f.yaml:4:6", "d=z/0 at f.yaml:4:6"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	_, err = Decode[list]("f.yaml", []byte("parts:\n  a: 1\n  b: [x]\n  c: {cuont: x}\n"))
	if want := "f.yaml:2:6: \"a\" must be a string, not the number 1: quote it, '1'\nf.yaml:3:6: \"b\" must be a mapping (key: value), not a list\nf.yaml:4:7: unknown key \"cuont\": did you mean \"count\"?"; err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}
