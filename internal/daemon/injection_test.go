package daemon

import (
	"encoding/json"
	"fmt"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"reconciler/internal/daemon/api"
	"reconciler/internal/reconcile"
	"reconciler/internal/store/history"
	"reconciler/internal/store/location"
	"reconciler/internal/text"
	"reconciler/internal/text/hostile"
)

// fill sets every text in v to s, every time to noon, and gives each list one item.
func fill(v reflect.Value, s string, depth int) {
	switch {
	case v.Type() == reflect.TypeFor[json.RawMessage]():
		v.SetBytes(quoted(s))
		return
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(noon))
		return
	case depth > 8:
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Bool:
		v.SetBool(false)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), s, depth+1)
			}
		}
	case reflect.Pointer:
		if v.Type().Elem().Kind() == reflect.Struct && !hasExported(v.Type().Elem()) {
			return
		}
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), s, depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), s, depth+1)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, s, depth+1)
		fill(value, s, depth+1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	}
}

func hasExported(t reflect.Type) bool {
	return slices.ContainsFunc(reflect.VisibleFields(t), func(f reflect.StructField) bool { return f.IsExported() })
}

func quoted(s string) json.RawMessage {
	data, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return data
}

// hostileHandler serves a status and a history in which every text is s.
func hostileHandler(t *testing.T, s string) http.Handler {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	h := history.New(location.Folder(t.TempDir()), history.Options{Now: func() time.Time { return noon }})
	t.Cleanup(func() { h.Close() })
	run := history.Run{ID: "r1", Command: s, Trigger: s, By: s, Started: noon, Mode: s}
	rec, err := h.Begin(run)
	must(err)
	must(rec.Planned(s, s, s))
	var change, end history.Entry
	fill(reflect.ValueOf(&change).Elem(), s, 0)
	fill(reflect.ValueOf(&end).Elem(), s, 0)
	change.Type, end.Type, change.Outcome = history.TypeChange, history.TypeChange, ""
	pending, err := rec.Change(change)
	must(err)
	must(pending.End(end))
	var drift history.Drift
	fill(reflect.ValueOf(&drift).Elem(), s, 0)
	seen, err := rec.Drift([]history.Drift{drift}, func(*history.Drift) bool { return true })
	must(err)
	must(h.Caused(seen[0].Seq, drift.Cause, ""))
	q := string(quoted(s))
	must(rec.States([]history.OrgState{
		{At: noon, Declared: json.RawMessage(`{"name": ` + q + `, "products": {` + q + `: "P000052"}}`), Live: json.RawMessage(`{"id": ` + q + `, "name": ` + q + `, "products": {"P000052": ` + q + `}}`)},
		{
			At: noon, Org: s, OrgID: s, Commit: s,
			Declared: json.RawMessage(`{"products": ["P000052", ` + q + `], "status": ` + q + `, "owner": ` + q + `, "cell": ` + q + `, "labels": {` + q + `: ` + q + `},
				"configuration": {"groups": [{"profile": {"name": ` + q + `, "description": ` + q + `}}], "networkZones": [{"name": ` + q + `, ` + q + `: [` + q + `]}]}}`),
			Live: json.RawMessage(`{"id": ` + q + `, "name": ` + q + `, "cell": ` + q + `, "status": ` + q + `, "products": ["P000052"],
				"configuration": {"groups": [{"profile": {"name": ` + q + `, "description": ""}}]}}`),
		},
	}))
	var record api.RunRecord
	fill(reflect.ValueOf(&record).Elem(), s, 0)
	run.Finished, run.Result, run.Error = noon.Add(time.Second), s, s
	run.Record, err = json.Marshal(record)
	must(err)
	_, err = rec.Finish(run)
	must(err)
	_, err = h.Add(history.Entry{Type: history.TypeOperator, Action: s, By: s, Reason: s, Org: s})
	must(err)

	var status api.Status
	fill(reflect.ValueOf(&status).Elem(), s, 0)
	tracker := newStatusTracker(status, every10)
	tracker.status = status
	handler, err := newHandler(handlerOptions{
		reader:  &reader{InventoryReader: reconcile.NewInventoryReader(h, s), tracker: tracker, requests: newRequests(), now: func() time.Time { return noon }},
		metrics: newMetrics("v1"), log: slog.New(slog.DiscardHandler), gate: openGate(t, "127.0.0.1:8080"),
	})
	must(err)
	return handler
}

// hostilePaths are what is asked for besides what pages link to.
func hostilePaths(s string) []string {
	q, p := url.QueryEscape(s), url.PathEscape(s)
	paths := []string{"/metrics", "/readyz", "/api/v1/status", "/api/v1/orgs", "/api/v1/products", "/api/v1/drift", "/api/v1/runs", "/api/v1/changes", "/api/v1/runs/r1"}
	for _, name := range []string{"org", "product", "label", "since", "status", "after", "q", "state", "cell", "owner", "sort", "limit", s} {
		paths = append(paths, "/orgs?"+url.QueryEscape(name)+"="+q, "/api/v1/orgs?"+url.QueryEscape(name)+"="+q)
	}
	for _, list := range []string{"/orgs.csv", "/drift", "/runs", "/history", "/products", "/features", "/matrix/products"} {
		paths = append(paths, list, list+"?q="+q, list+"?after="+q, list+"?org="+q, list+"?"+q+"="+q)
	}
	return append(paths, "/api/v1/orgs/"+p, "/api/v1/runs/"+p, "/api/v1/"+p, "/orgs/"+p, "/runs/"+p, "/matrix/"+p, "/"+p, "/signin?return="+q, "/static/"+p)
}

var link = regexp.MustCompile(`<a [^>]*href="(/[^"]*)"`)

// links returns the paths that a page links to.
func links(body []byte) []string {
	var paths []string
	for _, m := range link.FindAllSubmatch(body, -1) {
		paths = append(paths, html.UnescapeString(string(m[1])))
	}
	return paths
}

// TestNothingForeignIsLive has every text that comes from Okta, from git or from people
// be one that attacks, and looks at all that a daemon answers: pages by their links, the
// API, CSV and metrics.
func TestNothingForeignIsLive(t *testing.T) {
	texts := hostile.Valid(hostile.Texts())
	if testing.Short() {
		texts = texts[:6]
	}
	for _, s := range texts {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			lookAtAll(t, s)
		})
	}
}

// lookAtAll looks at what a daemon answers where every text is s.
func lookAtAll(t *testing.T, s string) {
	t.Helper()
	handler := hostileHandler(t, s)
	todo, asked, shown, linked, problems := append([]string{"/"}, hostilePaths(s)...), map[string]bool{}, false, false, 0
	for len(todo) > 0 && len(asked) < 150 {
		path := todo[0]
		todo = todo[1:]
		if asked[path] {
			continue
		}
		asked[path] = true
		w := answerTo(handler, path)
		found := wrongWith(path, w)
		if strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			if !shown {
				read := hostile.Text(w.Body.Bytes())
				shown = strings.Contains(read, text.Visible(s)) || strings.Contains(read, text.OneLine(s, 1000))
			}
			more := links(w.Body.Bytes())
			linked = linked || slices.ContainsFunc(more, func(path string) bool { return strings.HasPrefix(path, "/runs/") })
			todo = append(todo, more...)
		}
		if len(found) > 0 {
			t.Errorf("%q: GET %s: %d\n%.900q", s, path, w.Code, found[:min(5, len(found))])
			if problems++; problems == 3 {
				return
			}
		}
	}
	if !shown {
		t.Errorf("%q is shown on no page", s)
	}
	if !linked {
		t.Errorf("%q: no page links to a run", s)
	}
}

// wrongWith returns what is live or hidden in an answer.
func wrongWith(path string, w *httptest.ResponseRecorder) []string {
	body, problems := w.Body.Bytes(), headerProblems(w.Header())
	if w.Code >= 500 && path != "/readyz" {
		problems = append(problems, fmt.Sprintf("%.300s", body))
	}
	switch kind, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";"); kind {
	case "text/html":
		return append(problems, hostile.HTML(body, false)...)
	case "application/json":
		return append(problems, hostile.JSON(body)...)
	case "text/csv":
		return append(problems, hostile.CSV(body)...)
	case "image/svg+xml", "text/css", "text/javascript":
		return problems // our own
	}
	return append(problems, hostile.Hidden(string(body))...)
}

func answerTo(h http.Handler, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "http://localhost/", nil)
	if u, err := url.Parse(path); err == nil {
		r.URL.Path, r.URL.RawPath, r.URL.RawQuery = u.Path, u.RawPath, u.RawQuery
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// headerProblems returns what is wrong with the headers of an answer.
func headerProblems(h http.Header) []string {
	var problems []string
	for name, values := range h {
		for _, v := range values {
			if len(hostile.Hidden(v)) > 0 || strings.Contains(v, "\n") || strings.Contains(v, "evil") && name != "Location" {
				problems = append(problems, fmt.Sprintf("%s: %q", name, v))
			}
		}
	}
	if to := h.Get("Location"); to != "" && (!strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.HasPrefix(to, `/\`)) {
		problems = append(problems, fmt.Sprintf("leads to %q", to))
	}
	return problems
}
