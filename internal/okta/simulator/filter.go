package simulator

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// grammar is the attributes that a filter can have.
type grammar map[string]attribute

type attribute struct {
	kind literal
	ops  []string
}

// literal is the kind of value that an attribute is compared with.
type literal uint8

const (
	textual literal = iota
	boolean
)

// matcher reports whether something matches a filter; get returns its attributes.
type matcher func(get func(attribute string) string) bool

// parseFilter parses the part of SCIM 2.0 filters (RFC 7644 section 3.4.2.2) that
// Okta documents here: comparisons joined by "and" and "or", where "and" binds
// tighter, no parentheses. An empty filter matches all. problem is what is wrong
// with the filter, or "".
func parseFilter(filter string, g grammar) (m matcher, problem string) {
	if strings.TrimSpace(filter) == "" {
		return func(func(string) string) bool { return true }, ""
	}
	words, problem := filterWords(filter)
	if problem != "" {
		return nil, problem
	}
	either := [][]matcher{nil} // alternatives, each of terms that must all match
	for {
		if len(words) < 3 {
			return nil, "The filter ends in the middle of a comparison"
		}
		term, problem := comparison(words[0], words[1], words[2], g)
		if problem != "" {
			return nil, problem
		}
		last := len(either) - 1
		either[last] = append(either[last], term)
		words = words[3:]
		if len(words) == 0 {
			return disjunction(either), ""
		}
		switch strings.ToLower(words[0]) {
		case "and":
		case "or":
			either = append(either, nil)
		default:
			return nil, fmt.Sprintf("The filter has '%s' instead of 'and' or 'or'", words[0])
		}
		words = words[1:]
	}
}

func disjunction(either [][]matcher) matcher {
	return func(get func(string) string) bool {
		return slices.ContainsFunc(either, func(all []matcher) bool {
			return !slices.ContainsFunc(all, func(m matcher) bool { return !m(get) })
		})
	}
}

func filterWords(filter string) (words []string, problem string) {
	for rest := strings.TrimSpace(filter); rest != ""; rest = strings.TrimSpace(rest) {
		end := strings.IndexByte(rest, ' ')
		if rest[0] == '"' {
			end = quoteEnd(rest)
			if end < 0 {
				return nil, "The filter has a quotation mark that is never closed"
			}
		}
		if end < 0 {
			end = len(rest)
		}
		words, rest = append(words, rest[:end]), rest[end:]
	}
	return words, ""
}

// quoteEnd returns the index after the closing quote of a string that starts
// with one, or -1.
func quoteEnd(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

func comparison(name, op, value string, g grammar) (m matcher, problem string) {
	a, known := g[name]
	op = strings.ToLower(op)
	switch {
	case !known:
		return nil, fmt.Sprintf("The filter can't have '%s'", name)
	case !slices.Contains(a.ops, op):
		return nil, fmt.Sprintf("The filter can't use '%s' with '%s'", op, name)
	}
	switch a.kind {
	case boolean:
		if value != "true" && value != "false" {
			return nil, fmt.Sprintf("The filter must compare '%s' with true or false", name)
		}
	case textual:
		if value[0] != '"' || json.Unmarshal([]byte(value), &value) != nil {
			return nil, fmt.Sprintf("The filter must compare '%s' with a quoted string", name)
		}
	}
	return func(get func(string) string) bool { return compare(get(name), op, value) }, ""
}

// compare compares without case, as SCIM does for attributes that are not
// caseExact; times in Okta's form compare as text.
func compare(is, op, value string) bool {
	is, value = strings.ToLower(is), strings.ToLower(value)
	switch op {
	case "eq":
		return is == value
	case "sw":
		return strings.HasPrefix(is, value)
	case "gt":
		return is > value
	case "ge":
		return is >= value
	case "lt":
		return is < value
	default: // le
		return is <= value
	}
}
