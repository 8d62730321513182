package config

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"reconciler/internal/strictyaml"
	"reconciler/internal/strictyaml/schemagen/schematest"
)

// The corpus is one archive a case: the config; the environment, if any; what
// Load says, errors before warnings (errors, warnings: rewritten by -update);
// and in the comment, whether the schema takes the config: "schema: accepts" is
// written where it does although Load rejects it.
func TestCorpus(t *testing.T) {
	sch := schematest.Compile(t, Schema)
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
	docs, ok := schematest.Documents(yaml.Data)
	if !ok {
		return // no YAML that means anything: no editor gets as far as the schema
	}
	var refused error
	for _, doc := range docs {
		refused = errors.Join(refused, sch.Validate(doc))
	}
	if (refused == nil) != accepts {
		t.Errorf("schema: %v", refused)
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
