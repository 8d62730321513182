package text

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// OneLine returns foreign text on one line: bytes that aren't UTF-8 become a
// question mark, characters that aren't printable a space, several spaces one. A
// text of more than limit characters is cut to limit, the last of which is an
// ellipsis. The limit must be at least 1; math.MaxInt means none.
func OneLine(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if isPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(s, "?"))
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return strings.TrimRight(string([]rune(s)[:limit-1]), " ") + "…"
}

// isPrint is like [unicode.IsPrint], but without letters and marks that leave nothing to
// see.
func isPrint(r rune) bool { return unicode.IsPrint(r) && !ignorable(r) }

// ignorable reports whether a character is a letter or mark that leaves nothing to see,
// such as the Hangul filler and the variation selectors, in which a text can be hidden.
func ignorable(r rune) bool {
	return unicode.IsPrint(r) && unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// maxClean is how many characters of a server's text Clean keeps.
const maxClean = 500

// tokenMask replaces tokens.
const tokenMask = "[token]"

// tokenLike matches JSON Web Tokens; Okta's API tokens, 42 characters that begin
// with 00; tokens of GitHub and GitLab; and those for the daemon. Okta's may be quoted as part of a
// form, after %3D instead of a character that ends a word.
// https://github.blog/engineering/behind-githubs-new-authentication-token-formats/
// https://docs.gitlab.com/security/tokens/#token-prefixes
var tokenLike = regexp.MustCompile(`eyJ[\w-]{8,}[\w.-]*` +
	`|(?:\b|_|%[[:xdigit:]]{2})00[\w-]{40,}` +
	`|gh[a-z]_\w{10,}|github_pat_\w{10,}|gl[a-z]{1,6}-[\w.-]{10,}|rcn_[\w-]{10,}`)

// Clean returns the text of a server for errors and logs: on one line, printable,
// at most 500 characters, and without the given secrets or anything that looks
// like a token, because the server may quote the request.
func Clean(s string, secrets ...string) string {
	for _, secret := range secrets {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, tokenMask)
		}
	}
	return OneLine(tokenLike.ReplaceAllString(s, tokenMask), maxClean)
}

// Visible returns foreign text, such as the name of a file, on one line: each
// character that isn't printable becomes an escape, such as \x1b.
func Visible(s string) string {
	at := strings.IndexFunc(s, maybeHidden)
	if at < 0 {
		return s
	}
	var b strings.Builder
	b.WriteString(s[:at])
	for i := at; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		one := s[i : i+size]
		switch {
		case ignorable(r):
			one = fmt.Sprintf(`\u%04x`, r)
		case !strconv.IsPrint(r) || r == utf8.RuneError && size == 1:
			one = strconv.Quote(one)
			one = one[1 : len(one)-1]
		}
		b.WriteString(one)
		i += size
	}
	return b.String()
}

// VisibleLines returns a text of several lines with each of them as by Visible, and data
// itself where that changes nothing.
func VisibleLines(data []byte) []byte {
	if bytes.IndexFunc(data, func(r rune) bool { return r != '\n' && maybeHidden(r) }) < 0 {
		return data
	}
	lines := strings.Split(string(data), "\n")
	for i := range lines {
		lines[i] = Visible(lines[i])
	}
	return []byte(strings.Join(lines, "\n"))
}

// maybeHidden reports whether a character isn't printable, or stands for bytes that are none.
func maybeHidden(r rune) bool {
	return r < ' ' || r == 0x7f || r >= utf8.RuneSelf && (r == utf8.RuneError || !isPrint(r))
}
