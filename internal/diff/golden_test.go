package diff_test

import (
	"bytes"
	"encoding/json"
	"flag"
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

var update = flag.Bool("update", false, "rewrite the golden files")

// goldenActual is the actual state as the golden files write it.
type goldenActual struct {
	Name     string            `yaml:"name"`
	Products map[string]string `yaml:"products"`
	Orgs     []goldenOrg       `yaml:"orgs"`
}

type goldenOrg struct {
	ID        string                  `yaml:"id"`
	Domain    string                  `yaml:"domain"`
	Cell      string                  `yaml:"cell"`
	Status    string                  `yaml:"status"`
	AerialOrg bool                    `yaml:"aerialOrg"`
	Products  strictyaml.At[[]string] `yaml:"products"`
	Unknown   string                  `yaml:"unknown"`
}

type goldenOptions struct {
	Only           []string           `yaml:"only"`
	Exclude        []string           `yaml:"exclude"`
	MaxOrgs        strictyaml.At[int] `yaml:"maxDestructiveOrgs"`
	MaxPercent     strictyaml.At[int] `yaml:"maxDestructivePercent"`
	Parents        []string           `yaml:"parents"`
	UnknownParents []string           `yaml:"unknownParents"`
}

func (g *goldenActual) state() *state.Actual {
	a := &state.Actual{Account: state.Account{ID: account, Name: g.Name}}
	for id, name := range g.Products {
		a.Catalog = append(a.Catalog, state.Product{ID: id, Name: name})
	}
	for _, o := range g.Orgs {
		org := state.Org{
			ID: o.ID, Domain: o.Domain, Cell: o.Cell, Status: state.Status(o.Status),
			AerialOrg: o.AerialOrg, Unknown: o.Unknown,
		}
		if o.Products.Set {
			org.Products = append([]string{}, o.Products.V...)
		}
		a.Orgs = append(a.Orgs, org)
	}
	return a
}

// TestPlans holds plans to their golden files: desired.yaml and actual.yaml
// give plan.json, or the error in error.txt.
func TestPlans(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { testPlan(t, file) })
	}
}

func testPlan(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string][]byte{}
	for _, f := range archive.Files {
		parts[f.Name] = f.Data
	}
	desired, _, err := state.Load([]state.Input{{
		FS: fstest.MapFS{"desired.yaml": {Data: parts["desired.yaml"]}}, Root: "desired.yaml", Name: "desired.yaml",
	}}, state.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var actual goldenActual
	if err := strictyaml.DecodeInto(file, parts["actual.yaml"], &actual); err != nil {
		t.Fatal(err)
	}
	var g goldenOptions
	if err := strictyaml.DecodeInto(file, parts["options.yaml"], &g); err != nil {
		t.Fatal(err)
	}
	opts := diff.Options{Account: account, Revision: "0123456789abcdef", Filter: diff.Filter{Only: g.Only, Exclude: g.Exclude}}
	opts.Guards = diff.Guards{MaxDestructiveOrgs: 10, MaxDestructivePercent: 20, MaxNewOrgs: 10, ParentDomains: g.Parents, UnknownParents: g.UnknownParents}
	if g.MaxOrgs.Set {
		opts.Guards.MaxDestructiveOrgs = g.MaxOrgs.V
	}
	if g.MaxPercent.Set {
		opts.Guards.MaxDestructivePercent = g.MaxPercent.V
	}

	name, got := "plan.json", []byte(nil)
	plan, err := diff.Compute(desired, actual.state(), opts)
	if err != nil {
		name, got = "error.txt", []byte(err.Error()+"\n")
	} else {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetIndent("", "  ")
		if err := enc.Encode(plan); err != nil {
			t.Fatal(err)
		}
		got = b.Bytes()
	}
	if *update {
		kept := archive.Files[:0]
		for _, f := range archive.Files {
			if f.Name != "plan.json" && f.Name != "error.txt" {
				kept = append(kept, f)
			}
		}
		archive.Files = append(kept, txtar.File{Name: name, Data: got})
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(string(parts[name]), string(got)); d != "" {
		t.Errorf("%s (-golden +actual):\n%s", name, d)
	}
}
