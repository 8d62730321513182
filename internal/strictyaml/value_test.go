package strictyaml

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// form has values of any form.
type form struct {
	Any   At[wrapped]      `yaml:"any"`
	Named Map[At[wrapped]] `yaml:"named"`
}

type wrapped struct{ Value }

func decodeForm(text string) (*form, error) {
	docs, err := Decode[form]("f.yaml", []byte(text))
	if len(docs) == 0 {
		return &form{}, err
	}
	return docs[0], err
}

func TestValue(t *testing.T) {
	got, err := decodeForm(`any:
  a: text
  b: [1, 017, 1.5, true, ~, null, Null, 2026-01-01, "1", yes]
  c: &c {x: {}}
  d: *c
  e:
    <<: *c
    y: []
`)
	if err != nil {
		t.Fatal(err)
	}
	at := func(line, column int, v any) *Value { return &Value{Pos: Pos{"f.yaml", line, column}, V: v} }
	pair := func(line, column int, key string, v *Value) Entry[*Value] {
		return Entry[*Value]{Key: key, Pos: Pos{"f.yaml", line, column}, V: v}
	}
	x := pair(4, 10, "x", at(4, 13, Map[*Value]{}))
	want := Map[*Value]{
		pair(2, 3, "a", at(2, 6, "text")),
		pair(3, 3, "b", at(3, 6, []*Value{
			at(3, 7, Number("1")), at(3, 10, Number("017")), at(3, 15, Number("1.5")), at(3, 20, true), at(3, 26, nil), at(3, 29, nil),
			at(3, 35, nil), at(3, 41, "2026-01-01"), at(3, 53, "1"), at(3, 58, "yes"),
		})),
		pair(4, 3, "c", at(4, 6, Map[*Value]{x})),
		pair(5, 3, "d", at(5, 6, Map[*Value]{x})),
		pair(6, 3, "e", at(7, 5, Map[*Value]{pair(8, 5, "y", at(8, 8, []*Value{})), x})),
	}
	if d := cmp.Diff(want, got.Any.V.V); d != "" {
		t.Error(d)
	}
	if !got.Any.OK() || got.Any.Pos.Line != 2 || got.Any.V.Get("c").Get("x") == nil || got.Any.V.Get("x") != nil || got.Any.V.Get("a").Get("b") != nil {
		t.Errorf("%+v", got.Any)
	}
}

func TestValueMistakes(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"any: {a: }", `f.yaml:1:7: "a" has no value: give it one, or remove the key`},
		{"any: [1, , 2]", "not valid YAML"},
		{"any:\n  - 1\n  -\n", `f.yaml:3:4: an item of "any" has no value`},
		{"any:", `f.yaml:1:1: "any" has no value: give it one, or remove the key`},
		{"named: {a: null}", `f.yaml:1:9: "a" has no value: give it one, or remove the key`},
		{"any: {a: 1, a: 2}", `f.yaml:1:13: duplicate key "a": it is already at f.yaml:1:7`},
		{"any: {1: 2}", `f.yaml:1:7: a key must be a string, not the number 1: quote it, "1"`},
		{"any: {a: !env x}", `f.yaml:1:10: tag "!env" is not supported: remove it`},
		{"any: &a {b: *a}", "f.yaml:1:13: alias *a is inside its own anchor"},
		{"any: {a: &a [" + strings.Repeat("x,", 1000) + "], b: &b [" + strings.Repeat("*a,", 600) + "]}", "aliases expand to more than 500000 values"},
	} {
		_, err := decodeForm(tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.60s: error = %v, want %s", tt.text, err, tt.want)
		}
	}
}

// Same compares what is said, and not where.
func TestValueSame(t *testing.T) {
	values := []string{
		"1", `"1"`, "1.0", "true", "~", "[]", "{}", "[1, 2]", "[2, 1]", "{a: 1}", "{a: 1, b: 2}", "{a: 2, b: 1}", "{a: [1], b: {c: ~}}", "{a: [1], b: {c: x}}",
	}
	for i, a := range values {
		for j, b := range values {
			f, err := decodeForm("named: {first: [" + a + "],\n second: [" + b + "]}")
			if err != nil {
				t.Fatal(err)
			}
			if got := f.Named[0].V.V.Same(&f.Named[1].V.V.Value); got != (i == j) {
				t.Errorf("%s is the same as %s: %v", a, b, got)
			}
		}
	}
	f, err := decodeForm("named: {first: {a: 1, b: [x, {c: 1, d: 2}]},\n second: {b: [x, {d: 2, c: 1}], a: 1}}")
	if err != nil || !f.Named[0].V.V.Same(&f.Named[1].V.V.Value) {
		t.Errorf("the order of keys matters: %v", err)
	}
}

func TestNumber(t *testing.T) {
	for s, want := range map[Number]float64{"0": 0, "-12": -12, "1.50": 1.5, "2e3": 2000, "1E-2": 0.01} {
		if got, ok := s.Float(); !ok || got != want {
			t.Errorf("%s is %v, %v", s, got, ok)
		}
	}
	for _, s := range []Number{"017", "1_0", "0x10", ".inf", ".5", "+1", "1e999", ""} {
		if got, ok := s.Float(); ok {
			t.Errorf("%s is %v", s, got)
		}
	}
}
