package simulator_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"reconciler/internal/okta/simulator"
)

// What docs/simulator.md shows is right: its seed loads, its faults parse, and
// it names every word that a fault may use.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../../../docs/simulator.md")
	if err != nil {
		t.Fatal(err)
	}
	block := func(language string) string {
		_, rest, found := strings.Cut(string(text), "```"+language+"\n")
		inner, _, closed := strings.Cut(rest, "```")
		if !found || !closed {
			t.Fatalf("no block of %s", language)
		}
		return inner
	}
	seed, err := simulator.LoadSeed("docs/simulator.md", []byte(block("yaml")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := simulator.New(seed, simulator.Options{}); err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(block("text")) {
		if _, err := simulator.ParseFault(line); err != nil {
			t.Error(err)
		}
	}
	_, err = simulator.ParseFault("GET /x nonsense")
	_, words, _ := strings.Cut(err.Error(), "want one of ")
	for word := range strings.SplitSeq(words, ", ") {
		if !regexp.MustCompile("`" + strings.TrimSuffix(word, "=") + "[`=]").Match(text) {
			t.Errorf("the word %q is not explained", word)
		}
	}
}
