package report

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxText bounds one foreign text, in bytes, where a report isn't JSON. Nothing
// that Okta sends comes near it.
const maxText = 4000

// visible makes a foreign text safe to look at. What isn't printable (terminal
// escapes, line breaks, characters that hide or turn text around, bytes that
// aren't UTF-8) becomes an escape such as \x1b or \u202e, so that it can be
// seen but does nothing. What is absurdly long is cut.
func visible(s string) string {
	s = cut(s, maxText)
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		i += size
	}
	return b.String()
}

// isPlain says whether s is printable ASCII, as nearly all texts are.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

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
