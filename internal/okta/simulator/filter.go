package simulator

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// grammar is what a filter can have.
type grammar struct {
	attributes map[string]attribute
	// nested means that "not" and parentheses are allowed.
	nested bool
}

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

// maxNesting limits the parentheses within parentheses of a filter.
const maxNesting = 20

// parseFilter parses a SCIM 2.0 filter (RFC 7644 section 3.4.2.2): comparisons
// joined by "and" and "or", where "and" binds tighter, and "not" and parentheses
// where the grammar has them. An empty filter matches all. problem is what is
// wrong with the filter, or "".
func parseFilter(filter string, g grammar) (m matcher, problem string) {
	if strings.TrimSpace(filter) == "" {
		return func(func(string) string) bool { return true }, ""
	}
	words, problem := filterWords(filter, g.nested)
	if problem != "" {
		return nil, problem
	}
	p := &filterParser{words: words, grammar: g}
	m = p.or()
	if p.problem == "" && len(p.words) > 0 {
		p.fail("The filter has '%s' instead of 'and' or 'or'", p.words[0])
	}
	if p.problem != "" {
		return nil, p.problem
	}
	return m, ""
}

// filterParser parses by recursive descent. After the first problem the matchers
// mean nothing.
type filterParser struct {
	grammar grammar
	words   []string // that are left
	depth   int
	problem string
}

func (p *filterParser) fail(format string, args ...any) {
	if p.problem == "" {
		p.problem = fmt.Sprintf(format, args...)
	}
	p.words = nil
}

// next takes the next word if it is this one, in any case.
func (p *filterParser) next(word string) bool {
	if len(p.words) == 0 || !strings.EqualFold(p.words[0], word) {
		return false
	}
	p.words = p.words[1:]
	return true
}

func (p *filterParser) or() matcher {
	m := p.and()
	for p.next("or") {
		left, right := m, p.and()
		m = func(get func(string) string) bool { return left(get) || right(get) }
	}
	return m
}

func (p *filterParser) and() matcher {
	m := p.term()
	for p.next("and") {
		left, right := m, p.term()
		m = func(get func(string) string) bool { return left(get) && right(get) }
	}
	return m
}

func (p *filterParser) term() matcher {
	if p.grammar.nested && p.next("not") {
		if len(p.words) == 0 || p.words[0] != "(" {
			p.fail("The filter must have parentheses after 'not'")
			return nil
		}
		m := p.term()
		return func(get func(string) string) bool { return !m(get) }
	}
	if !p.grammar.nested || !p.next("(") {
		return p.comparison()
	}
	if p.depth++; p.depth > maxNesting {
		p.fail("The filter has more than %d parentheses within one another", maxNesting)
		return nil
	}
	m := p.or()
	if !p.next(")") {
		p.fail("The filter has a parenthesis that is never closed")
	}
	p.depth--
	return m
}

func (p *filterParser) comparison() matcher {
	if len(p.words) >= 2 && strings.EqualFold(p.words[1], "pr") {
		return p.compareWith(2)
	}
	return p.compareWith(3)
}

// compareWith returns the comparison that the next count words are: attribute,
// operator, and a value unless the operator is "pr".
func (p *filterParser) compareWith(count int) matcher {
	if len(p.words) < count {
		p.fail("The filter ends in the middle of a comparison")
		return nil
	}
	name, op, value := p.words[0], strings.ToLower(p.words[1]), p.words[count-1]
	p.words = p.words[count:]
	a, known := p.grammar.attributes[name]
	switch {
	case !known:
		p.fail("The filter can't have '%s'", name)
	case !slices.Contains(a.ops, op):
		p.fail("The filter can't use '%s' with '%s'", op, name)
	case op == "pr":
	case a.kind == boolean && value != "true" && value != "false":
		p.fail("The filter must compare '%s' with true or false", name)
	case a.kind == textual && (value[0] != '"' || json.Unmarshal([]byte(value), &value) != nil):
		p.fail("The filter must compare '%s' with a quoted string", name)
	}
	return func(get func(string) string) bool { return compare(get(name), op, value) }
}

// filterWords returns the words of a filter, of which quoted strings, and
// parentheses if the filter may have some, are one each.
func filterWords(filter string, parentheses bool) (words []string, problem string) {
	ends := " "
	if parentheses {
		ends = " ()"
	}
	for rest := strings.TrimSpace(filter); rest != ""; rest = strings.TrimSpace(rest) {
		end := strings.IndexAny(rest, ends)
		switch {
		case rest[0] == '"':
			if end = quoteEnd(rest); end < 0 {
				return nil, "The filter has a quotation mark that is never closed"
			}
		case end == 0:
			end = 1 // a parenthesis
		case end < 0:
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

// compare compares without case, as SCIM does for attributes that are not
// caseExact; times in Okta's form compare as text.
func compare(is, op, value string) bool {
	is, value = strings.ToLower(is), strings.ToLower(value)
	switch op {
	case "eq":
		return is == value
	case "ne":
		return is != value
	case "co":
		return strings.Contains(is, value)
	case "sw":
		return strings.HasPrefix(is, value)
	case "ew":
		return strings.HasSuffix(is, value)
	case "pr":
		return is != ""
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
