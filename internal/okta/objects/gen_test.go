package objects

import (
	"fmt"
	"slices"

	"pgregory.net/rapid"
)

// typesOf returns the types that objects of the kind have; one empty type for the kinds
// without types.
func typesOf(k *Kind) []string {
	switch {
	case k.Typed:
		return k.Types
	case k.Parent != nil:
		return k.Parent.Types
	}
	if f := Find(k.Fields, "type"); f != nil && f.Immutable && len(f.Enum) > 1 {
		return f.Enum
	}
	return []string{""}
}

// genBody draws what a manifest may say of an object: all required fields, and others
// by chance. names are the objects that may be referred to, by kind.
func genBody(t *rapid.T, k *Kind, typ, name string, names map[string][]string) map[string]any {
	g := generator{t: t, typ: typ, names: names}
	body := g.mapping(k.Fields, k.Name)
	if f := Find(k.Fields, "type"); f != nil && f.Immutable {
		delete(body, "type")
		if k.Parent == nil && typ != "" {
			body["type"] = typ
		}
	}
	if len(k.keyPath) == 2 {
		below, _ := body[k.keyPath[0]].(map[string]any)
		below[k.keyPath[1]] = name
	} else if !k.Setting {
		body[k.Key] = name
	}
	return body
}

type generator struct {
	t     *rapid.T
	typ   string
	names map[string][]string
}

func (g *generator) chance(label string) bool { return rapid.Bool().Draw(g.t, label) }

func (g *generator) mapping(fields []Field, label string) map[string]any {
	m := map[string]any{}
	for i := range fields {
		f := &fields[i]
		if f.ReadOnly || f.Secret || f.Needs == classicEngine || !f.fits(g.typ) || !f.Required && !g.chance(label+"."+f.Name+"?") {
			continue
		}
		if f.Nullable && !f.Required && rapid.IntRange(0, 9).Draw(g.t, "null") == 0 {
			m[f.Name] = nil
			continue
		}
		m[f.Name] = g.value(f, label+"."+f.Name)
	}
	return m
}

func (g *generator) value(f *Field, label string) any {
	switch f.Type {
	case Text:
		return g.text(f, label)
	case Integer, Number:
		low, high := 0, 100
		if f.Min != nil {
			low = *f.Min
		}
		if f.Max != nil {
			high = *f.Max
		}
		return float64(rapid.IntRange(low, max(low, high)).Draw(g.t, label))
	case Boolean:
		return g.chance(label)
	case Mapping:
		m := g.mapping(f.Fields, label)
		switch m["type"] {
		case "BY_DATE_TIME":
			delete(m, "skipCount")
		case "BY_SKIP_COUNT":
			delete(m, "expiry")
		}
		return m
	case List:
		return g.list(f, label)
	}
	return nil
}

func (g *generator) text(f *Field, label string) any {
	switch {
	case f.Refers != "":
		return rapid.SampledFrom(slices.Concat(g.names[f.Refers], f.Words)).Draw(g.t, label)
	case len(f.Enum) > 0:
		return rapid.SampledFrom(f.Enum).Draw(g.t, label)
	case f.Min != nil && *f.Min == 2:
		return rapid.SampledFrom([]string{"DE", "SI", "US"}).Draw(g.t, label)
	}
	return rapid.SampledFrom([]string{"a", "B", "c d", "x.y", "ü"}).Draw(g.t, label)
}

func (g *generator) list(f *Field, label string) any {
	list := []any{}
	for i := range rapid.IntRange(0, 3).Draw(g.t, label+" size") {
		e := g.value(f.Elem, label)
		m, ok := e.(map[string]any)
		if ok && slices.Contains(f.By, "value") { // addresses
			n := rapid.IntRange(0, 9).Draw(g.t, label)
			m["type"], m["value"] = "CIDR", fmt.Sprintf("192.0.2.%d/3%d", n, i)
			if g.chance(label + " single") {
				m["value"] = fmt.Sprintf("192.0.2.%d", n)
			}
		}
		if ok && slices.ContainsFunc(list, func(o any) bool { return len(f.By) > 0 && f.same(g.typ, o, e) }) {
			continue
		}
		list = append(list, e)
	}
	return list
}

// genDeclared draws a declaration: a few objects of each kind with these names. Those of
// ordered kinds come in a drawn order.
func genDeclared(t *rapid.T, label string, absent bool) *Declared {
	names := map[string][]string{"groups": {"G1", "G2"}, "networkZones": {"Z1", "Z2"}, "behaviors": {"B1", "B2"}}
	d := &Declared{}
	add := func(k *Kind, typ, parent, name string, keep bool) {
		o := &Object{Ref: Ref{Kind: k, Parent: parent, Name: name}}
		if k.Typed || k.Parent != nil {
			o.Ref.Type = typ
		}
		o.Body = k.Normalize(genBody(t, k, typ, name, names), nil)
		if absent && !keep && !k.Setting && !k.Fixed && rapid.IntRange(0, 5).Draw(t, "absent") == 0 {
			o.Absent, o.Body = true, map[string]any{k.Key: name}
		}
		d.Objects = append(d.Objects, o)
	}
	for _, k := range all {
		switch {
		case k.Setting:
			add(k, "", "", k.Name, true)
		case k.Parent != nil:
		case k.Typed:
			for _, typ := range typesOf(k) {
				for _, name := range rapid.Permutation([]string{"P1", "P2", "P3"}).Draw(t, label)[:rapid.IntRange(0, 3).Draw(t, "policies")] {
					add(k, typ, "", name, false)
					for _, rule := range rapid.Permutation([]string{"R1", "R/2", "R3"}).Draw(t, label)[:rapid.IntRange(0, 3).Draw(t, "rules")] {
						add(policyRules, typ, name, rule, false)
					}
				}
			}
		default:
			list := names[k.Name]
			if list == nil {
				list = []string{"https://a.example", "https://b.example"}
			}
			for i, name := range list {
				// The type follows from the name: it can't be changed.
				types := typesOf(k)
				add(k, types[i%len(types)], "", name, names[k.Name] != nil)
			}
		}
	}
	return d
}
