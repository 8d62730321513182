package daemon

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"reconciler/internal/diff"
	"reconciler/internal/reconcile"

	"reconciler/internal/freeze"
)

// Dashboards and alert rules hold on to the names of fields and metrics, so
// none of them may be missing in the docs.
func TestDocs(t *testing.T) {
	data, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]bool{}
	for _, code := range regexp.MustCompile("`[^`\n]+`").FindAllString(string(data), -1) {
		for _, word := range regexp.MustCompile(`[\w-]+`).FindAllString(code, -1) {
			words[word] = true
		}
	}
	for _, v := range []any{Status{}, RunRecord{}, Drift{}, InForce{}, ConfigInForce{}, ConfigRefused{}, Totals{}, Stale{}, reconcile.Problem{}, Changes{}, Running{}, Success{}, freeze.Suspension{}} {
		typ := reflect.TypeOf(v)
		for f := range typ.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name != "" && !words[name] {
				t.Errorf("docs/operations.md lacks %s.%s (%q)", typ.Name(), f.Name, name)
			}
		}
	}
	for _, r := range results() {
		if !words[string(r)] {
			t.Errorf("docs/operations.md lacks the result %q", r)
		}
	}
	for _, tr := range []Trigger{TriggerStart, TriggerSchedule, TriggerMissed, TriggerWebhook, TriggerReload, TriggerOnce} {
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
	m.Started("GET", "orgs")
	m.Finished("GET", "orgs", 200, 0)
	m.compared([]Drift{{}}, fleet{})
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
