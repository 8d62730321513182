package strictyaml

import (
	"slices"
	"strings"
)

// maxNearLen limits the length of words that Nearest compares, in bytes: the
// work grows with its square.
const maxNearLen = 100

// Nearest returns the candidate that word was most likely meant to be, or "" if
// none is near. It counts dropped, added, changed and swapped characters
// (Damerau-Levenshtein distance, optimal string alignment) without regard to
// case; one character in four of the longer word may be wrong. Words of three
// letters, of which many are alike, may have two of them swapped, and shorter
// ones must be equal. The first of several equally near candidates wins.
func Nearest(word string, candidates []string) string {
	if word == "" || len(word) > maxNearLen {
		return ""
	}
	w := []rune(strings.ToLower(word))
	best, least := "", len(w)+1
	for _, c := range candidates {
		if c == "" || len(c) > maxNearLen {
			continue
		}
		r := []rune(strings.ToLower(c))
		limit := max(len(w), len(r)) / 4
		if limit == 0 && swapped(w, r) {
			limit = 1
		}
		limit = min(limit, least-1)
		if diff := len(r) - len(w); diff > limit || -diff > limit {
			continue
		}
		if d := distance(w, r, limit); d <= limit {
			best, least = c, d
		}
	}
	return best
}

// swapped reports whether two words of three letters consist of the same ones.
func swapped(a, b []rune) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return len(a) == 3 && slices.Equal(a, b)
}

// distance returns the number of edits between a and b, or limit+1 as soon as
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
		// A swap reaches back two rows: stop only if this row is over the limit
		// by more than one.
		if least > limit+1 {
			return limit + 1
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// DidYouMean returns `: did you mean "x"?`, the end of a message, for the
// candidate nearest to word, or "" if none is near; see [Nearest].
func DidYouMean(word string, candidates []string) string {
	if c := Nearest(word, candidates); c != "" {
		return `: did you mean "` + c + `"?`
	}
	return ""
}

// OneOf returns one or more words as `"a", "b" or "c"`, for messages that name
// the choices.
func OneOf(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return `"` + words[0] + `"`
	}
	return `"` + strings.Join(words[:last], `", "`) + `" or "` + words[last] + `"`
}
