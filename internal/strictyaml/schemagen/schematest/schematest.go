// Package schematest holds a JSON Schema and the strict loader of the same files
// together.
package schematest

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

// Compile returns a schema that is ready to check documents.
func Compile(t testing.TB, schema []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Documents returns the documents of a YAML text as editors hand them to a schema;
// ok is false when one can't be put as JSON. Empty documents are left out.
func Documents(text []byte) (docs []any, ok bool) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var n yaml.Node
		err := dec.Decode(&n)
		if errors.Is(err, io.EOF) {
			return docs, true
		}
		if err != nil {
			return nil, false
		}
		v, ok := asJSON(&n)
		if !ok {
			return nil, false
		}
		if v != nil {
			docs = append(docs, v)
		}
	}
}

// asJSON returns a YAML node as editors hand it to a schema: by YAML 1.2, which
// knows no dates.
func asJSON(n *yaml.Node) (any, bool) {
	switch n.Kind {
	case yaml.DocumentNode:
		return asJSON(n.Content[0])
	case yaml.SequenceNode:
		all := []any{}
		for _, c := range n.Content {
			v, ok := asJSON(c)
			if !ok {
				return nil, false
			}
			all = append(all, v)
		}
		return all, true
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			k := n.Content[i]
			v, ok := asJSON(n.Content[i+1])
			if _, dup := m[k.Value]; dup || !ok || k.Kind != yaml.ScalarNode || k.Tag == "!!merge" {
				return nil, false
			}
			m[k.Value] = v
		}
		return m, true
	case yaml.ScalarNode:
		return scalar(n)
	}
	return nil, false
}

func scalar(n *yaml.Node) (any, bool) {
	switch n.Tag {
	case "!!str", "!!timestamp":
		return n.Value, true
	case "!!bool":
		return strings.EqualFold(n.Value, "true"), true
	case "!!null":
		return nil, true
	case "!!int":
		i, err := strconv.ParseInt(n.Value, 0, 64)
		return i, err == nil
	case "!!float":
		f, err := strconv.ParseFloat(n.Value, 64)
		return f, err == nil
	}
	return nil, false
}

// Corpus judges each file of a txtar archive by the schema and by load, which
// returns the loader's error. The folder of a file says what they must find:
//
//	valid/    both take it
//	invalid/  both refuse it
//	unseen/   the loader refuses it and the schema can't: the first line, a
//	          comment, says why
func Corpus(t *testing.T, path string, schema []byte, load func(text []byte) error) {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := Compile(t, schema)
	counts := map[string]int{}
	for _, f := range archive.Files {
		folder, _, _ := strings.Cut(f.Name, "/")
		counts[folder]++
		loaded := load(f.Data)
		docs, ok := Documents(f.Data)
		if !ok {
			t.Errorf("%s: it can't be put as JSON, so no schema sees it", f.Name)
			continue
		}
		var refused error
		for _, doc := range docs {
			refused = errors.Join(refused, s.Validate(doc))
		}
		if (loaded == nil) != (folder == "valid") {
			t.Errorf("%s: the loader says %v", f.Name, loaded)
		}
		if (refused == nil) != (folder != "invalid") {
			t.Errorf("%s: the schema says %v", f.Name, refused)
		}
		if folder == "unseen" && !bytes.HasPrefix(f.Data, []byte("# ")) {
			t.Errorf("%s: there is no reason in its first line", f.Name)
		}
	}
	if len(counts) != 3 || counts["valid"] == 0 || counts["invalid"] == 0 || counts["unseen"] == 0 {
		t.Errorf("want files in valid, invalid and unseen, got %v", counts)
	}
}
