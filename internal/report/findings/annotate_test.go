package findings

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// sample has a finding of each kind, out of order.
func sample() Report {
	return Report{
		Version: "1.2.3",
		Top:     "/src/fleet",
		Dir:     "/src/fleet/okta",
		Findings: []Finding{
			{Error, ManifestError, "orgs/b.yaml", 7, 5, `unknown key "stauts": did you mean "status"?`, ""},
			{Error, ManifestError, "orgs/a.yaml", 12, 13, `acme-b.okta.com is declared twice: it already stands at orgs/b.yaml:3:13`, ""},
			{Warning, ManifestWarning, "orgs/link.yaml", 0, 0, "symbolic link, not followed", ""},
			{Error, ManifestUnreadable, "orgs/50% off, really: ü.yaml", 3, 1, "not valid YAML: expected , or ] here", ""},
			{Error, ConfigError, "../reconciler.yaml", 2, 3, `unknown key "schedul": did you mean "schedule"?`, ""},
			{Warning, ConfigWarning, "", 0, 0, "RECONCILER_MOOD: unknown variable", ""},
			{Error, InputError, "", 0, 0, `manifests "nowhere": there is no such file or folder`, `the path is relative to "/src/fleet/okta"`},
			{Error, ManifestError, ".", 0, 0, "no orgs are declared: the desired state must not be empty", ""},
			{Error, ManifestError, "/etc/orgs.yaml", 1, 1, `no "version": begin each document with version: 1`, ""},
		},
	}
}

func render(t *testing.T, f Format, r Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, f, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	reports := map[string]Report{
		"invalid": sample(),
		"valid":   {Orgs: 2, Products: 3, Version: "1.2.3", Top: "/src", Dir: "/src"},
		"warned": {Orgs: 1, Products: 0, Top: "/src", Dir: "/src/orgs", Findings: []Finding{
			{Warning, ManifestWarning, "link.yaml", 0, 0, "symbolic link, not followed", ""},
		}},
	}
	for name, r := range reports {
		t.Run(name, func(t *testing.T) {
			a := &txtar.Archive{}
			for _, f := range Formats() {
				a.Files = append(a.Files, txtar.File{Name: f, Data: []byte(render(t, Format(f), r))})
			}
			path := filepath.Join("testdata", name+".txtar")
			if *update {
				if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			golden, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(golden), string(txtar.Format(a))); diff != "" {
				t.Errorf("%s differs (-golden +got); -update rewrites it:\n%s", path, diff)
			}
		})
	}
}

func TestParseFormat(t *testing.T) {
	for _, name := range Formats() {
		if f, err := ParseFormat(name); err != nil || string(f) != name {
			t.Errorf("ParseFormat(%q) = %q, %v", name, f, err)
		}
	}
	tests := map[string]string{
		"sarf": `unknown output format "sarf": did you mean "sarif"?`,
		"html": `unknown output format "html": must be "text", "json", "github" or "sarif"`,
		"":     `unknown output format "": must be "text", "json", "github" or "sarif"`,
	}
	for name, message := range tests {
		if _, err := ParseFormat(name); err == nil || err.Error() != message {
			t.Errorf("ParseFormat(%q): %v", name, err)
		}
	}
	if err := Write(io.Discard, "html", Report{}); err == nil {
		t.Error("Write takes a format that there isn't")
	}
}

// failing is a writer that is full.
type failing struct{}

var errFull = errors.New("no space left")

func (failing) Write([]byte) (int, error) { return 0, errFull }

func TestWriteFails(t *testing.T) {
	for _, f := range Formats() {
		if err := Write(failing{}, Format(f), sample()); !errors.Is(err, errFull) {
			t.Errorf("%s: %v", f, err)
		}
	}
}

func TestPath(t *testing.T) {
	tests := []struct {
		top, dir, file string
		path           string
		inside         bool
	}{
		{"/src", "/src", "orgs/a.yaml", "orgs/a.yaml", true},
		{"/src", "/src/okta", "orgs/a.yaml", "okta/orgs/a.yaml", true},
		{"/src", "/src/okta", "../orgs/a.yaml", "orgs/a.yaml", true},
		{"/src", "/src/okta", "../../a.yaml", "/a.yaml", false},
		{"/src", "/src/okta", "/src/okta/a.yaml", "okta/a.yaml", true},
		{"/src", "/src/okta", "/srcs/a.yaml", "/srcs/a.yaml", false},
		{"/src", "/src", "..a.yaml", "..a.yaml", true},
		{"/src", "/src/okta", "..", ".", true},
		{"/", "/", "a.yaml", "a.yaml", true},
		{"", "", "orgs/a.yaml", "orgs/a.yaml", true},
		{"", "", "/orgs/a.yaml", "/orgs/a.yaml", false},
		{"/src", "/src", "", "", false},
	}
	for _, tt := range tests {
		path, inside := Report{Top: tt.top, Dir: tt.dir}.path(tt.file)
		if path != tt.path || inside != tt.inside {
			t.Errorf("path(%q) from %q below %q = %q, %v; wanted %q, %v", tt.file, tt.dir, tt.top, path, inside, tt.path, tt.inside)
		}
	}
}

// The order in which mistakes were found says nothing, and none is shown twice.
func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := sample()
		shuffled := r
		shuffled.Findings = rapid.Permutation(append(slices.Clone(r.Findings), r.Findings[0])).Draw(rt, "findings")
		before := slices.Clone(shuffled.Findings)
		for _, f := range Formats() {
			if diff := cmp.Diff(render(t, Format(f), r), render(t, Format(f), shuffled)); diff != "" {
				rt.Errorf("%s differs:\n%s", f, diff)
			}
		}
		if !slices.Equal(before, shuffled.Findings) {
			rt.Error("Write changed the caller's findings")
		}
	})
}

func TestTextKeepsToItsLine(t *testing.T) {
	r := Report{Findings: []Finding{{Error, ManifestError, "a\nb\x1b[2J.yaml", 1, 1, "wrong\r\n", "mend\nit"}}}
	const desired = `a\nb\x1b[2J.yaml:1:1: wrong\r\n` + "\n" + `hint: mend\nit` + "\ninvalid: 1 error, 0 warnings\n"
	if got := render(t, Text, r); got != desired {
		t.Errorf("text: %q", got)
	}
}

// readCommand takes a line of a log as GitHub's runner does: the command that it is,
// or ok = false for plain text.
// https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs
func readCommand(line string) (name string, props map[string]string, data string, ok bool) {
	rest, found := strings.CutPrefix(strings.TrimLeft(line, " \t\v\f\u0085\u00a0\u2028\u2029"), "::")
	info, data, ended := strings.Cut(rest, "::")
	if !found || !ended {
		if _, old, bracket := strings.Cut(line, "##["); bracket { // anywhere in the line
			name, data, ok = strings.Cut(old, "]")
			return name, nil, data, ok
		}
		return "", nil, "", false
	}
	name, list, _ := strings.Cut(info, " ")
	props = map[string]string{}
	for pair := range strings.SplitSeq(strings.TrimSpace(list), ",") {
		if key, value, ok := strings.Cut(pair, "="); ok && key != "" && value != "" {
			props[key] = unescape(value, "%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",", "%25", "%")
		}
	}
	return name, props, unescape(data, "%0D", "\r", "%0A", "\n", "%25", "%"), true
}

func unescape(s string, pairs ...string) string {
	for pair := range slices.Chunk(pairs, 2) {
		s = strings.ReplaceAll(s, pair[0], pair[1])
	}
	return s
}

// lines splits a log where the runner does.
func lines(log string) []string {
	return strings.FieldsFunc(log, func(r rune) bool { return r == '\n' || r == '\r' })
}

// FuzzGitHub lets a pull request choose file name and message: there are as many
// commands as findings, each is what it should be, and nothing is lost in it.
func FuzzGitHub(f *testing.F) {
	f.Add("orgs/a.yaml", `unknown key "x"`, "")
	f.Add("a\n::add-mask::secret", "x\r\n::stop-commands::now\r", "%0A::debug::x")
	f.Add("a,line=1::error::,title=b", "100% ##[set-env name=PATH]/tmp", "##[group]")
	f.Add("##[add-path]/tmp", " ::error::", "::")
	f.Add("a%3A%2C%0A", "%250A%%25", "%")
	f.Fuzz(func(t *testing.T, file, message, hint string) {
		file = filepath.ToSlash(filepath.Join("orgs", file, "x.yaml")) // a name below the top
		if !filepath.IsLocal(file) || strings.Contains(file, "\x00") {
			t.Skip()
		}
		r := Report{Top: "/src", Dir: "/src", Findings: []Finding{
			{Error, ManifestError, file, 3, 7, message, hint},
			{Warning, InputError, "", 0, 0, message, ""},
		}}
		got := lines(render(t, GitHub, r))
		if len(got) != 3 || got[2] != "invalid: 1 error, 1 warning" {
			t.Fatalf("log: %q", got)
		}
		text := message
		if hint != "" {
			text += "\n" + hint
		}
		checkCommand(t, got[0], "warning", message, map[string]string{"title": "input/error"})
		checkCommand(t, got[1], "error", text, map[string]string{"title": "manifest/error", "file": file, "line": "3", "col": "7"})
	})
}

func checkCommand(t *testing.T, line, desired, text string, properties map[string]string) {
	t.Helper()
	name, props, data, ok := readCommand(line)
	if !ok || name != desired || data != text {
		t.Errorf("%q is read as %q with %q", line, name, data)
	}
	if diff := cmp.Diff(properties, props); diff != "" {
		t.Errorf("properties of %q differ (-wanted +got):\n%s", line, diff)
	}
}

// GitHub cuts off after ten of a level, and that is said.
func TestGitHubSaysWhatItHides(t *testing.T) {
	for n, said := range map[int]bool{10: false, 11: true} {
		var r Report
		for i := range n {
			r.Findings = append(r.Findings, Finding{Level: Error, Rule: ManifestError, File: "a.yaml", Line: i + 1, Column: 1, Message: "wrong"})
		}
		got := render(t, GitHub, r)
		notice := fmt.Sprintf("::notice title=reconciler validate::%d errors, 0 warnings; GitHub shows the first 10 of each, this step's log has them all\n", n)
		if strings.Contains(got, notice) != said {
			t.Errorf("%d errors: the notice is there: %v", n, !said)
		}
		if c := strings.Count(got, "::error "); c != n {
			t.Errorf("%d errors: %d commands", n, c)
		}
	}
}

func TestJSON(t *testing.T) {
	var got struct {
		Version  int
		Valid    *bool
		Findings []Finding
	}
	text := render(t, JSON, sample())
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if got.Version != 1 || got.Valid == nil || *got.Valid {
		t.Errorf("version %d, valid %v", got.Version, got.Valid)
	}
	if diff := cmp.Diff(sample().sorted(), got.Findings); diff != "" {
		t.Errorf("findings differ (-wanted +got):\n%s", diff)
	}
	if empty := render(t, JSON, Report{}); !strings.Contains(empty, `"findings": []`) {
		t.Errorf("no findings: %s", empty)
	}
}
