package daemon

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"reconciler/internal/daemon/api"
	"reconciler/internal/diff"
	"reconciler/internal/freeze"
	"reconciler/internal/okta/parent"
	"reconciler/internal/onboard"
	"reconciler/internal/reconcile"
	"reconciler/internal/store/tokens"
)

// wordsOf returns the words that a document has in its code spans.
func wordsOf(t *testing.T, doc string) map[string]bool {
	t.Helper()
	data, err := os.ReadFile("../../docs/" + doc)
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]bool{}
	for _, code := range regexp.MustCompile("`[^`\n]+`").FindAllString(string(data), -1) {
		for _, word := range regexp.MustCompile(`[\w-]+`).FindAllString(code, -1) {
			words[word] = true
		}
	}
	return words
}

// lackFields fails the test for each field of the values' JSON that a document lacks.
func lackFields(t *testing.T, doc string, words map[string]bool, values ...any) {
	t.Helper()
	for _, v := range values {
		typ := reflect.TypeOf(v)
		for f := range typ.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name != "" && name != "-" && !words[name] {
				t.Errorf("docs/%s lacks %s.%s (%q)", doc, typ.Name(), f.Name, name)
			}
		}
	}
}

// Dashboards and alert rules hold on to the names of fields and metrics, so
// none of them may be missing in the docs.
func TestDocs(t *testing.T) {
	words := wordsOf(t, "operations.md")
	lackFields(t, "operations.md", words,
		api.Status{}, api.RunRecord{}, Drift{}, api.InForce{}, api.ConfigInForce{}, api.ConfigRefused{}, api.Totals{}, api.Stale{}, reconcile.Problem{}, api.Changes{},
		api.Running{}, api.Success{}, api.Process{}, api.Fleet{}, api.Receiver{}, api.RunRequest{}, api.RunAccepted{}, api.SuspensionRequest{}, api.ReasonRequest{},
		api.Acknowledged{}, api.Error{}, freeze.Suspension{})
	lackFields(t, "api.md", wordsOf(t, "api.md"), api.RunInfo{}, api.LogLine{}, reconcile.Page[api.Error]{}, reconcile.OrgDetail{})
	for _, r := range reconcile.Results() {
		if !words[string(r)] {
			t.Errorf("docs/operations.md lacks the result %q", r)
		}
	}
	for _, tr := range []api.Trigger{api.TriggerStart, api.TriggerSchedule, api.TriggerMissed, api.TriggerWebhook, api.TriggerReload, api.TriggerRequest, api.TriggerTakeover, api.TriggerOnce} {
		if !words[string(tr)] {
			t.Errorf("docs/operations.md lacks the trigger %q", tr)
		}
	}
	for _, field := range []string{diff.FieldExists, diff.FieldLinked, diff.FieldProducts, diff.FieldStatus, diff.FieldRequestDeletion} {
		if !words[field] {
			t.Errorf("docs/operations.md lacks the field %q", field)
		}
	}
	m := newMetrics("v1")
	m.aerial.Started("GET", "orgs")
	m.aerial.Finished("GET", "orgs", 200, 0)
	m.orgAPI.Finished("GET", "/api/v1/zones", 200, 0)
	m.compared([]Drift{{}}, api.Fleet{}, map[string]objectCount{"groups": {}})
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if name := f.GetName(); strings.HasPrefix(name, "reconciler_") && !words[name] {
			t.Errorf("docs/operations.md lacks the metric %s", name)
		}
	}
}

// stopTime is how long a stop may take at most, in seconds, as docs and examples
// have it.
const stopTime = 120

// TestStopTime: a stop may begin right after a creation was sent, whose token the
// sink doesn't take until the last attempt. Wherever people are told how long a stop
// may take, it is the same time, and long enough for that.
func TestStopTime(t *testing.T) {
	longest := parent.Timeout + onboard.StopTimeout + tokens.CommandTimeout + shutdownGrace
	if spare := stopTime*time.Second - longest; spare < 10*time.Second || spare > 40*time.Second {
		t.Errorf("a stop may take %v, and people are told to allow %d seconds", longest, stopTime)
	}
	figure := regexp.MustCompile(`(?:terminationGracePeriodSeconds:|TimeoutStopSec=|stop_grace_period:|docker stop (?:--time|--timeout|-t)|--stop-timeout|(?:allow|up to) (?:about )?)[ =]*(\d+)(?:s\b| seconds)?(?: before SIGKILL)?`)
	named := regexp.MustCompile(`terminationGrace|TimeoutStop|stop_grace|docker stop|stop-timeout|SIGKILL`)
	found := 0
	for _, folder := range []string{"docs", "examples", "integrations", "README.md", "Dockerfile"} {
		err := filepath.WalkDir("../../"+folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			for n, line := range strings.Split(string(data), "\n") {
				if !named.MatchString(line) {
					continue
				}
				for _, m := range figure.FindAllStringSubmatch(line, -1) {
					found++
					if m[1] != strconv.Itoa(stopTime) {
						t.Errorf("%s:%d: %q is not %d seconds", path, n+1, m[0], stopTime)
					}
				}
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	if found < 4 {
		t.Errorf("only %d places name the time", found)
	}
	operations, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	creation, storing := parent.Timeout/time.Second, (onboard.StopTimeout+tokens.CommandTimeout)/time.Second
	text := strings.Join(strings.Fields(string(operations)), " ")
	if want := fmt.Sprintf("gets up to %d seconds, because its response has the org's token, and storing that up to %d seconds more", creation, storing); !strings.Contains(text, want) {
		t.Errorf("docs/operations.md lacks %q", want)
	}
}
