package state

import (
	"bytes"
	"errors"
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	invopop "github.com/invopop/jsonschema"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"reconciler/internal/strictyaml"
	"reconciler/internal/strictyaml/schemagen"
	"reconciler/internal/strictyaml/schemagen/schematest"
)

var update = flag.Bool("update", false, "write golden files anew")

// TestSchemaIsFresh generates the schema again and compares it with the
// committed one; with -update it writes it.
func TestSchemaIsFresh(t *testing.T) {
	head := schemagen.Head{
		ID:          "urn:reconciler:manifest:1",
		Title:       "reconciler manifest",
		Description: "Desired state of the orgs of an Okta Aerial account.",
	}
	got, err := schemagen.Generate(head, manifest{}, func(s *schemagen.Schema) {
		// The rule for keys can't be said in a tag.
		for _, key := range []string{"products", "productSets"} {
			property, _ := s.Properties.Get(key)
			property.PropertyNames = &schemagen.Schema{Extras: ref("").SchemaKeywords()}
			property.PropertyNames.Not = &schemagen.Schema{Pattern: "^[Pp][0-9]{3,}$"}
		}
		products, _ := s.Properties.Get("products")
		short := &schemagen.Schema{Type: "string", Extras: productID("").SchemaKeywords()}
		products.AdditionalProperties = &schemagen.Schema{AnyOf: []*schemagen.Schema{short, products.AdditionalProperties}}
		baselines, _ := s.Properties.Get("baselines")
		baselines.PropertyNames = &schemagen.Schema{Extras: ref("").SchemaKeywords()}
		s.Definitions = invopop.Definitions{"configuration": &schemagen.Schema{Extras: configurationSchema()}}
		// Nor can what keys have to do with each other. It is said in terms of what
		// must not be, as editors offer what a "then" names: INACTIVE, to each new
		// org. An org without a status may be INACTIVE by default, which only Load
		// knows.
		orgs, _ := s.Properties.Get("orgs")
		defaults, _ := s.Properties.Get("defaults")
		forbid(orgs.Items, object{"requestDeletion": object{"const": true}, "status": object{"const": Active}})
		forbid(orgs.Items, object{"requestDeletion": object{"const": true}, "create": true})
		for _, s := range []*schemagen.Schema{orgs.Items, defaults} {
			labels, _ := s.Properties.Get("labels")
			labels.PropertyNames = &schemagen.Schema{Extras: object{"pattern": labelNamePattern, "maxLength": maxLabelName}}
			vars, _ := s.Properties.Get("vars")
			vars.PropertyNames = &schemagen.Schema{Extras: object{"pattern": varNamePattern, "maxLength": maxVarName}}
			vars.PropertyNames.Not = &schemagen.Schema{Extras: object{"enum": []string{"domain", "subdomain"}}}
			forbid(s, object{"products": object{"type": "array", "maxItems": 0}, "productSets": object{"type": "array", "minItems": 1}})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("manifest.schema.json", got, 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(Schema), string(got)); diff != "" {
		t.Errorf("manifest.schema.json is stale, run go generate (-committed +generated):\n%s", diff)
	}
}

// Editors offer what a "then" names before anything else: for a new org that would
// be the status INACTIVE.
func TestSchemaOffersNothing(t *testing.T) {
	for _, keyword := range []string{"if", "then", "else"} {
		if bytes.Contains(Schema, []byte(`"`+keyword+`":`)) {
			t.Errorf("the schema uses %q", keyword)
		}
	}
}

type object = map[string]any

// forbid makes the schema reject objects in which all of these properties are so.
func forbid(s *schemagen.Schema, properties object) {
	not := &schemagen.Schema{Extras: object{"properties": properties, "required": slices.Sorted(maps.Keys(properties))}}
	s.AllOf = append(s.AllOf, &schemagen.Schema{Not: not})
}

// compileSchema returns the committed schema, ready to check documents.
func compileSchema(t testing.TB) *jsonschema.Schema { return schematest.Compile(t, Schema) }

// A corpus that the schema and Load judge alike, except for what a schema can't
// know.
func TestSchemaCorpus(t *testing.T) {
	schematest.Corpus(t, "testdata/schema.txtar", Schema, func(text []byte) error {
		fsys := fstest.MapFS{
			"orgs.yaml": &fstest.MapFile{Data: text},
			// No orgs at all would be a mistake of its own.
			"other.yaml": mapFile("version: 1\norgs: [{domain: other.okta.com}]\n"),
		}
		_, _, err := Load([]Input{{FS: fsys, Root: "."}}, LoadOptions{Parents: map[string]string{"acme": ""}})
		return err
	})
}

// schemaErrors returns the places, as JSON pointers, at which the schema rejects
// documents of a YAML text; ok is false when a document can't be put as JSON.
func schemaErrors(t testing.TB, s *jsonschema.Schema, text []byte) (places []string, ok bool) {
	t.Helper()
	docs, ok := schematest.Documents(text)
	for _, doc := range docs {
		var bad *jsonschema.ValidationError
		if err := s.Validate(doc); errors.As(err, &bad) {
			places = append(places, leaves(bad)...)
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return places, ok
}

// leaves returns the innermost places of a validation error.
func leaves(e *jsonschema.ValidationError) []string {
	if len(e.Causes) == 0 {
		return []string{"/" + strings.Join(e.InstanceLocation, "/")}
	}
	var all []string
	for _, c := range e.Causes {
		all = append(all, leaves(c)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Each string type is checked by hand-written code here and by a pattern in
// editors: they must agree, on random text and on text near to the pattern.
func TestSchemaAgreesOnWords(t *testing.T) {
	s := compileSchema(t)
	near := []string{
		"acme.okta.com", "a.b", "-a.b", "a-.b", "a..b", "a.1", "a.b1", "a.b-", "xn--a.b", "A.B", "a.b.", "1.2.3.4", "a_b.c", "ä.b",
		strings.Repeat("a", 63) + ".b", strings.Repeat("a", 64) + ".b", strings.Repeat("a.", 126) + "b", strings.Repeat("a.", 127) + "b",
		"P000052", "P12", "P123", "p123", "P12x", "P" + strings.Repeat("0", 99), "P" + strings.Repeat("0", 100),
		"sso", "a b", ".a", "a.", "a_b", "_a", strings.Repeat("a", 100), strings.Repeat("a", 101), strings.Repeat("ä", 100), strings.Repeat("ä", 101),
		"ok1", "OK1", "oK16", "ok5", "ok10", "ok15", "ok17", "eu1", "eu2", "op3", "op4", "ok", "ok111",
		"a@b.c", "a@b", "@b.c", "a@@b.c", "a b@c.d", "a@b.c ", "a+b@c.d", "<a@b.c>", "ä@b.c", "a@" + strings.Repeat("b.", 126) + "c",
		"https://a.b", "http://a", "HTTPS://a", "ftp://a", "https://", "https:///a", "https://?a", "https://a b", "a.b",
		"a/b", "a_", "a.b/c-d", "domain", "subdomain", strings.Repeat("a", 63), strings.Repeat("a", 64), strings.Repeat("a", 317), strings.Repeat("a", 318),
		strings.Repeat("a", 1000), strings.Repeat("a", 1001), " a", "a ", "a\tb", "a\x1b", "a\u202eb", "a\u200db", "", "a", strings.Repeat("a", 256),
	}
	text := rapid.OneOf(rapid.SampledFrom(near), rapid.StringMatching(`[A-Za-z0-9._@:/ -]{0,12}`), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		w := text.Draw(t, "word")
		for _, c := range []struct {
			key   string
			value strictyaml.Checker
			doc   map[string]any
		}{
			{"domain", domain(w), map[string]any{"orgs": []any{map[string]any{"domain": w}}}},
			{"id", resourceID(w), map[string]any{"account": map[string]any{"id": w}}},
			{"account name", line(w), map[string]any{"account": map[string]any{"name": w}}},
			{"product id", productID(w), map[string]any{"products": map[string]any{"a": w}}},
			{"product", ref(w), map[string]any{"defaults": map[string]any{"products": []any{w}}}},
			{"member", ref(w), map[string]any{"productSets": map[string]any{"a": []any{w}}}},
			{"cell", cell(w), map[string]any{"defaults": map[string]any{"cell": w}}},
			{"org name", orgName(w), created("name", w)},
			{"website", website(w), created("website", w)},
			{"parent", line(w), created("parent", w)},
			{"email", email(w), created("email", w)},
			{"label", labelValue(w), object{"defaults": object{"labels": object{"a": w}}}},
			{"label name", named(func() error { return checkNamed("labels", w) }), object{"defaults": object{"labels": object{w: "a"}}}},
			{"variable", varValue(w), object{"defaults": object{"vars": object{"a": w}}}},
			{"variable name", named(func() error { return checkNamed("vars", w) }), object{"defaults": object{"vars": object{w: "a"}}}},
			{"baseline", ref(w), object{"defaults": object{"baselines": []any{w}}}},
			{"owner", line(w), object{"defaults": object{"owner": w}}},
			{"client", resourceID(w), object{"orgs": []any{object{"domain": "a.b", "access": object{"clientID": w}}}}},
		} {
			c.doc["version"] = 1
			byHand, bySchema := c.value.Check(), s.Validate(c.doc)
			if (byHand == nil) != (bySchema == nil) && !lenient(c.key, byHand) {
				t.Errorf("%s %q: Check says %v, the schema says %v", c.key, w, byHand, bySchema)
			}
		}
	})
}

// named checks the name of a label or variable.
type named func() error

func (n named) Check() error { return n() }

// lenient reports whether the schema may accept what Check rejects: patterns know
// neither all of Unicode's spaces nor what makes a URL.
func lenient(key string, byHand error) bool {
	return byHand != nil && (key == "website" || strings.Contains(byHand.Error(), "begin or end with a space"))
}

// created returns a document with one key of `create` set to w.
func created(key, w string) map[string]any {
	admin := map[string]any{"firstName": "a", "lastName": "b", "email": "a@b.c", "login": "a"}
	create := map[string]any{"parent": "p", "name": "n", "admin": admin}
	if _, ok := admin[key]; ok {
		admin[key] = w
	} else {
		create[key] = w
	}
	return map[string]any{"orgs": []any{map[string]any{"domain": "a.b", "create": create}}}
}

// What Load takes, the schema takes: here of configurations in which words were replaced
// by others, or lines are missing.
func TestSchemaTakesWhatLoads(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/load/good-configuration.txtar")
	if err != nil {
		t.Fatal(err)
	}
	s := compileSchema(t)
	good := strings.Split(string(archive.Files[0].Data), "\n")
	var words []string
	for _, line := range good {
		words = append(words, strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" {}[],", r) })...)
	}
	words = append(words, "null", "[]", "{}", "1", "5.0", "017", "true", "${domain}", "$$", "absent: true", "system: true", `""`)
	accepted := 0
	rapid.Check(t, func(rt *rapid.T) {
		lines := slices.Clone(good)
		for range rapid.IntRange(1, 2).Draw(rt, "changes") {
			i := rapid.IntRange(3, len(lines)-1).Draw(rt, "line")
			word := rapid.SampledFrom(words).Draw(rt, "word")
			lines[i] = strings.Replace(lines[i], word, rapid.SampledFrom(words).Draw(rt, "other"), 1)
			if rapid.Bool().Draw(rt, "missing") {
				lines = slices.Delete(lines, i, i+1)
			}
		}
		text := strings.Join(lines, "\n")
		if _, err := loadFiles(map[string]string{"a.yaml": text, "b.yaml": "version: 1\norgs: [{domain: a.okta.com}]\n"}); err != nil {
			return
		}
		accepted++
		if got := verdict(t, s, []byte(text)); got != "accepted" && got != "not checked" {
			rt.Errorf("%s\n%s", got, text)
		}
	})
	if accepted == 0 {
		t.Error("nothing loads")
	}
}
