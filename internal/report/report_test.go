package report

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/diff"
)

var updateGoldens = flag.Bool("update", false, "rewrite the files in testdata")

var extensions = map[Format]string{Text: "txt", JSON: "json", Markdown: "md", HTML: "html"}

func render(t *testing.T, f Format, d Data) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, f, d); err != nil {
		t.Fatalf("Write(%s): %v", f, err)
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	all := []Format{Text, JSON, Markdown, HTML}
	tests := []struct {
		name    string
		data    Data
		formats []Format
	}{
		{"insync", Data{Plan: inSync()}, all},
		{"insync-unmanaged", Data{
			Plan:     newPlan(1, 1, diff.Plan{Unmanaged: []diff.Unmanaged{{Org: "acme-aerial.okta.com", OrgID: "00o1aerial000000000g"}}}),
			Warnings: []string{`orgs/link.yaml: symbolic link, not followed`},
		}, all},
		{"actions", Data{Plan: allActions(), Title: "Sandbox fleet"}, all},
		{"troubled", Data{Plan: troubled()}, all},
		{"color", Data{Plan: troubled(), Color: true}, []Format{Text}},
		{"color-applied", func() Data { d := withFailures(); d.Color = true; return d }(), []Format{Text}},
		{"failures", withFailures(), all},
		{"interrupted", interrupted(), all},
		{"fleet", Data{Plan: fleet(40)}, all},
		{"fleet-huge", Data{Plan: fleet(3000)}, []Format{Markdown}},
		{"hostile", hostile(), all},
	}
	for _, tt := range tests {
		for _, f := range tt.formats {
			t.Run(tt.name+"/"+string(f), func(t *testing.T) {
				got := render(t, f, tt.data)
				file := filepath.Join("testdata", tt.name+"."+extensions[f])
				if *updateGoldens {
					if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				wanted, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(string(wanted), got); d != "" {
					t.Errorf("%s (-wanted +got), accept it with -update:\n%s", file, d)
				}
			})
		}
	}
}
