package schemagen

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// The keywords of draft 2020-12 that we use, and the types of values that each
// applies to; none for all types.
var keywords = map[string][]string{
	"$schema": nil, "$id": nil, "$comment": nil, "$ref": nil, "$defs": nil,
	"title": nil, "description": nil, "default": nil, "examples": nil, "deprecated": nil,
	"type": nil, "enum": nil, "const": nil,
	"allOf": nil, "anyOf": nil, "oneOf": nil, "not": nil, "if": nil, "then": nil, "else": nil,
	"minLength": {"string"}, "maxLength": {"string"}, "pattern": {"string"},
	"minimum": {"number", "integer"}, "maximum": {"number", "integer"},
	"items": {"array"}, "minItems": {"array"}, "maxItems": {"array"}, "uniqueItems": {"array"},
	"properties": {"object"}, "additionalProperties": {"object"}, "propertyNames": {"object"},
	"required": {"object"}, "dependentRequired": {"object"}, "minProperties": {"object"}, "maxProperties": {"object"},
}

// checkStrict returns what keeps ajv, the validator of many tools, from compiling
// a schema in strict mode (https://ajv.js.org/strict-mode.html): a keyword that is
// unknown or has no effect, one for a type that the schema doesn't allow
// (strictTypes), a required property that the same schema doesn't define
// (strictRequired), and a pattern that is none with JavaScript's flag u. Formats
// and tuples, which have rules too, are unknown keywords here.
func checkStrict(schema []byte) error {
	var v any
	if err := json.Unmarshal(schema, &v); err != nil {
		return err
	}
	return strictSchema("#", v, nil)
}

// strictSchema checks a schema for a value that, by the schemas around it, is of
// one of the types; nil if they don't say.
func strictSchema(at string, v any, types []string) error {
	s, ok := v.(map[string]any)
	if !ok {
		if _, boolean := v.(bool); boolean {
			return nil
		}
		return fmt.Errorf("%s: a schema must be an object or a boolean", at)
	}
	types, err := strictType(at, s, types)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(s)) {
		applies, known := keywords[key]
		switch {
		case !known:
			return fmt.Errorf("%s: unknown keyword %q", at, key)
		case len(applies) > 0 && !intersects(types, applies):
			return fmt.Errorf("%s: missing type %q for keyword %q", at, strings.Join(applies, ","), key)
		}
	}
	if err := strictKeywords(at, s); err != nil {
		return err
	}
	return strictChildren(at, s, types)
}

// strictType returns the types of a schema's values.
func strictType(at string, s map[string]any, context []string) ([]string, error) {
	if s["type"] == nil {
		return context, nil
	}
	t, ok := s["type"].(string)
	if !ok {
		return nil, fmt.Errorf("%s: a union of types needs anyOf", at)
	}
	types := []string{t}
	if t == "integer" {
		types = append(types, "number")
	}
	if context != nil && !intersects(context, types) {
		return nil, fmt.Errorf("%s: type %q is not allowed by the context %q", at, t, strings.Join(context, ","))
	}
	return types, nil
}

func intersects(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// badEscape matches an escape that JavaScript's flag u forbids, such as \" or \_.
var badEscape = regexp.MustCompile(`(^|[^\\])(\\\\)*\\[^dDsSwWbBnrtfv0xu^$\\.*+?()\[\]{}|/-]`)

func strictKeywords(at string, s map[string]any) error {
	properties, _ := s["properties"].(map[string]any)
	required, _ := s["required"].([]any)
	for _, name := range required {
		if _, ok := properties[name.(string)]; !ok {
			return fmt.Errorf("%s: required property %q is not defined there", at, name)
		}
	}
	if (s["then"] != nil || s["else"] != nil) != (s["if"] != nil) {
		return fmt.Errorf("%s: if, then and else are nothing without each other", at)
	}
	if pattern, ok := s["pattern"].(string); ok {
		if _, err := regexp.Compile(pattern); err != nil || badEscape.MatchString(pattern) {
			return fmt.Errorf("%s: pattern %q is not one in all dialects", at, pattern)
		}
	}
	return nil
}

func strictChildren(at string, s map[string]any, types []string) error {
	for _, key := range slices.Sorted(maps.Keys(s)) {
		at := at + "/" + key
		var err error
		switch v := s[key]; key {
		case "allOf", "anyOf", "oneOf":
			for i, sub := range v.([]any) {
				if err == nil {
					err = strictSchema(fmt.Sprintf("%s/%d", at, i), sub, types)
				}
			}
		case "not", "if", "then", "else":
			err = strictSchema(at, v, types)
		case "items", "additionalProperties":
			err = strictSchema(at, v, nil)
		case "propertyNames":
			err = strictSchema(at, v, []string{"string"})
		case "properties", "$defs":
			properties := v.(map[string]any)
			for _, name := range slices.Sorted(maps.Keys(properties)) {
				if err == nil {
					err = strictSchema(at+"/"+name, properties[name], nil)
				}
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
