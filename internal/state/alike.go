package state

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// alike keeps what many orgs have in common once: their products and labels. What is shared
// must not be changed.
type alike struct {
	lists    map[string][]string
	mappings map[string]map[string]string
}

// list returns a list that is equal to v.
func (a *alike) list(v []string) []string {
	key := strings.Join(v, "\x00")
	if old, is := a.lists[key]; is {
		return old
	}
	a.lists[key] = v
	return v
}

// mapping returns a mapping that is equal to v.
func (a *alike) mapping(v map[string]string) map[string]string {
	var key strings.Builder
	for _, name := range slices.Sorted(maps.Keys(v)) {
		key.WriteString(name + "\x00" + v[name] + "\x00")
	}
	if old, is := a.mappings[key.String()]; is {
		return old
	}
	a.mappings[key.String()] = v
	return v
}

// shareBody has the body of an object that comes of variables share the values which have
// none with that of the org before.
func (e *entry) shareBody(body map[string]any) {
	for name, v := range body {
		if old, is := e.last[name]; is && reflect.DeepEqual(old, v) {
			body[name] = old
		}
	}
	e.last = body
}
