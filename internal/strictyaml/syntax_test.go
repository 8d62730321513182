package strictyaml

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSyntaxErrors(t *testing.T) {
	tests := []struct{ name, text, wanted string }{
		{"indented too far", "a: 1\n b: 2\nc: 1\n", `2:2: not valid YAML: ": " is not allowed here (check the indentation, or quote the text)`},
		{"colon in a text", "x: 1\na: b: c\n", `2:1: not valid YAML: ": " is not allowed here (check the indentation, or quote the text)`},
		{"tab", "a:\n\t- b\nc: d\n", `2:1: not valid YAML: tabs are not allowed for indentation: use spaces`},
		{"tab after spaces", "a:\r\n  \tb: c\r\n", `2:3: not valid YAML: tabs are not allowed for indentation: use spaces`},
		{"tab on the first line", "\uFEFF\ta: b\n", `1:1: not valid YAML: tabs are not allowed for indentation: use spaces`},
		{"tab below a text", "version: 1\norgs:\n  - domain: a.okta.com\n\tcell: ok1\n", `4:1: not valid YAML: tabs are not allowed for indentation: use spaces`},
		{"tab below a text at the top", "a: b\n\tc: d\n", `2:1: not valid YAML: tabs are not allowed for indentation: use spaces`},
		{"tabs below blank lines", "a:\r\n  - b: é\r\n\r\n  \t\tc: d\r\n", `4:3: not valid YAML: tabs are not allowed for indentation: use spaces`},
		{"tab far below a text", "a:\n  b: c\n    \td: e\n", `3:5: not valid YAML: tabs are not allowed for indentation: use spaces`},
		{"tab below quotes", "a:\n  - b: 'c'\n\td: e\n", `3:1: not valid YAML: tabs are not allowed for indentation: use spaces`},
		{"tab below a block text", "a:\n  b: |\n    x\n\ty\n  d: e\n", `4:1: not valid YAML: tabs are not allowed for indentation: use spaces`},
		{"tab before a block text", "a:\n  b: |\n\tx\n", `3:1: not valid YAML: tabs are not allowed for indentation: use spaces`},
		{"tab before a comment", "a: b\n\t# c\nd: e\n", `2:1: not valid YAML: tabs are not allowed for indentation: use spaces`},
		{"tab on old Mac lines", "a:\r  - b: c\r\td: e\r", `3:1: not valid YAML: tabs are not allowed for indentation: use spaces`},
		{"tab after a dash", "a:\n  - b\n  -\tc: d\n    e: f\n", `3:4: not valid YAML: tabs are not allowed for indentation: use spaces`},
		{"tab that is not to blame", "{\n\ta: @b\n}\n", `2:1: not valid YAML: a text can't begin with this character: quote it`},
		{"tab before an escape", "{\n\ta: \"\\q\"\n}\n", `2:1: not valid YAML: unknown escape in double quotes (a backslash itself is \\)`},
		{"tabs in braces", "{\n\ta: 'b'\n\tc: 'd'\n}\n", `4:1: not valid YAML: expected , or } here, in the mapping that begins on line 1`},
		{"open list", "orgs:\n  - domain: a\n    products: [a, b\n  - domain: b\n    cell: c\n", `5:5: not valid YAML: expected , or ] here, in the list that begins on line 3`},
		{"open mapping", "{a: b\n\n", `1:1: not valid YAML: expected , or } here`},
		{"open quotes on the first line", "a: \"foo\nb: c\n", `1:1: not valid YAML: the quoted text that begins on this line is not closed`},
		{"open quotes", "x: 1\na: 'foo\n", `2:1: not valid YAML: the quoted text that begins on this line is not closed`},
		{"quotes in quotes", "orgs:\n  - x: 'a'b'\n    y: z\n", `3:5: not valid YAML: expected "key: value" here (check indentation and quotes), in the mapping that begins on line 2`},
		{"item in a mapping", "x: 1\n- a\nb: c\n", `3:1: not valid YAML: expected "key: value" here (check indentation and quotes), in the mapping that begins on line 1`},
		{"key in a list", "orgs:\n  - domain: x\n    cell: ok1\n   id: y\nb: c\n", `4:4: not valid YAML: expected "- item" here (check the indentation), in the list that begins on line 2`},
		{"key without colon", "x: 1\nfoo\ny: 2\nb: c\n", `2:1: not valid YAML: expected ": " after this key`},
		{"merge conflict", "orgs:\n<<<<<<< HEAD\n  - domain: a\n=======\n  - domain: d\n>>>>>>> x\n", `2:1: not valid YAML: expected ": " after this key`},
		{"reserved character", "x: 1\ny: @a\n", `2:1: not valid YAML: a text can't begin with this character: quote it`},
		{"escape", `x: "\q"`, `1:1: not valid YAML: unknown escape in double quotes (a backslash itself is \\)`},
		{"unknown alias", "x: 1\na: [b, *nope]\n", `2:8: this alias has no anchor before it`},
		{"unknown alias in the first document", "\uFEFF*x", `1:1: this alias has no anchor before it`},
		{"old Mac lines", "a: b\rproducts: [a b]]\rb: c\r", `3:1: not valid YAML: expected "key: value" here (check indentation and quotes), in the mapping that begins on line 1`},
		{"second document", "name: b\n---\nc: [\n", `3:1: not valid YAML: expected a value here`},
		{"depth", strings.Repeat("[", 20000), `1:1: not valid YAML: exceeded max depth of 10000`},
		{"NUL", "a: b\nc: \x00", `2:4: character U+0000 is not allowed: remove it, or write it as an escape in double quotes`},
		{"escape character", "# ä\x1b[31m", `1:4: character U+001B is not allowed: remove it, or write it as an escape in double quotes`},
		{"line separator", "a: b\u2028c", `1:5: character U+2028 is not allowed: remove it, or write it as an escape in double quotes`},
		{"not UTF-8", "a: b\r\nc: d\xe4", `2:5: byte 0xe4 is not UTF-8: save the file as UTF-8`},
		{"UTF-16", "\xff\xfea\x00", `1:1: the file is UTF-16: save it as UTF-8`},
		{"UTF-16 without a mark", "a\x00:\x00 \x00", `1:1: the file is UTF-16: save it as UTF-8`},
		{"YAML 1.3", "%YAML 1.3\n---\na: b\n", `1:1: not valid YAML: only %YAML 1.1 and 1.2 are supported`},
		{"behind YAML 1.2", "%YAML 1.2\n---\nname: b\n---\nc: [\n", `5:1: not valid YAML: expected a value here`},
		{"too large", strings.Repeat("# comment\n", MaxSize/10+1), `1:1: the file is larger than 10 MB: split it`},
		{"directives", "%TAG !a! tag:a\n" + strings.Repeat("%TAG !b! tag:b\n", 100), `101:1: too many YAML directives (lines that begin with %)`},
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

// The documents before a syntax error are read all the same, and their
// mistakes are told along with it.
func TestSyntaxErrorKeepsOthers(t *testing.T) {
	got, err := Decode[paint]("f", []byte("name: x\nnmae: y\n---\na: [\n"))
	wanted := "f:2:1: unknown key \"nmae\": did you mean \"name\"?\nf:4:1: not valid YAML: expected a value here"
	if err == nil || err.Error() != wanted {
		t.Errorf("error = %v, want %s", err, wanted)
	}
	if len(got) != 1 || got[0].Name != "x" {
		t.Errorf("documents = %v, want the first one", got)
	}
}

// Inputs that are made to take long must be done soon all the same.
func TestNoStall(t *testing.T) {
	rep := func(s string, size int) string { return strings.Repeat(s, size/len(s)) }
	const mega = 1 << 18
	tests := []struct{ name, text string }{
		{"open lists", rep("[", mega)},
		{"open mappings", rep("{a: ", mega)},
		{"nested keys", rep("? ", mega)},
		{"nested items", rep("- ", mega)},
		{"comments", rep("# a\n", mega)},
		{"comments in a list", "[" + rep("#\n", mega)},
		{"empty documents", rep("---\n", mega)},
		{"nulls", rep("-\n", mega)},
		{"colons", rep(": ", mega)},
		{"commas", "[" + rep("a,", mega)},
		{"unknown keys", rep("a: b\n", mega)},
		{"bad items", "tags: [" + rep("1,", mega) + "]"},
		{"long word", rep("x", mega) + ": a"},
		{"blank lines", "name: |\n" + rep("\n", mega)},
		{"escapes", `name: "` + rep(`\n`, mega)},
		{"tags", "tags:\n" + rep("- !a b\n", mega)},
		{"anchors", "tags:\n" + rep("- &a b\n", mega)},
		{"deep merges", "env: " + rep("{<<: ", 5*9000) + rep("}", 9000)},
		{"aliases", "sets:\n  a: &a [b]\n" + rep("  c: *a\n", mega)},
		{"large list", "places: [" + rep("a,", 3*mega) + "]"},
		{"large mapping", "env:\n" + func() string {
			var b strings.Builder
			for i := range maxItems + 1 {
				fmt.Fprintf(&b, " %d_: a\n", i)
			}
			return b.String()
		}()},
		{"long key", "? " + rep("x", mega) + "\n: a\n"},
		{"directives", rep("%TAG !a! b\n", mega)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Now()
			_, err := Decode[paint]("f", []byte(tt.text))
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %v", took)
			}
			if all, ok := AsErrors(err); ok && len(all) > maxErrors+1 {
				t.Errorf("%d errors", len(all))
			}
			if err != nil && len(err.Error()) > 1<<20 {
				t.Errorf("%d bytes of errors", len(err.Error()))
			}
		})
	}
}

// Aliases that multiply end with one error.
func TestAliasExpansion(t *testing.T) {
	type inner struct {
		Tags []string `yaml:"tags"`
	}
	type outer struct {
		Lists []struct {
			Inner []inner `yaml:"inner"`
		} `yaml:"lists"`
	}
	text := "lists:\n- &l\n  inner:\n  - &i {tags: [" + strings.Repeat("x, ", 999) + "x]}\n" +
		strings.Repeat("  - *i\n", 100) + strings.Repeat("- *l\n", 100)
	_, err := Decode[outer]("f", []byte(text))
	all, ok := AsErrors(err)
	if !ok || len(all) != 1 || !strings.Contains(err.Error(), "aliases expand to more than 500000 values") {
		t.Errorf("error = %.300v", err)
	}
	small := strings.ReplaceAll(text, "x, ", "")
	docs, err := Decode[outer]("f", []byte(small))
	if err != nil || len(docs[0].Lists) != 101 || len(docs[0].Lists[100].Inner) != 101 {
		t.Errorf("a modest use of aliases: %v", err)
	}
}
