package tokens

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// window is how many characters of a secret in a row are masked.
const window = 8

// mask replaces a secret.
const mask = "[token]"

// scrub masks a secret in a text, also where only a part of it is there, where a
// line break divides it, and where it is written in base64 or hex.
func scrub(text, secret string) string {
	hidden := make([]bool, len(text))
	for _, form := range forms(secret) {
		w := min(window, len(form))
		parts := map[string]bool{}
		for i := 0; i+w <= len(form); i++ {
			parts[form[i:i+w]] = true
		}
		for i := 0; i+w <= len(text); i++ {
			if !parts[text[i:i+w]] {
				continue
			}
			for j := i; j < i+w; j++ {
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
