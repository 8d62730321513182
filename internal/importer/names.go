package importer

import (
	"strconv"
	"strings"

	"reconciler/internal/state"
	"reconciler/internal/strictyaml"
)

// maxSlug is the length of the longest slug; it ends with a whole word.
const maxSlug = 50

// productNames returns a name for each product id: the last part of Okta's name
// ("IT Products - SSO" is sso), or all of it if that isn't unique, or with the
// id. The ids are valid and unique.
//
// If several products could have a name, none of them gets it, so that names
// don't depend on the order of products.
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
			if names[p.ID] == "" && claims[name] == 1 && usable(name) && !taken[name] {
				names[p.ID] = name
			}
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

// free returns the name, with a number if it is taken, and marks it as taken.
func free(name string, taken map[string]bool) string {
	for candidate, n := name, 2; ; n++ {
		if !taken[candidate] {
			taken[candidate] = true
			return candidate
		}
		candidate = name + "-" + strconv.Itoa(n)
	}
}

// usable reports whether a manifest can have the name, without quotes.
func usable(name string) bool {
	return state.ValidName(name) && strictyaml.Scalar(name) == name
}

// slug returns s as a name of lower-case letters, digits and single hyphens; ""
// if nothing is left.
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
