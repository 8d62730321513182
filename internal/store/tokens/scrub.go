package tokens

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// window is how many characters of a secret in a row are too many.
const window = 8

// mask stands where a secret stood.
const mask = "[token]"

// scrub takes a secret out of a text, also where only a part of it is there,
// where a line break divides it, and where it is written in base64 or hex.
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

// forms gives the ways in which programs write a secret. In base64 there are
// three, for what may stand before it.
func forms(secret string) []string {
	all := []string{secret, hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret)))}
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			text := enc.EncodeToString([]byte(strings.Repeat("\x00", before) + secret))
			// The first characters depend on what stands before, and the last
			// one on what follows.
			text = text[(before*8+5)/6 : len(text)-1]
			if len(text) >= window {
				all = append(all, text)
			}
		}
	}
	return all
}
