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
