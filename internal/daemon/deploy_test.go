package daemon

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"gopkg.in/yaml.v3"
)

const (
	rulesFile = "../../deploy/prometheus/rules.yaml"
	boardFile = "../../deploy/grafana/reconciler.json"
)

// exports are the labels of each series of metrics that the daemon exports, by its name
// as queries have it.
type exports map[string][]string

var described = regexp.MustCompile(`fqName: "(\w+)".*constLabels: \{([^{}]*)\}, variableLabels: \{([^{}]*)\}`)

func exported(t *testing.T) exports {
	w := newConfiguredWorld(t, "0s", worldOptions{})
	w.run()
	ch := make(chan *prometheus.Desc)
	go func() {
		w.metrics.registry.Describe(ch)
		close(ch)
	}()
	all := exports{}
	for d := range ch {
		m := described.FindStringSubmatch(d.String())
		if m == nil {
			t.Fatalf("%s is described in another form", d)
		}
		labels := []string{}
		for _, l := range append(strings.Split(m[2], ","), strings.Split(m[3], ",")...) {
			if name, _, _ := strings.Cut(l, "="); name != "" {
				labels = append(labels, name)
			}
		}
		all[m[1]] = labels
	}
	families, err := w.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		labels, name := all[f.GetName()], f.GetName()
		if f.GetType().String() == "HISTOGRAM" {
			delete(all, name)
			all[name+"_bucket"], all[name+"_sum"], all[name+"_count"] = append(slices.Clone(labels), "le"), labels, labels
		}
	}
	return all
}

var (
	literal    = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	selector   = regexp.MustCompile(`(\w+)\{([^{}]*)\}`)
	matcher    = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)`)
	grouping   = regexp.MustCompile(`\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)`)
	span       = regexp.MustCompile(`\[[^\]]*\]`)
	identifier = regexp.MustCompile(`[a-zA-Z_]\w*`)
)

// metricWords are what stands in queries beside metrics and labels.
var metricWords = []string{
	"absent", "and", "by", "group_left", "histogram_quantile", "increase", "max", "min", "on", "or", "rate", "sort_desc",
	"sum", "time", "unless", "without",
}

// check fails if a query names a metric, or a label of one, that isn't exported, and
// returns the labels that its result may have.
func (e exports) check(t *testing.T, where, query string) []string {
	t.Helper()
	q := span.ReplaceAllString(literal.ReplaceAllString(query, `""`), "")
	labels := []string{"instance", "job"}
	for _, m := range selector.FindAllStringSubmatch(q, -1) {
		for _, label := range matcher.FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(append(e[m[1]], "instance", "job"), label[1]) {
				t.Errorf("%s: %s has no label %s: %s", where, m[1], label[1], query)
			}
		}
	}
	rest := grouping.ReplaceAllString(selector.ReplaceAllString(q, "$1"), " ")
	for _, name := range identifier.FindAllString(rest, -1) {
		of, is := e[name]
		switch {
		case is:
			labels = append(labels, of...)
		case !slices.Contains(metricWords, name):
			t.Errorf("%s: no metric %s is exported: %s", where, name, query)
		}
	}
	for _, m := range grouping.FindAllStringSubmatch(q, -1) {
		for _, label := range identifier.FindAllString(m[1], -1) {
			if !slices.Contains(labels, label) {
				t.Errorf("%s: no metric has the label %s: %s", where, label, query)
			}
		}
	}
	return labels
}

// alert is one rule.
type alert struct {
	Alert       string
	Expr        string
	Labels      map[string]string
	Annotations map[string]string
}

func alerts(t *testing.T) []alert {
	data, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Groups []struct{ Rules []alert } }
	if err := yaml.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	var all []alert
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// TestRules: each alert is about metrics that there are, says what it is about and
// where it is told what to do, and has a test.
func TestRules(t *testing.T) {
	metrics := exported(t)
	docs, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := ""
	for _, name := range []string{"rules_test.yaml", "rules_day_test.yaml"} {
		data, err := os.ReadFile("../../deploy/prometheus/" + name)
		if err != nil {
			t.Fatal(err)
		}
		tests += string(data)
	}
	named := regexp.MustCompile(`\$labels\.(\w+)`)
	all := alerts(t)
	for _, a := range all {
		labels := metrics.check(t, a.Alert, a.Expr)
		for _, m := range named.FindAllStringSubmatch(a.Annotations["summary"]+a.Annotations["description"], -1) {
			if !slices.Contains(labels, m[1]) {
				t.Errorf("%s: its metricWords have no label %s", a.Alert, m[1])
			}
		}
		if a.Annotations["summary"] == "" || a.Annotations["description"] == "" || !slices.Contains([]string{"critical", "warning", "info"}, a.Labels["severity"]) {
			t.Errorf("%s: lacks a summary, a description or a severity", a.Alert)
		}
		if got, want := a.Annotations["runbook"], "docs/operations.md#"+strings.ToLower(a.Alert); got != want {
			t.Errorf("%s: its runbook is %q, want %q", a.Alert, got, want)
		}
		if !strings.Contains(string(docs), "\n### "+a.Alert+"\n") {
			t.Errorf("docs/operations.md lacks the section of %s", a.Alert)
		}
		fires := regexp.MustCompile(`exp_samples: \[\{labels: 'ALERTS\{[^}]*alertname="` + a.Alert + `"`)
		if !fires.MatchString(tests) && !regexp.MustCompile(`alertname: `+a.Alert+`\n +exp_alerts: \[\{`).MatchString(tests) {
			t.Errorf("%s: no test has it fire", a.Alert)
		}
	}
	if len(all) < 20 {
		t.Errorf("%d alerts", len(all))
	}
	for _, m := range regexp.MustCompile(`\n### ((?:Reconciler|Okta)[A-Z]\w+)\n`).FindAllStringSubmatch(string(docs), -1) {
		if !slices.ContainsFunc(all, func(a alert) bool { return a.Alert == m[1] }) {
			t.Errorf("docs/operations.md: there is no alert %s", m[1])
		}
	}
}

// TestRulesFire has promtool judge and run the rules.
func TestRulesFire(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed; it comes with Prometheus")
	}
	for _, args := range [][]string{{"check", "rules", "rules.yaml"}, {"test", "rules", "rules_test.yaml", "rules_day_test.yaml"}} {
		cmd := exec.Command(promtool, args...)
		cmd.Dir = "../../deploy/prometheus"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// panel is one of a dashboard.
type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	Datasource               *struct{ Type, UID string }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []struct{ RefID, Expr, LegendFormat string }
	Panels                   []panel
}

// TestBoard: each panel of the dashboard is about metrics that there are, and can be
// read by somebody who sees it for the first time.
func TestBoard(t *testing.T) {
	metrics := exported(t)
	data, err := os.ReadFile(boardFile)
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Title, UID    string
		SchemaVersion int
		Panels        []panel
		Templating    struct {
			List []struct {
				Name, Type string
				Query      any
				Definition string
			}
		}
	}
	if err := json.Unmarshal(data, &board); err != nil {
		t.Fatal(err)
	}
	if board.Title == "" || board.UID == "" || board.SchemaVersion < 36 {
		t.Errorf("%q, %q, schema %d: Grafana doesn't import it as it is", board.Title, board.UID, board.SchemaVersion)
	}
	var variables []string
	values := regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)
	for _, v := range board.Templating.List {
		variables = append(variables, v.Name)
		if v.Type != "query" {
			continue
		}
		m := values.FindStringSubmatch(v.Definition)
		if m == nil {
			t.Errorf("the variable %s is %q", v.Name, v.Definition)
			continue
		}
		if labels := metrics.check(t, "the variable "+v.Name, m[1]); !slices.Contains(labels, m[2]) {
			t.Errorf("the variable %s: no label %s", v.Name, m[2])
		}
	}
	if !slices.Equal(variables, []string{"datasource", "account", "instance"}) {
		t.Errorf("variables %v", variables)
	}

	ids, taken := map[int]bool{}, map[[2]int]string{}
	used := map[string]bool{}
	for _, p := range board.Panels {
		if ids[p.ID] || p.ID == 0 || p.Title == "" || len(p.Panels) > 0 {
			t.Errorf("%d %q: panels need a title and an id of their own", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%q lies over %q, or beside the grid", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || p.FieldConfig.Defaults.Unit == "" || p.Datasource == nil || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("%q lacks a description, a unit, the data source or a query", p.Title)
		}
		for _, target := range p.Targets {
			labels := metrics.check(t, p.Title, target.Expr)
			for _, m := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(target.LegendFormat, -1) {
				if !slices.Contains(labels, m[1]) {
					t.Errorf("%q: its legend has no label %s", p.Title, m[1])
				}
			}
			if !strings.Contains(target.Expr, `instance=~"$instance"`) {
				t.Errorf("%q is not about the instances that are chosen", p.Title)
			}
			for _, name := range identifier.FindAllString(target.Expr, -1) {
				used[name] = true
			}
		}
	}
	// What an operator wants to see is on it.
	for _, name := range []string{
		"reconciler_ready", "reconciler_orgs", "reconciler_drift_fields", "reconciler_drift_oldest_timestamp_seconds", "reconciler_runs_total",
		"reconciler_run_duration_seconds_bucket", "reconciler_api_requests_total", "reconciler_api_in_flight", "reconciler_api_rate_limit_remaining_ratio",
		"reconciler_org_api_requests_total", "reconciler_suspensions", "reconciler_alarms", "reconciler_desired_stale", "reconciler_guard_refusing",
		"reconciler_notifications_total", "reconciler_notifications_queued", "reconciler_leader",
	} {
		if !used[name] {
			t.Errorf("no panel shows %s", name)
		}
	}
}
