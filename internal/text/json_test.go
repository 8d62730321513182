package text

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestVisibleJSON(t *testing.T) {
	for in, want := range map[string]string{
		`{"a": "plain ü 日本"}`:           `{"a": "plain ü 日本"}`,
		"\"\x7f\u0080\u009f\"":          `"\u007f\u0080\u009f"`,
		"\"\u202e\u2066\u200e\u061c\"":  `"\u202e\u2066\u200e\u061c"`,
		"\"\u200b\ufeff\u2028\u00ad\"":  `"\u200b\ufeff\u2028\u00ad"`,
		"\"a\U000e0041b\"":              `"a\udb40\udc41b"`,
		"\"\xff\"":                      `"\ufffd"`,
		"[\n  \"x\",\n\t1\n]\n":         "[\n  \"x\",\n\t1\n]\n",
		`"\u001b[2J"`:                   `"\u001b[2J"`,
		"{\"\u202ekey\": \"😀\u200d😀\"}": `{"\u202ekey": "😀\u200d😀"}`,
	} {
		if got := string(VisibleJSON([]byte(in))); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

// What is escaped means the same, and hides nothing.
func FuzzVisibleJSON(f *testing.F) {
	f.Add("plain")
	f.Add("\x1b[31m\u202e\u200b\x7f\U000e0041")
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "?")
		var b strings.Builder
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(map[string]string{s: s}); err != nil {
			t.Fatal(err)
		}
		out := VisibleJSON([]byte(b.String()))
		var back map[string]string
		if err := json.Unmarshal(out, &back); err != nil || back[s] != s {
			t.Fatalf("%v: %q became %q", err, s, back)
		}
		if got := strings.TrimSuffix(string(out), "\n"); !utf8.ValidString(got) || Visible(got) != got {
			t.Fatalf("not visible: %q", got)
		}
	})
}
