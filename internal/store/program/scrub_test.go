package program

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestScrub: no eight characters of a secret come through, in any form.
func TestScrub(t *testing.T) {
	letters := rapid.StringMatching(`[A-Za-z0-9_-]{8,60}`)
	rapid.Check(t, func(t *rapid.T) {
		secret, before, after := letters.Draw(t, "secret"), rapid.String().Draw(t, "before"), rapid.String().Draw(t, "after")
		around := before + secret + after
		from := rapid.IntRange(0, len(secret)-window).Draw(t, "from")
		to := rapid.IntRange(from+window, len(secret)).Draw(t, "to")
		for form, text := range map[string]string{
			"plain":  around,
			"part":   before + secret[from:to] + after,
			"hex":    hex.EncodeToString([]byte(around)),
			"base64": base64.StdEncoding.EncodeToString([]byte(around)),
			"url":    base64.URLEncoding.EncodeToString([]byte(around)),
			"lines":  before + secret[:to] + "\n" + secret[to:] + after,
		} {
			actual := Scrub(text, Mask, secret)
			for _, f := range forms(secret) {
				for i := 0; i+window <= len(f); i++ {
					if strings.Contains(strings.ReplaceAll(actual, Mask, "\x00"), f[i:i+window]) {
						t.Fatalf("%s: %q is left in %q", form, f[i:i+window], actual)
					}
				}
			}
			if !strings.Contains(actual, Mask) {
				t.Fatalf("%s: nothing was taken out of %q", form, text)
			}
		}
	})
	for text, desired := range map[string]string{
		"":               "",
		"nothing":        "nothing",
		"ab":             "[secret]",
		"xabyabab":       "x[secret]y[secret]",
		"é ab \xff ab\n": "é [secret] \xff [secret]\n",
	} {
		if actual := Scrub(text, Mask, "ab"); actual != desired {
			t.Errorf("%q: %q", text, actual)
		}
	}
}

// A program that floods both outputs before it fails holds up nobody: what it printed on
// the one is looked for in the other in one go.
func TestScrubManySecrets(t *testing.T) {
	var printed, said strings.Builder
	for i := 0; printed.Len() < MaxOutput; i++ {
		fmt.Fprintf(&printed, "canary%06d ", i)
		fmt.Fprintf(&said, "harmless%06d ", i)
	}
	said.WriteString("canary000007")
	began := time.Now()
	actual := Scrub(said.String(), Mask, wordsOf(printed.String())...)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it takes %v", took)
	}
	if !strings.HasSuffix(actual, " [secret]") || strings.Contains(actual, "canary") || !strings.Contains(actual, "harmless") {
		t.Errorf("%.200s …", actual)
	}
}
