package daemon

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"reconciler/internal/apply"
	"reconciler/internal/daemon/api"
	"reconciler/internal/daemon/signin"
	"reconciler/internal/diff"
	"reconciler/internal/freeze"
	"reconciler/internal/reconcile"
	"reconciler/internal/report"
	"reconciler/internal/state"
	"reconciler/internal/store/history"
	"reconciler/internal/store/location"
)

// description is the description of the API, as far as tests need it.
type description struct {
	t        testing.TB
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema
	Security security
	Paths    map[string]map[string]struct {
		OperationID, Description string
		Security                 security
		Parameters               []struct {
			Ref      string `json:"$ref"`
			Name, In string
		}
		RequestBody *struct {
			Content map[string]content
		}
		Responses map[string]struct {
			Ref     string `json:"$ref"`
			Content map[string]content
		}
	}
	Components struct {
		Parameters map[string]struct {
			Name, Description string
			Schema            struct {
				Type  string
				Enum  []string
				Items struct{ Enum []string }
			}
		}
		Responses       map[string]struct{ Content map[string]content }
		SecuritySchemes map[string]struct{ Type, Scheme, In, Name string }
		Schemas         map[string]struct {
			Required             []string
			Properties           map[string]json.RawMessage
			AdditionalProperties json.RawMessage
		}
	}
}

// security are the ways to authenticate, of which one is enough: the names of schemes that
// are needed together.
type security []map[string][]string

type content struct {
	Schema struct {
		Ref string `json:"$ref"`
	}
}

func readDescription(t testing.TB) *description {
	t.Helper()
	d := &description{t: t, compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
	if err := json.Unmarshal(api.OpenAPI(), d); err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(api.OpenAPI()))
	if err == nil {
		d.compiler.AssertFormat()
		err = d.compiler.AddResource("openapi.json", doc)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// schema returns the schema at a place of the description.
func (d *description) schema(ref string) *jsonschema.Schema {
	d.t.Helper()
	if d.schemas[ref] == nil {
		s, err := d.compiler.Compile("openapi.json" + ref)
		if err != nil {
			d.t.Fatalf("%s: %v", ref, err)
		}
		d.schemas[ref] = s
	}
	return d.schemas[ref]
}

// path returns the path of the description that a request is for.
func (d *description) path(asked string) string {
	if d.Paths[asked] != nil {
		return asked
	}
	for path := range d.Paths {
		pattern := "^" + regexp.MustCompile(`\\\{\w+\\\}`).ReplaceAllString(regexp.QuoteMeta(path), "[^/]+") + "$"
		if path != "/api/v1/openapi.json" && regexp.MustCompile(pattern).MatchString(asked) {
			return path
		}
	}
	return ""
}

// check holds a response against the description.
func (d *description) check(method, asked string, code int, body []byte) {
	d.t.Helper()
	asked, _, _ = strings.Cut(asked, "?")
	op, ok := d.Paths[d.path(asked)][strings.ToLower(method)]
	if !ok {
		d.t.Errorf("%s %s is not described", method, asked)
		return
	}
	r, ok := op.Responses[strconv.Itoa(code)]
	if !ok {
		d.t.Errorf("%s %s: %d is not described: %s", method, asked, code, body)
		return
	}
	content := r.Content["application/json"]
	if r.Ref != "" {
		content = d.Components.Responses[strings.TrimPrefix(r.Ref, "#/components/responses/")].Content["application/json"]
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		d.t.Errorf("%s %s: %v", method, asked, err)
		return
	}
	if content.Schema.Ref == "" {
		return // the description itself
	}
	if err := d.schema(content.Schema.Ref).Validate(value); err != nil {
		d.t.Errorf("%s %s: %d: %v\n%s", method, asked, code, err, body)
	}
}

// ask asks for something, and checks the response.
func (d *description) ask(h http.Handler, method, path, body string) *httptest.ResponseRecorder {
	d.t.Helper()
	r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	d.check(method, path, w.Code, w.Body.Bytes())
	return w
}

// Each endpoint of the code is described, and the other way round.
func TestOpenAPIPaths(t *testing.T) {
	d := readDescription(t)
	described := map[string]bool{}
	ids := map[string]bool{}
	for path, methods := range d.Paths {
		for method, op := range methods {
			described[strings.ToUpper(method)+" "+path] = true
			if op.OperationID == "" || ids[op.OperationID] {
				t.Errorf("%s %s: operationId %q", method, path, op.OperationID)
			}
			ids[op.OperationID] = true
		}
	}
	served := map[string]bool{}
	for _, l := range lists() {
		served["GET "+apiPath+l.name] = true
	}
	pattern := regexp.MustCompile(`^"([A-Z]+ /api/v1/.+)"$`)
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			if sel, ok := call.Fun.(*ast.SelectorExpr); !ok || !strings.HasPrefix(sel.Sel.Name, "Handle") {
				return true
			}
			if lit, ok := call.Args[0].(*ast.BasicLit); ok {
				if m := pattern.FindStringSubmatch(lit.Value); m != nil {
					served[m[1]] = true
				}
			}
			return true
		})
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(served)), slices.Sorted(maps.Keys(described))); diff != "" {
		t.Errorf("endpoints (-served +described)\n%s", diff)
	}
}

// Each parameter that a list takes is described, with all its values, and no others.
func TestOpenAPIParameters(t *testing.T) {
	d := readDescription(t)
	used := map[string]bool{}
	for _, l := range lists() {
		var described []string
		for _, p := range d.Paths[apiPath+l.name]["get"].Parameters {
			described = append(described, strings.TrimPrefix(p.Ref, "#/components/parameters/"))
		}
		if diff := cmp.Diff(slices.Sorted(slices.Values(l.parameters)), slices.Sorted(slices.Values(described))); diff != "" {
			t.Errorf("parameters of %s (-taken +described)\n%s", l.name, diff)
		}
		for _, name := range l.parameters {
			used[name] = true
		}
	}
	known := slices.Sorted(maps.Keys(parameters()))
	if diff := cmp.Diff(known, slices.Sorted(maps.Keys(used))); diff != "" {
		t.Errorf("parameters (-known +taken)\n%s", diff)
	}
	if diff := cmp.Diff(known, slices.Sorted(maps.Keys(d.Components.Parameters))); diff != "" {
		t.Errorf("parameters (-known +described)\n%s", diff)
	}
	for name, p := range d.Components.Parameters {
		if p.Name != name || p.Description == "" || (p.Schema.Type == "array") != slices.Contains(repeated(), name) {
			t.Errorf("%s: %+v", name, p)
		}
	}
	sorts := reconcile.OrgSorts()
	for _, s := range reconcile.OrgSorts() {
		sorts = append(sorts, "-"+s)
	}
	for name, want := range map[string][]string{
		"state": stringsOf(reconcile.SyncStates()), "type": stringsOf(append(history.Happened(), history.TypeDriftEnded)), "sort": sorts,
	} {
		s := d.Components.Parameters[name].Schema
		if diff := cmp.Diff(slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(append(s.Enum, s.Items.Enum...)))); diff != "" {
			t.Errorf("%s (-known +described)\n%s", name, diff)
		}
	}
}

func stringsOf[T ~string](all []T) (words []string) {
	for _, w := range all {
		words = append(words, string(w))
	}
	return words
}

// The schemas have the fields of the types that they are of, and no others.
func TestOpenAPISchemas(t *testing.T) {
	d := readDescription(t)
	types := map[string]any{
		"Error": api.Error{}, "Status": api.Status{}, "Trouble": api.Trouble{}, "Process": api.Process{}, "Running": api.Running{}, "RunRecord": api.RunRecord{},
		"Changes": api.Changes{}, "Stale": api.Stale{}, "Success": api.Success{}, "InForce": api.InForce{}, "ConfigInForce": api.ConfigInForce{},
		"ConfigRefused": api.ConfigRefused{}, "Totals": api.Totals{}, "Fleet": api.Fleet{}, "RunInfo": api.RunInfo{}, "LogLine": api.LogLine{}, "RunRequest": api.RunRequest{},
		"RunAccepted": api.RunAccepted{}, "SuspensionRequest": api.SuspensionRequest{}, "ReasonRequest": api.ReasonRequest{}, "Acknowledged": api.Acknowledged{},
		"Problem": reconcile.Problem{}, "Alarm": reconcile.Alarm{}, "Drift": reconcile.Drift{}, "DriftItem": reconcile.DriftItem{}, "OrgItem": reconcile.OrgItem{},
		"OrgDetail": reconcile.OrgDetail{}, "Inactive": reconcile.Inactive{}, "ProductItem": reconcile.ProductItem{}, "ObjectItem": reconcile.ObjectItem{},
		"KindItem": reconcile.KindItem{}, "RunItem": reconcile.RunItem{}, "RunChanges": reconcile.RunChanges{}, "FeatureColumn": report.FeatureColumn{},
		"FeatureRow": report.FeatureRow{}, "Entry": history.Entry{}, "Cause": history.Cause{}, "Quiet": history.Quiet{}, "Plan": diff.Plan{}, "Summary": diff.Summary{},
		"ObjectSummary": diff.ObjectSummary{}, "Change": diff.Change{}, "Field": diff.Field{}, "Unfixable": diff.Unfixable{}, "Unmanaged": diff.Unmanaged{},
		"Unknown": diff.Unknown{}, "Refusal": diff.Refusal{}, "Note": diff.Note{}, "Create": state.Create{}, "Admin": state.Admin{}, "Suspension": freeze.Suspension{}, "Hold": freeze.Hold{}, "Receiver": api.Receiver{}, "Place": reconcile.Place{},
		"Outcome": apply.Outcome{},
	}
	page := func(more ...string) map[string]bool {
		fields := fieldsOf(reflect.TypeFor[reconcile.Page[reconcile.OrgItem]]())
		for _, name := range []string{"quiet", "warnings"} {
			if !slices.Contains(more, name) {
				delete(fields, name)
			}
		}
		return fields
	}
	want := map[string]map[string]bool{
		"OrgPage": page(), "ProductPage": page(), "DriftPage": page(), "ObjectPage": page(), "KindPage": page(), "EntryPage": page(),
		"FeaturePage": page("warnings"), "RunPage": page("quiet"), "Value": {},
	}
	want["RunPage"]["quiet"] = true
	for name, v := range types {
		want[name] = fieldsOf(reflect.TypeOf(v))
	}
	delete(want["Plan"], "review") // runs have none
	for name, fields := range want {
		s, ok := d.Components.Schemas[name]
		if !ok {
			t.Errorf("no schema %s", name)
			continue
		}
		d.schema("#/components/schemas/" + name)
		described := map[string]bool{}
		for field := range s.Properties {
			described[field] = slices.Contains(s.Required, field)
		}
		if diff := cmp.Diff(fields, described); diff != "" {
			t.Errorf("%s: whether fields are required (-type +schema)\n%s", name, diff)
		}
		if len(fields) > 0 && string(s.AdditionalProperties) != "false" {
			t.Errorf("%s takes other properties", name)
		}
	}
	for name := range d.Components.Schemas {
		if want[name] == nil {
			t.Errorf("the schema %s is of no type", name)
		}
	}
}

// fieldsOf returns the fields of the JSON form of a type, and whether they are always
// there.
func fieldsOf(typ reflect.Type) map[string]bool {
	all := map[string]bool{}
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			of := f.Type
			if of.Kind() == reflect.Pointer {
				of = of.Elem()
			}
			for name, required := range fieldsOf(of) {
				if _, hides := all[name]; !hides {
					all[name] = required && f.Type.Kind() != reflect.Pointer
				}
			}
		case name != "-" && name != "":
			all[name] = opts == ""
		}
	}
	return all
}

// What the handlers answer is as described, whether there is something or nothing.
func TestOpenAPIAnswers(t *testing.T) {
	d := readDescription(t)
	empty := history.New(location.Folder(t.TempDir()), history.Options{})
	t.Cleanup(func() { empty.Close() })
	for name, h := range map[string]http.Handler{
		"filled": inventoryHandler(t), "empty": handlerOf(t, reconcile.NewInventoryReader(empty, "0200"), newStatusTracker(api.Status{}, every10)),
		"status": handlerOf(t, reconcile.NewInventoryReader(empty, "0200"), testTracker()),
	} {
		t.Run(name, func(t *testing.T) {
			d.t = t
			for _, l := range lists() {
				d.ask(h, http.MethodGet, apiPath+l.name, "")
				d.ask(h, http.MethodGet, apiPath+l.name+"?limit=1", "")
				if w := d.ask(h, http.MethodGet, apiPath+l.name+"?limit=0", ""); w.Code != http.StatusBadRequest {
					t.Errorf("%s?limit=0: %d", l.name, w.Code)
				}
			}
			for _, path := range []string{"status", "orgs/a.okta.com", "orgs/b.okta.com", "orgs/x", "runs/r1", "runs/r2", "runs/x", "openapi.json"} {
				d.ask(h, http.MethodGet, apiPath+path, "")
			}
			for _, ask := range []struct{ method, path, body string }{
				{"POST", "runs", "{}"}, {"POST", "runs", "x"}, {"POST", "runs", ""},
				{"POST", "suspensions", `{"reason": ""}`}, {"POST", "suspensions", ""}, {"POST", "suspensions", `{"reason": "INC-1"}`},
				{"DELETE", "suspensions/x", `{"reason": "over"}`}, {"DELETE", "suspensions/x", ""}, {"POST", "alarms/x/acknowledge", `{"reason": "seen"}`},
			} {
				d.ask(h, ask.method, apiPath+ask.path, ask.body)
			}
		})
	}
}

// What changes something says who may, and what is answered to others; all that is
// answered is described.
func TestOpenAPIOfOperators(t *testing.T) {
	d := readDescription(t)
	if s := d.Components.SecuritySchemes; s["csrf"].In != "header" || s["csrf"].Name != signin.CSRFHeader || s["token"].Type != "http" || s["token"].Scheme != "bearer" || s["session"].In != "cookie" {
		t.Errorf("%+v", s)
	}
	none := []string{}
	reading := security{{"token": none}, {"session": none}, {}}
	if diff := cmp.Diff(reading, d.Security); diff != "" {
		t.Error(diff)
	}
	changing := security{{"token": none}, {"session": none, "csrf": none}, {}}
	for path, methods := range d.Paths {
		for method, op := range methods {
			want, codes := security(nil), []string{"401", "403", "421", "429"}
			if method != "get" {
				want, codes = changing, append(codes, "400", "415", "500", "503")
				if !strings.Contains(op.Description, "the role operator") {
					t.Errorf("%s %s: %q", method, path, op.Description)
				}
			}
			if diff := cmp.Diff(want, op.Security); diff != "" {
				t.Errorf("%s %s: %s", method, path, diff)
			}
			for _, code := range codes {
				if _, ok := op.Responses[code]; !ok {
					t.Errorf("%s %s: %s is not described", method, path, code)
				}
			}
		}
	}

	w, tokens := guarded(t)
	acts := []struct{ method, path, body string }{
		{"POST", "runs", "{}"}, {"POST", "suspensions", `{"reason": "audit"}`}, {"DELETE", "suspensions/x", `{"reason": "over"}`}, {"POST", "alarms/journal/acknowledge", `{"reason": "seen"}`},
	}
	asked := map[string]bool{}
	for _, a := range acts {
		asked[d.path(apiPath+a.path)+" "+strings.ToLower(a.method)] = true
		ask := func(want int, token, body string, headers ...string) {
			t.Helper()
			r := httptest.NewRequest(a.method, "http://localhost"+apiPath+a.path, strings.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			if token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			for i := 0; i < len(headers); i += 2 {
				r.Header.Set(headers[i], headers[i+1])
			}
			resp := httptest.NewRecorder()
			w.handler.ServeHTTP(resp, r)
			d.check(a.method, apiPath+a.path, resp.Code, resp.Body.Bytes())
			if resp.Code != want {
				t.Errorf("%s %s: %d %s, want %d", a.method, a.path, resp.Code, resp.Body, want)
			}
		}
		operator := tokens[signin.Operator]
		ask(http.StatusUnauthorized, "", a.body)
		ask(http.StatusForbidden, tokens[signin.Viewer], a.body)
		ask(http.StatusForbidden, operator, a.body, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example")
		ask(http.StatusUnsupportedMediaType, operator, "reason=x", "Content-Type", "application/x-www-form-urlencoded")
		ask(http.StatusBadRequest, operator, "[")
		w.standingBy(&api.Process{PID: 12, Host: "h", Since: noon})
		ask(http.StatusServiceUnavailable, operator, a.body)
		w.standingBy(nil)
	}
	for path, methods := range d.Paths {
		for method := range methods {
			if method != "get" && !asked[path+" "+method] {
				t.Errorf("%s %s is not tested", method, path)
			}
		}
	}
}

// handlerOf returns the endpoints of a daemon that does no runs.
func handlerOf(t *testing.T, inventory *reconcile.InventoryReader, tracker *statusTracker) http.Handler {
	t.Helper()
	h, err := newHandler(handlerOptions{
		reader:  &reader{InventoryReader: inventory, tracker: tracker, requests: newRequests(), kept: &keptRuns{}, now: func() time.Time { return noon }},
		metrics: newMetrics("v1"), log: slog.New(slog.DiscardHandler), gate: openGate(t, "127.0.0.1:8080"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// All that a daemon answers after runs that read, changed and failed is as described.
func TestOpenAPIOfADaemon(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := readDescription(t)
		w := newConfiguredWorld(t, "0s", worldOptions{mode: "apply", extra: "state: {dir: " + t.TempDir() + "}\n"})
		all := func() {
			t.Helper()
			for _, l := range lists() {
				d.ask(w.handler, http.MethodGet, apiPath+l.name, "")
			}
			d.ask(w.handler, http.MethodGet, apiPath+"status", "")
			for _, domain := range []string{emea, labs, shop, parentOrg} {
				d.ask(w.handler, http.MethodGet, apiPath+"orgs/"+domain, "")
			}
			for _, r := range w.tracker.read(time.Now()).RecentRuns {
				d.ask(w.handler, http.MethodGet, apiPath+"runs/"+r.ID, "")
			}
		}
		all()
		w.expect(ResultApplied)
		all()
		w.tamper(labs)
		w.change(emea, "networkZones", "Offices", `{"gateways": [{"type": "CIDR", "value": "203.0.113.0/24"}]}`)
		w.fault("GET /org/" + shop + "/api/v1/zones status=403")
		w.expect(ResultPartial)
		all()
		posted := d.ask(w.handler, http.MethodPost, apiPath+"suspensions", `{"orgs": ["`+emea+`"], "reason": "INC-1", "for": "72h"}`)
		if posted.Code != http.StatusCreated {
			t.Errorf("%d %s", posted.Code, posted.Body)
		}
		all()
	})
}
