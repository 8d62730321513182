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
	// The bottom: nothing of ours below but text.
	"internal/text":                            {nil, "how things are worded, and nothing of what"},
	"internal/text/hostile":                    {nil, "judges in tests what makes texts safe, and must not share a mistake with it"},
	"internal/web":                             {[]string{"internal/text"}, "what all clients of web APIs need, and nothing of any API"},
	"internal/web/trace":                       {[]string{"internal/text"}, "records what is done, by OpenTelemetry's interfaces; where that goes is not known here"},
	"internal/web/trace/otlp":                  {[]string{"internal/text", "internal/web/trace"}, "sends traces, and knows nothing of what is traced"},
	"internal/strictyaml":                      {[]string{"internal/text"}, "YAML with positions, and nothing of ours in it"},
	"internal/strictyaml/schemagen/schematest": {nil, "judges documents in tests"},
	"internal/strictyaml/schemagen":            {[]string{"internal/strictyaml"}, "generates what others embed; not in the program"},
	"internal/freeze/schedule":                 {nil, "time alone"},
	"internal/report/findings":                 {[]string{"internal/strictyaml", "internal/text"}, "shows findings, whoever found them"},

	// Desired state, and where it comes from.
	"internal/state":  {[]string{"internal/okta/objects", "internal/strictyaml", "internal/text"}, "the model depends on nobody, so that everybody can depend on it"},
	"internal/config": {[]string{"internal/freeze", "internal/freeze/schedule", "internal/state", "internal/store/program", "internal/strictyaml", "internal/text", "internal/web"}, "config is read before anything else exists; of the state it knows what a selector is"},

	// Git: no package of it knows Okta.
	"internal/git/source":          {[]string{"internal/strictyaml", "internal/text", "internal/web"}, "a source returns files and a commit; what they mean is for state.Load"},
	"internal/git/links":           {nil, "web addresses are made from words alone"},
	"internal/git/gitrepo":         {nil, "makes repositories for demo and tests"},
	"internal/git/signature":       {[]string{"internal/strictyaml", "internal/text"}, "bytes and keys alone: it can reach nothing"},
	"internal/git/webhook":         {[]string{"internal/text"}, "listens to strangers, and so reaches nothing"},
	"internal/git/forge":           {[]string{"internal/text", "internal/web"}, "comments and statuses; their text is decided elsewhere"},
	"internal/git/forge/forgetest": {nil, "stands in for GitHub and GitLab and must not share a mistake with the client"},

	// Okta: no package of it knows git.
	"internal/okta/objects":                 {[]string{"internal/strictyaml", "internal/text"}, "kinds are data: what reads and writes them is elsewhere"},
	"internal/okta/org":                     {[]string{"internal/okta/auth", "internal/okta/objects", "internal/okta/rest", "internal/okta/systemlog", "internal/text", "internal/web", "internal/web/trace"}, "reads and writes the objects of one org after the other, and decides nothing"},
	"internal/okta/rest":                    {[]string{"internal/text", "internal/web", "internal/web/trace"}, "how Okta is called, whichever API it is"},
	"internal/okta/auth":                    {[]string{"internal/okta/rest", "internal/text", "internal/web"}, "tokens have nothing to do with orgs"},
	"internal/okta/aerial":                  {[]string{"internal/okta/rest", "internal/state", "internal/text", "internal/web", "internal/web/trace"}, "the client knows neither plans nor where desired state comes from"},
	"internal/okta/systemlog":               {[]string{"internal/okta/rest", "internal/text"}, "one log, whichever org's; who caused what is decided from its events alone"},
	"internal/okta/parent":                  {[]string{"internal/okta/rest", "internal/state", "internal/text", "internal/web"}, "the same"},
	"internal/okta/simulator":               {[]string{"internal/strictyaml"}, "stands in for Okta and must not share a mistake with the client"},
	"internal/okta/simulator/simulatortest": {[]string{"internal/okta/simulator"}, "starts simulators in tests"},

	// What is decided, done and shown.
	"internal/diff":       {[]string{"internal/okta/objects", "internal/state", "internal/strictyaml", "internal/text"}, "pure: what can't reach a network can't write to one"},
	"internal/apply":      {[]string{"internal/diff", "internal/okta/objects", "internal/state", "internal/text", "internal/web", "internal/web/trace"}, "works through an interface of its own, so that it can't reach around it"},
	"internal/report":     {[]string{"internal/apply", "internal/diff", "internal/okta/objects", "internal/state", "internal/strictyaml", "internal/text"}, "shows and decides nothing"},
	"internal/state/edit": {[]string{"internal/diff", "internal/okta/objects", "internal/state", "internal/store/history", "internal/strictyaml", "internal/text"}, "turns texts into texts: it reads and writes no file"},
	"internal/importer":   {[]string{"internal/okta/objects", "internal/state", "internal/strictyaml", "internal/text"}, "turns one state into text"},

	// What can't be repeated.
	"internal/store/program":                 {[]string{"internal/text"}, "runs programs that have secrets, and knows none of them"},
	"internal/store/securedir":               {[]string{"internal/text"}, "folders alone"},
	"internal/store/securedir/securedirtest": {nil, "folders for tests"},
	"internal/store/location":                {nil, "names a place and opens nothing"},
	"internal/store/postgres":                {[]string{"internal/store/location", "internal/text"}, "how PostgreSQL is used, and nothing of what is kept in it"},
	"internal/store/postgres/postgrestest":   {[]string{"internal/store/location", "internal/store/postgres"}, "starts PostgreSQL in tests"},
	"internal/store/replicas":                {[]string{"internal/store/location", "internal/store/postgres", "internal/text"}, "keeps what replicas tell each other, and knows nothing of what it is"},
	"internal/store/transfer":                {nil, "copies rows, and knows nothing of what they mean"},
	"internal/store/sqlitefile":              {[]string{"internal/store/securedir", "internal/text"}, "how SQLite is used, and nothing of what is kept in it"},
	"internal/store/history":                 {[]string{"internal/store/location", "internal/store/postgres", "internal/store/securedir", "internal/store/sqlitefile", "internal/store/transfer", "internal/text"}, "remembers what it is told, and knows nothing of Okta; nothing is decided by it"},
	"internal/store/journal":                 {[]string{"internal/freeze", "internal/store/lease", "internal/store/location", "internal/store/postgres", "internal/store/securedir", "internal/store/sqlitefile", "internal/store/transfer", "internal/text"}, "remembers, suspensions as well, and knows nothing of Okta"},
	"internal/store/backup":                  {[]string{"internal/freeze", "internal/store/history", "internal/store/journal", "internal/store/location", "internal/store/outbox", "internal/store/postgres", "internal/store/replicas", "internal/store/securedir", "internal/store/transfer", "internal/text"}, "copies the state folder, and decides nothing"},
	"internal/store/outbox":                  {[]string{"internal/store/location", "internal/store/postgres", "internal/store/securedir", "internal/store/sqlitefile", "internal/store/transfer", "internal/text"}, "keeps what is to be sent, and knows neither what it is nor where it goes"},
	"internal/store/statetest":               {[]string{"internal/store/sqlitefile"}, "looks for secrets in state folders, in tests"},
	"internal/store/lease":                   {[]string{"internal/store/location", "internal/store/securedir", "internal/text"}, "who holds a file, and nothing of what is in it"},
	"internal/store/tokens":                  {[]string{"internal/store/program", "internal/store/securedir", "internal/text"}, "keeps tokens, and knows nothing of Okta"},
	"internal/freeze":                        {[]string{"internal/freeze/schedule", "internal/text"}, "when not to write, and nothing of what; it reads no file"},
	"internal/onboard": {[]string{
		"internal/apply", "internal/diff", "internal/okta/objects", "internal/okta/org", "internal/okta/parent", "internal/okta/rest", "internal/state", "internal/store/journal",
		"internal/store/tokens", "internal/text", "internal/web",
	}, "makes orgs and the way into them, by the journal"},

	// Above it all.
	"internal/reconcile": {[]string{
		"internal/apply", "internal/config", "internal/diff", "internal/freeze", "internal/git/forge", "internal/git/links", "internal/git/signature", "internal/git/source",
		"internal/okta/aerial", "internal/okta/auth", "internal/okta/objects", "internal/okta/org", "internal/okta/parent", "internal/okta/rest", "internal/okta/systemlog",
		"internal/onboard", "internal/report", "internal/state", "internal/store/history", "internal/store/journal", "internal/store/location", "internal/store/tokens", "internal/strictyaml", "internal/text", "internal/web", "internal/web/trace",
	}, "the only wiring, for every command; it knows no schedule and no page"},
	"internal/daemon/api": {[]string{
		"internal/apply", "internal/config", "internal/diff", "internal/freeze", "internal/git/source", "internal/reconcile", "internal/state", "internal/store/history",
		"internal/store/journal", "internal/text", "internal/web",
	}, "what a daemon says, in types and their client; it serves nothing"},
	"internal/daemon/signin":          {[]string{"internal/config", "internal/strictyaml", "internal/text", "internal/web"}, "who asks and what they may do, and nothing of what they ask for"},
	"internal/daemon/signin/oidctest": {nil, "stands in for an OpenID provider and must not share a mistake with the client"},
	"internal/daemon/sdnotify":        {[]string{"internal/text"}, "passes on what it is told, and knows nothing of the daemon"},
	"internal/daemon/notify":          {[]string{"internal/config", "internal/freeze", "internal/store/location", "internal/store/outbox", "internal/text", "internal/web"}, "sends what it is told, and decides nothing"},
	"internal/daemon/page": {[]string{
		"internal/apply", "internal/daemon/api", "internal/daemon/signin", "internal/diff", "internal/freeze", "internal/git/source", "internal/reconcile", "internal/report", "internal/state", "internal/store/history", "internal/text",
	}, "shows what the API says, and nothing else"},
	"internal/daemon": {[]string{
		"internal/apply", "internal/config", "internal/daemon/api", "internal/daemon/notify", "internal/daemon/page", "internal/daemon/sdnotify", "internal/daemon/signin", "internal/diff", "internal/freeze", "internal/git/forge", "internal/git/source", "internal/git/webhook",
		"internal/okta/aerial", "internal/reconcile", "internal/report", "internal/state", "internal/store/history", "internal/store/journal", "internal/store/replicas", "internal/strictyaml", "internal/text", "internal/web", "internal/web/trace",
	}, "runs the wiring again and again, and shows what came of it"},
	"internal/doctor": {[]string{
		"internal/config", "internal/daemon/notify", "internal/daemon/signin", "internal/freeze", "internal/git/forge", "internal/git/signature", "internal/git/source", "internal/git/webhook", "internal/okta/aerial",
		"internal/okta/auth", "internal/okta/rest", "internal/reconcile", "internal/state", "internal/store/journal", "internal/store/location", "internal/store/postgres", "internal/store/securedir",
		"internal/strictyaml", "internal/text", "internal/web",
	}, "checks one part after the other, each as the wiring makes it, so that what is checked is what runs use; never a whole run"},
	"internal/demo":  {[]string{"internal/git/gitrepo", "internal/okta/simulator", "internal/web"}, "shows the commands, and so runs them as a user does"},
	"cmd/reconciler": {[]string{"*"}, "flags, environment, signals and exit codes stand above all"},
	"tools/bench":    {[]string{"internal/config", "internal/daemon", "internal/diff", "internal/git/source", "internal/okta/simulator", "internal/state", "internal/store/history", "internal/store/location"}, "measures the program from outside, and its packages"},
	"tools/soak":     {[]string{"internal/okta/simulator", "internal/store/journal", "internal/store/location"}, "maltreats the program from outside"},
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
			// Tests read YAML as editors do, with the traps.
			if imported == "gopkg.in/yaml.v3" && name != "internal/strictyaml" && name != "internal/strictyaml/schemagen/schematest" {
				t.Errorf("%s imports %s: its traps end in internal/strictyaml", name, imported)
			}
			if strings.HasPrefix(imported, "github.com/google/go-github/") || strings.HasPrefix(imported, "gitlab.com/gitlab-org/api/") {
				if name != "internal/git/forge" {
					t.Errorf("%s imports %s: its waits, retries and logs end in internal/git/forge", name, imported)
				}
			}
			if strings.HasPrefix(imported, "go.opentelemetry.io/otel") && !strings.HasPrefix(name, "internal/web/trace") ||
				strings.HasPrefix(imported, "go.opentelemetry.io/otel/sdk") && name != "internal/web/trace/otlp" {
				t.Errorf("%s imports %s: what is traced knows no SDK", name, imported)
			}
			if imported == "flag" || imported == "github.com/spf13/cobra" {
				if name != "cmd/reconciler" && !strings.HasPrefix(name, "tools/") {
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
