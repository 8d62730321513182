package importer

import (
	"strconv"
	"strings"

	"reconciler/internal/state"
	"reconciler/internal/strictyaml"
)

// maxSlug is how long a name made of words may get; longer ones end at a word.
const maxSlug = 50

// productNames returns each product a name, by its id: the last part of Okta's
// name ("IT Products - SSO" is sso), or all of it where several would be called
// the same, or with the id where even that doesn't tell them apart. The ids are
// valid and without repeats.
//
// A name that several products would get goes to none of them, so that names
// don't depend on which product comes first.
func productNames(all []state.Product) map[string]string {
	ways := []func(state.Product) string{
		func(p state.Product) string {
			_, short, _ := strings.Cut(p.Name, " - ")
			return slug(short)
		},
		func(p state.Product) string { return slug(p.Name) },
		func(p state.Product) string {
			if s := slug(p.Name); usable(s) {
				return s + "-" + strings.ToLower(p.ID)
			}
			return ""
		},
		func(p state.Product) string { return "product-" + strings.TrimPrefix(p.ID, "P") },
	}
	names, taken := map[string]string{}, map[string]bool{}
	for _, way := range ways {
		claims := map[string]int{}
		for _, p := range all {
			if names[p.ID] == "" {
				claims[way(p)]++
			}
		}
		for _, p := range all {
			name := way(p)
			if names[p.ID] != "" || claims[name] > 1 || !usable(name) || taken[name] {
				continue
			}
			names[p.ID] = name
		}
		for _, name := range names {
			taken[name] = true
		}
	}
	for _, p := range all {
		// The last way's name was taken, or too long.
		if names[p.ID] == "" {
			names[p.ID] = free("product", taken)
		}
	}
	return names
}

// free returns the name, with a number if it is taken, and takes it.
func free(name string, taken map[string]bool) string {
	for candidate, n := name, 2; ; n++ {
		if !taken[candidate] {
			taken[candidate] = true
			return candidate
		}
		candidate = name + "-" + strconv.Itoa(n)
	}
}

// usable reports whether a name can stand in a manifest as it is, without quotes.
func usable(name string) bool {
	return state.ValidName(name) && strictyaml.Scalar(name) == name
}

// slug makes of words a name of lower-case letters, digits and single hyphens;
// "" when nothing is left.
func slug(s string) string {
	words := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	var b strings.Builder
	for _, w := range words {
		if b.Len()+1+len(w) > maxSlug {
			break
		}
		if b.Len() > 0 {
			b.WriteByte('-')
		}
		b.WriteString(w)
	}
	return b.String()
}
