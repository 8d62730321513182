package text

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestOneLine(t *testing.T) {
	for _, tt := range []struct {
		text   string
		limit  int
		wanted string
	}{
		{"", 1, ""},
		{" a\r\n\tb\u2028 c ", 10, "a b c"},
		{"a\x1b[2Jb\u202ec", math.MaxInt, "a [2Jb c"},
		{"a\xff\xfeb", 10, "a?b"},
		{"äöü", 3, "äöü"},
		{"äöüß", 3, "äö…"},
		{"ab cd", 4, "ab…"},
		{"ab", 1, "…"},
	} {
		if got := OneLine(tt.text, tt.limit); got != tt.wanted {
			t.Errorf("%q, %d: %q, wanted %q", tt.text, tt.limit, got, tt.wanted)
		}
	}
}

func FuzzOneLine(f *testing.F) {
	f.Add("a\nb", 2)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit = max(limit, 1)
		got := OneLine(text, limit)
		if n := utf8.RuneCountInString(got); n > limit || !utf8.ValidString(got) || strings.TrimSpace(got) != got {
			t.Errorf("%q, %d: %q", text, limit, got)
		}
		if strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q: %q can't be printed", text, got)
		}
		if again := OneLine(got, limit); again != got {
			t.Errorf("%q becomes %q, and then %q", text, got, again)
		}
	})
}

func TestHint(t *testing.T) {
	err := WithHint(fs.ErrNotExist, "make it")
	if err.Error() != fs.ErrNotExist.Error() || !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	for _, tt := range []struct {
		err    error
		wanted string
	}{
		{nil, ""},
		{fs.ErrNotExist, ""},
		{err, "make it"},
		{fmt.Errorf("opening: %w", err), "make it"},
		{WithHint(err, "mount it"), "mount it"},
	} {
		if got := Hint(tt.err); got != tt.wanted {
			t.Errorf("%v: %q, wanted %q", tt.err, got, tt.wanted)
		}
	}
}

func TestVisible(t *testing.T) {
	for _, tt := range []struct{ text, wanted string }{
		{"", ""},
		{`orgs/größe "1" 100%\.yaml`, `orgs/größe "1" 100%\.yaml`},
		{"a\nb\r.yaml", `a\nb\r.yaml`},
		{"acme\ufe00\U000e0101\u180b", `acme\ufe00\ue0101\u180b`},
		{"\x1b[31m\x00\xff\u202e\u0085\ufffd", `\x1b[31m\x00\xff\u202e\u0085` + "\ufffd"},
	} {
		if got := Visible(tt.text); got != tt.wanted {
			t.Errorf("Visible(%q) = %s, wanted %s", tt.text, got, tt.wanted)
		}
		if lines := string(VisibleLines([]byte("<p>größe</p>\n" + strings.ReplaceAll(tt.text, "\n", "\\n") + "\n"))); lines != "<p>größe</p>\n"+tt.wanted+"\n" {
			t.Errorf("VisibleLines with %q: %q", tt.text, lines)
		}
		if again := Visible(tt.wanted); again != tt.wanted {
			t.Errorf("%s becomes %s", tt.wanted, again)
		}
	}
}

func TestCleanLeavesNoToken(t *testing.T) {
	ssws := "00QCjAl4MlV-WPXM" + strings.Repeat("x", 26)
	jwt := "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiIwb2ExIn0.c2ln-bmF0_dXJl"
	for _, s := range []string{
		ssws, "SSWS " + ssws, "token=" + ssws + ";", "'" + ssws + "'.", "(" + ssws + ") " + ssws,
		jwt, "Bearer " + jwt, "rcn_" + jwt[3:] + jwt, `"` + jwt + `"`,
		"client_assertion%3D" + jwt + "%26x", "token%3d" + ssws + "%26x", "api_token_" + ssws, ssws + "_and_more", "xx" + jwt,
	} {
		if c := Clean(s); strings.Contains(c, ssws) || strings.Contains(c, jwt) || !strings.Contains(c, "[token]") {
			t.Errorf("%q became %q", s, c)
		}
	}
	for _, s := range []string{"00oy0itaI2Yi7XGGE0g3", "0200bs0617vvhv2v675mch1cukp", "E0000001", strings.Repeat("0", 41), "1" + strings.Repeat("0", 43), "eyJ", "honeyJar stays"} {
		if c := Clean(s); c != s {
			t.Errorf("%q became %q", s, c)
		}
	}
}

func TestClean(t *testing.T) {
	for _, tt := range []struct{ in, out string }{
		{"", ""},
		{"  plain \t words\r\n", "plain words"},
		{"a\x00b\x1b[2Jc\u202ed", "a b [2Jc d"},
		{"Bearer eyJraWQiOiJ4IiwiYWxnIjoiUlMyNTYifQ.eyJzY3AiOlsi.c2ln!", "Bearer [token]!"},
		{"\xff\xfe", "?"},
		{strings.Repeat("é", maxClean+1), strings.Repeat("é", maxClean-1) + "…"},
	} {
		if got := Clean(tt.in); got != tt.out || !utf8.ValidString(got) {
			t.Errorf("%q became %q, want %q", tt.in, got, tt.out)
		}
	}
}
