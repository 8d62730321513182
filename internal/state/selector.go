package state

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Selector selects orgs by their labels, in the syntax of kubectl. The zero Selector
// selects all.
type Selector struct{ terms []term }

// term is one condition of a selector, on the label with a name.
type term struct {
	name string
	// values are those that the label may have, or must not have; nil means any.
	values []string
	// not turns it around: then an org without the label is selected as well.
	not bool
}

// setTerm matches "NAME in (A, B)" and "NAME notin (A, B)".
var setTerm = regexp.MustCompile(`^(\S+)\s+(in|notin)\s*\(([^()]*)\)$`)

// ParseSelector parses selectors that must all hold. Each consists of terms between
// commas, which must all hold as well: NAME=VALUE (or NAME==VALUE), NAME!=VALUE, NAME
// in (A, B), NAME notin (A, B), NAME for orgs that have the label, !NAME for those that
// don't. An org that doesn't have a label has no value of it either.
func ParseSelector(selectors ...string) (Selector, error) {
	var s Selector
	for _, text := range selectors {
		for _, part := range splitTerms(text) {
			t, err := parseTerm(strings.TrimSpace(part))
			if err != nil {
				return Selector{}, err
			}
			s.terms = append(s.terms, t)
		}
	}
	return s, nil
}

// splitTerms splits at the commas that are not in parentheses.
func splitTerms(s string) (parts []string) {
	start, depth := 0, 0
	for i, r := range s {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth <= 0 {
				parts, start = append(parts, s[start:i]), i+1
			}
		}
	}
	return append(parts, s[start:])
}

func parseTerm(s string) (t term, err error) {
	name, value, equals := strings.Cut(s, "=")
	set := setTerm.FindStringSubmatch(s)
	switch {
	case set != nil:
		t = term{name: set[1], values: strings.Split(set[3], ","), not: set[2] == "notin"}
	case equals && strings.HasSuffix(name, "!"):
		t = term{name: strings.TrimSuffix(name, "!"), values: []string{value}, not: true}
	case equals:
		t = term{name: name, values: []string{strings.TrimPrefix(value, "=")}}
	case strings.HasPrefix(s, "!"):
		t = term{name: s[1:], not: true}
	default:
		t = term{name: s}
	}
	t.name = strings.TrimSpace(t.name)
	if err := checkLabelName(t.name); err != nil {
		return term{}, fmt.Errorf("%q must be KEY=VALUE, KEY!=VALUE, KEY in (A, B), KEY notin (A, B), KEY or !KEY: the key %w", s, err)
	}
	for i, v := range t.values {
		t.values[i] = strings.TrimSpace(v)
		if err := labelValue(t.values[i]).Check(); err != nil {
			return term{}, fmt.Errorf("%q: %w", s, err)
		}
	}
	return t, nil
}

// IsZero reports whether s selects all.
func (s Selector) IsZero() bool { return len(s.terms) == 0 }

// Has reports whether an org with these labels is selected.
func (s Selector) Has(labels map[string]string) bool {
	return !slices.ContainsFunc(s.terms, func(t term) bool { return !t.holds(labels) })
}

func (t *term) holds(labels map[string]string) bool {
	value, found := labels[t.name]
	return (found && (t.values == nil || slices.Contains(t.values, value))) != t.not
}
