package text

import "fmt"

// Plural returns a count and its noun: "1 org", "2 orgs". The noun is in the
// singular and takes an s.
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
