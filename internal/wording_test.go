package internal_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayWordFlags are the packages that may word the program's flags, and why.
var mayWordFlags = map[string]string{
	"cmd/reconciler":                       "it has the flags",
	"internal/config":                      "it is read before anything else, and says how to name another file",
	"internal/demo":                        "it runs the commands as a user does",
	"internal/store/postgres/postgrestest": "it runs programs of PostgreSQL, which have flags of their own",
	"tools/bench":                          "it runs the program, and has flags of its own",
	"tools/release":                        "it runs programs that build and sign, and has flags of its own",
	"tools/release/packages":               "it has flags of its own",
	"tools/soak":                           "it runs the program, and has flags of its own",
}

// mayWordKeys are the packages that may word keys of the config, and why.
var mayWordKeys = map[string]string{
	"internal/config": "it has the keys",
}

var (
	flagWord = regexp.MustCompile(`(?:^|[^-\w])--[a-z]`)
	// otherProgram matches a command line of another program.
	otherProgram = regexp.MustCompile(`\b(?:git|gpg)(?: [\w=./-]+)+`)
)

// Only commands know their flags, and only the config knows its keys: all others
// get the words from there, so that renaming one finds all messages.
func TestWordsOfFlagsAndKeys(t *testing.T) {
	key := keyPattern(t)
	checked := 0
	for _, file := range filesOf(t, ".go") {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		dir := strings.TrimPrefix(file[:strings.LastIndex(file, "/")], "../")
		fset := token.NewFileSet()
		parsed, err := parser.ParseFile(fset, file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, lit := range stringsOf(parsed) {
			checked++
			s, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			if _, may := mayWordFlags[dir]; !may && flagWord.MatchString(otherProgram.ReplaceAllString(s, "")) {
				t.Errorf("%s: %s words a flag, which is for cmd/reconciler to do", fset.Position(lit.Pos()), lit.Value)
			}
			if _, may := mayWordKeys[dir]; !may && key.MatchString(s) {
				t.Errorf("%s: %s words a config key: use the constant of internal/config, or do without", fset.Position(lit.Pos()), lit.Value)
			}
		}
	}
	if checked < 1000 {
		t.Errorf("found only %d strings", checked)
	}
}

// stringsOf returns the string literals of a file, except for paths of imports
// and tags of fields, which no user reads.
func stringsOf(file *ast.File) []*ast.BasicLit {
	var all []*ast.BasicLit
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.Field:
			n.Tag = nil
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				all = append(all, n)
			}
		}
		return true
	})
	return all
}

// keyPattern matches each key of the config's schema that is below another one,
// such as "state.dir". Keys at the top, such as "git", are also plain words.
func keyPattern(t *testing.T) *regexp.Regexp {
	type schema struct {
		Properties map[string]json.RawMessage
		Items      json.RawMessage
	}
	var keys []string
	var walk func(prefix string, raw json.RawMessage)
	walk = func(prefix string, raw json.RawMessage) {
		var s schema
		if err := json.Unmarshal(raw, &s); err != nil {
			t.Fatal(err)
		}
		if s.Items != nil {
			walk(prefix+"[]", s.Items)
		}
		for name, child := range s.Properties {
			path := strings.TrimPrefix(prefix+"."+name, ".")
			if strings.Contains(path, ".") {
				keys = append(keys, regexp.QuoteMeta(path))
			}
			walk(path, child)
		}
	}
	walk("", json.RawMessage(read(t, "config/config.schema.json")))
	if len(keys) < 40 {
		t.Fatalf("found only %d keys", len(keys))
	}
	slices.Sort(keys)
	return regexp.MustCompile(`(?:^|[^\w.])(?:` + strings.Join(keys, "|") + `)(?:\W|$)`)
}
