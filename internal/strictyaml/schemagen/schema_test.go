package schemagen

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/strictyaml"
)

type size string

func (size) Values() []string { return []string{"small", "large"} }

type code string

func (code) SchemaKeywords() map[string]any {
	return map[string]any{"pattern": "^[a-z\u202e\U000e0001]{2,3}$"}
}

type sheet struct {
	Size  strictyaml.At[size]                                  `yaml:"size" jsonschema:"required" doc:"How large."`
	Codes strictyaml.At[[]strictyaml.At[code]]                 `yaml:"codes" jsonschema:"uniqueItems=true" doc:"Which."`
	Names strictyaml.At[strictyaml.Map[strictyaml.At[string]]] `yaml:"names" doc:"Whose."`
	Wait  time.Duration                                        `yaml:"wait" doc:"How long."`
	Sub   strictyaml.At[*struct {
		Count int `yaml:"count" jsonschema:"minimum=1" doc:"How many."`
	}] `yaml:"sub" doc:"More."`
}

func TestGenerate(t *testing.T) {
	const wanted = `{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "$id": "https://example.com/sheet.json",
  "properties": {
    "size": {
      "type": "string",
      "enum": [
        "small",
        "large"
      ],
      "description": "How large."
    },
    "codes": {
      "items": {
        "type": "string",
        "pattern": "^[a-z\u202e\udb40\udc01]{2,3}$"
      },
      "type": "array",
      "uniqueItems": true,
      "description": "Which."
    },
    "names": {
      "additionalProperties": {
        "type": "string"
      },
      "type": "object",
      "description": "Whose."
    },
    "wait": {
      "type": "string",
      "pattern": "^[+-]?(0|(([0-9]+(\\.[0-9]*)?|\\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$",
      "description": "How long.",
      "examples": [
        "30s",
        "5m",
        "1h30m"
      ]
    },
    "sub": {
      "properties": {
        "count": {
          "type": "integer",
          "minimum": 1,
          "description": "How many."
        }
      },
      "additionalProperties": false,
      "type": "object",
      "description": "More."
    }
  },
  "additionalProperties": false,
  "type": "object",
  "required": [
    "size"
  ],
  "title": "Sheet",
  "description": "A sheet."
}
`
	head := Head{ID: "https://example.com/sheet.json", Title: "Sheet", Description: "A sheet."}
	got, err := Generate(head, sheet{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wanted, string(got)); diff != "" {
		t.Errorf("schema differs (-wanted +got):\n%s", diff)
	}
}

func TestGenerateNeedsDescriptions(t *testing.T) {
	type bare struct {
		Count int `yaml:"count"`
	}
	_, err := Generate(Head{}, bare{}, nil)
	if err == nil || !strings.Contains(err.Error(), "bare.Count has no description") {
		t.Errorf("error = %v, want one that names the field", err)
	}
}

// The rules are those of https://ajv.js.org/strict-mode.html.
func TestCheckStrict(t *testing.T) {
	for schema, wanted := range map[string]string{
		`{"type":"object","properties":{"a":{"type":"string","pattern":"^[a-z.]+$"}},"required":["a"]}`: "",
		`{"type":"string","anyOf":[{"pattern":"a"},{"enum":["b"]}],"not":{"maxLength":3}}`:              "",
		`{"type":"object","allOf":[{"not":{"required":["a","b"],"properties":{"a":true,"b":true}}}]}`:   "",
		`{"type":"array","items":{"type":"integer","minimum":1}}`:                                       "",
		`{"type":"object","propertyNames":{"pattern":"^a"}}`:                                            "",
		`{"type":"string","format":"duration"}`:                                                         `unknown keyword "format"`,
		`{"type":"array","prefixItems":[true]}`:                                                         `unknown keyword "prefixItems"`,
		`{"colour":"red"}`:                                                                              `unknown keyword "colour"`,
		`{"minLength":1}`:                                                                               `missing type "string" for keyword "minLength"`,
		`{"minLength":1,"anyOf":[{"type":"string"},{"type":"integer"}]}`:                                `missing type "string" for keyword "minLength"`,
		`{"type":"object","properties":{"a":{"not":{"maxItems":0}}}}`:                                   `#/properties/a/not: missing type "array" for keyword "maxItems"`,
		`{"type":["string","integer"]}`:                                                                 `union of types`,
		`{"type":"object","not":{"type":"array"}}`:                                                      `#/not: type "array" is not allowed by the context "object"`,
		`{"type":"object","properties":{"a":true},"not":{"required":["a"]}}`:                            `#/not: required property "a" is not defined there`,
		`{"type":"object","then":false}`:                                                                `if, then and else`,
		`{"type":"string","pattern":"\\_"}`:                                                             `is not one in all dialects`,
		`{"type":"string","pattern":"(?=a)"}`:                                                           `is not one in all dialects`,
	} {
		err := checkStrict([]byte(schema))
		if wanted == "" && err != nil || wanted != "" && (err == nil || !strings.Contains(err.Error(), wanted)) {
			t.Errorf("%s: got %v, want %q", schema, err, wanted)
		}
	}
}
