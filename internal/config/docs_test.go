package config

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

const (
	docsFile   = "../../docs/config.md"
	tableBegin = "<!-- keys: written by go generate ./internal/config -->\n"
	tableEnd   = "<!-- end of keys -->\n"
)

// The table of keys in docs/config.md is generated from the structs that the
// decoder reads into; the text around it is not.
func TestDocsAreFresh(t *testing.T) {
	data, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(data), tableBegin)
	_, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok1 || !ok2 {
		t.Fatalf("%s has no table of keys", docsFile)
	}
	checkGenerated(t, docsFile, []byte(before+tableBegin+keyTable()+tableEnd+after))
}

func keyTable() string {
	var b strings.Builder
	b.WriteString("\n| key | default | meaning |\n|---|---|---|\n")
	for _, fd := range allFields() {
		name := "`" + fd.path + "`<br>"
		if fd.envOnly {
			name = ""
		}
		fmt.Fprintf(&b, "| %s`%s` | %s | %s |\n", strings.Replace(name, ".0.", "[].", 1), fd.env(), code(fd.tag.Get("default")), escape(fd.tag.Get("doc")))
	}
	b.WriteString("\n")
	return b.String()
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + escape(s) + "`"
}

func escape(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// Every key and every variable is in the docs, and every variable in the
// docs exists.
func TestDocsAreComplete(t *testing.T) {
	data, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	known := map[string]bool{}
	for _, fd := range allFields() {
		known[fd.env()] = true
		if !strings.Contains(text, "`"+fd.env()+"`") {
			t.Errorf("%s is not documented", fd.env())
		}
		if key := strings.Replace(fd.path, ".0.", "[].", 1); !fd.envOnly && !strings.Contains(text, "`"+key+"`") {
			t.Errorf("%s is not documented", key)
		}
		if fd.tag.Get("doc") == "" {
			t.Errorf("%s has no description", fd.path)
		}
	}
	for _, name := range flagEnv() {
		known[name] = true
		if !strings.Contains(text, name) {
			t.Errorf("%s is not documented", name)
		}
	}
	for _, name := range regexp.MustCompile(`RECONCILER_[A-Z0-9_]*[A-Z0-9]`).FindAllString(text, -1) {
		if !known[name] {
			t.Errorf("%s is documented and does not exist", name)
		}
	}
}

// The examples in the docs are configs that load.
func TestDocsExamples(t *testing.T) {
	data, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(data), -1)
	if len(examples) == 0 {
		t.Fatal("no examples")
	}
	for i, e := range examples {
		if _, _, err := load("reconciler.yaml", []byte(e[1]), nil); err != nil {
			t.Errorf("example %d: %v", i+1, err)
		}
	}
}
