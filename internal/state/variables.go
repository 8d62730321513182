package state

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"reconciler/internal/strictyaml"
)

// maxVariable is the length of the longest value of a variable, and maxExpandedText
// that of the longest text after its variables were replaced.
const (
	maxVariable     = 1000
	maxExpandedText = 100_000
)

// template is a text with variables that are not yet replaced.
type template string

// variables are what the texts of one org's configuration may refer to.
type variables struct {
	domain       string
	labels, vars map[string]string
	// broken are the names of variables whose values are mistakes.
	broken map[string]bool
	// inVar is set for the value of a variable, which can't refer to another one.
	inVar bool
}

// names returns all names, sorted.
func (v *variables) names() []string {
	names := []string{"domain", "subdomain"}
	for name := range v.labels {
		names = append(names, "label."+name)
	}
	names = slices.AppendSeq(names, maps.Keys(v.vars))
	slices.Sort(names)
	return names
}

func (v *variables) lookup(name string) (value string, ok bool) {
	switch name {
	case "domain":
		return v.domain, true
	case "subdomain":
		value, _, _ = strings.Cut(v.domain, ".")
		return value, true
	}
	if label, is := strings.CutPrefix(name, "label."); is {
		value, ok = v.labels[label]
		return value, ok
	}
	value, ok = v.vars[name]
	return value, ok
}

// unknown returns the message that there is no such variable.
func (v *variables) unknown(name string) string {
	msg := fmt.Sprintf("unknown variable ${%s}", short(name))
	if near := strictyaml.Nearest(name, v.names()); near != "" {
		return fmt.Sprintf("%s: did you mean ${%s}?", msg, near)
	}
	if label, is := strings.CutPrefix(name, "label."); is {
		return fmt.Sprintf("%s: give the org the label %s", msg, quote(label))
	}
	if v.inVar {
		return msg + ": the value of a variable may refer to ${domain}, ${subdomain} and labels"
	}
	return msg + ": define it under vars, of the org or by default"
}

// errBroken is returned for a text with a variable about whose value there is an error.
var errBroken = errors.New("a variable has no value")

// expand replaces the variables of a text that scan accepts.
func (v *variables) expand(t template) (string, error) {
	var b strings.Builder
	err := scan(string(t), func(text string) error {
		b.WriteString(text)
		return nil
	}, func(name string) error {
		value, ok := v.lookup(name)
		switch {
		case v.broken[name]:
			return errBroken
		case !ok:
			return errors.New(v.unknown(name))
		}
		b.WriteString(value)
		if b.Len() > maxExpandedText {
			return fmt.Errorf("with its variables replaced, this text is longer than %d characters", maxExpandedText)
		}
		return nil
	})
	return b.String(), err
}

// scan calls text for what is to be taken as it is, and variable for the name in
// each ${…}. $$ is a dollar, and so is one before anything else than a brace.
func scan(s string, text, variable func(string) error) error {
	for {
		before, rest, found := strings.Cut(s, "$")
		if !found {
			return text(s)
		}
		if err := text(before); err != nil {
			return err
		}
		switch {
		case strings.HasPrefix(rest, "{"):
			name, after, closed := strings.Cut(rest[1:], "}")
			if !closed || !isVariable(name) {
				return errors.New("${ begins a variable, such as ${domain} or ${label.NAME}: for the characters themselves, write $${")
			}
			if err := variable(name); err != nil {
				return err
			}
			s = after
			continue
		default:
			if err := text("$"); err != nil {
				return err
			}
			s = strings.TrimPrefix(rest, "$")
		}
	}
}

// isVariable reports whether a variable may have this name.
func isVariable(name string) bool {
	label, is := strings.CutPrefix(name, "label.")
	return is && checkLabelName(label) == nil || checkVarName(name) == nil
}

// parseText returns a text without variables as it is meant, or a template.
func parseText(s string) (any, error) {
	if !strings.Contains(s, "$") {
		return s, nil
	}
	var b strings.Builder
	constant := true
	err := scan(s, func(text string) error {
		b.WriteString(text)
		return nil
	}, func(string) error {
		constant = false
		return nil
	})
	switch {
	case err != nil:
		return "", err
	case constant:
		return b.String(), nil
	default:
		return template(s), nil
	}
}
