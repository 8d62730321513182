package state

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Each archive in testdata/load holds manifests, and in the files whose names
// begin with "want/" what comes of them: the errors, or the desired state
// spelt out; the warnings; and what the JSON Schema says of each file.
//
// A file "parents" holds the names of the configured parents.
func TestLoadGolden(t *testing.T) {
	names, err := filepath.Glob("testdata/load/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	s := compileSchema(t)
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			fsys, opts, wanted := fstest.MapFS{}, LoadOptions{}, map[string]string{}
			for _, f := range archive.Files {
				switch what, isWanted := strings.CutPrefix(f.Name, "want/"); {
				case isWanted:
					wanted[what] = string(f.Data)
				case f.Name == "parents":
					opts.Parents = map[string]string{}
					for _, name := range strings.Fields(string(f.Data)) {
						opts.Parents[name] = ""
					}
				default:
					fsys[f.Name] = &fstest.MapFile{Data: f.Data}
				}
			}
			got := map[string]string{}
			desired, warnings, err := Load([]Input{{FS: fsys, Root: ".", Name: "."}}, opts)
			if err != nil {
				got["errors"] = err.Error() + "\n"
			} else {
				got["desired.yaml"] = string(Marshal(desired))
			}
			for _, w := range warnings {
				got["warnings"] += w.String() + "\n"
			}
			for _, f := range slices.Sorted(maps.Keys(fsys)) {
				if !isManifest(f) || strings.HasPrefix(f, ".") {
					continue
				}
				got["schema"] += f + ": " + verdict(t, s, fsys[f].Data) + "\n"
			}
			if err == nil && strings.Contains(got["schema"], "refused") {
				t.Errorf("the schema refuses what Load takes:\n%s", got["schema"])
			}
			if *update {
				rewrite(t, name, archive, got)
				return
			}
			if diff := cmp.Diff(wanted, got); diff != "" {
				t.Errorf("outcome differs (-wanted +got):\n%s", diff)
			}
		})
	}
}

// verdict says in a word what editors will say to a file.
func verdict(t *testing.T, s *jsonschema.Schema, text []byte) string {
	switch places, ok := schemaErrors(t, s, text); {
	case !ok:
		return "not checked"
	case len(places) > 0:
		return "refused at " + strings.Join(places, ", ")
	default:
		return "accepted"
	}
}

// rewrite puts the outcome into the archive.
func rewrite(t *testing.T, name string, archive *txtar.Archive, got map[string]string) {
	archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return strings.HasPrefix(f.Name, "want/") })
	for _, what := range slices.Sorted(maps.Keys(got)) {
		archive.Files = append(archive.Files, txtar.File{Name: "want/" + what, Data: []byte(got[what])})
	}
	if err := os.WriteFile(name, txtar.Format(archive), 0o666); err != nil {
		t.Fatal(err)
	}
}
