package forge

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestMarker(t *testing.T) {
	for name, body := range map[string]string{
		"first line":          "<!-- reconciler:plan -->\nx",
		"alone":               "<!-- reconciler:plan -->",
		"carriage return":     "<!-- reconciler:plan -->\r\nx",
		"blanks":              " <!-- reconciler:plan -->  \nx",
		"!second line":        "x\n<!-- reconciler:plan -->",
		"!another":            "<!-- reconciler:plan2 -->\nx",
		"!in a line":          "<!-- reconciler:plan --> x\n",
		"!empty":              "",
		"!of another program": "<!-- other:plan -->\nx",
	} {
		mark, err := marker("plan")
		if err != nil {
			t.Fatal(err)
		}
		if got := marked(body, mark); got == strings.HasPrefix(name, "!") {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestFit(t *testing.T) {
	const limit = 200
	notice := func(left, all string) string {
		return "\n_Cut here: the last " + left + " of " + all + " lines are left out, because a comment holds 200 characters at most._"
	}
	long := strings.Repeat("x", 300)
	tests := []struct{ name, text, expected string }{
		{"fits", strings.Repeat("ä", 200), strings.Repeat("ä", 200)},
		{"one long line", "mark\n" + long, "mark\n" + notice("1", "2")},
		{"fence", "mark\n```text\na\n" + long + "\n```\n", "mark\n```text\na\n```\n" + notice("3", "6")},
		{"longer fence", "mark\n~~~~\n```\n~~~\na\n" + long, "mark\n~~~~\n```\n~~~\na\n~~~~\n" + notice("1", "6")},
		{"closed fence", "mark\n```\na\n```\n" + long, "mark\n```\na\n```\n" + notice("1", "5")},
		{"details", "mark\n<details>\n<details open>\n</details>\n" + long, "mark\n<details>\n<details open>\n</details>\n\n</details>\n" + notice("1", "5")},
		{"details in a fence", "mark\n```\n<details>\n```\n" + long, "mark\n```\n<details>\n```\n" + notice("1", "5")},
		{"no fence", "mark\n```a`b\n" + long, "mark\n```a`b\n" + notice("1", "3")},
		{"no room to close", "mark\n<details>\n" + strings.Repeat("y", 80) + "\n" + long, "mark\n<details>\n\n</details>\n" + notice("2", "4")},
	}
	for _, tt := range tests {
		got := fit(tt.text, limit)
		if diff := cmp.Diff(tt.expected, got); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

func TestNoCommands(t *testing.T) {
	text := "/close\n /not at the start\n```\n/close\n````\n/close\n```sh\n/x"
	expected := "\\/close\n /not at the start\n```\n /close\n````\n\\/close\n```sh\n /x"
	if diff := cmp.Diff(expected, noCommands(text)); diff != "" {
		t.Error(diff)
	}
}

// The tokens of both providers are masked, whichever of them we use.
func TestMessageMasksTokens(t *testing.T) {
	for _, s := range []string{
		"ghs_0123456789abcdefghijklmnopqrstuvwxyz", "ghp_0123456789abc", "github_pat_11AAAA0_0123456789", "glpat-0123456789_-abc",
		"glcbt-64_0123456789", "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxIn0.c2ln", "our own",
	} {
		if got := message([]byte(`{"message":"a `+s+`, b"}`), "our own"); got != "a [token], b" {
			t.Errorf("%q", got)
		}
	}
	if got := message([]byte(`{"message":"ghost global glad"}`), ""); got != "ghost global glad" {
		t.Errorf("%q", got)
	}
}

func FuzzBody(f *testing.F) {
	for _, s := range []string{
		"plain", "```\n/close\n```\n", "<details>\n~~~~\n</details>\n", "/merge\r\n/close\r/x\x00\xff", strings.Repeat("<details>\n", 40),
		strings.Repeat("ä\n", 300), "```a\n" + strings.Repeat("y", 400),
	} {
		f.Add(s)
	}
	const limit = 500
	f.Fuzz(func(t *testing.T, s string) {
		mark, err := marker("plan")
		if err != nil {
			t.Fatal(err)
		}
		text := fit(noCommands(mark+"\n"+normal(s)), limit)
		if n := utf8.RuneCountInString(text); n > limit {
			t.Errorf("%d characters", n)
		}
		if !utf8.ValidString(text) || strings.ContainsAny(text, "\x00\r") {
			t.Errorf("not what a forge stores: %q", text)
		}
		if !marked(text, mark) {
			t.Errorf("lost its marker: %q", text)
		}
		if strings.HasPrefix(text, "/") || strings.Contains(text, "\n/") {
			t.Errorf("has a command: %q", text)
		}
		if normal(text) != normal(normal(text)) || fit(text, limit) != text || noCommands(text) != text {
			t.Errorf("not stable: %q", text)
		}
		if strings.Contains(text, "\n_Cut here: ") && !strings.Contains(normal(s), "_Cut here: ") {
			var open block
			for line := range strings.SplitSeq(text, "\n") {
				open = open.next(line)
			}
			if open != (block{}) {
				t.Errorf("cut and left open: %+v in %q", open, text)
			}
		}
	})
}
