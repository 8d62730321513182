package config

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"reconciler/internal/strictyaml"
)

// The corpus is one archive a case: the config; the environment, if any; what
// Load says, errors before warnings (errors, warnings: rewritten by -update);
// and in the comment, whether the schema takes the config: "schema: accepts" is
// written where it does although Load rejects it.
func TestCorpus(t *testing.T) {
	sch := compileSchema(t)
	for _, dir := range []string{"good", "bad"} {
		paths, err := filepath.Glob(filepath.Join("testdata", dir, "*.txtar"))
		if err != nil || len(paths) == 0 {
			t.Fatalf("no cases in %s: %v", dir, err)
		}
		for _, path := range paths {
			t.Run(dir+"/"+strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
				checkCase(t, sch, path, dir == "good")
			})
		}
	}
}

func checkCase(t *testing.T, sch *jsonschema.Schema, path string, good bool) {
	a, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]*txtar.File{}
	for i := range a.Files {
		parts[a.Files[i].Name] = &a.Files[i]
	}
	yaml := parts["reconciler.yaml"]
	if yaml == nil {
		t.Fatal("no reconciler.yaml")
	}
	var environ []string
	if env := parts["env"]; env != nil {
		environ = strings.Split(strings.TrimSpace(string(env.Data)), "\n")
	}

	cfg, warnings, err := load("reconciler.yaml", yaml.Data, newEnvironment(environ))
	if (err == nil) != good || (cfg == nil) == good {
		t.Errorf("error %v, config %v", err, cfg)
	}
	var said strings.Builder
	if err != nil {
		if _, ok := strictyaml.AsErrors(err); !ok {
			t.Errorf("an error without places: %v", err)
		}
		said.WriteString(err.Error() + "\n")
	}
	for _, w := range warnings {
		said.WriteString("warning: " + w.String() + "\n")
	}
	if strings.Contains(said.String(), "CANARY") {
		t.Error("a secret was repeated")
	}
	checkSaid(t, path, a, parts["says"], said.String())

	if environ != nil {
		return // the schema is about the file alone
	}
	accepts := good || bytes.Contains(a.Comment, []byte("schema: accepts"))
	doc, err := plainYAML(yaml.Data)
	if err != nil {
		return // no YAML that means anything: no editor gets as far as the schema
	}
	if err := sch.Validate(doc); (err == nil) != accepts {
		t.Errorf("schema: %v", err)
	}
}

func checkSaid(t *testing.T, path string, a *txtar.Archive, part *txtar.File, said string) {
	if *update {
		if part == nil && said != "" {
			a.Files = append(a.Files, txtar.File{Name: "says"})
			part = &a.Files[len(a.Files)-1]
		}
		if part != nil {
			part.Data = []byte(said)
		}
		if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	expected := ""
	if part != nil {
		expected = string(part.Data)
	}
	if diff := cmp.Diff(expected, said); diff != "" {
		t.Errorf("(-expected +said):\n%s", diff)
	}
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("config.json", doc); err != nil {
		t.Fatal(err)
	}
	sch, err := c.Compile("config.json")
	if err != nil {
		t.Fatal(err)
	}
	return sch
}

// plainYAML reads YAML as an editor does, which is all that a schema sees.
func plainYAML(data []byte) (any, error) {
	var n yaml.Node
	if err := yaml.Unmarshal(data, &n); err != nil {
		return nil, err
	}
	textTimes(&n)
	var doc any
	if err := n.Decode(&doc); err != nil {
		return nil, err
	}
	if doc == nil {
		doc = map[string]any{} // a file of nothing but comments
	}
	return doc, nil
}

// textTimes makes text of times: editors go by YAML 1.2, which knows none.
func textTimes(n *yaml.Node) {
	if n.Tag == "!!timestamp" {
		n.Tag = "!!str"
	}
	for _, c := range n.Content {
		textTimes(c)
	}
}
