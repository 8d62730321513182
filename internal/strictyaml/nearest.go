package strictyaml

import (
	"strings"
	"unicode/utf8"
)

// maxNearLen bounds the words that Nearest compares: nobody mistypes a longer
// one in a way that a hint could mend, and the work grows with its square.
const maxNearLen = 100

// Nearest gives the candidate that word was most likely meant to be, or "" when
// none is near. It counts dropped, added, changed and swapped characters
// (Damerau-Levenshtein, in the form that moves each character once) without
// regard to case, and lets about one in three be wrong. The first of several
// equally near candidates wins.
func Nearest(word string, candidates []string) string {
	if word == "" || len(word) > maxNearLen {
		return ""
	}
	w := []rune(strings.ToLower(word))
	best, limit := "", max(1, len(w)/3)
	for _, c := range candidates {
		if c == "" || len(c) > maxNearLen {
			continue
		}
		if diff := utf8.RuneCountInString(c) - len(w); diff > limit || -diff > limit {
			continue
		}
		d := distance(w, []rune(strings.ToLower(c)), limit)
		// A word of one or two letters is near to every other one.
		if d > limit || d >= len(w) {
			continue
		}
		best, limit = c, d-1
		if d == 0 {
			break
		}
	}
	return best
}

// distance counts the edits between a and b, and gives up with limit+1 when
// there are more than limit.
func distance(a, b []rune, limit int) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
			least = min(least, row[j])
		}
		// A swap reaches back two rows, so one hopeless row is not enough to
		// stop unless it is hopeless by more than one.
		if least > limit+1 {
			return limit + 1
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// DidYouMean gives `: did you mean "x"?` for the candidate nearest to word, or
// "" when none is near. It is made to be put at the end of a message.
func DidYouMean(word string, candidates []string) string {
	if c := Nearest(word, candidates); c != "" {
		return `: did you mean "` + c + `"?`
	}
	return ""
}

// OneOf gives "a", "b" or "c", quoted, for messages that name the choices.
func OneOf(words []string) string {
	var b strings.Builder
	for i, w := range words {
		switch {
		case i == 0:
		case i == len(words)-1:
			b.WriteString(" or ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(`"` + w + `"`)
	}
	return b.String()
}
