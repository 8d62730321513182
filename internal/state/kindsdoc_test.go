package state

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/okta/objects"
)

// docs/configuration.md has between these lines what the tables of kinds say.
const (
	kindsBegin = "<!-- kinds: go generate ./internal/state -->\n"
	kindsEnd   = "<!-- end of kinds -->\n"
)

func TestKindsInDocsAreFresh(t *testing.T) {
	const name = "../../docs/configuration.md"
	doc, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := bytes.Cut(doc, []byte(kindsBegin))
	got, after, ok2 := bytes.Cut(rest, []byte(kindsEnd))
	if !ok1 || !ok2 {
		t.Fatal("the lines around the kinds are missing")
	}
	want := kindsDoc()
	if *update {
		doc = slices.Concat(before, []byte(kindsBegin), []byte(want), []byte(kindsEnd), after)
		if err := os.WriteFile(name, doc, 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Errorf("docs/configuration.md is stale, run go generate (-tables +document):\n%s", d)
	}
}

// kindsDoc describes each kind and its fields.
func kindsDoc() string {
	var b strings.Builder
	for _, k := range objects.Kinds() {
		fmt.Fprintf(&b, "\n### %s\n\n%s %s\n\n| field | value | |\n|---|---|---|\n", headingOf(k), k.Doc, keyOf(k))
		rows, refused := fieldRows(k.Fields, "")
		for _, row := range rows {
			b.WriteString(row)
		}
		if len(refused) > 0 {
			fmt.Fprintf(&b, "\nCan't be declared: %s.\n", strings.Join(refused, "; "))
		}
	}
	b.WriteString("\n")
	return b.String()
}

func headingOf(k *objects.Kind) string {
	switch {
	case k.Setting:
		return "settings." + k.Name
	case k.Parent != nil:
		return k.Parent.Name + "[].rules"
	default:
		return k.Name
	}
}

// keyOf returns what an object is known by.
func keyOf(k *objects.Kind) string {
	var s string
	switch {
	case k.Setting:
		return "Each org has it once; it can't be absent."
	case k.Typed:
		s = "Key: `type` and `" + k.Key + "`."
	default:
		s = "Key: `" + k.Key + "`."
	}
	if hasSystem(k) {
		s += " Okta's own need `system: true`."
	}
	if k.Fixed {
		s += " Can't be absent."
	}
	return s
}

// fieldRows returns a row for each field, and what can't be declared.
func fieldRows(fields []objects.Field, path string) (rows, refused []string) {
	for i := range fields {
		f := &fields[i]
		name := path + f.Name
		switch {
		case f.ReadOnly || f.Secret:
			if f.Why != "Okta decides it" {
				refused = append(refused, fmt.Sprintf("`%s` (%s)", name, f.Why))
			}
			continue
		case f.Type != objects.Mapping:
			rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |\n", name, valueOf(f), describeField(f)))
		case len(f.Types) > 0 || f.Needs != "" || f.Nullable || f.Free:
			rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |\n", name, valueOf(f), describeField(f)))
		}
		inner, sep := f.Fields, "."
		if f.Type == objects.List {
			inner, sep = f.Elem.Fields, "[]."
		}
		r, no := fieldRows(inner, name+sep)
		rows, refused = append(rows, r...), append(refused, no...)
	}
	return rows, refused
}

// valueOf returns which values a field takes.
func valueOf(f *objects.Field) string {
	s := formOf(f)
	if (f.Min != nil || f.Max != nil) && f.Type != objects.Mapping {
		unit := map[objects.Type]string{objects.Text: "character", objects.List: "item"}[f.Type]
		s += ", " + between(f, unit)
	}
	if f.Immutable {
		s += ", can't be changed"
	}
	if f.Nullable {
		s += ", or null"
	}
	return s
}

func formOf(f *objects.Field) string {
	switch f.Type {
	case objects.Integer:
		return "whole number"
	case objects.Number:
		return "number"
	case objects.Boolean:
		return "`true`, `false`"
	case objects.Mapping:
		if f.Free {
			return "mapping, also of other keys"
		}
		return "mapping"
	case objects.List:
		if f.Elem.Type == objects.Mapping {
			return "list of mappings"
		}
		return "list: " + formOf(f.Elem)
	case objects.Anything:
		return "anything"
	}
	switch {
	case f.Refers != "":
		s := "name of a " + objects.ByName(f.Refers).Title
		for _, w := range f.Words {
			s += " or `" + w + "`"
		}
		return s
	case len(f.Enum) > 12:
		return fmt.Sprintf("`%s` and %d others that are known, or a new one", strings.Join(f.Enum[:3], "`, `"), len(f.Enum)-3)
	case len(f.Enum) > 0:
		s := "`" + strings.Join(f.Enum, "`, `") + "`"
		if f.Open {
			s += ", or a new one"
		}
		return s
	default:
		return "text"
	}
}
