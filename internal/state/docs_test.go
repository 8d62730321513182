package state

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"reconciler/internal/okta/objects"

	"github.com/google/go-cmp/cmp"
)

// docs/manifest.md speaks of every key and every allowed word, and its examples
// load.
func TestDocs(t *testing.T) {
	doc, err := os.ReadFile("../../docs/manifest.md")
	if err != nil {
		t.Fatal(err)
	}
	var s map[string]any
	if err := json.Unmarshal(Schema, &s); err != nil {
		t.Fatal(err)
	}
	delete(s, "$defs") // docs/configuration.md explains it
	words := schemaWords(s)
	if len(words) < 40 {
		t.Errorf("the schema has but %d words: %q", len(words), words)
	}
	for _, w := range words {
		if !strings.Contains(string(doc), "`"+w+"`") {
			t.Errorf("docs/manifest.md doesn't explain %q", w)
		}
	}
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(doc, -1)
	if len(examples) != 2 {
		t.Errorf("%d examples, want 2", len(examples))
	}
	for _, m := range examples {
		if _, err := loadText(string(m[1])); err != nil {
			t.Errorf("an example doesn't load: %v\n%s", err, m[1])
		}
	}
}

// schemaWords returns the keys and the allowed words of a schema.
func schemaWords(s any) []string {
	var all []string
	switch s := s.(type) {
	case map[string]any:
		for key, v := range s {
			if properties, ok := v.(map[string]any); ok && key == "properties" {
				for name := range properties {
					all = append(all, name)
				}
			}
			if words, ok := v.([]any); ok && key == "enum" {
				for _, w := range words {
					if w, ok := w.(string); ok {
						all = append(all, w)
					}
				}
			}
			all = append(all, schemaWords(v)...)
		}
	case []any:
		for _, v := range s {
			all = append(all, schemaWords(v)...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// The examples of docs/configuration.md load, and the first one is explained as it
// stands there.
func TestConfigurationDoc(t *testing.T) {
	const name = "../../docs/configuration.md"
	doc, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(doc, -1)
	if len(examples) < 3 {
		t.Fatalf("%d examples, want at least 3", len(examples))
	}
	var all []*Desired
	for _, m := range examples {
		d, warnings, err := Load([]Input{{FS: fstest.MapFS{"orgs.yaml": {Data: m[1]}}, Root: "orgs.yaml"}}, LoadOptions{})
		if err != nil || len(warnings) > 0 {
			t.Fatalf("an example doesn't load: %v %v\n%s", err, warnings, m[1])
		}
		all = append(all, d)
	}
	if got, want := names(&all[1].Orgs[0], "policyRules"), []string{"Contractors/From offices", "Contractors/On call", "Contractors/Elsewhere"}; !slices.Equal(got, want) {
		t.Errorf("order %q, want %q", got, want)
	}
	var got bytes.Buffer
	if err := Explain(&got, all[0], "acme-emea.okta.com"); err != nil {
		t.Fatal(err)
	}
	explained := regexp.MustCompile("(?s)```text\n(.*?)```")
	if *update {
		doc = explained.ReplaceAllLiteral(doc, []byte("```text\n"+got.String()+"```"))
		if err := os.WriteFile(name, doc, 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(string(explained.FindSubmatch(doc)[1]), got.String()); d != "" {
		t.Errorf("the explanation is stale (-document +got):\n%s", d)
	}
}

// docs/configuration.md has the scope of each kind.
func TestScopesDoc(t *testing.T) {
	doc, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range objects.Kinds() {
		row := regexp.MustCompile("(?m)^\\| `" + regexp.QuoteMeta(k.API.Scope) + "` \\|(.*)$").FindSubmatch(doc)
		switch name := k.Name; {
		case row == nil:
			t.Errorf("no row for %s", k.API.Scope)
		case k.Parent != nil: // stands with it
		case k.API.Scope != "okta.orgs" && !bytes.Contains(row[1], []byte(name)):
			t.Errorf("%s isn't in the row of %s", name, k.API.Scope)
		case k.API.Scope == "okta.orgs" && !k.Setting:
			t.Errorf("%s is no setting", name)
		}
	}
}
