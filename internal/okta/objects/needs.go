package objects

import (
	"fmt"
	"maps"
	"slices"
)

// What fields need, where that is an engine.
const (
	identityEngine = "Identity Engine"
	classicEngine  = "Classic Engine"
)

// lacksEngine returns why an org with this engine can't have the field; empty if it can,
// or if the engine isn't known.
func (f *Field) lacksEngine(engine string) string {
	if f == nil {
		return ""
	}
	switch {
	case f.Needs == identityEngine && engine == "v1":
		return "it needs the Identity Engine, and the org has the Classic Engine"
	case f.Needs == classicEngine && engine == "idx":
		return "it needs the Classic Engine, and the org has the Identity Engine"
	}
	return ""
}

// lackingEngine returns the path of the first declared field that an org with this engine
// can't have, and why; empty if it can have them all.
func lackingEngine(index map[string]*Field, typ, engine string, body map[string]any, path []string) (lacking, why string) {
	for _, name := range slices.Sorted(maps.Keys(body)) {
		v := body[name]
		f := pick(index, typ, name, v)
		if f.isEmpty(v) {
			continue
		}
		at := append(slices.Clone(path), name)
		if why := f.lacksEngine(engine); why != "" {
			return joinPath(at), why
		}
		if m, ok := v.(map[string]any); ok && f != nil {
			if lacking, why := lackingEngine(f.index, typ, engine, m, at); why != "" {
				return lacking, why
			}
		}
	}
	return "", ""
}

// Features returns what the fields that the difference sets need of an org, such as
// "conditions.riskScore needs risk scoring", sorted.
func (d *Difference) Features() []string {
	var all []string
	for _, c := range d.Fields {
		if c.After == nil || d.Op == Reorder {
			continue
		}
		names := SplitPath(c.Path)
		for n := range names {
			f := d.Ref.Kind.fieldAt(d.Ref.Type, names[:n+1])
			switch {
			case f == nil:
			case n == len(names)-1:
				all = f.features(d.Ref.Type, c.After, names, all)
			case f.Needs != "":
				all = append(all, needing(names[:n+1], f))
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// features adds what a field with this value needs, and what is in it.
func (f *Field) features(typ string, v any, path []string, all []string) []string {
	if f == nil || f.isEmpty(v) {
		return all
	}
	if f.Needs != "" {
		all = append(all, needing(path, f))
	}
	if m, ok := v.(map[string]any); ok {
		for name, e := range m {
			all = pick(f.index, typ, name, e).features(typ, e, append(slices.Clone(path), name), all)
		}
	}
	return all
}

func needing(path []string, f *Field) string {
	return fmt.Sprintf("%s needs %s", joinPath(path), f.Needs)
}
