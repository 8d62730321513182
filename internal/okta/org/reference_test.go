package org

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"gopkg.in/yaml.v3"

	"reconciler/internal/okta/simulator/simulatortest"
)

// operations returns the query parameters of the operations that Okta describes, by
// METHOD PATH; the test is skipped where the description isn't there.
func operations(t *testing.T) map[string][]string {
	t.Helper()
	folder := os.Getenv("RECONCILER_REFERENCE")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "..", "shared", "reference")
	}
	data, err := os.ReadFile(filepath.Join(folder, "okta-management.openapi.yaml"))
	if err != nil {
		t.Skipf("no reference: %v", err)
	}
	type parameter struct {
		Ref  string `yaml:"$ref"`
		Name string `yaml:"name"`
		In   string `yaml:"in"`
	}
	var d struct {
		Paths      map[string]map[string]yaml.Node `yaml:"paths"`
		Components struct {
			Parameters map[string]parameter `yaml:"parameters"`
		} `yaml:"components"`
	}
	if err := yaml.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for path, methods := range d.Paths {
		for method, node := range methods {
			var op struct {
				Parameters []parameter `yaml:"parameters"`
			}
			_ = node.Decode(&op) // what isn't an operation has none
			names := []string{}
			for _, p := range op.Parameters {
				if p.Ref != "" {
					p = d.Components.Parameters[p.Ref[strings.LastIndex(p.Ref, "/")+1:]]
				}
				if p.In == "query" {
					names = append(names, p.Name)
				}
			}
			all[strings.ToUpper(method)+" "+path] = names
		}
	}
	return all
}

// TestOperations: each call of a run that makes, changes, orders and deletes objects of
// all kinds is one that Okta describes, with the parameters that it has.
func TestOperations(t *testing.T) {
	described := operations(t)
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, simulatortest.Config{}, nil)
		target := f.target(0)
		f.converge(target, declare(t, baseline...))
		f.converge(target, declare(t, changes...))
		checked := 0
		for _, r := range f.sim.Requests() {
			path := strings.TrimPrefix(r.Path, "/org/"+target.Domain)
			if strings.HasPrefix(path, "/oauth2/") || strings.HasPrefix(path, "/.well-known/") {
				continue
			}
			checked++
			call := r.Method + " " + path
			i := slices.IndexFunc(keys(described), func(o string) bool { return fits(o, call) })
			if i < 0 {
				t.Errorf("%s is not described", call)
				continue
			}
			query, err := url.ParseQuery(r.Query)
			if err != nil {
				t.Error(err)
			}
			for name := range query {
				if query.Has("after") {
					break // a next link is followed as it is
				}
				if op := keys(described)[i]; !slices.Contains(described[op], name) {
					t.Errorf("%s: the parameter %q is not described", op, name)
				}
			}
		}
		if checked < 100 {
			t.Errorf("only %d calls", checked)
		}
	})
}

func keys(m map[string][]string) []string {
	all := make([]string, 0, len(m))
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all) // what is spelled out comes before what is in braces
	return all
}

// fits reports whether a call is one of an operation.
func fits(operation, call string) bool {
	return slices.EqualFunc(strings.Split(operation, "/"), strings.Split(call, "/"), func(want, got string) bool {
		return want == got || strings.HasPrefix(want, "{") && got != "rules"
	})
}
