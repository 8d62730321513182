package findings

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// standard returns the schema of SARIF 2.1.0. go-sarif carries it for itself and
// checks only what its own structs took over from a log, so it is taken from
// its source to check every byte.
func standard(t testing.TB) *jsonschema.Schema {
	t.Helper()
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif").Output()
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(dir)), "schema.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	literal := file.Decls[0].(*ast.GenDecl).Specs[0].(*ast.ValueSpec).Values[0].(*ast.BasicLit)
	text, err := strconv.Unquote(literal.Value)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("sarif.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("sarif.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// readSARIF checks a log against the schema and reads it with
// another program's code.
func readSARIF(t *testing.T, schema *jsonschema.Schema, text string) *sarif.Run {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(doc); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	report, err := sarif.FromString(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Runs) != 1 {
		t.Fatalf("%d runs", len(report.Runs))
	}
	return report.Runs[0]
}

// The schema that the tests use does reject.
func TestSchemaRefuses(t *testing.T) {
	schema := standard(t)
	for _, bad := range []string{
		`{"version": "2.1.0"}`,
		`{"version": "2.1", "runs": []}`,
		`{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x", "colour": "red"}}}]}`,
		`{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x"}}, "results": [{"level": "error"}]}]}`,
	} {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(bad))
		if err != nil {
			t.Fatal(err)
		}
		if schema.Validate(doc) == nil {
			t.Errorf("takes %s", bad)
		}
	}
}

func TestSARIF(t *testing.T) {
	schema := standard(t)
	run := readSARIF(t, schema, render(t, SARIF, sample()))
	// The variable and the missing folder are no files.
	if n := len(run.Results); n != 7 {
		t.Errorf("%d results", n)
	}
	invocation := run.Invocations[0]
	if n := len(invocation.ToolExecutionNotifications); n != 2 || *invocation.ExecutionSuccessful {
		t.Errorf("%d notifications, successful: %v", n, *invocation.ExecutionSuccessful)
	}
	for _, r := range run.Results {
		rule := run.Tool.Driver.Rules[r.RuleIndex]
		if *rule.ID != *r.RuleID {
			t.Errorf("rule %d is %s, not %s", r.RuleIndex, *rule.ID, *r.RuleID)
		}
	}
	for _, valid := range []Report{{}, {Orgs: 1, Version: "1.2.3", Top: "/src", Dir: "/src"}} {
		run := readSARIF(t, schema, render(t, SARIF, valid))
		if run.Results == nil || len(run.Results) != 0 || !*run.Invocations[0].ExecutionSuccessful {
			t.Errorf("%+v is not shown as valid", valid)
		}
	}
}

// Every rule that findings can have is described, at its level.
func TestRules(t *testing.T) {
	levels := map[Rule]Level{
		ManifestError: Error, ManifestUnreadable: Error, ManifestWarning: Warning,
		ConfigError: Error, ConfigUnreadable: Error, ConfigWarning: Warning, InputError: Error,
	}
	rules := sarifRules()
	if len(rules) != len(levels) {
		t.Errorf("%d rules are described, of %d", len(rules), len(levels))
	}
	for _, r := range rules {
		if levels[r.ID] != r.Default["level"] {
			t.Errorf("%s is described as %q", r.ID, r.Default["level"])
		}
	}
}

// GitHub takes so many results and no more; errors are not the ones to lose.
func TestSARIFLimit(t *testing.T) {
	var r Report
	for i := range maxResults + 20 {
		r.Findings = append(r.Findings, Finding{Level: Warning, Rule: ManifestWarning, File: "a.yaml", Line: i + 1, Column: 1, Message: "odd"})
	}
	r.Findings = append(r.Findings, Finding{Level: Error, Rule: ManifestError, File: "z.yaml", Line: 1, Column: 1, Message: "wrong"})
	run := readSARIF(t, standard(t), render(t, SARIF, r))
	if len(run.Results) != maxResults {
		t.Errorf("%d results", len(run.Results))
	}
	if first := run.Results[0]; *first.RuleID != string(ManifestError) {
		t.Errorf("the first result is of %s", *first.RuleID)
	}
	notes := run.Invocations[0].ToolExecutionNotifications
	if len(notes) != 1 || !strings.HasPrefix(*notes[0].Message.Text, "21 more findings are left out") {
		t.Errorf("notifications: %d", len(notes))
	}
}

// prints returns the fingerprints of all results, in order.
func prints(t *testing.T, run *sarif.Run) []string {
	t.Helper()
	var all []string
	for _, r := range run.Results {
		p := r.PartialFingerprints[fingerprintKey]
		if p == "" {
			t.Fatalf("a result has no fingerprint: %v", *r.Message.Text)
		}
		all = append(all, p)
	}
	return all
}

// Somebody adds lines at the top of each file: it is still the same mistakes.
func TestFingerprintsSurviveMoves(t *testing.T) {
	schema := standard(t)
	finding := func(by int, file, message string) Finding {
		return Finding{Error, ManifestError, file, 10 + by, 3, message, ""}
	}
	report := func(by int) Report {
		return Report{Findings: []Finding{
			finding(by, "a.yaml", `unknown key "x"`),
			finding(by+2, "a.yaml", `unknown key "x"`), // alike
			finding(by, "b.yaml", `unknown key "x"`),
			finding(by, "c.yaml", fmt.Sprintf(`duplicate key "x": it is already at c.yaml:%d:3`, 2+by)),
			finding(by, "d.yaml", fmt.Sprintf("not valid YAML: expected , or ] here, in the list that begins on line %d", 9+by)),
		}}
	}
	before := prints(t, readSARIF(t, schema, render(t, SARIF, report(0))))
	after := prints(t, readSARIF(t, schema, render(t, SARIF, report(90))))
	if !slices.Equal(before, after) {
		t.Errorf("moved lines change fingerprints:\n%q\n%q", before, after)
	}
	if distinct := slices.Compact(slices.Sorted(slices.Values(before))); len(distinct) != len(before) {
		t.Errorf("different mistakes have one fingerprint: %q", before)
	}
}

// FuzzSARIF lets a pull request choose file name and message: the log is valid,
// and the path comes back from the URI.
func FuzzSARIF(f *testing.F) {
	f.Add("orgs/a.yaml", `unknown key "x"`)
	f.Add("a:b/50% off?#.yaml", "\xff\x00\u2028")
	f.Add("-\n\"\\ü.yaml", "<script>")
	f.Add("%2e%2e/x", "")
	schema := standard(f)
	f.Fuzz(func(t *testing.T, file, message string) {
		file = filepath.ToSlash(filepath.Clean(file))
		if !filepath.IsLocal(file) || file == "." {
			t.Skip()
		}
		r := Report{Top: "/src", Dir: "/src", Findings: []Finding{{Error, ManifestError, file, 3, 7, message, ""}}}
		run := readSARIF(t, schema, render(t, SARIF, r))
		place := run.Results[0].Locations[0].PhysicalLocation
		u, err := url.Parse(*place.ArtifactLocation.URI)
		if err != nil {
			t.Fatal(err)
		}
		if u.IsAbs() || u.Host != "" || strings.TrimPrefix(u.Path, "./") != file || u.RawQuery != "" || u.Fragment != "" {
			t.Errorf("%q becomes %q", file, u)
		}
		if *place.Region.StartLine != 3 || *place.Region.StartColumn != 7 || *place.ArtifactLocation.URIBaseID != srcRoot {
			t.Errorf("place: %+v", place)
		}
	})
}
