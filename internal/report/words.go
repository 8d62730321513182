package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// longText is how many characters of a value are shown as they are; of longer ones only
	// where they differ, with this much around it.
	longText = 120
	around   = 20
	// longList is how many elements are named that a list gains or loses.
	longList = 20
	// longOrder is how many elements a list may have to be shown whole when only their
	// order differs.
	longOrder = 6
)

// valueChange returns in words what changes between two values of a field. unset stands
// for nothing.
func valueChange(before, after any, unset string) string {
	switch b := before.(type) {
	case []any:
		if a, ok := after.([]any); ok {
			return listChange(b, a)
		}
	case map[string]any:
		if a, ok := after.(map[string]any); ok {
			return mapChange(b, a)
		}
	case string:
		if a, ok := after.(string); ok {
			b, a = Differing(b, a)
			return flowText(b) + " → " + flowText(a)
		}
	}
	return short(orUnset(before, unset)) + " → " + short(orUnset(after, unset))
}

// mapChange returns what changes in an object, by its keys.
func mapChange(before, after map[string]any) string {
	all := maps.Clone(before)
	maps.Copy(all, after)
	var words []string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		b, had := before[key]
		a, has := after[key]
		switch name := visible(key) + ": "; {
		case !had:
			words = append(words, "added "+name+short(flow(a)))
		case !has:
			words = append(words, "removed "+name+short(flow(b)))
		case flow(b) != flow(a):
			words = append(words, name+valueChange(b, a, notSet))
		}
	}
	if len(words) == 0 {
		return short(flow(before)) + " → " + short(flow(after))
	}
	return strings.Join(words, "; ")
}

// listChange returns what a list gains and loses, in words.
func listChange(before, after []any) string {
	gained, lost := without(after, before), without(before, after)
	switch {
	case len(gained)+len(lost) == 0:
		return orderChange(before, after)
	case len(lost) == 0:
		return "added " + some(gained)
	case len(gained) == 0:
		return "removed " + some(lost)
	}
	if len(gained) == 1 && len(lost) == 1 { // such as one long expression
		g, l := gained[0], lost[0]
		lost[0], gained[0] = Differing(l, g)
	}
	return "added " + some(gained) + "; removed " + some(lost)
}

// LeftOut begins what stands in a list for elements that whoever made it left out.
const LeftOut = "… and "

// some returns the first of what a list gains or loses, and how many more there are.
func some(all []string) string {
	left := 0
	if last := all[len(all)-1]; strings.HasPrefix(last, LeftOut) && len(all) > 1 {
		if _, err := fmt.Sscanf(last, LeftOut+"%d more", &left); err == nil {
			all = all[:len(all)-1]
		}
	}
	shown := make([]string, 0, min(len(all), longList))
	for _, s := range all[:min(len(all), longList)] {
		shown = append(shown, short(s))
	}
	words := strings.Join(shown, ", ")
	if left += len(all) - len(shown); left > 0 {
		words += fmt.Sprintf(" and %d more", left)
	}
	return words
}

// orderChange returns how the order of a list changes; of a long one, without what stays
// in its place at both ends.
func orderChange(before, after []any) string {
	if len(before) <= longOrder && len(after) <= longOrder {
		return inOrder(before) + " → " + inOrder(after)
	}
	start, end := common(len(before), len(after), func(i, k int) bool { return flow(before[i]) == flow(after[k]) })
	part := func(list []any) string {
		s := inOrder(list[start : len(list)-end])
		if start > 0 {
			s = "…, " + s
		}
		if end > 0 {
			s += ", …"
		}
		return s
	}
	return part(before) + " → " + part(after)
}

// common returns how many elements two sequences have in common at their beginning and at
// their end.
func common(n, m int, same func(i, k int) bool) (start, end int) {
	for start < min(n, m) && same(start, start) {
		start++
	}
	for end < min(n, m)-start && same(n-1-end, m-1-end) {
		end++
	}
	return start, end
}

// Differing returns two texts; of long ones, only where they differ. It takes them as they
// are, and not made visible.
func Differing(before, after string) (string, string) {
	b, a := []rune(before), []rune(after)
	if len(b) <= longText && len(a) <= longText {
		return before, after
	}
	start, end := common(len(b), len(a), func(i, k int) bool { return b[i] == a[k] })
	start, end = max(0, start-around), max(0, end-around)
	part := func(s []rune) string {
		middle := string(s[start : len(s)-end])
		if start > 0 {
			middle = "…" + middle
		}
		if utf8.RuneCountInString(middle) > longText+2*around {
			return short(middle)
		}
		if end > 0 {
			middle += "…"
		}
		return middle
	}
	return part(b), part(a)
}

// short returns the beginning of a long text.
func short(s string) string {
	if utf8.RuneCountInString(s) <= longText+2*around {
		return s
	}
	return string([]rune(s)[:longText]) + "…"
}

// without returns the elements of a list that another one doesn't have.
func without(list, other []any) []string {
	had := map[string]int{}
	for _, v := range other {
		had[flow(v)]++
	}
	var all []string
	for _, v := range list {
		s := flow(v)
		if had[s]--; had[s] < 0 {
			all = append(all, s)
		}
	}
	return all
}

// inOrder returns the elements of a list.
func inOrder(v any) string {
	list, ok := v.([]any)
	if !ok {
		return flow(v)
	}
	if len(list) == 0 {
		return "none"
	}
	all := make([]string, len(list))
	for i, x := range list {
		all[i] = flow(x)
	}
	return strings.Join(all, ", ")
}

func orUnset(v any, unset string) string {
	if v == nil {
		return unset
	}
	return flow(v)
}
