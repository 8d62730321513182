package objects

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"
)

// reference returns the path of a file of Okta's descriptions and recorded answers; the
// test is skipped where they aren't there.
func reference(t testing.TB, name ...string) string {
	t.Helper()
	folder := os.Getenv("RECONCILER_REFERENCE")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "..", "shared", "reference")
	}
	path := filepath.Join(append([]string{folder}, name...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no reference: %v", err)
	}
	return path
}

// exchange is a recorded call of the API.
type exchange struct {
	Method   string `json:"method"`
	Path     string `json:"path"`
	Status   int    `json:"status"`
	Response any    `json:"response"`
	Route    string `json:"route"`
	Source   string `json:"source"`
}

// kindOf returns the kind that a route answers with, or nil.
func kindOf(route string) *Kind {
	for _, k := range all {
		list := strings.ReplaceAll(k.API.Collection, "{parent}", "{policyId}")
		rest, ok := strings.CutPrefix(route, list)
		if ok && (rest == "" || !k.Setting && strings.HasPrefix(rest, "/{") && strings.Count(rest, "/") == 1) {
			return k
		}
	}
	return nil
}

// TestRecordedObjects decodes each recorded object, which must compare equal to itself,
// and lose nothing but what can't be declared.
func TestRecordedObjects(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(reference(t, "answers"), "*.json"))
	if err != nil || len(files) == 0 {
		t.Skip("no recorded answers")
	}
	seen := map[string]int{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var all []exchange
		if err := json.Unmarshal(data, &all); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, x := range all {
			k := kindOf(x.Route)
			if k == nil || x.Status != 200 || x.Method == "DELETE" {
				continue
			}
			list, ok := x.Response.([]any)
			if !ok {
				list = []any{x.Response}
			}
			for _, o := range list {
				if raw, ok := o.(map[string]any); ok && recordedObject(t, k, raw, x) {
					seen[k.Name]++
				}
			}
		}
	}
	for _, name := range []string{
		"features", "networkZones", "groups", "behaviors", "policies", "policyRules", "trustedOrigins", "groupRules", "threatInsight",
		"general", "userLockout", "endUserFooter", "communication", "rateLimitNotifications", "rateLimitWarning", "rateLimitPerClient",
	} {
		if seen[name] == 0 {
			t.Errorf("no recorded object of %s was decoded", name)
		}
	}
}

// recordedObject checks one object, and reports whether it is one of the kind.
func recordedObject(t *testing.T, k *Kind, raw map[string]any, x exchange) bool {
	typ, parent := "", ""
	switch own, _ := raw["type"].(string); {
	case k.Typed:
		if typ = own; !slices.Contains(k.Types, typ) {
			return false
		}
	case k.Parent != nil:
		for of, rule := range ruleTypes {
			if rule == own {
				typ, parent = of, "Policy"
			}
		}
		if typ == "" {
			return false
		}
	}
	kept := cloneMapping(raw)
	live := &Live{}
	known := map[Ref]bool{}
	l := k.Decode(cloneMapping(raw), typ, parent, "", func(kind, id string) string {
		ref := Ref{Kind: ByName(kind), Name: id}
		if !known[ref] {
			known[ref] = true
			live.Objects = append(live.Objects, &LiveObject{Ref: ref, ID: id})
		}
		return id
	})
	if l == nil || l.Ref.Name == "" || l.ID == "" && !k.Setting {
		t.Errorf("%s: %s isn't decoded: %v", x.Source, k.Name, raw)
		return false
	}
	live.Objects = append(live.Objects, l)
	lost(t, x.Source+" "+k.Name, k.index, typ, kept, l.Body)
	again := k.Normalize(l.Body, nil)
	if diff := cmp.Diff(l.Body, again); diff != "" {
		t.Errorf("%s: normalizing %s twice is not the same: %s", x.Source, k.Name, diff)
	}
	c, err := Compare(&Declared{Objects: []*Object{{Ref: l.Ref, System: l.System, Body: again}}}, live)
	if err != nil {
		t.Errorf("%s: %s: %v", x.Source, k.Name, err)
	} else if c.InSync != 1 || len(c.Differences)+len(c.Unfixable) != 0 {
		t.Errorf("%s: %s isn't equal to itself:\n%s", x.Source, k.Name, lines(c))
	}
	return true
}

// lost checks that normal form has all of raw, but for what can't be declared.
func lost(t *testing.T, where string, index map[string]*Field, typ string, raw, normal map[string]any) {
	t.Helper()
	for name, v := range raw {
		f := pick(index, typ, name, v)
		got, ok := normal[name]
		switch {
		case f == nil:
			t.Errorf("%s: the table doesn't know %q", where, name)
		case f.ReadOnly || f.Secret:
			if ok {
				t.Errorf("%s: %q can't be declared, and is in normal form", where, name)
			}
		case !ok:
			t.Errorf("%s: %q is lost", where, name)
		case f.Type == Mapping && v != nil && f.Free:
		case f.Type == Mapping && v != nil:
			lost(t, where+"."+name, f.index, typ, v.(map[string]any), got.(map[string]any))
		case f.Type == List && v != nil:
			if len(v.([]any)) != len(got.([]any)) {
				t.Errorf("%s: %q had %d elements, and has %d", where, name, len(v.([]any)), len(got.([]any)))
			}
		case !f.equal(v, got) && name != "origin":
			t.Errorf("%s: %q was %v, and is %v", where, name, v, got)
		}
	}
}

// description is Okta's own description of its API.
type description struct {
	root  map[string]any
	paths map[string]any
}

func describe(t testing.TB) *description {
	t.Helper()
	data, err := os.ReadFile(reference(t, "okta-management.openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	d := &description{}
	if err := yaml.Unmarshal(data, &d.root); err != nil {
		t.Fatal(err)
	}
	d.paths = d.root["paths"].(map[string]any)
	return d
}

// follow returns what a schema with $ref stands for.
func (d *description) follow(schema map[string]any) map[string]any {
	for {
		ref, ok := schema["$ref"].(string)
		if !ok {
			return schema
		}
		var v any = d.root
		for name := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			v = v.(map[string]any)[name]
		}
		schema = v.(map[string]any)
	}
}

// whole returns a schema with its parts in it.
func (d *description) whole(schema map[string]any) map[string]any {
	schema = d.follow(schema)
	parts, _ := schema["allOf"].([]any)
	if len(parts) == 0 {
		return schema
	}
	all := map[string]any{}
	for _, part := range parts {
		maps.Copy(all, d.whole(part.(map[string]any)))
	}
	return all
}

// request returns the schema of the body of an operation; nil if there is none.
func (d *description) request(method, path string) map[string]any {
	for pattern, item := range d.paths {
		if !fits(pattern, path) {
			continue
		}
		op, _ := item.(map[string]any)[strings.ToLower(method)].(map[string]any)
		body, _ := op["requestBody"].(map[string]any)
		if body == nil {
			return nil
		}
		content := d.follow(body)["content"].(map[string]any)
		return content["application/json"].(map[string]any)["schema"].(map[string]any)
	}
	return nil
}

// fits reports whether a path has the form of a pattern: what is in braces there may be
// anything.
func fits(pattern, path string) bool {
	a, b := strings.Split(pattern, "/"), strings.Split(path, "/")
	return slices.EqualFunc(a, b, func(x, y string) bool { return x == y || strings.HasPrefix(x, "{") && y != "rules" })
}

// known returns all properties that a value may have by a schema: those of its parts
// too, and those of the one that the discriminator chooses.
func (d *description) known(schema, v map[string]any, chosen ...string) (properties map[string]any, open bool) {
	schema = d.follow(schema)
	properties = map[string]any{}
	add := func(part map[string]any) {
		p, o := d.known(part, v, chosen...)
		maps.Copy(properties, p)
		open = open || o
	}
	open = schema["x-okta-extensible"] == true || schema["additionalProperties"] == true
	if p, ok := schema["properties"].(map[string]any); ok {
		maps.Copy(properties, p)
	}
	for _, key := range []string{"allOf", "anyOf"} {
		parts, _ := schema[key].([]any)
		for _, part := range parts {
			add(part.(map[string]any))
		}
	}
	if by, ok := schema["discriminator"].(map[string]any); ok {
		mapping, _ := by["mapping"].(map[string]any)
		ref, _ := mapping[fmt.Sprint(v[by["propertyName"].(string)])].(string)
		if ref != "" && !slices.Contains(chosen, ref) { // the chosen one has this schema as a part
			chosen = append(chosen, ref)
			add(map[string]any{"$ref": ref})
		}
	}
	return properties, open
}

// check returns what is wrong with v by a schema.
func (d *description) check(schema map[string]any, v any, path string) []string {
	if v == nil {
		return nil // Okta answers and takes null for what isn't set, whatever is described
	}
	if m, ok := v.(map[string]any); ok {
		return d.checkMapping(d.follow(schema), m, path)
	}
	schema = d.whole(schema)
	var wrong []string
	typ, _ := schema["type"].(string)
	if enum, ok := schema["enum"].([]any); ok && !slices.Contains(enum, v) && !slices.Contains(newer, v) {
		wrong = append(wrong, fmt.Sprintf("%s: %v is none of %v", path, v, enum))
	}
	switch v := v.(type) {
	case []any:
		if typ != "array" {
			return append(wrong, path+": is a list")
		}
		for i, e := range v {
			wrong = append(wrong, d.check(schema["items"].(map[string]any), e, fmt.Sprintf("%s[%d]", path, i))...)
		}
	case string:
		if typ != "string" && schema["enum"] == nil {
			wrong = append(wrong, path+": is a text")
		}
		if n, ok := schema["maxLength"].(int); ok && len(v) > n {
			wrong = append(wrong, path+": is too long")
		}
	case bool:
		if typ != "boolean" {
			wrong = append(wrong, path+": is true or false")
		}
	case float64:
		if typ != "integer" && typ != "number" || typ == "integer" && v != float64(int(v)) {
			wrong = append(wrong, path+": is a number")
		}
		if n, ok := schema["minimum"].(int); ok && v < float64(n) {
			wrong = append(wrong, fmt.Sprintf("%s: %v is less than %d", path, v, n))
		}
		if n, ok := schema["maximum"].(int); ok && v > float64(n) {
			wrong = append(wrong, fmt.Sprintf("%s: %v is more than %d", path, v, n))
		}
	}
	return wrong
}

func (d *description) checkMapping(schema, v map[string]any, path string) []string {
	var wrong []string
	properties, open := d.known(schema, v)
	for name, e := range v {
		p, ok := properties[name].(map[string]any)
		switch {
		case ok && d.whole(p)["readOnly"] == true && !slices.Contains(undescribed, path+"."+name):
			wrong = append(wrong, path+"."+name+": is read-only")
		case ok:
			wrong = append(wrong, d.check(p, e, path+"."+name)...)
		case !open && !slices.Contains(undescribed, path+"."+name):
			wrong = append(wrong, path+"."+name+": is not described")
		}
	}
	required, _ := schema["required"].([]any)
	for _, name := range required {
		if _, ok := v[name.(string)]; !ok {
			wrong = append(wrong, path+"."+name.(string)+": is missing")
		}
	}
	return wrong
}

// undescribed are fields that Okta takes, as recordings show, and its description leaves
// out or calls read-only.
var undescribed = []string{
	"trustedOrigins.status",
	"policies.settings.factors", "policies.settings.recovery.factors.recovery_question.properties.complexity.minLength",
	"policyRules.conditions.risk", "policyRules.conditions.riskScore", "policyRules.conditions.behaviors",
}

// newer are words that Okta takes and its description doesn't have yet.
var newer = []any{"PROXYLINE_PROXY", "VIGOR_SSL_VPN", "smart_card_idp", "tac"}

// TestRequests checks random bodies of new and changed objects against Okta's description.
func TestRequests(t *testing.T) {
	d := describe(t)
	names := map[string][]string{"groups": {"G"}, "networkZones": {"Z"}, "behaviors": {"B"}}
	id := func(_, name string) (string, error) { return "id-" + name, nil }
	for _, k := range all {
		if k == features || k == endUserFooter || k == communication {
			continue // changed by calls without a body
		}
		t.Run(k.Name, func(t *testing.T) {
			create, change := d.request("POST", path(k, "")), d.request(k.API.Write, path(k, "x"))
			if create == nil && !k.Setting || change == nil {
				t.Fatalf("no description of %s", k.API.Collection)
			}
			rapid.Check(t, func(t *rapid.T) {
				typ := rapid.SampledFrom(typesOf(k)).Draw(t, "type")
				o := &Object{Ref: Ref{Kind: k, Name: "N"}, Body: k.Normalize(genBody(t, k, typ, "N", names), nil)}
				if k.Typed || k.Parent != nil {
					o.Ref.Type = typ
				}
				made := Difference{Op: Create, Ref: o.Ref, Fields: created(o)}
				made.Fields = sentInBody(k, made.Fields)
				body, err := made.Overlay(nil, id)
				if err != nil {
					t.Fatal(err)
				}
				if !k.Setting {
					report(t, d.check(create, body, k.Name), body)
				}
				raw := cloneMapping(body)
				maps.Copy(raw, map[string]any{"id": "x", "created": "2026-01-01T00:00:00.000Z", "_links": map[string]any{}, "lastUpdated": "x"})
				if k.index["system"] != nil {
					raw["system"] = true
				}
				if k.Ordered {
					raw["priority"] = 1.0
				}
				o.Body = k.Normalize(genBody(t, k, typ, "N", names), nil)
				changed := Difference{Op: Update, Ref: o.Ref, Fields: created(o)}
				changed.Fields = sentInBody(k, changed.Fields)
				if body, err = changed.Overlay(raw, id); err != nil {
					t.Fatal(err)
				}
				report(t, d.check(change, body, k.Name), body)
			})
		})
	}
}

// sentInBody returns the changes without that of a status that is reached by lifecycle
// calls.
func sentInBody(k *Kind, changes []FieldChange) []FieldChange {
	return slices.DeleteFunc(changes, func(c FieldChange) bool { return k.API.Lifecycle && c.Path == "status" })
}

// path returns where an object is, or where new ones are sent to.
func path(k *Kind, id string) string {
	p := strings.ReplaceAll(k.API.Collection, "{parent}", "p")
	if k.Setting || id == "" {
		return p
	}
	return p + "/" + id
}

func report(t *rapid.T, wrong []string, body map[string]any) {
	if len(wrong) > 0 {
		slices.Sort(wrong)
		t.Errorf("%s\nin %v", strings.Join(wrong, "\n"), body)
	}
}
