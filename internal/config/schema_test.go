package config

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/strictyaml"
	"reconciler/internal/strictyaml/schemagen"
)

var update = flag.Bool("update", false, "write the generated files anew")

// The schema is generated from the structs that the decoder reads into.
func TestSchemaIsFresh(t *testing.T) {
	fresh := generateSchema(t)
	checkGenerated(t, "config.schema.json", fresh)
	if !*update && !bytes.Equal(Schema, fresh) {
		t.Error("the embedded schema is not the file's: build again")
	}
}

// checkGenerated compares a generated file with what it should hold.
func checkGenerated(t *testing.T, path string, fresh []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, fresh, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(data), string(fresh)); diff != "" {
		t.Errorf("%s is stale; run: go test ./internal/config -update\n%s", path, diff)
	}
}

func generateSchema(t *testing.T) []byte {
	t.Helper()
	head := schemagen.Head{
		ID:          "urn:reconciler:config:1",
		Title:       "reconciler config",
		Description: "How reconciler runs. Every key has an environment variable, which outranks it.",
	}
	data, err := schemagen.Generate(head, &file{}, func(s *schemagen.Schema) {
		for _, fd := range allFields() {
			if d, ok := fd.tag.Lookup("default"); ok {
				find(s, fd.path).Default = defaultOf(fd, d)
			}
		}
		exclude(s, "git", "manifests")
		git := property(s, "git")
		exclude(git, "branch", "tag")
		exclude(git, "branch", "commit")
		exclude(git, "tag", "commit")
		gitAuth := property(git, "auth")
		exclude(gitAuth, "sshKeyFile", "passwordFile")
		for _, key := range []string{"username", "passwordFile", "sshKeyFile"} {
			exclude(gitAuth, "githubApp", key)
		}
		gitAuth.DependentRequired = map[string][]string{"sshPassphraseFile": {"sshKeyFile"}}
		for _, key := range []string{"appID", "installationID"} {
			orNumber(property(property(gitAuth, "githubApp"), key))
		}
		property(git, "webhook").Required = []string{"secretFile"}
		window := property(s, "windows").Items
		window.OneOf = []*schemagen.Schema{{Required: []string{"deny"}}, {Required: []string{"allow"}}}
		auth := property(property(s, "parents").Items, "auth")
		for _, key := range []string{"clientID", "privateKeyFile", "keyID", "dpop"} {
			exclude(auth, "tokenFile", key)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// allFields returns the fields of a file with one item in each list.
func allFields() []*field {
	f := &file{
		Parents: make([]at[parentFile], 1),
		Windows: make([]at[windowFile], 1),
		Suspend: make([]at[suspensionFile], 1),
	}
	return f.fields()
}

// find returns the schema of a key.
func find(s *schemagen.Schema, path string) *schemagen.Schema {
	for name := range strings.SplitSeq(path, ".") {
		if name == "0" {
			s = s.Items
			continue
		}
		s = property(s, name)
	}
	return s
}

// defaultOf returns a default as JSON has it.
func defaultOf(fd *field, text string) any {
	if problem := fd.assign(text, strictyaml.Pos{}); problem != "" {
		panic(fd.path + " " + problem)
	}
	switch v := fd.value.FieldByName("V"); v.Interface().(type) {
	case int, bool:
		return v.Interface()
	default:
		return text
	}
}

func property(s *schemagen.Schema, name string) *schemagen.Schema {
	p, ok := s.Properties.Get(name)
	if !ok {
		panic("no property " + name)
	}
	return p
}

// orNumber is for text that is taken without quotes too.
func orNumber(s *schemagen.Schema) {
	s.AnyOf = []*schemagen.Schema{{Type: "string"}, {Type: "integer"}}
	s.Type = ""
}

// exclude makes two keys exclude one another.
func exclude(s *schemagen.Schema, a, b string) {
	s.AllOf = append(s.AllOf, &schemagen.Schema{Not: &schemagen.Schema{Required: []string{a, b}}})
}
