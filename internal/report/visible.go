package report

import (
	"unicode/utf8"

	"reconciler/internal/text"
)

// maxText limits one foreign text, in bytes, except in JSON. Okta's texts are much
// shorter.
const maxText = 4000

// visible makes a foreign text printable and cuts it to maxText.
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
