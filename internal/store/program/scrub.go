package program

import (
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
)

// window is how many characters of a secret in a row are masked.
const window = 8

// Mask replaces a secret.
const Mask = "[secret]"

// Scrub masks secrets in a text, also where only a part of one is there, where a
// line break divides it, and where it is written in base64 or hex.
func Scrub(text, mask string, secrets ...string) string {
	hidden := make([]bool, len(text))
	for width, parts := range partsOf(secrets) {
		for i := 0; i+width <= len(text); i++ {
			if !parts[text[i:i+width]] {
				continue
			}
			for j := i; j < i+width; j++ {
				hidden[j] = true
			}
		}
	}
	var b strings.Builder
	for i := range len(text) {
		switch {
		case !hidden[i]:
			b.WriteByte(text[i])
		case i == 0 || !hidden[i-1]:
			b.WriteString(mask)
		}
	}
	return b.String()
}

// partsOf returns what must not be in a text: all parts of the secrets, in all forms, by
// their length. Those of thousands of secrets, as a program prints that floods its outputs,
// are looked for together.
func partsOf(secrets []string) map[int]map[string]bool {
	all := map[int]map[string]bool{}
	for _, secret := range secrets {
		for _, form := range forms(secret) {
			width := min(window, len(form))
			if width == 0 {
				continue
			}
			if all[width] == nil {
				all[width] = map[string]bool{}
			}
			for i := 0; i+width <= len(form); i++ {
				all[width][form[i:i+width]] = true
			}
		}
	}
	return all
}

// forms returns the ways in which programs write a secret. In base64 there are
// three, depending on the number of bytes before it.
func forms(secret string) []string {
	all := []string{secret, hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret)))}
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			text := enc.EncodeToString([]byte(strings.Repeat("\x00", before) + secret))
			// The first characters depend on the bytes before, and the last one on
			// those that follow.
			text = text[(before*8+5)/6 : len(text)-1]
			if len(text) >= window {
				all = append(all, text)
			}
		}
	}
	return all
}

// likely matches what looks like a secret, whoever's it is: a PEM, tokens of known
// forms, what is named a secret, user and password in a URL, and long words of random
// letters, digits and signs.
var likely = regexp.MustCompile(`(?s)-----BEGIN.*?(-----END[A-Z0-9 ]*-----|$)|` +
	`://\S+@|` +
	`\beyJ[A-Za-z0-9_-]{8}[A-Za-z0-9_.-]*|` + // JWT
	`\b(gh[pousr]_|github_pat_|glpat-|whsec_|rcn_|hvs\.|xox[a-z]-)[A-Za-z0-9_.-]+|` +
	`(?i:\b(SSWS|Bearer|Basic) +\S+|"?[a-z_]*(password|passwd|passphrase|secret|token|(api|access)_?key)[a-z_]*"? *[=:] *\S+)|` +
	`\b00[A-Za-z0-9_-]{20,}|` + // API tokens of Okta
	`[A-Za-z0-9+_-]{32,}=*`)

// slashed matches long words with slashes among the letters, which may be paths.
var slashed = regexp.MustCompile(`[A-Za-z0-9+/_-]{32,}=*`)

// HideLikely masks what looks like a secret. It is for foreign text, in which it may mask
// too much.
func HideLikely(text string) string {
	text = slashed.ReplaceAllStringFunc(text, func(found string) string {
		if isPath(found) {
			return found
		}
		return Mask
	})
	return likely.ReplaceAllStringFunc(text, func(found string) string {
		if strings.HasPrefix(found, "://") {
			return "://" + Mask + "@"
		}
		if name, _, ok := strings.Cut(found, "="); ok && !strings.HasSuffix(found, "=") && named.MatchString(name) {
			return name + "=" + Mask
		}
		return Mask
	})
}

// isPath reports whether a word with slashes is more like a path than like a key in base64,
// of which more than half are capitals and digits.
func isPath(word string) bool {
	capitals, digits := 0, 0
	for _, c := range word {
		switch {
		case 'A' <= c && c <= 'Z':
			capitals++
		case '0' <= c && c <= '9':
			digits++
		}
	}
	return word[0] == '/' || capitals == 0 || digits == 0 || 3*(capitals+digits) < len(word)
}

var named = regexp.MustCompile(`^[A-Za-z_]+$`)

// wordsOf returns the words of what a program printed that are long enough to be secrets.
func wordsOf(printed string) []string {
	return slices.DeleteFunc(strings.Fields(printed), func(w string) bool { return len(w) < window })
}

// secretsOf returns the values of those variables whose names say that they are secret.
func secretsOf(environ []string) (values []string) {
	for _, v := range environ {
		name, value, _ := strings.Cut(v, "=")
		if len(value) >= window && secretName.MatchString(name) {
			values = append(values, value)
		}
	}
	return values
}

var secretName = regexp.MustCompile(`(?i)SECRET|TOKEN|PASSW|CREDENTIAL|PRIVATE|_KEY$|API_?KEY`)
