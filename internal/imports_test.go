// Package internal_test holds the rules that no single package can hold.
package internal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "reconciler"

// mayImport says for each package which packages of this module it may import,
// and why there are no more. A package that isn't listed fails the test: it has
// no place in the picture yet.
var mayImport = map[string]struct {
	imports []string
	why     string
}{
	// The bottom: nothing of ours below.
	"internal/text":                          {nil, "how errors are told, and nothing of what"},
	"internal/strictyaml":                    {nil, "YAML with positions, and nothing of ours in it"},
	"internal/freeze/schedule":               {nil, "time alone"},
	"internal/store/securedir":               {nil, "folders alone"},
	"internal/store/securedir/securedirtest": {nil, "folders for tests"},
	"internal/okta/rest":                     {nil, "what Okta's answers have in common, whoever asked"},
	"internal/git/webhook":                   {nil, "listens to strangers, and so reaches nothing"},
	"internal/freeze":                        {[]string{"internal/text", "internal/store/securedir", "internal/freeze/schedule"}, "when not to write, and nothing of what"},
	"internal/git/gitrepo":                   {nil, "makes repositories for demo and tests"},
	"internal/git/signature":                 {[]string{"internal/text", "internal/strictyaml"}, "bytes and keys alone; the words for typing errors come from below"},
	"internal/git/forge":                     {[]string{"internal/text"}, "comments and statuses; what they say is decided elsewhere"},
	"internal/git/forge/forgetest":           {nil, "stands in for GitHub and GitLab and must not share a mistake with the client"},

	// Desired state, and where it comes from.
	"internal/state":      {[]string{"internal/strictyaml"}, "the model depends on nobody, so that everybody can depend on it"},
	"internal/config":     {[]string{"internal/freeze", "internal/strictyaml", "internal/freeze/schedule"}, "config is read before anything else exists"},
	"internal/git/source": {[]string{"internal/text", "internal/strictyaml"}, "a source gives files and a commit; what they mean is for state.Load"},

	// Okta.
	"internal/okta/auth":   {[]string{"internal/okta/rest"}, "tokens have nothing to do with orgs"},
	"internal/okta/aerial": {[]string{"internal/okta/rest", "internal/state"}, "the client knows neither plans nor where desired state comes from"},
	"internal/okta/parent": {[]string{"internal/okta/rest", "internal/state"}, "the same"},

	// What is decided, done and shown.
	"internal/diff":            {[]string{"internal/state", "internal/strictyaml"}, "pure: what can't reach a network can't write to one"},
	"internal/apply":           {[]string{"internal/diff", "internal/text", "internal/state"}, "works through an interface of its own, so that it can't reach around it"},
	"internal/report":          {[]string{"internal/apply", "internal/diff", "internal/state", "internal/strictyaml"}, "shows and decides nothing"},
	"internal/report/findings": {[]string{"internal/strictyaml"}, "shows findings, whoever found them"},
	"internal/importer":        {[]string{"internal/state", "internal/strictyaml"}, "turns one state into text"},

	// What can't be repeated.
	"internal/store/journal": {[]string{"internal/text", "internal/store/securedir"}, "remembers, and knows nothing of Okta"},
	"internal/store/tokens":  {[]string{"internal/text", "internal/store/securedir"}, "keeps tokens, and knows nothing of Okta"},
	"internal/onboard": {[]string{
		"internal/apply", "internal/diff", "internal/text", "internal/store/journal", "internal/okta/rest", "internal/okta/parent", "internal/store/tokens", "internal/state",
	}, "makes orgs, by the journal"},

	// Above it all.
	"internal/daemon": {[]string{
		"internal/okta/aerial", "internal/apply", "internal/config", "internal/diff", "internal/text", "internal/git/forge", "internal/freeze", "internal/git/webhook",
		"internal/store/journal", "internal/okta/auth", "internal/onboard", "internal/okta/parent", "internal/report", "internal/freeze/schedule",
		"internal/store/tokens", "internal/git/source", "internal/state", "internal/strictyaml", "internal/git/signature",
	}, "the only wiring"},
	"internal/doctor": {[]string{
		"internal/okta/aerial", "internal/config", "internal/text", "internal/git/forge", "internal/freeze", "internal/git/webhook", "internal/store/journal", "internal/okta/auth",
		"internal/okta/rest", "internal/store/securedir", "internal/store/tokens", "internal/git/source", "internal/state", "internal/strictyaml", "internal/git/signature",
	}, "looks at each part by itself, and not through the wiring, which may be what is wrong"},
	"cmd/reconciler": {[]string{"*"}, "flags, environment, signals and exit codes stand above all"},

	// Beside it.
	"internal/okta/simulator":               {[]string{"internal/strictyaml"}, "stands in for Okta and must not share a mistake with the client"},
	"internal/okta/simulator/simulatortest": {[]string{"internal/okta/simulator"}, "starts simulators in tests"},
	"internal/strictyaml/schemagen":         {[]string{"internal/strictyaml"}, "generates what others embed; not in the program"},
	"tools/bench":                        {[]string{"internal/diff", "internal/okta/simulator", "internal/git/source", "internal/state"}, "measures the program from outside"},
}

type listed struct {
	ImportPath string
	Imports    []string
}

// TestImportsRunOneWay looks at what is built, tests left out: a test may use
// whatever helps it.
func TestImportsRunOneWay(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(out))
	seen := map[string]bool{}
	for {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		seen[name] = true
		rule, ok := mayImport[name]
		if !ok && name != "internal" {
			t.Errorf("%s: has no rule here", name)
		}
		for _, imported := range p.Imports {
			ours, is := strings.CutPrefix(imported, module+"/")
			if is && !slices.Contains(rule.imports, ours) && !slices.Contains(rule.imports, "*") {
				t.Errorf("%s imports %s: %s", name, ours, rule.why)
			}
			if imported == "gopkg.in/yaml.v3" && name != "internal/strictyaml" {
				t.Errorf("%s imports %s: its traps end in internal/strictyaml", name, imported)
			}
			if imported == "flag" || imported == "github.com/spf13/cobra" {
				if name != "cmd/reconciler" && name != "tools/bench" {
					t.Errorf("%s imports %s: only commands read flags", name, imported)
				}
			}
		}
	}
	for name := range mayImport {
		if !seen[name] {
			t.Errorf("%s: has a rule and is not there", name)
		}
	}
}
