package diff_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"reconciler/internal/diff"
	"reconciler/internal/state"
	"reconciler/internal/strictyaml"
)

// TestReviews holds reviews to their golden files: the manifests base.yaml (or
// those in base/) and head.yaml give declared.json, and with actual.yaml also
// threeway.json; or the errors in *.txt.
func TestReviews(t *testing.T) {
	files, err := filepath.Glob("testdata/review/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { testReview(t, file) })
	}
}

func testReview(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	kept := archive.Files[:0:0]
	golden, actualYAML := map[string]string{}, []byte(nil)
	for _, f := range archive.Files {
		switch name, ext := f.Name, filepath.Ext(f.Name); {
		case ext == ".json" || ext == ".txt":
			golden[name] = string(f.Data)
			continue
		case name == "actual.yaml":
			actualYAML = f.Data
		}
		kept = append(kept, f)
	}
	base, head := manifests(t, kept, "base"), manifests(t, kept, "head")
	opts := diff.Options{
		Account: account, Base: "ba5e", Revision: "4ead", Signer: "ada@acme.example",
		Guards: diff.Guards{MaxDestructiveOrgs: 2, MaxDestructivePercent: 100, MaxNewOrgs: 100, UnknownAerial: actualYAML == nil},
	}

	plan, err := diff.CompareDeclared(base, head, opts)
	got := []txtar.File{outcome(t, "declared", plan, err)}
	if actualYAML != nil {
		var actual goldenActual
		if err := strictyaml.DecodeInto(file, actualYAML, &actual); err != nil {
			t.Fatal(err)
		}
		plan, err := diff.CompareThreeWay(base, head, actual.state(), opts)
		got = append(got, outcome(t, "threeway", plan, err))
	}
	if *update {
		archive.Files = append(kept, got...)
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if len(got) != len(golden) {
		t.Errorf("%d golden parts, got %d", len(golden), len(got))
	}
	for _, f := range got {
		if d := cmp.Diff(golden[f.Name], string(f.Data)); d != "" {
			t.Errorf("%s (-golden +actual):\n%s", f.Name, d)
		}
	}
}

// manifests loads those of one side; nil where there are none.
func manifests(t *testing.T, files []txtar.File, side string) *state.Desired {
	t.Helper()
	fsys := fstest.MapFS{}
	for _, f := range files {
		if f.Name == side+".yaml" || strings.HasPrefix(f.Name, side+"/") {
			fsys[f.Name] = &fstest.MapFile{Data: f.Data}
		}
	}
	if len(fsys) == 0 {
		return nil
	}
	d, _, err := state.Load([]state.Input{{FS: fsys}}, state.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func outcome(t *testing.T, name string, plan *diff.Plan, err error) txtar.File {
	t.Helper()
	if err != nil {
		return txtar.File{Name: name + ".txt", Data: []byte(err.Error() + "\n")}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	if err := enc.Encode(plan); err != nil {
		t.Fatal(err)
	}
	return txtar.File{Name: name + ".json", Data: b.Bytes()}
}
