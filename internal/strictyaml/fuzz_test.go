package strictyaml

import (
	"reflect"
	"strings"
	"testing"
)

// FuzzDecode: no input makes Decode panic, each error is one line and points
// into the text, and decoding twice returns the same.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		"name: x\ntags: [a, b]\n---\nsub: {count: 1}\n",
		"sub: &a {<<: *a, env: {a: b}}",
		"b: {<<: {? [x] : 1}, ? [x] : 2}",
		"a: &x [*x, *x]\ntags: *x",
		"%YAML 1.2\n---\nname: |\n  a\n\t\n...\n",
		"\uFEFFsets: {? a : [b], c: }\r\n",
		"name: !!str 017\ncount: 0x1f\non: yes",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		docs, err := Decode[paint]("f.yaml", data)
		checkErrors(t, data, err)
		again, errAgain := Decode[paint]("f.yaml", data)
		if !reflect.DeepEqual(docs, again) || !reflect.DeepEqual(err, errAgain) {
			t.Errorf("decoding twice differs:\n%v\n%v", err, errAgain)
		}
	})
}

// checkErrors fails the test unless err is nil or made of one-line errors whose
// places exist in data.
func checkErrors(t *testing.T, data []byte, err error) {
	t.Helper()
	if err == nil {
		return
	}
	all, ok := AsErrors(err)
	if !ok || len(all) == 0 {
		t.Fatalf("error %v is not Errors", err)
	}
	breaks := strings.NewReplacer("\r\n", "\n", "\r", "\n")
	lines := strings.Split(breaks.Replace(string(withoutMark(data))), "\n")
	for _, e := range all {
		switch {
		case e.Pos.File != "f.yaml", e.Pos.Line < 1, e.Pos.Column < 1:
			t.Errorf("no place: %v", e)
		case e.Pos.Line > len(lines):
			t.Errorf("line is not in the text of %d lines: %v", len(lines), e)
		case e.Pos.Column > len([]rune(lines[e.Pos.Line-1]))+1:
			t.Errorf("column is not in the line %q: %v", lines[e.Pos.Line-1], e)
		}
		if strings.ContainsAny(e.Msg, "\r\n") || e.Msg == "" {
			t.Errorf("message is not one line: %q", e.Msg)
		}
	}
}
