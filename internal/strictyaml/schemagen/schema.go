// Package schemagen generates the JSON Schemas (draft 2020-12) with which editors
// check our YAML files. They are reflected from the structs that the strict
// decoder reads into, so that both know the same keys.
//
// Only generators and tests import it: the program embeds the result.
package schemagen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/invopop/jsonschema"

	"reconciler/internal/strictyaml"
)

// Limited is implemented by types that allow less than their Go kind.
type Limited interface {
	// SchemaKeywords returns the limits as keywords of JSON Schema. It is called
	// on the zero value.
	SchemaKeywords() map[string]any
}

// Schema is what Generate passes to its tweak.
type Schema = jsonschema.Schema

// Head is the top of a schema.
type Head struct {
	ID, Title, Description string
}

// Generate returns the schema of v's type, a struct for strictyaml.Decode.
//
// Keys come from the tag `yaml`, descriptions from the tag `doc`, and what
// invopop/jsonschema knows, such as "required", from the tag `jsonschema`.
// Unknown keys are rejected everywhere. tweak may be nil; it adds what tags can't
// express. The result is indented, ends with a line break, and is the same for
// the same types. A key without a description is an error, and so is a schema that
// validators refuse in their strict modes.
func Generate(head Head, v any, tweak func(*Schema)) ([]byte, error) {
	var missing error
	r := jsonschema.Reflector{
		Anonymous:                  true,
		DoNotReference:             true,
		ExpandedStruct:             true,
		RequiredFromJSONSchemaTags: true,
		FieldNameTag:               "yaml",
		Mapper:                     mapType,
		LookupComment: func(t reflect.Type, field string) string {
			if field == "" {
				return ""
			}
			f, _ := t.FieldByName(field)
			doc := f.Tag.Get("doc")
			if doc == "" && missing == nil {
				missing = fmt.Errorf("%v.%s has no description (tag `doc`)", t, field)
			}
			return doc
		},
	}
	s := r.Reflect(v)
	if missing != nil {
		return nil, missing
	}
	s.ID, s.Title, s.Description = jsonschema.ID(head.ID), head.Title, head.Description
	if tweak != nil {
		tweak(s)
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(s); err != nil {
		return nil, fmt.Errorf("writing the schema: %w", err)
	}
	if err := checkStrict(out.Bytes()); err != nil {
		return nil, fmt.Errorf("ajv doesn't compile the schema in strict mode: %w", err)
	}
	return visible(out.String()), nil
}

// visible replaces characters that don't print, which a pattern may contain, by
// JSON escapes.
func visible(text string) []byte {
	var out []byte
	for _, r := range text {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			out = utf8.AppendRune(out, r)
		case r < 0x10000:
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			hi, lo := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		}
	}
	return out
}

// mapType returns the schema of types that reflection alone gets wrong.
func mapType(t reflect.Type) *jsonschema.Schema {
	if t == reflect.TypeFor[time.Duration]() {
		return &jsonschema.Schema{
			Type:     "string",
			Pattern:  `^[+-]?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$`,
			Examples: []any{"30s", "5m", "1h30m"},
		}
	}
	switch v := reflect.Zero(t).Interface().(type) {
	case Limited:
		return &jsonschema.Schema{Type: jsonType(t), Extras: v.SchemaKeywords()}
	case strictyaml.Enum:
		s := &jsonschema.Schema{Type: "string"}
		for _, word := range v.Values() {
			s.Enum = append(s.Enum, word)
		}
		return s
	}
	return nil
}

func jsonType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "string"
	case reflect.Int:
		return "integer"
	case reflect.Slice:
		return "array"
	case reflect.Struct:
		return "object"
	default:
		panic("schema: no JSON type for " + t.String())
	}
}
