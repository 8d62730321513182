package state

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"reconciler/internal/strictyaml"
)

// loadFiles is Load of files in memory.
func loadFiles(files map[string]string) (*Desired, error) {
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	d, _, err := Load([]Input{{FS: fsys}}, LoadOptions{})
	return d, err
}

// aliases returns a manifest of n orgs, all but the first by an alias.
func aliases(n int) string {
	return "version: 1\norgs:\n  - &a {domain: a.okta.com}\n" + strings.Repeat("  - *a\n", n-1)
}

// However many orgs a few megabytes declare, there is one error, at the place of the
// first that is too many, and memory is bounded.
func TestTooManyOrgs(t *testing.T) {
	if testing.Short() {
		t.Skip("hundreds of thousands of orgs")
	}
	many := map[string]string{}
	for i := range 8 {
		many[fmt.Sprintf("f%d.yaml", i)] = aliases(90_000)
	}
	documents := map[string]string{}
	for i := range 3 {
		documents[fmt.Sprintf("d%d.yaml", i)] = strings.Repeat("---\n"+aliases(1000), 45)
	}
	listed := map[string]string{"list.yaml": "version: 1\norgs: &all\n  - &a {domain: a.okta.com}\n" + strings.Repeat("  - *a\n", 60_000-1) +
		"---\n" + aliases(50_000)}
	for _, test := range []struct {
		name  string
		files map[string]string
		pos   string
	}{
		// The list begins in line 3 of each file.
		{"files", many, "f1.yaml:10003:5: "},
		// Documents of 1,003 lines and 1,000 orgs, 45 in each file.
		{"documents", documents, "d2.yaml:10034:5: "},
		{"one file", listed, "list.yaml:100006:5: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			_, err := loadFiles(test.files)
			runtime.ReadMemStats(&after)
			errs, ok := strictyaml.AsErrors(err)
			if !ok || len(errs) != 1 {
				t.Fatalf("%d errors: %.300v", len(errs), err)
			}
			if got := errs[0].Error(); !strings.HasPrefix(got, test.pos+"more than 100000 orgs are declared") {
				t.Error(got)
			}
			if held := int64(after.HeapSys) - int64(before.HeapSys); held > 1<<30 {
				t.Errorf("%d MB", held>>20)
			}
		})
	}
}

// What is allowed is read.
func TestAsManyOrgsAsAllowed(t *testing.T) {
	if testing.Short() {
		t.Skip("as many orgs as allowed")
	}
	var b strings.Builder
	b.WriteString("version: 1\norgs:\n")
	for i := range maxOrgs {
		fmt.Fprintf(&b, "- domain: o%d.okta.com\n", i)
	}
	d, err := loadFiles(map[string]string{"a.yaml": b.String()})
	if err != nil || len(d.Orgs) != maxOrgs {
		t.Fatalf("%.300v", err)
	}
	_, err = loadFiles(map[string]string{"a.yaml": b.String(), "b.yaml": "version: 1\norgs: [{domain: one-more.okta.com}]\n"})
	if err == nil || !strings.HasPrefix(err.Error(), "b.yaml:2:8: more than 100000 orgs") {
		t.Errorf("%.300v", err)
	}
}
