package text

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// OneLine makes foreign text fit for one line: bytes that aren't UTF-8 become a
// question mark, each character that isn't printable a space, runs of spaces
// one. A text of more than limit characters is cut to limit, the last of which
// is an ellipsis. The limit is at least 1; math.MaxInt means no limit.
func OneLine(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
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

// maxClean is how many characters of a server's text Clean keeps.
const maxClean = 500

// tokenMask stands where a token stood.
const tokenMask = "[token]"

// tokenLike matches what tokens look like: JSON Web Tokens; Okta's API tokens,
// 42 characters that begin with 00; and those of GitHub and GitLab. Okta's may
// be quoted as part of a form, where %3D stands before it instead of a character
// that ends a word.
// https://github.blog/engineering/behind-githubs-new-authentication-token-formats/
// https://docs.gitlab.com/security/tokens/#token-prefixes
var tokenLike = regexp.MustCompile(`eyJ[\w-]{8,}[\w.-]*` +
	`|(?:\b|_|%[[:xdigit:]]{2})00[\w-]{40,}` +
	`|gh[a-z]_\w{10,}|github_pat_\w{10,}|gl[a-z]{1,6}-[\w.-]{10,}`)

// Clean makes the text of a server fit for errors and logs: on one line,
// printable, at most 500 characters, and without the given secrets or anything
// that looks like a token, in case the server quotes what it was sent.
func Clean(s string, secrets ...string) string {
	for _, secret := range secrets {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, tokenMask)
		}
	}
	return OneLine(tokenLike.ReplaceAllString(s, tokenMask), maxClean)
}

// Visible makes foreign text fit for one line and keeps all of it: each
// character that isn't printable becomes an escape, such as \x1b. A file may
// have any name, and a line break in it must not begin another message.
func Visible(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		one := s[i : i+size]
		if !strconv.IsPrint(r) || r == utf8.RuneError && size == 1 {
			one = strconv.Quote(one)
			one = one[1 : len(one)-1]
		}
		b.WriteString(one)
		i += size
	}
	return b.String()
}
