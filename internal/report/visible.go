package report

import (
	"unicode/utf8"

	"reconciler/internal/text"
)

// maxText bounds one foreign text, in bytes, where a report isn't JSON. Nothing
// that Okta sends comes near it.
const maxText = 4000

// visible makes a foreign text safe to look at, as strictyaml.Visible does; what
// is absurdly long is cut.
func visible(s string) string { return text.Visible(cut(s, maxText)) }

// cut shortens s to at most n bytes, between characters, and marks that.
func cut(s string, n int) string {
	const mark = "…"
	if len(s) <= n {
		return s
	}
	end := n - len(mark)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + mark
}
