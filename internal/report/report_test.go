package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"html"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/state"
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
		{"review", Data{Plan: reviewed(t)}, all},
		{"review-color", Data{Plan: reviewed(t), Color: true}, []Format{Text}},
		{"review-drift", Data{Plan: onlyDrift(t)}, []Format{Text, Markdown, HTML}},
		{"review-applied", reviewApplied(t), []Format{Text, Markdown}},
		{"declared", Data{Plan: declaredFleet(t, 30)}, []Format{Text, Markdown, HTML}},
		{"declared-nothing", Data{Plan: declaredNothing(t)}, []Format{Text, Markdown, HTML}},
		{"review-hostile", hostileReview(), all},
		{"objects", Data{Plan: configured()}, all},
		{"objects-color", Data{Plan: configured(), Color: true}, []Format{Text}},
		{"objects-applied", configuredApplied(), all},
		{"objects-fleet", Data{Plan: baselined(300)}, []Format{Text, Markdown, HTML}},
		{"objects-fleet-applied", baselinedApplied(300), []Format{Text, Markdown}},
		{"objects-many", Data{Plan: manyObjects()}, []Format{Markdown}},
		{"objects-review", Data{Plan: objectReview()}, []Format{Text, Markdown, HTML}},
		{"objects-declared", Data{Plan: objectsDeclared()}, []Format{Text, Markdown}},
	}
	for _, tt := range tests {
		for _, f := range tt.formats {
			t.Run(tt.name+"/"+string(f), func(t *testing.T) {
				checkGolden(t, tt.name+"."+extensions[f], render(t, f, tt.data))
			})
		}
	}
}

// What is left out where there is less room than the largest comment has.
func TestGoldenLimits(t *testing.T) {
	checkGolden(t, "review-small.md", markdown(Data{Plan: bigReview()}, markdownLeast))
	checkGolden(t, "declared-huge.md", markdown(Data{Plan: declaredFleet(t, 5000)}, 20_000))
}

func checkGolden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
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
}

func TestParseFormat(t *testing.T) {
	tests := []struct {
		name    string
		wanted  Format
		problem string
	}{
		{"text", Text, ""},
		{"json", JSON, ""},
		{"markdown", Markdown, ""},
		{"html", HTML, ""},
		{"md", "", `unknown output format "md": did you mean "markdown"?`},
		{"jsn", "", `unknown output format "jsn": did you mean "json"?`},
		{"JSON", "", `unknown output format "JSON": did you mean "json"?`},
		{"yaml", "", `unknown output format "yaml": must be "text", "json", "markdown" or "html"`},
		{"", "", `unknown output format "": must be "text", "json", "markdown" or "html"`},
		{"\x1b", "", `unknown output format "\x1b": must be "text", "json", "markdown" or "html"`},
	}
	for _, tt := range tests {
		f, err := ParseFormat(tt.name)
		problem := ""
		if err != nil {
			problem = err.Error()
		}
		if f != tt.wanted || problem != tt.problem {
			t.Errorf("ParseFormat(%q) = %q, %q; wanted %q, %q", tt.name, f, problem, tt.wanted, tt.problem)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	tests := []struct {
		name   string
		format Format
		data   Data
		wanted string
	}{
		{"no plan", Text, Data{}, "report: no plan to show"},
		{"too few outcomes", Text, Data{Plan: allActions(), Result: &apply.Result{}}, "report: 0 outcomes for 10 changes"},
		{"no format", "", Data{Plan: inSync()}, `report: unknown format ""`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := Write(io.Discard, tt.format, tt.data)
			if err == nil || err.Error() != tt.wanted {
				t.Errorf("got %v, wanted %s", err, tt.wanted)
			}
		})
	}
}

// fullDisk takes some bytes and then no more.
type fullDisk struct{ room int }

var errFull = errors.New("no space left on device")

func (d *fullDisk) Write(p []byte) (int, error) {
	if len(p) > d.room {
		n := d.room
		d.room = 0
		return n, errFull
	}
	d.room -= len(p)
	return len(p), nil
}

func TestWriteTellsTheWritersError(t *testing.T) {
	for _, name := range Formats() {
		for _, room := range []int{0, 100} {
			if err := Write(&fullDisk{room}, Format(name), withFailures()); !errors.Is(err, errFull) {
				t.Errorf("%s after %d bytes: got %v, wanted %v", name, room, err, errFull)
			}
		}
	}
}

// Whoever reads a plan can read what became of it: the same object, and more.
func TestJSONAfterApplyIsThePlanAndMore(t *testing.T) {
	d := hostile()
	after := render(t, JSON, d)
	before := render(t, JSON, Data{Plan: d.Plan})
	if open := strings.TrimSuffix(before, "\n}\n"); !strings.HasPrefix(after, open) {
		t.Errorf("the plan is not how the result begins:\n%s", after)
	}
	if strings.Contains(before, `\u003c`) {
		t.Error("HTML is escaped, which nobody asked for")
	}
	var plan diff.Plan
	if err := json.Unmarshal([]byte(after), &plan); err != nil {
		t.Fatal(err)
	}
	var result apply.Result
	if err := json.Unmarshal([]byte(after), &result); err != nil {
		t.Fatal(err)
	}
	// Bytes that aren't UTF-8 become U+FFFD, as JSON can't hold them.
	wanted := strings.ToValidUTF8(d.Result.Outcomes[0].Error, "\ufffd")
	if got := result.Outcomes[0].Error; got != wanted {
		t.Errorf("error %q, wanted %q", got, wanted)
	}
	if plan.Changes[0].Before.Text() != strings.ToValidUTF8(evil, "\ufffd") || len(plan.Changes) != len(d.Plan.Changes) {
		t.Errorf("the plan does not survive: %+v", plan.Changes)
	}
}

func TestJSONHasOutcomesWhereNothingWasToDo(t *testing.T) {
	got := render(t, JSON, Data{Plan: inSync(), Result: &apply.Result{}})
	if !strings.HasSuffix(got, "\"outcomes\": []\n}\n") {
		t.Errorf("no empty list of outcomes:\n%s", got)
	}
}

func TestSummary(t *testing.T) {
	refused := newPlan(1, 0, diff.Plan{Refusals: []diff.Refusal{{Guard: "g", Message: "m"}}})
	onlyAccount := newPlan(1, 1, diff.Plan{Changes: []diff.Change{rename("a", "b")}})
	unreadable := newPlan(3, 2, diff.Plan{Unknown: []diff.Unknown{{Org: "a"}}})
	tests := []struct {
		name   string
		data   Data
		wanted string
	}{
		{"in sync", Data{Plan: inSync()}, "No differences. 4 orgs in sync."},
		{"in sync, applied", Data{Plan: inSync(), Result: &apply.Result{}}, "No differences. 4 orgs in sync."},
		{"nothing at all", Data{Plan: newPlan(0, 0, diff.Plan{})}, "No differences."},
		{"refused without changes", Data{Plan: refused}, "Plan: no changes, refused by 1 guard."},
		{"only the account", Data{Plan: onlyAccount}, "Plan: 1 change in the account, 1 org in sync."},
		{"unreadable", Data{Plan: unreadable}, "Plan: no changes, 2 orgs in sync, 1 unknown."},
		{"unreadable, applied", Data{Plan: unreadable, Result: &apply.Result{}}, "Plan: no changes, 2 orgs in sync, 1 unknown."},
		{"all", Data{Plan: allActions()}, "Plan: 10 changes in the account and 5 orgs (4 destructive, 3 irreversible), 2 orgs in sync."},
		{"applied", withFailures(), "Applied: 7, failed: 2, skipped: 1, blocked: 0; 2 orgs in sync."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := newView(tt.data).Summary; got != tt.wanted {
				t.Errorf("got  %s\nwanted %s", got, tt.wanted)
			}
		})
	}
}

// A page whose policy doesn't know its own style would be shown bare.
func TestPagePolicyAllowsItsStyle(t *testing.T) {
	page := render(t, HTML, hostile())
	_, style, _ := strings.Cut(page, "<style>")
	style, _, found := strings.Cut(style, "</style>")
	if !found || style == "" {
		t.Fatal("the page has no style sheet")
	}
	sum := sha256.Sum256([]byte(style))
	source := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	if !strings.Contains(html.UnescapeString(page), source) {
		t.Errorf("the policy lacks %s", source)
	}
}

// Orgs that failed stand last in a terminal, where the eye is, whatever else
// there is to say about the fleet.
func TestTextEndsWithFailures(t *testing.T) {
	p := fleet(500)
	results := make([]apply.Outcome, len(p.Changes))
	for i := range results {
		results[i] = done
	}
	results[3] = failure("500 E0000009: Internal Server Error", "")
	text := render(t, Text, Data{Plan: p, Result: outcomes(p, results...)})
	tail := text[strings.LastIndex(text, "\n\nFailed:"):]
	if n := strings.Count(tail, "\n"); n > 12 || !strings.Contains(tail, "acme-00003.okta.com") || !strings.Contains(tail, "E0000009") {
		t.Errorf("the failure is not in the last lines:\n%s", tail)
	}
}

func BenchmarkWrite(b *testing.B) {
	d := Data{Plan: fleet(10_000)}
	for _, name := range Formats() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := Write(io.Discard, Format(name), d); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestDocumentedSample holds the sample in the docs to what is really printed.
func TestDocumentedSample(t *testing.T) {
	plan := newPlan(9, 7, diff.Plan{
		Products: productNames,
		Changes: []diff.Change{
			update("acme-emea.okta.com", "00oy0itaI2Yi7XGGE0g3", []string{"P000052"}, []string{"P000131"}),
			status("acme-labs.oktapreview.com", "00o1labs00000000000g", state.Active, state.Inactive),
		},
	})
	var b bytes.Buffer
	if err := Write(&b, Text, Data{Plan: plan}); err != nil {
		t.Fatal(err)
	}
	docs, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	if sample := "```\n" + b.String() + "```\n"; !bytes.Contains(docs, []byte(sample)) {
		t.Errorf("docs/cli.md does not show:\n%s", sample)
	}
}

var (
	tableOf   = regexp.MustCompile(`(?s)<table class="cards">.*?</table>`)
	headerOf  = regexp.MustCompile(`<th [^>]*>([^<]*)</th>`)
	rowOf     = regexp.MustCompile(`(?s)<tr>(.*?)</tr>`)
	cellLabel = regexp.MustCompile(`<td(?: [^>]*)?>`)
)

// On a narrow screen the rows of a table are stacked, without its header: each
// cell repeats what its column is called. The mark of a destructive change follows its
// words, and is in no column that could be off the screen.
func TestHTMLOnPhones(t *testing.T) {
	_, narrow, _ := strings.Cut(Style, "@media (max-width: 45rem) {")
	narrow, _, _ = strings.Cut(narrow, "\n}\n")
	for _, rule := range []string{"table.cards, ", "display: block; min-width: 0;", "content: attr(data-label)"} {
		if !strings.Contains(narrow, rule) {
			t.Errorf("the style of narrow screens lacks %q", rule)
		}
	}
	pages, err := filepath.Glob("testdata/*.html")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	destructive := 0
	for _, name := range pages {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range tableOf.FindAllString(string(text), -1) {
			var columns []string
			for _, m := range headerOf.FindAllStringSubmatch(table, -1) {
				columns = append(columns, `data-label="`+m[1]+`"`)
			}
			_, body, _ := strings.Cut(table, "<tbody>")
			for _, row := range rowOf.FindAllString(body, -1) {
				for i, cell := range cellLabel.FindAllString(row, -1) {
					if i >= len(columns) || !strings.Contains(cell, columns[i]) {
						t.Errorf("%s: cell %d is %s, in columns %v", name, i, cell, columns)
					}
				}
			}
		}
		destructive += strings.Count(string(text), ` <strong class="tag destructive">destructive</strong>`)
	}
	if destructive == 0 {
		t.Error("no page marks a destructive change")
	}
}
