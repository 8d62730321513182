package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"reconciler/internal/strictyaml"
)

// actionFile is an action.yml, as far as one of ours may use it: a composite
// action has no steps but scripts.
// https://docs.github.com/en/actions/reference/workflows-and-actions/metadata-syntax
type actionFile struct {
	Name        string                  `yaml:"name"`
	Description string                  `yaml:"description"`
	Inputs      map[string]actionInput  `yaml:"inputs"`
	Outputs     map[string]actionOutput `yaml:"outputs"`
	Runs        struct {
		Using string       `yaml:"using"`
		Steps []actionStep `yaml:"steps"`
	} `yaml:"runs"`
}

type actionInput struct {
	Description string  `yaml:"description"`
	Default     *string `yaml:"default"`
}

type actionOutput struct {
	Description string `yaml:"description"`
	Value       string `yaml:"value"`
}

type actionStep struct {
	ID    string            `yaml:"id"`
	Shell string            `yaml:"shell"`
	Dir   string            `yaml:"working-directory"`
	Env   map[string]string `yaml:"env"`
	Run   string            `yaml:"run"`
}

// gitlabFile is a template of ours for GitLab.
// https://docs.gitlab.com/ci/yaml/
type gitlabFile struct {
	Variables map[string]string `yaml:"variables"`
	Review    struct {
		Stage string `yaml:"stage"`
		Image struct {
			Name       string   `yaml:"name"`
			Entrypoint []string `yaml:"entrypoint"`
		} `yaml:"image"`
		Rules []struct {
			If string `yaml:"if"`
		} `yaml:"rules"`
		Variables map[string]string `yaml:"variables"`
		Script    []string          `yaml:"script"`
		Artifacts struct {
			When   string   `yaml:"when"`
			Expire string   `yaml:"expire_in"`
			Paths  []string `yaml:"paths"`
		} `yaml:"artifacts"`
	} `yaml:"reconciler-review"`
}

// workflowFile is a workflow as the docs show it.
type workflowFile struct {
	Name string `yaml:"name"`
	On   struct {
		PullRequest struct {
			Paths []string `yaml:"paths"`
		} `yaml:"pull_request"`
	} `yaml:"on"`
	Permissions map[string]string `yaml:"permissions"`
	Jobs        map[string]struct {
		RunsOn string         `yaml:"runs-on"`
		Steps  []workflowStep `yaml:"steps"`
	} `yaml:"jobs"`
}

type workflowStep struct {
	ID   string            `yaml:"id"`
	Uses string            `yaml:"uses"`
	If   string            `yaml:"if"`
	With map[string]string `yaml:"with"`
	Env  map[string]string `yaml:"env"`
}

const top = "../.."

func readTop(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func decodeTop(t *testing.T, name string, out any) {
	t.Helper()
	if err := strictyaml.DecodeInto(name, []byte(readTop(t, name)), out); err != nil {
		t.Fatal(err)
	}
}

var (
	expression = regexp.MustCompile(`\$\{\{.*?\}\}`)
	inputName  = regexp.MustCompile(`\binputs\.([\w-]+)`)
	outputName = regexp.MustCompile(`\bsteps\.(\w+)\.outputs\.([\w-]+)`)
	settingRE  = regexp.MustCompile(`\b(?:REVIEW|INSTALL)_[A-Z0-9_]+\b`)
	tableRow   = regexp.MustCompile("(?m)^\\| (`[^|]*`) \\| ([^|]*)\\|")
	quotedWord = regexp.MustCompile("`([^`]*)`")
)

// documented gives the names in the first column of the tables of a section of
// docs/pull-requests.md, and what their second column quotes.
func documented(t *testing.T, heading string) map[string]string {
	t.Helper()
	_, section, ok := strings.Cut(readTop(t, "docs/pull-requests.md"), "\n"+heading+"\n")
	if !ok {
		t.Fatalf("docs/pull-requests.md has no %q", heading)
	}
	level, _, _ := strings.Cut(heading, " ")
	section, _, _ = strings.Cut(section, "\n"+level+" ")
	names := map[string]string{}
	for _, row := range tableRow.FindAllStringSubmatch(section, -1) {
		value := ""
		if m := quotedWord.FindStringSubmatch(row[2]); m != nil {
			value = m[1]
		}
		for _, name := range quotedWord.FindAllStringSubmatch(row[1], -1) {
			names[name[1]] = value
		}
	}
	return names
}

// What an action's user puts into an input must never become a part of a script, so
// expressions stand everywhere but there. And each input is used and documented, with
// its default.
func TestAction(t *testing.T) {
	var a actionFile
	decodeTop(t, "action.yml", &a)
	if a.Runs.Using != "composite" || a.Name == "" || a.Description == "" {
		t.Errorf("action.yml is no composite action with name and description: %+v", a)
	}
	used := map[string]bool{}
	for _, step := range a.Runs.Steps {
		if step.Shell == "" || step.ID == "" {
			t.Errorf("step %q needs an id and a shell", step.ID)
		}
		if strings.Contains(step.Run, "${{") {
			t.Errorf("step %s: an expression within a script can be anybody's command:\n%s", step.ID, step.Run)
		}
		for _, text := range append(slices.Collect(maps.Values(step.Env)), step.Dir) {
			for _, e := range expression.FindAllString(text, -1) {
				for _, m := range inputName.FindAllStringSubmatch(e, -1) {
					used[m[1]] = true
				}
			}
		}
	}
	inputs := map[string]string{}
	for name, in := range a.Inputs {
		if in.Description == "" || in.Default == nil {
			t.Errorf("input %s needs a description and a default", name)
			continue
		}
		inputs[name] = *in.Default
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(inputs)), slices.Sorted(maps.Keys(used))); diff != "" {
		t.Errorf("inputs declared and used differ (-declared +used):\n%s", diff)
	}
	if diff := cmp.Diff(inputs, documented(t, "### Inputs")); diff != "" {
		t.Errorf("inputs and their defaults differ (-action.yml +docs):\n%s", diff)
	}
	testOutputs(t, &a)
}

// testOutputs checks that each output is documented and written by its step.
func testOutputs(t *testing.T, a *actionFile) {
	scripts := map[string]string{"review": readTop(t, "integrations/review.sh")}
	for _, step := range a.Runs.Steps {
		scripts[step.ID] += step.Run
	}
	for name, out := range a.Outputs {
		m := outputName.FindStringSubmatch(out.Value)
		if m == nil || out.Description == "" {
			t.Errorf("output %s: description %q, value %q", name, out.Description, out.Value)
			continue
		}
		if !strings.Contains(scripts[m[1]], m[2]+"=") {
			t.Errorf("output %s: step %s writes no %q", name, m[1], m[2])
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(a.Outputs)), slices.Sorted(maps.Keys(documented(t, "### Outputs")))); diff != "" {
		t.Errorf("outputs differ (-action.yml +docs):\n%s", diff)
	}
}

// Each variable that a caller of the scripts sets is one that they know and describe.
func TestReviewSettings(t *testing.T) {
	var a actionFile
	decodeTop(t, "action.yml", &a)
	var g gitlabFile
	decodeTop(t, "integrations/gitlab.yml", &g)
	set := map[string][]string{}
	for _, step := range a.Runs.Steps {
		for name := range step.Env {
			set["integrations/"+step.ID+".sh"] = append(set["integrations/"+step.ID+".sh"], name)
		}
	}
	review := strings.Join(g.Review.Script, "\n")
	set["integrations/review.sh"] = append(set["integrations/review.sh"], settingRE.FindAllString(review, -1)...)
	set["integrations/review.sh"] = append(set["integrations/review.sh"], slices.Collect(maps.Keys(g.Variables))...)
	for _, script := range []string{"integrations/review.sh", "integrations/install.sh"} {
		head, body, _ := strings.Cut(readTop(t, script), "\nset -eu\n")
		for _, name := range slices.Compact(slices.Sorted(slices.Values(set[script]))) {
			ofTemplate := name == "REVIEW_IMAGE" || name == "REVIEW_SCRIPT"
			if settingRE.MatchString(name) && !ofTemplate && (!strings.Contains(head, name) || !strings.Contains(body, name)) {
				t.Errorf("%s doesn't describe and use %s", script, name)
			}
		}
		for _, name := range settingRE.FindAllString(body, -1) {
			if !strings.Contains(head, name) {
				t.Errorf("%s uses %s and doesn't describe it", script, name)
			}
		}
	}
	if diff := cmp.Diff(g.Variables, documented(t, "## On GitLab")); diff != "" {
		t.Errorf("variables and their defaults differ (-gitlab.yml +docs):\n%s", diff)
	}
	if g.Review.Artifacts.When != "always" || len(g.Review.Rules) != 1 || !strings.Contains(g.Review.Rules[0].If, "merge_request_event") {
		t.Errorf("the job of integrations/gitlab.yml: %+v", g.Review)
	}
}

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// workflowsInDocs gives the number of workflows that the docs show, and the calls of
// the action in them and by themselves.
func workflowsInDocs(t *testing.T) (workflows int, calls []workflowStep) {
	t.Helper()
	for _, m := range yamlBlock.FindAllStringSubmatch(readTop(t, "docs/pull-requests.md"), -1) {
		var steps []workflowStep
		switch text := m[1]; {
		case strings.HasPrefix(text, "name:"):
			var w workflowFile
			if err := strictyaml.DecodeInto("docs/pull-requests.md", []byte(text), &w); err != nil {
				t.Errorf("%v\n%s", err, text)
			}
			workflows++
			for _, job := range w.Jobs {
				steps = append(steps, job.Steps...)
			}
		case strings.HasPrefix(text, "      - uses:"):
			if err := strictyaml.DecodeInto("docs/pull-requests.md", []byte(text), &steps); err != nil {
				t.Errorf("%v\n%s", err, text)
			}
		}
		for _, step := range steps {
			if strings.HasPrefix(step.Uses, "acme/reconciler@") {
				calls = append(calls, step)
			}
		}
	}
	return workflows, calls
}

// The workflows in the docs are some: they parse, and give the action inputs that
// there are.
func TestWorkflowsInDocs(t *testing.T) {
	var a actionFile
	decodeTop(t, "action.yml", &a)
	workflows, calls := workflowsInDocs(t)
	for _, step := range calls {
		for name := range step.With {
			if _, ok := a.Inputs[name]; !ok {
				t.Errorf("the docs give the action an input %q", name)
			}
		}
	}
	if workflows != 1 || len(calls) != 3 {
		t.Errorf("found %d workflows and %d calls of the action", workflows, len(calls))
	}
}

// Scripts are POSIX sh, whatever shell a runner or an image has.
func TestShell(t *testing.T) {
	var g gitlabFile
	decodeTop(t, "integrations/gitlab.yml", &g)
	scripts := map[string]string{
		"gitlab":     "#!/bin/sh\n" + strings.Join(g.Review.Script, "\n"),
		"review.sh":  readTop(t, "integrations/review.sh"),
		"install.sh": readTop(t, "integrations/install.sh"),
	}
	shells := [][]string{{"shellcheck", "-s", "sh", "-"}, {"dash", "-n"}, {"busybox", "sh", "-n"}, {"bash", "-n"}, {"sh", "-n"}}
	for name, script := range scripts {
		for _, shell := range shells {
			t.Run(name+"/"+shell[0], func(t *testing.T) {
				if _, err := exec.LookPath(shell[0]); err != nil {
					t.Skipf("no %s here", shell[0])
				}
				cmd := exec.Command(shell[0], shell[1:]...)
				cmd.Stdin = strings.NewReader(script)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
	}
}

// TestReviewScripts runs integrations/*.sh in real clones, with the program itself and stand-ins of
// the forges and of Okta.
func TestReviewScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("it is about shell scripts, which start many processes")
	}
	for _, tool := range []string{"sh", "git"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s here", tool)
		}
	}
	ci, err := filepath.Abs(filepath.Join(top, "integrations"))
	if err != nil {
		t.Fatal(err)
	}
	cache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	forge, comments, _ := forgeCommands()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/review",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    exits,
			"replace":  replace,
			"release":  release,
			"forge":    forge,
			"comments": comments,
			"okta":     oktaCommand(),
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("CI_DIR", ci)
			// What install.sh builds from source needs not be built from nothing.
			env.Setenv("GOCACHE", strings.TrimSpace(string(cache)))
			return setUp(env)
		},
	})
}

// release FILE serves a file over https as a release of version 1.2.3, and the files
// SHA256SUMS and SHA256SUMS.sig, if they are there then. It sets RELEASE_URL,
// RELEASE_SHA256 and, for curl, the server's certificate.
func release(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: release FILE")
	}
	body := ts.ReadFile(args[0])
	binary := regexp.MustCompile(`^/v[\d.]+/reconciler_([\d.]+_)?(linux|darwin)_(amd64|arm64)$`)
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := path.Base(r.URL.Path)
		switch {
		case strings.HasPrefix(r.URL.Path, "/v9.9.9/"):
			http.NotFound(w, r)
		case binary.MatchString(r.URL.Path):
			fmt.Fprint(w, body)
		case strings.HasPrefix(name, "SHA256SUMS"):
			http.ServeFile(w, r, ts.MkAbs(name))
		default:
			http.NotFound(w, r)
		}
	}))
	ts.Defer(srv.Close)
	cert := ts.MkAbs("ca.pem")
	ts.Check(os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o644))
	sum := sha256.Sum256([]byte(body))
	ts.Setenv("CURL_CA_BUNDLE", cert)
	ts.Setenv("RELEASE_URL", srv.URL)
	ts.Setenv("RELEASE_SHA256", hex.EncodeToString(sum[:]))
}
