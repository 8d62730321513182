package simulator_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
)

// reference returns the path of a file of the reference material: in the folder of
// RECONCILER_REFERENCE, or beside the checkout. The test is skipped without it.
func reference(t *testing.T, name ...string) string {
	t.Helper()
	folder := os.Getenv("RECONCILER_REFERENCE")
	if folder == "" {
		folder = "../../../../shared/reference"
	}
	path := filepath.Join(append([]string{folder}, name...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no reference material: %v", err)
	}
	return path
}

// exchange is a recorded request and its answer.
type exchange struct {
	Method, Path, Route, Source string
	Status                      int
	Request, Response           json.RawMessage
}

func recorded(t *testing.T, file string) []exchange {
	t.Helper()
	text, err := os.ReadFile(reference(t, "answers", file))
	if err != nil {
		t.Fatal(err)
	}
	var all []exchange
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// serverSide are the keys of an answer that are no part of a request.
var serverSide = []string{
	"id", "created", "createdBy", "lastUpdated", "lastUpdatedBy", "lastMembershipUpdated", "objectClass", "system", "_links", "priority", "orn", "features",
}

// Of each recorded creation the simulator's answer has the same keys, with values of
// the same types. Where the request was not recorded, it is what its answer shows.
func TestRecordedCreations(t *testing.T) {
	reference(t, "answers")
	seed := simulator.DefaultSeed(10)
	for i := range seed.Orgs {
		seed.Orgs[i].Pipeline = "v1" // as the orgs were in 2020
	}
	o := startOrg(t, simulatortest.Config{Seed: seed})
	group := o.group("Target")
	count := 0
	for _, file := range []string{
		"network-zones.json", "groups.json", "group-rules.json", "trusted-origins.json", "behaviors.json",
		"policies-okta-sign-on.json", "policies-password.json", "policy-rules.json", "apps.json",
	} {
		for n, x := range recorded(t, file) {
			route := strings.TrimPrefix(x.Route, "/api/v1")
			if x.Method != "POST" || x.Status != 200 || strings.Contains(route, "lifecycle") || strings.Count(route, "/") > 1 && !strings.HasSuffix(route, "/rules") {
				continue
			}
			body := x.Request
			if string(body) == "null" || body == nil {
				body = x.Response
			}
			var v map[string]any
			if err := json.Unmarshal(body, &v); err != nil {
				t.Fatal(err)
			}
			for _, key := range serverSide {
				delete(v, key)
			}
			if file == "apps.json" && (v["name"] != "bookmark" || string(x.Request) == "null") {
				continue // older, or not simulated
			}
			if profile, ok := v["profile"].(map[string]any); ok {
				profile["name"] = fmt.Sprint(profile["name"], n)
			}
			for _, key := range []string{"name", "origin"} {
				if text, ok := v[key].(string); ok && file != "apps.json" && !strings.HasSuffix(text, "/") {
					v[key] = fmt.Sprint(text, n)
				}
			}
			text, _ := json.Marshal(v)
			text = regexp.MustCompile(`00g[0-9A-Za-z]{17}`).ReplaceAll(text, []byte(group))
			path := x.Path
			if strings.HasSuffix(route, "/rules") && strings.HasPrefix(route, "/policies") {
				class := map[any]string{"SIGN_ON": "OKTA_SIGN_ON", "PASSWORD": "PASSWORD"}[v["type"]]
				path = "/api/v1/policies/" + o.list("/api/v1/policies?type=" + class)[0]["id"].(string) + "/rules"
			}
			count++
			t.Run(fmt.Sprintf("%s %d", file, n), func(t *testing.T) {
				r := o.call("POST", path, string(text))
				wantStatus(t, r, x.Status)
				var want, got any
				if err := json.Unmarshal(x.Response, &want); err != nil {
					t.Fatal(err)
				}
				r.decode(t, &got)
				sameShape(t, "", want, got)
			})
		}
	}
	if count < 15 {
		t.Errorf("only %d creations", count)
	}
}

// sameShape compares the keys and types of two JSON values. A null can be
// anything; of a list the first items are compared.
func sameShape(t *testing.T, at string, want, got any) {
	t.Helper()
	switch want := want.(type) {
	case nil:
	case map[string]any:
		g, _ := got.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(want)) {
			value, has := g[key]
			if !has {
				t.Errorf("%s.%s is missing", at, key)
				continue
			}
			sameShape(t, at+"."+key, want[key], value)
		}
		for key := range g {
			if _, has := want[key]; !has && key != "emOptInStatus" { // which some orgs have

				t.Errorf("%s.%s is no part of it", at, key)
			}
		}
	case []any:
		if g, ok := got.([]any); ok && len(g) > 0 && len(want) > 0 {
			sameShape(t, at+"[0]", want[0], g[0])
		} else if !ok {
			t.Errorf("%s: want a list, got %v", at, got)
		}
	default:
		if got != nil && fmt.Sprintf("%T", got) != fmt.Sprintf("%T", want) {
			t.Errorf("%s: want a %T, got %v", at, want, got)
		}
	}
}

// Each recorded call about a setting, and each reading of features, gets an answer
// of the same shape.
func TestRecordedSettings(t *testing.T) {
	reference(t, "answers")
	o := startOrg(t, simulatortest.Config{})
	feature := o.list("/api/v1/features")[0]["id"].(string)
	o.want(200, "POST", "/api/v1/org/privacy/oktaCommunication/optOut", "") // as it was
	count := 0
	for _, file := range []string{"org-settings.json", "rate-limit-settings.json", "threat-insight.json", "features.json"} {
		for n, x := range recorded(t, file) {
			if strings.Contains(x.Path, "oktaSupport") || strings.Contains(x.Path, "contacts") || strings.Contains(x.Path, "authenticator-settings") {
				continue // not simulated
			}
			path := regexp.MustCompile(`ftr[0-9A-Za-z]{17}`).ReplaceAllString(x.Path, feature)
			body := string(x.Request)
			if body == "null" {
				body = ""
			}
			count++
			t.Run(fmt.Sprintf("%s %d %s %s", file, n, x.Method, path), func(t *testing.T) {
				r := o.call(x.Method, path, body)
				wantStatus(t, r, x.Status)
				var want, got any
				if err := json.Unmarshal(x.Response, &want); err != nil {
					t.Fatal(err)
				}
				forgetHelp(want)
				r.decode(t, &got)
				sameShape(t, "", want, got)
			})
		}
	}
	if count < 15 {
		t.Errorf("only %d calls", count)
	}
}

// forgetHelp removes the link to the documentation of a feature.
func forgetHelp(v any) {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "helpDoc")
		for _, inner := range v {
			forgetHelp(inner)
		}
	case []any:
		for _, inner := range v {
			forgetHelp(inner)
		}
	}
}

// description is an OpenAPI description, of which $ref, allOf, discriminator,
// properties, items, type and enum are looked at.
type description map[string]any

func (d description) at(keys ...string) map[string]any {
	v := any(map[string]any(d))
	for _, key := range keys {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	m, _ := v.(map[string]any)
	return m
}

// resolve returns a schema without $ref.
func (d description) resolve(s map[string]any) map[string]any {
	for s != nil {
		ref, ok := s["$ref"].(string)
		if !ok {
			break
		}
		s = d.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	}
	return s
}

// properties returns the properties of a schema for an object, and whether it
// lists them all. A discriminator chooses among alternatives.
func (d description) properties(s map[string]any, v map[string]any) (all map[string]any, closed bool) {
	all = map[string]any{}
	s = d.resolve(s)
	add := func(part map[string]any, v map[string]any) {
		inner, innerClosed := d.properties(part, v)
		maps.Copy(all, inner)
		closed = closed || innerClosed
	}
	own, _ := s["properties"].(map[string]any)
	maps.Copy(all, own)
	closed = len(own) > 0
	keys := []string{"allOf", "oneOf", "anyOf"}
	disc, _ := s["discriminator"].(map[string]any)
	mapping, _ := disc["mapping"].(map[string]any)
	chosen, found := mapping[fmt.Sprint(v[fmt.Sprint(disc["propertyName"])])].(string)
	if found {
		keys = keys[:1]
	}
	for _, key := range keys {
		parts, _ := s[key].([]any)
		for _, part := range parts {
			add(part.(map[string]any), v)
		}
	}
	if found {
		add(map[string]any{"$ref": chosen}, nil)
	}
	return all, closed
}

// check returns what of a value the schema doesn't describe.
func (d description) check(at string, s map[string]any, v any) (problems []string) {
	s = d.resolve(s)
	if enum, ok := s["enum"].([]any); ok && v != nil && !slices.Contains(enum, v) {
		problems = append(problems, fmt.Sprintf("%s: %v is none of %v", at, v, enum))
	}
	kind, _ := s["type"].(string)
	want := map[string]string{"string": "string", "integer": "float64", "number": "float64", "boolean": "bool", "array": "[]interface {}", "object": "map[string]interface {}"}[kind]
	if got := fmt.Sprintf("%T", v); want != "" && v != nil && got != want {
		return append(problems, fmt.Sprintf("%s: want %s, got %s", at, want, got))
	}
	switch v := v.(type) {
	case map[string]any:
		all, closed := d.properties(s, v)
		for _, key := range slices.Sorted(maps.Keys(v)) {
			p, ok := all[key].(map[string]any)
			switch {
			case ok && key != "_links":
				problems = append(problems, d.check(at+"."+key, p, v[key])...)
			case !ok && closed && s["additionalProperties"] == nil && key != "_links" && key != "_embedded":
				problems = append(problems, fmt.Sprintf("%s.%s is not described", at, key))
			}
		}
	case []any:
		items, _ := s["items"].(map[string]any)
		for i, item := range v {
			problems = append(problems, d.check(fmt.Sprintf("%s[%d]", at, i), items, item)...)
		}
	}
	return problems
}

// schema returns the schema of a body's JSON.
func (d description) schema(body map[string]any) map[string]any {
	s, _ := d.resolve(body)["content"].(map[string]any)
	j, _ := s["application/json"].(map[string]any)
	schema, _ := j["schema"].(map[string]any)
	return schema
}

// undescribed are fields that Okta answers and its description doesn't have.
var undescribed = regexp.MustCompile(`\.manualProvisioning`)

// What the simulator takes and answers is what Okta's OpenAPI description has, as
// are its endpoints and their scopes.
func TestOpenAPI(t *testing.T) {
	text, err := os.ReadFile(reference(t, "okta-management.openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if testing.Short() {
		t.Skip("reading the description takes a second")
	}
	var all map[string]any
	if err := yaml.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	d := description(all)
	d.checkEndpoints(t)

	o := startOrg(t, simulatortest.Config{})
	check := func(method, path, template, body string) map[string]any {
		t.Helper()
		r := o.call(method, path, body)
		wantStatus(t, r, 200)
		var got any
		r.decode(t, &got)
		op := d.at("paths", template, strings.ToLower(method))
		responses, _ := op["responses"].(map[string]any)
		success, _ := responses["200"].(map[string]any)
		problems := d.check("answer", d.schema(success), got)
		if body != "" {
			var sent any
			if err := json.Unmarshal([]byte(body), &sent); err != nil {
				t.Fatal(err)
			}
			request, _ := op["requestBody"].(map[string]any)
			problems = append(problems, d.check("request", d.schema(request), sent)...)
		}
		for _, p := range problems {
			if !undescribed.MatchString(p) {
				t.Errorf("%s %s: %s", method, template, p)
			}
		}
		m, _ := got.(map[string]any)
		return m
	}
	for _, path := range []string{"zones", "groups", "groups/rules", "trustedOrigins", "behaviors", "features", "apps", "org", "threats/configuration"} {
		check("GET", "/api/v1/"+path, "/api/v1/"+path, "")
	}
	group := o.group("Target")
	people := `"conditions":{"people":{"groups":{"include":["` + group + `"]}}}`
	for _, c := range [][2]string{
		{"zones", `{"type":"IP","name":"A","gateways":[{"type":"RANGE","value":"192.0.2.1-192.0.2.2"}]}`},
		{"zones", `{"type":"DYNAMIC","name":"B","asns":["7"],"locations":[{"country":"AF","region":"AF-BGL"}],"proxyType":"Any"}`},
		{"zones", `{"type":"DYNAMIC_V2","name":"C","ipServiceCategories":{"include":["NORD_VPN"]},"locations":{"exclude":[{"country":"AF"}]}}`},
		{"groups", `{"profile":{"name":"A","description":"b"}}`},
		{"groups/rules", `{"type":"group_rule","name":"A","conditions":{"expression":{"value":"true","type":"urn:okta:expression:1.0"}},"actions":{"assignUserToGroups":{"groupIds":["` + group + `"]}}}`},
		{"trustedOrigins", `{"name":"A","origin":"https://a.example","scopes":[{"type":"IFRAME_EMBED"}]}`},
		{"behaviors", `{"name":"A","type":"ANOMALOUS_LOCATION","settings":{"granularity":"LAT_LONG","radiusKilometers":5}}`},
		{"behaviors", `{"name":"B","type":"VELOCITY","settings":{"velocityKph":5}}`},
		{"behaviors", `{"name":"C","type":"ANOMALOUS_ASN","settings":{"maxEventsUsedForEvaluation":5}}`},
		{"threats/configuration", `{"action":"audit","excludeZones":[]}`},
		{"org", `{"city":"Bonn"}`},
		{"policies", `{"type":"OKTA_SIGN_ON","name":"A",` + people + `}`},
		{"policies", `{"type":"PASSWORD","name":"A",` + people + `}`},
		{"policies", `{"type":"MFA_ENROLL","name":"A",` + people + `}`},
		{"apps", `{"name":"bookmark","label":"A","signOnMode":"BOOKMARK","settings":{"app":{"url":"https://example.com"}}}`},
	} {
		check("POST", "/api/v1/"+c[0], "/api/v1/"+c[0], c[1])
	}
	for class, rule := range map[string]string{
		"OKTA_SIGN_ON": `{"type":"SIGN_ON","name":"R","actions":{"signon":{"access":"ALLOW","requireFactor":true,"factorPromptMode":"ALWAYS"}}}`,
		"PASSWORD":     `{"type":"PASSWORD","name":"R","actions":{"passwordChange":{"access":"ALLOW"}}}`,
		"MFA_ENROLL":   `{"type":"MFA_ENROLL","name":"R","actions":{"enroll":{"self":"LOGIN"}}}`,
	} {
		for _, p := range o.list("/api/v1/policies?type=" + class) {
			check("POST", fmt.Sprintf("/api/v1/policies/%s/rules", p["id"]), "/api/v1/policies/{policyId}/rules", rule)
		}
	}
	for path, body := range map[string]string{
		"/attack-protection/api/v1/user-lockout-settings": `{"preventBruteForceLockoutFromUnknownDevices":true}`,
		"/api/v1/rate-limit-settings/per-client":          `{"defaultMode":"ENFORCE","useCaseModeOverrides":{"LOGIN_PAGE":"PREVIEW"}}`,
		"/api/v1/rate-limit-settings/warning-threshold":   `{"warningThreshold":50}`,
		"/api/v1/rate-limit-settings/admin-notifications": `{"notificationsEnabled":true}`,
		"/api/v1/org/settings/clientPrivilegesSetting":    `{"clientPrivilegesSetting":true}`,
		"/api/v1/first-party-app-settings/admin-console":  `{"sessionIdleTimeoutMinutes":5}`,
	} {
		check("PUT", path, strings.Replace(path, "admin-console", "{appName}", 1), body)
	}
}

// checkEndpoints checks that each endpoint of the simulator is described, with its
// scope.
func (d description) checkEndpoints(t *testing.T) {
	t.Helper()
	shape := func(path string) string { return regexp.MustCompile(`\{\w+\}`).ReplaceAllString(path, "{}") }
	described := map[string]string{}
	for path, operations := range d.at("paths") {
		for method, op := range operations.(map[string]any) {
			scope := ""
			o, _ := op.(map[string]any)
			security, _ := o["security"].([]any)
			for _, s := range security {
				if scopes, ok := s.(map[string]any)["oauth2"].([]any); ok && len(scopes) > 0 {
					scope = fmt.Sprint(scopes[0])
				}
			}
			described[strings.ToUpper(method)+" "+shape(path)] = scope
		}
	}
	for _, e := range simulator.OrgEndpoints() {
		call := e.Method + " " + shape(strings.Replace(e.Path, "/first-party-app-settings/admin-console", "/first-party-app-settings/{}", 1))
		scope, ok := described[call]
		switch {
		case strings.Contains(e.Path, "/oauth2/") || strings.Contains(e.Path, "/api-tokens/") || e.Path == "/api/v1/logs":
			// not in this part of the description
		case !ok:
			t.Errorf("%s is not described", call)
		case scope != e.Scope:
			t.Errorf("%s: want the scope %q, got %q", call, scope, e.Scope)
		}
	}
}
